import { performance } from 'node:perf_hooks';
import pg from 'pg';
import type { ConnectionSettings } from '../config/connection.js';
import { SetupError } from '../config/problem.js';
import { MAX_REPLAYS, reactionTo, replayDelayMs } from '../lane/messages/outcome.js';
import { isServerError } from '../traffic/queries.js';
import { endBackend, statusOf } from '../traffic/recovery.js';
import { connect, isFinal, processIdOf, wasReadOnly } from '../traffic/session.js';
import type { Entry, Journal } from './journal.js';

export interface LoaderSettings {
  readonly connection: ConnectionSettings;
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  readonly maxOutageMs: number;
}

export type LoadEnd =
  | { readonly kind: 'finished' | 'stopped' }
  | { readonly kind: 'outage' | 'refused'; readonly message: string };

const FIRST_BACKOFF_MS = 50;
const LONGEST_BACKOFF_MS = 2000;

/** A refusal that no other value would pass, or a condition that did not pass: the table is left as it is. */
export class TableRefused extends Error {}

/** What a transaction did, for the journal; null where there is nothing to commit. */
export type Done = Omit<Entry, 'lane' | 'stage' | 'xid'> | null;

/** One connection at a time, and transactions that commit once, whatever happens to it. */
export class LoadSession {
  private readonly lane: number;
  private readonly settings: LoaderSettings;
  private readonly journal: Journal | null;
  private readonly reconnected: () => void;
  private client: pg.Client | null = null;
  private processId = 0;

  constructor(lane: number, settings: LoaderSettings, journal: Journal | null, reconnected: () => void) {
    this.lane = lane;
    this.settings = settings;
    this.journal = journal;
    this.reconnected = reconnected;
  }

  async close(): Promise<void> {
    await this.client?.end().catch(() => undefined);
  }

  /** Nothing is to be committed: all of it was refused. */
  nothing(stage: number): void {
    this.journal?.add({ lane: this.lane, stage, xid: null, pieces: 0, refused: [], taken: 0, effect: null });
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
      let xid: string | null = null;
      try {
        const begun = await client.query<{ xid: string }>('BEGIN; SELECT pg_current_xact_id()::text AS xid');
        // Of several statements pg returns a list.
        const [, { rows }] = begun as unknown as [pg.QueryResult, pg.QueryResult<{ xid: string }>];
        const done = await work(client);
        if (done === null) {
          await client.query('ROLLBACK');
          return;
        }
        xid = rows[0]!.xid;
        this.journal?.add({ lane: this.lane, stage, xid, ...done });
        await client.query('COMMIT');
        return;
      } catch (error) {
        if (error instanceof SetupError) {
          await client.query('ROLLBACK').catch(() => undefined);
          throw new Ended({ kind: 'refused', message: error.message });
        }
        if (error instanceof TableRefused) {
          await client.query('ROLLBACK').catch(() => undefined);
          throw error;
        }
        if (!isRefusal(error)) {
          if (!isLoss(error)) throw error;
          if (await this.wasCommitted(xid)) return;
          lostSinceMs ??= performance.now();
          if (performance.now() - lostSinceMs > this.settings.maxOutageMs)
            throw new Ended({ kind: 'outage', message: (error as Error).message });
          continue;
        }
        await client.query('ROLLBACK').catch(() => undefined);
        const reaction = reactionTo(error.code!, 'insert');
        if (reaction === 'redraw' && refused(error)) continue;
        if (reaction !== 'replay' || replays++ >= MAX_REPLAYS)
          throw new TableRefused(`${error.message} (${error.code})`);
        await new Promise((resolve) => setTimeout(resolve, replayDelayMs(replays)));
      }
    }
  }

  /** What the server knows of a transaction whose COMMIT was not answered. */
  private async wasCommitted(xid: string | null): Promise<boolean> {
    const lost = this.processId;
    const sinceMs = performance.now();
    for (;;) {
      // It may be in order, and of no use.
      void this.client?.end().catch(() => undefined);
      this.client = null;
      const client = await this.connection();
      try {
        await endBackend(client, lost, this.settings.applicationName, this.settings.connectTimeoutMs);
        return xid !== null && (await statusOf(client, xid)) === 'committed';
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
        if (this.processId !== 0) this.reconnected();
        this.processId = processIdOf(this.client);
        return this.client;
      } catch (error) {
        const message = (error as Error).message || String((error as NodeJS.ErrnoException).code);
        if (isFinal(error)) throw new Ended({ kind: 'refused', message });
        if (performance.now() - sinceMs > maxOutageMs) throw new Ended({ kind: 'outage', message });
        const backoffMs = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(attempt, 10));
        await new Promise((resolve) => setTimeout(resolve, backoffMs));
      }
    }
  }
}

/** The lane ends, as a value that passes through its awaits. */
export class Ended extends Error {
  readonly end: LoadEnd;

  constructor(end: LoadEnd) {
    super();
    this.end = end;
  }
}

export function isRefusal(error: unknown): error is pg.DatabaseError {
  return error instanceof Error && isServerError(error);
}

function isLoss(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return true;
  const { code, message } = error as NodeJS.ErrnoException;
  return code !== undefined || /connection|queryable|closed/i.test(message);
}
