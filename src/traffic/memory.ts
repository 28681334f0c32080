import { choicesOf, shareOf } from '../lane/choice/shares.js';
import type { TrafficOptions } from './coordinator.js';

/* Of each worker so many seconds are remembered in detail; then every second one is forgotten, so that what is old stays rough. */
const MOST_KEPT = 60;
const MOST_BYTES = 32 << 20;

/** What the workers of a run had done, once a second: the counts to which their lanes can be taken back. */
export class Memory {
  readonly isUsable: boolean;
  private readonly kept: Float64Array<ArrayBuffer>[][];
  /** How many are forgotten the next time, by worker. */
  private readonly steps: number[];
  private readonly progressOf: (counters: Float64Array<ArrayBuffer>) => number;

  /** `progressOf`: a number that grows while a worker does anything. */
  constructor(workers: number, isUsable: boolean, progressOf: (counters: Float64Array<ArrayBuffer>) => number) {
    this.isUsable = isUsable;
    this.progressOf = progressOf;
    this.kept = Array.from({ length: workers }, () => []);
    this.steps = Array.from({ length: workers }, () => 1);
  }

  workers(): Iterable<number> {
    return this.kept.keys();
  }

  add(worker: number, counters: Float64Array<ArrayBuffer>): void {
    const kept = this.kept[worker]!;
    // During an outage the counts stay the same: a copy of them would only push out older ones.
    if (kept.length > 0 && this.progressOf(kept.at(-1)!) === this.progressOf(counters)) return;
    kept.push(counters);
    this.steps[worker] = 1;
    const most = Math.max(4, Math.min(MOST_KEPT, Math.floor(MOST_BYTES / counters.byteLength)));
    if (kept.length > most) kept.splice(0, kept.length, ...kept.filter((_, index) => (kept.length - index) % 2 === 1));
  }

  /** Returns the latest counts; null: the worker has done nothing that is remembered. */
  newest(worker: number): Float64Array<ArrayBuffer> | null {
    return this.kept[worker]!.at(-1) ?? null;
  }

  /** Forgets the latest counts that are not old enough. Returns the latest that are left, like `newest`. */
  newestOf(
    worker: number,
    isOldEnough: (counters: Float64Array<ArrayBuffer>) => boolean,
  ): Float64Array<ArrayBuffer> | null {
    const kept = this.kept[worker]!;
    kept.length = kept.findLastIndex(isOldEnough) + 1;
    return this.newest(worker);
  }

  /** Forgets the latest counts, which were too new, twice as many each time. Returns those before. */
  older(worker: number): Float64Array<ArrayBuffer> | null {
    const kept = this.kept[worker]!;
    const step = this.steps[worker]!;
    this.steps[worker] = step * 2;
    kept.length = Math.max(0, kept.length - step);
    return this.newest(worker);
  }
}

/**
 * Returns true if the database tells of every transaction whether it is there: by keys that are known beforehand. What only a receipt or
 * a key of the server could tell is lost together with the commit.
 */
export function canTakeBack({ plan, claims, lanes, keeping, historyFile }: TrafficOptions): boolean {
  return (
    keeping === null &&
    // Where a lane inserts nothing, no row shows how far it came.
    lanes.every((lane) => choicesOf(shareOf(plan, claims, lane)).some(({ operation }) => operation === 'insert')) &&
    historyFile === null &&
    plan.rowSelection === 'owned' &&
    plan.lacksReceipts !== true &&
    plan.relations.every(
      ({ targeted, key, returned, partitionedBy }) =>
        !targeted || (key.length > 0 && returned.length === 0 && partitionedBy.length === 0),
    )
  );
}
