import type pg from 'pg';

/** How long a target may take to come to where the source was. */
const MOST_MS = 30_000;
const POLL_MS = 20;
/* How long to wait if the target's position cannot be found out. */
const SETTLE_MS = 1000;

/**
 * Waits until a target holds what its source held when this was called: a physical standby has replayed that far, a
 * subscriber's workers have applied it, and no table is being copied for the first time. Where neither can be told it waits a second. Returns false where the time was up.
 */
export async function waitForTarget(source: pg.Client, target: pg.Client): Promise<boolean> {
  const position = await askText(
    source,
    'SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text',
  );
  const reached = position === null ? null : await reachedQuery(target, position);
  if (reached === null) {
    await pause(SETTLE_MS);
    return true;
  }
  for (const deadline = performance.now() + MOST_MS; performance.now() < deadline; await pause(POLL_MS))
    if ((await askText(target, reached)) === 'true') return true;
  return false;
}

async function reachedQuery(target: pg.Client, position: string): Promise<string | null> {
  const isStandby = await askText(target, 'SELECT pg_is_in_recovery()::text');
  if (isStandby === 'true') return `SELECT (pg_last_wal_replay_lsn() >= '${position}'::pg_lsn)::text`;
  const subscriptions = await askText(target, `SELECT count(*)::text FROM (${SUBSCRIPTIONS}) AS s`);
  if (subscriptions === null || subscriptions === '0') return null;
  // Every subscription, since it is not known which of them comes from this source. One that is disabled, or whose worker
  // fails, has no position, so it counts as not caught up.
  return `SELECT (bool_and(coalesce(latest_end_lsn >= '${position}'::pg_lsn, false))
                  AND NOT EXISTS (SELECT FROM pg_subscription_rel WHERE srsubstate <> 'r'))::text
          FROM (${SUBSCRIPTIONS}) AS s`;
}

/* Those of this database, each with what its worker has applied; parallel workers beside it have no position. */
const SUBSCRIPTIONS = `
SELECT (SELECT max(w.latest_end_lsn) FROM pg_stat_subscription AS w WHERE w.subid = s.oid AND w.relid IS NULL) AS latest_end_lsn
FROM pg_subscription AS s
WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())`;

/* Servers of another make lack such functions. */
async function askText(client: pg.Client, sql: string): Promise<string | null> {
  try {
    const { rows } = await client.query<Record<string, string | null>>(sql);
    return Object.values(rows[0] ?? {})[0] ?? null;
  } catch {
    return null;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
