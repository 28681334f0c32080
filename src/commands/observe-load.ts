import type { Loading } from '../bulk/coordinator.js';
import type { Config } from '../config/load.js';
import { Registries } from '../metrics/registry.js';
import { VERSION } from '../package.js';
import type { PageData, RunFacts, Status } from '../page/data.js';
import { reportHtml } from '../page/report.js';
import { type Counted, running } from '../page/status.js';
import type { Plan } from '../plan/plan.js';
import { type LoadSummary, loadCoverageTexts } from '../report/load.js';
import { type Moment, readMoment } from '../report/moment.js';
import { Recorder } from '../report/recorder.js';
import { type Point, pointBetween } from '../report/series.js';
import type { Watched } from './open-page.js';

interface ObservedLoad {
  readonly config: Config;
  readonly plan: Plan;
  readonly facts: RunFacts;
  readonly loading: Loading;
  /** Rows to load in total. */
  readonly wanted: number;
  /** Null if metrics are turned off. */
  readonly watched: Watched | null;
  /** Start of the load, in terms of `performance.now()`. */
  readonly startMs: number;
  /** SQLSTATE → one message. */
  readonly examples: ReadonlyMap<string, string>;
}

/** Shows a load while it runs, on the page and in the metrics, and keeps its history for the report. */
export class LoadObserver {
  private readonly observed: ObservedLoad;
  private readonly counted: Counted;
  private readonly recorder: Recorder;
  private readonly source;
  private last: { readonly point: Point; readonly moment: Moment } | null = null;

  constructor(observed: ObservedLoad) {
    this.observed = observed;
    const { plan, loading, facts, startMs, watched } = observed;
    const { totals } = loading;
    const { workers } = facts;
    const seconds = () => (performance.now() - startMs) / 1000;
    this.source = { totals, workers, seconds, arrivals: () => 0, replication: () => null, tableBytes: () => 0 };
    this.counted = { plan, totals, examples: observed.examples, outages: () => [], marks: () => [] };
    this.recorder = new Recorder({
      ...this.source,
      connections: plan.quotas.length,
      isScheduled: false,
      trafficSeconds: seconds,
      phaseAt: () => null,
      observe: (point, moment) => {
        this.last = { point, moment };
        watched?.page.tick(point);
      },
    });
    watched?.endpoint.serve(this.registries());
    watched?.page.begin(
      facts,
      () => this.recorder.points(),
      () => this.status(),
    );
  }

  /** Tells readers of the page that the load has ended. Returns its report. */
  async end(summary: LoadSummary): Promise<string> {
    const { exit, thresholds, elapsed_seconds: seconds } = summary;
    this.recorder.end();
    const { config, facts, loading, watched } = this.observed;
    const rows = loading.totals.total('rows');
    const status: Status = {
      ...this.status(),
      phase: 'finished',
      exit,
      elapsed_seconds: seconds,
      remaining_seconds: null,
      events_per_second: seconds > 0 ? rows / seconds : 0,
      thresholds,
      coverage: loadCoverageTexts(summary),
    };
    await watched?.page.end(status);
    const data: Omit<PageData, 'kind'> = {
      run: facts,
      points: this.recorder.points(),
      status,
      summary: null,
      configuration: config.source.withoutSecrets(),
      coverage: null,
    };
    return reportHtml(data);
  }

  private status(): Status {
    const moment = this.last?.moment ?? readMoment(this.source);
    const point = this.last?.point ?? pointBetween(moment, moment, false);
    return running(this.counted, moment, point, {
      phase: 'loading',
      remaining: this.remainingSeconds(moment),
      verdict: null,
      unit: 'operations',
      replication: null,
      rounds: [],
      thresholds: [],
      phases: [],
      coverage: null,
    });
  }

  private remainingSeconds({ seconds, counts: { inserted } }: Moment): number | null {
    if (inserted === 0) return null;
    return (seconds / inserted) * this.rowsLeft();
  }

  private rowsLeft(): number {
    const { wanted, loading } = this.observed;
    return Math.max(0, wanted - loading.totals.total('rows'));
  }

  private registries(): Registries {
    const { plan, loading, facts, config } = this.observed;
    return new Registries({
      plan,
      totals: loading.totals,
      workers: facts.workers,
      runId: facts.run_id,
      shard: null,
      version: VERSION,
      serverVersion: facts.server_version,
      tableLabelLimit: config.metrics.table_label_limit,
      remaining: () => this.rowsLeft(),
      remainingSeconds: () => this.remainingSeconds(this.last?.moment ?? readMoment(this.source)) ?? -1,
      phase: () => 'loading',
      replication: () => null,
      limit: () => null,
      achievedRate: () => this.last?.point.inserted ?? 0,
      targetRate: () => 0,
    });
  }
}
