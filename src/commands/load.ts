import { randomBytes } from 'node:crypto';
import { type Loading, startLoading } from '../bulk/coordinator.js';
import type { LoadEnd } from '../bulk/ends.js';
import { Journal } from '../bulk/journal.js';
import type { ConnectionSettings } from '../config/connection.js';
import { fingerprint } from '../config/fingerprint.js';
import { type Config, loadConfig, type Override } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import { publicJson } from '../config/secrets.js';
import { type Shard, shardedRunId, shardOf } from '../config/shard.js';
import { VERSION } from '../package.js';
import type { RelationPlan } from '../plan/plan.js';
import { madeByTriggers } from '../prepare/claim.js';
import { connectCoordinator, endSessions } from '../prepare/connect.js';
import { settleSequences } from '../prepare/sequences.js';
import { coloured } from '../report/colour.js';
import { coverageOfLoad, exitOfLoad, judgeLoad, type LoadEnding, type LoadSummary, loadText } from '../report/load.js';
import { LoadMeter } from '../report/meter.js';
import { Progress } from '../report/progress.js';
import { triggeredRelations } from '../report/row-counts.js';
import { shown } from '../report/shown.js';
import { wrapped } from '../report/wrap.js';
import { Taken } from '../shards/fence.js';
import { workerCount } from '../traffic/coordinator.js';
import type { CounterTotals } from '../traffic/counters.js';
import { startWorkers, type Workers } from '../traffic/workers.js';
import { type DemoServers, startDemo } from './demo.js';
import { codeBefore, EXIT, refusedSummary } from './exit.js';
import { factsOf } from './facts.js';
import { afterCrash, type DecidedLoad, decideLoad } from './load-job.js';
import { LoadObserver } from './observe-load.js';
import { openPage, type Watched } from './open-page.js';
import { checkOutput, writeOutput } from './output-file.js';
import { checkProtection } from './protection.js';
import { repeating } from './repeating.js';
import { ShardedLoad, type ShardRequest } from './sharded.js';
import { Stopped, StopSignals } from './stop-signals.js';

export interface LoadCommandOptions {
  readonly file: string;
  readonly overrides: readonly Override[];
  /** Number of rows that each table has at the end. */
  readonly rows: number;
  readonly journalFile: string | undefined;
  /** The part of the lanes to load; null: all of them. */
  readonly shard: ShardRequest | null;
  readonly writeTo: string | undefined;
  readonly summaryFile: string | undefined;
  readonly quiet: boolean;
  readonly json: boolean;
  readonly reportFile: string | undefined;
}

/** Fills tables by COPY: YAML → catalog → plan → rows. Returns the exit code. */
export async function load(options: LoadCommandOptions, environment: NodeJS.ProcessEnv): Promise<number> {
  const progress = new Progress(process.stderr, { json: options.json, quiet: options.quiet, isLog: true });
  const command = new LoadCommand(options, progress);
  try {
    const config = await command.open(environment);
    const job = await command.prepare(config);
    return await command.carryOut(config, job);
  } catch (error) {
    const isStopped = error instanceof Stopped;
    if (!isStopped && !(error instanceof SetupError)) throw error;
    const code = isStopped ? command.codeIfStopped : codeBefore(error);
    // The summary of an earlier process of this shard must not be overwritten.
    if (options.summaryFile !== undefined && !(error instanceof Taken))
      tellRefused(options.summaryFile, { code, reason: error.message }, progress);
    if (!isStopped) return progress.failed({ code, reason: error.message });
    progress.message('info', error.message);
    progress.ended({ code, reason: error.message });
    return code;
  } finally {
    await command.close();
  }
}

/** The resources of a load: servers, threads, the port of its page. */
class LoadCommand {
  private readonly options: LoadCommandOptions;
  private readonly progress: Progress;
  private readonly stops = new StopSignals();
  private runId = randomBytes(4).toString('hex');
  private readonly journal: Journal;
  private readonly examples = new Map<string, string>();
  private sharded: ShardedLoad | null = null;
  private servers: DemoServers | undefined;
  private workers: Workers | undefined;
  private watched: Watched | null = null;

  constructor(options: LoadCommandOptions, progress: Progress) {
    this.options = options;
    this.progress = progress;
    this.journal = new Journal(options.journalFile ?? `${options.file}.load`);
  }

  /** The name of this process's sessions, except lanes, so that those of other shards are not ended with them. */
  private get ownId(): string {
    return this.sharded === null ? this.runId : `${this.runId}.${this.sharded.shard.index}`;
  }

  private get shard(): Shard | null {
    return this.sharded?.shard ?? null;
  }

