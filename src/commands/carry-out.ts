import { labelOf } from '../catalog/model.js';
import { describeConnection } from '../config/connection.js';
import type { Config } from '../config/load.js';
import type { ReplicationProbe } from '../lag/probe.js';
import { GONE } from '../lane/lane.js';
import type { Endpoint } from '../metrics/endpoint.js';
import { Registries } from '../metrics/registry.js';
import { FAKER_VERSION, VERSION } from '../package.js';
import type { RunFacts, Status } from '../page/data.js';
import type { LivePage } from '../page/live.js';
import { ended as endedStatus, running as runningStatus } from '../page/status.js';
import type { Plan } from '../plan/plan.js';
import { connectCoordinator } from '../prepare/connect.js';
import { type Prepared, wantedOperations } from '../prepare/examine.js';
import { coverageOf, coverageShare } from '../report/coverage.js';
import { remainingSeconds, TrafficMeter } from '../report/meter.js';
import { type Moment, readMoment } from '../report/moment.js';
import type { Progress } from '../report/progress.js';
import { Recorder } from '../report/recorder.js';
import { triggeredRelations } from '../report/row-counts.js';
import { type Point, pointBetween } from '../report/series.js';
import { fingerprint, type Summary, type SummarySource, summarise, type VerificationRound } from '../report/summary.js';
import { BlockWatch } from '../traffic/block-watch.js';
import { startTraffic, type Traffic } from '../traffic/coordinator.js';
import type { CounterTotals } from '../traffic/counters.js';
import type { IndexBuilder } from '../traffic/indexes.js';
import { Schedule } from '../traffic/schedule.js';
import { SchemaWatch } from '../traffic/schema-watch.js';
import { SilentThreads } from '../traffic/silent-threads.js';
import type { Workers } from '../traffic/workers.js';
import { BoundedStop } from './bounded-stop.js';
import { exitOf } from './exit.js';
import type { HistoryWriter } from './history-writer.js';
import { Notices } from './notices.js';
import { pacingOf } from './pacing.js';
import type { StopSignals } from './stop-signals.js';
import { ThresholdWatch } from './threshold-watch.js';
import { VerifyRounds } from './verify/rounds.js';

/** Traffic that is ready to start, and what goes on beside it. */
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
  /** Null where none is asked for. */
  readonly history: HistoryWriter | null;
  /** Counts the rows of relations of the plan when the traffic is over; null where they cannot be counted. */
  readonly countRows: (relations: readonly number[]) => Promise<ReadonlyMap<number, number | null>>;
  /** Takes what there is where a second signal forces the end. */
  readonly forced: (sofar: Seen & { readonly summary: Summary }) => void;
}

/** What the page and the report show of a run. */
interface Seen {
  readonly facts: RunFacts;
  readonly points: readonly Point[];
  readonly status: Status;
}

/** What is left of a run when it has ended. */
export interface Done extends Seen {
  readonly summary: Summary;
  readonly registries: Registries;
}

