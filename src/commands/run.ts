import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { readFlavour } from '../catalog/flavour.js';
import { labelOf } from '../catalog/model.js';
import type { Capture } from '../changes/capture.js';
import { type ConnectionSettings, isLoopback, type Place as Node, placesIn } from '../config/connection.js';
import { fingerprint } from '../config/fingerprint.js';
import { type Config, loadConfig, type Override } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import { publicJson } from '../config/secrets.js';
import { shardedRunId, shardOf } from '../config/shard.js';
import { readHistory } from '../history/history-file.js';
import type { ReplicationProbe } from '../lag/probe.js';
import type { Endpoint } from '../metrics/endpoint.js';
import { VERSION } from '../package.js';
import type { Coverage } from '../page/data.js';
import type { LivePage } from '../page/live.js';
import { reportHtml } from '../page/report.js';
import { refused } from '../page/status.js';
import { countRows } from '../prepare/claim.js';
import { connectCoordinator, connectRehearsal, endSessions } from '../prepare/connect.js';
import { prepareDecided } from '../prepare/decided.js';
import { type Prepared, wantedOperations } from '../prepare/examine.js';
import { historyTables } from '../prepare/history-tables.js';
import { nodesOf } from '../prepare/nodes.js';
import { onFirstSession } from '../prepare/persistent.js';
import { findingLines, prepare } from '../prepare/prepare.js';
import { settleSequences } from '../prepare/sequences.js';
import { coloured } from '../report/colour.js';
import { coverageOf } from '../report/coverage.js';
import { Progress } from '../report/progress.js';
import { shown } from '../report/shown.js';
import type { Summary } from '../report/summary.js';
import { firstLine, type SummaryView, summaryText } from '../report/text.js';
import { Taken } from '../shards/fence.js';
import { workerCount } from '../traffic/coordinator.js';
import { startWorkers, type Workers } from '../traffic/workers.js';
import { indexBuilderFor, layOutTrapTables, probeFor, trapRunnerFor } from './beside.js';
import { lookAtLeftovers, openUnlessStopped } from './capture.js';
import { carryOut, type Done } from './carry-out.js';
import { type DemoServers, startDemo } from './demo.js';
import { dryRunText } from './dry-run.js';
import { codeBefore, EXIT, refusedSummary } from './exit.js';
import { explain, type Place } from './explain.js';
import { HistoryWriter } from './history-writer.js';
import { checkLag, type LagOptions, overridesOfLag, resumeLeftovers } from './lag.js';
import { openPage } from './open-page.js';
import { checkOutput, writeOutput } from './output-file.js';
import { type PlanFile, readPlanFile, writePlanFile } from './plan-file.js';
import { checkProtection } from './protection.js';
import { type Publishing, publish } from './publish.js';
import { programName, repeating } from './repeating.js';
import { ShardedRun, type ShardRequest } from './sharded.js';
import { Stopped, StopSignals } from './stop-signals.js';
import { untilSummary } from './until.js';

export interface RunOptions {
  readonly file: string;
  readonly overrides: readonly Override[];
  readonly dryRun: boolean;
  /** The operation to describe instead of running; undefined: run. */
  readonly explain: Place | undefined;
  /** The summary or history of a run that ended early; each lane stops where it stopped in that run. */
  readonly untilFile: string | undefined;
  /** Where the plan is read from, instead of being made from the database. */
  readonly planFile: string | undefined;
  /** Where the plan is written to. */
  readonly planOutFile: string | undefined;
  /** The database, or its host, that may be written to although `protect` names it. */
  readonly writeTo: string | undefined;
  readonly summaryFile: string | undefined;
  readonly reportFile: string | undefined;
  /** The file for the change events of the source. */
  readonly captureFile: string | undefined;
  /** The part of the lanes to run; null: all of them. */
  readonly shard: ShardRequest | null;
  /** The benchmark that the traffic is for; null for a run. */
  readonly lag: LagOptions | null;
  /** The file for plan, claims and every lane's exceptions. */
  readonly historyFile: string | undefined;
  readonly publishing: Publishing;
  readonly quiet: boolean;
  /** True to show all tables and latencies in the summary text. */
  readonly full: boolean;
  readonly json: boolean;
}

