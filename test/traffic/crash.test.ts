import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { startCluster } from '../../src/server/cluster.js';
import { createDemo } from '../../src/server/demo.js';
import { configFor, connectTo, contentHash, count, createDatabase, heldPace, startCli } from '../server/database.js';

const TABLES = ['eg_users', 'eg_orders'];
const CONFIG = 'manual_table_list: [eg_users, eg_orders]\nrandom_seed: 9\nnum_iterations: 10000';
/* Rows that look alike: only the server knows which ones are whose. */
const ALIKE = 'CREATE TABLE flags (x bool, y bool); CREATE TABLE marked (at timestamptz, who text)';

it('a crash of the server in the middle changes neither rows nor counts', async () => {
  // A server of its own: killing a backend takes all sessions of the server down with it.
  const cluster = await startCluster();
  try {
    const hashes: Record<string, string>[] = [];
    for (const crashes of [0, 2]) {
      const database = await createDatabase('SELECT', cluster.settings.port);
      await createDemo(database.client);
      await database.client.query(ALIKE);
      await database.client.end();
      const pace = heldPace(1500);
      const settings = CONFIG.replace('eg_orders]', 'eg_orders, flags, marked]');
      const run = startCli(configFor(database, settings, crashes > 0 ? pace.traffic : ''));
      for (let crash = 0; crash < crashes; crash++) await crashSoon(database.port, database.name);
      pace.letGo();
      const { code, summary } = await run.ended;
      expect(code).toBe(0);
      expect(summary.totals).toMatchObject({ operations: 10_000, committed: 10_000, in_doubt_unknown: 0 });
      if (crashes > 0) expect(summary.totals['reconnects']).toBeGreaterThanOrEqual(4);
      const client = await connectTo(database.port, database.name);
      const tables = [...TABLES, 'flags', 'marked'];
      for (const table of tables) {
        expect(summary.tables[`public.${table}`]!.rows_expected).toBe(await count({ ...database, client }, table));
      }
      hashes.push(await contentHash({ ...database, client }, tables));
      await client.end();
    }
    expect(hashes[1]).toEqual(hashes[0]);
  } finally {
    await cluster.stop();
  }
});

it('says that counts are not exact where a crash may have lost what was acknowledged, and a history forbids to take it back', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-crash-'));
  const cluster = await startCluster({ settings: ['synchronous_commit = off'] });
  try {
    const database = await createDatabase('SELECT', cluster.settings.port);
    await createDemo(database.client);
    await database.client.end();
    const pace = heldPace(1500);
    const run = startCli(configFor(database, CONFIG, pace.traffic), ['--history', path.join(folder, 'run.history')]);
    await crashSoon(database.port, database.name);
    pace.letGo();
    const { code, summary, stderr } = await run.ended;
    expect(code).toBe(0);
    expect(summary.totals['operations']).toBe(10_000);
    expect(stderr).toContain('the server crashed with synchronous_commit=off');
    expect(summary.reproducible).toBe(false);
    expect(summary.reproducible_because.join()).toContain('may have lost acknowledged commits');
    for (const table of TABLES) expect(summary.tables[`public.${table}`]!.rows_expected).toBeNull();
  } finally {
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

it('an outage beyond max_outage_seconds ends with exit code 3 and claims no count that it cannot know', async () => {
  const cluster = await startCluster();
  const database = await createDatabase('SELECT', cluster.settings.port);
  await createDemo(database.client);
  // Statements take their time on the server, so that every lane has some under way when it goes.
  await database.client.query(
    `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN NULL; END'`,
  );
  for (const table of TABLES) {
    await database.client.query(
      `CREATE TRIGGER slow AFTER INSERT OR UPDATE OR DELETE ON ${table} EXECUTE FUNCTION slow()`,
    );
  }
  const run = startCli(configFor(database, `${CONFIG.replace('10000', '-1')}\nmax_outage_seconds: 1`));
  for (let rows = 0; rows < 1050; ) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    rows = await count(database, 'eg_users');
  }
  await database.client.end();
  await cluster.stop();
  const { code, summary } = await run.ended;
  expect(code).toBe(3);
  expect(summary.exit.reason).toContain('unreachable for longer than max_outage_seconds');
  expect(summary.totals['in_doubt_unknown']).toBeGreaterThan(0);
  for (const table of TABLES) expect(summary.tables[`public.${table}`]!.rows_expected).toBeNull();
});

/** Kills a backend of a run with SIGKILL while the run writes rows: the server restarts as after a crash. */
async function crashSoon(port: number, name: string): Promise<void> {
  const startMs = performance.now();
  for (let before: number | null = null; performance.now() - startMs < 60_000; ) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const client = await connectTo(port, name).catch(() => null);
    if (client === null) continue;
    try {
      const { rows } = await client.query<{ pid: number; written: number }>(
        `SELECT pid, (SELECT count(*)::int FROM eg_orders) + (SELECT count(*)::int FROM eg_users) AS written FROM pg_stat_activity
         WHERE datname = $1 AND application_name ~ '^eventgen/[0-9a-f]+/[0-9]+$' LIMIT 1`,
        [name],
      );
      const [found] = rows;
      if (found !== undefined && before !== null && found.written !== before) {
        process.kill(found.pid, 'SIGKILL');
        return;
      }
      before = found?.written ?? null;
    } catch {
      // The server is about to come back, or the backend has left.
    } finally {
      await client.end().catch(() => undefined);
    }
  }
  throw new Error('no backend of the run was seen writing');
}
