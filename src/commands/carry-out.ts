import { labelOf } from '../catalog/model.js';
import type { Config } from '../config/load.js';
import type { ReplicationProbe } from '../lag/probe.js';
import type { Endpoint } from '../metrics/endpoint.js';
import type { Registries } from '../metrics/registry.js';
import type { RunFacts, Status } from '../page/data.js';
import type { LivePage } from '../page/live.js';
import type { Plan } from '../plan/plan.js';
import { connectCoordinator } from '../prepare/connect.js';
import { type Prepared, wantedOperations } from '../prepare/examine.js';
import { type CoverageSummary, coverageOf, coverageShare } from '../report/coverage.js';
import type { Progress } from '../report/progress.js';
import { triggeredRelations } from '../report/row-counts.js';
import type { Point } from '../report/series.js';
import type { Summary } from '../report/summary.js';
import { disturbancesOf, type Trends, trendsOf } from '../report/trends.js';
import { BlockWatch } from '../traffic/block-watch.js';
import { startTraffic, type Traffic, type TrafficEnd } from '../traffic/coordinator.js';
import type { IndexBuilder } from '../traffic/indexes.js';
import type { Pacing } from '../traffic/pacer.js';
import type { Timetable } from '../traffic/schedule.js';
import { partOf } from '../traffic/schedule.js';
import { SchemaWatch } from '../traffic/schema-watch.js';
import { TableSizes } from '../traffic/table-sizes.js';
import type { Workers } from '../traffic/workers.js';
import type { TrapRunner } from '../traps/runner.js';
import { BoundedStop } from './bounded-stop.js';
import { exitOf } from './exit.js';
import { factsOf } from './facts.js';
import type { HistoryWriter } from './history-writer.js';
import { backlogSecondsOf, LagBenchmark, type LagOptions } from './lag.js';
import { LoadControl } from './load-control.js';
import { Notices } from './notices.js';
import { observe } from './observe.js';
import { pacingOf, type RunPacing } from './pacing.js';
import type { ShardedRun } from './sharded.js';
import type { StopSignals } from './stop-signals.js';
import { ThresholdWatch } from './threshold-watch.js';
import { summaryOf } from './to-summary.js';
import { VerifyRounds } from './verify/rounds.js';

/** Traffic that is ready to start, and the tasks beside it. */
export interface Job {
  readonly config: Config;
  readonly prepared: Prepared;
  readonly runId: string;
  readonly progress: Progress;
  readonly stops: StopSignals;
  readonly endpoint: Endpoint | undefined;
  readonly page: LivePage | undefined;
  readonly workers: Workers;
  readonly indexBuilder: IndexBuilder | null;
  readonly probe: ReplicationProbe | null;
  /** Null if one process runs all lanes. */
  readonly shard: ShardedRun | null;
  /** When the first operation may begin, in terms of `performance.now()`; null: at once. */
  readonly startAtMs: number | null;
  /** Null if none are configured. */
  readonly traps: TrapRunner | null;
  /** The benchmark that the traffic is for; null for a run. */
  readonly lag: LagOptions | null;
  /** Null if no history is written. */
  readonly history: HistoryWriter | null;
  /** Counts the rows of relations of the plan after the traffic; null for rows that cannot be counted. */
  readonly countRows: (relations: readonly number[]) => Promise<ReadonlyMap<number, number | null>>;
  /** Receives the results so far if a second signal forces the end. */
  readonly forced: (sofar: Seen & { readonly summary: Summary }) => void;
}

/** The data that page and report show. */
interface Seen {
  readonly facts: RunFacts;
  readonly points: readonly Point[];
  readonly status: Status;
}

/** The results of a run. */
export interface Done extends Seen {
  readonly summary: Summary;
  readonly registries: Registries;
}