/** The main job: YAML → catalog → plan → traffic → summary. Returns the exit code. */
export async function run(options: RunOptions, environment: NodeJS.ProcessEnv): Promise<number> {
  const progress = new Progress(process.stderr, { json: options.json, quiet: options.quiet, isLog: true });
  const session = new Session(options, progress);
  try {
    if (options.explain !== undefined && options.historyFile !== undefined) {
      const { plan, claims, pasts } = readHistory(options.historyFile);
      process.stdout.write(explain(plan, claims, options.explain, pasts));
      return EXIT.finished;
    }
    if (options.explain !== undefined && options.planFile !== undefined) {
      const { plan, claims } = readPlanFile(options.planFile).decided;
      process.stdout.write(explain(plan, claims, options.explain));
      return EXIT.finished;
    }
    const config = await session.open(environment);
    const prepared = await session.prepare(config);
    if (options.explain !== undefined || options.dryRun) {
      if (options.planOutFile !== undefined) writePlanFile(options.planOutFile, config, prepared);
      const { plan, claims, findings } = prepared;
      process.stdout.write(
        options.explain !== undefined ? explain(plan, claims, options.explain) : dryRunText(plan, claims, findings),
      );
      return EXIT.finished;
    }
    return await session.carryOut(config, prepared);
  } catch (error) {
    const isStopped = error instanceof Stopped;
    const code = isStopped ? session.codeIfStopped : codeBefore(error);
    const { message } = error as Error;
    const exit = {
      code,
      reason: isStopped && code === EXIT.threshold ? `${message}, so its thresholds could not be judged` : message,
    };
    // The summary of an earlier process of this shard must not be overwritten.
    if (!(error instanceof Taken)) session.tellRefused(exit);
    if (!isStopped && !(error instanceof SetupError)) throw error;
    const isFine = isStopped && code === EXIT.finished;
    if (isFine || !options.json) progress.message(isFine ? 'info' : 'error', exit.reason);
    progress.ended(exit);
    return code;
  } finally {
    await session.close();
  }
}

/** The resources of a run: servers, threads, the port of its page. */
class Session {
  private readonly options: RunOptions;
  private readonly progress: Progress;
  private readonly stops = new StopSignals();
  private runId = randomBytes(4).toString('hex');
  private sharded: ShardedRun | null = null;
  /** The name of this process's sessions, except lanes, so that those of other shards are not ended with them. */
  private get ownId(): string {
    return this.sharded === null ? this.runId : `${this.runId}.${this.sharded.shard.index}`;
  }
  /** True for a dry run or an explanation, which do not write to the database. */
  private readonly isTrial: boolean;
  private config: Config | null = null;
  /** The plan that is begun with; null where it is made from the database. */
  private given: PlanFile | null = null;
  /** Nodes of a distributed database, over which the lanes are spread. */
  private nodes: readonly Node[] = [];
  private servers: DemoServers | undefined;
  private endpoint: Endpoint | undefined;
  private page: LivePage | undefined;
  private workers: Workers | undefined;
  /** Null if no capture was requested, or it has ended. */
  private captured: Capture | null = null;
  /** Null if no replication is measured. */
  private probe: ReplicationProbe | null = null;
  /** True when the summary was written, or could not be. */
  private isTold = false;
  private isReported = false;

  constructor(options: RunOptions, progress: Progress) {
    this.options = options;
    this.progress = progress;
    this.isTrial = options.dryRun || options.explain !== undefined;
    this.stops.beforeForced((exit) => {
      progress.stop();
      this.tellRefused(exit);
    });
  }