  /** The exit code if a signal ends the load before its first row. */
  get codeIfStopped(): number {
    return this.sharded === null ? EXIT.finished : EXIT.endedEarly;
  }

  /** Reads the configuration, and does what it requires before the database is read. */
  async open(environment: NodeJS.ProcessEnv): Promise<Config> {
    const { options, progress } = this;
    checkOutput('--summary', options.summaryFile);
    checkOutput('--report', options.reportFile);
    const written = forLoading(loadConfig(options.file, options.overrides, environment));
    if (options.shard !== null) {
      if (options.journalFile !== undefined)
        throw SetupError.of(
          '--journal',
          'cannot be used with --shard, because shards keep their journal in the database',
        );
      const shard = shardOf(options.shard.text, environment);
      this.runId = shardedRunId(options.shard.runId, environment);
      this.sharded = new ShardedLoad({ ...options.shard, shard, runId: this.runId }, written, progress, options.rows);
    }
    checkProtection(written, options.writeTo, (text) => progress.message('warn', text));
    this.watched = await openPage(written, progress);
    if (!written.embedded) return written;
    const say = (text: string) => progress.message('info', text);
    this.servers = await startDemo(written, this.runId, { say, replicas: false });
    return this.servers.config;
  }

  /** Decides what to load; a signal ends it. */
  async prepare(config: Config): Promise<DecidedLoad> {
    const { options, runId, ownId, journal, progress, stops, watched, sharded } = this;
    const { workers, connections } = config.generator;
    // The threads load their code in the meantime.
    this.workers = startWorkers(workerCount(workers, sharded?.lanes.length ?? connections, false), 'load');
    const page = watched?.page ?? null;
    const deciding = decideLoad(options.rows, config, runId, { journal, progress, stops, page, sharded, ownId });
    const job = await stops.interruptible(deciding, () => endSessions(config.connection, config, ownId));
    progress.stop();
    return job;
  }

  /** Loads the rows and reports the results. Returns the exit code. */
  async carryOut(config: Config, job: DecidedLoad): Promise<number> {
    const { options, progress, stops, runId, watched, examples, sharded } = this;
    await this.startTogether();
    const startMs = performance.now();
    const lanes = sharded?.lanes ?? [...job.plan.quotas.keys()];
    const loading = this.start(config, job, lanes);
    let fenced: string | null = null;
    sharded?.guard({
      hold: () => loading.hold(),
      release: () => loading.release(),
      stop: (reason) => {
        fenced = reason;
        loading.stop();
      },
    });
    stops.onFirst((signal) => {
      progress.message(
        'info',
        `${signal}: stopping; batches in progress are committed first (a second signal ends at once)`,
      );
      loading.stop();
    });
    const wanted = rowsWanted(job, lanes);
    const facts = factsOf(job.plan, {
      command: 'load',
      run_id: runId,
      started_at: new Date().toISOString(),
      connection: config.connection,
      server_version: job.serverVersion,
      workers: this.workers!.count,
    });
    const observer = new LoadObserver({ config, plan: job.plan, facts, loading, wanted, watched, startMs, examples });
    progress.start(new LoadMeter(loading.totals, wanted));
    const end = await loading.ended;
    progress.stop();
    const seconds = (performance.now() - startMs) / 1000;
    const ending = this.endingOf(end, fenced, config);
    // While other shards load, a count shows nothing.
    const counted = sharded === null ? await countTriggered(config, job, runId) : new Map<number, number | null>();
    const { thresholds } = config;
    const ran = { runId, seconds, rows: options.rows, lanes, shard: this.shard, counted, thresholds };
    const summary = summarise(job, loading.totals, ending, ran);
    const report = await observer.end(summary);
    const isLast = await sharded?.finish(summary);
    // An interrupted load continues with the reserved values, so they stay reserved.
    if (end.kind === 'finished' && isLast !== false) await settle(config.connection, config, job, runId, progress);
    if (end.kind === 'finished' && sharded === null) this.journal.remove();
    if (options.summaryFile !== undefined) writeOutput(options.summaryFile, `${publicJson(summary, 2)}\n`);
    if (options.reportFile !== undefined) writeOutput(options.reportFile, report);
    const text = loadText(summary, {
      files: [options.summaryFile, options.reportFile].filter((file) => file !== undefined),
      command: sharded === null ? this.repeatedBy(summary) : null,
      examples,
    });
    process.stdout.write(
      options.json
        ? `${publicJson(summary)}\n`
        : coloured(
            shown(options.quiet ? `${text.trimStart().split('\n')[0]!}\n` : wrapped(text, process.stdout.columns)),
            process.stdout,
          ),
    );
    progress.ended(summary.exit);
    return summary.exit.code;
  }

