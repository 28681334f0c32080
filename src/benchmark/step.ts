import type { Stage } from '../lag/ladder.js';
import type { TargetReading } from '../lag/target.js';
import type { HistogramTotals } from '../traffic/counters.js';
import { BUCKETS, type Percentiles, percentiles, upperEdgeSeconds } from '../traffic/histogram.js';
import { utilisationBetween, verdictOf } from '../traffic/verdict.js';
import type { Load, Look, Stand } from './load.js';
import { type Slope, slopeOf } from './slope.js';

/** How a target did at one rate. */
export interface TargetStep {
  /** Lags of the heartbeats shown meanwhile, with those still unseen as lower bounds; null where there were none. */
  readonly lag_seconds: Percentiles | null;
  /** Seconds of lag that came to it per second; about 0 where it keeps up. */
  readonly backlog_slope: number;
  readonly backlog_slope_error: number;
  /** Age of the oldest heartbeat that it had not shown at the end. */
  readonly oldest_unseen_seconds: number;
  /** By the position that was furthest behind at the end; null where none is known. */
  readonly bytes_behind: number | null;
  /** Seconds that the log waited at each stage, on average. */
  readonly stage_seconds: Readonly<Partial<Record<Stage, number>>>;
  /** Shares of a core that its processes used; null where they are not on this machine. */
  readonly sender_cpu: number | null;
  readonly applier_cpu: number | null;
  readonly reason: string | null;
}

/** A time at one rate. */
export interface Step {
  /** Operations per second that were asked for; null: as fast as it goes. */
  readonly rate: number | null;
  readonly seconds: number;
  readonly operations_per_second: number;
  readonly rows_per_second: number;
  /** Null where the source does not tell of positions in its log. */
  readonly wal_megabytes_per_second: number | null;
  readonly wal_bytes_per_row: number | null;
  readonly response_seconds: Percentiles | null;
  /** Why this says nothing about replication; null where it does. */
  readonly void: string | null;
  readonly targets: Readonly<Record<string, TargetStep>>;
}

const SAMPLE_MS = 250;
/* The first seconds at a rate belong to the rate before. */
const WARM_UP_SHARE = 0.2;
const LONGEST_WARM_UP_MS = 10_000;
/* What was asked for counts as reached from here on. */
const REACHED = 0.95;

/** How long a rate is on before it is measured. */
export function warmUpOf(holdMs: number): number {
  return Math.min(LONGEST_WARM_UP_MS, holdMs * WARM_UP_SHARE);
}

/** Loads the source at a rate, and says how the targets did after the warm-up. `rate` null: as fast as it goes. */
export async function measure(load: Load, rate: number | null, warmUpMs: number, holdMs: number): Promise<Step> {
  load.steer(rate ?? Number.POSITIVE_INFINITY);
  await load.wait(warmUpMs);
  const before = load.read();
  const cpuBefore = cpuOf(load, before);
  const samples: Stand['replication']['targets'][] = [];
  const moments: number[] = [];
  for (let look: Look = before; look.ms - before.ms < holdMs; look = load.look()) {
    samples.push(look.replication.targets);
    moments.push((look.ms - before.ms) / 1000);
    await load.wait(Math.min(SAMPLE_MS, holdMs));
  }
  const after = load.read();
  const cpuAfter = cpuOf(load, after);
  const seconds = (after.ms - before.ms) / 1000;
  const targets = after.replication.targets.map((target, index): [string, TargetStep] => {
    const points = samples.map((targets, at) => ({
      seconds: moments[at]!,
      value: targets[index]!.oldestUnseenMs / 1000,
    }));
    const cpu = (process: 'sender' | 'applier') => {
      const [from, to] = [cpuBefore[index]![process], cpuAfter[index]![process]];
      return from === null || to === null || to < from ? null : short((to - from) / seconds);
    };
    return [
      target.target,
      targetStep(before.replication.targets[index]!, target, {
        lag: increase(before.replication.targets[index]!.lag, after.lags[index]!),
        slope: slopeOf(points),
        cpu: { sender: cpu('sender'), applier: cpu('applier') },
      }),
    ];
  });
  return { ...sourceStep(load, before, after, rate), targets: Object.fromEntries(targets) };
}

