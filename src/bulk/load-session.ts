import { performance } from 'node:perf_hooks';
import pg from 'pg';
import type { ConnectionSettings } from '../config/connection.js';
import { SetupError } from '../config/problem.js';
import { MAX_REPLAYS, reactionTo, replayDelayMs } from '../lane/messages/outcome.js';
import { isServerError } from '../traffic/queries.js';
import { endBackend } from '../traffic/recovery.js';
import { connect, isFinal, processIdOf, wasReadOnly } from '../traffic/session.js';
import { Ended, TableRefused } from './ends.js';
import { type Entry, readCrashMark } from './journal.js';
import type { Notes } from './notes.js';

export interface LoaderSettings {
  readonly connection: ConnectionSettings;
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  readonly maxOutageMs: number;
  /** What the server told before the first row, and tells until it crashes; null: that is not looked at. */
  readonly crashMark: string | null;
}

const FIRST_BACKOFF_MS = 50;
const LONGEST_BACKOFF_MS = 2000;

/** What a transaction did; null where there is nothing to commit. */
export type Done =
  | (Omit<Entry, 'lane' | 'stage' | 'xid' | 'trace'> & {
      /** The table that has rows of it, as SQL; null: none. */
      readonly wrote: string | null;
      /** Ids that its rows may carry if a savepoint was set before they were written. */
      readonly savepointIds?: readonly string[] | undefined;
    })
  | null;

/** One connection at a time, and transactions that commit once, whatever happens to it. */
export class LoadSession {
  private readonly lane: number;
  private readonly settings: LoaderSettings;
  private readonly notes: Notes;
  private readonly reconnected: () => void;
  private client: pg.Client | null = null;
  private processId = 0;

  constructor(lane: number, settings: LoaderSettings, notes: Notes, reconnected: () => void) {
    this.lane = lane;
    this.settings = settings;
    this.notes = notes;
    this.reconnected = reconnected;
  }

  /** True if the ids of transactions tell whether they were committed. */
  get usesIds(): boolean {
    return !this.notes.isInDatabase;
  }

  async close(): Promise<void> {
    await this.client?.end().catch(() => undefined);
  }

  /** Notes that a transaction was refused, with all of its values. */
  async nothing(stage: number): Promise<void> {
    const none = { pieces: 0, refused: [], taken: 0, effect: null };
    if (!this.notes.isInDatabase) {
      const entry = { lane: this.lane, stage, xid: null, trace: null, ...none };
      return this.notes.add(await this.connection(), entry);
    }
    const work = () => Promise.resolve({ ...none, wrote: null });
    return this.transaction(stage, work, () => false);
  }

  /**
   * Carries out `work` as one transaction that commits once, whatever happens to connections; null from `work` says that
   * there is nothing to commit. `refused` is asked what refuses values: true tries again.
   */
  async transaction(
    stage: number,
    work: (client: pg.Client) => Promise<Done>,
    refused: (error: pg.DatabaseError) => boolean,
  ): Promise<void> {
    let lostSinceMs: number | null = null;
    for (let replays = 0; ; ) {
      const client = await this.connection();
      let noted: Entry | null = null;
      try {
        const xid = await this.begin(client);
        const done = await work(client);
        if (done === null) {
          await client.query('ROLLBACK');
          return;
        }
        const { wrote, savepointIds, ...rest } = done;
        const xmins = savepointIds ?? (xid === null ? [] : [(BigInt(xid) & 0xffffffffn).toString()]);
        const trace = wrote === null || xid === null ? null : { table: wrote, xmins };
        const entry = { lane: this.lane, stage, xid, trace, ...rest };
        noted = entry;
        await this.notes.add(client, entry);
        await client.query('COMMIT');
        return;
      } catch (error) {
        if (error instanceof SetupError || error instanceof Ended) {
          await client.query('ROLLBACK').catch(() => undefined);
          throw error instanceof Ended ? error : new Ended({ kind: 'refused', message: error.message });
        }
        if (error instanceof TableRefused) {
          await client.query('ROLLBACK').catch(() => undefined);
          throw error;
        }
        if (!isRefusal(error)) {
          if (!isLoss(error)) throw error;
          if (await this.wasCommitted(noted)) return;
          if (noted !== null) this.notes.discard(noted);
          lostSinceMs ??= performance.now();
          if (performance.now() - lostSinceMs > this.settings.maxOutageMs)
            throw new Ended({ kind: 'outage', message: (error as Error).message });
          continue;
        }
        await client.query('ROLLBACK').catch(() => undefined);
        if (noted !== null) this.notes.discard(noted);
        const reaction = reactionTo(error.code!, 'insert');
        if (reaction === 'redraw' && refused(error)) continue;
        if (reaction !== 'replay' || replays++ >= MAX_REPLAYS)
          throw new TableRefused(`${error.message} (${error.code})`);
        await new Promise((resolve) => setTimeout(resolve, replayDelayMs(replays)));
      }
    }
  }

