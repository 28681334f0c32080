import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { type Loading, type LoadJob, startLoading } from '../bulk/coordinator.js';
import { type Entry, Journal } from '../bulk/journal.js';
import type { LoadEnd } from '../bulk/load-session.js';
import type { ConnectionSettings } from '../config/connection.js';
import { fingerprint } from '../config/fingerprint.js';
import { type Config, loadConfig, type Override } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import { publicJson } from '../config/secrets.js';
import { decodePlan, encodePlan } from '../history/stored-plan.js';
import { type ClaimSet, PINNED } from '../lane/rows/claims.js';
import { VERSION } from '../package.js';
import type { LivePage } from '../page/live.js';
import type { Plan, RelationPlan } from '../plan/plan.js';
import { loadPlan, type Standing } from '../plan/stages.js';
import { madeByTriggers, type RowCounts } from '../prepare/claim.js';
import { connectCoordinator, connectFirst, connectRehearsal, endSessions } from '../prepare/connect.js';
import { prepare } from '../prepare/prepare.js';
import { type OwnedSequence, settleSequences } from '../prepare/sequences.js';
import { type LoadSummary, loadText } from '../report/load.js';
import { LoadMeter } from '../report/meter.js';
import { Progress } from '../report/progress.js';
import { shown } from '../report/shown.js';
import { workerCount } from '../traffic/coordinator.js';
import type { CounterTotals } from '../traffic/counters.js';
import { applicationName } from '../traffic/message.js';
import { endBackends } from '../traffic/recovery.js';
import { startWorkers, type Workers } from '../traffic/workers.js';
import { type DemoServers, startDemo } from './demo.js';
import { codeBefore, EXIT, refusedSummary } from './exit.js';
import { factsOf } from './facts.js';
import { LoadObserver } from './observe-load.js';
import { openPage, type Watched } from './open-page.js';
import { checkOutput, writeOutput } from './output-file.js';
import { checkProtection } from './protection.js';
import { Stopped, StopSignals } from './stop-signals.js';

export interface LoadCommandOptions {
  readonly file: string;
  readonly overrides: readonly Override[];
  /** Number of rows that each table has at the end. */
  readonly rows: number;
  readonly journalFile: string | undefined;
  readonly writeTo: string | undefined;
  readonly summaryFile: string | undefined;
  readonly quiet: boolean;
  readonly json: boolean;
  readonly reportFile: string | undefined;
}

/* Backends of a killed load end at their next write. */
const END_TIMEOUT_MS = 10_000;

/** The first line of a journal. */
interface Header {
  readonly rows: number;
  readonly database: string;
  /** Fingerprint of what determines the rows, so that a load is not continued with other settings. */
  readonly settings: string;
  readonly runId: string;
  readonly stored: object;
  readonly load: LoadJob['load'];
  readonly rowsAtStart: RowCounts;
  readonly sequences: readonly OwnedSequence[];
}

interface Job extends LoadJob {
  readonly rowsAtStart: RowCounts;
  readonly sequences: readonly OwnedSequence[];
  readonly past: readonly Entry[];
  readonly serverVersion: string;
}

