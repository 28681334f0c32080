import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BUCKETS, bucketOf, percentiles, upperEdgeSeconds } from '../../src/traffic/histogram.js';

it('every latency lies below its bucket’s edge and not below the one before', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.0011, max: 900_000, noNaN: true }), (ms) => {
      const bucket = bucketOf(ms);
      expect(ms / 1000).toBeLessThanOrEqual(upperEdgeSeconds(bucket) * (1 + 1e-9));
      if (bucket > 0) expect(ms / 1000).toBeGreaterThanOrEqual(upperEdgeSeconds(bucket - 1) * (1 - 1e-9));
    }),
  );
});

it('percentiles are those of the observations, to the bucket', () => {
  const counts = new Float64Array(BUCKETS);
  for (let ms = 1; ms <= 1000; ms++) counts[bucketOf(ms)]!++;
  const found = percentiles(counts, 1000)!;
  expect(found.p50).toBeCloseTo(0.51, 2);
  expect(found.p99).toBeCloseTo(1, 2);
  expect(found.max).toBe(1);
  expect(percentiles(new Float64Array(BUCKETS), 0)).toBeNull();
});
