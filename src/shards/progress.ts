import { promisify } from 'node:util';
import { gunzipSync, gzip, gzipSync } from 'node:zlib';
import type pg from 'pg';
import { quoteIdentifier } from '../catalog/model.js';
import type { SavedCheckpoint } from '../history/lane-files.js';
import type { Exception } from '../history/lane-log.js';
import { settledWithin } from '../patience.js';
import type { LanePlace } from '../plan/plan.js';
import type { Keeping } from '../traffic/coordinator.js';
import { appliedIn } from '../traffic/counters.js';
import type { Course, LaneCheckpoint, LaneProgress } from '../traffic/lane-progress.js';
import { GIVEN_UP } from '../traffic/stored-log.js';
import type { RunStore } from './store.js';

/** Returns the table that holds what lanes have noted. */
export function logsOf(schema: string): string {
  return `${quoteIdentifier(schema)}.run_log`;
}

/** Returns a condition that holds until another process carries the shard. The run's id is the parameter $1. */
export function shardIsOurs(schema: string, shard: number, incarnation: number): string {
  return `EXISTS (SELECT FROM ${shards(schema)} AS s WHERE s.run_id = $1 AND s.shard = ${shard} AND s.incarnation = ${incarnation})`;
}

const shards = (schema: string) => `${quoteIdentifier(schema)}.run_shard`;
const progresses = (schema: string) => `${quoteIdentifier(schema)}.run_progress`;
const checkpointsOf = (schema: string) => `${quoteIdentifier(schema)}.run_checkpoint`;
const places = (schema: string) => `${quoteIdentifier(schema)}.run_place`;

/** Tables that hold what another process needs to go on with a shard. */
export function progressTables(schema: string): { readonly names: readonly string[]; readonly sql: readonly string[] } {
  return {
    names: [logsOf(schema), progresses(schema), checkpointsOf(schema), places(schema)],
    sql: [
      `CREATE TABLE IF NOT EXISTS ${logsOf(schema)} (run_id text NOT NULL, lane int NOT NULL, id bigint GENERATED ALWAYS AS IDENTITY,
       lines text NOT NULL, PRIMARY KEY (run_id, lane, id))`,
      `CREATE TABLE IF NOT EXISTS ${progresses(schema)} (run_id text, shard int, told_at timestamptz NOT NULL, blocks int NOT NULL,
       counters bytea, PRIMARY KEY (run_id, shard))`,
      `CREATE TABLE IF NOT EXISTS ${checkpointsOf(schema)} (run_id text, lane int, operations bigint, state bytea NOT NULL, log_id bigint NOT NULL,
       PRIMARY KEY (run_id, lane, operations))`,
      `CREATE TABLE IF NOT EXISTS ${places(schema)} (run_id text, shard int, places bytea NOT NULL, PRIMARY KEY (run_id, shard))`,
    ],
  };
}

/* What a thread tells arrives later than it was told, if this thread is busy. */
const MOST_DELAY_MS = 10_000;

/* A server that says nothing is not waited for. */
const SETTLE_MS = 5000;

/* Number of checkpoints that are kept of each lane: its progress may be a little older than the last one. */
const MOST_CHECKPOINTS = 2;

/** With the last line of the log at the time when it was stored. */
interface StoredCheckpoint {
  readonly operations: number;
  readonly logId: string;
  readonly storedMs: number;
  readonly reachedMs: number;
}

const compressed = promisify(gzip);

/* Blocks of counters are mostly zeros: the fastest compression takes nearly all of them away. */
const LEVEL = 1;

/** Keeps a shard's progress in the database, for the process that takes its place when this one is gone. */
export class ProgressKeeper implements Keeping {
  readonly storeExceptions: string;
  /** Holds until another process carries the shard: what this one writes then is of no use. */
  private readonly isOurs: string;
  private readonly store: RunStore;
  private readonly shard: number;
  private readonly session: () => pg.Client;
  /** The latest of each block. */
  private readonly blocks = new Map<number, Float64Array<ArrayBuffer>>();
  private readonly places = new Map<number, LanePlace>();
  private hasNews = false;
  private writing: Promise<void> | null = null;
  /** By lane: checkpoints that are stored. */
  private readonly checkpoints = new Map<number, StoredCheckpoint[]>();
  /** The blocks that were stored last. */
  private written: readonly Float64Array<ArrayBuffer>[] = [];
  private readonly size: { readonly relations: number; readonly lanes: number };
  private storing: Promise<void> = Promise.resolve();

