import { performance } from 'node:perf_hooks';
import type { CounterTotals } from '../traffic/counters.js';
import { ms, number, seconds } from './figures.js';
import type { Moment } from './moment.js';
import { pointBetween } from './series.js';
import type { Part, Reading } from './status-line.js';

/** Where progress comes from: each reading tells of the time since the one before. */
export interface Meter {
  read(): Reading;
}

/** Traffic under way, as it is metered. */
export interface Metered {
  readonly moment: () => Moment;
  /** Operations until the end; −1 where their number is not what ends it. */
  readonly total: number;
  /** After how many seconds of traffic it ends; Infinity where time is not what ends it. */
  readonly end: () => number;
  /** Seconds since all lanes were connected; negative before. */
  readonly elapsedSeconds: () => number;
  /** Something other than the ordinary course: a warm-up, the last operations. */
  readonly phase: () => string | null;
}

interface Figures {
  readonly phase: string | null;
  readonly operationsPerSecond: number;
  readonly eventsPerSecond: number;
  readonly operations: number;
  readonly total: number;
  readonly errors: number;
  /** Null while nothing is answered. */
  readonly p99Seconds: number | null;
  /** Of the target that lags most; null where replication is not measured. */
  readonly lagSeconds: number | null;
  /** Its name. */
  readonly lagTarget: string | null;
  /** Log that the server keeps for the slot that holds it up most; null where there is none. */
  readonly keptBytes: number | null;
  /** Log that the target which is furthest behind still has to take; null where it is not known. */
  readonly bytesBehind: number | null;
  readonly elapsedSeconds: number;
  /** Null where no end is known. */
  readonly remainingSeconds: number | null;
}

export class TrafficMeter implements Meter {
  private readonly metered: Metered;
  private before: Moment;

  constructor(metered: Metered) {
    this.metered = metered;
    this.before = metered.moment();
  }

  read(): Reading {
    const { total, phase } = this.metered;
    const now = this.metered.moment();
    const point = pointBetween(this.before, now, false);
    this.before = now;
    const behind = Object.values(point.lag).flatMap(({ bytes }) => bytes ?? []);
    const kept = Object.values(point.slots);
    const lags = Object.entries(point.lag).map(([target, { p99, oldest_unseen: oldest }]) => ({
      target,
      seconds: Math.max(oldest, p99 ?? 0),
    }));
    const worst = lags.reduce<(typeof lags)[number] | null>(
      (most, each) => (each.seconds > (most?.seconds ?? -1) ? each : most),
      null,
    );
    const figures: Figures = {
      phase: phase(),
      operationsPerSecond: Math.round(point.operations),
      eventsPerSecond: Math.round(point.inserted + point.updated + point.deleted),
      operations: now.counts.operations,
      total,
      errors: now.counts.errors,
      p99Seconds: point.response_p99,
      lagSeconds: worst?.seconds ?? null,
      lagTarget: worst?.target ?? null,
      keptBytes: kept.length === 0 ? null : Math.max(...kept),
      bytesBehind: behind.length === 0 ? null : Math.max(...behind),
      elapsedSeconds: now.seconds,
      remainingSeconds: remainingSeconds(this.metered, now),
    };
    return { ...trafficParts(figures), figures };
  }
}

/** By the clock or by the count, whichever ends the run; null where neither does. */
export function remainingSeconds(
  { total, end, elapsedSeconds }: Pick<Metered, 'total' | 'end' | 'elapsedSeconds'>,
  { seconds: passed, counts: { operations } }: Moment,
): number | null {
  const endSeconds = end();
  const byTime = Number.isFinite(endSeconds)
    ? Math.max(0, endSeconds - Math.max(0, elapsedSeconds()))
    : Number.POSITIVE_INFINITY;
  const byCount =
    total > 0 && operations > 0 ? (passed / operations) * Math.max(0, total - operations) : Number.POSITIVE_INFINITY;
  const remaining = Math.min(byTime, byCount);
  return Number.isFinite(remaining) ? remaining : null;
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
    { text: `rejected ${number(errors)}`, rank: errors > 0 ? 0 : 3 },
    { text: seconds(elapsedSeconds), rank: 5 },
  ];
  if (rowsPerSecond > 0) parts.push({ text: `${seconds(Math.max(0, total - rows) / rowsPerSecond)} left`, rank: 2 });
  return { parts, share: rows / total };
}

/* A replica is always some kilobytes behind. */
const WORTH_SAYING_BYTES = 1e6;
/* And log is kept from checkpoint to checkpoint. */
const MUCH_KEPT_BYTES = 100e6;

export function trafficParts(figures: Figures): Omit<Reading, 'figures'> {
  const { phase, operations, total, errors, bytesBehind, keptBytes, elapsedSeconds, remainingSeconds } = figures;
  const { lagSeconds, lagTarget } = figures;
  const share = remainingSeconds === null ? null : elapsedSeconds / (elapsedSeconds + remainingSeconds);
  const parts: Part[] = [
    ...(phase === null ? [] : [{ text: phase, rank: 3 }]),
    { text: `${number(figures.operationsPerSecond)} op/s`, rank: 0 },
    { text: `${number(figures.eventsPerSecond)} ev/s`, rank: 5 },
    { text: `p99 ${figures.p99Seconds === null ? '–' : ms(figures.p99Seconds)}`, rank: 2 },
    { text: `errors ${number(errors)}`, rank: errors > 0 ? 0 : 4 },
    ...(lagSeconds === null
      ? []
      : [{ text: `lag of ${lagTarget} ${lagSeconds < 10 ? ms(lagSeconds) : seconds(lagSeconds)}`, rank: 1 }]),
    ...(bytesBehind !== null && bytesBehind >= WORTH_SAYING_BYTES
      ? [{ text: `${number(Math.round(bytesBehind / 1e6))} MB behind`, rank: 3 }]
      : []),
    ...(keptBytes !== null && keptBytes >= MUCH_KEPT_BYTES
      ? [{ text: `slots keep ${number(Math.round(keptBytes / 1e6))} MB of WAL`, rank: 4 }]
      : []),
    { text: total > 0 ? `${Math.floor((operations / total) * 100)} %` : `${number(operations)} done`, rank: 8 },
    { text: seconds(elapsedSeconds), rank: 7 },
    ...(remainingSeconds === null ? [] : [{ text: `${seconds(remainingSeconds)} left`, rank: 6 }]),
  ];
  return { parts, share };
}
