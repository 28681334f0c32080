import type { Config } from '../config/load.js';
import type { Threshold } from '../config/threshold.js';
import type { ReplicationProbe } from '../lag/probe.js';
import { type Figures, figuresOf, look, type ThresholdResult } from '../report/thresholds.js';
import type { Traffic } from '../traffic/coordinator.js';

const INTERVAL_MS = 1000;
/* Figures of the first seconds say little, because of startup and cold caches. */
const GRACE_MS = 10_000;

/** Judges a run's thresholds at its end, and those with `abort_on_fail` also during the run. */
export class ThresholdWatch {
  private readonly config: Config;
  private readonly traffic: Traffic;
  private readonly startMs: number;
  private readonly probe: ReplicationProbe | null;
  private readonly coverage: () => number;
  private readonly timer: NodeJS.Timeout | undefined;
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
      abort,
    }: {
      readonly startMs: number;
      readonly probe: ReplicationProbe | null;
      /** Returns the share of tables on which every operation is possible. */
      readonly coverage: () => number;
      readonly abort: (condition: string) => void;
    },
  ) {
    this.config = config;
    this.traffic = traffic;
    this.startMs = startMs;
    this.probe = probe;
    this.coverage = coverage;
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
  }

  /** Returns the results of all thresholds over the time of the traffic. */
  results(elapsedSeconds: number): readonly ThresholdResult[] {
    const measured = this.measured(elapsedSeconds);
    return this.config.thresholds.map((threshold) => this.failed.get(threshold) ?? look(threshold, measured));
  }

  private measured(elapsedSeconds: number): Figures {
    return figuresOf({
      totals: this.traffic.totals,
      elapsedSeconds,
      lags: this.probe?.lagAtLeast() ?? [],
      coverage: this.coverage(),
    });
  }
}