/** Runs the traffic, from its first operation to its summary. */
export async function carryOut(job: Job): Promise<Done> {
  // The time in which shards wait for each other does not count.
  const startMs = job.startAtMs ?? performance.now();
  const startedAt = new Date(Math.round(performance.timeOrigin + startMs));
  const cpuBefore = process.cpuUsage();
  const { config, progress, stops, probe } = job;
  const paced = pacingOf(config, job.prepared.plan.randomSeed, job.lag === null ? null : backlogSecondsOf(job.lag));
  const notices = new Notices(job.prepared, progress, startMs, () => watched.schema.hurry());
  const traffic = begin(job, paced.pacing, notices);
  const trends = () => trendsSoFar(job, observed.recorder.points(), schedule, notices, watched.control);
  const coverage = () =>
    coverageOf(job.prepared.plan, job.prepared.findings, wantedOperations(config), notices.leftOut(traffic.totals));
  const watched = watch(job, traffic, paced, { startMs, trends, coverage });
  const { stop, benchmark } = watched;
  const facts = factsOf(job.prepared.plan, {
    command: 'run',
    run_id: job.runId,
    started_at: startedAt.toISOString(),
    connection: config.connection,
    server_version: job.prepared.catalog.server.versionText,
    workers: traffic.workers,
  });
  // A benchmark sets the rate itself, so there is no target rate.
  const share = traffic.lanes.length / job.prepared.plan.quotas.length;
  const schedule = benchmark === null && paced.timetable !== null ? partOf(paced.timetable, share) : null;
  const observed = observe(job, { ...watched, traffic, schedule, facts, startMs, notices, coverage });
  const toSummary = { job, traffic, notices, schedule, startedAt };
  stops.onFirst((signal) => {
    progress.message('info', `${signal}: stopping; operations in flight finish first (a second signal ends at once)`);
    benchmark?.interrupt(`stopped by ${signal}`);
    stop.begin();
  });
  stops.beforeForced((exit) => {
    const summary = summaryOf(toSummary, {
      elapsedSeconds: (performance.now() - startMs) / 1000,
      trafficSeconds: trafficSecondsOf(traffic),
      exit,
      thresholds: [],
      cpuSeconds: secondsOf(process.cpuUsage(cpuBefore)),
      usageAtStart: observed.recorder.usageAtStart,
      isCutShort: true,
      changes: { changed: [], gone: [] },
      rowsAtEnd: new Map(),
      replication: null,
    });
    job.forced({ summary, facts, points: observed.recorder.points(), status: { ...observed.status(), exit } });
  });
  job.history?.follow(traffic.totals, job.prepared.plan.quotas.length);
  job.indexBuilder?.start();
  job.traps?.start(() => watched.control.pausedBecause !== null);
  probe?.start();
  const end = await traffic.ended;
  const elapsedSeconds = Math.max(0, performance.now() - startMs) / 1000;
  const trafficSeconds = trafficSecondsOf(traffic);
  const cpuSeconds = secondsOf(process.cpuUsage(cpuBefore));
  watched.end();
  notices.outages.end();
  observed.recorder.end();
  const atEnd = await afterwards(job, watched, end);
  const thresholds = watched.thresholds.results(elapsedSeconds);
  progress.stop();
  const { plan } = job.prepared;
  const isThrough = observed.total >= 0 && traffic.totals.operations() >= observed.total;
  const { verification, lag, changes } = atEnd;
  const phases = observed.recorder.phaseVerdicts();
  const trended = trends();
  const summary = summaryOf(toSummary, {
    ...atEnd,
    elapsedSeconds,
    trafficSeconds,
    exit: exitOf(end, traffic, {
      maxErrorRatio: config.generator.error_budget.max_error_ratio,
      thresholds,
      signal: stops.signal,
      verification: verification ?? [],
      timeUp: timeUpOf(config, trafficSeconds, watched.timeUp, isThrough || paced.timetable === null),
      isGone: changes.gone.length > 0 && changes.gone.length === targetedIn(plan),
      endedBy: watched.endedBy,
      lag,
      isShard: job.shard !== null,
    }),
    thresholds,
    cpuSeconds,
    usageAtStart: observed.recorder.usageAtStart,
    verdict_phases: phases.length === 0 ? undefined : phases,
    trends: Object.keys(trended).length === 0 ? undefined : trended,
    isCutShort: false,
    rowsAtEnd: await job.countRows(triggeredRelations(plan)),
  });
  const status = observed.ended(summary);
  await job.page?.end(status);
  return { summary, registries: observed.registries, facts, points: observed.recorder.points(), status };
}

/** Returns the seconds since all lanes were connected. */
function trafficSecondsOf(traffic: Traffic): number {
  return Math.max(0, traffic.elapsedMs() / 1000);
}

