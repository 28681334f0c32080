import { parseThreshold, type Threshold } from '../config/threshold.js';
import type { OperationKind } from '../plan/plan.js';
import { OPERATION_KINDS } from '../plan/plan.js';
import { BUCKETS, percentiles, upperEdgeSeconds } from '../traffic/histogram.js';
import { checkParts, incomplete, isResumable, missingOf, type Part, unfinished } from './merge-parts.js';
import { mergePhases } from './phases.js';
import { mergeRefused } from './refusals.js';
import { countedPercentiles, type LatencySummary, round, type Summary, type TableSummary } from './summary.js';
import { type Figures, look, missedText, type ThresholdResult } from './thresholds.js';
import { steepest } from './trends.js';

/**
 * The summaries of all shards as that of one run: counts and histograms are added, percentiles are told from the sums, and the
 * thresholds are judged once.
 * @throws CannotMerge where they are not the shards of one run, or one stands twice.
 */
export function mergeSummaries(parts: readonly Part<Summary>[]): Summary {
  checkParts(parts);
  const summaries = [...parts].map(({ summary }) => summary).sort((a, b) => a.shard!.index - b.shard!.index);
  const lead = summaries[0]!;
  const { of } = lead.shard!;
  const missing = missingOf(summaries, of);
  const sum = (value: (summary: Summary) => number) => summaries.reduce((total, each) => total + value(each), 0);
  const most = (value: (summary: Summary) => number) => Math.max(...summaries.map(value));
  const stopped = summaries.flatMap((each) => (isResumable(each) ? each.shard!.index : []));
  const seconds = most(({ elapsed_seconds: elapsed }) => elapsed);
  const { shard: _shard, ...base } = lead;
  const pauses = summaries.flatMap((each) => each.pauses ?? []);
  const phases = mergePhases(summaries.map((each) => each.verdict_phases ?? []));
  const refused = mergeRefused(summaries.map((each) => each.refused_tables ?? []));
  const totals = added(summaries.map((each) => each.totals));
  const merged: Summary = {
    ...base,
    ...(pauses.length === 0 ? {} : { pauses }),
    ...(phases.length === 0 ? {} : { verdict_phases: phases }),
    ...(refused.length === 0 ? {} : { refused_tables: refused }),
    started_at: summaries.map(({ started_at: at }) => at).sort()[0]!,
    elapsed_seconds: seconds,
    workers: sum(({ workers }) => workers),
    reproducible: missing.length + stopped.length === 0 && summaries.every(({ reproducible }) => reproducible),
    reproducible_because: [
      ...new Set([
        ...summaries.flatMap(({ reproducible_because: because }) => because),
        ...(missing.length === 0 ? [] : [`shards ${missing.join(', ')} of ${of} are missing`]),
        ...(stopped.length === 0 ? [] : [`shards ${stopped.join(', ')} of ${of} are not complete`]),
      ]),
    ],
    lanes: lead.lanes.map(
      (lane, number) => summaries.find(({ shard }) => number % of === shard!.index - 1)?.lanes[number] ?? lane,
    ),
    totals,
    transactions: added(summaries.map(({ transactions }) => transactions)),
    events: added(summaries.map(({ events }) => events)),
    tables: Object.fromEntries(
      Object.keys(lead.tables).map((name) => [name, tableOf(summaries.map(({ tables }) => tables[name]!))]),
    ),
    errors: errorsOf(summaries),
    latency_seconds: Object.fromEntries(
      OPERATION_KINDS.map((kind) => [
        kind,
        {
          response: histogramOf(summaries.map((each) => each.latency_seconds[kind].response)),
          service: histogramOf(summaries.map((each) => each.latency_seconds[kind].service)),
        },
      ]),
    ) as Summary['latency_seconds'],
    rate: rateOf(summaries, totals['operations']!, missing.length === 0),
    ...verdictOf(summaries),
    outages: summaries.flatMap(({ outages }) => outages).sort((a, b) => (a.from < b.from ? -1 : 1)),
    generator: generatorOf(summaries, totals['operations']!),
  };
  const thresholds = judged(merged, lead.thresholds);
  return { ...merged, thresholds, exit: exitOf(summaries, thresholds, missing, of) };
}

/** Records of counts, key by key. */
function added<Counts extends Readonly<Record<string, number>>>(all: readonly Counts[]): Counts {
  return Object.fromEntries(
    Object.keys(all[0]!).map((key) => [key, all.reduce((sum, each) => sum + each[key]!, 0)]),
  ) as Counts;
}

function tableOf(parts: readonly TableSummary[]): TableSummary {
  const [first] = parts as [TableSummary];
  const sum = (value: (part: TableSummary) => number) => parts.reduce((total, each) => total + value(each), 0);
  const known = (value: (part: TableSummary) => number | null) =>
    parts.every((part) => value(part) !== null) ? sum((part) => value(part)!) : null;
  const start = first.rows_at_start;
  const brought = known(({ rows_expected: expected, rows_at_start: from }) =>
    expected === null || from === null ? null : expected - from,
  );
  return {
    insert: added(parts.map((part) => part.insert as never)),
    update: added(parts.map((part) => part.update as never)),
    delete: added(parts.map((part) => part.delete as never)),
    cascaded: added(parts.map(({ cascaded }) => cascaded)),
    moved: sum(({ moved }) => moved),
    substituted: sum(({ substituted }) => substituted),
    skipped: sum(({ skipped }) => skipped),
    by_trigger: known(({ by_trigger: byTrigger }) => byTrigger),
    net_rows: sum(({ net_rows: net }) => net),
    rows_at_start: start,
    rows_expected: start === null || brought === null ? null : start + brought,
    quarantined: parts.find(({ quarantined }) => quarantined !== null)?.quarantined ?? null,
  };
}

