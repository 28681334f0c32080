import type pg from 'pg';
import { quoteIdentifier } from '../catalog/model.js';
import { SetupError } from '../config/problem.js';
import { isServerError } from '../traffic/queries.js';

/** A table whose changes are captured. */
interface CapturedTable {
  readonly oid: number;
  /** schema.table, as change files name it. */
  readonly name: string;
  readonly sql: string;
  /** Columns that its changes are keyed by: of the replica identity's index, else of the primary key; null where there is neither. */
  readonly key: readonly string[] | null;
  /** Types by column, domains as what they are made of. */
  readonly columns: Readonly<Record<string, string>>;
  /** Its partitions of all levels, as schema.table; consumers may name them instead. */
  readonly partitions: readonly string[];
  /** False where UPDATE and DELETE cannot be published: PostgreSQL would refuse them on the source. */
  readonly hasIdentity: boolean;
}

/** What a capture does not see, and why. */
export interface NotCovered {
  readonly table: string;
  readonly operations: string;
  readonly reason: string;
}

/** What is published, and under which names. */
export interface Publication {
  readonly slot: string;
  readonly publications: readonly string[];
  readonly tables: readonly CapturedTable[];
  readonly notCovered: readonly NotCovered[];
  /** The server's, as server_version_num. */
  readonly version: number;
}

const PREFIX = 'eventgen_';
const SLOT_ERRORS: Readonly<Record<string, string>> = {
  '42501':
    'the user needs the REPLICATION attribute (ALTER ROLE … REPLICATION), CREATE on the database, and must own the tables',
  '53400': 'raise max_replication_slots, or drop an unused slot',
  '57014':
    'creating a slot waits for all open transactions: end the long ones (see xact_start in pg_stat_activity), or raise generator.timeouts.statement',
  '55P03': 'another session holds a lock on one of the tables: try again, or raise generator.timeouts.lock',
};

/** Asks on a session, and again on another one for as long as an outage may last. */
export type OnSession = <Answer>(ask: (client: pg.Client) => Promise<Answer>) => Promise<Answer>;

/**
 * Publishes the tables of some schemas, and `more` as schema.table, and creates the slot that keeps their changes. `connect`
 * makes one more session, to clean up.
 * @throws SetupError where the server or a privilege does not allow it; then nothing of it is left.
 */
export async function publish(
  onSession: OnSession,
  runId: string,
  schemas: readonly string[],
  more: readonly string[],
  connect: () => Promise<pg.Client>,
): Promise<Publication> {
  const slot = `${PREFIX}${runId.toLowerCase().replace(/[^a-z0-9_]/g, '_')}`;
  let ours: Objects = { slot: null, publications: [] };
  try {
    return await onSession(async (client) => {
      const { publication, statements } = await plan(client, slot, schemas, more);
      // What a session made that was lost may be incomplete.
      await unpublish(client, ours);
      ours = { slot: null, publications: [] };
      for (const { sql, made } of statements) {
        const before = ours;
        // If the session is lost before the answer, the statement may have been executed.
        ours = { slot: made.slot, publications: [...ours.publications, ...made.publications] };
        try {
          await client.query(sql);
        } catch (error) {
          // Objects that existed before belong to another capture.
          if (isServerError(error as Error)) ours = before;
          throw error;
        }
      }
      return publication;
    });
  } catch (error) {
    await takeBack(ours, connect);
    if (error instanceof SetupError) throw error;
    const { code, message } = error as pg.DatabaseError;
    const remedy = SLOT_ERRORS[code ?? ''];
    throw SetupError.of(
      'capture',
      `the publication or replication slot ${slot} cannot be created: ${message}${remedy === undefined ? '' : `; ${remedy}`}`,
    );
  }
}

/** Decides what to publish. Returns the statements with what each makes; the slot is the last. */
async function plan(
  client: pg.Client,
  slot: string,
  schemas: readonly string[],
  more: readonly string[],
): Promise<{ readonly publication: Publication; readonly statements: { sql: string; made: Objects }[] }> {
  const { rows } = await client.query<{ level: string; version: number; read_only: string; standby: boolean }>(
    `SELECT current_setting('wal_level') AS level, current_setting('server_version_num')::int AS version,
            current_setting('transaction_read_only') AS read_only, pg_is_in_recovery() AS standby`,
  );
  const { level, version, read_only: isReadOnly, standby } = rows[0]!;
  if (standby || isReadOnly === 'on')
    throw SetupError.of(
      'capture',
      standby
        ? 'the server is a standby, on which no publication can be created; connect to its primary'
        : 'the server or the user is read-only (default_transaction_read_only), so no publication can be created',
    );
  if (level !== 'logical')
    throw SetupError.of(
      'capture',
      `wal_level is ${level}; set wal_level = logical in postgresql.conf and restart the server`,
    );
  const tables = await publishable(client, schemas, more);
  const parts = [
    { name: slot, operations: 'insert, update, delete, truncate', tables: tables.taken.filter((t) => t.hasIdentity) },
    { name: `${slot}_inserts`, operations: 'insert, truncate', tables: tables.taken.filter((t) => !t.hasIdentity) },
  ].filter((part) => part.tables.length > 0);
  if (parts.length === 0)
    throw SetupError.of(
      'capture',
      `schema ${schemas.join(', ')} has no table that can be captured; set generator.schema_name to a schema with tables`,
    );
  const root = version >= 130_000 ? ', publish_via_partition_root = true' : '';
  const statements = [
    ...parts.map((part) => ({
      sql:
        `CREATE PUBLICATION ${quoteIdentifier(part.name)} FOR TABLE ${part.tables.map(({ sql }) => `ONLY ${sql}`).join(', ')} ` +
        `WITH (publish = '${part.operations}'${root})`,
      made: { slot: null, publications: [part.name] },
    })),
    { sql: `SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`, made: { slot, publications: [] } },
  ];
  const publication = {
    slot,
    publications: parts.map(({ name }) => name),
    tables: tables.taken,
    notCovered: tables.left,
    version,
  };
  return { publication, statements };
}

