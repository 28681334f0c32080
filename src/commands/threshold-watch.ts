import type { Config } from '../config/load.js';
import type { Threshold } from '../config/threshold.js';
import type { ReplicationProbe } from '../lag/probe.js';
import { type Figures, figuresOf, look, type ThresholdResult } from '../report/thresholds.js';
import type { Traffic } from '../traffic/coordinator.js';

const INTERVAL_MS = 1000;
/* Figures of the first moments say little: a start-up, a cold cache. */
const GRACE_MS = 10_000;

/** Looks at a run's thresholds at its end and, where they are to abort it, while it runs. */
export class ThresholdWatch {
  private readonly config: Config;
  private readonly traffic: Traffic;
  private readonly startMs: number;
  private readonly probe: ReplicationProbe | null;
  private readonly coverage: () => number;
  private readonly timer: NodeJS.Timeout | undefined;
  /** What ended the run, as it was then. */
  private readonly failed = new Map<Threshold, ThresholdResult>();

  /** `abort`: ends the run early, where a threshold says so. */
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
      /** Share of the tables that take every operation. */
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
        // What nothing was measured of yet may still come.
        if (result.unjudged === null && !result.passed) this.failed.set(threshold, result);
      }
      const [first] = this.failed.keys();
      if (first !== undefined) abort(first.condition);
    }, INTERVAL_MS);
    this.timer.unref();
  }

  /** Ends nothing any more: the traffic is over. */
  stop(): void {
    clearInterval(this.timer);
  }

  /** How all of them came out, over the time that the traffic took. */
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