/** Fills tables by COPY: YAML → catalog → plan → rows. Returns the exit code. */
export async function load(options: LoadCommandOptions, environment: NodeJS.ProcessEnv): Promise<number> {
  const progress = new Progress(process.stderr, { json: options.json, quiet: options.quiet });
  const command = new LoadCommand(options, progress);
  try {
    const config = await command.open(environment);
    const job = await command.prepare(config);
    return await command.carryOut(config, job);
  } catch (error) {
    const isStopped = error instanceof Stopped;
    if (!isStopped && !(error instanceof SetupError)) throw error;
    const code = isStopped ? EXIT.finished : codeBefore(error);
    if (options.summaryFile !== undefined) tellRefused(options.summaryFile, { code, reason: error.message }, progress);
    progress.message(isStopped ? 'info' : 'error', error.message);
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
  private readonly runId = randomBytes(4).toString('hex');
  private readonly journal: Journal;
  private readonly examples = new Map<string, string>();
  private servers: DemoServers | undefined;
  private workers: Workers | undefined;
  private watched: Watched | null = null;

  constructor(options: LoadCommandOptions, progress: Progress) {
    this.options = options;
    this.progress = progress;
    this.journal = new Journal(options.journalFile ?? `${options.file}.load`);
  }

  /** Reads the configuration, and does what it requires before the database is read. */
  async open(environment: NodeJS.ProcessEnv): Promise<Config> {
    const { options, progress, runId } = this;
    checkOutput('--summary', options.summaryFile);
    checkOutput('--report', options.reportFile);
    const written = forLoading(loadConfig(options.file, options.overrides, environment));
    checkProtection(written, options.writeTo, (text) => progress.message('warn', text));
    this.watched = await openPage(written, progress);
    if (!written.embedded) return written;
    const say = (text: string) => progress.message('info', text);
    this.servers = await startDemo(written, runId, { say, replicas: false });
    return this.servers.config;
  }

  /** Decides what to load; a signal ends it. */
  async prepare(config: Config): Promise<Job> {
    const { options, runId, journal, progress, stops, watched } = this;
    const { workers, connections } = config.generator;
    // The threads load their code in the meantime.
    this.workers = startWorkers(workerCount(workers, connections, false), 'load');
    const deciding = decide(options, config, runId, { journal, progress, stops, page: watched?.page ?? null });
    const job = await stops.interruptible(deciding, () => endSessions(config.connection, config, runId));
    progress.stop();
    return job;
  }

  /** Loads the rows and reports the results. Returns the exit code. */
  async carryOut(config: Config, job: Job): Promise<number> {
    const { options, progress, stops, runId, journal, watched, examples } = this;
    const startMs = performance.now();
    const loading = this.start(config, job);
    stops.onFirst((signal) => {
      progress.message(
        'info',
        `${signal}: stopping; batches in progress are committed first (a second signal ends at once)`,
      );
      loading.stop();
    });
    const wanted = rowsWanted(job);
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
    // An interrupted load continues with the reserved values, so they stay reserved.
    if (end.kind === 'finished') {
      await settle(config.connection, config, job, runId, progress);
      journal.remove();
    }
    const summary = summarise(job, loading.totals, end, {
      seconds: (performance.now() - startMs) / 1000,
      rows: options.rows,
      maxErrorRatio: config.generator.error_budget.max_error_ratio,
      signal: stops.signal,
      journal: journal.file,
    });
    const report = await observer.end(summary);
    if (options.summaryFile !== undefined) writeOutput(options.summaryFile, `${publicJson(summary, 2)}\n`);
    if (options.reportFile !== undefined) writeOutput(options.reportFile, report);
    process.stdout.write(options.json ? `${publicJson(summary)}\n` : shown(loadText(summary)));
    progress.ended(summary.exit);
    return summary.exit.code;
  }

  private start({ connection, generator, embedded }: Config, job: Job): Loading {
    const { progress, examples } = this;
    return startLoading({
      ...job,
      connection,
      settings: {
        connectTimeoutMs: generator.timeouts.connect,
        statementTimeoutMs: generator.timeouts.statement,
        lockTimeoutMs: generator.timeouts.lock,
        maxOutageMs: generator.max_outage_seconds * 1000,
      },
      runId: this.runId,
      workers: this.workers!,
      // A private server ends with the load, so there is nothing to continue.
      journalFile: embedded ? null : this.journal.file,
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

/** Decides what to load: the rest of an interrupted load from its journal, or a new load. */
async function decide(
  { rows }: LoadCommandOptions,
  config: Config,
  runId: string,
  {
    journal,
    progress,
    stops,
    page,
  }: { journal: Journal; progress: Progress; stops: StopSignals; page: LivePage | null },
): Promise<Job> {
  const client = await connectFirst(config, runId, {
    say: (text) => progress.message('warn', text),
    isOver: () => stops.signal !== null,
  });
  try {
    const { rows: found } = await client.query<{ database: string; serverVersion: string }>(
      `SELECT current_database() AS database, current_setting('server_version') AS "serverVersion"`,
    );
    const { database, serverVersion } = found[0]!;
    const settings = settingsOf(config);
    if (journal.exists && !config.embedded)
      return { ...(await goOn(client, journal, { rows, database, settings }, progress)), serverVersion };
    const prepared = await prepare(client, config, {
      dryRun: false,
      say: (level, text) => progress.message(level, text),
      step: (text) => {
        progress.step(text);
        page?.prepare(text);
      },
      rehearsal: config.generator.rehearse ? (path) => connectRehearsal(config.connection, config, runId, path) : null,
    });
    const { plan, claims, rowsAtStart, sequences } = prepared;
    const load = loadPlan(plan, rows, standingOf(plan, claims, rowsAtStart));
    for (const [index, { label, capacity, operations, targeted }] of plan.relations.entries()) {
      const wanted = load.quotas[index]!.reduce((sum, quota) => sum + quota, 0);
      const missing = Math.max(0, rows - (rowsAtStart[index] ?? 0));
      if (targeted && operations.insert && wanted < missing)
        progress.message(
          'info',
          `${label}: has room for only ${wanted} of ${missing} rows${capacity < missing ? '' : ' (too few parent rows)'}`,
        );
    }
    const job = { plan, claims, load, rowsAtStart, sequences, serverVersion };
    const header: Header = { rows, database, settings, runId, stored: encodePlan(job), load, rowsAtStart, sequences };
    if (!config.embedded) journal.begin(header);
    return { ...job, past: [] };
  } finally {
    await client.end();
  }
}

/** Returns a fingerprint of what determines the rows. */
function settingsOf({ schemas, generator }: Config): string {
  const plain = JSON.stringify({ schemas, generator }, (_, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
  return fingerprint(JSON.parse(plain));
}

async function goOn(
  client: pg.Client,
  journal: Journal,
  now: Pick<Header, 'rows' | 'database' | 'settings'>,
  progress: Progress,
): Promise<Omit<Job, 'serverVersion'>> {
  const { header: first, entries } = journal.read();
  const header = first as Header;
  for (const key of ['rows', 'database', 'settings'] as const) {
    if (header[key] === now[key]) continue;
    const what = {
      rows: `--rows ${header.rows}`,
      database: `database ${header.database}`,
      settings: 'different generator settings',
    };
    throw SetupError.of(
      journal.file,
      `this journal belongs to an interrupted load with ${what[key]}; repeat that command to continue it, or remove the file to start over`,
    );
  }
  const { plan, claims } = decodePlan(header.stored, journal.file);
  // Some sessions of a killed load may still be running.
  const names = plan.quotas.map((_, lane) => applicationName(header.runId, lane));
  await endBackends(client, names, END_TIMEOUT_MS).catch((error: Error) => {
    throw SetupError.of(
      journal.file,
      `sessions of the interrupted load are still running (${error.message}); try again`,
    );
  });
  const past = await committedOf(client, entries);
  await checkRows(client, plan, header, past, journal.file);
  progress.message(
    'info',
    `continuing the interrupted load recorded in ${journal.file}: ${past.length} batches are already committed`,
  );
  return { plan, claims, load: header.load, rowsAtStart: header.rowsAtStart, sequences: header.sequences, past };
}

/** Returns entries with committed transactions; a batch that failed may have several entries. */
async function committedOf(client: pg.Client, entries: readonly Entry[]): Promise<Entry[]> {
  const ids = entries.flatMap(({ xid }) => (xid === null ? [] : [xid]));
  const { rows } = await client.query<{ xid: string }>(
    "SELECT x::text AS xid FROM unnest($1::text[]) AS x WHERE pg_xact_status(x::xid8) = 'committed'",
    [ids],
  );
  const committed = new Set(rows.map(({ xid }) => xid));
  return entries.filter(({ xid }) => xid === null || committed.has(xid));
}

/**
 * Checks that the tables still have the rows of the interrupted load.
 * @throws SetupError if a table filled by COPY has fewer rows: it is another database, or rows were deleted.
 */
async function checkRows(
  client: pg.Client,
  plan: Plan,
  { load, rowsAtStart }: Header,
  past: readonly Entry[],
  file: string,
): Promise<void> {
  for (const [index, stage] of load.stages.entries()) {
    if (stage.kind !== 'copy') continue;
    const loaded = past.reduce((sum, entry) => sum + (entry.stage === index ? entry.taken : 0), 0);
    if (loaded === 0) continue;
    const { label, rows: table } = plan.relations[stage.relation]!;
    const { rows } = await client.query<{ n: string }>(`SELECT count(*) AS n FROM ${table}`);
    const expected = (rowsAtStart[stage.relation] ?? 0) + loaded;
    if (Number(rows[0]!.n) < expected)
      throw SetupError.of(
        file,
        `${label} has ${rows[0]!.n} rows, but the interrupted load left ${expected}: this is another database, or rows were deleted; remove the file to start over`,
      );
  }
}

function standingOf(plan: Plan, claims: ClaimSet, rowsAtStart: RowCounts): Standing[] {
  return plan.relations.map((_, relation) => {
    const lanes = claims[relation]!.lanes;
    return {
      rows: rowsAtStart[relation] ?? 0,
      known: plan.quotas.map((_, lane) => lanes.some((each) => each === lane || each === PINNED)),
    };
  });
}

function rowsWanted({ load }: Job): number {
  return load.quotas.flat().reduce((sum, quota) => sum + quota, 0);
}

async function settle(
  connection: ConnectionSettings,
  config: Config,
  { sequences }: Job,
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

function summarise(
  { plan, load, rowsAtStart }: Job,
  totals: CounterTotals,
  end: LoadEnd,
  ran: { seconds: number; rows: number; maxErrorRatio: number; signal: string | null; journal: string },
): LoadSummary {
  const made = madeByTriggers(plan);
  const tables = plan.relations.flatMap((relation, index) => {
    if (!relation.targeted) return [];
    const rows = totals.table(index, 'insert', 'rows');
    const atStart = rowsAtStart[index] ?? null;
    const quota = load.quotas[index]!.reduce((sum, each) => sum + each, 0);
    return [
      {
        table: relation.label,
        rows,
        // Only triggers fill it, with an unknown number of rows.
        wanted: made.has(index) && !relation.operations.insert ? 0 : Math.max(quota, due(relation, ran.rows, atStart)),
        refused: totals.table(index, 'insert', 'rejected'),
        rows_at_start: atStart,
        rows_expected: atStart === null ? null : atStart + rows,
      },
    ];
  });
  const refused = tables.reduce((sum, table) => sum + table.refused, 0);
  const loaded = tables.reduce((sum, table) => sum + table.rows, 0);
  const short = tables
    .filter((table) => table.rows < table.wanted)
    .map(({ table, rows, wanted }) => `${table} (${rows} of ${wanted} rows)`);
  const exit = (): LoadSummary['exit'] => {
    const later = `run the same command again to continue (journal: ${ran.journal})`;
    switch (end.kind) {
      case 'outage':
        return {
          code: EXIT.outage,
          reason: `the database was unreachable for longer than max_outage_seconds: ${end.message}; ${later}`,
        };
      case 'refused':
        return { code: EXIT.endedEarly, reason: `${end.message}; ${later}` };
      case 'stopped':
        return { code: EXIT.finished, reason: `stopped by ${ran.signal ?? 'a lane'}; ${later}` };
      case 'finished':
        if (short.length > 0)
          return { code: EXIT.endedEarly, reason: `these tables are not full: ${short.join(', ')}` };
        if (refused > 0 && refused / (refused + loaded) > ran.maxErrorRatio)
          return {
            code: EXIT.endedEarly,
            reason: `the server rejected ${refused} rows, which exceeds error_budget.max_error_ratio`,
          };
        return { code: EXIT.finished, reason: `every table has ${ran.rows} rows, or as many as it has room for` };
    }
  };
  return {
    schema_version: 1,
    version: VERSION,
    exit: exit(),
    elapsed_seconds: ran.seconds,
    seeds: { random: plan.randomSeed, faker: plan.fakerSeed },
    connections: plan.quotas.length,
    rows: loaded,
    rows_per_second: Math.round(loaded / ran.seconds),
    tables: Object.fromEntries(tables.map(({ table, ...figures }) => [table, figures])),
    errors: Object.fromEntries(totals.errors().map(({ sqlstate, count }) => [sqlstate, count])),
  };
}
