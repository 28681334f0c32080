import type { Stream } from '../random/stream.js';
import { type RateShape, Schedule, type Timetable } from './schedule.js';
import { SteeredSchedule } from './steering.js';

/** How arrivals are spread over time, and what happens to missed ones. Plain data that is posted to every worker. */
export interface Pacing {
  readonly shape: RateShape;
  readonly arrival: 'constant' | 'poisson';
  readonly unit: 'operations' | 'events';
  /** Missed arrivals are kept for so many seconds; Infinity: for ever. */
  readonly backlogSeconds: number;
  /** Memory of the rate if it is decided during the run; null if `shape` fixes it beforehand. */
  readonly steering: SharedArrayBuffer | null;
}

/** Makes the schedule of a pacing; each thread has its own. */
function timetableOf({ shape, steering }: Pacing): Timetable {
  return steering === null ? new Schedule(shape) : new SteeredSchedule(shape.end, steering);
}

/**
 * One lane's share of the schedule: every n-th arrival of n lanes; where arrivals are Poisson's, a process of its own with
 * the n-th part of the rate. Knows no clock: all times are seconds since the start of the traffic.
 */
export class Pacer {
  readonly schedule: Timetable;
  private readonly pacing: Pacing;
  private readonly lanes: number;
  private readonly stream: Stream;
  /** The position of the next arrival in the integral of the total rate. */
  private position: number;
  /** Operations sent; with the events sent they give the events per operation, for arrivals that are dropped. */
  private sentOperations = 0;
  private sentEvents = 0;
  private gaps = 0;

  constructor(pacing: Pacing, lane: number, lanes: number, stream: Stream) {
    this.pacing = pacing;
    this.schedule = timetableOf(pacing);
    this.lanes = lanes;
    this.stream = stream;
    this.position = pacing.arrival === 'poisson' ? this.gap(1) : lane;
  }

  /** The position, from which another pacer can continue. */
  get state(): { readonly position: number; readonly gaps: number } {
    return { position: this.position, gaps: this.gaps };
  }

  /** Continues from the position of another pacer of the same lane. */
  resume({ position, gaps }: { readonly position: number; readonly gaps: number }): void {
    while (this.gaps < gaps) this.gap(1);
    this.position = position;
  }

  /** True while operations are due as soon as they can be sent. */
  get isUnlimited(): boolean {
    return this.schedule.isUnlimited;
  }

  /** Returns when the next operation is due; Infinity if there is none. */
  due(nowSeconds: number): number {
    const { end } = this.schedule;
    const due = this.isUnlimited ? nowSeconds : this.schedule.timeOf(this.position);
    return due >= end && nowSeconds >= end ? Number.POSITIVE_INFINITY : due;
  }

  /** Records that the due operation was sent. The next one is due when the time for its `events` has passed. */
  take(events: number): void {
    this.sentOperations++;
    this.sentEvents += events;
    if (this.isUnlimited) return;
    this.position += this.gap(this.pacing.unit === 'events' ? Math.max(1, events) : 1);
  }

  /** Drops arrivals that have been due for longer than the backlog allows. Returns how many. */
  giveUp(nowSeconds: number): number {
    const { backlogSeconds, unit } = this.pacing;
    if (nowSeconds <= backlogSeconds || this.isUnlimited) return 0;
    const kept = this.schedule.arrivals(nowSeconds - backlogSeconds);
    const size = unit === 'events' && this.sentOperations > 0 ? this.sentEvents / this.sentOperations : 1;
    let count = 0;
    while (this.position < kept) {
      this.position += this.gap(Math.max(1, size));
      count++;
    }
    return count;
  }

  private gap(size: number): number {
    this.gaps++;
    const chance = this.pacing.arrival === 'poisson' ? -Math.log(1 - this.stream.fraction()) : 1;
    return this.lanes * size * chance;
  }
}
