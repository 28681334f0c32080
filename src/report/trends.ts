import type { SlopeFigure } from '../config/threshold.js';
import type { Point } from './series.js';
import { type Disturbance, type Reading, type Trend, trendOf } from './trend.js';

/** Trends by figure; the lag and the retained log have the name of their target or slot in brackets. */
export type Trends = Readonly<Record<string, Trend>>;

/** Returns the trends of all figures of a run; empty if it was too short. */
export function trendsOf(points: readonly Point[], disturbances: readonly Disturbance[]): Trends {
  const last = points[points.length - 1];
  if (last === undefined) return {};
  const figures: [name: string, value: (point: Point) => number | null][] = [
    ['response_seconds p99', (point) => point.response_p99],
    ...Object.keys(last.lag).map((target): (typeof figures)[number] => [
      `replication_lag_seconds p99 (${target})`,
      ({ lag }) => {
        const of = lag[target];
        return of === undefined ? null : Math.max(of.oldest_unseen, of.p99 ?? 0);
      },
    ]),
    ...Object.keys(last.slots).map((slot): (typeof figures)[number] => [
      `retained_bytes (${slot})`,
      ({ slots }) => slots[slot] ?? null,
    ]),
    ['memory_bytes', (point) => point.memory_bytes],
    ['table_bytes', (point) => point.table_bytes],
  ];
  return Object.fromEntries(
    figures.flatMap(([name, value]) => {
      const trend = trendOf(readingsOf(points, value), disturbances);
      return trend === null ? [] : [[name, trend]];
    }),
  );
}

function readingsOf(points: readonly Point[], read: (point: Point) => number | null): Reading[] {
  let from = 0;
  return points.flatMap((point): Reading[] => {
    const reading = { from, to: point.time, value: read(point) };
    from = point.time;
    return reading.value === null ? [] : [{ ...reading, value: reading.value }];
  });
}

/** Returns the steepest slope per hour of a figure, over all targets or slots; null if it has no trend. */
export function steepest(trends: Trends, figure: SlopeFigure): number | null {
  const slopes = Object.entries(trends)
    .filter(([name]) => name === figure || name.startsWith(`${figure} (`))
    .map(([, { per_hour: slope }]) => slope);
  return slopes.length === 0 ? null : Math.max(...slopes);
}

/**
 * Returns the times that say nothing about a trend: those given, and every phase of the schedule but the one that took
 * most of the run, because another rate has other latencies.
 */
export function disturbancesOf(
  points: readonly Point[],
  phaseAt: (seconds: number) => string | null,
  known: readonly Disturbance[],
): Disturbance[] {
  let from = 0;
  const spans = points.map(({ time }) => {
    const span = { from, to: time, phase: phaseAt((from + time) / 2) };
    from = time;
    return span;
  });
  const seconds = new Map<string, number>();
  for (const { from: start, to, phase } of spans)
    if (phase !== null) seconds.set(phase, (seconds.get(phase) ?? 0) + to - start);
  const [longest] = [...seconds].reduce<[string | null, number]>(
    (most, each) => (each[1] > most[1] ? each : most),
    [null, 0],
  );
  return [...known, ...spans.filter(({ phase }) => phase !== null && phase !== longest)];
}