  /** Reads the configuration, and does what it requires before the database is read. */
  async open(environment: NodeJS.ProcessEnv): Promise<Config> {
    const { options, progress, isTrial } = this;
    const overrides = [...options.overrides, ...(options.lag === null ? [] : overridesOfLag(options.lag))];
    const config = loadConfig(options.file, overrides, environment);
    this.config = config;
    if (options.shard !== null && !isTrial) {
      if (options.historyFile !== undefined)
        throw SetupError.of('--history', 'cannot be used with --shard; remove one of them');
      const shard = shardOf(options.shard.text, environment);
      this.runId = shardedRunId(options.shard.runId, environment);
      this.sharded = new ShardedRun({ ...options.shard, shard, runId: this.runId }, config, progress);
    }
    if (options.lag !== null) checkLag(config, options.lag);
    if (options.explain === undefined) checkOutput('--plan-out', options.planOutFile);
    if (options.planFile !== undefined) this.given = readPlanFile(options.planFile);
    if (!isTrial) {
      this.isTold = true;
      checkOutput('--summary', options.summaryFile);
      this.isTold = false;
      this.isReported = true;
      checkOutput('--report', options.reportFile);
      this.isReported = false;
      checkOutput('--capture', options.captureFile);
      checkOutput('--history', options.historyFile);
    }
    if (!isTrial) checkProtection(config, options.writeTo, (text) => progress.message('warn', text));
    const watched = isTrial ? null : await openPage(config, progress);
    this.endpoint = watched?.endpoint;
    this.page = watched?.page;
    if (!config.embedded) return config;
    const say = (text: string) => progress.message('info', text);
    this.servers = await startDemo(config, this.runId, { say, replicas: !isTrial });
    return this.servers.config;
  }

  /** Reads the database and decides everything; a signal ends it. */
  async prepare(config: Config): Promise<Prepared> {
    const { progress, ownId, isTrial, sharded, stops, options } = this;
    const { connection, generator } = config;
    const isOver = () => stops.signal !== null;
    const say = (text: string) => progress.message('warn', text);
    const deciding = onFirstSession(config, ownId, { say, isOver }, async (client) => {
      // The threads load their code in the meantime.
      if (!isTrial)
        this.workers ??= startWorkers(
          workerCount(generator.workers, sharded?.lanes.length ?? generator.connections, sharesCores(connection)),
          'traffic',
        );
      if (!isTrial && sharded?.isFirst !== false) await layOutTrapTables(config, client, ownId, progress);
      // Before the rehearsal and the heartbeats, so that the capture includes their traces in the WAL.
      await this.beginCapture(config, client);
      // What cannot be measured is said before minutes of reading and rehearsal.
      await this.openProbe(config, client);
      const work = () => this.decide(config, client);
      const prepared = await (sharded?.prepare(client, work, isOver) ?? work());
      this.nodes = await nodesOf(client);
      return prepared;
    });
    try {
      const prepared = await stops.interruptible(deciding, () => endSessions(connection, config, ownId));
      const { untilFile } = options;
      return untilFile === undefined ? prepared : { ...prepared, plan: untilSummary(prepared.plan, untilFile) };
    } finally {
      progress.stop();
    }
  }

  private decide(config: Config, client: pg.Client): Promise<Prepared> {
    const { progress, ownId, isTrial, given } = this;
    const { connection, generator } = config;
    const say = (level: 'info' | 'warn', text: string) => progress.message(level, text);
    if (given !== null) return prepareDecided(client, config, given, { dryRun: isTrial, say });
    return prepare(client, config, {
      dryRun: isTrial,
      say,
      step: (text) => {
        progress.step(text);
        this.page?.prepare(text);
      },
      rehearsal: generator.rehearse ? (path) => connectRehearsal(connection, config, ownId, path) : null,
    });
  }

  /** Looks whether every replication target is what its kind says, and can be read. */
  private async openProbe(config: Config, client: pg.Client): Promise<void> {
    const { isTrial, sharded, runId, progress, options } = this;
    if (isTrial || config.replication === null || sharded?.isFirst === false || this.probe !== null) return;
    if (options.lag !== null) await resumeLeftovers(config, runId, (text) => progress.message('info', text));
    progress.step('looking at the replication targets');
    this.probe = await probeFor(config, await readFlavour(client), runId, progress);
    progress.stop();
  }

