import type { Threshold } from '../config/threshold.js';
import type { CounterTotals, HistogramTotals, Latency } from '../traffic/counters.js';
import { percentiles } from '../traffic/histogram.js';

/** A condition and how it came out; `value` is null where there was nothing to measure. */
export interface ThresholdResult {
  readonly condition: string;
  readonly value: number | null;
  readonly passed: boolean;
  /** Why it could not be judged, and so counts as not met; null where it was. */
  readonly unjudged: string | null;
}

/** What is known at some moment of a run. */
export interface Measured {
  readonly totals: CounterTotals;
  readonly elapsedSeconds: number;
  /** Per replication target. */
  readonly lags: readonly HistogramTotals[];
  /** Share of the tables that take every operation that is asked for. */
  readonly coverage: number;
}

/* Fewer operations prove nothing, whatever their figures are. */
const FEWEST_OPERATIONS = 100;

/** Looks at a condition over everything up to now. What was never measured fails: a test of nothing proves nothing. */
export function look(threshold: Threshold, measured: Measured): ThresholdResult {
  const value = figureOf(threshold, measured);
  const { condition, figure } = threshold;
  const operations = measured.totals.operations();
  const unjudged =
    value === null
      ? 'nothing was measured'
      : figure !== 'coverage' && operations < FEWEST_OPERATIONS
        ? `only ${operations} operations, ${FEWEST_OPERATIONS} are needed to judge it`
        : null;
  return { condition, value, passed: unjudged === null && holds(value!, threshold), unjudged };
}

function holds(value: number, { comparison, bound }: Threshold): boolean {
  switch (comparison) {
    case '<':
      return value < bound;
    case '<=':
      return value <= bound;
    case '>':
      return value > bound;
    case '>=':
      return value >= bound;
  }
}

function figureOf(threshold: Threshold, { totals, elapsedSeconds, lags, coverage }: Measured): number | null {
  const operations = totals.operations();
  const share = (count: number, of: number) => (of > 0 ? count / of : null);
  const perSecond = (count: number) => share(count, elapsedSeconds);
  switch (threshold.figure) {
    case 'response_seconds':
      return percentileOf(totals, 'response', threshold);
    case 'service_seconds':
      return percentileOf(totals, 'service', threshold);
    case 'replication_lag_seconds':
      return worst(lags.map(({ counts, maxMs }) => percentiles(counts, maxMs)?.[threshold.percentile] ?? null));
    case 'error_ratio':
      return share(totals.total('rejected') + totals.total('failed'), operations);
    case 'dropped_ratio':
      return share(totals.scalar('dropped'), operations + totals.scalar('dropped'));
    case 'late_ratio':
      return share(totals.scalar('late'), operations);
    case 'operations_per_second':
      return perSecond(operations);
    case 'events_per_second':
      return perSecond(totals.total('rows') + totals.total('cascaded') + totals.total('moved'));
    case 'coverage':
      return coverage;
    case 'rejected':
      return totals.total('rejected');
    case 'failed':
      return totals.total('failed');
    case 'retries':
      return totals.total('retriesValues') + totals.total('retriesTransient') + totals.total('retriesVacant');
    case 'reconnects':
      return totals.scalar('reconnects');
  }
}

/** Null where one of them was not measured: that one could be the worst. */
function worst(values: readonly (number | null)[]): number | null {
  return values.reduce<number | null>(
    (most, value) => (most === null || value === null ? null : Math.max(most, value)),
    0,
  );
}

/** Operations of the warm-up are in none of them. */
function percentileOf(
  totals: CounterTotals,
  latency: Latency,
  { percentile, operation }: Extract<Threshold, { readonly operation: unknown }>,
): number | null {
  const { counts, maxMs } = totals.merged([latency], operation === null ? undefined : [operation]);
  return percentiles(counts, maxMs)?.[percentile] ?? null;
}
