import { expect, it } from 'vitest';
import type { Summary } from '../../src/report/summary.js';
import { configFor, contentHash, count, createDatabase, type Database, startCli } from '../server/database.js';
import { startProxy } from '../server/proxy.js';

/* Rows that look like those of other lanes, known by a key, by a mark, or by nothing at all. */
const TABLES = `CREATE TABLE a (id int PRIMARY KEY, v text);
  CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL REFERENCES a ON DELETE CASCADE, code text UNIQUE);
  CREATE TABLE flags (x bool, y bool);
  CREATE TABLE ab (a int REFERENCES a ON DELETE CASCADE, b int REFERENCES b ON DELETE SET NULL);
  CREATE TABLE marked (at timestamptz, who text, n int);
  CREATE TABLE stamped (who text, at timestamptz);
  CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at = '2000-01-01'; NEW.who = upper(NEW.who); RETURN NEW; END $$;
  CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON stamped FOR EACH ROW EXECUTE FUNCTION stamp();
  CREATE TABLE p (day date, v bool) PARTITION BY RANGE (day);
  CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (MINVALUE) TO ('2010-01-01'); CREATE TABLE p2 PARTITION OF p DEFAULT;`;

const CUTS = 20;

/** Runs while answers are lost, one lane after the other; says how many connections were. */
async function runLosing(database: Database, settings: string): Promise<{ summary: Summary; losses: number }> {
  const proxy = await startProxy(database.port);
  const run = startCli(configFor({ ...database, port: proxy.port }, settings));
  let isOver = false;
  const ended = run.ended.finally(() => {
    isOver = true;
  });
  let losses = 0;
  while (!isOver && losses < CUTS) {
    await new Promise((resolve) => setTimeout(resolve, 30));
    if (await proxy.loseAnswers()) losses++;
  }
  const { code, summary, stderr } = await ended;
  await proxy.close();
  expect(stderr).not.toContain('error:');
  expect(code).toBe(0);
  return { summary, losses };
}

async function expectExactCounts(database: Database, { tables }: Summary): Promise<void> {
  for (const [table, { rows_expected }] of Object.entries(tables))
    expect(rows_expected, table).toBe(await count(database, table));
}

const SETTINGS = 'random_seed: 5\nnum_iterations: 4000\noperation_weights: [4, 3, 3]\nupdate_rows: 7\ndelete_rows: 5';

it.each([
  ['alone', ''],
  ['in blocks', 'transaction: { statements: 5, savepoint_ratio: 0.4, rollback_ratio: 0.1 }'],
])('leaves the same rows when answers are lost that the server has given, operations %s', async (_, blocks) => {
  const results: Pick<Summary, 'lanes' | 'events' | 'tables'>[] = [];
  const hashes: Record<string, string>[] = [];
  for (const loses of [false, true]) {
    const database = await createDatabase(TABLES);
    const settings = `${SETTINGS}\n${blocks}\nworkers: ${loses ? 3 : 1}`;
    const { summary, losses } = loses
      ? await runLosing(database, settings)
      : { summary: (await startCli(configFor(database, settings)).ended).summary, losses: 0 };
    expect(summary.totals).toMatchObject({ operations: 4000, in_doubt_unknown: 0, rejected: 0, failed: 0 });
    expect(summary.reproducible).toBe(true);
    if (loses) {
      expect(losses).toBeGreaterThan(CUTS / 2);
      // Many more than one per loss where lanes send ahead, none where the answer that is lost is not a COMMIT's.
      expect(summary.totals['in_doubt_resolved']).toBeGreaterThan(losses / 4);
    }
    await expectExactCounts(database, summary);
    hashes.push(await contentHash(database, Object.keys(summary.tables)));
    const { lanes, events, tables } = summary;
    results.push({ lanes, events, tables });
    await database.drop();
  }
  expect(hashes[1]).toEqual(hashes[0]);
  // How many rows went to another partition is known as well.
  expect(results[0]!.tables['public.p']!.moved).toBeGreaterThan(50);
  expect(results[1]).toEqual(results[0]);
});

it('takes no row for a deleted one that stands in its place and looks the same', async () => {
  const database = await createDatabase('CREATE TABLE flags (x bool, y bool); CREATE TABLE one (x bool)');
  // What a DELETE has freed is free for others at once.
  let isOver = false;
  const vacuuming = (async () => {
    while (!isOver) for (const table of ['flags', 'one']) await database.client.query(`VACUUM ${table}`);
  })();
  const settings =
    'random_seed: 5\nnum_iterations: 4000\noperations: [INSERT, DELETE]\noperation_weights: [1, 3]\ninsert_rows: 3\nnull_ratio: 0';
  const { summary } = await runLosing(database, settings);
  isOver = true;
  await vacuuming;
  expect(summary.totals).toMatchObject({ operations: 4000, in_doubt_unknown: 0, rejected: 0, failed: 0 });
  await expectExactCounts(database, summary);
  await database.drop();
});

it('counts exactly when answers are lost, with keys that the server makes', async () => {
  const database = await createDatabase(`CREATE TABLE a (id serial PRIMARY KEY, v bool);
    CREATE TABLE b (id int GENERATED ALWAYS AS IDENTITY UNIQUE, v bool);
    CREATE TABLE c (id int PRIMARY KEY, v bool, k serial UNIQUE);
    CREATE TABLE d (c int REFERENCES c (k), v bool);
    CREATE TABLE e (id serial PRIMARY KEY, v text);`);
  const { summary } = await runLosing(database, `${SETTINGS}\nidentity_values: database`);
  expect(summary.totals).toMatchObject({ operations: 4000, in_doubt_unknown: 0, rejected: 0, failed: 0 });
  await expectExactCounts(database, summary);
  await database.drop();
});

it('claims no count that it cannot know where rows are sampled by the server', async () => {
  const database = await createDatabase(TABLES);
  const { summary } = await runLosing(
    database,
    'num_iterations: 4000\noperation_weights: [4, 3, 3]\nrow_selection: system_rows',
  );
  expect(summary.row_selection).toBe('system_rows');
  // What was updated and deleted nobody can tell.
  expect(summary.totals['in_doubt_unknown']).toBeGreaterThan(0);
  expect(summary.totals['operations']).toBe(4000);
  for (const table of Object.values(summary.tables)) expect(table.rows_expected).toBeNull();
  await database.drop();
});