  private async beginCapture(config: Config, client: pg.Client): Promise<void> {
    const { options, progress, stops, runId, ownId, isTrial } = this;
    const { captureFile } = options;
    if (captureFile === undefined || isTrial || this.captured !== null) return;
    if (this.sharded?.isFirst === false) {
      progress.message('info', 'shard 1 captures the changes of all shards (--capture)');
      return;
    }
    await lookAtLeftovers(client, false, progress);
    progress.step('creating the replication slot of the capture');
    this.captured = await openUnlessStopped(config, { runId, ownId }, captureFile, progress, stops);
    progress.message('info', `capturing changes to ${captureFile}`);
  }

  /** Begins the history. @throws SetupError if the server samples rows, because they are not known beforehand. */
  private beginHistory(prepared: Prepared): HistoryWriter | null {
    const { options, progress, runId } = this;
    const { historyFile: file } = options;
    if (file === undefined) return null;
    const { plan, catalog } = prepared;
    if (plan.rowSelection !== 'owned')
      throw SetupError.of(
        '--history',
        'cannot record a run with row_selection: system_rows, because the server chooses its rows; set row_selection: owned',
      );
    const header = {
      version: VERSION,
      runId,
      planFingerprint: fingerprint(plan),
      startedAt: new Date().toISOString(),
      tables: historyTables(catalog, plan),
    };
    return new HistoryWriter(file, header, prepared, (text) => progress.message('warn', text));
  }

  /** Waits for the last changes. Returns the summary with the result of the capture. */
  private async endCapture(summary: Summary): Promise<Summary> {
    const { captured, options, progress } = this;
    if (captured === null) return summary;
    this.captured = null;
    progress.step('waiting for the last changes of the capture');
    // The capture of shard 1 is that of all shards.
    const missing = (await this.sharded?.othersFinished(this.stops)) ?? null;
    const { complete, reason, events } = await captured.end(missing);
    progress.stop();
    const capture = { file: options.captureFile!, complete, reason, events };
    const exit =
      complete || summary.exit.code !== EXIT.finished
        ? summary.exit
        : { code: EXIT.endedEarly, reason: `the capture is incomplete: ${reason}` };
    return { ...summary, capture, exit };
  }

  /** Runs the traffic and reports the results. Returns the exit code. */
  async carryOut(config: Config, prepared: Prepared): Promise<number> {
    const { options, progress, stops, runId } = this;
    if (options.planOutFile !== undefined) writePlanFile(options.planOutFile, config, prepared);
    const isFirst = this.sharded?.isFirst ?? true;
    const indexBuilder = isFirst ? await this.openBeside(config, prepared) : null;
    const { probe } = this;
    const history = this.beginHistory(prepared);
    const startAtMs = await this.startTogether(() => indexBuilder?.end() ?? Promise.resolve());
    const {
      summary: ofTraffic,
      registries,
      ...seen
    } = await carryOut({
      config: this.nodes.length === 0 ? config : { ...config, connection: { ...config.connection, nodes: this.nodes } },
      prepared,
      runId,
      progress,
      stops,
      endpoint: this.endpoint,
      page: this.page,
      workers: this.workers!,
      indexBuilder,
      probe,
      history,
      lag: options.lag,
      traps: isFirst ? trapRunnerFor(config, prepared, runId, progress) : null,
      shard: this.sharded,
      startAtMs,
      // While other shards write, rows that triggers make cannot be determined by counting.
      countRows: (relations) =>
        this.sharded === null
          ? countAtEnd(config, prepared, runId, relations)
          : Promise.resolve(new Map(relations.map((relation) => [relation, null]))),
      forced: ({ summary: sofar, ...seen }) => {
        progress.stop();
        history?.end(sofar.exit.reason);
        this.tell(sofar);
        this.report(config, prepared, seen, sofar);
        progress.ended(sofar.exit);
      },
    });
    history?.end(ofTraffic.exit.reason);
    const summary = await this.endCapture(ofTraffic);
    this.report(config, prepared, seen, summary);
    // The summary is written; a later failure must not replace it with a shorter one.
    stops.beforeForced(() => progress.stop());
    if ((await this.sharded?.finish(summary)) !== false) await settle(config, prepared, runId, progress);
    this.tell(summary);
    process.stdout.write(
      options.json ? `${publicJson(summary)}\n` : coloured(shown(this.summaryText(summary)), process.stdout),
    );
    const shard = this.sharded === null ? {} : { shard: String(this.sharded.shard.index) };
    await publish(options.publishing, registries, { run_id: runId, ...shard }, progress, stops);
    progress.ended(summary.exit);
    return summary.exit.code;
  }

