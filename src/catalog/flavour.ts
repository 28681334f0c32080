import type pg from 'pg';

/** PostgreSQL, or a database that speaks its protocol. */
export type Flavour = 'PostgreSQL' | 'YugabyteDB' | 'CockroachDB';

/** Returns which database a `version()` is that of. */
export function flavourOf(version: string): Flavour {
  if (/^CockroachDB\b/.test(version)) return 'CockroachDB';
  // "PostgreSQL 15.2-YB-2.25.0.0-b0 on x86_64-pc-linux-gnu, …"
  return /-YB-/.test(version) ? 'YugabyteDB' : 'PostgreSQL';
}

/** Returns which database a session is on. */
export async function readFlavour(client: pg.Client): Promise<Flavour> {
  const { rows } = await client.query<{ version: string }>('SELECT version()');
  return flavourOf(rows[0]!.version);
}

/** Returns what a run does without on another database than PostgreSQL, as one line; null on PostgreSQL. */
export function lacksOf(flavour: Flavour): string | null {
  if (flavour === 'PostgreSQL') return null;
  return (
    `the server is ${flavour}. The run does without what only PostgreSQL has: sampling of rows (row_selection: system_rows), positions in the log, ` +
    'places of rows (tables without a key are left out), the status of transactions (moves between partitions are not counted), ' +
    'and advisory locks (shards use leases). This was not tested on a real server'
  );
}
