import type pg from 'pg';
import { flavourOf } from '../catalog/flavour.js';

/** Identifies the server as it is when a run begins. */
export interface Incarnation {
  /** A transaction id: everything that is written from now on has this one or a later one. */
  readonly sinceXid: string;
  /**
   * Changes where another server has taken over, or where this one has crashed and commits are asynchronous: in both
   * cases what was acknowledged last may be lost.
   */
  readonly name: string;
  /** True for a server that follows another one: it takes no writes, and may be about to take over. */
  readonly isStandby: boolean;
}

/*
 * A promoted server begins a new timeline. A crash makes a server forget its statistics; it forgets them on request as
 * well, which is taken for one.
 */
const QUESTION = `SELECT pg_snapshot_xmin(pg_current_snapshot())::xid::text AS xid,
  CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END AS timeline,
  CASE current_setting('synchronous_commit') WHEN 'off' THEN (SELECT stats_reset::text FROM pg_stat_bgwriter) END AS since`;

export async function readIncarnation(client: pg.Client): Promise<Incarnation> {
  const { rows: banners } = await client.query<{ version: string }>('SELECT version()');
  const flavour = flavourOf(banners[0]!.version);
  // Other databases have neither timelines nor transaction ids in their rows, and never lose what they have acknowledged.
  if (flavour !== 'PostgreSQL') return { sinceXid: '0', name: flavour, isStandby: false };
  const { rows } = await client.query<{ xid: string; timeline: string; since: string | null }>(QUESTION);
  const { xid, timeline, since } = rows[0]!;
  return { sinceXid: xid, name: since === null ? timeline : `${timeline}/${since}`, isStandby: timeline === '' };
}