  /** Opens what goes on beside the traffic; a signal ends that. */
  private async openBeside(config: Config, prepared: Prepared) {
    const { progress, stops, runId } = this;
    progress.step('preparing what goes on beside the traffic');
    const opening = indexBuilderFor(config, prepared, runId, progress);
    const opened = await stops.interruptible(opening, () => endSessions(config.connection, config, this.ownId));
    progress.stop();
    return opened;
  }

  /** Returns when the first operation may begin; null: at once. `giveUp` ends the tasks beside the traffic. */
  private async startTogether(giveUp: () => Promise<unknown>): Promise<number | null> {
    const { sharded, stops } = this;
    if (sharded === null) return null;
    try {
      const startAtMs = await sharded.start(stops);
      if (startAtMs === null) throw new Stopped(stops.signal!);
      return startAtMs;
    } catch (error) {
      await giveUp();
      throw error;
    }
  }

  private summaryText(summary: Summary): string {
    const { options } = this;
    if (options.quiet) return firstLine(summary);
    const files = [
      options.summaryFile,
      options.reportFile,
      options.planOutFile,
      options.captureFile,
      options.historyFile,
    ].filter((file) => file !== undefined);
    const next = this.config?.embedded === true && options.lag === null ? nextSteps(process.env) : [];
    const { columns } = process.stdout;
    const command = repeatedBy(options, summary);
    return summaryText(summary, { isFull: options.full, files, command, next, columns });
  }

  /** Writes the summary; if its file can no longer be written, to standard output. */
  private tell(summary: Summary): void {
    const { summaryFile } = this.options;
    if (summaryFile === undefined) return;
    this.isTold = true;
    const text = `${publicJson(summary, 2)}\n`;
    try {
      writeOutput(summaryFile, text);
    } catch (error) {
      this.progress.message(
        'error',
        `--summary: ${(error as Error).message}; the summary goes to standard output instead`,
      );
      process.stdout.write(text);
    }
  }

  private report(
    config: Config,
    prepared: Prepared,
    { facts, points, status }: Pick<Done, 'facts' | 'points' | 'status'>,
    summary: Summary | null,
  ): void {
    const { progress } = this;
    const configuration = this.config?.source.withoutSecrets() ?? null;
    const { reportFile } = this.options;
    if (reportFile === undefined) return;
    const coverage = coverageFor(config, prepared);
    this.isReported = true;
    try {
      writeOutput(reportFile, reportHtml({ run: facts, points, status, summary, configuration, coverage }));
      progress.message('info', `report: ${reportFile}`);
    } catch (error) {
      progress.message('error', `--report: ${(error as Error).message}`);
    }
  }

  /** The exit code if a signal ends the run before its first write; thresholds that were not judged are not met. */
  get codeIfStopped(): number {
    if (this.sharded !== null) return EXIT.endedEarly;
    return (this.config?.thresholds.length ?? 0) > 0 && !this.isTrial ? EXIT.threshold : EXIT.finished;
  }

