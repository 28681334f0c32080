import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { flavourOf } from '../catalog/flavour.js';
import { quoteIdentifier } from '../catalog/model.js';

/** What only one process may hold at a time. */
export interface Lock {
  /** Takes the lock for a session, or renews it. Returns false if another process holds it. */
  take(client: pg.Client, name: string): Promise<boolean>;
  release(client: pg.Client, name: string): Promise<void>;
  /** SQL that holds while some process holds the lock whose name the given SQL says. */
  isHeld(name: string): string;
  /** How often the lock must be taken again so as not to be lost; null: it lasts as long as the session. */
  readonly renewMs: number | null;
}

/* Two numbers that no other program is likely to lock. */
export const LOCK_CLASS = 1_163_282_771;

/** An advisory lock of PostgreSQL, which ends with its session. */
class SessionLock implements Lock {
  readonly renewMs = null;

  async take(client: pg.Client, name: string): Promise<boolean> {
    const { rows } = await client.query<{ locked: boolean }>(
      'SELECT pg_try_advisory_lock($1, hashtext($2)) AS locked',
      [LOCK_CLASS, name],
    );
    return rows[0]!.locked;
  }

  async release(client: pg.Client, name: string): Promise<void> {
    await client.query('SELECT pg_advisory_unlock($1, hashtext($2))', [LOCK_CLASS, name]);
  }

  isHeld(name: string): string {
    return `EXISTS (
      SELECT FROM pg_catalog.pg_locks AS l
      WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
        AND l.classid = ${LOCK_CLASS} AND l.objid = (hashtext(${name})::bigint & 4294967295)::oid)`;
  }
}

/* A process that has died holds its lease for this long at most. */
const LEASE_SECONDS = 10;

/** A row that its holder must renew, for databases without advisory locks. */
export class Lease implements Lock {
  readonly renewMs = 2000;
  private readonly table: string;
  private readonly holder = randomBytes(8).toString('hex');

  constructor(schema: string) {
    this.table = leasesIn(schema).name;
  }

  async take(client: pg.Client, name: string): Promise<boolean> {
    const { rowCount } = await client.query(
      `INSERT INTO ${this.table} AS l (name, holder, expires_at) VALUES ($1, $2, clock_timestamp() + interval '${LEASE_SECONDS} seconds')
       ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
       WHERE l.holder = excluded.holder OR l.expires_at < clock_timestamp()`,
      [name, this.holder],
    );
    return rowCount === 1;
  }

  async release(client: pg.Client, name: string): Promise<void> {
    await client.query(`DELETE FROM ${this.table} WHERE name = $1 AND holder = $2`, [name, this.holder]);
  }

  isHeld(name: string): string {
    return `EXISTS (SELECT FROM ${this.table} AS l WHERE l.name = ${name} AND l.expires_at >= clock_timestamp())`;
  }
}

/** Returns the table that holds leases, and what creates it. */
export function leasesIn(schema: string): { readonly name: string; readonly sql: string } {
  const name = `${quoteIdentifier(schema)}.run_lease`;
  return {
    name,
    sql: `CREATE TABLE IF NOT EXISTS ${name} (name text PRIMARY KEY, holder text NOT NULL, expires_at timestamptz NOT NULL)`,
  };
}

/** Returns the kind of lock that a database has. */
export async function lockOf(client: pg.Client, schema: string): Promise<Lock> {
  const { rows } = await client.query<{ version: string }>('SELECT version()');
  return flavourOf(rows[0]!.version) === 'PostgreSQL' ? new SessionLock() : new Lease(schema);
}
