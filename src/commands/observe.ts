import type { Config } from '../config/load.js';
import { Registries } from '../metrics/registry.js';
import { VERSION } from '../package.js';
import type { RunFacts, Status } from '../page/data.js';
import { marksOf } from '../page/marks.js';
import { type Counted, ended as endedStatus, running as runningStatus } from '../page/status.js';
import type { CoverageSummary } from '../report/coverage.js';
import { remainingSeconds, TrafficMeter } from '../report/meter.js';
import { type Moment, readMoment } from '../report/moment.js';
import { Recorder } from '../report/recorder.js';
import { type Point, pointBetween } from '../report/series.js';
import type { Summary } from '../report/summary.js';
import type { Traffic } from '../traffic/coordinator.js';
import type { Timetable } from '../traffic/schedule.js';
import { SilentThreads } from '../traffic/silent-threads.js';
import type { TableSizes } from '../traffic/table-sizes.js';
import type { Job } from './carry-out.js';
import type { LagBenchmark } from './lag.js';
import type { LoadControl } from './load-control.js';
import type { Notices } from './notices.js';
import type { StopSignals } from './stop-signals.js';
import type { ThresholdWatch } from './threshold-watch.js';
import type { VerifyRounds } from './verify/rounds.js';

/** Starts everything that shows a run while it is running: metrics, live line, page, history. */
export function observe(
  { config, prepared, runId, progress, stops, endpoint, page, probe, shard }: Job,
  running: {
    readonly traffic: Traffic;
    readonly schedule: Timetable | null;
    readonly control: LoadControl;
    readonly benchmark: LagBenchmark | null;
    readonly rounds: VerifyRounds | null;
    readonly facts: RunFacts;
    readonly startMs: number;
    readonly notices: Notices;
    readonly sizes: TableSizes;
    readonly thresholds: ThresholdWatch;
    readonly coverage: () => CoverageSummary;
  },
) {
  const { traffic, schedule, control, benchmark, rounds, facts, startMs, notices, sizes, thresholds, coverage } =
    running;
  const { plan } = prepared;
  const { totals, workers } = traffic;
  const quotas = traffic.lanes.map((lane) => plan.quotas[lane]!);
  const total = quotas.some((quota) => quota < 0) ? -1 : quotas.reduce((sum, quota) => sum + quota, 0);
  const trafficSeconds = () => traffic.elapsedMs() / 1000;
  const replication = () => probe?.read() ?? null;
  const silent = new SilentThreads(totals, workers, traffic.lanes.length);
  const phase = () =>
    silent.find() ??
    missingLanes(traffic, startMs) ??
    pausedPhase(control) ??
    (stops.signal === null ? benchmark?.phase : undefined) ??
    phaseOf(stops, trafficSeconds(), config);
  const endSeconds = schedule?.end ?? (config.traffic.duration ?? Number.POSITIVE_INFINITY) / 1000;
  const end = () => (benchmark === null ? endSeconds : Math.max(0, trafficSeconds()) + benchmark.secondsLeft);
  const source = {
    totals,
    workers,
    seconds: () => (performance.now() - startMs) / 1000,
    arrivals: () => schedule?.arrivals(trafficSeconds()) ?? 0,
    replication,
    tableBytes: () => sizes.bytes,
  };
  const metered = { moment: () => readMoment(source), total, end, elapsedSeconds: trafficSeconds, phase };
  const counted: Counted = {
    plan,
    totals,
    examples: notices.examples,
    outages: () => notices.outages.spans(),
    marks: () => {
      const now = source.seconds();
      const offset = now - trafficSeconds();
      // What the schedule would have done after its end did not happen.
      return marksOf(config.traffic, control, { offset, until: Math.min(now, offset + end()) });
    },
  };
  let last: { readonly point: Point; readonly moment: Moment } | null = null;
  const recorder = new Recorder({
    ...source,
    connections: traffic.lanes.length,
    isScheduled: schedule !== null,
    trafficSeconds,
    phaseAt: (seconds) => schedule?.phaseAt(seconds) ?? null,
    observe: (point, moment) => {
      last = { point, moment };
      page?.tick(point);
    },
  });
  const registries = new Registries({
    plan,
    totals,
    workers,
    runId,
    shard: shard?.shard.index ?? null,
    version: VERSION,
    serverVersion: facts.server_version,
    tableLabelLimit: config.metrics.table_label_limit,
    remaining: () => (total < 0 ? -1 : total - totals.operations()),
    remainingSeconds: () => {
      if (stops.signal !== null) return 0;
      return remainingSeconds(metered, last?.moment ?? readMoment(source)) ?? -1;
    },
    phase: () => phaseName(stops, trafficSeconds(), config, schedule),
    replication,
    limit: () => recorder.limit(),
    achievedRate: () => {
      if (last === null) return 0;
      const { operations, inserted, updated, deleted } = last.point;
      return config.traffic.rate_unit === 'events' ? inserted + updated + deleted : operations;
    },
    targetRate: () => finite(schedule?.rateAt(Math.max(0, trafficSeconds())) ?? 0),
  });
  endpoint?.serve(registries);
  progress.start(new TrafficMeter(metered));
  const status = (): Status => {
    const moment = last?.moment ?? readMoment(source);
    const point = last?.point ?? pointBetween(moment, moment, schedule !== null);
    const remaining = remainingSeconds(metered, moment);
    const verdict = recorder.verdict();
    const { rate_unit: unit } = config.traffic;
    return runningStatus(counted, moment, point, {
      phase: phase() ?? 'running',
      remaining,
      verdict,
      unit,
      replication: replication(),
      rounds: rounds?.rounds ?? [],
      thresholds: thresholds.results(moment.seconds),
      phases: recorder.phaseVerdicts(),
      coverage: coverage(),
    });
  };
  page?.begin(facts, () => recorder.points(), status);
  return {
    total,
    registries,
    recorder,
    status,
    /** Returns the final status, from the summary. */
    ended: (summary: Summary): Status => endedStatus(counted, summary),
  };
}