/** The traffic from its first operation to its summary. */
export async function carryOut(job: Job): Promise<Done> {
  const { config, prepared, runId, progress, stops, probe } = job;
  const { generator, traffic: shape } = config;
  const { plan } = prepared;
  const startedAt = new Date();
  const startMs = performance.now();
  const cpuBefore = process.cpuUsage();
  const pacing = pacingOf(config);
  const schedule = pacing === null ? null : new Schedule(pacing.shape);
  const notices = new Notices(prepared, progress, startMs, () => schema.hurry());
  const traffic = startTraffic({
    plan,
    claims: prepared.claims,
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
    warmUpMs: shape.warm_up,
    lateAfterMs: shape.late_after,
    notice: notices.take,
    historyFile: job.history?.file ?? null,
  });
  const stop = new BoundedStop(traffic, { config, runId, say: (text) => progress.message('warn', text) });
  const schema = new SchemaWatch({
    tables: plan.relations.filter(({ targeted }) => targeted).map(({ label }) => label),
    connect: () => connectCoordinator(config.connection, config, runId),
    say: (text) => progress.message('warn', text),
    allGone: () => stop.begin(),
  });
  const blocks = new BlockWatch({
    plan,
    runId,
    totals: traffic.totals,
    blocked: traffic.blocked,
    connect: () => connectCoordinator(config.connection, config, runId),
    say: (text) => progress.message('warn', text),
  });
  stops.onFirst((signal) => {
    progress.message('info', `${signal}: stopping, operations in flight finish (again: end at once)`);
    stop.begin();
  });
  let timeUp: string | null = null;
  const timer =
    // A schedule ends by itself, with the arrivals before its end carried out.
    shape.duration === undefined || pacing !== null
      ? undefined
      : setTimeout(() => {
          timeUp = 'duration reached';
          stop.begin();
        }, shape.duration);
  // What was due before the end of a schedule and may still be caught up with is done by then, or never.
  const overdue =
    pacing === null || schedule === null
      ? undefined
      : setInterval(() => {
          if (traffic.elapsedMs() / 1000 > schedule.end + pacing.backlogSeconds) stop.begin();
        }, 1000);
  const facts = factsOf(job, startedAt, traffic);
  const observed = observe(job, { traffic, schedule, facts, startMs, notices });
  const toSummary = { job, traffic, notices, schedule, startedAt };
  stops.beforeForced((exit) => {
    const summary = summaryOf(toSummary, {
      elapsedSeconds: (performance.now() - startMs) / 1000,
      exit,
      thresholds: [],
      cpuSeconds: secondsOf(process.cpuUsage(cpuBefore)),
      isCutShort: true,
      changes: { changed: [], gone: [] },
      rowsAtEnd: new Map(),
      replication: null,
    });
    job.forced({ summary, facts, points: observed.recorder.points(), status: { ...observed.status(), exit } });
  });
  const watch = new ThresholdWatch(config, traffic, {
    startMs,
    probe,
    coverage: () => coverageShare(coverageOf(plan, prepared.findings, wantedOperations(config), notices.quarantined)),
    abort: () => stop.begin(),
  });
  const rounds = roundsFor(job, traffic, () => stop.begin());
  job.history?.follow(traffic.totals, plan.quotas.length);
  job.indexBuilder?.start();
  probe?.start();
  const end = await traffic.ended;
  stop.end();
  clearTimeout(timer);
  notices.outages.end();
  clearInterval(overdue);
  const elapsedSeconds = (performance.now() - startMs) / 1000;
  watch.stop();
  const cpu = process.cpuUsage(cpuBefore);
  observed.recorder.end();
  const pacedSeconds = Math.max(0, traffic.elapsedMs() / 1000);
  if (schedule !== null && (observed.total < 0 || traffic.totals.operations() < observed.total))
    timeUp =
      pacedSeconds * 1000 >= (shape.duration ?? Number.POSITIVE_INFINITY) ? 'duration reached' : 'all stages done';
  await blocks.stop();
  if (rounds !== null) progress.step('comparing with the targets');
  const verification = end.kind === 'finished' ? await rounds?.end() : await rounds?.stop().then(() => rounds.rounds);
  const changes = await schema.end(end.kind !== 'outage');
  if (probe !== null) progress.step('waiting for the last heartbeats');
  // The last heartbeats arrive, a drop of an index waits for others' transactions: that is no time of the traffic's.
  const [replication] = await Promise.all([probe?.end(), job.indexBuilder?.end()]);
  const thresholds = watch.results(elapsedSeconds);
  progress.stop();
  const summary = summaryOf(toSummary, {
    elapsedSeconds,
    exit: exitOf(end, traffic, {
      maxErrorRatio: generator.error_budget.max_error_ratio,
      thresholds,
      signal: stops.signal,
      verification: verification ?? [],
      timeUp,
      isGone: changes.gone.length > 0 && changes.gone.length === targetedIn(plan),
    }),
    changes,
    thresholds,
    cpuSeconds: secondsOf(cpu),
    isCutShort: false,
    rowsAtEnd: await job.countRows(triggeredRelations(plan)),
    replication: replication ?? null,
    ...(verification === undefined ? {} : { verification }),
  });
  const status = observed.ended(summary);
  await job.page?.end(status);
  return { summary, registries: observed.registries, facts, points: observed.recorder.points(), status };
}

/** What a summary is made from, whenever that is. */
interface ToSummary {
  readonly job: Job;
  readonly traffic: Traffic;
  readonly notices: Notices;
  readonly schedule: Schedule | null;
  readonly startedAt: Date;
}

type AtEnd = { readonly verification?: readonly VerificationRound[] } & Pick<
  SummarySource,
  'elapsedSeconds' | 'exit' | 'thresholds' | 'cpuSeconds' | 'isCutShort' | 'rowsAtEnd' | 'replication'
> & {
    /** Labels of tables that others have changed, and of those that are gone. */
    readonly changes: { readonly changed: readonly string[]; readonly gone: readonly string[] };
  };

