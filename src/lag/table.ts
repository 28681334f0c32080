import type pg from 'pg';
import { quoteIdentifier } from '../catalog/model.js';
import { SetupError } from '../config/problem.js';

/** Which run's heartbeats, in which schema, and beside which tables. */
export interface Place {
  readonly runId: string;
  readonly schema: string;
  /** Tables that have heartbeats of their own, for consumers that apply tables apart. */
  readonly tables: readonly string[];
}

/** Returns the name of a heartbeat table without its schema, quoted where needed. `beside`: the table that it stands beside; null: the one that stands for all. */
function heartbeatName(beside: string | null): string {
  return beside === null ? 'heartbeat' : quoteIdentifier(`heartbeat_${beside.replaceAll('.', '_')}`);
}

/** Returns a heartbeat table, quoted. It has a row per run. */
export function heartbeatTable(schema: string, beside: string | null = null): string {
  return `${quoteIdentifier(schema)}.${heartbeatName(beside)}`;
}

/** Returns the SQL that creates the heartbeat tables, on whatever server. */
export function heartbeatDefinition(schema: string, tables: readonly string[] = []): string {
  const definitions = [null, ...tables].map((beside) => `${tableDefinition(schema, beside)};`);
  return [`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)};`, ...definitions].join(' ');
}

function tableDefinition(schema: string, beside: string | null): string {
  return `CREATE TABLE IF NOT EXISTS ${heartbeatTable(schema, beside)} (run text PRIMARY KEY, sequence bigint NOT NULL, written_at timestamptz NOT NULL)`;
}

/** Returns what the user of a session needs to write heartbeats. */
function grants({ user = '' }: pg.Client, schema: string, beside: string | null): string {
  const role = quoteIdentifier(user);
  const tables = [...new Set([heartbeatTable(schema, null), heartbeatTable(schema, beside)])].join(', ');
  return `GRANT USAGE ON SCHEMA ${quoteIdentifier(schema)} TO ${role}; GRANT SELECT, INSERT, UPDATE, DELETE ON ${tables} TO ${role};`;
}

/** Returns a statement that writes a heartbeat of run `$1` with the number `$2` to all its tables, in one transaction. */
export function heartbeatStatement(schema: string, tables: readonly string[], returning: string): string {
  // Whatever happened to the row, it is there again.
  const write = (beside: string | null) =>
    `INSERT INTO ${heartbeatTable(schema, beside)} AS h (run, sequence, written_at) VALUES ($1, $2, clock_timestamp())
     ON CONFLICT (run) DO UPDATE SET sequence = greatest(h.sequence, excluded.sequence), written_at = excluded.written_at`;
  const others = tables.map((beside, index) => `h${index} AS (${write(beside)})`);
  return `${others.length > 0 ? `WITH ${others.join(', ')} ` : ''}${write(null)} ${returning}`;
}

/**
 * Creates the tables that do not exist yet, and the rows of this run. Rows of runs that were killed are deleted after a day. The
 * tables stay: a subscription copies them by name.
 * @throws SetupError if the user may not do that, or a table that heartbeats are to stand beside does not exist.
 */
export async function layOutHeartbeat(client: pg.Client, place: Place): Promise<void> {
  const { tables } = place;
  const { rows: missing } = await client.query<{ name: string }>(
    'SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL',
    [tables],
  );
  if (missing.length > 0)
    throw SetupError.of(
      'replication.heartbeat.tables',
      `there is no table ${missing.map(({ name }) => name).join(', ')}; write names as SQL does, with their schema`,
    );
  for (const beside of [null, ...tables]) await layOutTable(client, place, beside);
}

async function layOutTable(client: pg.Client, { runId, schema }: Place, beside: string | null): Promise<void> {
  const table = heartbeatTable(schema, beside);
  try {
    const { rows } = await client.query<{ schema: string | null; table: string | null }>(
      'SELECT to_regnamespace($1)::text AS schema, to_regclass($2)::text AS table',
      [quoteIdentifier(schema), table],
    );
    // IF NOT EXISTS asks for the privilege to create, also where there is nothing to be created.
    if (rows[0]!.schema === null) await client.query(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`);
    if (rows[0]!.table === null) await client.query(tableDefinition(schema, beside));
    await client.query(`DELETE FROM ${table} WHERE written_at < clock_timestamp() - interval '1 day'`);
    await client.query(`INSERT INTO ${table} (run, sequence, written_at) VALUES ($1, 0, clock_timestamp())`, [runId]);
  } catch (error) {
    throw SetupError.of(
      'replication.heartbeat',
      `the table ${table} cannot be created or written: ${(error as Error).message}; ` +
        `grant CREATE on the database, set replication.heartbeat.schema to a schema of your own, or let its owner run: ${heartbeatDefinition(schema, beside === null ? [] : [beside])} ${grants(client, schema, beside)}`,
    );
  }
}

/** Deletes the rows of a run. */
export async function clearHeartbeat(client: pg.Client, { runId, schema, tables }: Place): Promise<void> {
  for (const beside of [null, ...tables])
    await client.query(`DELETE FROM ${heartbeatTable(schema, beside)} WHERE run = $1`, [runId]);
}
