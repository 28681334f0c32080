import type { Stream } from '../random/stream.js';
import { type RateShape, Schedule } from './schedule.js';

/** How arrivals are spread and what becomes of those that are missed. Plain data, posted to every worker. */
export interface Pacing {
  readonly shape: RateShape;
  readonly arrival: 'constant' | 'poisson';
  readonly unit: 'operations' | 'events';
  /** A backlog of arrivals is kept for so many seconds; Infinity: all of it. */
  readonly backlogSeconds: number;
}

/**
 * One lane's share of the schedule: every n-th arrival of n lanes; where arrivals are Poisson's, a process of its own with
 * the n-th part of the rate. Knows no clock: all times are seconds since the start of the traffic.
 */
export class Pacer {
  readonly schedule: Schedule;
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
    this.schedule = new Schedule(pacing.shape);
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

  /** When the next operation is due; Infinity where none is any more. */
  due(): number {
    return this.schedule.timeOf(this.position);
  }

  /** The operation that was due is sent; the next one is due when its `events` have had their time. */
  take(events: number): void {
    this.sentOperations++;
    this.sentEvents += events;
    this.position += this.gap(this.pacing.unit === 'events' ? Math.max(1, events) : 1);
  }

  /** Gives up arrivals that were due longer ago than the backlog reaches; returns how many. */
  giveUp(nowSeconds: number): number {
    const { backlogSeconds, unit } = this.pacing;
    if (nowSeconds <= backlogSeconds) return 0;
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
