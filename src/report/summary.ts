import type { LagResult } from '../benchmark/result.js';
import { fingerprint } from '../config/fingerprint.js';
import type { Shard } from '../config/shard.js';
import type { ReplicationOutcome } from '../lag/probe.js';
import { OPERATION_KINDS, type OperationKind, type Plan } from '../plan/plan.js';
import type { CounterTotals, HistogramTotals, Latency } from '../traffic/counters.js';
import { type Percentiles, percentiles, upperEdgeSeconds } from '../traffic/histogram.js';
import type { IndexCounts } from '../traffic/indexes.js';
import {
  type Limit,
  readUsage,
  type Usage,
  type Utilisation,
  utilisationBetween,
  verdictOf,
} from '../traffic/verdict.js';
import type { TrapCounts } from '../traps/runner.js';
import type { CoverageSummary } from './coverage.js';
import type { Outage } from './outages.js';
import type { PhaseVerdict } from './phases.js';
import type { RefusedTable } from './refusals.js';
import { rowCountsOf } from './row-counts.js';
import type { ThresholdResult } from './thresholds.js';
import type { Trends } from './trends.js';

/** What the summary is made from, when a run has ended in whatever way. */
export interface SummarySource {
  readonly version: string;
  readonly fakerVersion: string;
  readonly startedAt: Date;
  readonly elapsedSeconds: number;
  readonly exit: { readonly code: number; readonly reason: string };
  readonly runId: string;
  /** Null where one process carries all lanes. */
  readonly shard: Shard | null;
  /** Rows that the server had acknowledged and lost, by table; they were written again. */
  readonly acknowledgedLost: Readonly<Record<string, number>>;
  readonly plan: Plan;
  readonly schemaFingerprint: string;
  readonly configuration: Readonly<Record<string, string>>;
  readonly serverVersion: string;
  readonly workers: number;
  readonly reproducible: boolean;
  readonly reproducibleBecause: readonly string[];
  readonly rowsAtStart: readonly (number | null)[];
  /** Of relations in which triggers make rows: rows that stood there at the end, null where they could not be counted. */
  readonly rowsAtEnd: ReadonlyMap<number, number | null>;
  /** True where operations in flight were left as they were: nobody can tell how many rows there are. */
  readonly isCutShort: boolean;
  readonly totals: CounterTotals;
  /** SQLSTATE → one message. */
  readonly examples: ReadonlyMap<string, string>;
  readonly outages: readonly Outage[];
  /** Labels of tables that others have dropped. */
  readonly gone: ReadonlySet<string>;
  /** Label of a table → why an operation on it was set aside. */
  readonly quarantined: ReadonlyMap<string, string>;
  readonly cpuSeconds: number;
  /** How time was spent before the traffic began, which the verdict is not about; null: nothing is left out. */
  readonly usageAtStart: Usage | null;
  readonly maxRssBytes: number;
  readonly thresholds: readonly ThresholdResult[];
  readonly coverage: CoverageSummary;
  /** Built and dropped beside the traffic; null where none were to be. */
  readonly indexes: IndexCounts | null;
  /** Null where replication was not measured. */
  readonly replication: ReplicationOutcome | null;
  /** Arrivals that the schedule had until the traffic ended; null without a schedule. */
  readonly schedule: {
    readonly unit: 'operations' | 'events';
    /** Until the last operation was answered, which may be after the last arrival. */
    readonly seconds: number;
    /** Until there were no more arrivals. */
    readonly arrivalSeconds: number;
    readonly arrivals: number;
  } | null;
}

export interface OperationSummary {
  readonly operations: number;
  readonly rows: number;
  readonly rolled_back: number;
  readonly rejected: number;
  readonly retries: number;
}

export interface TableSummary {
  readonly insert: OperationSummary;
  readonly update: OperationSummary;
  readonly delete: OperationSummary;
  readonly cascaded: { readonly update: number; readonly delete: number };
  readonly moved: number;
  readonly substituted: number;
  /** Operations that were not done, since others kept the table from being written to. */
  readonly skipped: number;
  /** Rows that triggers made, less those that they deleted; null where that could not be told. */
  readonly by_trigger: number | null;
  readonly net_rows: number;
  readonly rows_at_start: number | null;
  readonly rows_expected: number | null;
  readonly quarantined: string | null;
}

export interface LatencySummary {
  readonly response: CountedPercentiles | null;
  readonly service: CountedPercentiles | null;
}