function targetedIn({ relations }: Plan): number {
  return relations.filter(({ targeted }) => targeted).length;
}

function summaryOf({ job, traffic, notices, schedule, startedAt }: ToSummary, atEnd: AtEnd): Summary {
  const { config, prepared, indexBuilder } = job;
  const { plan, catalog, rowsAtStart } = prepared;
  const { totals, workers } = traffic;
  const because = [...prepared.reproducibleBecause, ...reasonsFromTraffic(plan, totals)];
  if (atEnd.isCutShort) because.push('it was ended by force');
  else if (traffic.wasCut) because.push('operations in flight were cancelled when timeouts.stop was over');
  const { changes, verification, ...rest } = atEnd;
  if (changes.changed.length > 0)
    because.push(`others changed the schema of ${changes.changed.join(', ')} while the run was on`);
  const seconds = Math.max(0, traffic.elapsedMs() / 1000);
  const summary = summarise({
    ...rest,
    gone: new Set(changes.gone),
    version: VERSION,
    fakerVersion: FAKER_VERSION,
    startedAt,
    plan,
    schemaFingerprint: fingerprint(
      catalog.relations.map((relation) =>
        relation.attributes.map(({ name, typeName }) => [relation.schema, relation.name, name, typeName]),
      ),
    ),
    serverVersion: catalog.server.versionText,
    workers,
    reproducible: because.length === 0,
    reproducibleBecause: because,
    rowsAtStart,
    totals,
    indexes: indexBuilder?.counts ?? null,
    examples: notices.examples,
    quarantined: notices.quarantined,
    outages: notices.outages.list(),
    coverage: coverageOf(plan, prepared.findings, wantedOperations(config), notices.quarantined),
    schedule:
      schedule === null ? null : { unit: pacingOf(config)!.unit, seconds, arrivals: schedule.arrivals(seconds) },
    maxRssBytes: process.resourceUsage().maxRSS * 1024,
  });
  return verification === undefined ? summary : { ...summary, verification };
}

/** Comparisons with replication targets while the traffic is on; null where none are asked for. */
function roundsFor(
  { config, prepared, runId, progress }: Job,
  traffic: Traffic,
  stop: () => void,
): VerifyRounds | null {
  if (config.verification === null) return null;
  const say = (level: 'info' | 'warn', text: string) => progress.message(level, text);
  return new VerifyRounds({ config, tables: targetedTables(prepared), runId, traffic, say, stop });
}

/** The targeted tables as PostgreSQL names them. */
function targetedTables({ catalog, plan }: Prepared): string[] {
  const byLabel = new Map(catalog.relations.map((relation) => [labelOf(relation), relation]));
  return plan.relations
    .filter(({ targeted }) => targeted)
    .map(({ label }) => `${byLabel.get(label)!.schema}.${byLabel.get(label)!.name}`);
}

/** Why the same seed may leave other rows another time, as far as the traffic has shown it. */
function reasonsFromTraffic(plan: Plan, totals: CounterTotals): string[] {
  const because: string[] = [];
  const isLossy = totals.scalar('lostCommits') > 0;
  if (isLossy)
    because.push(
      'the server may have lost what it had acknowledged (synchronous_commit is off, or another server took over)',
    );
  const vanished = totals.total('vanished');
  if (vanished > 0 && !isLossy) because.push(`${vanished} rows that a lane owned were changed from outside`);
  const unknown = totals.scalar('inDoubtUnknown');
  if (unknown > 0) because.push(`what became of ${unknown} operations could not be found out`);
  if (totals.errors().some(({ sqlstate }) => GONE.includes(sqlstate)))
    because.push('a table, a column or a privilege was missing in the middle of the run');
  const skipped = totals.total('skipped');
  if (skipped > 0)
    because.push(`${skipped} operations were skipped, since others kept their tables from being written to`);
  for (const label of tablesWhereLanesMet(plan, totals))
    because.push(`rows of several lanes met in a unique index or an exclusion constraint of ${label}`);
  return because;
}

