import { gunzipSync, gzipSync } from 'node:zlib';
import type pg from 'pg';
import { type Catalog, quoteIdentifier } from '../catalog/model.js';
import { SetupError } from '../config/problem.js';
import { type Decided, decodeDecided, encodeDecided, schemaFingerprint } from '../prepare/decided.js';
import type { Prepared } from '../prepare/examine.js';
import { Lease, type Lock, leasesIn } from './lock.js';
import { progressTables } from './progress.js';

/** What all shards of a run share beside the database: tables of ours in it, and what keeps two processes apart. */
export interface RunStore {
  readonly schema: string;
  readonly runId: string;
  readonly lock: Lock;
}

const runs = (schema: string) => `${quoteIdentifier(schema)}.run`;
const shards = (schema: string) => `${quoteIdentifier(schema)}.run_shard`;

/** What makes the tables, each only where it is missing. */
function definitions(schema: string): string[] {
  return [
    `CREATE TABLE IF NOT EXISTS ${runs(schema)} (run_id text PRIMARY KEY, version text NOT NULL, shards int NOT NULL, configuration text NOT NULL,
       schema_fingerprint text NOT NULL, plan bytea NOT NULL, created_at timestamptz NOT NULL DEFAULT clock_timestamp(), starts_at timestamptz, paused text)`,
    `CREATE TABLE IF NOT EXISTS ${shards(schema)} (run_id text, shard int, incarnation int NOT NULL DEFAULT 0, ready_at timestamptz, began_at timestamptz,
       finished_at timestamptz, exit_code int, summary text, PRIMARY KEY (run_id, shard))`,
    ...progressTables(schema).sql,
  ];
}

function tablesIn(schema: string): string[] {
  return [runs(schema), shards(schema), ...progressTables(schema).names];
}

/** @throws SetupError where the user may not make the tables. */
export async function layOutShards(client: pg.Client, schema: string, lock: Lock): Promise<void> {
  try {
    if (lock instanceof Lease) await layOutLeases(client, schema);
    const { rows } = await client.query<{ missing: boolean }>(
      'SELECT bool_or(to_regclass(name) IS NULL) AS missing FROM unnest($1::text[]) AS name',
      [tablesIn(schema)],
    );
    if (!rows[0]!.missing) return;
    // All shards come at the same moment, and IF NOT EXISTS alone does not keep two of them from making the same table.
    await underLock(
      client,
      lock,
      `tables of ${schema}`,
      () => false,
      async () => {
        await layOutSchema(client, schema);
        for (const definition of definitions(schema)) await client.query(definition);
      },
    );
  } catch (error) {
    const { message } = error as pg.DatabaseError;
    throw SetupError.of(
      '--shard',
      `the tables that the shards share cannot be made in ${schema}: ${message}; grant CREATE on the database, or create them once: CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}; ${definitions(schema).join('; ')}; ` +
        `GRANT USAGE ON SCHEMA ${quoteIdentifier(schema)} TO the_user; GRANT SELECT, INSERT, UPDATE, DELETE ON ${tablesIn(schema).join(', ')} TO the_user;`,
    );
  }
}

