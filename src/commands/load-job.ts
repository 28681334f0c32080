import type pg from 'pg';
import type { AfterCrash, LoadJob } from '../bulk/coordinator.js';
import type { LoadEnd } from '../bulk/ends.js';
import { committedOf, type Entry, type Journal, readCrashMark } from '../bulk/journal.js';
import { flavourOf } from '../catalog/flavour.js';
import type { Place } from '../config/connection.js';
import { fingerprint } from '../config/fingerprint.js';
import type { Config } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import { decodePlan, encodePlan } from '../history/stored-plan.js';
import { type ClaimSet, PINNED } from '../lane/rows/claims.js';
import type { LivePage } from '../page/live.js';
import type { Finding, Plan } from '../plan/plan.js';
import { loadPlan, type Standing } from '../plan/stages.js';
import type { RowCounts } from '../prepare/claim.js';
import { connectRehearsal, connectWaiting, Unreachable } from '../prepare/connect.js';
import { nodesOf } from '../prepare/nodes.js';
import { onFirstSession } from '../prepare/persistent.js';
import { prepare } from '../prepare/prepare.js';
import type { WrittenSequence } from '../prepare/sequences.js';
import type { Progress } from '../report/progress.js';
import { applicationName } from '../traffic/message.js';
import { endBackends } from '../traffic/recovery.js';
import type { ShardedLoad } from './sharded.js';
import type { StopSignals } from './stop-signals.js';

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
  readonly sequences: readonly WrittenSequence[];
  readonly findings: readonly Finding[];
  /** What the server told when the load began; another one after a crash. */
  readonly crashMark: string;
}

/** What a load begins with, or continues with. */
export interface DecidedLoad extends LoadJob {
  /** Why tables take no rows. */
  readonly findings: readonly Finding[];
  readonly rowsAtStart: RowCounts;
  readonly sequences: readonly WrittenSequence[];
  readonly past: readonly Entry[];
  readonly serverVersion: string;
  /** What the server tells until it crashes; null if a crash would end the load anyway. */
  readonly crashMark: string | null;
  /** Nodes of a distributed database, over which the lanes are spread. */
  readonly nodes: readonly Place[];
}

interface Surroundings {
  readonly journal: Journal;
  readonly progress: Progress;
  readonly stops: StopSignals;
  readonly page: LivePage | null;
  /** Null: this process carries all lanes. */
  readonly sharded: ShardedLoad | null;
  /** The name of this process's sessions. */
  readonly ownId: string;
}

/** Decides what to load: the rest of an interrupted load, or a new load. */
export async function decideLoad(
  rows: number,
  config: Config,
  runId: string,
  { journal, progress, stops, page, sharded, ownId }: Surroundings,
): Promise<DecidedLoad> {
  const isOver = () => stops.signal !== null;
  const say = (text: string) => progress.message('warn', text);
  return await onFirstSession(config, ownId, { say, isOver }, async (client) => {
    const { rows: found } = await client.query<{ database: string; serverVersion: string; banner: string }>(
      `SELECT current_database() AS database, current_setting('server_version') AS "serverVersion", version() AS banner`,
    );
    const { database, serverVersion, banner } = found[0]!;
    const flavour = flavourOf(banner);
    if (flavour !== 'PostgreSQL' && sharded === null)
      throw SetupError.of(
        'load',
        `${flavour} does not tell what became of a transaction, so the journal must be kept in the database; add --shard 1/1 --run-id NAME`,
      );
    const settings = settingsOf(config);
    const keepsFile = !config.embedded && sharded === null;
    if (keepsFile && journal.exists)
      return { ...(await goOn(client, journal, { rows, database, settings }, progress)), serverVersion, nodes: [] };
    const work = () =>
      prepare(client, config, {
        dryRun: false,
        say: (level, text) => progress.message(level, text),
        step: (text) => {
          progress.step(text);
          page?.prepare(text);
        },
        rehearsal: config.generator.rehearse
          ? (path) => connectRehearsal(config.connection, config, ownId, path)
          : null,
      });
    const { plan, claims, rowsAtStart, sequences, findings } = await (sharded?.prepare(client, work, isOver) ?? work());
    const load = loadPlan(plan, rows, standingOf(plan, claims, rowsAtStart));
    if (sharded?.isFirst !== false) tellRoom(plan, load, rowsAtStart, rows, progress);
    const job = { plan, claims, load, rowsAtStart, sequences, findings, serverVersion };
    const crashMark = flavour === 'PostgreSQL' && !config.embedded ? await readCrashMark(client) : null;
    if (keepsFile) {
      const stored = encodePlan(job);
      const header: Header = {
        rows,
        database,
        settings,
        runId,
        stored,
        load,
        rowsAtStart,
        sequences,
        findings,
        crashMark: crashMark!,
      };
      journal.begin(header);
    }
    return { ...job, past: sharded?.past ?? [], crashMark, nodes: await nodesOf(client) };
  });
}