function errorsOf(summaries: readonly Summary[]): Summary['errors'] {
  const errors: Record<string, { count: number; example: string }> = {};
  for (const summary of summaries)
    for (const [sqlstate, { count, example }] of Object.entries(summary.errors)) {
      const before = errors[sqlstate];
      errors[sqlstate] = { count: (before?.count ?? 0) + count, example: before?.example || example };
    }
  return errors;
}

type Histogram = LatencySummary['response'];

/* The edges of all buckets are exact decimals, the same in every summary. */
let edges: Map<number, number> | null = null;

function bucketOfEdge(edge: number): number {
  edges ??= new Map(Array.from({ length: BUCKETS }, (_, bucket) => [upperEdgeSeconds(bucket), bucket]));
  return edges.get(edge) ?? BUCKETS - 1;
}

function histogramOf(parts: readonly Histogram[]): Histogram {
  const { counts, max } = countsOf(parts);
  return countedPercentiles(counts, max * 1000);
}

function countsOf(parts: readonly Histogram[]): { readonly counts: Float64Array; readonly max: number } {
  const counts = new Float64Array(BUCKETS);
  let max = 0;
  for (const part of parts) {
    for (const [edge, count] of part?.buckets ?? []) counts[bucketOfEdge(edge)]! += count;
    max = Math.max(max, part?.max ?? 0);
  }
  return { counts, max };
}

/** The target of the whole is known only if no shard is missing. */
function rateOf(summaries: readonly Summary[], operations: number, isComplete: boolean): Summary['rate'] {
  const rates = summaries.map(({ rate }) => rate);
  const { unit, seconds } = rates.reduce((longest, each) => (each.seconds > longest.seconds ? each : longest));
  const targets = rates.flatMap(({ target }) => target ?? []);
  const events = summaries.reduce(
    (sum, { events: { insert, update, delete: gone } }) => sum + insert + update + gone,
    0,
  );
  const done = unit === 'events' ? events : operations;
  return {
    target: isComplete && targets.length > 0 ? round(targets.reduce((sum, each) => sum + each, 0)) : null,
    achieved: seconds > 0 ? round(done / seconds) : 0,
    unit,
    seconds,
  };
}

/* What holds one shard back holds back the run; the server is named last, since all share it. */
const GRAVITY: readonly Summary['verdict'][] = ['generator-bound', 'server-bound', 'rate-bound'];

function verdictOf(summaries: readonly Summary[]): Pick<Summary, 'verdict' | 'verdict_because'> {
  const gravest = GRAVITY.map((limit) => summaries.find(({ verdict }) => verdict === limit)).find(
    (found) => found !== undefined,
  );
  return { verdict: gravest?.verdict ?? null, verdict_because: (gravest ?? summaries[0]!).verdict_because };
}

function generatorOf(summaries: readonly Summary[], operations: number): Summary['generator'] {
  const cpu = summaries.reduce((sum, { generator }) => sum + generator.cpu_seconds, 0);
  return {
    cpu_seconds: round(cpu),
    cpu_micros_per_operation: operations > 0 ? round((cpu * 1e6) / operations) : null,
    event_loop_p99_seconds: Math.max(...summaries.map(({ generator }) => generator.event_loop_p99_seconds)),
    max_rss_bytes: summaries.reduce((sum, { generator }) => sum + generator.max_rss_bytes, 0),
  };
}

function judged(merged: Summary, thresholds: readonly ThresholdResult[]): ThresholdResult[] {
  const figures = figuresOfSummary(merged);
  return conditionsOf(thresholds).map((threshold) => look(threshold, figures));
}

/** Returns the thresholds of shards, to judge them again of the whole. */
export function conditionsOf(results: readonly ThresholdResult[]): Threshold[] {
  return results.map(({ condition }) => parseThreshold(condition, false)).filter((each) => typeof each !== 'string');
}

/** Returns the p99 of the response over all operations, in seconds; null where nothing was measured. */
export function responseP99(summary: Summary): number | null {
  return figuresOfSummary(summary).latency('response', null, 'p99');
}

function figuresOfSummary({ totals, events, elapsed_seconds: seconds, ...summary }: Summary): Figures {
  const of = (name: string) => totals[name] ?? 0;
  const { coverage, replication, latency_seconds: latencies, trends = {} } = summary;
  return {
    operations: of('operations'),
    rejected: of('rejected'),
    failed: of('failed'),
    dropped: of('dropped'),
    late: of('late'),
    retries: of('retries'),
    reconnects: of('reconnects'),
    events: events.insert + events.update + events.delete,
    seconds,
    coverage: coverage.tables === 0 ? 0 : coverage.complete / coverage.tables,
    latency: (latency, operation, percentile) => {
      const kinds: readonly OperationKind[] = operation === null ? OPERATION_KINDS : [operation];
      const { counts, max } = countsOf(kinds.map((kind) => latencies[kind][latency]));
      return percentiles(counts, max * 1000)?.[percentile] ?? null;
    },
    slope: (figure) => steepest(trends, figure),
    lags: (percentile) => Object.values(replication ?? {}).map(({ lag_seconds: lag }) => lag?.[percentile] ?? null),
  };
}

/** The gravest end of all shards; a shard that is missing, or a threshold that is not met, is a failure of the whole. */
function exitOf(
  summaries: readonly Summary[],
  thresholds: readonly ThresholdResult[],
  missing: readonly number[],
  of: number,
): Summary['exit'] {
  const ended = unfinished(summaries, of) ?? incomplete(missing, of);
  if (ended !== null) return ended;
  const missed = missedText(thresholds);
  if (missed !== null) return { code: 4, reason: missed };
  return { code: 0, reason: `all ${of} shards: ${summaries[0]!.exit.reason}` };
}
