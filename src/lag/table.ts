import type pg from 'pg';
import { quoteIdentifier } from '../catalog/model.js';
import { SetupError } from '../config/problem.js';

/** Which run's heartbeats, and in which schema. */
export interface Place {
  readonly runId: string;
  readonly schema: string;
}

/** The heartbeats' table, quoted: a row per run. */
export function heartbeatTable(schema: string): string {
  return `${quoteIdentifier(schema)}.heartbeat`;
}

/** What makes the table, on whatever server. */
export function heartbeatDefinition(schema: string): string {
  return `CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}; ${tableDefinition(schema)};`;
}

function tableDefinition(schema: string): string {
  return `CREATE TABLE IF NOT EXISTS ${heartbeatTable(schema)} (run text PRIMARY KEY, sequence bigint NOT NULL, written_at timestamptz NOT NULL)`;
}

/**
 * Makes the table where it is not there yet, and the row of this run. Rows of runs that were killed go after a day. The table
 * stays: a subscription copies it by name.
 * @throws SetupError where the user may not.
 */
export async function layOutHeartbeat(client: pg.Client, { runId, schema }: Place): Promise<void> {
  try {
    const { rows } = await client.query<{ schema: string | null; table: string | null }>(
      'SELECT to_regnamespace($1)::text AS schema, to_regclass($2)::text AS table',
      [quoteIdentifier(schema), heartbeatTable(schema)],
    );
    // IF NOT EXISTS asks for the privilege to create, also where there is nothing to be created.
    if (rows[0]!.schema === null) await client.query(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`);
    if (rows[0]!.table === null) await client.query(tableDefinition(schema));
    await client.query(`DELETE FROM ${heartbeatTable(schema)} WHERE written_at < clock_timestamp() - interval '1 day'`);
    await client.query(
      `INSERT INTO ${heartbeatTable(schema)} (run, sequence, written_at) VALUES ($1, 0, clock_timestamp())`,
      [runId],
    );
  } catch (error) {
    throw SetupError.of(
      'replication.heartbeat',
      `the table ${heartbeatTable(schema)} cannot be created or written: ${(error as Error).message}; ` +
        `grant CREATE on the database, set replication.heartbeat.schema to a schema of your own, or create the table once: ${heartbeatDefinition(schema)}`,
    );
  }
}

/** Takes the row of a run away. */
export async function clearHeartbeat(client: pg.Client, { runId, schema }: Place): Promise<void> {
  await client.query(`DELETE FROM ${heartbeatTable(schema)} WHERE run = $1`, [runId]);
}
