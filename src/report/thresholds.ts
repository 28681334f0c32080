import type { SlopeFigure, Threshold } from '../config/threshold.js';
import type { OperationKind } from '../plan/plan.js';
import type { CounterTotals, HistogramTotals } from '../traffic/counters.js';
import { type Percentiles, percentiles } from '../traffic/histogram.js';
import { figure } from './figures.js';
import { SHORTEST_SECONDS } from './trend.js';
import { steepest, type Trends } from './trends.js';

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
  /** How figures have changed so far; empty in runs of less than an hour. */
  readonly trends: Trends;
  /** Share of the tables that take every operation that is asked for. */
  readonly coverage: number;
}

/** Figures that conditions are about. */
export interface Figures {
  readonly operations: number;
  readonly rejected: number;
  readonly failed: number;
  readonly dropped: number;
  readonly late: number;
  readonly retries: number;
  readonly reconnects: number;
  readonly events: number;
  readonly seconds: number;
  readonly coverage: number;
  /** `operation` null: of all of them; null where there are none. Operations of the warm-up are in none of them. */
  readonly latency: (
    latency: 'response' | 'service',
    operation: OperationKind | null,
    percentile: keyof Percentiles,
  ) => number | null;
  /** Change per hour; null without a trend. */
  readonly slope: (figure: SlopeFigure) => number | null;
  /** Of each target; null where none of its heartbeats was measured. */
  readonly lags: (percentile: keyof Percentiles) => readonly (number | null)[];
}

export function figuresOf({ totals, elapsedSeconds, lags, coverage, trends }: Measured): Figures {
  return {
    operations: totals.operations(),
    rejected: totals.total('rejected'),
    failed: totals.total('failed'),
    dropped: totals.scalar('dropped'),
    late: totals.scalar('late'),
    retries: totals.total('retriesValues') + totals.total('retriesTransient') + totals.total('retriesVacant'),
    reconnects: totals.scalar('reconnects'),
    events: totals.total('rows') + totals.total('cascaded') + totals.total('moved'),
    seconds: elapsedSeconds,
    coverage,
    latency: (latency, operation, percentile) => {
      const { counts, maxMs } = totals.merged([latency], operation === null ? undefined : [operation]);
      return percentiles(counts, maxMs)?.[percentile] ?? null;
    },
    slope: (figure) => steepest(trends, figure),
    lags: (percentile) => lags.map(({ counts, maxMs }) => percentiles(counts, maxMs)?.[percentile] ?? null),
  };
}

/* Fewer operations prove nothing, whatever their figures are. */
const FEWEST_OPERATIONS = 100;

/** Judges a condition by a figure that was measured. */
export function judge(threshold: Threshold, value: number): ThresholdResult {
  return { condition: threshold.condition, value, passed: holds(value, threshold), unjudged: null };
}

/** Looks at a condition over everything up to now. A threshold on something that was never measured is not met. */
export function look(threshold: Threshold, figures: Figures): ThresholdResult {
  const value = figureOf(threshold, figures);
  const { figure: name } = threshold;
  const { operations } = figures;
  const unjudged =
    value === null
      ? name === 'slope'
        ? `a slope needs ${SHORTEST_SECONDS / 3600} hour of a run that is mostly undisturbed`
        : 'nothing was measured'
      : name !== 'coverage' && operations < FEWEST_OPERATIONS
        ? `only ${operations} operations; at least ${FEWEST_OPERATIONS} are needed to judge it`
        : null;
  if (unjudged === null) return judge(threshold, value!);
  return { condition: threshold.condition, value, passed: false, unjudged };
}

/** Returns a condition with its value, and whether it is met. */
export function thresholdText({ condition, value, passed, unjudged }: ThresholdResult): string {
  return `${passed ? '✓' : '✗'} ${condition}: ${unjudged ?? figure(value!)}`;
}

/** Conditions that are not met, with their figures; null where all are. */
export function missedText(results: readonly ThresholdResult[]): string | null {
  const missed = results.filter(({ passed }) => !passed);
  if (missed.length === 0) return null;
  const told = missed.map(
    ({ condition, value, unjudged }) => `${condition} (${unjudged ?? Number(value!.toPrecision(3))})`,
  );
  return `not met: ${told.join(', ')}`;
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

function figureOf(threshold: Threshold, figures: Figures): number | null {
  const { operations, seconds, dropped } = figures;
  const share = (count: number, of: number) => (of > 0 ? count / of : null);
  switch (threshold.figure) {
    case 'response_seconds':
      return figures.latency('response', threshold.operation, threshold.percentile);
    case 'service_seconds':
      return figures.latency('service', threshold.operation, threshold.percentile);
    case 'replication_lag_seconds':
      return worst(figures.lags(threshold.percentile));
    case 'slope':
      return figures.slope(threshold.of);
    case 'error_ratio':
      return share(figures.rejected + figures.failed, operations);
    case 'dropped_ratio':
      return share(dropped, operations + dropped);
    case 'late_ratio':
      return share(figures.late, operations);
    case 'operations_per_second':
      return share(operations, seconds);
    case 'events_per_second':
      return share(figures.events, seconds);
    default:
      return figures[threshold.figure];
  }
}

/** Null where one of them was not measured: that one could be the worst. */
function worst(values: readonly (number | null)[]): number | null {
  return values.reduce<number | null>(
    (most, value) => (most === null || value === null ? null : Math.max(most, value)),
    0,
  );
}
