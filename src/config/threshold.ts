import { didYouMean } from './nearest.js';
import { parseSizeBytes } from './size.js';

/** Figures that a condition can be about; latencies have percentiles. */
const LATENCY_FIGURES = ['response_seconds', 'service_seconds'] as const;
const LAG_FIGURE = 'replication_lag_seconds';
const FIGURES = [
  'error_ratio',
  'dropped_ratio',
  'late_ratio',
  'operations_per_second',
  'events_per_second',
  'coverage',
  'rejected',
  'failed',
  'retries',
  'reconnects',
] as const;
/** Figures whose change over a long run can be limited: `slope(memory_bytes) < 1MB/h`. */
const SLOPE_FIGURES = [
  'response_seconds p99',
  'replication_lag_seconds p99',
  'retained_bytes',
  'memory_bytes',
  'table_bytes',
] as const;
export type SlopeFigure = (typeof SLOPE_FIGURES)[number];
const PERCENTILES = ['p50', 'p90', 'p95', 'p99', 'p999', 'max'] as const;
const COMPARISONS = ['<', '<=', '>', '>='] as const;

/** A condition that a run must meet. */
export type Threshold = {
  /** As the user wrote it. */
  readonly condition: string;
  readonly comparison: (typeof COMPARISONS)[number];
  readonly bound: number;
  /** The run ends as soon as it is not met. */
  readonly abortOnFail: boolean;
} & (
  | { readonly figure: (typeof FIGURES)[number] }
  /** Change per hour, of the target or slot where it is largest. */
  | { readonly figure: 'slope'; readonly of: SlopeFigure }
  /** Of the target that lags most. */
  | { readonly figure: typeof LAG_FIGURE; readonly percentile: (typeof PERCENTILES)[number] }
  | {
      readonly figure: (typeof LATENCY_FIGURES)[number];
      readonly percentile: (typeof PERCENTILES)[number];
      /** Null: all of them. */
      readonly operation: 'insert' | 'update' | 'delete' | null;
    }
);

/** Reads `slope(memory_bytes) < 1MB/h`. */
function parseSlope(condition: string, abortOnFail: boolean): Threshold | string {
  const [, name = '', sign, limit = ''] =
    /^\s*slope\s*\(\s*([^)]*?)\s*\)\s*(<=|>=|<|>)\s*(\S+?)\s*\/\s*h\s*$/.exec(condition) ?? [];
  const comparison = COMPARISONS.find((each) => each === sign);
  if (comparison === undefined)
    return 'expected slope(FIGURE), a comparison, and a change per hour, such as "slope(replication_lag_seconds p99) < 0.1/h"';
  const of = SLOPE_FIGURES.find((figure) => figure === name.replaceAll(/\s+/g, ' '));
  if (of === undefined)
    return `slope is not known for "${name}"${didYouMean(name, SLOPE_FIGURES)}; it is known for ${SLOPE_FIGURES.join(', ')}`;
  const bound = of.endsWith('_bytes') ? parseSizeBytes(limit) : Number(limit);
  if (bound === undefined || !Number.isFinite(bound))
    return `expected ${of.endsWith('_bytes') ? 'a size such as 1MB' : 'a number'} before /h, got "${limit}"`;
  return { condition: condition.trim().replaceAll(/\s+/g, ' '), comparison, bound, abortOnFail, figure: 'slope', of };
}

/** Reads `response_seconds p99 < 0.5`, `response_seconds insert p99 < 0.5`, `error_ratio < 0.01`; a text says what is wrong. */
export function parseThreshold(condition: string, abortOnFail: boolean): Threshold | string {
  if (condition.trim().startsWith('slope')) return parseSlope(condition, abortOnFail);
  const words = condition.trim().split(/\s+/);
  const [figure = ''] = words;
  const bound = Number(words[words.length - 1]);
  const comparison = COMPARISONS.find((sign) => sign === words[words.length - 2]);
  const between = words.slice(1, -2);
  const known: readonly string[] = [...LATENCY_FIGURES, LAG_FIGURE, ...FIGURES];
  if (!known.includes(figure))
    return `unknown figure "${figure}"${didYouMean(figure, known)}; known figures are ${known.join(', ')}, and slope(…)`;
  if (comparison === undefined || !Number.isFinite(bound) || words.length < 3)
    return `expected a comparison (${COMPARISONS.join(', ')}) and a number at the end, such as "error_ratio < 0.01"`;
  const common = { condition: words.join(' '), comparison, bound, abortOnFail };
  const plain = FIGURES.find((name) => name === figure);
  if (plain !== undefined) {
    if (between.length > 0) return `${figure} does not take "${between.join(' ')}"; remove it`;
    return { ...common, figure: plain };
  }
  const percentile = PERCENTILES.find((name) => name === between[between.length - 1]);
  if (figure === LAG_FIGURE) {
    if (percentile === undefined || between.length !== 1)
      return `expected one of ${PERCENTILES.join(', ')} after ${figure}, as in "${figure} p99 < 2"`;
    return { ...common, figure, percentile };
  }
  const latency = LATENCY_FIGURES.find((name) => name === figure)!;
  const operation = (['insert', 'update', 'delete'] as const).find((name) => name === between[0]?.toLowerCase());
  const expected = operation === undefined ? 1 : 2;
  if (percentile === undefined || between.length !== expected)
    return `expected one of ${PERCENTILES.join(', ')} after ${figure}, with an optional operation between them, as in "${figure} p99 < 0.5" or "${figure} insert p99 < 0.5"`;
  return { ...common, figure: latency, percentile, operation: operation ?? null };
}