function targetStep(
  before: TargetReading,
  after: TargetReading,
  found: {
    readonly lag: HistogramTotals;
    readonly slope: Slope;
    readonly cpu: Readonly<Record<'sender' | 'applier', number | null>>;
  },
): TargetStep {
  const looks = after.stages.looks - before.stages.looks;
  const stages = Object.entries(after.stages.seconds) as [Stage, number][];
  return {
    lag_seconds: percentiles(found.lag.counts, found.lag.maxMs),
    backlog_slope: short(found.slope.perSecond),
    backlog_slope_error: short(Math.min(found.slope.error, 1e9)),
    oldest_unseen_seconds: short(after.oldestUnseenMs / 1000),
    bytes_behind: after.behind.length === 0 ? null : Math.max(...after.behind.map(({ bytes }) => bytes)),
    stage_seconds:
      looks === 0
        ? {}
        : Object.fromEntries(
            stages.map(([stage, seconds]) => [stage, short((seconds - (before.stages.seconds[stage] ?? 0)) / looks)]),
          ),
    sender_cpu: found.cpu.sender,
    applier_cpu: found.cpu.applier,
    reason: after.reason,
  };
}

/** What the source did, and whether it did what was asked of it. */
function sourceStep(load: Load, before: Stand, after: Stand, rate: number | null): Omit<Step, 'targets'> {
  const seconds = (after.ms - before.ms) / 1000;
  const operations = (after.operations - before.operations) / seconds;
  const rows = (after.rows - before.rows) / seconds;
  const [from, to] = [before.replication.source, after.replication.source];
  const walBytes =
    from === null || to === null || to.atMs <= from.atMs
      ? null
      : Number(to.lsn - from.lsn) / ((to.atMs - from.atMs) / 1000);
  const response = increase(before.response, after.response);
  return {
    rate: rate === null ? null : short(rate),
    seconds: short(seconds),
    operations_per_second: short(operations),
    rows_per_second: short(rows),
    wal_megabytes_per_second: walBytes === null ? null : short(walBytes / 1e6),
    wal_bytes_per_row: walBytes === null || rows === 0 ? null : Math.round(walBytes / rows),
    response_seconds: percentiles(response.counts, response.maxMs),
    void: disturbedBy(before, after) ?? (rate === null ? null : missedBy(load, before, after, operations, rate)),
  };
}

/** What has held the load up that was neither the source nor a target. */
function disturbedBy(before: Stand, after: Stand): string | null {
  const paused = before.pausedBecause ?? after.pausedBecause;
  if (paused !== null || after.pauses > before.pauses)
    return `the load was paused during the measurement${paused === null ? '' : `: ${paused}`}`;
  return after.reconnects > before.reconnects ? 'connections to the source were lost during the measurement' : null;
}

/** Why a rate was not reached; null where it was. */
function missedBy(load: Load, before: Stand, after: Stand, reached: number, rate: number): string | null {
  if (reached >= rate * REACHED) return null;
  const { limit, advice } = verdictOf(utilisationBetween(before.usage, after.usage), {
    workers: load.workers,
    connections: load.connections,
    elapsedSeconds: (after.ms - before.ms) / 1000,
    missed: after.dropped - before.dropped,
  });
  const who = limit === 'generator-bound' ? 'the generator' : 'the source';
  return `only ${Math.round(reached)} of ${Math.round(rate)} operations/s were reached: ${who} was the limit (${advice})`;
}

function cpuOf(load: Load, { replication }: Stand) {
  return replication.targets.map(({ target }) => ({
    sender: load.cpuSeconds(target, 'sender'),
    applier: load.cpuSeconds(target, 'applier'),
  }));
}

/** What came to a histogram; its highest value is known to the edge of its bucket. */
function increase(before: HistogramTotals, after: HistogramTotals): HistogramTotals {
  const counts = new Float64Array(BUCKETS);
  let highest = -1;
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const count = Math.max(0, after.counts[bucket]! - before.counts[bucket]!);
    counts[bucket] = count;
    if (count > 0) highest = bucket;
  }
  const edgeMs = highest < 0 ? 0 : upperEdgeSeconds(highest) * 1000;
  return { counts, sumMs: after.sumMs - before.sumMs, maxMs: Math.min(after.maxMs, edgeMs) };
}

function short(value: number): number {
  return Number(value.toPrecision(4));
}