/** The objects of a capture on the server; null: no slot. */
interface Objects extends Pick<Publication, 'publications'> {
  readonly slot: string | null;
}

/** Drops the slot and the publications. A session that still reads the slot is ended first. */
export async function unpublish(client: pg.Client, { slot, publications }: Objects): Promise<void> {
  if (slot !== null) await dropSlot(client, slot);
  for (const name of publications) await client.query(`DROP PUBLICATION IF EXISTS ${quoteIdentifier(name)}`);
}

async function dropSlot(client: pg.Client, slot: string): Promise<void> {
  await client.query(
    'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL',
    [slot],
  );
  for (let tries = 1; ; tries++) {
    try {
      await client.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1', [
        slot,
      ]);
      break;
    } catch (error) {
      // Its reader has been told to end and has not done so yet.
      if ((error as pg.DatabaseError).code !== '55006' || tries === MOST_TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

const MOST_TRIES = 100;

/** As `unpublish`, on a session of its own. What the server does not let go of, later captures name. */
export async function takeBack(objects: Objects, connect: () => Promise<pg.Client>): Promise<void> {
  if (objects.slot === null && objects.publications.length === 0) return;
  try {
    const client = await connect();
    try {
      await unpublish(client, objects);
    } finally {
      await client.end();
    }
  } catch {
    // The error that led here is the one to report.
  }
}

/**
 * What captures that were killed have left: slots, which keep the server from removing its log, and publications. Those of a
 * capture that has a session are its own.
 */
export async function leftovers(
  client: pg.Client,
): Promise<{ readonly slot: string; readonly isSlot: boolean; readonly publications: string[] }[]> {
  const { rows } = await client.query<{ slot: string; is_slot: boolean; publications: string[] | null }>(
    `WITH left_over AS (
       SELECT slot_name::text AS name FROM pg_catalog.pg_replication_slots WHERE database = current_database()
       UNION SELECT regexp_replace(pubname, '_inserts$', '') FROM pg_catalog.pg_publication
     )
     SELECT l.name AS slot, s.slot_name IS NOT NULL AS is_slot,
            (SELECT array_agg(p.pubname::text ORDER BY p.pubname) FROM pg_catalog.pg_publication p
             WHERE p.pubname IN (l.name, l.name || '_inserts')) AS publications
     FROM left_over l LEFT JOIN pg_catalog.pg_replication_slots s ON s.slot_name = l.name
     WHERE starts_with(l.name, $1) AND s.active IS NOT TRUE
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a
                       WHERE starts_with(a.application_name, 'eventgen/' || substr(l.name, ${PREFIX.length + 1}) || '/'))
     ORDER BY 1`,
    [PREFIX],
  );
  return rows.map((row) => ({ slot: row.slot, isSlot: row.is_slot, publications: row.publications ?? [] }));
}

/*
 * Ordinary and partitioned tables, not the partitions of the latter. A partitioned table has a usable identity where each of
 * its partitions has one: PostgreSQL asks the partition that a row lies in.
 */
const TABLES = `
WITH RECURSIVE leaves (root, oid) AS (
  SELECT c.oid, c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition
    AND (n.nspname = ANY ($1) OR n.nspname || '.' || c.relname = ANY ($2))
  UNION ALL
  SELECT l.root, i.inhrelid FROM leaves l JOIN pg_catalog.pg_class p ON p.oid = l.oid AND p.relkind = 'p'
  JOIN pg_catalog.pg_inherits i ON i.inhparent = l.oid
), identities AS (
  SELECT l.root,
         bool_and(c.relkind = 'p' OR c.relreplident = 'f'
           OR (c.relreplident = 'd' AND EXISTS (SELECT FROM pg_catalog.pg_index x
               WHERE x.indrelid = c.oid AND x.indisprimary AND x.indimmediate AND x.indisvalid))
           OR (c.relreplident = 'i' AND EXISTS (SELECT FROM pg_catalog.pg_index x
               WHERE x.indrelid = c.oid AND x.indisreplident AND x.indimmediate AND x.indisvalid))) AS usable,
         bool_or(c.relpersistence = 'u') AS unlogged, bool_or(c.relkind = 'f') AS is_foreign
  FROM leaves l JOIN pg_catalog.pg_class c ON c.oid = l.oid GROUP BY l.root
)
SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS table, i.usable, i.unlogged, i.is_foreign,
       (SELECT array_agg(pn.nspname || '.' || p.relname ORDER BY 1) FROM leaves l JOIN pg_catalog.pg_class p ON p.oid = l.oid
        JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace WHERE l.root = c.oid AND l.oid <> c.oid) AS partitions,
       (SELECT min(p.names) FROM (
          SELECT array_agg(a.attname::text ORDER BY a.attname) AS names
          FROM leaves l JOIN pg_catalog.pg_class o ON o.oid = l.oid
          JOIN pg_catalog.pg_index x ON x.indrelid = l.oid AND CASE o.relreplident WHEN 'i' THEN x.indisreplident ELSE x.indisprimary END
          JOIN pg_catalog.pg_attribute a ON a.attrelid = l.oid AND a.attnum = ANY (x.indkey[0:x.indnkeyatts - 1])
          WHERE l.root = c.oid GROUP BY l.oid) AS p
        HAVING count(DISTINCT p.names) = 1) AS key,
       (SELECT json_object_agg(a.attname, CASE WHEN b.base = a.atttypid THEN format_type(a.atttypid, a.atttypmod)
                                               ELSE format_type(b.base, b.modifier) END ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a, LATERAL (
          WITH RECURSIVE bases (type, modifier) AS (
            SELECT a.atttypid, a.atttypmod
            UNION ALL SELECT t.typbasetype, t.typtypmod FROM bases JOIN pg_catalog.pg_type t ON t.oid = bases.type AND t.typtype = 'd'
          ) SELECT bases.type AS base, bases.modifier FROM bases JOIN pg_catalog.pg_type t ON t.oid = bases.type AND t.typtype <> 'd'
        ) b
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
FROM identities i JOIN pg_catalog.pg_class c ON c.oid = i.root JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
ORDER BY 2, 3`;

interface TableRow {
  readonly oid: string;
  readonly schema: string;
  readonly table: string;
  readonly usable: boolean;
  readonly unlogged: boolean;
  readonly is_foreign: boolean;
  readonly partitions: string[] | null;
  readonly key: string[] | null;
  readonly columns: Record<string, string> | null;
}

/** What others have added to the schema since a publication was made. */
export interface Added {
  /** Tables that are missing in it. */
  readonly tables: readonly string[];
  /** Tables that it has, as they are now: the stream carries new columns, and rows of new partitions. */
  readonly known: ReadonlyMap<string, Pick<CapturedTable, 'columns' | 'partitions'>>;
}

/** Compares a publication with the schemas as they are now. */
export async function addedSince(
  client: pg.Client,
  { tables, notCovered }: Publication,
  schemas: readonly string[],
): Promise<Added> {
  const known = new Set([...tables.map(({ name }) => name), ...notCovered.map(({ table }) => table)]);
  const { taken, left } = await publishable(client, schemas, []);
  const now = new Set([...taken.map(({ name }) => name), ...left.map(({ table }) => table)]);
  return {
    tables: [...now].filter((name) => !known.has(name)),
    known: new Map(taken.map((table) => [table.name, table])),
  };
}

async function publishable(
  client: pg.Client,
  schemas: readonly string[],
  more: readonly string[],
): Promise<{ readonly taken: CapturedTable[]; readonly left: NotCovered[] }> {
  const { rows } = await client.query<TableRow>(TABLES, [schemas, more]);
  const taken: CapturedTable[] = [];
  const left: NotCovered[] = [];
  for (const row of rows) {
    const name = `${row.schema}.${row.table}`;
    if (row.is_foreign || row.unlogged) {
      const reason = row.is_foreign
        ? 'it is a foreign table: its changes are in the WAL of another server'
        : 'it is an unlogged table: its changes are not in the WAL';
      left.push({ table: name, operations: 'all', reason });
      continue;
    }
    if (!row.usable)
      left.push({
        table: name,
        operations: 'update, delete',
        reason: `it has no replica identity; add a primary key, or run ALTER TABLE ${name} REPLICA IDENTITY FULL`,
      });
    taken.push({
      oid: Number(row.oid),
      name,
      sql: `${quoteIdentifier(row.schema)}.${quoteIdentifier(row.table)}`,
      key: row.key,
      columns: row.columns ?? {},
      partitions: row.partitions ?? [],
      hasIdentity: row.usable,
    });
  }
  return { taken, left };
}
