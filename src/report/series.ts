import { BUCKETS, upperEdgeSeconds } from '../traffic/histogram.js';
import { COUNTS, type Count, GAUGES, type Gauge, type Moment } from './moment.js';

/** The buckets that are not empty, in order, each with its count. */
interface Sparse {
  readonly buckets: Uint16Array;
  readonly counts: Float64Array;
}

/** What happened between two moments. */
interface Interval {
  /** In seconds since the start of the run. */
  readonly from: number;
  readonly to: number;
  readonly counts: Readonly<Record<Count, number>>;
  readonly gauges: Readonly<Record<Gauge, number>>;
  readonly response: Sparse;
  readonly service: Sparse;
  readonly slots: Readonly<Record<string, number>>;
  readonly targets: ReadonlyMap<
    string,
    { readonly lag: Sparse; readonly oldestUnseenSeconds: number; readonly bytesBehind: number | null }
  >;
}

/** A point of every curve; null where there was nothing to measure. Rates are per second, times in seconds. */
export interface Point {
  readonly time: number;
  readonly operations: number;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  /** What the schedule asked for; null without one. */
  readonly target: number | null;
  readonly errors: number;
  readonly retries: number;
  /** Arrivals of the schedule that were given up. */
  readonly dropped: number;
  /** Operations that finished later than `late_after`. */
  readonly late: number;
  readonly response_p50: number | null;
  readonly response_p95: number | null;
  readonly response_p99: number | null;
  readonly service_p99: number | null;
  readonly cpu_cores: number;
  readonly memory_bytes: number;
  /** Size of the tables that are written; null while it is not known. */
  readonly table_bytes: number | null;
  readonly event_loop: number;
  readonly lag: Readonly<Record<string, TargetPoint>>;
  /** Log kept for replication slots, in bytes. */
  readonly slots: Readonly<Record<string, number>>;
}

interface TargetPoint {
  readonly p99: number | null;
  readonly oldest_unseen: number;
  readonly bytes: number | null;
}

/** So many intervals are kept, an even number; at one second each, the first half hour is whole. */
const CAPACITY = 2000;
const SHORTEST_SECONDS = 0.5;

/**
 * A run's history. When there is no room for another interval neighbours are joined, two by two: it gets coarser, and nothing
 * is cut off. Histograms are kept as such and added, so that percentiles stay exact.
 */
export class Series {
  private intervals: Interval[] = [];
  private last: Moment;
  private readonly isScheduled: boolean;
  /** Number of moments in an interval. It doubles each time the moments are thinned out. */
  private width = 1;
  private held: Interval | null = null;
  private moments = 0;

  constructor(first: Moment, isScheduled: boolean) {
    this.last = first;
    this.isScheduled = isScheduled;
  }

  /** Takes the next moment, and gives back the point of the time since the last one. */
  add(moment: Moment): Point {
    const interval = between(this.last, moment);
    this.last = moment;
    this.held = this.held === null ? interval : join(this.held, interval);
    if (++this.moments % this.width === 0) {
      this.intervals.push(this.held);
      this.held = null;
      if (this.intervals.length === CAPACITY) this.thin();
    }
    return pointOf(interval, this.isScheduled);
  }

  /** Takes the last moment. It belongs to the time before where it comes right behind it: a rate over so little says nothing. */
  close(moment: Moment): void {
    const before = this.held ?? this.intervals[this.intervals.length - 1];
    if (before === undefined || moment.seconds - this.last.seconds > SHORTEST_SECONDS) {
      this.add(moment);
      return;
    }
    const joined = join(before, between(this.last, moment));
    if (this.held === null) this.intervals[this.intervals.length - 1] = joined;
    else this.held = joined;
    this.last = moment;
  }

  /** The whole history, oldest first. */
  points(): Point[] {
    const all = this.held === null ? this.intervals : [...this.intervals, this.held];
    return all.map((interval) => pointOf(interval, this.isScheduled));
  }

  private thin(): void {
    const thinned: Interval[] = [];
    for (let at = 0; at < CAPACITY; at += 2) thinned.push(join(this.intervals[at]!, this.intervals[at + 1]!));
    this.intervals = thinned;
    this.width *= 2;
  }
}

/** What curves show of the time from one moment to another. */
export function pointBetween(before: Moment, after: Moment, isScheduled: boolean): Point {
  return pointOf(between(before, after), isScheduled);
}

