import { OPERATION_KINDS } from '../plan/plan.js';
import { perSecond, type Summary } from './summary.js';

/** What a tolerance can be set for. */
export const TOLERATED = ['rate', 'latency', 'lag', 'errors', 'cpu'] as const;
export type Tolerated = (typeof TOLERATED)[number];

/** By how much a figure may be worse, as a share: 0.1 for 10 %. */
export type Tolerances = Readonly<Record<Tolerated, number>>;

/** A figure of two runs. */
export interface ComparedFigure {
  readonly name: string;
  readonly tolerated: Tolerated;
  readonly unit: 'per second' | 'seconds' | 'share' | 'microseconds';
  readonly a: number | null;
  readonly b: number | null;
  /** (b − a) / a; null where one of them is missing, or a is 0. */
  readonly change: number | null;
  /** True where b is worse than a by more than its tolerance. */
  readonly regressed: boolean;
}

/** Something that two runs were asked to do differently. */
interface Difference {
  readonly name: string;
  readonly a: string;
  readonly b: string;
}

export interface Comparison {
  readonly figures: readonly ComparedFigure[];
  readonly differences: readonly Difference[];
  /** Why the second run counts as worse whatever its figures are; null where it ended well. */
  readonly ending: string | null;
  readonly passed: boolean;
}

/** Compares run `b` with run `a`, its baseline. */
export function compareSummaries(a: Summary, b: Summary, tolerances: Tolerances): Comparison {
  const figures = figuresOf(a, b, tolerances);
  const ending = b.exit.code !== 0 ? `the second run ended with exit code ${b.exit.code} (${b.exit.reason})` : null;
  return {
    figures,
    differences: differencesOf(a, b),
    ending,
    passed: ending === null && figures.every(({ regressed }) => !regressed),
  };
}

function figuresOf(a: Summary, b: Summary, tolerances: Tolerances): ComparedFigure[] {
  const compare = (
    figure: Pick<ComparedFigure, 'name' | 'tolerated' | 'unit'>,
    read: (summary: Summary) => number | null | undefined,
  ): ComparedFigure => {
    const [before, after] = [read(a) ?? null, read(b) ?? null];
    return {
      ...figure,
      a: before,
      b: after,
      change: before === null || after === null || before === 0 ? null : (after - before) / before,
      regressed: isWorse(figure, before, after, tolerances[figure.tolerated]),
    };
  };
  const share = (name: string, count: (totals: Summary['totals']) => number, beside = 0 as 0 | 'dropped') =>
    compare({ name, tolerated: 'errors', unit: 'share' }, ({ totals }) => {
      const all = totals['operations']! + (beside === 0 ? 0 : totals[beside]!);
      return all === 0 ? null : count(totals) / all;
    });
  const targets = Object.keys({ ...a.replication, ...b.replication });
  return [
    compare({ name: 'operations per second', tolerated: 'rate', unit: 'per second' }, (summary) =>
      perSecond(summary.totals['operations']!, summary),
    ),
    compare({ name: 'events per second', tolerated: 'rate', unit: 'per second' }, (summary) =>
      perSecond(
        OPERATION_KINDS.reduce((sum, kind) => sum + summary.events[kind], 0),
        summary,
      ),
    ),
    ...OPERATION_KINDS.flatMap((kind) =>
      (['p50', 'p99'] as const).map((percentile) =>
        compare(
          { name: `${kind} response ${percentile}`, tolerated: 'latency', unit: 'seconds' },
          ({ latency_seconds: latency }) => latency[kind].response?.[percentile],
        ),
      ),
    ),
    ...targets.map((target) =>
      compare(
        { name: `replication lag p99, ${target}`, tolerated: 'lag', unit: 'seconds' },
        ({ replication }) => replication?.[target]?.lag_seconds?.p99,
      ),
    ),
    share('rejected or failed', (totals) => totals['rejected']! + totals['failed']!),
    share('retries', (totals) => totals['retries']!),
    // A share of the operations that were due.
    share('dropped', (totals) => totals['dropped']!, 'dropped'),
    share('late', (totals) => totals['late']!),
    compare(
      { name: 'generator CPU per operation', tolerated: 'cpu', unit: 'microseconds' },
      ({ generator }) => generator.cpu_micros_per_operation,
    ),
  ];
}

/* What differs by less is the grain of the measurement. */
const GRAIN = { 'per second': 0, seconds: 0.0005, share: 0.001, microseconds: 1 } as const;

/** What was measured before and is not any more counts as worse: a comparison with nothing proves nothing. */
function isWorse(
  { unit }: Pick<ComparedFigure, 'unit'>,
  before: number | null,
  after: number | null,
  tolerance: number,
): boolean {
  if (before === null) return false;
  if (after === null) return unit === 'seconds' || unit === 'per second';
  const [worse, better] = unit === 'per second' ? [before, after] : [after, before];
  return worse - better > Math.max(GRAIN[unit], tolerance * before);
}

function differencesOf(a: Summary, b: Summary): Difference[] {
  const settings: Readonly<Record<string, (summary: Summary) => unknown>> = {
    version: ({ version }) => version,
    'generator version': ({ generator_version: version }) => version,
    'server version': ({ server_version: version }) => version,
    seeds: ({ seeds }) => `${seeds.random}/${seeds.faker}`,
    connections: ({ connections }) => connections,
    'pipeline depth': ({ pipeline_depth: depth }) => depth,
    workers: ({ workers }) => workers,
    'row selection': ({ row_selection: selection }) => selection,
    'rate asked for': ({ rate }) => (rate.target === null ? 'none' : `${rate.target} ${rate.unit}/s`),
    schema: ({ schema_fingerprint: schema }) => schema,
    plan: ({ plan_fingerprint: plan }) => plan,
    tables: ({ tables }) => Object.keys(tables).length,
  };
  const found = Object.entries(settings).flatMap(([name, read]) => {
    const [before, after] = [String(read(a)), String(read(b))];
    return before === after ? [] : [{ name, a: before, b: after }];
  });
  return [...found, ...configurationDifferences(a.configuration ?? {}, b.configuration ?? {})];
}

/* Reported separately above. */
const TOLD = /^generator\.(random_seed|faker_seed|connections|pipeline_depth|row_selection)$/;

function configurationDifferences(
  a: Readonly<Record<string, string>>,
  b: Readonly<Record<string, string>>,
): Difference[] {
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((key) => !TOLD.test(key)).sort();
  return keys
    .filter((key) => a[key] !== b[key])
    .map((key) => ({ name: key, a: a[key] ?? 'not set', b: b[key] ?? 'not set' }));
}
