import { collectDefaultMetrics, type Metric, Registry } from 'prom-client';
import type { ReplicationReading } from '../lag/probe.js';
import type { TargetReading } from '../lag/target.js';
import { OPERATION_KINDS, type Plan } from '../plan/plan.js';
import { type CounterTotals, type HistogramTotals, OUTCOMES } from '../traffic/counters.js';
import { BUCKETS, upperEdgeSeconds } from '../traffic/histogram.js';
import { LIMITS, type Limit } from '../traffic/verdict.js';
import { type Labels, TableSeries, type Value } from './table-series.js';

/** What the metrics are read from, at each scrape. */
export interface MetricsSource {
  readonly plan: Plan;
  readonly totals: CounterTotals;
  readonly workers: number;
  readonly runId: string;
  /** Number of the shard, from 1; null if one process carries all lanes. */
  readonly shard: number | null;
  readonly version: string;
  readonly serverVersion: string;
  readonly tableLabelLimit: number;
  /** Operations still to come; −1: until stopped. */
  remaining(): number;
  /** Seconds until the end as planned: 0 once the run stops, −1 where none is planned. */
  remainingSeconds(): number;
  /** What the run is at: traffic, warm-up, stopping, or a phase of its schedule. */
  phase(): string;
  /** Operations (or events) per second that the schedule asks for now; 0 where there is none. */
  targetRate(): number;
  /** In the same unit, in the last second; operations where there is no schedule. */
  achievedRate(): number;
  /** What limits the run just now; null where nothing tells yet. */
  limit(): Limit | null;
  /** Null where replication is not measured. */
  replication(): ReplicationReading | null;
}

type ContentType = typeof Registry.PROMETHEUS_CONTENT_TYPE | typeof Registry.OPENMETRICS_CONTENT_TYPE;

/** One registry per format: prom-client renames counters for good when it writes OpenMetrics. */
export class Registries {
  readonly text: Registry;
  private readonly source: MetricsSource;
  private openMetrics: Registry | null = null;

  constructor(source: MetricsSource) {
    this.source = source;
    this.text = createRegistry(source, Registry.PROMETHEUS_CONTENT_TYPE);
  }

  /** The registry for a scrape's Accept header: OpenMetrics where it is asked for, text elsewhere. */
  for(accept: string): Registry {
    if (!accept.includes('application/openmetrics-text')) return this.text;
    this.openMetrics ??= createRegistry(this.source, Registry.OPENMETRICS_CONTENT_TYPE);
    return this.openMetrics;
  }
}

type Add = (type: 'counter' | 'gauge' | 'histogram', name: string, help: string, values: () => Value[]) => void;

const NO_LABELS = {};

/* Decimal bounds from 0.1 ms to 60 s; each is an edge of the fine histogram's buckets, so none is estimated. */
const BOUNDS_SECONDS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/**
 * A registry whose metrics are computed from shared memory when it is scraped: nothing is counted twice, and a
 * replaced worker cannot make a counter fall.
 */