  /** `session` gives the session to write with: it may be another one after a lost connection. `size`: of the run. */
  constructor(
    session: () => pg.Client,
    store: RunStore,
    { shard, incarnation, size }: { shard: number; incarnation: number; size: { relations: number; lanes: number } },
  ) {
    this.size = size;
    this.session = session;
    this.store = store;
    this.shard = shard;
    this.isOurs = shardIsOurs(store.schema, shard, incarnation);
    this.storeExceptions = `INSERT INTO ${logsOf(store.schema)} (run_id, lane, lines) SELECT $1::text, $2::int, $3::text WHERE ${this.isOurs}`;
  }

  readonly take = ({ block, of, counters, places }: LaneProgress): void => {
    this.blocks.set(block, counters);
    for (const [lane, place] of places) this.places.set(lane, place);
    // Until all have told, what the process before has left stands.
    if (this.blocks.size < of) return;
    this.hasNews = true;
    this.writing ??= this.write().finally(() => {
      this.writing = null;
    });
  };

  /** One after the other. If one cannot be stored, those before stand. */
  readonly takeCheckpoint = (checkpoint: LaneCheckpoint): void => {
    const reachedMs = performance.now();
    this.storing = this.storing.then(() => this.storeCheckpoint(checkpoint, reachedMs).catch(() => undefined));
  };

  /** Resolves when what was taken is written, or could not be. */
  async settle(): Promise<void> {
    const written = Promise.all([this.writing, this.storing]);
    await settledWithin(written, SETTLE_MS);
  }

  private async storeCheckpoint({ lane, operations, bytes }: LaneCheckpoint, reachedMs: number): Promise<void> {
    const { schema, runId } = this.store;
    const session = this.session();
    const state = await compressed(bytes, { level: LEVEL });
    const { rows } = await session.query<{ log_id: string }>(
      `INSERT INTO ${checkpointsOf(schema)} (run_id, lane, operations, state, log_id)
         SELECT $1::text, $2::int, $3::bigint, $4::bytea, coalesce((SELECT max(id) FROM ${logsOf(schema)} WHERE run_id = $1 AND lane = $2), 0) WHERE ${this.isOurs}
       RETURNING log_id`,
      [runId, lane, operations, state],
    );
    if (rows[0] === undefined) return;
    const stored = this.checkpoints.get(lane) ?? [];
    this.checkpoints.set(lane, stored);
    stored.push({ operations, logId: rows[0].log_id, storedMs: performance.now(), reachedMs });
    while (stored.length > MOST_CHECKPOINTS && this.hasReached(lane, stored[1]!)) {
      const before = stored.shift()!;
      await this.drop(session, lane, before, stored[0]!);
    }
  }

  /* Progress is told when the exceptions of all lanes are stored. While one lane has no connection, the stored progress of the others stays behind. */
  private hasReached(lane: number, { operations }: StoredCheckpoint): boolean {
    return this.written.reduce((sum, block) => sum + appliedIn(block, this.size, lane), 0) >= operations;
  }

  /*
   * Lines that were in the log when a checkpoint was stored belong to operations before the next one, if the lane came there later.
   * They are dropped when that one is the first of those that are kept.
   */
  private async drop(
    session: pg.Client,
    lane: number,
    before: StoredCheckpoint,
    kept: StoredCheckpoint,
  ): Promise<void> {
    const { schema, runId } = this.store;
    await session.query(
      `DELETE FROM ${checkpointsOf(schema)} WHERE run_id = $1 AND lane = $2 AND operations < $3 AND ${this.isOurs}`,
      [runId, lane, kept.operations],
    );
    if (before.storedMs > kept.reachedMs - MOST_DELAY_MS) return;
    await session.query(
      `DELETE FROM ${logsOf(schema)} WHERE run_id = $1 AND lane = $2 AND id <= $3 AND ${this.isOurs}`,
      [runId, lane, before.logId],
    );
  }

  /* While one write is under way, the latest of what comes waits for the next. Without a server the older progress stands. */
  private async write(): Promise<void> {
    while (this.hasNews) {
      this.hasNews = false;
      const { schema, runId } = this.store;
      const blocks = [...this.blocks].sort(([a], [b]) => a - b).map(([, counters]) => counters);
      const bytes = blocks.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength));
      const packed = gzipSync(Buffer.concat(bytes), { level: LEVEL });
      const packedPlaces = gzipSync(JSON.stringify([...this.places]), { level: LEVEL });
      const text = `WITH placed AS (
          INSERT INTO ${places(schema)} (run_id, shard, places) SELECT $1::text, $2::int, $5::bytea WHERE ${this.isOurs}
          ON CONFLICT (run_id, shard) DO UPDATE SET places = excluded.places)
        INSERT INTO ${progresses(schema)} (run_id, shard, told_at, blocks, counters) SELECT $1::text, $2::int, clock_timestamp(), $3::int, $4::bytea WHERE ${this.isOurs}
        ON CONFLICT (run_id, shard) DO UPDATE SET told_at = excluded.told_at, blocks = excluded.blocks, counters = excluded.counters`;
      try {
        await this.session().query(text, [runId, this.shard, blocks.length, packed, packedPlaces]);
        this.written = blocks;
      } catch {
        // The progress that was stored before remains valid.
      }
    }
  }
}