/** Percentiles, and what they are made from: histograms of several runs can be added, percentiles cannot. */
interface CountedPercentiles extends Percentiles {
  /** Pairs of a bucket's upper edge in seconds and its count; empty buckets are left out. */
  readonly buckets: readonly (readonly [upperSeconds: number, count: number])[];
}

/** A time in which the load was paused, and why. */
export interface PauseRecord {
  /** Since the traffic began, and how long it took. */
  readonly after_seconds: number;
  readonly seconds: number;
  readonly reason: string;
  /** What paused it: the fuse, or the control file. */
  readonly by: 'fuse' | 'file';
}

/** A rate that the control file has set. */
export interface RateChange {
  /** Since the traffic began. */
  readonly after_seconds: number;
  /** Per second; null: the configured rate again. */
  readonly rate: number | null;
}

/** One comparison of the run's tables with a replication target. */
export interface VerificationRound {
  readonly target: string;
  /** Since the traffic began, and how long it took. */
  readonly after_seconds: number;
  readonly seconds: number;
  readonly verdict: 'equal' | 'different' | 'undecided';
  readonly headline: string;
  readonly differences: readonly unknown[];
}

/** The file of `--summary`, as INTERFACE fixes it. */
export interface Summary {
  readonly schema_version: 1;
  /** What `lag` has found out. Left out for other commands. */
  readonly lag?: LagResult;
  /** By trap, how often it was sprung and what a consumer sees of it. Left out where there were none; not among `events`. */
  readonly traps?: Readonly<Record<string, TrapCounts>>;
  /** When the fuse or the control file paused the load. Left out where it never was. */
  readonly pauses?: readonly PauseRecord[];
  /** Rates that the control file has set, so that the configuration alone does not repeat the load. Left out where there were none. */
  readonly rate_changes?: readonly RateChange[];
  /** Tables that refused more than a tenth of their statements, the worst first. Left out where there were none. */
  readonly refused_tables?: readonly RefusedTable[];
  /** What limited the run in each phase of its schedule. Left out where there is only one. */
  readonly verdict_phases?: readonly PhaseVerdict[];
  /** How figures have changed, by their names. Left out for runs of less than an hour. */
  readonly trends?: Trends;
  /** Rounds of `verify:`. Left out where none was asked for. */
  readonly verification?: readonly VerificationRound[];
  /** What became of `run --capture`: changes by table and kind. Left out where none was asked for. */
  readonly capture?: {
    readonly file: string;
    readonly complete: boolean;
    readonly reason: string | null;
    readonly events: Readonly<Record<string, Readonly<Record<string, number>>>>;
  };
  /** Shard number and count. Omitted if one process carries all lanes. */
  readonly shard?: Shard;
  /** Rows that the server had acknowledged and lost, by table. They were written again since. */
  readonly acknowledged_lost?: Readonly<Record<string, number>>;
  readonly run_id: string;
  readonly version: string;
  readonly faker_version: string;
  readonly started_at: string;
  readonly elapsed_seconds: number;
  readonly exit: { readonly code: number; readonly reason: string };
  readonly seeds: { readonly random: string; readonly faker: string };
  readonly plan_fingerprint: string;
  readonly schema_fingerprint: string;
  /** The settings that were not left to their defaults, by path, without connections. */
  readonly configuration?: Readonly<Record<string, string>>;
  readonly server_version: string;
  readonly workers: number;
  readonly connections: number;
  readonly pipeline_depth: number;
  readonly row_selection: string;
  readonly generator_version: number;
  readonly reproducible: boolean;
  readonly reproducible_because: readonly string[];
  readonly lanes: readonly { readonly operations: number; readonly exceptions_digest: string }[];
  readonly totals: Readonly<Record<string, number>>;
  readonly transactions: {
    readonly committed: number;
    readonly rolled_back: number;
    readonly intended_rollback: number;
  };
  readonly events: Readonly<Record<OperationKind, number>>;
  readonly tables: Readonly<Record<string, TableSummary>>;
  readonly errors: Readonly<Record<string, { readonly count: number; readonly example: string }>>;
  readonly latency_seconds: Readonly<Record<OperationKind, LatencySummary>>;
  readonly rate: {
    readonly target: number | null;
    readonly achieved: number;
    readonly unit: 'operations' | 'events';
    /** Over which both were taken: without the time in which lanes connect, where there is a schedule. */
    readonly seconds: number;
  };
  readonly verdict: Limit | null;
  /** The figures behind the verdict, as shares of time. */
  readonly verdict_because: (Utilisation & { readonly advice: string }) | null;
  readonly thresholds: readonly ThresholdResult[];
  readonly coverage: CoverageSummary;
  readonly outages: readonly Outage[];
  readonly indexes: IndexCounts | null;
  /** By target. */
  readonly replication: ReplicationOutcome['targets'] | null;
  readonly replication_slots: ReplicationOutcome['slots'] | null;
  readonly heartbeats_missed: number | null;
  readonly generator: {
    readonly cpu_seconds: number;
    readonly cpu_micros_per_operation: number | null;
    readonly event_loop_p99_seconds: number;
    readonly max_rss_bytes: number;
  };
}

