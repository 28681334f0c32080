import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type pg from 'pg';
import { SetupError } from '../config/problem.js';
import type { Effect } from '../lane/messages/outcome.js';

/** A transaction of one lane, written down before its COMMIT is sent. */
export interface Entry {
  readonly lane: number;
  readonly stage: number;
  /** Null where nothing was to be committed: all of it was refused. */
  readonly xid: string | null;
  /** Rows that show that it was committed; null where it left none. */
  readonly trace: Trace | null;
  /** Of a COPY: the pieces sent, and the rows that were refused, by their number within the transaction. */
  readonly pieces: number;
  readonly refused: readonly number[];
  /** Rows that the table took: a trigger may have kept back some that were not refused. */
  readonly taken: number;
  /** Of an INSERT. */
  readonly effect: Effect | null;
}

/** Rows of a transaction: their table as SQL, and the 32-bit ids that they may carry in `xmin`, several after savepoints. */
interface Trace {
  readonly table: string;
  readonly xmins: readonly string[];
}

/** Says that the transaction of an earlier line of the lane was not committed. */
interface Void {
  readonly lane: number;
  readonly void: string;
}

/** Says that of the entries of a lane so far only the first ones hold. */
interface Cut {
  readonly lane: number;
  readonly kept: number;
}

/**
 * What a load has done so far, in a file: a first line with all that was decided before the first write, then a line per
 * transaction, appended by the thread that is about to commit it.
 */
export class Journal {
  readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  get exists(): boolean {
    return existsSync(this.file);
  }

  /** @throws SetupError where the file cannot be written. */
  begin(header: unknown): void {
    try {
      writeFileSync(this.file, `${JSON.stringify(header)}\n`);
    } catch (error) {
      throw SetupError.of(
        this.file,
        `cannot be written, so the load cannot keep its journal there (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`,
      );
    }
  }

  /** @throws SetupError where the file cannot be written any more. */
  add(entry: Entry | Void | Cut): void {
    try {
      appendFileSync(this.file, `${JSON.stringify(entry)}\n`);
    } catch (error) {
      throw SetupError.of(
        this.file,
        `can no longer be written, so the load cannot keep its journal (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`,
      );
    }
  }

  /**
   * Returns the entries by lane, without those that are known not to have been committed.
   * @throws SetupError where it is no journal.
   */
  read(): { readonly header: unknown; readonly entries: readonly Entry[] } {
    // A last line that was cut off was never followed by a COMMIT.
    const lines = readFileSync(this.file, 'utf8').split('\n').slice(0, -1);
    try {
      const [header, ...entries] = lines.map((line) => JSON.parse(line) as unknown);
      if (header === undefined) throw new Error('the file is empty');
      return { header, entries: holding(entries as (Entry | Void | Cut)[]) };
    } catch (error) {
      throw SetupError.of(
        this.file,
        `is not the journal of a load (${(error as Error).message}); remove it to start over`,
      );
    }
  }

  /** Keeps the first entries of each lane, as many as are given. */
  cut(lanes: Iterable<number>, kept: readonly Entry[]): void {
    for (const lane of lanes) this.add({ lane, kept: kept.filter((entry) => entry.lane === lane).length });
  }

  remove(): void {
    rmSync(this.file, { force: true });
  }
}

function holding(lines: readonly (Entry | Void | Cut)[]): Entry[] {
  const lanes = new Map<number, Entry[]>();
  for (const line of lines) {
    const entries = lanes.get(line.lane) ?? [];
    lanes.set(line.lane, entries);
    if ('kept' in line) entries.length = Math.min(entries.length, line.kept);
    else if ('void' in line) {
      const at = entries.findLastIndex(({ xid }) => xid === line.void);
      if (at >= 0) entries.splice(at, 1);
    } else entries.push(line);
  }
  return [...lanes.values()].flat();
}

/**
 * Returns what changes when the server crashes: a crash makes it forget its statistics. It forgets them on request as well, which
 * is taken for a crash.
 */
export async function readCrashMark(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ mark: string }>('SELECT stats_reset::text AS mark FROM pg_stat_bgwriter');
  return rows[0]?.mark ?? '';
}

/**
 * Returns the entries whose transactions were committed. No session of the load may be running any more.
 *
 * A server that has crashed gives the id of a transaction that it lost to another one. Then the last entries of a lane also have to
 * show their rows: from the newest to the first that does, since what was committed before that one is there, too.
 */
export async function committedOf(
  client: pg.Client,
  entries: readonly Entry[],
  { hasCrashed, mayLoseAll }: { readonly hasCrashed: boolean; readonly mayLoseAll: boolean },
): Promise<Entry[]> {
  const ids = entries.flatMap(({ xid }) => (xid === null ? [] : [xid]));
  const { rows } = await client.query<{ xid: string; status: string | null }>(
    `SELECT x::text AS xid, CASE WHEN x::xid8 < pg_snapshot_xmax(pg_current_snapshot()) THEN pg_xact_status(x::xid8) ELSE 'aborted' END AS status
     FROM unnest($1::text[]) AS x`,
    [ids],
  );
  // Of the oldest ones the server knows nothing any more: had they not been committed, the lane would have noted it.
  const known = new Map(rows.map(({ xid, status }) => [xid, status ?? 'committed']));
  const isCommitted = ({ xid }: Entry) => xid === null || known.get(xid) === 'committed';
  const kept: Entry[] = [];
  for (const lane of new Set(entries.map((entry) => entry.lane))) {
    const all = entries.filter((entry) => entry.lane === lane);
    const first = all.findIndex((entry) => !isCommitted(entry));
    const committed = first < 0 ? all : all.slice(0, first);
    kept.push(...(hasCrashed ? await thereOf(client, committed, mayLoseAll) : committed));
  }
  return kept;
}

/** Returns the entries of a lane up to the first one whose rows are not there, though its id is that of a committed transaction. */
async function thereOf(client: pg.Client, entries: readonly Entry[], mayLoseAll: boolean): Promise<readonly Entry[]> {
  let first = entries.length;
  let lost = 0;
  for (const [index, { trace }] of [...entries.entries()].reverse()) {
    const isThere = trace === null ? null : await leftItsRows(client, trace);
    if (isThere === true) return entries.slice(0, first);
    if (isThere === null) continue;
    first = index;
    lost++;
  }
  // A crash takes the last transactions. Where the rows of all are gone, somebody may have deleted them.
  return lost > 1 && !mayLoseAll ? entries : entries.slice(0, first);
}

/** Returns whether a row of a transaction is in its table; null where the user, or the kind of table, does not show it. */
async function leftItsRows(client: pg.Client, { table, xmins }: Trace): Promise<boolean | null> {
  const name = table.replace(/^ONLY /, '');
  const { rows: kinds } = await client.query<{ shows: boolean }>(
    `SELECT NOT row_security_active($1::regclass) AND NOT EXISTS (
       SELECT FROM pg_catalog.pg_class AS c WHERE c.relkind = 'f'
         AND (c.oid = $1::regclass OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree($1::regclass)))) AS shows`,
    [name],
  );
  if (!kinds[0]!.shows) return null;
  // No index leads to them.
  await client.query('BEGIN; SET LOCAL statement_timeout = 0');
  try {
    const { rows } = await client.query<{ found: boolean }>(
      `SELECT EXISTS (SELECT FROM ${table} AS t WHERE t.xmin = ANY ($1::text[]::xid[])) AS found`,
      [xmins],
    );
    return rows[0]!.found;
  } finally {
    await client.query('ROLLBACK');
  }
}