function begin(job: Job, pacing: Pacing | null, notices: Notices): Traffic {
  const { config, prepared, runId } = job;
  const { generator, traffic } = config;
  const { plan, claims } = job.shard?.begins(prepared) ?? prepared;
  return startTraffic({
    plan,
    lanes: job.shard?.lanes ?? [...prepared.plan.quotas.keys()],
    startAtMs: job.startAtMs,
    claims,
    incarnation: prepared.incarnation,
    connection: config.connection,
    workers: job.workers,
    runId,
    timeouts: generator.timeouts,
    maxOutageMs: generator.max_outage_seconds * 1000,
    maxPreparedStatements: generator.max_prepared_statements,
    waitAfterOperations: generator.wait_after_operations,
    waitMs: generator.wait_duration_seconds * 1000,
    pacing,
    warmUpMs: traffic.warm_up,
    lateAfterMs: traffic.late_after,
    notice: notices.take,
    historyFile: job.history?.file ?? null,
    past: job.shard?.past ?? null,
    keeping: job.shard?.keepingOf(plan) ?? null,
  });
}

/** Starts everything that watches the traffic and may change or end it. */
function watch(
  job: Job,
  traffic: Traffic,
  paced: RunPacing,
  {
    startMs,
    trends,
    coverage,
  }: { readonly startMs: number; readonly trends: () => Trends; readonly coverage: () => CoverageSummary },
) {
  const { config, prepared, runId, progress, probe } = job;
  const { plan } = prepared;
  const say = (text: string) => progress.message('warn', text);
  const connect = () => connectCoordinator(config.connection, config, runId);
  const stop = new BoundedStop(traffic, { config, runId, say });
  const why: { timeUp: string | null; endedBy: string | null } = { timeUp: null, endedBy: null };
  const tables = plan.relations.filter(({ targeted }) => targeted).map(({ label }) => label);
  const schema = new SchemaWatch({
    tables,
    connect,
    say,
    allGone: () => stop.begin(),
    changed: (text) => {
      // The plan that all shards have in common does not fit any more.
      if (job.shard === null) return;
      why.endedBy ??= `${text}; begin a new run with another --run-id`;
      stop.begin();
    },
  });
  const blocks = new BlockWatch({ plan, runId, totals: traffic.totals, blocked: traffic.blocked, connect, say });
  const control = new LoadControl({
    config,
    runId,
    traffic,
    probe,
    planned: paced.planned,
    steered: job.lag === null ? paced.steered : null,
    startMs,
    say: (level, text) => progress.message(level, text),
    stop: (reason) => {
      why.endedBy ??= reason;
      stop.begin();
    },
    tell: (reason) => {
      if (job.shard?.isFirst === true) job.shard.tellPaused(reason);
    },
  });
  const following = job.shard?.followFuse((reason) => control.follow(reason));
  job.shard?.guard({
    hold: () => traffic.hold(),
    release: () => traffic.release(),
    stop: (reason) => {
      why.endedBy ??= reason;
      stop.begin();
      // Failed operations must not be sent again, because another process may run them by now.
      traffic.cut();
    },
  });
  const timer = endingTimer(config, startMs, traffic, paced, () => {
    if (paced.pacing === null) why.timeUp = 'duration reached';
    stop.begin();
  });
  const thresholds = new ThresholdWatch(config, traffic, {
    startMs,
    probe,
    trends,
    coverage: () => coverageShare(coverage()),
    abort: (condition) => {
      // The other shards continue, so this one ends before it has done its part.
      if (job.shard !== null) why.endedBy ??= `this shard did not meet the threshold ${condition}`;
      stop.begin();
    },
  });
  const sizes = new TableSizes(tables, connect);
  return {
    stop,
    schema,
    sizes,
    blocks,
    control,
    thresholds,
    benchmark: benchmarkFor(job, traffic, paced, control, () => stop.begin()),
    rounds: job.shard?.isFirst === false ? null : roundsFor(job, traffic, () => stop.begin()),
    get timeUp() {
      return why.timeUp;
    },
    get endedBy() {
      return why.endedBy;
    },
    /** Stops watching, because the traffic has ended. */
    end: () => {
      stop.end();
      clearInterval(timer);
      clearInterval(following);
      control.end();
      thresholds.stop();
      sizes.end();
    },
  };
}

type Watched = ReturnType<typeof watch>;

