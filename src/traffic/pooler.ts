import pg from 'pg';
import { SetupError } from '../config/problem.js';

/* A pooler that has no free server lets a session wait. */
const PROBE_MS = 2000;
/* Sessions that hold a server each while the first one is asked again. */
const MOST_HOLDERS = 4;

/** What answers a session. */
export interface Backend {
  readonly processId: number;
  readonly isReadOnly: boolean;
  readonly isStandby: boolean;
}

const QUESTION =
  "SELECT pg_backend_pid() AS pid, current_setting('transaction_read_only') AS read_only, pg_is_in_recovery() AS standby";

/** The server's process that answers a session, asked of it now. */
export async function backendOf(client: pg.Client, timeoutMs: number): Promise<Backend> {
  const question = { text: QUESTION, query_timeout: timeoutMs } as pg.QueryConfig;
  const { rows } = await client.query<{ pid: number; read_only: string; standby: boolean }>(question);
  const { pid, read_only, standby } = rows[0]!;
  return { processId: pid, isReadOnly: read_only === 'on', isStandby: standby };
}

/**
 * Finds out whether a session behind a pooler has its server for itself. Others begin transactions meanwhile: one of them
 * is lent the first one's server where servers are lent by transaction, since that lies idle. Where the pooler has no
 * server left, each session that has one keeps it.
 * @throws SetupError where sessions are shared: settings, prepared statements and what is in doubt would be those of others.
 */
export async function checkOwnServer(
  client: pg.Client,
  processId: number,
  another: () => Promise<pg.Client>,
): Promise<void> {
  const holders: pg.Client[] = [];
  try {
    while (holders.length < MOST_HOLDERS) {
      const holder = await another();
      holders.push(holder);
      await holder.query({ text: 'BEGIN', query_timeout: PROBE_MS } as pg.QueryConfig);
      if ((await backendOf(holder, PROBE_MS)).processId === processId) throw sharedSessions('transaction');
      if ((await backendOf(client, PROBE_MS)).processId !== processId) throw sharedSessions('transaction');
    }
  } catch (error) {
    if (error instanceof SetupError) throw error;
    // The server itself refuses no BEGIN.
    if (error instanceof pg.DatabaseError && /statement pooling/i.test(error.message))
      throw sharedSessions('statement');
  } finally {
    for (const holder of holders) holder.end().catch(() => undefined);
  }
}

/** What to do where sessions are lent out by a pooler. */
export function sharedSessions(mode: 'transaction' | 'statement'): SetupError {
  return SetupError.of(
    'connection',
    `a pooler in ${mode} mode stands between: it lends sessions to others, so that settings and prepared statements get mixed up; connect to PostgreSQL itself, or set pool_mode = session for this user or database`,
  );
}
