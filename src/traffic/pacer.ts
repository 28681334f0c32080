import type { Stream } from '../random/stream.js';
import { type RateShape, Schedule, type Timetable } from './schedule.js';
import { SteeredSchedule } from './steering.js';

/** How arrivals are spread and what becomes of those that are missed. Plain data, posted to every worker. */
export interface Pacing {
  readonly shape: RateShape;
  readonly arrival: 'constant' | 'poisson';
  readonly unit: 'operations' | 'events';
  /** A backlog of arrivals is kept for so many seconds; Infinity: all of it. */
  readonly backlogSeconds: number;
  /** Where the rate is decided while the traffic is on; null where `shape` says it beforehand. */
  readonly steering: SharedArrayBuffer | null;
}

/** The schedule of a pacing, as each thread makes its own. */
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
  /** Where the next arrival stands in the integral of the whole rate. */
  private position: number;
  /** Of what was sent, for arrivals that are given up: how many events an operation has. */
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

  /** Where it stands, for another one to go on from there. */
  get state(): { readonly position: number; readonly gaps: number } {
    return { position: this.position, gaps: this.gaps };
  }

  /** Goes on where another pacer of the same lane stood. */
  resume({ position, gaps }: { readonly position: number; readonly gaps: number }): void {
    while (this.gaps < gaps) this.gap(1);
    this.position = position;
  }

  /** True while operations are due as soon as they can be sent. */
  get isUnlimited(): boolean {
    return this.schedule.isUnlimited;
  }

  /** When the next operation is due; Infinity where none is any more. */
  due(nowSeconds: number): number {
    const { end } = this.schedule;
    const due = this.isUnlimited ? nowSeconds : this.schedule.timeOf(this.position);
    return due >= end && nowSeconds >= end ? Number.POSITIVE_INFINITY : due;
  }

  /** The operation that was due is sent; the next one is due when its `events` have had their time. */
  take(events: number): void {
    this.sentOperations++;
    this.sentEvents += events;
    if (this.isUnlimited) return;
    this.position += this.gap(this.pacing.unit === 'events' ? Math.max(1, events) : 1);
  }

  /** Gives up arrivals that were due longer ago than the backlog reaches; returns how many. */
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