/** What an earlier process of a shard has stored. */
export interface LeftBehind {
  readonly counters: readonly Float64Array<ArrayBuffer>[];
  /** Null where it has given up the log of a lane. */
  readonly course: Course | null;
  /** By lane: where it begins again if there is no course. */
  readonly places: ReadonlyMap<number, LanePlace>;
}

export async function readLeftBehind(
  client: pg.Client,
  { schema, runId }: RunStore,
  shard: number,
  lanes: readonly number[],
): Promise<LeftBehind> {
  const told = await client.query<{ blocks: number; counters: Buffer }>(
    `SELECT blocks, counters FROM ${progresses(schema)} WHERE run_id = $1 AND shard = $2`,
    [runId, shard],
  );
  const placed = await client.query<{ places: Buffer }>(
    `SELECT places FROM ${places(schema)} WHERE run_id = $1 AND shard = $2`,
    [runId, shard],
  );
  const [progress, place] = [told.rows[0], placed.rows[0]];
  return {
    counters: progress === undefined ? [] : blocksIn(progress.counters, progress.blocks),
    course: await readCourse(client, { schema, runId }, lanes),
    places: new Map(
      place === undefined ? [] : (JSON.parse(gunzipSync(place.places).toString()) as [number, LanePlace][]),
    ),
  };
}

/** Returns null where the log of a lane was given up. */
async function readCourse(
  client: pg.Client,
  { schema, runId }: Pick<RunStore, 'schema' | 'runId'>,
  lanes: readonly number[],
): Promise<Course | null> {
  const exceptions = new Map<number, Exception[]>(lanes.map((lane) => [lane, []]));
  const checkpoints = new Map<number, SavedCheckpoint[]>(lanes.map((lane) => [lane, []]));
  const found = await client.query<{ lane: number; lines: string }>(
    `SELECT lane, lines FROM ${logsOf(schema)} WHERE run_id = $1 AND lane = ANY ($2) ORDER BY lane, id`,
    [runId, lanes],
  );
  for (const { lane, lines } of found.rows) {
    if (lines === GIVEN_UP) return null;
    for (const line of lines.split('\n')) exceptions.get(lane)!.push(JSON.parse(line) as Exception);
  }
  const states = await client.query<{ lane: number; operations: string; state: Buffer }>(
    `SELECT lane, operations, state FROM ${checkpointsOf(schema)} WHERE run_id = $1 AND lane = ANY ($2) ORDER BY lane, operations`,
    [runId, lanes],
  );
  for (const { lane, operations, state } of states.rows)
    checkpoints.get(lane)!.push({ operations: Number(operations), bytes: new Uint8Array(gunzipSync(state)) });
  return { exceptions, checkpoints };
}

function blocksIn(packed: Buffer, count: number): Float64Array<ArrayBuffer>[] {
  const bytes = new Uint8Array(gunzipSync(packed));
  const size = bytes.length / count;
  return Array.from(
    { length: count },
    (_, block) => new Float64Array(bytes.slice(block * size, (block + 1) * size).buffer),
  );
}

/** What was kept of a shard that has finished is of no use any more. */
export async function forgetProgress(
  client: pg.Client,
  { schema, runId }: RunStore,
  shard: number,
  lanes: readonly number[],
): Promise<void> {
  await client.query(`DELETE FROM ${logsOf(schema)} WHERE run_id = $1 AND lane = ANY ($2)`, [runId, lanes]);
  await client.query(`DELETE FROM ${checkpointsOf(schema)} WHERE run_id = $1 AND lane = ANY ($2)`, [runId, lanes]);
  await client.query(`DELETE FROM ${progresses(schema)} WHERE run_id = $1 AND shard = $2`, [runId, shard]);
  await client.query(`DELETE FROM ${places(schema)} WHERE run_id = $1 AND shard = $2`, [runId, shard]);
}

/** Deletes the log of lanes that begin again, except the mark that it was given up: nothing is added to such a log. */
export async function forgetCourse(
  client: pg.Client,
  { schema, runId }: RunStore,
  lanes: readonly number[],
): Promise<void> {
  await client.query(`DELETE FROM ${logsOf(schema)} WHERE run_id = $1 AND lane = ANY ($2) AND lines <> $3`, [
    runId,
    lanes,
    GIVEN_UP,
  ]);
  await client.query(`DELETE FROM ${checkpointsOf(schema)} WHERE run_id = $1 AND lane = ANY ($2)`, [runId, lanes]);
}
