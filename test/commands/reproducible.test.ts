import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import type { Summary } from '../../src/report/summary.js';
import { createDemo } from '../../src/server/demo.js';
import { configFor, contentHash, createDatabase, type Database, runCli, startCli } from '../server/database.js';

const TABLES = ['eg_users', 'eg_orders'];
const CONFIG = 'manual_table_list: [eg_users, eg_orders]\nrandom_seed: 21\nnum_iterations: 4000\nconnections: 8';

async function demo(port?: number): Promise<Database> {
  const database = await createDatabase('SELECT', port);
  await createDemo(database.client);
  return database;
}

interface Result {
  readonly hash: Record<string, string>;
  readonly summary: Summary;
}

async function runOn(database: Database, settings: string, environment: NodeJS.ProcessEnv = {}): Promise<Result> {
  const { code, summary, stderr } = await runCli(configFor(database, settings), [], environment);
  expect(stderr).not.toContain('error:');
  expect(code).toBe(0);
  expect(summary.reproducible).toBe(true);
  return { hash: await contentHash(database, TABLES), summary };
}

/* What every other run must leave behind. */
let first: Promise<Result> | undefined;
function reference(): Promise<Result> {
  first ??= demo().then(async (database) => {
    const result = await runOn(database, `${CONFIG}\nworkers: 1`);
    await database.drop();
    for (const table of TABLES) {
      for (const kind of ['insert', 'update', 'delete'] as const)
        expect(result.summary.tables[`public.${table}`]![kind].operations).toBeGreaterThanOrEqual(200);
    }
    return result;
  });
  return first;
}

/* Other servers, another Node.js and connections that are cut: shapes.test.ts. It differs in the number of workers as well. */

it('the same rows with 3 workers, where tables have other OIDs and rows lie in another order', async () => {
  const database = await createDatabase("CREATE TABLE before_all (id int); CREATE TYPE other AS ENUM ('a')");
  await createDemo(database.client);
  await database.client.query(`CREATE TEMP TABLE users AS SELECT * FROM eg_users; CREATE TEMP TABLE orders AS SELECT * FROM eg_orders;
    TRUNCATE eg_users, eg_orders; INSERT INTO eg_users SELECT * FROM users ORDER BY md5(id::text); INSERT INTO eg_orders SELECT * FROM orders ORDER BY id DESC`);
  expect((await runOn(database, `${CONFIG}\nworkers: 3`)).hash).toEqual((await reference()).hash);
  await database.drop();
});

it('the same rows where unique keys, foreign keys, CHECKs and triggers refuse some of them', {
  timeout: 120_000,
}, async () => {
  const results: Result[] = [];
  for (const workers of [1, 3]) {
    const database = await demo();
    // What refuses stands there beforehand: rows that no lane owns, and constraints that no version can foresee.
    await database.client.query(`
      UPDATE eg_users SET email = CASE id WHEN 1 THEN '7@example.com' ELSE replace(email, '@', 'x@') END;
      CREATE UNIQUE INDEX one_seven ON eg_users ((CASE WHEN email ~ '7@' THEN 'seven' ELSE email END));
      ALTER TABLE eg_orders ADD CONSTRAINT odd_quantity CHECK (qty % 5 <> 0) NOT VALID;
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF length(NEW.note) % 7 = 0 THEN RAISE EXCEPTION 'no such note'; END IF; RETURN NEW; END $$;
      CREATE TRIGGER refuse BEFORE UPDATE ON eg_orders FOR EACH ROW EXECUTE FUNCTION refuse()`);
    const settings = `${CONFIG}\nworkers: ${workers}\nexisting_rows: 0\nerror_budget: { max_error_ratio: 1, quarantine_after: 1000000 }
column_overrides: { eg_users: { email: { type: template, template: '{{ordinal}}@example.com' } }, eg_orders: { user_id: { type: int_range, min: -100, max: 900 }, qty: { type: int_range, min: 1, max: 1000 } } }`;
    results.push(await runOn(database, settings));
    await database.drop();
  }
  const [one, three] = results as [Result, Result];
  for (const sqlstate of ['23505', '23503', '23514', 'P0001'])
    expect(one.summary.errors[sqlstate]?.count, sqlstate).toBeGreaterThan(20);
  expect(three.hash).toEqual(one.hash);
  expect(three.summary.lanes).toEqual(one.summary.lanes);
  expect(one.summary.lanes[0]!.exceptions_digest).not.toBe('0000000000000000');
});

