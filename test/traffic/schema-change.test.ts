import { expect, it } from 'vitest';
import { configFor, count, databasesPerTest, startCli } from '../server/database.js';

const { tables } = databasesPerTest();
const TABLES = `CREATE TABLE a (id int PRIMARY KEY, v text, n int); CREATE TABLE b (id int PRIMARY KEY, v text);
  CREATE TABLE c (id int PRIMARY KEY, v text)`;

async function busy(committed: () => Promise<number>, more = 200): Promise<void> {
  const before = await committed();
  for (let look = 0; look < 500 && (await committed()) < before + more; look++)
    await new Promise((resolve) => setTimeout(resolve, 20));
}

it('says what others change in the schema, leaves out what is not possible any more, and goes on with the rest', async () => {
  const database = await tables(TABLES);
  const run = startCli(configFor(database, 'random_seed: 3\nnum_iterations: -1'));
  await busy(() => count(database, 'b'));
  await database.client.query('ALTER TABLE a DROP COLUMN v');
  await run.saw('public.a: column v (text) is gone');
  await database.client.query('DROP TABLE c');
  await run.saw('public.c: the table no longer exists');
  // Nothing is refused because of these.
  await database.client.query('ALTER TABLE b ADD COLUMN z int NOT NULL DEFAULT 1, ADD CONSTRAINT fits CHECK (z > 0)');
  // What was refused in flight must be a small share of the run.
  await busy(() => count(database, 'b'), 2000);
  run.kill('SIGTERM');
  const { code, summary, stderr } = await run.ended;
  expect(code).toBe(0);
  expect(stderr).toContain('public.b: column z (integer, not null) is new, constraint fits is new');
  // At most what was in flight, for each kind of operation and lane.
  expect(summary.totals['rejected']).toBeLessThan(3 * 3 * 4 * 8);
  expect(stderr.match(/public\.c: INSERT is skipped from now on/g)).toHaveLength(1);
  expect(summary.reproducible).toBe(false);
  expect(summary.reproducible_because.join()).toMatch(/the schema of public\.a.*public\.b was changed during the run/);
  expect(summary.tables['public.c']!.rows_expected).toBeNull();
  for (const table of ['a', 'b'])
    expect(summary.tables[`public.${table}`]!.rows_expected).toBe(await count(database, table));
});

it('ends at once when no table is left', async () => {
  const database = await tables(
    'CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text)',
  );
  const run = startCli(configFor(database, 'random_seed: 3\nnum_iterations: -1'));
  await busy(() => count(database, 'b'));
  await database.client.query('DROP TABLE a, b');
  const { code, summary } = await run.ended;
  expect(code).toBe(2);
  expect(summary.exit.reason).toContain('all of the tables were dropped during the run');
  expect(summary.totals['failed']).toBe(0);
});
