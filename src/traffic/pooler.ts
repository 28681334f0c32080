import pg from 'pg';
import { SetupError } from '../config/problem.js';

/* How long to wait for a pooler that may have no free server connection. */
const PROBE_MS = 2000;
/* Number of sessions that each hold a server connection while the first session is queried again. */
const MOST_HOLDERS = 4;

/** The server process behind a session, and its state. */
export interface Backend {
  readonly processId: number;
  readonly isReadOnly: boolean;
  readonly isStandby: boolean;
}

const QUESTION =
  "SELECT pg_backend_pid() AS pid, current_setting('transaction_read_only') AS read_only, pg_is_in_recovery() AS standby";

/** Queries which server process answers a session now. */
export async function backendOf(client: pg.Client, timeoutMs: number): Promise<Backend> {
  const question = { text: QUESTION, query_timeout: timeoutMs } as pg.QueryConfig;
  const { rows } = await client.query<{ pid: number; read_only: string; standby: boolean }>(question);
  const { pid, read_only, standby } = rows[0]!;
  return { processId: pid, isReadOnly: read_only === 'on', isStandby: standby };
}

/**
 * Finds out whether a session behind a pooler has its server for itself. Others begin transactions meanwhile. Where servers
 * are lent by transaction, one of them is lent the first session's, which lies idle; or none is free for them, and then none
 * is free for the first session either. In session mode the first one is answered by its own server at any time.
 * @throws SetupError where sessions are shared: settings, prepared statements and what is in doubt would be those of others.
 * @throws Error where that cannot be found out now.
 */
export async function checkOwnServer(
  client: pg.Client,
  processId: number,
  another: () => Promise<pg.Client>,
): Promise<void> {
  const holders: pg.Client[] = [];
  const isStillOurs = async () => (await backendOf(client, PROBE_MS)).processId === processId;
  try {
    while (holders.length < MOST_HOLDERS) {
      const holder = await another();
      holders.push(holder);
      const lent = await lendingTo(holder);
      if (lent === processId || !(await answers(isStillOurs))) throw sharedSessions('transaction');
      // The pooler has no server connection for others, but still answers this session.
      if (lent === 'none') return;
    }
  } finally {
    for (const holder of holders) holder.end().catch(() => undefined);
  }
}

/** Begins a transaction in a session and leaves it open. Returns its server process; `none` if it waits for one. */
async function lendingTo(holder: pg.Client): Promise<number | 'none'> {
  try {
    await holder.query({ text: 'BEGIN', query_timeout: PROBE_MS } as pg.QueryConfig);
    return (await backendOf(holder, PROBE_MS)).processId;
  } catch (error) {
    // PostgreSQL itself never rejects a BEGIN.
    if (error instanceof pg.DatabaseError && /statement pooling/i.test(error.message))
      throw sharedSessions('statement');
    if (!isTimeout(error)) throw error;
    return 'none';
  }
}

/* If a session waits while others hold all server connections, it has none of its own. */
async function answers(question: () => Promise<boolean>): Promise<boolean> {
  try {
    return await question();
  } catch (error) {
    // A lost connection says nothing about the pooler.
    if (!isTimeout(error)) throw error;
    return false;
  }
}

/** Returns true for the error of pg after a `query_timeout`. */
function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout';
}

/** Returns the error for a pooler that shares sessions, with what to do. */
export function sharedSessions(mode: 'transaction' | 'statement'): SetupError {
  return SetupError.of(
    'connection',
    `the connection goes through a pooler in ${mode} mode, which shares sessions between clients and so mixes up their settings and prepared statements; connect to PostgreSQL directly, or set pool_mode = session for this user or database`,
  );
}