/* It asks for the privilege to create, also where there is nothing to be created. */
async function layOutSchema(client: pg.Client, schema: string): Promise<void> {
  const { rows } = await client.query('SELECT WHERE to_regnamespace($1) IS NOT NULL', [quoteIdentifier(schema)]);
  if (rows.length === 0) await client.query(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`);
}

/* Nothing keeps two processes apart before there are leases: one of them is told that the table is there already. */
async function layOutLeases(client: pg.Client, schema: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const { name, sql } = leasesIn(schema);
      const { rows } = await client.query('SELECT WHERE to_regclass($1) IS NOT NULL', [name]);
      if (rows.length > 0) return;
      await layOutSchema(client, schema);
      await client.query(sql);
    } catch (error) {
      if (attempt === MOST_ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, LOCK_LOOK_MS));
    }
  }
}

const MOST_ATTEMPTS = 5;

/** Publications whose subscribers need our tables as well, since they stop at the first change of a table that they lack. */
export async function publishedBy(
  client: pg.Client,
): Promise<{ readonly names: readonly string[]; readonly sql: (schema: string) => string }> {
  const { rows } = await client.query<{ name: string }>(
    'SELECT pubname AS name FROM pg_catalog.pg_publication WHERE puballtables',
  );
  return {
    names: rows.map(({ name }) => name),
    sql: (schema) => [`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`, ...definitions(schema)].join('; '),
  };
}

interface StoredRun {
  readonly version: string;
  readonly shards: number;
  readonly configuration: string;
  readonly schema_fingerprint: string;
  readonly plan: Buffer;
}

export interface Identity {
  readonly version: string;
  readonly shards: number;
  readonly configuration: string;
}

/**
 * One plan for all shards: the first to come makes it, under a lock, and the others read it.
 * @throws SetupError where a shard of another configuration, version or number has come before.
 */
export async function sharedPlan(
  client: pg.Client,
  { schema, runId, lock }: RunStore,
  identity: Identity,
  work: {
    /** Reads the database and decides everything. */
    readonly prepare: () => Promise<Prepared>;
    /** Reads what a plan of others is compared and told with. */
    readonly look: () => Promise<Catalog>;
    /** True where others are waited for no longer. */
    readonly isOver: () => boolean;
  },
): Promise<Prepared> {
  return underLock(client, lock, runId, work.isOver, async () => {
    const { rows } = await client.query<StoredRun>(
      `SELECT version, shards, configuration, schema_fingerprint, plan FROM ${runs(schema)} WHERE run_id = $1`,
      [runId],
    );
    const [stored] = rows;
    if (stored !== undefined) {
      check(stored, identity, runId);
      const catalog = await work.look();
      if (stored.schema_fingerprint !== schemaFingerprint(catalog))
        throw SetupError.of('--shard', `run ${runId} was planned for another schema: it has been changed since`);
      return { catalog, ...unpack(stored.plan, runId) };
    }
    const prepared = await work.prepare();
    await client.query(
      `INSERT INTO ${runs(schema)} (run_id, version, shards, configuration, schema_fingerprint, plan) VALUES ($1, $2, $3, $4, $5, $6)`,
      [
        runId,
        identity.version,
        identity.shards,
        identity.configuration,
        schemaFingerprint(prepared.catalog),
        pack(prepared),
      ],
    );
    return prepared;
  });
}

/**
 * Does something while no other shard does something of the same name. It does not wait in the server: `lock_timeout` bounds that,
 * and to make a plan may take longer.
 * @throws SetupError where it is over before the lock is free.
 */
async function underLock<Value>(
  client: pg.Client,
  lock: Lock,
  name: string,
  isOver: () => boolean,
  work: () => Promise<Value>,
): Promise<Value> {
  for (;;) {
    if (await lock.take(client, name)) break;
    if (isOver()) throw SetupError.of('--shard', `another shard of run ${name} has not finished the plan in time`);
    await new Promise((resolve) => setTimeout(resolve, LOCK_LOOK_MS));
  }
  const renewal =
    lock.renewMs === null
      ? undefined
      : setInterval(() => void lock.take(client, name).catch(() => undefined), lock.renewMs);
  try {
    return await work();
  } finally {
    clearInterval(renewal);
    await lock.release(client, name).catch(() => undefined);
  }
}

const LOCK_LOOK_MS = 100;

function check(stored: StoredRun, identity: Identity, runId: string): void {
  const names = { version: 'version', shards: 'number of shards', configuration: 'configuration' } as const;
  for (const [key, name] of Object.entries(names) as [keyof Identity, string][])
    if (stored[key] !== identity[key])
      throw SetupError.of(
        '--shard',
        `run ${runId} was started with another ${name}${key === 'configuration' ? '' : ` (${stored[key]} instead of ${identity[key]})`}; all shards must have the same, and a new run needs a new --run-id`,
      );
}

function pack(prepared: Prepared): Buffer {
  return gzipSync(JSON.stringify({ ...encodeDecided(prepared), incarnation: prepared.incarnation }));
}

/* The server is the one before the first write of any shard: a shard that is restarted looks for rows that it wrote before. */
function unpack(packed: Buffer, runId: string): Decided & Pick<Prepared, 'incarnation'> {
  const stored = JSON.parse(gunzipSync(packed).toString()) as Pick<Prepared, 'incarnation'>;
  return { ...decodeDecided(stored, `run ${runId}`), incarnation: stored.incarnation };
}

/** How far a shard has come. */
interface ShardRow {
  readonly shard: number;
  readonly incarnation: number;
  readonly isReady: boolean;
  readonly hasBegun: boolean;
  readonly isFinished: boolean;
}

export async function readShards(client: pg.Client, { schema, runId, lock }: RunStore): Promise<ShardRow[]> {
  const { rows } = await client.query<ShardRow>(
    `SELECT shard, incarnation, ready_at IS NOT NULL AND ${isCarried(lock)} AS "isReady", began_at IS NOT NULL AS "hasBegun", finished_at IS NOT NULL AS "isFinished"
     FROM ${shards(schema)} AS s WHERE run_id = $1 ORDER BY shard`,
    [runId],
  );
  return rows;
}

/** Another process carries the shard from now on. Returns which one it is, from 1. */
export async function nextIncarnation(client: pg.Client, { schema, runId }: RunStore, shard: number): Promise<number> {
  const { rows } = await client.query<{ incarnation: number }>(
    `INSERT INTO ${shards(schema)} AS s (run_id, shard, incarnation) VALUES ($1, $2, 1)
     ON CONFLICT (run_id, shard) DO UPDATE SET incarnation = s.incarnation + 1, ready_at = NULL, summary = NULL, exit_code = NULL RETURNING incarnation`,
    [runId, shard],
  );
  return rows[0]!.incarnation;
}

/** Reports a shard ready; the one that completes the number says when all start. `startAt`: a moment that was asked for. */
export async function reportReady(
  client: pg.Client,
  { schema, runId, lock }: RunStore,
  { shard, of, startAt }: { readonly shard: number; readonly of: number; readonly startAt: Date | null },
): Promise<void> {
  await client.query(`UPDATE ${shards(schema)} SET ready_at = clock_timestamp() WHERE run_id = $1 AND shard = $2`, [
    runId,
    shard,
  ]);
  await client.query(
    `UPDATE ${runs(schema)} SET starts_at = coalesce($3::timestamptz, clock_timestamp() + interval '2 seconds')
     WHERE run_id = $1 AND starts_at IS NULL
       AND (SELECT count(*) FROM ${shards(schema)} AS s WHERE s.run_id = $1 AND s.ready_at IS NOT NULL AND ${isCarried(lock)}) = $2`,
    [runId, of, startAt],
  );
}

/* A process that is ready and gone has lost its lock. */
function isCarried(lock: Lock): string {
  return lock.isHeld("s.run_id || '/' || s.shard");
}

/** The shard waits no longer: the others do not start with it. */
export async function takeBackReady(client: pg.Client, { schema, runId }: RunStore, shard: number): Promise<void> {
  await client.query(`UPDATE ${shards(schema)} SET ready_at = NULL WHERE run_id = $1 AND shard = $2`, [runId, shard]);
}

/** Milliseconds from now until all shards start, by the server's clock; null where some are not ready. */
export async function startsIn(client: pg.Client, { schema, runId }: RunStore): Promise<number | null> {
  const beganMs = performance.now();
  const { rows } = await client.query<{ ms: number | null }>(
    `SELECT (extract(epoch FROM starts_at - clock_timestamp()) * 1000)::float8 AS ms FROM ${runs(schema)} WHERE run_id = $1`,
    [runId],
  );
  const tripMs = performance.now() - beganMs;
  const ms = rows[0]?.ms ?? null;
  return ms === null ? null : ms - tripMs / 2;
}

export async function noteBegun(client: pg.Client, { schema, runId }: RunStore, shard: number): Promise<void> {
  await client.query(`UPDATE ${shards(schema)} SET began_at = clock_timestamp() WHERE run_id = $1 AND shard = $2`, [
    runId,
    shard,
  ]);
}

/** Shard 1 watches the targets: what it says of the load holds for all. `reason` null: the load goes on. */
export async function notePaused(client: pg.Client, { schema, runId }: RunStore, reason: string | null): Promise<void> {
  await client.query(`UPDATE ${runs(schema)} SET paused = $2 WHERE run_id = $1`, [runId, reason]);
}

/** Why the load of all shards is paused; null where it is not. */
export async function pausedBecause(client: pg.Client, { schema, runId }: RunStore): Promise<string | null> {
  const { rows } = await client.query<{ paused: string | null }>(
    `SELECT paused FROM ${runs(schema)} WHERE run_id = $1`,
    [runId],
  );
  return rows[0]?.paused ?? null;
}

/**
 * Leaves a shard's summary. `isFinal`: false where another process may go on with the shard. Nothing is left where another one
 * does already. Returns whether the shard is still this process's, and whether it was the last of the run to finish.
 */
export async function noteFinished(
  client: pg.Client,
  store: RunStore,
  end: { shard: number; of: number; incarnation: number; exitCode: number; isFinal: boolean; summary: string },
): Promise<{ readonly isOurs: boolean; readonly isLast: boolean }> {
  const { shard, of, incarnation, exitCode, isFinal, summary } = end;
  const { schema, runId, lock } = store;
  return underLock(
    client,
    lock,
    runId,
    () => false,
    async () => {
      const { rowCount } = await client.query(
        `UPDATE ${shards(schema)} SET finished_at = CASE WHEN $5 THEN clock_timestamp() END, exit_code = $3, summary = $4
       WHERE run_id = $1 AND shard = $2 AND incarnation = $6`,
        [runId, shard, exitCode, summary, isFinal, incarnation],
      );
      const finished = (await readShards(client, store)).filter(({ isFinished }) => isFinished);
      return { isOurs: rowCount === 1, isLast: finished.length === of };
    },
  );
}

/** The summaries of a run's shards, as they are stored; the newest run where none is named. */
export async function storedSummaries(
  client: pg.Client,
  schema: string,
  runId: string | undefined,
): Promise<{ readonly runId: string; readonly of: number; readonly summaries: readonly string[] } | null> {
  const { rows } = await client.query<{ run_id: string; shards: number }>(
    `SELECT run_id, shards FROM ${runs(schema)} WHERE run_id = coalesce($1, run_id) ORDER BY created_at DESC LIMIT 1`,
    [runId ?? null],
  );
  const [run] = rows;
  if (run === undefined) return null;
  const found = await client.query<{ summary: string }>(
    `SELECT summary FROM ${shards(schema)} WHERE run_id = $1 AND summary IS NOT NULL ORDER BY shard`,
    [run.run_id],
  );
  return { runId: run.run_id, of: run.shards, summaries: found.rows.map(({ summary }) => summary) };
}