function between(before: Moment, after: Moment): Interval {
  const targetsBefore = new Map(before.targets.map((target) => [target.target, target]));
  return {
    from: before.seconds,
    to: after.seconds,
    counts: record(COUNTS, (count) => after.counts[count] - before.counts[count]),
    gauges: after.gauges,
    response: increase(before.response, after.response),
    service: increase(before.service, after.service),
    slots: after.slots,
    targets: new Map(
      after.targets.map(({ target, lag, oldestUnseenSeconds, bytesBehind }) => [
        target,
        { lag: increase(targetsBefore.get(target)?.lag, lag), oldestUnseenSeconds, bytesBehind },
      ]),
    ),
  };
}

function join(first: Interval, second: Interval): Interval {
  return {
    from: first.from,
    to: second.to,
    counts: record(COUNTS, (count) => first.counts[count] + second.counts[count]),
    gauges: record(GAUGES, (gauge) => Math.max(first.gauges[gauge], second.gauges[gauge])),
    response: sum(first.response, second.response),
    service: sum(first.service, second.service),
    slots: record(Object.keys(second.slots), (slot) => Math.max(first.slots[slot] ?? 0, second.slots[slot]!)),
    targets: new Map(
      [...second.targets].map(([name, target]) => {
        const earlier = first.targets.get(name);
        if (earlier === undefined) return [name, target];
        return [
          name,
          {
            lag: sum(earlier.lag, target.lag),
            oldestUnseenSeconds: Math.max(earlier.oldestUnseenSeconds, target.oldestUnseenSeconds),
            bytesBehind:
              earlier.bytesBehind === null && target.bytesBehind === null
                ? null
                : Math.max(earlier.bytesBehind ?? 0, target.bytesBehind ?? 0),
          },
        ];
      }),
    ),
  };
}

function pointOf(interval: Interval, isScheduled: boolean): Point {
  const { from, to, counts, gauges, response, service, targets, slots } = interval;
  // Two moments can fall together at the end of a run.
  const seconds = Math.max(to - from, 1e-3);
  const rate = (count: Count) => digits(counts[count] / seconds);
  return {
    time: Math.round(to * 100) / 100,
    operations: rate('operations'),
    inserted: rate('inserted'),
    updated: rate('updated'),
    deleted: rate('deleted'),
    target: isScheduled ? rate('arrivals') : null,
    errors: rate('errors'),
    retries: rate('retries'),
    dropped: rate('dropped'),
    late: rate('late'),
    response_p50: quantile(response, 0.5),
    response_p95: quantile(response, 0.95),
    response_p99: quantile(response, 0.99),
    service_p99: quantile(service, 0.99),
    cpu_cores: rate('cpuSeconds'),
    memory_bytes: gauges.rssBytes,
    table_bytes: gauges.tableBytes === 0 ? null : gauges.tableBytes,
    event_loop: digits(gauges.eventLoopSeconds),
    slots,
    lag: Object.fromEntries(
      [...targets].map(([name, { lag, oldestUnseenSeconds, bytesBehind }]) => [
        name,
        { p99: quantile(lag, 0.99), oldest_unseen: digits(oldestUnseenSeconds), bytes: bytesBehind },
      ]),
    ),
  };
}

function record<Key extends string>(keys: readonly Key[], value: (key: Key) => number): Record<Key, number> {
  return Object.fromEntries(keys.map((key) => [key, value(key)])) as Record<Key, number>;
}

function increase(before: Float64Array | undefined, after: Float64Array): Sparse {
  const buckets = new Uint16Array(BUCKETS);
  const counts = new Float64Array(BUCKETS);
  let size = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const count = after[bucket]! - (before?.[bucket] ?? 0);
    if (count <= 0) continue;
    buckets[size] = bucket;
    counts[size++] = count;
  }
  return { buckets: buckets.slice(0, size), counts: counts.slice(0, size) };
}

function sum(first: Sparse, second: Sparse): Sparse {
  const all = new Float64Array(BUCKETS);
  for (const { buckets, counts } of [first, second])
    for (let index = 0; index < buckets.length; index++) all[buckets[index]!]! += counts[index]!;
  return increase(undefined, all);
}

/** The upper edge of the bucket that a share of all observations is reached in, in seconds. */
function quantile({ buckets, counts }: Sparse, share: number): number | null {
  let total = 0;
  for (const count of counts) total += count;
  if (total === 0) return null;
  let seen = 0;
  for (let index = 0; index < buckets.length; index++) {
    seen += counts[index]!;
    if (seen >= share * total) return upperEdgeSeconds(buckets[index]!);
  }
  return null;
}

/** As many digits as a curve can show: a history of days is written to a file. */
function digits(value: number): number {
  return Number(value.toPrecision(5));
}
