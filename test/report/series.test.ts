import { expect, it } from 'vitest';
import type { Moment } from '../../src/report/moment.js';
import { Series } from '../../src/report/series.js';
import { BUCKETS, bucketOf } from '../../src/traffic/histogram.js';

/** A run of a steady 100 operations a second that take 2 ms, with one step in which they take 3 s. */
function moments(seconds: number, slowSecond: number, step: number): Generator<Moment> {
  const response = new Float64Array(BUCKETS);
  const service = new Float64Array(BUCKETS);
  const lag = new Float64Array(BUCKETS);
  return (function* () {
    for (let second = 0; second <= seconds; second += step) {
      if (second > 0) {
        response[bucketOf(second === slowSecond ? 3000 : 2)]! += 100 * step;
        service[bucketOf(1)]! += 100 * step;
        lag[bucketOf(0.5)]! += 20 * step;
      }
      yield {
        seconds: second,
        counts: {
          operations: second * 100,
          inserted: second * 200,
          updated: second * 50,
          deleted: second * 10,
          errors: second >= slowSecond ? 7 : 0,
          retries: 0,
          reconnects: 0,
          dropped: 0,
          late: 0,
          arrivals: second * 100,
          cpuSeconds: second / 4,
        },
        gauges: { rssBytes: second === slowSecond ? 9e8 : 2e8, eventLoopSeconds: 0.001, tableBytes: 1e6 * second },
        response: response.slice(),
        service: service.slice(),
        slots: { standby: second === slowSecond ? 5e9 : 1e6 },
        targets: [
          { target: 'standby', lag: lag.slice(), oldestUnseenSeconds: second === slowSecond ? 2.5 : 0, bytesBehind: 0 },
        ],
      };
    }
  })();
}

function history(seconds: number, slowSecond: number, step = 1): Series {
  const source = moments(seconds, slowSecond, step);
  const series = new Series(source.next().value as Moment, true);
  for (const moment of source) series.add(moment);
  return series;
}

it('keeps the first half hour second by second', () => {
  const points = history(1800, 900).points();
  expect(points).toHaveLength(1800);
  expect(points[899]).toMatchObject({ time: 900, operations: 100, target: 100, errors: 7, memory_bytes: 9e8 });
  expect(points[899]!.response_p99).toBeGreaterThan(2.9);
  expect(points[898]!.response_p99).toBeLessThan(0.0022);
});

it('thins three days without cutting anything off, and keeps percentiles exact', () => {
  const seconds = 72 * 3600;
  const slowSecond = 123_450;
  // A tenth of the moments of a run, which thins as it does: by their number.
  const points = history(seconds, slowSecond, 10).points();
  expect(points.length).toBeGreaterThan(1000);
  expect(points.length).toBeLessThanOrEqual(2000);
  expect(points[points.length - 1]!.time).toBeCloseTo(seconds, -2);
  let before = 0;
  let operations = 0;
  let errors = 0;
  for (const { time, operations: rate, errors: errorRate } of points) {
    expect(time).toBeGreaterThan(before);
    operations += rate * (time - before);
    errors += errorRate * (time - before);
    before = time;
  }
  expect(operations / (seconds * 100)).toBeCloseTo(1, 2);
  expect(errors).toBeCloseTo(7, 1);
  // Ten slow seconds are more than a hundredth of the interval that they fall into.
  expect(points.filter(({ response_p99: p99 }) => p99! > 1)).toHaveLength(1);
  expect(points.filter(({ memory_bytes: bytes }) => bytes === 9e8)).toHaveLength(1);
  expect(points.filter(({ lag }) => lag['standby']!.oldest_unseen === 2.5)).toHaveLength(1);
  expect(points.filter(({ slots }) => slots['standby'] === 5e9)).toHaveLength(1);
  // As a report holds it.
  expect(JSON.stringify(points).length).toBeLessThan(1_000_000);
});

it('adds a last moment that comes right behind another to the time before it', () => {
  const source = moments(20, 5, 1);
  const series = new Series(source.next().value as Moment, false);
  let last: Moment | undefined;
  for (const moment of source) {
    series.add(moment);
    last = moment;
  }
  series.close({ ...last!, seconds: 20.1, counts: { ...last!.counts, operations: 2050 } });
  const points = series.points();
  expect(points).toHaveLength(20);
  expect(points[19]).toMatchObject({ time: 20.1, target: null });
  expect(points[19]!.operations).toBeCloseTo(150 / 1.1, 1);
});
