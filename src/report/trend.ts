/** How a figure changes over a long run. */
export interface Trend {
  /** Change per hour, by the Theil–Sen estimator: the median of the slopes between all pairs of windows. */
  readonly per_hour: number;
  /** Bounds of its 99 % confidence interval. */
  readonly low: number;
  readonly high: number;
  /** Median of the figure itself. */
  readonly level: number;
  readonly verdict: 'steady' | 'grows' | 'falls';
}

/** A figure over a time, in seconds since the start of the run. */
export interface Reading {
  readonly from: number;
  readonly to: number;
  readonly value: number;
}

/** A time in which figures say nothing about the trend: an outage, a spike, a pause, the warm-up. */
export interface Disturbance {
  readonly from: number;
  readonly to: number;
}

/** Shorter runs have no trend: caches fill, tables grow into their working set. */
export const SHORTEST_SECONDS = 3600;
/* The first part of a run is a start-up, however long the run. */
const STARTUP_SECONDS = 600;
const STARTUP_SHARE = 0.1;
const MOST_WINDOWS = 240;
const SHORTEST_WINDOW_SECONDS = 60;
const FEWEST_WINDOWS = 20;
/* Readings of a window that must be undisturbed. */
const QUIET_SHARE = 0.5;
/* A change per hour below this share of the level is called steady, however sure it is. */
const NEGLIGIBLE = 0.01;
/* Of the normal distribution, for 99 %. */
const Z = 2.576;
const HOUR = 3600;

/**
 * Returns the trend of a figure, or null if the run is too short or too disturbed. Each window counts with the median of
 * its undisturbed readings, so that neither a slow second nor a vacuum tilts the line.
 */
export function trendOf(readings: readonly Reading[], disturbances: readonly Disturbance[]): Trend | null {
  const end = readings[readings.length - 1]?.to ?? 0;
  if (end < SHORTEST_SECONDS) return null;
  const start = Math.min(STARTUP_SECONDS, end * STARTUP_SHARE);
  const width = Math.max(SHORTEST_WINDOW_SECONDS, (end - start) / MOST_WINDOWS);
  const windows = windowsOf(
    readings.filter(({ from }) => from >= start),
    width,
    disturbances,
  );
  if (windows.length < FEWEST_WINDOWS) return null;
  const { slope, low, high } = theilSen(windows);
  const level = median(windows.map(({ value }) => value));
  const change = slope * HOUR;
  const isSure = low > 0 || high < 0;
  const isSteady = !isSure || Math.abs(change) <= NEGLIGIBLE * Math.abs(level);
  return {
    per_hour: change,
    low: low * HOUR,
    high: high * HOUR,
    level,
    verdict: isSteady ? 'steady' : change > 0 ? 'grows' : 'falls',
  };
}

interface Window {
  readonly seconds: number;
  readonly value: number;
}

function windowsOf(readings: readonly Reading[], width: number, disturbances: readonly Disturbance[]): Window[] {
  const groups = new Map<number, Reading[]>();
  for (const reading of readings) {
    const index = Math.floor(reading.from / width);
    groups.set(index, [...(groups.get(index) ?? []), reading]);
  }
  return [...groups].flatMap(([index, all]) => {
    const quiet = all.filter(({ from, to }) => !disturbances.some((each) => each.from < to && each.to > from));
    if (quiet.length === 0 || quiet.length < all.length * QUIET_SHARE) return [];
    return [{ seconds: (index + 0.5) * width, value: median(quiet.map(({ value }) => value)) }];
  });
}

/**
 * Returns the median of all pairwise slopes, per second, and the bounds of its 99 % confidence interval by the variance of
 * Kendall's statistic (Sen 1968, doi:10.1080/01621459.1968.10480934).
 */
function theilSen(windows: readonly Window[]): { slope: number; low: number; high: number } {
  const slopes: number[] = [];
  for (const [index, a] of windows.entries())
    for (const b of windows.slice(index + 1)) slopes.push((b.value - a.value) / (b.seconds - a.seconds));
  slopes.sort((a, b) => a - b);
  const n = windows.length;
  const deviation = Z * Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18);
  const at = (index: number) => slopes[Math.max(0, Math.min(slopes.length - 1, Math.round(index)))]!;
  return {
    slope: medianOfSorted(slopes),
    low: at((slopes.length - deviation) / 2),
    high: at((slopes.length + deviation) / 2),
  };
}

function median(values: readonly number[]): number {
  return medianOfSorted([...values].sort((a, b) => a - b));
}

function medianOfSorted(values: readonly number[]): number {
  const middle = values.length >> 1;
  return values.length % 2 === 1 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2;
}
