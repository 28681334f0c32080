import type { ReplicationReading } from '../lag/probe.js';
import type { HistogramTotals } from '../traffic/counters.js';
import type { Usage } from '../traffic/verdict.js';

/** How far the load and its targets are at one moment. */
export interface Look {
  /** On the clock of the heartbeats. */
  readonly ms: number;
  /** Since the start. */
  readonly operations: number;
  readonly replication: ReplicationReading;
}

/** All that is known of them; counts are those since the start. */
export interface Stand extends Look {
  /** Rows changed by committed operations. */
  readonly rows: number;
  /** Arrivals of the schedule that were given up. */
  readonly dropped: number;
  readonly reconnects: number;
  /** How often the load has been paused so far, and why it is just now; null while it is not. */
  readonly pauses: number;
  readonly pausedBecause: string | null;
  readonly response: HistogramTotals;
  readonly usage: Usage;
  /** Per target, its lags with those of unseen heartbeats as lower bounds. */
  readonly lags: readonly HistogramTotals[];
}

/** What a benchmark works with: a load that it steers, and what is seen of it. */
export interface Load {
  readonly connections: number;
  readonly workers: number;
  /** From now on so many operations per second; Infinity: as fast as it goes, 0: none. */
  steer(rate: number): void;
  look(): Look;
  read(): Stand;
  /** @throws Interrupted where the benchmark is to end before. */
  wait(ms: number): Promise<void>;
  /** What it is at, and how many seconds it will still take about. */
  tell(phase: string, secondsLeft: number): void;
  say(text: string): void;
  /** CPU seconds used by a process on this machine; null if there is no such process, or it belongs to another user. */
  cpuSeconds(target: string, process: 'sender' | 'applier'): number | null;
}

/** A benchmark was ended before it was through. */
export class Interrupted extends Error {}
