import { expect, it } from 'vitest';
import { seedOf } from '../../src/random/seed.js';
import { Stream } from '../../src/random/stream.js';
import type { Point } from '../../src/report/series.js';
import { type Reading, trendOf } from '../../src/report/trend.js';
import { disturbancesOf, steepest, trendsOf } from '../../src/report/trends.js';

const HOURS = 3600;
const EMPTY_POINT: Omit<Point, 'time'> = {
  operations: 100,
  inserted: 0,
  updated: 0,
  deleted: 0,
  target: null,
  errors: 0,
  retries: 0,
  dropped: 0,
  late: 0,
  response_p50: null,
  response_p95: null,
  response_p99: null,
  service_p99: null,
  cpu_cores: 0,
  memory_bytes: 0,
  table_bytes: null,
  event_loop: 0,
  lag: {},
  slots: {},
};

/** Readings of a minute each, with noise of 5 % and a wild one now and then. */
function readings(hours: number, value: (hours: number) => number): Reading[] {
  const stream = Stream.of(seedOf(7n));
  return Array.from({ length: hours * 60 }, (_, minute) => {
    const wild = stream.chance(0.05) ? 20 : 1;
    return {
      from: minute * 60,
      to: (minute + 1) * 60,
      value: value(minute / 60) * (1 + (stream.fraction() - 0.5) / 10) * wild,
    };
  });
}

it('calls noise with outliers steady, and finds the slope of what grows or falls', () => {
  expect(
    trendOf(
      readings(72, () => 0.02),
      [],
    ),
  ).toMatchObject({ verdict: 'steady' });
  const grows = trendOf(
    readings(72, (hours) => 0.02 + 0.001 * hours),
    [],
  )!;
  expect(grows.verdict).toBe('grows');
  expect(grows.per_hour).toBeGreaterThan(0.00095);
  expect(grows.per_hour).toBeLessThan(0.00105);
  expect(grows.low).toBeLessThan(0.001);
  expect(grows.high).toBeGreaterThan(0.00095);
  expect(
    trendOf(
      readings(10, (hours) => 1000 - 30 * hours),
      [],
    ),
  ).toMatchObject({ verdict: 'falls' });
});

it('leaves the start-up out, and disturbed times', () => {
  // A cache fills in the first ten minutes; later each hour has a spike of twenty minutes, which gets worse.
  const spikes = Array.from({ length: 10 }, (_, hour) => ({ from: (hour + 0.5) * HOURS, to: (hour + 0.85) * HOURS }));
  const all = readings(10, (hours) => {
    if (hours < 1 / 6) return 5;
    return spikes.some(({ from, to }) => hours * HOURS >= from && hours * HOURS < to) ? 1 + hours : 1;
  });
  expect(trendOf(all, spikes)).toMatchObject({ verdict: 'steady' });
});

it('says nothing of less than an hour, or of a run that was disturbed most of the time', () => {
  expect(
    trendOf(
      readings(0.9, () => 1),
      [],
    ),
  ).toBeNull();
  expect(
    trendOf(
      readings(2, () => 1),
      [{ from: 0, to: 1.9 * HOURS }],
    ),
  ).toBeNull();
});

it('tells trends from the history of a run, without the phases that took less time', () => {
  const phaseAt = (seconds: number) => (seconds % HOURS < 1200 ? 'the spikes' : 'the time between spikes');
  const points = Array.from({ length: 12 * 60 }, (_, minute): Point => {
    const time = (minute + 1) * 60;
    const isSpike = phaseAt(time - 30) === 'the spikes';
    return {
      ...EMPTY_POINT,
      time,
      // Spikes get worse by the hour; between them only the memory grows.
      response_p99: isSpike ? time / 1000 : 0.01,
      memory_bytes: 2e8 + time * 1000,
      table_bytes: 5e9,
      slots: { consumer: 1e6 },
      lag: { standby: { p99: 0.05, oldest_unseen: 0, bytes: 0 } },
    };
  });
  const trends = trendsOf(points, disturbancesOf(points, phaseAt, []));
  expect(Object.fromEntries(Object.entries(trends).map(([name, { verdict }]) => [name, verdict]))).toEqual({
    'response_seconds p99': 'steady',
    'replication_lag_seconds p99 (standby)': 'steady',
    'retained_bytes (consumer)': 'steady',
    memory_bytes: 'grows',
    table_bytes: 'steady',
  });
  expect(steepest(trends, 'memory_bytes')! / HOURS).toBeCloseTo(1000, 0);
  expect(steepest(trends, 'replication_lag_seconds p99')).toBe(0);
  expect(steepest({}, 'memory_bytes')).toBeNull();
});
