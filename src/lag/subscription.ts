import type pg from 'pg';
import { quoteIdentifier } from '../catalog/model.js';
import { heartbeatTable } from './table.js';

/* What tells a subscription that we have stopped from one that somebody else has. */
const MARK = 'eventgen: stopped for a while by lag overhead';

const SUBSCRIPTION = `
SELECT s.subname AS name, s.subenabled AS enabled, pg_catalog.obj_description(s.oid, 'pg_subscription') AS comment
FROM pg_catalog.pg_subscription AS s
JOIN pg_catalog.pg_subscription_rel AS r ON r.srsubid = s.oid AND r.srrelid = pg_catalog.to_regclass($1)
ORDER BY s.oid LIMIT 1`;

interface Subscription {
  readonly name: string;
  readonly enabled: boolean;
  readonly comment: string | null;
}

async function read(client: pg.Client, schema: string): Promise<Subscription | undefined> {
  const { rows } = await client.query<Subscription>(SUBSCRIPTION, [heartbeatTable(schema)]);
  return rows[0];
}

/** Stops the subscription that brings the heartbeats, with a mark by which it is found again after a kill -9. */
export async function pauseSubscription(client: pg.Client, schema: string, runId: string): Promise<void> {
  const found = await read(client, schema);
  if (found === undefined || !found.enabled) throw new Error('there is no enabled subscription to pause');
  if (found.comment !== null)
    throw new Error(`the subscription ${found.name} has a comment; the benchmark needs the comment for its own mark`);
  const name = quoteIdentifier(found.name);
  await client.query(
    `BEGIN; COMMENT ON SUBSCRIPTION ${name} IS '${MARK} (${runId})'; ALTER SUBSCRIPTION ${name} DISABLE; COMMIT`,
  );
}

/** Starts it again. */
export async function resumeSubscription(client: pg.Client, schema: string): Promise<void> {
  const found = await read(client, schema);
  if (found?.comment?.startsWith(MARK) !== true) return;
  const name = quoteIdentifier(found.name);
  await client.query(`BEGIN; ALTER SUBSCRIPTION ${name} ENABLE; COMMENT ON SUBSCRIPTION ${name} IS NULL; COMMIT`);
}

/** The name of the subscription that we have stopped; null where we have not. */
export async function pausedByUs(client: pg.Client, schema: string): Promise<string | null> {
  const found = await read(client, schema);
  return found?.comment?.startsWith(MARK) === true ? found.name : null;
}