/* An unlimited rate is not a target rate. */
function finite(rate: number): number {
  return Number.isFinite(rate) ? rate : 0;
}

/* Of a closed set of names, as labels must be. */
function phaseName(stops: StopSignals, seconds: number, { traffic }: Config, schedule: Timetable | null): string {
  if (stops.signal !== null) return 'stopping';
  if (seconds < 0) return 'connecting';
  if (seconds * 1000 < traffic.warm_up) return 'warm-up';
  return schedule?.phaseAt(seconds) ?? 'traffic';
}

function pausedPhase({ pausedBecause: reason }: LoadControl): string | null {
  return reason === null ? null : `paused: ${reason}`;
}

/* Lanes may take this long to connect at the start. */
const CONNECTING_MS = 3000;

/** Returns how many lanes are connected if some are not; null otherwise. */
function missingLanes({ totals, lanes: { length: lanes } }: Traffic, startMs: number): string | null {
  const connected = totals.scalar('lanesConnected');
  if (performance.now() - startMs < CONNECTING_MS || connected + totals.scalar('lanesEnded') >= lanes) return null;
  return `${connected} of ${lanes} lanes connected`;
}

/** Returns the phase of the traffic if it is not the ordinary one. */
function phaseOf(stops: StopSignals, elapsedSeconds: number, { traffic }: Config): string | null {
  if (stops.signal !== null) return 'stopping';
  if (elapsedSeconds < 0) return 'connecting';
  if (elapsedSeconds * 1000 < traffic.warm_up) return 'warm-up';
  const { stages } = traffic;
  if (stages.length < 2) return null;
  let endMs = 0;
  const current = stages.findIndex(({ duration }) => {
    endMs += duration ?? Number.POSITIVE_INFINITY;
    return elapsedSeconds * 1000 < endMs;
  });
  return current < 0 ? null : `stage ${current + 1}/${stages.length}`;
}