export function summarise(source: SummarySource): Summary {
  const { plan, totals } = source;
  const sum = (field: Parameters<CounterTotals['total']>[0]) => totals.total(field);
  const committed = sum('committed');
  const operations = totals.operations();
  const eventLoopMs = Array.from({ length: source.workers }, (_, worker) =>
    totals.scalarOf(worker, 'eventLoopDelayMsMax'),
  );
  const events = {
    insert: eventsOf(plan, totals, 'insert'),
    update: eventsOf(plan, totals, 'update'),
    delete: eventsOf(plan, totals, 'delete'),
  };
  const usage = readUsage(totals, source.workers, {
    seconds: source.elapsedSeconds,
    cpuSeconds: source.cpuSeconds,
  });
  const utilisation = utilisationBetween(source.usageAtStart, usage);
  const verdict =
    operations === 0
      ? null
      : verdictOf(utilisation, {
          workers: source.workers,
          connections: plan.quotas.length,
          elapsedSeconds: source.elapsedSeconds,
          missed: usage.missed,
        });
  return {
    schema_version: 1,
    ...(source.shard === null ? {} : { shard: source.shard }),
    ...(Object.keys(source.acknowledgedLost).length === 0 ? {} : { acknowledged_lost: source.acknowledgedLost }),
    run_id: source.runId,
    version: source.version,
    faker_version: source.fakerVersion,
    started_at: source.startedAt.toISOString(),
    elapsed_seconds: round(source.elapsedSeconds),
    exit: source.exit,
    seeds: { random: plan.randomSeed, faker: plan.fakerSeed },
    plan_fingerprint: fingerprint(plan),
    schema_fingerprint: source.schemaFingerprint,
    configuration: source.configuration,
    server_version: source.serverVersion,
    workers: source.workers,
    connections: plan.quotas.length,
    pipeline_depth: plan.pipelineDepth,
    row_selection: plan.rowSelection,
    generator_version: plan.generatorVersion,
    reproducible: source.reproducible,
    reproducible_because: source.reproducibleBecause,
    lanes: plan.quotas.map((_, lane) => ({
      operations: totals.laneApplied(lane),
      exceptions_digest: totals.laneDigest(lane),
    })),
    totals: {
      operations,
      committed,
      rejected: sum('rejected'),
      failed: sum('failed'),
      skipped: sum('skipped'),
      rolled_back: sum('rolledBack'),
      in_doubt_resolved: totals.scalar('inDoubtCommitted') + totals.scalar('inDoubtReplayed'),
      in_doubt_unknown: totals.scalar('inDoubtUnknown'),
      retries: sum('retriesValues') + sum('retriesTransient') + sum('retriesVacant'),
      reconnects: totals.scalar('reconnects'),
      dropped: totals.scalar('dropped'),
      late: totals.scalar('late'),
      conflicts: totals.scalar('conflicts'),
    },
    transactions: {
      committed: totals.scalar('transactionsCommitted'),
      rolled_back: totals.scalar('transactionsRolledBack'),
      intended_rollback: totals.scalar('transactionsIntended'),
    },
    events,
    tables: Object.fromEntries(
      plan.relations.flatMap((relation, index) =>
        relation.targeted ? [[relation.label, tableOf(source, index)] as const] : [],
      ),
    ),
    errors: errorsOf(source),
    latency_seconds: {
      insert: latencyOf(totals, 'insert'),
      update: latencyOf(totals, 'update'),
      delete: latencyOf(totals, 'delete'),
    },
    rate: rateOf(source, operations, events),
    verdict: verdict?.limit ?? null,
    verdict_because: verdict === null ? null : { ...utilisation, advice: verdict.advice },
    thresholds: source.thresholds,
    coverage: source.coverage,
    outages: source.outages,
    indexes: source.indexes,
    replication: source.replication?.targets ?? null,
    replication_slots: source.replication?.slots ?? null,
    heartbeats_missed: source.replication?.missed ?? null,
    generator: {
      cpu_seconds: round(source.cpuSeconds),
      cpu_micros_per_operation: operations > 0 ? round((source.cpuSeconds * 1e6) / operations) : null,
      event_loop_p99_seconds: round(Math.max(0, ...eventLoopMs) / 1000),
      max_rss_bytes: source.maxRssBytes,
    },
  };
}