  /** @throws Ended if the server has crashed since the load began to write. */
  private async checkMark(client: pg.Client): Promise<void> {
    const { crashMark } = this.settings;
    if (crashMark === null) return;
    const now = await readCrashMark(client);
    if (now !== crashMark) throw new Ended({ kind: 'crashed', crashMark: now });
  }

  /** Begins a transaction. Returns its id; null where a note within it tells what became of it. */
  private async begin(client: pg.Client): Promise<string | null> {
    if (this.notes.isInDatabase) {
      await client.query('BEGIN');
      return null;
    }
    const begun = await client.query<{ xid: string }>('BEGIN; SELECT pg_current_xact_id()::text AS xid');
    // For several statements, pg returns a list of results.
    const [, { rows }] = begun as unknown as [pg.QueryResult, pg.QueryResult<{ xid: string }>];
    return rows[0]!.xid;
  }

  /** What the server knows of a transaction whose COMMIT was not answered. */
  private async wasCommitted(noted: Entry | null): Promise<boolean> {
    const lost = this.processId;
    const sinceMs = performance.now();
    for (;;) {
      // It may be in order, and of no use.
      void this.client?.end().catch(() => undefined);
      this.client = null;
      const client = await this.connection();
      try {
        await endBackend(client, lost, this.settings.applicationName, this.settings.connectTimeoutMs);
        if (noted === null) return false;
        return await this.notes.isCommitted(client, noted);
      } catch (error) {
        // This connection was lost as well.
        if (isRefusal(error) || !isLoss(error)) throw error;
        const { message } = error as Error;
        if (performance.now() - sinceMs > this.settings.maxOutageMs) throw new Ended({ kind: 'outage', message });
      }
    }
  }

  private async connection(): Promise<pg.Client> {
    if (this.client !== null) return this.client;
    const { connection, applicationName, connectTimeoutMs, statementTimeoutMs, lockTimeoutMs, maxOutageMs } =
      this.settings;
    const sinceMs = performance.now();
    for (let attempt = 0; ; attempt++) {
      try {
        this.client = await connect(connection, {
          applicationName,
          connectTimeoutMs,
          statementTimeoutMs,
          lockTimeoutMs,
          pipeline: false,
        });
        if (wasReadOnly(this.client)) {
          await this.client.end().catch(() => undefined);
          this.client = null;
          throw new Error('the server is read-only');
        }
        await this.checkMark(this.client);
        if (this.processId !== 0) this.reconnected();
        this.processId = processIdOf(this.client);
        return this.client;
      } catch (error) {
        const message = (error as Error).message || String((error as NodeJS.ErrnoException).code);
        if (error instanceof Ended) throw error;
        if (isFinal(error)) throw new Ended({ kind: 'refused', message });
        if (performance.now() - sinceMs > maxOutageMs) throw new Ended({ kind: 'outage', message });
        const backoffMs = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(attempt, 10));
        await new Promise((resolve) => setTimeout(resolve, backoffMs));
      }
    }
  }
}

/** Returns the ids that rows written now may carry: a savepoint has an id of its own, and a lock on it while it is open. */
export async function idsInSavepoint(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    `SELECT transactionid::text AS id FROM pg_catalog.pg_locks
     WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND pid = pg_backend_pid()`,
  );
  return rows.map(({ id }) => id);
}

export function isRefusal(error: unknown): error is pg.DatabaseError {
  return error instanceof Error && isServerError(error);
}

function isLoss(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return true;
  const { code, message } = error as NodeJS.ErrnoException;
  return code !== undefined || /connection|queryable|closed/i.test(message);
}