function secondsOf({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1e6;
}

function factsOf({ config, prepared, runId }: Job, startedAt: Date, { workers }: Traffic): RunFacts {
  const { plan, catalog } = prepared;
  return {
    version: VERSION,
    run_id: runId,
    started_at: startedAt.toISOString(),
    database: describeConnection(config.connection),
    server_version: catalog.server.versionText,
    random_seed: plan.randomSeed,
    faker_seed: plan.fakerSeed,
    connections: plan.quotas.length,
    workers,
    pipeline_depth: plan.pipelineDepth,
    row_selection: plan.rowSelection,
  };
}

/** Everything through which a run is seen while it is on: metrics, live line, page, history. */
function observe(
  { config, prepared, runId, progress, stops, endpoint, page, probe }: Job,
  running: {
    readonly traffic: Traffic;
    readonly schedule: Schedule | null;
    readonly facts: RunFacts;
    readonly startMs: number;
    readonly notices: Notices;
  },
) {
  const { traffic, schedule, facts, startMs, notices } = running;
  const { plan } = prepared;
  const { totals, workers } = traffic;
  const total = plan.quotas.some((quota) => quota < 0) ? -1 : plan.quotas.reduce((sum, quota) => sum + quota, 0);
  const trafficSeconds = () => traffic.elapsedMs() / 1000;
  const replication = () => probe?.read() ?? null;
  const silent = new SilentThreads(totals, workers, plan.quotas.length);
  const phase = () =>
    silent.find() ?? missingLanes(traffic, plan.quotas.length, startMs) ?? phaseOf(stops, trafficSeconds(), config);
  const endSeconds = schedule?.end ?? (config.traffic.duration ?? Number.POSITIVE_INFINITY) / 1000;
  const source = {
    totals,
    workers,
    seconds: () => (performance.now() - startMs) / 1000,
    arrivals: () => schedule?.arrivals(trafficSeconds()) ?? 0,
    replication,
  };
  const metered = { moment: () => readMoment(source), total, endSeconds, elapsedSeconds: trafficSeconds, phase };
  const counted = { plan, totals, examples: notices.examples, outages: () => notices.outages.spans() };
  let last: { readonly point: Point; readonly moment: Moment } | null = null;
  const recorder = new Recorder({
    ...source,
    connections: plan.quotas.length,
    isScheduled: schedule !== null,
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
    version: VERSION,
    serverVersion: facts.server_version,
    tableLabelLimit: config.metrics.table_label_limit,
    remaining: () => (total < 0 ? -1 : total - totals.operations()),
    replication,
    limit: () => recorder.limit(),
    achievedRate: () => {
      if (last === null) return 0;
      const { operations, inserted, updated, deleted } = last.point;
      return config.traffic.rate_unit === 'events' ? inserted + updated + deleted : operations;
    },
    targetRate: () => schedule?.rateAt(Math.max(0, trafficSeconds())) ?? 0,
  });
  endpoint?.serve(registries);
  progress.start(new TrafficMeter(metered));
  const status = (): Status => {
    const moment = last?.moment ?? readMoment(source);
    const point = last?.point ?? pointBetween(moment, moment, schedule !== null);
    const remaining = remainingSeconds(metered, moment);
    const verdict = recorder.verdict();
    const { rate_unit: unit } = config.traffic;
    return runningStatus(counted, moment, point, { phase: phase() ?? 'running', remaining, verdict, unit });
  };
  page?.begin(facts, () => recorder.points(), status);
  return {
    total,
    registries,
    recorder,
    status,
    /** How the run stands with its summary. */
    ended: (summary: Summary): Status => endedStatus(counted, summary),
  };
}

/** What the traffic is at, where that is not its ordinary course. */
/* Lanes connect within the first moments. */
const CONNECTING_MS = 3000;

/** How many lanes are connected, where some are not; null otherwise. */
function missingLanes({ totals }: Traffic, lanes: number, startMs: number): string | null {
  const connected = totals.scalar('lanesConnected');
  if (performance.now() - startMs < CONNECTING_MS || connected + totals.scalar('lanesEnded') >= lanes) return null;
  return `${connected} of ${lanes} lanes connected`;
}

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

/** Tables with a unique index over expressions that has refused rows: which lane comes first is up to chance. */
function tablesWhereLanesMet(plan: Plan, totals: CounterTotals): string[] {
  if (plan.quotas.length === 1) return [];
  const met = totals.errors().flatMap(({ sqlstate, relation }) => {
    const isBlurred = (plan.relations[relation]?.blurredKeys.length ?? 0) > 0;
    return sqlstate === EXCLUSION_VIOLATION || (sqlstate === UNIQUE_VIOLATION && isBlurred) ? relation : [];
  });
  return [...new Set(met)].flatMap((relation) => plan.relations[relation]?.label ?? []);
}

const UNIQUE_VIOLATION = '23505';
const EXCLUSION_VIOLATION = '23P01';