/** Per second, in the schedule's unit: what it asked for, and what was done. */
function rateOf(
  { schedule, elapsedSeconds }: SummarySource,
  operations: number,
  events: Readonly<Record<OperationKind, number>>,
): Summary['rate'] {
  const over = (seconds: number) => (count: number) => round(seconds > 0 ? count / seconds : 0);
  if (schedule === null)
    return {
      target: null,
      achieved: over(elapsedSeconds)(operations),
      unit: 'operations',
      seconds: round(elapsedSeconds),
    };
  const { unit, seconds, arrivalSeconds, arrivals } = schedule;
  const done = unit === 'events' ? events.insert + events.update + events.delete : operations;
  return { target: over(arrivalSeconds)(arrivals), achieved: over(seconds)(done), unit, seconds: round(seconds) };
}

/** A count of a run, per second of the time that its rate is about. */
export function perSecond(count: number, { rate: { seconds } }: Summary): number {
  return seconds > 0 ? count / seconds : 0;
}

/** Rows as a change-data consumer sees them: one that moves to another partition is deleted there and inserted here. */
function eventsOf(plan: Plan, totals: CounterTotals, kind: OperationKind): number {
  return plan.relations.reduce((sum, _, relation) => {
    const moved = totals.table(relation, 'update', 'moved');
    const changed = totals.table(relation, kind, 'rows') + totals.table(relation, kind, 'cascaded');
    return sum + changed + (kind === 'update' ? -moved : moved);
  }, 0);
}

function tableOf(source: SummarySource, relation: number): TableSummary {
  const { totals, plan, quarantined } = source;
  const of = (kind: OperationKind): OperationSummary => ({
    operations: totals.table(relation, kind, 'committed'),
    rows: totals.table(relation, kind, 'rows'),
    rolled_back: totals.table(relation, kind, 'rolledBack'),
    rejected: totals.table(relation, kind, 'rejected'),
    retries:
      totals.table(relation, kind, 'retriesValues') +
      totals.table(relation, kind, 'retriesTransient') +
      totals.table(relation, kind, 'retriesVacant'),
  });
  const cascaded = {
    update: totals.table(relation, 'update', 'cascaded'),
    delete: totals.table(relation, 'delete', 'cascaded'),
  };
  const counts = rowCountsOf(source, relation);
  return {
    insert: of('insert'),
    update: of('update'),
    delete: of('delete'),
    cascaded,
    moved: totals.table(relation, 'update', 'moved'),
    substituted: OPERATION_KINDS.reduce((sum, kind) => sum + totals.table(relation, kind, 'substituted'), 0),
    skipped: OPERATION_KINDS.reduce((sum, kind) => sum + totals.table(relation, kind, 'skipped'), 0),
    by_trigger: counts.byTrigger,
    net_rows: counts.net,
    rows_at_start: source.rowsAtStart[relation] ?? null,
    rows_expected: counts.expected,
    quarantined: quarantined.get(plan.relations[relation]!.label) ?? null,
  };
}

function errorsOf({ totals, examples }: SummarySource): Record<string, { count: number; example: string }> {
  const errors: Record<string, { count: number; example: string }> = {};
  for (const { sqlstate, count } of totals.errors()) {
    const before = errors[sqlstate]?.count ?? 0;
    errors[sqlstate] = { count: before + count, example: examples.get(sqlstate) ?? '' };
  }
  return errors;
}

function latencyOf(totals: CounterTotals, kind: OperationKind): LatencySummary {
  const of = (latency: Latency) => {
    const { counts, maxMs }: HistogramTotals = totals.histogram(latency, kind);
    return countedPercentiles(counts, maxMs);
  };
  return { response: of('response'), service: of('service') };
}

/** Null without observations. */
export function countedPercentiles(counts: Float64Array, maxMs: number): CountedPercentiles | null {
  const found = percentiles(counts, maxMs);
  if (found === null) return null;
  const buckets: [number, number][] = [];
  for (const [bucket, count] of counts.entries()) if (count > 0) buckets.push([upperEdgeSeconds(bucket), count]);
  return { ...found, buckets };
}

/** To thousandths. */
export function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