function createRegistry(source: MetricsSource, contentType: ContentType): Registry {
  const registry = new Registry();
  registry.setContentType(contentType as typeof Registry.PROMETHEUS_CONTENT_TYPE);
  const run = { run_id: source.runId, ...(source.shard === null ? {} : { shard: String(source.shard) }) };
  collectDefaultMetrics({ register: registry, labels: run });
  // Gauges by the name of a counter; the same figures stand under names without the suffix, by type.
  for (const kind of ['handles', 'requests', 'resources']) registry.removeSingleMetric(`nodejs_active_${kind}_total`);
  const { totals, plan } = source;
  const add: Add = (type, name, help, values) => {
    const metric = {
      name,
      help,
      type,
      aggregator: 'sum',
      // For OpenMetrics prom-client takes the suffix off a counter's name, and puts it back on its samples.
      get: async () => ({ name: metric.name, help, type, aggregator: 'sum', values: values().map(shared) }),
      reset: () => undefined,
    };
    registry.registerMetric(metric as unknown as Metric);
  };
  // prom-client writes labels out once where the object that holds them stays the same: most of a scrape's time.
  const known = new WeakMap<Labels, Labels>();
  const shared = ({ labels, ...rest }: Value) => {
    const sharedLabels = known.get(labels) ?? { ...labels, ...run };
    known.set(labels, sharedLabels);
    return { ...rest, labels: NO_LABELS, sharedLabels };
  };
  const tables = new TableSeries(plan, source.tableLabelLimit, totals);

  add('gauge', 'eventgen_info', 'Always 1; the labels describe the run.', () => [
    {
      labels: {
        version: source.version,
        server_version: source.serverVersion,
        row_selection: plan.rowSelection,
        random_seed: plan.randomSeed,
      },
      value: 1,
    },
  ]);
  add(
    'counter',
    'eventgen_operations_total',
    'Operations by outcome.',
    tables.of(
      OUTCOMES.map((field) => ({ labels: { outcome: field === 'rolledBack' ? 'rolled_back' : field }, field })),
    ),
  );
  add(
    'counter',
    'eventgen_rows_total',
    'Rows changed by committed operations.',
    tables.of([{ labels: {}, field: 'rows' }]),
  );
  add(
    'counter',
    'eventgen_cascaded_rows_total',
    'Rows that the server changed by a foreign key action when a parent row was deleted.',
    tables.of([{ labels: {}, field: 'cascaded', operations: ['update', 'delete'] }]),
  );
  add(
    'counter',
    'eventgen_moved_rows_total',
    'Rows that an UPDATE moved to another partition; a consumer sees a DELETE and an INSERT.',
    tables.of([{ labels: {}, field: 'moved', operations: ['update'] }]),
  );
  add(
    'counter',
    'eventgen_retries_total',
    'Repeated attempts at operations, by reason.',
    tables.of([
      { labels: { reason: 'values' }, field: 'retriesValues' },
      { labels: { reason: 'transient' }, field: 'retriesTransient' },
      { labels: { reason: 'vacant' }, field: 'retriesVacant' },
    ]),
  );
  add('counter', 'eventgen_errors_total', 'Statements that the server rejected, by SQLSTATE.', () => {
    const sums = new Map<string, Value>();
    for (const { sqlstate, relation, count } of totals.errors()) {
      const labels = { sqlstate, table: tables.label(relation) };
      const key = `${sqlstate}/${labels.table}`;
      sums.set(key, { labels, value: (sums.get(key)?.value ?? 0) + count });
    }
    return [...sums.values()];
  });
  add('counter', 'eventgen_reconnects_total', 'Connections established again after a loss.', () => [
    { labels: {}, value: totals.scalar('reconnects') },
  ]);
  add(
    'counter',
    'eventgen_in_doubt_total',
    'Transactions whose answer was lost, by what was found out about them.',
    () => [
      { labels: { resolution: 'committed' }, value: totals.scalar('inDoubtCommitted') },
      { labels: { resolution: 'replayed' }, value: totals.scalar('inDoubtReplayed') },
      { labels: { resolution: 'unknown' }, value: totals.scalar('inDoubtUnknown') },
    ],
  );
  add('counter', 'eventgen_transactions_total', 'Transactions by outcome.', () => [
    { labels: { outcome: 'committed' }, value: totals.scalar('transactionsCommitted') },
    { labels: { outcome: 'rolled_back' }, value: totals.scalar('transactionsRolledBack') },
    { labels: { outcome: 'intended_rollback' }, value: totals.scalar('transactionsIntended') },
  ]);
  add('histogram', 'eventgen_response_seconds', 'Time from the scheduled start of an operation to its answer.', () =>
    latencies(totals, 'response', 'eventgen_response_seconds'),
  );
  add(
    'histogram',
    'eventgen_service_seconds',
    'Time from sending, or from the answer before on the same connection, to the answer.',
    () => latencies(totals, 'service', 'eventgen_service_seconds'),
  );
  add(
    'counter',
    'eventgen_late_operations_total',
    'Operations that finished more than late_after behind their schedule.',
    () => [{ labels: {}, value: totals.scalar('late') }],
  );
  add(
    'counter',
    'eventgen_dropped_operations_total',
    'Scheduled operations that were dropped because the run could not keep up.',
    () => [{ labels: {}, value: totals.scalar('dropped') }],
  );
  add('gauge', 'eventgen_target_rate', 'Current target rate of the schedule; 0 without a schedule.', () => [
    { labels: {}, value: source.targetRate() },
  ]);
  add(
    'gauge',
    'eventgen_achieved_rate',
    'Rate of the last second, in the unit of the schedule (operations or events).',
    () => [{ labels: {}, value: source.achievedRate() }],
  );
  add(
    'gauge',
    'eventgen_iterations_remaining',
    'Operations left until the end of the run; -1 if their number is not limited.',
    () => [{ labels: {}, value: source.remaining() }],
  );
  add(
    'gauge',
    'eventgen_remaining_seconds',
    'Seconds until the planned end of the run; 0 while it stops, -1 if no end is planned.',
    () => [{ labels: {}, value: source.remainingSeconds() }],
  );
  add('gauge', 'eventgen_phase', 'Always 1; the label is what the run is at.', () => [
    { labels: { phase: source.phase() }, value: 1 },
  ]);
  add(
    'gauge',
    'eventgen_lanes',
    'Lanes by state; a disconnected lane is connecting, or waiting for the server.',
    () => {
      const connected = totals.scalar('lanesConnected');
      const ended = totals.scalar('lanesEnded');
      return [
        { labels: { state: 'connected' }, value: connected },
        { labels: { state: 'disconnected' }, value: plan.quotas.length - connected - ended },
        { labels: { state: 'ended' }, value: ended },
      ];
    },
  );
  add(
    'gauge',
    'eventgen_event_loop_delay_seconds',
    'Current 99th percentile of the timer delay of a worker thread.',
    () =>
      Array.from({ length: source.workers }, (_, worker) => ({
        labels: { worker },
        value: totals.scalarOf(worker, 'eventLoopDelayMs') / 1000,
      })),
  );
  add('gauge', 'eventgen_verdict', '1 for what currently limits the run, 0 for the others.', () => {
    const limit = source.limit();
    return LIMITS.map((verdict) => ({ labels: { verdict }, value: verdict === limit ? 1 : 0 }));
  });
  add(
    'gauge',
    'eventgen_quarantined_tables',
    'Kinds of operations on a table that a lane no longer tries, because the server rejected them repeatedly.',
    () => [{ labels: {}, value: totals.scalar('quarantined') }],
  );
  if (source.replication() !== null) addReplication(add, () => source.replication()!);
  return registry;
}

