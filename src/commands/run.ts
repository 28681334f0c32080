import { randomBytes } from 'node:crypto';
import { type ConnectionSettings, describeConnection } from '../config/connection.js';
import { type Config, loadConfig, type Override } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import { type Endpoint, openEndpoint } from '../metrics/endpoint.js';
import { Registries } from '../metrics/registry.js';
import { TrafficMeter } from '../report/meter.js';
import { Progress } from '../report/progress.js';
import { fingerprint, type Summary, summarise } from '../report/summary.js';
import { summaryText } from '../report/text.js';
import type { ThresholdResult } from '../report/thresholds.js';
import type { Cluster } from '../server/cluster.js';
import {
  startTraffic,
  startWorkers,
  type Traffic,
  type TrafficEnd,
  type Workers,
  workerCount,
} from '../traffic/coordinator.js';
import type { IndexBuilder } from '../traffic/indexes.js';
import type { Notice } from '../traffic/ledger.js';
import { Schedule } from '../traffic/schedule.js';
import { settleSequences } from '../traffic/sequences.js';
import { FAKER_VERSION, VERSION } from '../version.js';
import { indexBuilderFor } from './beside.js';
import { connectCoordinator, connectRehearsal } from './connect.js';
import { startDemo } from './demo.js';
import { dryRunText } from './dry-run.js';
import type { Prepared } from './examine.js';
import { EXIT } from './exit.js';
import { explain, type Place } from './explain.js';
import { pacingOf } from './pacing.js';
import { readPlanFile, writePlanFile } from './plan-file.js';
import { prepare } from './prepare.js';
import { type Publishing, publish } from './publish.js';
import { StopSignals } from './stop-signals.js';
import { writeSummary } from './summary-file.js';
import { ThresholdWatch } from './threshold-watch.js';
import { untilSummary } from './until.js';

export interface RunOptions {
  readonly file: string;
  readonly overrides: readonly Override[];
  readonly dryRun: boolean;
  /** One operation is described instead of carried out. */
  readonly explain: Place | undefined;
  /** The summary of a run that ended early: each lane goes as far as it did there. */
  readonly untilFile: string | undefined;
  /** Where the plan is written to, and read from where an operation is explained. */
  readonly planFile: string | undefined;
  readonly summaryFile: string | undefined;
  readonly publishing: Publishing;
  readonly quiet: boolean;
  readonly json: boolean;
}

/** The main job: YAML → catalog → plan → traffic → summary. Returns the exit code. */
export async function run(options: RunOptions, environment: NodeJS.ProcessEnv): Promise<number> {
  const progress = new Progress(process.stderr, { json: options.json, quiet: options.quiet });
  const stops = new StopSignals();
  let cluster: Cluster | undefined;
  let endpoint: Endpoint | undefined;
  let workers: Workers | undefined;
  // Neither writes to the database.
  const isTrial = options.dryRun || options.explain !== undefined;
  try {
    if (options.explain !== undefined && options.planFile !== undefined) {
      const { plan, claims } = readPlanFile(options.planFile);
      process.stdout.write(explain(plan, claims, options.explain));
      return EXIT.finished;
    }
    const config = loadConfig(options.file, options.overrides, environment);
    if (config.metrics.enabled && !isTrial) {
      endpoint = await openEndpoint(config.metrics.host, config.metrics.port);
      progress.message('info', `metrics on http://${config.metrics.host}:${endpoint.port}/metrics`);
    }
    const runId = randomBytes(4).toString('hex');
    if (config.embedded) {
      cluster = await startDemo(config, runId);
      progress.message('info', `embedded PostgreSQL with the demo tables: ${describeConnection(cluster.settings)}`);
    }
    const settings = cluster?.settings ?? config.connection;
    const client = await connectCoordinator(settings, config, runId);
    if (!isTrial)
      workers = startWorkers(workerCount(config.generator.workers, config.generator.connections), 'traffic');
    let prepared: Prepared;
    try {
      prepared = await prepare(client, config, {
        dryRun: isTrial,
        say: (level, text) => progress.message(level, text),
        rehearsal: config.generator.rehearse ? () => connectRehearsal(settings, config, runId) : null,
      });
    } finally {
      await client.end();
    }
    if (options.untilFile !== undefined)
      prepared = { ...prepared, plan: untilSummary(prepared.plan, options.untilFile) };
    if (options.explain !== undefined) {
      process.stdout.write(explain(prepared.plan, prepared.claims, options.explain));
      return EXIT.finished;
    }
    if (options.planFile !== undefined) writePlanFile(options.planFile, prepared);
    if (options.dryRun) {
      process.stdout.write(dryRunText(prepared.plan, prepared.claims, prepared.findings));
      return EXIT.finished;
    }
    const { summary, registries } = await carryOut({
      config: { ...config, connection: settings },
      prepared,
      runId,
      progress,
      stops,
      endpoint,
      workers: workers!,
      indexBuilder: await indexBuilderFor({ ...config, connection: settings }, prepared, runId, progress),
    });
    await settle(settings, config, prepared, runId, progress);
    if (options.summaryFile !== undefined) writeSummary(options.summaryFile, summary);
    process.stdout.write(options.json ? `${JSON.stringify(summary)}\n` : summaryText(summary));
    await publish(options.publishing, registries, runId, progress, stops);
    return summary.exit.code;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    if (options.summaryFile !== undefined) {
      writeSummary(options.summaryFile, {
        schema_version: 1,
        version: VERSION,
        tables: {},
        errors: {},
        lanes: [],
        exit: { code: EXIT.setup, reason: error.message },
      });
    }
    progress.message('error', error.message);
    return EXIT.setup;
  } finally {
    progress.stop();
    stops.ignore();
    await workers?.end();
    await endpoint?.close();
    await cluster?.stop();
  }
}

