import type { Config } from '../config/load.js';
import type { Threshold } from '../config/threshold.js';
import type { ReplicationProbe } from '../lag/probe.js';
import { type Figures, figuresOf, look, type ThresholdResult } from '../report/thresholds.js';
import type { Trends } from '../report/trends.js';
import type { Traffic } from '../traffic/coordinator.js';

const INTERVAL_MS = 1000;
/* Figures of the first seconds say little, because of startup and cold caches. */
const GRACE_MS = 10_000;
const TRENDS_MS = 60_000;

/** Judges a run's thresholds at its end, and those with `abort_on_fail` also during the run. */
export class ThresholdWatch {
  private readonly config: Config;
  private readonly traffic: Traffic;
  private readonly startMs: number;
  private readonly probe: ReplicationProbe | null;
  private readonly coverage: () => number;
  private readonly trends: () => Trends;
  private readonly timer: NodeJS.Timeout | undefined;
  private isOn = true;
  private trendsAtMs = Number.NEGATIVE_INFINITY;
  private known: Trends = {};
  /** The thresholds that ended the run, with their values at that time. */
  private readonly failed = new Map<Threshold, ThresholdResult>();

  /** `abort` ends the run early if a threshold demands it. */
  constructor(
    config: Config,
    traffic: Traffic,
    {
      startMs,
      probe,
      coverage,
      trends,
      abort,
    }: {
      readonly startMs: number;
      readonly probe: ReplicationProbe | null;
      /** Returns the share of tables on which every operation is possible. */
      readonly coverage: () => number;
      /** Returns how figures have changed so far. */
      readonly trends: () => Trends;
      readonly abort: (condition: string) => void;
    },
  ) {
    this.config = config;
    this.traffic = traffic;
    this.startMs = startMs;
    this.probe = probe;
    this.coverage = coverage;
    this.trends = trends;
    const aborting = config.thresholds.filter(({ abortOnFail }) => abortOnFail);
    if (aborting.length === 0) return;
    const quietMs = Math.max(GRACE_MS, config.traffic.warm_up);
    this.timer = setInterval(() => {
      if (this.traffic.elapsedMs() < quietMs) return;
      for (const threshold of aborting) {
        const result = look(threshold, this.measured((performance.now() - this.startMs) / 1000));
        // A figure that was not measured yet may still be.
        if (result.unjudged === null && !result.passed) this.failed.set(threshold, result);
      }
      const [first] = this.failed.keys();
      if (first !== undefined) abort(first.condition);
    }, INTERVAL_MS);
    this.timer.unref();
  }

  /** Stops judging, because the traffic is over. */
  stop(): void {
    clearInterval(this.timer);
    this.isOn = false;
  }

  /** Returns the results of all thresholds over the time of the traffic. */
  results(elapsedSeconds: number): readonly ThresholdResult[] {
    const measured = this.measured(elapsedSeconds);
    return this.config.thresholds.map((threshold) => this.failed.get(threshold) ?? look(threshold, measured));
  }

  /* A trend is slow to compute, and slow to change. */
  private trendsNow(): Trends {
    if (!this.config.thresholds.some(({ figure }) => figure === 'slope')) return {};
    const now = performance.now();
    if (now - this.trendsAtMs > TRENDS_MS || !this.isOn) {
      this.trendsAtMs = now;
      this.known = this.trends();
    }
    return this.known;
  }

  private measured(elapsedSeconds: number): Figures {
    return figuresOf({
      totals: this.traffic.totals,
      elapsedSeconds,
      lags: this.probe?.lagAtLeast() ?? [],
      coverage: this.coverage(),
      trends: this.trendsNow(),
    });
  }
}
