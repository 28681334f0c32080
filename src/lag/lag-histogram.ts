import type { HistogramTotals } from '../traffic/counters.js';
import { BUCKETS, bucketOf, percentiles } from '../traffic/histogram.js';

/** Lags in the buckets of all latencies. */
export class LagHistogram {
  private counts = new Float64Array(BUCKETS);
  private sumMs = 0;
  private maxMs = 0;

  observe(ms: number, times: number): void {
    this.counts[bucketOf(ms)]! += times;
    this.sumMs += ms * times;
    this.maxMs = Math.max(this.maxMs, ms);
  }

  copy(): LagHistogram {
    const copy = new LagHistogram();
    copy.counts = this.counts.slice();
    copy.sumMs = this.sumMs;
    copy.maxMs = this.maxMs;
    return copy;
  }

  totals(): HistogramTotals {
    return { counts: this.counts.slice(), sumMs: this.sumMs, maxMs: this.maxMs };
  }

  /** In milliseconds; null without observations. */
  median(): number | null {
    const found = percentiles(this.counts, this.maxMs);
    return found === null ? null : found.p50 * 1000;
  }
}