/** Returns how figures have changed over the quiet times of the run so far. */
function trendsSoFar(
  { config }: Job,
  points: readonly Point[],
  schedule: Timetable | null,
  notices: Notices,
  control: LoadControl,
): Trends {
  const pauses = control.pauses.map(({ after_seconds: from, seconds }) => ({ from, to: from + seconds }));
  const warmUp = { from: 0, to: config.traffic.warm_up / 1000 };
  const known = [warmUp, ...notices.outages.spans(), ...pauses];
  return trendsOf(
    points,
    disturbancesOf(points, (seconds) => schedule?.phaseAt(seconds) ?? null, known),
  );
}

/* What ends the traffic by the clock. A schedule ends by itself, with the arrivals before its end carried out; what was due before
   and may still be caught up with is done by then, or never. */
function endingTimer(
  { traffic: { duration } }: Config,
  startMs: number,
  traffic: Traffic,
  { pacing, timetable }: RunPacing,
  end: () => void,
): NodeJS.Timeout | undefined {
  if (pacing === null || timetable === null)
    return duration === undefined ? undefined : setTimeout(end, duration + startMs - performance.now());
  return setInterval(() => {
    if (traffic.elapsedMs() / 1000 > timetable.end + pacing.backlogSeconds + GIVING_UP_SECONDS) end();
  }, 1000);
}

/* Time that lanes need to count the operations that they drop. */
const GIVING_UP_SECONDS = 0.2;

/** Waits for all tasks beside the traffic. */
async function afterwards(job: Job, watched: Watched, end: TrafficEnd) {
  const { progress, probe } = job;
  const { rounds, blocks, schema, benchmark, control } = watched;
  await blocks.stop();
  if (rounds !== null) progress.step('comparing the tables with the replication targets');
  const verification = end.kind === 'finished' ? await rounds?.end() : await rounds?.stop().then(() => rounds.rounds);
  const changes = await schema.end(end.kind !== 'outage');
  const lag = await benchmark?.result;
  await job.traps?.end();
  const traps = job.traps === null ? undefined : Object.fromEntries(job.traps.counts);
  if (probe !== null) progress.step('waiting for the last heartbeats');
  // Waiting for the last heartbeats, or for an index to be dropped, does not count as time of the traffic.
  const [replication] = await Promise.all([probe?.end(), job.indexBuilder?.end()]);
  const pauses = control.pauses.length === 0 ? undefined : control.pauses;
  const rate_changes = control.rateChanges.length === 0 ? undefined : control.rateChanges;
  return { verification, changes, lag, pauses, rate_changes, traps, replication: replication ?? null };
}

/** Returns how time or the schedule ended a run; null if something else did. `isOther`: all operations were done. */
function timeUpOf(
  { traffic: { duration } }: Config,
  trafficSeconds: number,
  timeUp: string | null,
  isOther: boolean,
): string | null {
  if (isOther) return timeUp;
  return trafficSeconds * 1000 >= (duration ?? Number.POSITIVE_INFINITY) ? 'duration reached' : 'all stages done';
}

function targetedIn({ relations }: Plan): number {
  return relations.filter(({ targeted }) => targeted).length;
}

/** Returns the benchmark that the traffic is for; null for a run. */
function benchmarkFor(
  job: Job,
  traffic: Traffic,
  { steered }: RunPacing,
  control: LoadControl,
  done: () => void,
): LagBenchmark | null {
  const { lag: options, config, runId, probe, progress } = job;
  if (options === null) return null;
  const say = (text: string) => progress.message('info', text);
  return new LagBenchmark({ options, config, runId, traffic, steered: steered!, probe: probe!, control, say }, done);
}

/** Returns the comparisons with replication targets during the traffic; null if none are configured. */
function roundsFor(
  { config, prepared, runId, progress }: Job,
  traffic: Traffic,
  stop: () => void,
): VerifyRounds | null {
  if (config.verification === null) return null;
  const say = (level: 'info' | 'warn', text: string) => progress.message(level, text);
  return new VerifyRounds({ config, tables: targetedTables(prepared), runId, traffic, say, stop });
}

/** Returns the targeted tables as schema.table, unquoted. */
function targetedTables({ catalog, plan }: Prepared): string[] {
  const byLabel = new Map(catalog.relations.map((relation) => [labelOf(relation), relation]));
  return plan.relations
    .filter(({ targeted }) => targeted)
    .map(({ label }) => `${byLabel.get(label)!.schema}.${byLabel.get(label)!.name}`);
}

function secondsOf({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1e6;
}