/** Sets the sequences of written columns to their exact end. Where the server is away they stay past the run's values. */
async function settle(
  settings: ConnectionSettings,
  config: Config,
  prepared: Prepared,
  runId: string,
  progress: Progress,
): Promise<void> {
  if (prepared.sequences.length === 0) return;
  try {
    const client = await connectCoordinator(settings, config, runId);
    await settleSequences(client, prepared.sequences);
    await client.end();
  } catch (error) {
    progress.message('warn', `sequences stay past the run's values: ${(error as Error).message}`);
  }
}

interface Job {
  readonly config: Config;
  readonly prepared: Prepared;
  readonly runId: string;
  readonly progress: Progress;
  readonly stops: StopSignals;
  readonly endpoint: Endpoint | undefined;
  readonly workers: Workers;
  readonly indexBuilder: IndexBuilder | null;
}

async function carryOut(job: Job): Promise<{ summary: Summary; registries: Registries }> {
  const { config, prepared, runId, progress, stops } = job;
  const { generator, traffic: shape } = config;
  const { plan } = prepared;
  const startedAt = new Date();
  const startMs = performance.now();
  const cpuBefore = process.cpuUsage();
  const pacing = pacingOf(config);
  const schedule = pacing === null ? null : new Schedule(pacing.shape);
  const notices = new Notices(prepared, progress);
  const traffic = startTraffic({
    plan,
    claims: prepared.claims,
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
  });
  const total = plan.quotas.some((quota) => quota < 0) ? -1 : plan.quotas.reduce((sum, quota) => sum + quota, 0);
  const registries = new Registries({
    plan,
    totals: traffic.totals,
    workers: traffic.workers,
    runId,
    version: VERSION,
    serverVersion: prepared.catalog.server.versionText,
    tableLabelLimit: config.metrics.table_label_limit,
    remaining: () => (total < 0 ? -1 : total - traffic.totals.operations()),
    targetRate: () => schedule?.rateAt(Math.max(0, traffic.elapsedMs() / 1000)) ?? 0,
  });
  job.endpoint?.serve(registries);
  stops.onFirst((signal) => {
    progress.message('info', `${signal}: stopping, operations in flight finish (again: end at once)`);
    traffic.stop();
  });
  let timeUp: string | null = null;
  const timer =
    // A schedule ends by itself, with the arrivals before its end carried out.
    shape.duration === undefined || pacing !== null
      ? undefined
      : setTimeout(() => {
          timeUp = 'duration reached';
          traffic.stop();
        }, shape.duration);
  progress.start(new TrafficMeter(traffic.totals, total));
  const watch = new ThresholdWatch(config, traffic, startMs);
  job.indexBuilder?.start();
  const end = await traffic.ended;
  const elapsedSeconds = (performance.now() - startMs) / 1000;
  const pacedSeconds = Math.max(0, traffic.elapsedMs() / 1000);
  if (schedule !== null && (total < 0 || traffic.totals.operations() < total))
    timeUp =
      pacedSeconds * 1000 >= (shape.duration ?? Number.POSITIVE_INFINITY) ? 'duration reached' : 'all stages done';
  clearTimeout(timer);
  const thresholds = watch.end();
  // A drop may wait for others' transactions: that is no time of the traffic's.
  await job.indexBuilder?.end();
  progress.stop();
  const cpu = process.cpuUsage(cpuBefore);
  const vanished = traffic.totals.scalar('vanishedRows');
  const because = [...prepared.reproducibleBecause];
  if (vanished > 0) because.push(`${vanished} rows that a lane owned were changed from outside`);
  const summary = summarise({
    version: VERSION,
    fakerVersion: FAKER_VERSION,
    startedAt,
    elapsedSeconds,
    exit: exitOf(end, traffic, {
      maxErrorRatio: generator.error_budget.max_error_ratio,
      thresholds,
      signal: stops.signal,
      timeUp,
    }),
    thresholds,
    plan,
    schemaFingerprint: fingerprint(
      prepared.catalog.relations.map(({ oid: _oid, estimatedRows: _rows, ...relation }) =>
        relation.attributes.map(({ name, typeName }) => [relation.schema, relation.name, name, typeName]),
      ),
    ),
    serverVersion: prepared.catalog.server.versionText,
    workers: traffic.workers,
    reproducible: because.length === 0,
    reproducibleBecause: because,
    rowsAtStart: prepared.rowsAtStart,
    totals: traffic.totals,
    indexes: job.indexBuilder?.counts ?? null,
    examples: notices.examples,
    quarantined: notices.quarantined,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    schedule:
      schedule === null
        ? null
        : { unit: pacing!.unit, seconds: pacedSeconds, arrivals: schedule.arrivals(pacedSeconds) },
    maxRssBytes: process.resourceUsage().maxRSS * 1024,
  });
  return { summary, registries };
}