  private repeatedBy({ seeds }: LoadSummary): string | null {
    const { options } = this;
    return repeating('load', options, [
      '--rows',
      String(options.rows),
      ...(options.writeTo === undefined ? [] : ['--yes-write-to', options.writeTo]),
      ...(seeds.random === seeds.faker ? ['--seed', seeds.random] : []),
    ]);
  }

  /** Waits until all shards start. @throws Stopped if a signal comes before. */
  private async startTogether(): Promise<void> {
    const { sharded, stops } = this;
    if (sharded === null) return;
    const startAtMs = await sharded.start(stops);
    if (startAtMs === null || stops.signal !== null) throw new Stopped(stops.signal!);
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, startAtMs - performance.now())));
  }

  /** `fenced`: why this process may no longer load its shard; null if it may. */
  private endingOf(end: LoadEnd, fenced: string | null, { generator }: Config): LoadEnding {
    const { options, journal, stops, shard } = this;
    const stopped = fenced ?? stops.signal ?? 'a lane';
    return {
      // The coordinator goes on after a crash, so that it ends no load.
      kind: end.kind === 'crashed' ? 'stopped' : end.kind,
      message: 'message' in end ? end.message : end.kind === 'stopped' ? stopped : '',
      rows: options.rows,
      maxErrorRatio: generator.error_budget.max_error_ratio,
      later:
        shard === null
          ? `run the same command again to continue (journal: ${journal.file})`
          : 'run the same command again to continue',
      shard,
    };
  }

  private start(config: Config, job: DecidedLoad, lanes: readonly number[]): Loading {
    const { progress, examples, sharded, journal, stops, ownId } = this;
    const { connection, generator, embedded } = config;
    return startLoading({
      ...job,
      connection: { ...connection, nodes: job.nodes },
      settings: {
        connectTimeoutMs: generator.timeouts.connect,
        statementTimeoutMs: generator.timeouts.statement,
        lockTimeoutMs: generator.timeouts.lock,
        maxOutageMs: generator.max_outage_seconds * 1000,
      },
      afterCrash: (crashMark) => afterCrash(crashMark, config, { journal, progress, stops, sharded, ownId }),
      runId: this.runId,
      workers: this.workers!,
      lanes,
      // A private server ends with the load, so there is nothing to continue.
      keeping:
        sharded === null
          ? { kind: 'file', file: embedded ? null : this.journal.file }
          : { kind: 'stored', notes: sharded.notes },
      notice: ({ kind, sqlstate, relation, text }) => {
        const label = job.plan.relations[relation]?.label ?? '';
        if (!examples.has(sqlstate)) examples.set(sqlstate, `${label}: ${text}`);
        if (kind === 'quarantine') progress.message('warn', `${label}: no more rows are loaded into it: ${text}`);
      },
    });
  }

  async close(): Promise<void> {
    this.progress.stop();
    this.stops.release();
    await this.sharded?.end();
    await this.workers?.end();
    await this.watched?.endpoint.close();
    await this.servers?.stop();
  }
}

/** Writes the summary of a load that did not begin, unless the summary file is the reason. */
function tellRefused(file: string, exit: { readonly code: number; readonly reason: string }, progress: Progress): void {
  try {
    writeOutput(file, refusedSummary(exit));
  } catch (error) {
    if (!exit.reason.startsWith('--summary')) progress.message('error', (error as Error).message);
  }
}

/** Returns the configuration for loading: every targeted table is filled, whatever its weights, and counted exactly. */
function forLoading(config: Config): Config {
  return {
    ...config,
    operationWeights: { INSERT: 1, UPDATE: 0, DELETE: 0 },
    tableOperationWeights: {},
    generator: {
      ...config.generator,
      num_iterations: -1,
      row_selection: 'owned',
      count_rows: 'always',
      table_weights: {},
      table_rows: { min: 0, max: 0 },
    },
  };
}

function rowsWanted({ load }: DecidedLoad, lanes: readonly number[]): number {
  return load.quotas.reduce((sum, quotas) => lanes.reduce((rest, lane) => rest + quotas[lane]!, sum), 0);
}

async function settle(
  connection: ConnectionSettings,
  config: Config,
  { sequences }: DecidedLoad,
  runId: string,
  progress: Progress,
): Promise<void> {
  if (sequences.length === 0) return;
  try {
    const client = await connectCoordinator(connection, config, runId);
    await settleSequences(client, sequences);
    await client.end();
  } catch (error) {
    progress.message(
      'warn',
      `sequences could not be set back to the highest value used; they stay further ahead: ${(error as Error).message}`,
    );
  }
}