it('a run that is stopped leaves each lane at a prefix, and --until repeats it', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-until-'));
  try {
    const database = await demo();
    const endless = CONFIG.replace('4000', '-1');
    const run = startCli(configFor(database, endless));
    while ((await contentHash(database, ['eg_users']))['eg_users']!.startsWith('1000/'))
      await new Promise((resolve) => setTimeout(resolve, 20));
    run.kill('SIGINT');
    const { code, summary } = await run.ended;
    expect(code).toBe(0);
    const hash = await contentHash(database, TABLES);
    await database.drop();
    const operations = summary.lanes.map((lane) => lane.operations);
    expect(operations.reduce((sum, count) => sum + count, 0)).toBe(summary.totals['operations']);
    const file = path.join(folder, 'summary.json');
    writeFileSync(file, JSON.stringify(summary));
    const again = await demo();
    const repeated = await runCli(configFor(again, endless), ['--until', file]);
    expect(repeated.code).toBe(0);
    expect(repeated.summary.lanes.map((lane) => lane.operations)).toEqual(operations);
    expect(await contentHash(again, TABLES)).toEqual(hash);
    // The database is another one now, and so is the plan: said before the first write.
    const late = await runCli(configFor(again, endless), ['--until', file]);
    expect(late.code).toBe(1);
    expect(late.stderr).toContain('the plan differs from the plan of that run');
    await again.drop();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

const SHORT = CONFIG.replace('num_iterations: 4000', 'num_iterations: 2000');

it('a run that begins with a plan file is the run that makes its own, and refuses a plan that does not fit', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-plan-'));
  try {
    const [file, bad] = [path.join(folder, 'plan.json'), path.join(folder, 'bad.json')];
    const [one, two] = [await demo(), await demo()];
    const alone = await runCli(configFor(one, SHORT), []);
    const planned = configFor(two, SHORT);
    expect((await runCli(planned, ['--dry-run', '--plan-out', file])).code).toBe(0);
    const other = await runCli(planned, ['--plan', file, '--set', 'generator.insert_rows=7']);
    expect(other).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('made for another configuration') as string,
    });
    const ran = await runCli(planned, ['--plan', file]);
    expect(ran).toMatchObject({ code: 0, stderr: expect.not.stringContaining('rehearsing') as string });
    expect(ran.summary.tables).toEqual(alone.summary.tables);
    expect(ran.summary.plan_fingerprint).toBe(alone.summary.plan_fingerprint);
    expect(await contentHash(two, TABLES)).toEqual(await contentHash(one, TABLES));
    const again = await runCli(planned, ['--plan', file]);
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('rows when the plan was made') as string });
    await two.client.query('ALTER TABLE eg_users ADD COLUMN more int');
    const changed = await runCli(planned, ['--plan', file]);
    expect(changed).toMatchObject({ code: 1, stderr: expect.stringContaining('made for another schema') as string });
    writeFileSync(bad, '{}');
    const none = await runCli(planned, ['--plan', bad]);
    expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('not a plan file') as string });
    for (const database of [one, two]) await database.drop();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

it('--explain shows an operation of a lane as it was sent, from the database or from a plan file', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-plan-'));
  try {
    const plan = path.join(folder, 'plan.json');
    const database = await demo();
    const explained = await runCli(configFor(database, CONFIG), ['--explain', '3:40']);
    expect(explained.code).toBe(0);
    expect(explained.stdout).toContain('lane 3, operation 40: ');
    expect((await runCli(configFor(database, CONFIG), ['--plan-out', plan])).code).toBe(0);
    const stored = await runCli('', ['--explain', '3:40', '--plan', plan]);
    expect(stored.stdout).toBe(explained.stdout);
    const beyond = await runCli('', ['--explain', '3:1000', '--plan', plan]);
    expect(beyond.code).toBe(1);
    expect(beyond.stderr).toContain('lane 3 has operations 0 to 499');
    await database.drop();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
