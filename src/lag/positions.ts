import type pg from 'pg';
import { heartbeatTable } from './table.js';

/** How far a target got with the server's log, by what it did with it. */
interface Positions {
  readonly at: Readonly<Record<string, string | null>>;
  /** Of a subscription; null elsewhere. */
  readonly slot: string | null;
}

/** Of a standby: what it has received, and what its sessions see. */
export async function physicalPositions(client: pg.Client): Promise<Positions> {
  const { rows } = await client.query<{ received: string | null; replayed: string | null }>(
    'SELECT pg_catalog.pg_last_wal_receive_lsn()::text AS received, pg_catalog.pg_last_wal_replay_lsn()::text AS replayed',
  );
  return { at: { ...rows[0] }, slot: null };
}

/** The subscription that brings the heartbeats: its slot, and what its worker has received. */
export async function logicalPositions(client: pg.Client, schema: string): Promise<Positions> {
  const { rows } = await client.query<{ received: string | null; slot: string | null }>(
    `SELECT s.subslotname AS slot, max(w.received_lsn)::text AS received
     FROM pg_catalog.pg_subscription AS s
     JOIN pg_catalog.pg_subscription_rel AS r ON r.srsubid = s.oid AND r.srrelid = pg_catalog.to_regclass($1)
     LEFT JOIN pg_catalog.pg_stat_subscription AS w ON w.subid = s.oid
     GROUP BY s.oid, s.subslotname ORDER BY s.oid LIMIT 1`,
    [heartbeatTable(schema)],
  );
  return { at: { received: rows[0]?.received ?? null }, slot: rows[0]?.slot ?? null };
}