/** Returns how many rows a table lacks and has room for. */
function due({ isSingle, capacity }: RelationPlan, rows: number, atStart: number | null): number {
  const room = isSingle && (atStart ?? 0) > 0 ? 0 : capacity;
  return Math.min(Math.max(0, rows - (atStart ?? 0)), room);
}

/** Counts the rows of tables that triggers change; null for those that cannot be counted, for whatever reason. */
async function countTriggered(
  config: Config,
  { plan }: DecidedLoad,
  runId: string,
): Promise<ReadonlyMap<number, number | null>> {
  const relations = triggeredRelations(plan).filter((index) => plan.relations[index]!.targeted);
  const counts = new Map<number, number | null>(relations.map((index) => [index, null]));
  if (relations.length === 0 || config.generator.count_rows === 'never') return counts;
  try {
    const client = await connectCoordinator(config.connection, config, runId);
    try {
      for (const index of relations) {
        const { rows } = await client.query<{ n: string }>(`SELECT count(*) AS n FROM ${plan.relations[index]!.sql}`);
        counts.set(index, Number(rows[0]!.n));
      }
    } finally {
      await client.end();
    }
  } catch {
    // The server may be gone; then the number of rows is not known.
  }
  return counts;
}

function summarise(
  { plan, load, rowsAtStart, findings }: DecidedLoad,
  totals: CounterTotals,
  ended: LoadEnding,
  ran: {
    readonly runId: string;
    readonly seconds: number;
    readonly rows: number;
    readonly lanes: readonly number[];
    readonly shard: Shard | null;
    /** Rows at the end, of tables that triggers change; null if they could not be counted. */
    readonly counted: ReadonlyMap<number, number | null>;
    readonly thresholds: Config['thresholds'];
  },
): LoadSummary {
  const made = madeByTriggers(plan);
  const triggered = new Set(triggeredRelations(plan));
  const tables = plan.relations.flatMap((relation, index) => {
    if (!relation.targeted) return [];
    const rows = totals.table(index, 'insert', 'rows');
    const atStart = rowsAtStart[index] ?? null;
    const quotas = load.quotas[index]!;
    const quota = ran.lanes.reduce((sum, lane) => sum + quotas[lane]!, 0);
    const ofAll = quotas.reduce((sum, each) => sum + each, 0);
    // Rows that no lane is to insert, and are missing. Of shards, the first one tells of them.
    const without = ran.shard === null || ran.shard.index === 1 ? due(relation, ran.rows, atStart) - ofAll : 0;
    const isTriggered = triggered.has(index);
    const atEnd = ran.counted.get(index) ?? null;
    const isFull = atEnd !== null && atEnd >= ran.rows;
    // A table that triggers alone fill gets an unknown number of rows.
    const isLeft = isFull || (made.has(index) && !relation.operations.insert);
    return [
      {
        table: relation.label,
        rows,
        wanted: isLeft ? Math.min(rows, quota) : quota + Math.max(0, without),
        refused: totals.table(index, 'insert', 'rejected'),
        rows_at_start: atStart,
        rows_expected: isTriggered ? atEnd : atStart === null ? null : atStart + rows,
      },
    ];
  });
  const loaded = tables.reduce((sum, table) => sum + table.rows, 0);
  const byName = Object.fromEntries(tables.map(({ table, ...figures }) => [table, figures]));
  const filledByTriggers = new Set([...made].map((index) => plan.relations[index]!.label));
  const coverage = coverageOfLoad(plan, findings, byName, (label) => filledByTriggers.has(label));
  const thresholds = judgeLoad(ran.thresholds, coverage);
  return {
    schema_version: 1,
    version: VERSION,
    command: 'load',
    run_id: ran.runId,
    plan_fingerprint: fingerprint(plan),
    ...(ran.shard === null ? {} : { shard: ran.shard }),
    exit: exitOfLoad({ tables: byName, thresholds }, ended),
    is_complete: ended.kind === 'finished',
    elapsed_seconds: ran.seconds,
    seeds: { random: plan.randomSeed, faker: plan.fakerSeed },
    connections: plan.quotas.length,
    rows: loaded,
    rows_per_second: Math.round(loaded / ran.seconds),
    rows_wanted: ran.rows,
    max_error_ratio: ended.maxErrorRatio,
    coverage,
    thresholds,
    tables: byName,
    errors: Object.fromEntries(totals.errors().map(({ sqlstate, count }) => [sqlstate, count])),
  };
}
