import { expect, it } from 'vitest';
import { configFor, createDatabase, runCli } from '../server/database.js';

const COLUMNS = Array.from({ length: 20 }, (_, index) => `c${index}`);

it('rate-bound: the configuration makes the connections wait', async () => {
  const database = await createDatabase('CREATE TABLE a (id bigint PRIMARY KEY, v text)');
  const { summary } = await runCli(
    configFor(database, 'random_seed: 1\nnum_iterations: 200\nwait_after_operations: 10\nwait_duration_seconds: 0.1'),
  );
  expect(summary.verdict).toBe('rate-bound');
  expect(summary.verdict_because!.waiting).toBeGreaterThan(0.5);
  await database.drop();
});

it('server-bound: every statement takes its time there', async () => {
  const database = await createDatabase(`CREATE TABLE a (id bigint PRIMARY KEY, v text);
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.005); RETURN NULL; END';
    CREATE TRIGGER slow AFTER INSERT OR UPDATE OR DELETE ON a EXECUTE FUNCTION slow()`);
  const { summary, stdout } = await runCli(configFor(database, 'random_seed: 1\nnum_iterations: 900\nconnections: 1'));
  expect(summary.verdict).toBe('server-bound');
  expect(summary.verdict_because!.connections).toBeGreaterThan(0.8);
  expect(summary.verdict_because!.worker).toBeLessThan(0.5);
  expect(stdout).toMatch(/server-bound: connections waited for the server \d+ % of the time/);
  await database.drop();
});

// What else runs on the machine takes its share of both.
it('generator-bound: one thread makes more than the server needs time for', { retry: 2 }, async () => {
  const database = await createDatabase(
    `CREATE UNLOGGED TABLE a (id bigint PRIMARY KEY, ${COLUMNS.map((name) => `${name} text`).join(', ')})`,
  );
  // Letter by letter: much to draw, little to send. The server throws rows away, which costs it next to nothing.
  await database.client.query(`CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER swallow BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION swallow()`);
  const template = '{{string.alpha}}'.repeat(200);
  const overrides = COLUMNS.map((name) => `${name}: { type: template, template: "${template}" }`).join(', ');
  const { summary } = await runCli(
    configFor(
      database,
      `random_seed: 1\noperations: [INSERT]\noperation_weights: [1]\nrehearse: false\ncolumn_overrides: { a: { ${overrides} } }`,
      // A verdict needs 3 seconds, on a fast machine as well.
      'traffic: { duration: 4s }\n',
    ),
  );
  expect(summary.verdict, JSON.stringify(summary.verdict_because)).toBe('generator-bound');
  expect(summary.verdict_because!.advice).toContain('raise generator.workers (now 1)');
  await database.drop();
});

it('names a table that refuses many statements, the function that does, and what helps', async () => {
  const database =
    await createDatabase(`CREATE TABLE picky (id int PRIMARY KEY, n int NOT NULL); CREATE TABLE easy (id int PRIMARY KEY);
    CREATE FUNCTION no_odd() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.n % 2 <> 0 THEN RAISE ''odd numbers are refused''; END IF; RETURN NEW; END';
    CREATE TRIGGER no_odd BEFORE INSERT ON picky FOR EACH ROW EXECUTE FUNCTION no_odd();
    CREATE TABLE clear (id int PRIMARY KEY, amount int NOT NULL, name text);
    CREATE FUNCTION no_odd_amount() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.amount % 2 <> 0 THEN RAISE ''the amount must be even''; END IF; RETURN NEW; END';
    CREATE TRIGGER no_odd BEFORE INSERT ON clear FOR EACH ROW EXECUTE FUNCTION no_odd_amount();`);
  const settings = 'random_seed: 1\nnum_iterations: 400\ninsert_rows: 1\noperations: [INSERT]';
  const { summary, stdout } = await runCli(configFor(database, settings));
  const [clear, picky, ...others] = [...summary.refused_tables!].sort((a, b) => (a.table < b.table ? -1 : 1));
  expect(others).toEqual([]);
  expect(clear!.remedy).toContain('set generator.column_overrides for amount, or');
  expect(picky).toMatchObject({ table: 'public.picky', sqlstate: 'P0001', name: 'raise_exception' });
  expect(picky!.share).toBeGreaterThan(0.3);
  expect(picky!.example).toContain('odd numbers are refused, raised in function no_odd()');
  expect(stdout).toMatch(/public\.picky: \d\d % of its statements refused, mostly P0001 raise_exception/);
  expect(stdout).toMatch(/remedy: set generator\.column_overrides for the columns that the trigger examines/);
  expect(stdout).toMatch(/P0001 raise_exception × \d+, for example/);
  await database.drop();
});