  /** Writes summary and report of a run that did not begin. */
  tellRefused(exit: { readonly code: number; readonly reason: string }): void {
    const { summaryFile, reportFile } = this.options;
    const attempt = (write: () => void) => {
      try {
        write();
      } catch (error) {
        this.progress.message('error', (error as Error).message);
      }
    };
    if (summaryFile !== undefined && !this.isTold)
      attempt(() => writeOutput(summaryFile, refusedSummary(exit, { lanes: [] })));
    if (reportFile !== undefined && !this.isTrial && !this.isReported) {
      const nothing = { run: null, points: [], summary: null, coverage: null };
      attempt(() =>
        writeOutput(
          reportFile,
          reportHtml({
            ...nothing,
            status: refused(exit),
            configuration: this.config?.source.withoutSecrets() ?? null,
          }),
        ),
      );
    }
  }

  async close(): Promise<void> {
    this.progress.stop();
    await this.captured?.end();
    await this.probe?.discard();
    this.stops.release();
    await this.sharded?.end();
    await this.workers?.end();
    await this.endpoint?.close();
    await this.servers?.stop();
  }
}

function sharesCores(connection: ConnectionSettings): boolean {
  return placesIn(connection).every(({ host }) => isLoopback(host));
}

/** Returns what to do after a first run on the demo tables, as it is typed in a clone or with the package installed. */
function nextSteps({ npm_lifecycle_event: script }: NodeJS.ProcessEnv): SummaryView['next'] {
  const program = programName();
  return [
    ...(script === 'start' ? [['npm run demo', 'a minute of load to watch in the browser'] as const] : []),
    [`${program} init postgresql://USER@HOST/DATABASE > my.yaml`, 'writes a configuration for your own database'],
    [`${program} run -c my.yaml`, 'runs it; inspect -c my.yaml shows beforehand what it would do'],
  ];
}

/** Returns the command that repeats the run; null if none does, or if it would show a secret. */
function repeatedBy(options: RunOptions, { seeds, reproducible }: Summary): string | null {
  const { untilFile, writeTo, lag, shard } = options;
  if (!reproducible || lag !== null || shard !== null) return null;
  return repeating('run', options, [
    ...(untilFile === undefined ? [] : ['--until', untilFile]),
    ...(writeTo === undefined ? [] : ['--yes-write-to', writeTo]),
    ...(seeds.random === seeds.faker ? ['--seed', seeds.random] : []),
  ]);
}

function coverageFor(config: Config, { plan, findings }: Prepared): Coverage {
  const { tables, complete } = coverageOf(plan, findings, wantedOperations(config));
  return { tables, complete, findings: findingLines(findings) };
}

/** Counts the rows of some relations after the traffic; null if they cannot be counted, for whatever reason. */
async function countAtEnd(
  config: Config,
  { catalog, plan }: Prepared,
  runId: string,
  relations: readonly number[],
): Promise<ReadonlyMap<number, number | null>> {
  if (relations.length === 0) return new Map();
  const byLabel = new Map(catalog.relations.map((relation) => [labelOf(relation), relation]));
  const asked = relations.map((relation) => byLabel.get(plan.relations[relation]!.label)!);
  try {
    const client = await connectCoordinator(config.connection, config, runId);
    try {
      const { counts } = await countRows(client, asked, config.generator.count_rows);
      return new Map(relations.map((relation, at) => [relation, counts[at]!]));
    } finally {
      await client.end();
    }
  } catch {
    return new Map(relations.map((relation) => [relation, null]));
  }
}

/** Sets the sequences of written columns to their exact end. If the server is down, they stay past the run's values. */
async function settle(config: Config, prepared: Prepared, runId: string, progress: Progress): Promise<void> {
  if (prepared.sequences.length === 0) return;
  try {
    const client = await connectCoordinator(config.connection, config, runId);
    await settleSequences(client, prepared.sequences);
    await client.end();
  } catch (error) {
    progress.message(
      'warn',
      `sequences could not be set back to the highest value used; they stay further ahead: ${(error as Error).message}`,
    );
  }
}
