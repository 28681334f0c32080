import { performance } from 'node:perf_hooks';
import type { ReplicationReading } from '../lag/probe.js';
import { OPERATION_KINDS } from '../plan/plan.js';
import type { CounterTotals } from '../traffic/counters.js';
import { BUCKETS, percentiles } from '../traffic/histogram.js';
import type { Part, Reading } from './status-line.js';
import { ms, number, seconds } from './text.js';

/** Where progress comes from: each reading tells of the time since the one before. */
export interface Meter {
  read(): Reading;
}

/** Traffic under way, as it is metered. */
export interface Metered {
  readonly totals: CounterTotals;
  /** Operations until the end; −1 where their number is not what ends it. */
  readonly total: number;
  /** Seconds of traffic until the end; Infinity where time is not what ends it. */
  readonly endSeconds: number;
  /** Seconds since all lanes were connected; negative before. */
  readonly elapsedSeconds: () => number;
  /** Something other than the ordinary course: a warm-up, the last operations. */
  readonly phase: () => string | null;
  readonly replication: () => ReplicationReading | null;
}

interface Figures {
  readonly phase: string | null;
  readonly operationsPerSecond: number;
  readonly eventsPerSecond: number;
  readonly operations: number;
  readonly total: number;
  readonly errors: number;
  readonly p99Seconds: number;
  /** Of the target that lags most; null where replication is not measured. */
  readonly lagSeconds: number | null;
  readonly elapsedSeconds: number;
  /** Null where no end is known. */
  readonly remainingSeconds: number | null;
}

export class TrafficMeter implements Meter {
  private readonly metered: Metered;
  private readonly beganMs = performance.now();
  private before = { ms: this.beganMs, operations: 0, events: 0, counts: new Float64Array(BUCKETS) as Float64Array };
  private lagBefore = new Map<string, Float64Array>();

  constructor(metered: Metered) {
    this.metered = metered;
  }

  read(): Reading {
    const { total, endSeconds, phase } = this.metered;
    const nowMs = performance.now();
    const now = read(this.metered.totals);
    const { before } = this;
    const elapsed = (nowMs - before.ms) / 1000;
    const recent = now.counts.map((count, bucket) => count - before.counts[bucket]!);
    const perSecond = (after: number, then: number) => Math.round((after - then) / elapsed);
    const elapsedSeconds = (nowMs - this.beganMs) / 1000;
    const byTime = Number.isFinite(endSeconds)
      ? Math.max(0, endSeconds - Math.max(0, this.metered.elapsedSeconds()))
      : Number.POSITIVE_INFINITY;
    const byCount =
      total > 0 && now.operations > 0
        ? (elapsedSeconds / now.operations) * Math.max(0, total - now.operations)
        : Number.POSITIVE_INFINITY;
    const remaining = Math.min(byTime, byCount);
    const figures: Figures = {
      phase: phase(),
      operationsPerSecond: perSecond(now.operations, before.operations),
      eventsPerSecond: perSecond(now.events, before.events),
      operations: now.operations,
      total,
      errors: now.errors,
      p99Seconds: percentiles(recent, now.maxMs)?.p99 ?? 0,
      lagSeconds: this.lag(),
      elapsedSeconds,
      remainingSeconds: Number.isFinite(remaining) ? remaining : null,
    };
    this.before = { ms: nowMs, ...now };
    return { ...trafficParts(figures), figures };
  }

  /* Of what was shown since the last reading, or has not been shown yet. */
  private lag(): number | null {
    const reading = this.metered.replication();
    if (reading === null) return null;
    const lags = reading.targets.map(({ target, lag, oldestUnseenMs }) => {
      const before = this.lagBefore.get(target);
      this.lagBefore.set(target, lag.counts);
      const recent = before === undefined ? lag.counts : lag.counts.map((count, bucket) => count - before[bucket]!);
      return Math.max(oldestUnseenMs / 1000, percentiles(recent, lag.maxMs)?.p99 ?? 0);
    });
    return Math.max(0, ...lags);
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
    return { ...loadParts(figures), figures };
  }
}

/** Rows that were loaded before an interruption count as well. */
export function loadParts(figures: {
  readonly rowsPerSecond: number;
  readonly rows: number;
  readonly total: number;
  readonly errors: number;
  readonly elapsedSeconds: number;
}): Omit<Reading, 'figures'> {
  const { rowsPerSecond, rows, total, errors, elapsedSeconds } = figures;
  const parts: Part[] = [
    { text: `${number(rowsPerSecond)} rows/s`, rank: 0 },
    { text: `${Math.floor((rows / total) * 100)} %`, rank: 1 },
    { text: `${number(rows)} rows`, rank: 4 },
    { text: `refused ${number(errors)}`, rank: errors > 0 ? 0 : 3 },
    { text: seconds(elapsedSeconds), rank: 5 },
  ];
  if (rowsPerSecond > 0) parts.push({ text: `${seconds(Math.max(0, total - rows) / rowsPerSecond)} left`, rank: 2 });
  return { parts, share: rows / total };
}

export function trafficParts(figures: Figures): Omit<Reading, 'figures'> {
  const { phase, operations, total, errors, lagSeconds, elapsedSeconds, remainingSeconds } = figures;
  const share = remainingSeconds === null ? null : elapsedSeconds / (elapsedSeconds + remainingSeconds);
  const parts: Part[] = [
    ...(phase === null ? [] : [{ text: phase, rank: 3 }]),
    { text: `${number(figures.operationsPerSecond)} op/s`, rank: 0 },
    { text: `${number(figures.eventsPerSecond)} ev/s`, rank: 5 },
    { text: `p99 ${ms(figures.p99Seconds)}`, rank: 2 },
    { text: `errors ${number(errors)}`, rank: errors > 0 ? 0 : 4 },
    ...(lagSeconds === null
      ? []
      : [{ text: `lag ${lagSeconds < 10 ? ms(lagSeconds) : seconds(lagSeconds)}`, rank: 1 }]),
    { text: total > 0 ? `${Math.floor((operations / total) * 100)} %` : `${number(operations)} done`, rank: 8 },
    { text: seconds(elapsedSeconds), rank: 7 },
    ...(remainingSeconds === null ? [] : [{ text: `${seconds(remainingSeconds)} left`, rank: 6 }]),
  ];
  return { parts, share };
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
  return {
    operations: totals.operations(),
    events: totals.total('rows'),
    errors: totals.total('rejected') + totals.total('failed'),
    counts,
    maxMs,
  };
}
