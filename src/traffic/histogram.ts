/**
 * Latencies in fixed buckets: 90 linear ones per decade from 1 µs to 100,000 s, so that every decimal bound with two
 * digits is a bucket's edge and the error stays below 10 % of the first digit. Histograms are added, percentiles never
 * averaged.
 */
const DECADES = 11;
const PER_DECADE = 90;
export const BUCKETS = DECADES * PER_DECADE + 1;

/** The bucket of a latency in milliseconds. */
export function bucketOf(latencyMs: number): number {
  let scaled = latencyMs * 1000;
  if (!(scaled > 1)) return 0;
  let decade = 0;
  while (scaled >= 10 && decade < DECADES) {
    scaled /= 10;
    decade++;
  }
  if (decade === DECADES) return BUCKETS - 1;
  return decade * PER_DECADE + Math.floor((scaled - 1) * 10);
}

/** A bucket's upper edge in seconds; every latency in it is below. */
export function upperEdgeSeconds(bucket: number): number {
  const decade = Math.floor(bucket / PER_DECADE);
  const step = bucket - decade * PER_DECADE;
  return (Number(`1e${decade}`) * (11 + step)) / 10 / 1e6;
}

export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Percentiles in seconds, each the upper edge of the bucket it falls into (never above the maximum); null without observations. */
export function percentiles(counts: Float64Array, maxMs: number): Percentiles | null {
  let total = 0;
  for (const count of counts) total += count;
  if (total === 0) return null;
  const max = maxMs / 1000;
  const at = (share: number) => {
    let seen = 0;
    for (let bucket = 0; bucket < counts.length; bucket++) {
      seen += counts[bucket]!;
      // The last bucket has no upper edge.
      if (seen >= share * total) return bucket === BUCKETS - 1 ? max : Math.min(max, upperEdgeSeconds(bucket));
    }
    return max;
  };
  return { p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99), p999: at(0.999), max };
}