/** Only where replication is measured: a series that is always 0 would say that there is no lag. */
function addReplication(add: Add, read: () => ReplicationReading): void {
  const perTarget = (values: (target: TargetReading) => Value[]) => () => read().targets.flatMap(values);
  add(
    'histogram',
    'eventgen_replication_lag_seconds',
    'Time from the commit of a heartbeat until the target showed it.',
    perTarget(({ target, lag }) => histogram(lag, 'eventgen_replication_lag_seconds', { target })),
  );
  add(
    'gauge',
    'eventgen_replication_oldest_unseen_seconds',
    'Age of the oldest heartbeat that the target has not shown yet; grows while the target stalls.',
    perTarget(({ target, oldestUnseenMs }) => [{ labels: { target }, value: oldestUnseenMs / 1000 }]),
  );
  add(
    'gauge',
    'eventgen_replication_lag_bytes',
    'WAL that the target has not yet received, replayed or confirmed.',
    perTarget(({ target, behind }) =>
      behind.map(({ position, bytes }) => ({ labels: { target, position }, value: bytes })),
    ),
  );
  add(
    'gauge',
    'eventgen_replication_target_up',
    '1 if the target answers, 0 otherwise.',
    perTarget(({ target, connected }) => [{ labels: { target }, value: connected ? 1 : 0 }]),
  );
  add('gauge', 'eventgen_replication_slot_retained_bytes', 'WAL that the server keeps for a replication slot.', () =>
    read().slots.map(({ slot, retainedBytes }) => ({ labels: { slot }, value: retainedBytes })),
  );
}

const WARM_UP = { response: 'warmUpResponse', service: 'warmUpService' } as const;

/** Per operation, with those of the warm-up. */
function latencies(totals: CounterTotals, latency: keyof typeof WARM_UP, name: string): Value[] {
  return OPERATION_KINDS.flatMap((operation) =>
    histogram(totals.merged([latency, WARM_UP[latency]], [operation]), name, { operation }),
  );
}

function histogram(
  { counts, sumMs }: Pick<HistogramTotals, 'counts' | 'sumMs'>,
  name: string,
  labels: Readonly<Record<string, string>>,
): Value[] {
  const values: Value[] = [];
  let seen = 0;
  let bucket = 0;
  for (const bound of BOUNDS_SECONDS) {
    // Edges are computed and bounds written: compared with room for the last bit.
    while (bucket < BUCKETS && upperEdgeSeconds(bucket) <= bound * (1 + 1e-9)) seen += counts[bucket++]!;
    values.push({ metricName: `${name}_bucket`, labels: { ...labels, le: bound }, value: seen });
  }
  while (bucket < BUCKETS) seen += counts[bucket++]!;
  values.push({ metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: seen });
  values.push({ metricName: `${name}_sum`, labels, value: sumMs / 1000 });
  values.push({ metricName: `${name}_count`, labels, value: seen });
  return values;
}
