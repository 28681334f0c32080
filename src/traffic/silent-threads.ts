import type { CounterTotals } from './counters.js';

/* A thread that has not counted its time for so long is silent; it normally does so twice a second. */
const SILENT_MS = 10_000;

/** Finds threads that have been too busy to answer. */
export class SilentThreads {
  private readonly totals: CounterTotals;
  private readonly seen: { ms: number; atMs: number; readonly lanes: number }[];

  constructor(totals: CounterTotals, threads: number, lanes: number) {
    this.totals = totals;
    const atMs = performance.now();
    this.seen = Array.from({ length: threads }, (_, worker) => ({
      ms: 0,
      atMs,
      lanes: Math.ceil((lanes - worker) / threads),
    }));
  }

  /** Returns which thread has not answered and for how long, in words; null if all answer. Call it periodically. */
  find(): string | null {
    const nowMs = performance.now();
    let found: string | null = null;
    for (const [worker, seen] of this.seen.entries()) {
      const ms = this.totals.scalarOf(worker, 'threadMs');
      // A thread whose lanes have ended stays silent.
      const isOver = this.totals.scalarOf(worker, 'lanesEnded') >= seen.lanes;
      if (ms !== seen.ms || isOver) {
        seen.ms = ms;
        seen.atMs = nowMs;
      } else if (nowMs - seen.atMs > SILENT_MS)
        found ??= `worker thread ${worker} has not answered for ${Math.round((nowMs - seen.atMs) / 1000)} s`;
    }
    return found;
  }
}
