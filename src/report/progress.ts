import { OPERATION_KINDS } from '../plan/plan.js';
import type { CounterTotals } from '../traffic/counters.js';
import { BUCKETS, percentiles } from '../traffic/histogram.js';
import { ms, number, seconds } from './text.js';

/** Where progress goes; standard error in a run. */
export interface ProgressOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const LIVE_INTERVAL_MS = 500;
const LINE_INTERVAL_MS = 10_000;
const NARROWEST = 20;

/**
 * Progress while traffic runs: one line that is rewritten on a terminal, a plain line every 10 s elsewhere. Messages
 * in between push the live line down, never into each other.
 */
export class Progress {
  private readonly output: ProgressOutput;
  private readonly json: boolean;
  private readonly quiet: boolean;
  private readonly live: boolean;
  private timer: NodeJS.Timeout | null = null;
  private shown = false;

  constructor(output: ProgressOutput, options: { readonly json: boolean; readonly quiet: boolean }) {
    this.output = output;
    this.json = options.json;
    this.quiet = options.quiet;
    this.live = output.isTTY === true && !options.json;
  }

  /** A line of its own: what happens, warnings. */
  message(level: 'info' | 'warn' | 'error', text: string): void {
    if (this.quiet && level === 'info') return;
    this.clear();
    if (this.json) this.output.write(`${JSON.stringify({ time: new Date().toISOString(), level, message: text })}\n`);
    else this.output.write(`${level === 'info' ? '' : `${level === 'warn' ? 'warning' : 'error'}: `}${text}\n`);
  }

  /** Shows the run's figures until `stop`. `total` is −1 where the run has no known end. */
  start(totals: CounterTotals, total: number): void {
    if (this.quiet) return;
    const began = performance.now();
    let before = { ms: began, operations: 0, events: 0, counts: new Float64Array(BUCKETS) as Float64Array };
    const show = () => {
      const nowMs = performance.now();
      const figures = read(totals);
      const elapsed = (nowMs - before.ms) / 1000;
      const recent = figures.counts.map((count, bucket) => count - before.counts[bucket]!);
      const p99 = percentiles(recent, figures.maxMs)?.p99 ?? 0;
      const perSecond = (now: number, then: number) => Math.round((now - then) / elapsed);
      this.figures({
        operationsPerSecond: perSecond(figures.operations, before.operations),
        eventsPerSecond: perSecond(figures.events, before.events),
        operations: figures.operations,
        total,
        errors: figures.errors,
        p99Seconds: p99,
        elapsedSeconds: (nowMs - began) / 1000,
      });
      before = { ms: nowMs, ...figures };
    };
    this.timer = setInterval(show, this.live ? LIVE_INTERVAL_MS : LINE_INTERVAL_MS);
    this.timer.unref();
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.clear();
  }

  private figures(figures: Figures): void {
    if (this.json) {
      this.output.write(
        `${JSON.stringify({ time: new Date().toISOString(), level: 'info', message: 'progress', ...figures })}\n`,
      );
      return;
    }
    const line = progressLine(figures);
    if (!this.live) {
      this.output.write(`${line}\n`);
      return;
    }
    const columns = this.output.columns ?? 80;
    // A terminal of no columns shows nothing; a cut line never wraps, so it can be rewritten in place.
    this.output.write(`\r\u001b[2K${columns >= NARROWEST ? line.slice(0, columns - 1) : ''}`);
    this.shown = true;
  }

  private clear(): void {
    if (this.shown) this.output.write('\r\u001b[2K');
    this.shown = false;
  }
}

interface Figures {
  readonly operationsPerSecond: number;
  readonly eventsPerSecond: number;
  readonly operations: number;
  readonly total: number;
  readonly errors: number;
  readonly p99Seconds: number;
  readonly elapsedSeconds: number;
}

/** What matters first, since a narrow terminal cuts the end. */
export function progressLine(figures: Figures): string {
  const { operations, total, elapsedSeconds } = figures;
  const remaining = total > 0 && operations > 0 ? (elapsedSeconds / operations) * (total - operations) : null;
  const parts = [
    `${number(figures.operationsPerSecond)} op/s`,
    `${number(figures.eventsPerSecond)} ev/s`,
    `errors ${number(figures.errors)}`,
    `p99 ${ms(figures.p99Seconds)}`,
    total > 0 ? `${Math.floor((operations / total) * 100)} %` : `${number(operations)} done`,
    seconds(elapsedSeconds),
  ];
  if (remaining !== null) parts.push(`${seconds(Math.max(0, remaining))} left`);
  return parts.join(' · ');
}

function read(totals: CounterTotals): {
  operations: number;
  events: number;
  errors: number;
  counts: Float64Array;
  maxMs: number;
} {
  const counts = new Float64Array(BUCKETS);
  let maxMs = 0;
  for (const kind of OPERATION_KINDS) {
    for (const latency of ['response', 'warmUpResponse'] as const) {
      const histogram = totals.histogram(latency, kind);
      for (let bucket = 0; bucket < BUCKETS; bucket++) counts[bucket]! += histogram.counts[bucket]!;
      maxMs = Math.max(maxMs, histogram.maxMs);
    }
  }
  const rejected = totals.total('rejected');
  const failed = totals.total('failed');
  return {
    operations: totals.operations(),
    events: totals.total('rows'),
    errors: rejected + failed,
    counts,
    maxMs,
  };
}
