import { performance } from 'node:perf_hooks';
import { OPERATION_KINDS } from '../plan/plan.js';
import type { CounterTotals } from '../traffic/counters.js';
import { BUCKETS, percentiles } from '../traffic/histogram.js';
import { ms, number, seconds } from './text.js';

/** Figures at one moment, for people and for scripts. */
export interface Reading {
  readonly line: string;
  readonly figures: object;
}

/** Where progress comes from: each reading tells of the time since the one before. */
export interface Meter {
  read(): Reading;
}

/** Traffic: `total` operations, −1 where there is no known end. */
export class TrafficMeter implements Meter {
  private readonly totals: CounterTotals;
  private readonly total: number;
  private readonly beganMs = performance.now();
  private before = { ms: this.beganMs, operations: 0, events: 0, counts: new Float64Array(BUCKETS) as Float64Array };

  constructor(totals: CounterTotals, total: number) {
    this.totals = totals;
    this.total = total;
  }

  read(): Reading {
    const nowMs = performance.now();
    const now = read(this.totals);
    const { before } = this;
    const elapsed = (nowMs - before.ms) / 1000;
    const recent = now.counts.map((count, bucket) => count - before.counts[bucket]!);
    const perSecond = (after: number, then: number) => Math.round((after - then) / elapsed);
    const figures = {
      operationsPerSecond: perSecond(now.operations, before.operations),
      eventsPerSecond: perSecond(now.events, before.events),
      operations: now.operations,
      total: this.total,
      errors: now.errors,
      p99Seconds: percentiles(recent, now.maxMs)?.p99 ?? 0,
      elapsedSeconds: (nowMs - this.beganMs) / 1000,
    };
    this.before = { ms: nowMs, ...now };
    return { line: progressLine(figures), figures };
  }
}

/** A load of `total` rows. */
export class LoadMeter implements Meter {
  private readonly totals: CounterTotals;
  private readonly total: number;
  private readonly beganMs = performance.now();
  private before = { ms: this.beganMs, rows: 0 };

  constructor(totals: CounterTotals, total: number) {
    this.totals = totals;
    this.total = total;
  }

  read(): Reading {
    const nowMs = performance.now();
    const rows = this.totals.total('rows');
    const figures = {
      rowsPerSecond: Math.round(((rows - this.before.rows) * 1000) / (nowMs - this.before.ms)),
      rows,
      total: this.total,
      errors: this.totals.total('rejected'),
      elapsedSeconds: (nowMs - this.beganMs) / 1000,
    };
    this.before = { ms: nowMs, rows };
    return { line: loadLine(figures), figures };
  }
}

/** Rows that were loaded before an interruption count as well. */
export function loadLine(figures: {
  readonly rowsPerSecond: number;
  readonly rows: number;
  readonly total: number;
  readonly errors: number;
  readonly elapsedSeconds: number;
}): string {
  const { rowsPerSecond, rows, total, errors, elapsedSeconds } = figures;
  const parts = [
    `${number(rowsPerSecond)} rows/s`,
    `${Math.floor((rows / total) * 100)} %`,
    `${number(rows)} rows`,
    `refused ${number(errors)}`,
    seconds(elapsedSeconds),
  ];
  if (rowsPerSecond > 0) parts.push(`${seconds(Math.max(0, total - rows) / rowsPerSecond)} left`);
  return parts.join(' · ');
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
