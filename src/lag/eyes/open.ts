import type pg from 'pg';
import { quoteIdentifier } from '../../catalog/model.js';
import type { ConnectionSettings } from '../../config/connection.js';
import { SetupError } from '../../config/problem.js';
import type { ReplicationConfig, ReplicationTarget, ServerTarget } from '../../config/replication.js';
import type { Source } from '../source.js';
import { heartbeatDefinition, heartbeatTable } from '../table.js';
import { CommandEye } from './command-eye.js';
import type { Eye } from './eye.js';
import { ServerEye, subscriptionSlot } from './server-eye.js';
import { SlotEye } from './slot-eye.js';

/** A target, and which heartbeats are looked for there. */
export interface Watched<Target extends ReplicationTarget = ReplicationTarget> {
  readonly target: Target;
  /** The table beside which they are written; null: those that stand for all tables. */
  readonly beside: string | null;
}

/** Returns what is looked at: every target, and each of its tables that has heartbeats of its own. A slot knows no tables. */
export function watchedIn({ targets, tables }: ReplicationConfig): Watched[] {
  return targets.flatMap((target): Watched[] => [
    { target, beside: null },
    ...(target.kind === 'slot'
      ? []
      : tables.map((table) => ({ target: { ...target, name: `${target.name}/${table}` }, beside: table }))),
  ]);
}

/** What all targets of a run are looked at with. */
export interface Opening {
  readonly replication: ReplicationConfig;
  /** Of the server that the traffic goes to. */
  readonly connection: ConnectionSettings;
  readonly runId: string;
  readonly connectTimeoutMs: number;
  readonly report: (level: 'info' | 'warn', text: string) => void;
}

/** An eye for a target, by its kind. */
export async function openEye({ target, beside }: Watched, source: Source, opening: Opening): Promise<Eye> {
  const { replication, connection, runId, connectTimeoutMs } = opening;
  const options = { runId, schema: replication.schema, beside, source, connectTimeoutMs };
  switch (target.kind) {
    case 'slot':
      return SlotEye.open({ ...options, target }, connection);
    case 'command':
      return new CommandEye({ ...options, target });
    default:
      return ServerEye.open({ ...options, target });
  }
}

/**
 * Looks whether a target is what its configuration says.
 * @throws SetupError where it is not, with what to do there; Error where it cannot be asked.
 */
export async function expectTarget(eye: Eye, watched: Watched, opening: Opening): Promise<void> {
  const { target } = watched;
  if (eye instanceof SlotEye) {
    if (await eye.exists()) return;
    throw failure(
      target,
      `there is no replication slot "${eye.slot}" on the source server (connection:); SELECT slot_name FROM pg_replication_slots lists its slots`,
    );
  }
  if (eye instanceof CommandEye) {
    const newest = await eye.newest();
    if (newest > 0)
      throw failure(
        target,
        `its command printed ${newest} before the first heartbeat of this run was written; it must read only rows whose run is $EVENTGEN_RUN_ID`,
      );
  }
  if (eye instanceof ServerEye) await expectServer(eye, { target: eye.target, beside: watched.beside }, opening);
}

const ARRIVAL_TIMEOUT_MS = 10_000;

/* The table must be there; that its row has not arrived yet may be the very lag that is to be measured. */
async function expectServer(
  eye: ServerEye,
  { target, beside }: Watched<ServerTarget>,
  opening: Opening,
): Promise<void> {
  const { replication, runId, report } = opening;
  const table = heartbeatTable(replication.schema, beside);
  const definition = heartbeatDefinition(replication.schema, replication.tables);
  await expectKind(eye, target, { schema: quoteIdentifier(replication.schema), table, definition });
  const deadline = performance.now() + ARRIVAL_TIMEOUT_MS;
  let missing = '';
  for (;;) {
    try {
      const { rowCount } = await eye.client.query(`SELECT FROM ${table} WHERE run = $1`, [runId]);
      if (rowCount === 1) return;
      missing = 'the row of this run';
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (code !== '42P01' && code !== '3F000') throw failure(target, `${table} cannot be read: ${message}`);
      missing = `the table ${table}`;
    }
    if (performance.now() > deadline) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const text = `${missing} did not arrive within ${ARRIVAL_TIMEOUT_MS / 1000} s`;
  if (target.kind === 'heartbeat' && missing.startsWith('the table')) {
    const grants = readingGrants(eye.client, quoteIdentifier(replication.schema), table);
    throw failure(
      target,
      `${text}; include it in the replication, or create it on the target: ${definition} ${grants}`,
    );
  }
  report('warn', `replication target ${target.name}: ${text}; its lag is measured from now on`);
}

/* What the kind promises, asked of the target itself. */
async function expectKind(
  { client }: ServerEye,
  target: ServerTarget,
  { schema, table, definition }: { schema: string; table: string; definition: string },
): Promise<void> {
  if (target.kind === 'physical') {
    const { rows } = await client.query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby');
    if (!rows[0]!.standby)
      throw failure(target, 'is not a standby (pg_is_in_recovery() is false); use kind: logical or kind: heartbeat');
  }
  if (target.kind === 'logical') {
    const { rows } = await client.query<{ found: string | null }>('SELECT to_regclass($1)::text AS found', [table]);
    const slot = await subscriptionSlot(client, table);
    if (rows[0]!.found !== null && slot !== null) return;
    const create = rows[0]!.found === null ? `${definition} ` : '';
    throw failure(
      target,
      `has no subscription for ${table}. Run on the source, unless the publication is FOR ALL TABLES: ` +
        `ALTER PUBLICATION name ADD TABLE ${table}; and for the user in the subscription's connection string: ${grants('role', schema, table)} ` +
        `On the target, as the subscription's owner: ${create}ALTER SUBSCRIPTION name REFRESH PUBLICATION; ${readingGrants(client, schema, table)}`,
    );
  }
}

/** Returns what the user of a session needs to read heartbeats. */
function readingGrants({ user = '' }: pg.Client, schema: string, table: string): string {
  return grants(quoteIdentifier(user), schema, table);
}

function grants(role: string, schema: string, table: string): string {
  return `GRANT USAGE ON SCHEMA ${schema} TO ${role}; GRANT SELECT ON ${table} TO ${role};`;
}

function failure({ name }: ReplicationTarget, message: string): SetupError {
  return SetupError.of(`replication target ${name}`, message);
}