/** Says which tables have less room than is asked for. */
function tellRoom(
  plan: Plan,
  { quotas }: LoadJob['load'],
  rowsAtStart: RowCounts,
  rows: number,
  progress: Progress,
): void {
  for (const [index, { label, capacity, operations, targeted }] of plan.relations.entries()) {
    const wanted = quotas[index]!.reduce((sum, quota) => sum + quota, 0);
    const missing = Math.max(0, rows - (rowsAtStart[index] ?? 0));
    if (!targeted || !operations.insert || wanted >= missing) continue;
    const because = capacity < missing ? '' : ' (too few parent rows)';
    progress.message(
      'info',
      wanted === 0
        ? `${label}: has no room for the ${missing} rows that it lacks${because}`
        : `${label}: has room for only ${wanted} of ${missing} rows${because}`,
    );
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
): Promise<Omit<DecidedLoad, 'serverVersion' | 'nodes'>> {
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
  const crashMark = await readCrashMark(client);
  const hasCrashed = crashMark !== header.crashMark;
  const past = await committedOf(client, entries, { hasCrashed, mayLoseAll: false });
  await checkRows(client, plan, header, past, journal.file);
  journal.cut(new Set(entries.map(({ lane }) => lane)), past);
  progress.message(
    'info',
    `continuing the interrupted load recorded in ${journal.file}: ${past.length} batches are already committed`,
  );
  return {
    plan,
    claims,
    load: header.load,
    rowsAtStart: header.rowsAtStart,
    sequences: header.sequences,
    findings: header.findings ?? [],
    past,
    crashMark,
  };
}

/** Returns what is there of a load after a crash of its server; null if the server has not crashed since it told `crashMark`. */
export async function afterCrash(
  crashMark: string,
  config: Config,
  { journal, progress, stops, sharded, ownId }: Omit<Surroundings, 'page'>,
): Promise<AfterCrash | LoadEnd | null> {
  try {
    const isOver = () => stops.signal !== null;
    const say = (text: string) => progress.message('warn', text);
    const client = await connectWaiting(config, ownId, { say, isOver });
    try {
      const now = await readCrashMark(client);
      if (now === crashMark) return null;
      progress.message('warn', 'the server has crashed, or another one has taken over; looking for what it has lost');
      // What is noted in the database was lost together with its rows.
      if (sharded !== null) return { past: await sharded.readAgain(client), crashMark: now };
      const { entries } = journal.read();
      const past = await committedOf(client, entries, { hasCrashed: true, mayLoseAll: true });
      journal.cut(new Set(entries.map(({ lane }) => lane)), past);
      progress.message('info', `${entries.length - past.length} of ${entries.length} batches are loaded again`);
      return { past, crashMark: now };
    } finally {
      await client.end();
    }
  } catch (error) {
    if (error instanceof Unreachable) return { kind: 'outage', message: error.message };
    return { kind: 'refused', message: (error as Error).message };
  }
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
