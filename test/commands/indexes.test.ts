import { expect, it } from 'vitest';
import { configFor, connectTo, count, createDatabase, type Database, runCli, startCli } from '../server/database.js';

const OURS =
  "SELECT c.relname AS name, i.indisvalid AS valid, am.amname AS method FROM pg_class AS c JOIN pg_index AS i ON i.indexrelid = c.oid JOIN pg_am AS am ON am.oid = c.relam WHERE c.relname LIKE 'event\\_gen\\_idx\\_%'";
const SETTINGS = 'random_seed: 1\nenable_index_create_drop: true\nindex_events_interval: 0.05\nnum_iterations: -1';
const METHODS = ['btree', 'gin', 'gist', 'hash'];
/* More builds than there are columns to index: names and columns come again. */
const MANY = 20;

async function ours(database: Database) {
  return (await database.client.query<{ name: string; valid: boolean; method: string }>(OURS)).rows;
}

it('builds and drops indexes of every kind beside the traffic, refuses no row by them and leaves none', async () => {
  const database = await createDatabase(`CREATE TYPE mood AS ENUM ('fine', 'bad'); CREATE DOMAIN short AS varchar(5);
    CREATE TABLE a (id int PRIMARY KEY, t text, j json, k jsonb, m mood, d short, p point, r int4range, l text[], x xml, n numeric, lines path[], s tsvector);
    CREATE TABLE b (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day); CREATE TABLE b1 PARTITION OF b DEFAULT;
    CREATE INDEX event_gen_idx_of_somebody ON a (n);
    CREATE INDEX event_gen_idx_0badcafe_3 ON a (t);`);
  const run = startCli(configFor(database, `${SETTINGS}\nmin_col_size_bytes: 3000`, 'traffic: { rate: 300 }\n'));
  const seen = new Map<string, string>();
  const isEnough = () => seen.size > MANY + 2 && METHODS.every((method) => [...seen.values()].includes(method));
  // However fast the machine builds. What is not valid yet may still be cut short by the end of the run.
  for (let look = 0; look < 5000 && !isEnough(); look++) {
    for (const { name, method, valid } of await ours(database)) if (valid) seen.set(name, method);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  run.kill('SIGTERM');
  const { code, summary, stderr } = await run.ended;
  expect(stderr).toContain('dropped 1 indexes that an earlier run left behind');
  expect(code).toBe(0);
  expect(summary.totals).toMatchObject({ rejected: 0, failed: 0 });
  expect(Object.keys(summary.errors)).toEqual([]);
  const { created, dropped, failed } = summary.indexes!;
  expect([...new Set(seen.values())].sort()).toEqual(METHODS);
  // Of those that were seen, only the two that were there before are not of this run.
  expect(created).toBeGreaterThanOrEqual(seen.size - 2);
  expect(created).toBeGreaterThan(MANY);
  expect(dropped).toBe(created);
  expect(failed).toBe(0);
  expect((await ours(database)).map(({ name }) => name)).toEqual(['event_gen_idx_of_somebody']);
  for (const [table, { rows_expected: rows }] of Object.entries(summary.tables))
    expect(rows, table).toBe(await count(database, table));
  await database.drop();
});

it('cleans up after a build that was interrupted', async () => {
  const database = await createDatabase('CREATE TABLE a (id int PRIMARY KEY, v int)');
  const blocker = await connectTo(database.port, database.name);
  const run = startCli(configFor(database, SETTINGS));
  // A build waits for this transaction, and its connection is cut meanwhile; then again, and the run is ended.
  await blocker.query('BEGIN; LOCK TABLE a IN SHARE ROW EXCLUSIVE MODE; ROLLBACK; BEGIN; INSERT INTO a VALUES (-1)');
  await waiting(database);
  await database.client.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'eventgen/%/indexes'`,
  );
  await waiting(database);
  run.kill('SIGTERM');
  // The drop waits as well.
  await new Promise((resolve) => setTimeout(resolve, 500));
  await blocker.query('ROLLBACK');
  const { code, summary } = await run.ended;
  expect(code).toBe(0);
  expect(summary.indexes!.dropped).toBeGreaterThan(0);
  await blocker.end();
  expect(await ours(database)).toEqual([]);
  await database.drop();
});

async function waiting({ client }: Database): Promise<void> {
  for (let attempt = 0; attempt < 3000; attempt++) {
    const { rows } = await client.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'eventgen/%/indexes' AND wait_event_type = 'Lock' AND query LIKE 'CREATE INDEX%'`,
    );
    if (rows.length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('no build waits');
}

it('says beforehand that the user owns nothing to index', async () => {
  const database = await createDatabase(`CREATE TABLE a (id int PRIMARY KEY); CREATE ROLE reader_${process.pid} LOGIN;
    GRANT SELECT, INSERT, UPDATE, DELETE ON a TO reader_${process.pid}; INSERT INTO a VALUES (1)`);
  const yaml = configFor(database, SETTINGS).replace('user: postgres', `user: reader_${process.pid}`);
  const { code, stderr } = await runCli(yaml);
  expect(code).toBe(1);
  expect(stderr).toContain(`user "reader_${process.pid}" does not own any targeted table`);
  expect(await count(database, 'a')).toBe(1);
  await database.client.query(`REVOKE ALL ON a FROM reader_${process.pid}; DROP ROLE reader_${process.pid}`);
  await database.drop();
});