function exitOf(
  end: TrafficEnd,
  traffic: Traffic,
  {
    maxErrorRatio,
    thresholds,
    signal,
    timeUp,
  }: {
    maxErrorRatio: number;
    thresholds: readonly ThresholdResult[];
    signal: string | null;
    timeUp: string | null;
  },
): { code: number; reason: string } {
  switch (end.kind) {
    case 'outage':
      return { code: EXIT.outage, reason: `the database stayed unreachable beyond max_outage_seconds: ${end.message}` };
    case 'crashed':
    case 'refused':
      return { code: EXIT.endedEarly, reason: end.message };
    case 'starved':
      return {
        code: EXIT.endedEarly,
        reason: `${end.lanes} lanes found no row and no room for any operation; add INSERT, or rows`,
      };
    case 'finished': {
      const operations = traffic.totals.operations();
      const errors = traffic.totals.total('rejected') + traffic.totals.total('failed');
      if (operations > 0 && errors / operations > maxErrorRatio) {
        return {
          code: EXIT.endedEarly,
          reason: `${errors} of ${operations} operations failed, beyond error_budget.max_error_ratio ${maxErrorRatio}`,
        };
      }
      const missed = thresholds.filter(({ passed }) => !passed);
      if (missed.length > 0)
        return {
          code: EXIT.threshold,
          reason: `not met: ${missed.map(({ condition, value }) => `${condition} (${value === null ? 'nothing was measured' : Number(value.toPrecision(3))})`).join(', ')}`,
        };
      if (signal !== null) return { code: EXIT.finished, reason: `stopped by ${signal}` };
      return {
        code: EXIT.finished,
        reason: timeUp ?? 'all operations done',
      };
    }
  }
}

/** What workers tell: shown once, and kept as examples for the summary. */
class Notices {
  readonly examples = new Map<string, string>();
  readonly quarantined = new Map<string, string>();
  private readonly prepared: Prepared;
  private readonly progress: Progress;
  private readonly shown = new Set<string>();

  constructor(prepared: Prepared, progress: Progress) {
    this.prepared = prepared;
    this.progress = progress;
  }

  readonly take: Notice = ({ kind, sqlstate, relation, text }) => {
    const label = this.prepared.plan.relations[relation]?.label ?? '';
    if (kind === 'error' && sqlstate !== '') {
      if (!this.examples.has(sqlstate)) this.examples.set(sqlstate, `${label}: ${text}`);
      return;
    }
    if (kind === 'quarantine') this.quarantined.set(label, text);
    const key = `${kind}/${label}/${text}`;
    if (this.shown.has(key) && kind !== 'outage') return;
    this.shown.add(key);
    this.progress.message('warn', label === '' ? text : `${label}: ${text}`);
  };
}
