import { expect, it } from 'vitest';
import { configFor, count, createDatabase, runCli } from '../server/database.js';

/* A hub as applications have them: hundreds of keys lead to it, from columns of other types, by two unique keys. */
const CHILDREN = 300;
const TABLES = `CREATE TABLE hub (id bigint PRIMARY KEY, code varchar(30) NOT NULL, region text NOT NULL, note text, UNIQUE (code, region));
  INSERT INTO hub SELECT n, 'code' || n, 'region', 'n' FROM generate_series(1, 40) AS n;
  ${Array.from({ length: CHILDREN }, (_, n) => `CREATE TABLE child${n} (id int PRIMARY KEY, hub ${['int', 'smallint', 'bigint'][n % 3]} REFERENCES hub);`).join('\n')}
  CREATE TABLE pair (id int PRIMARY KEY, code text, region varchar(9), FOREIGN KEY (code, region) REFERENCES hub (code, region));
  INSERT INTO child0 SELECT n, n FROM generate_series(1, 10) AS n;
  INSERT INTO child2 SELECT n, n + 10 FROM generate_series(1, 10) AS n;
  INSERT INTO pair SELECT n, 'code' || n + 20, 'region' FROM generate_series(1, 10) AS n;`;

const ALL = 'table_weights: { hub: 900 }';
const ALONE = 'manual_table_list: [hub]';

it.each([
  ['owned', ALL],
  ['system_rows', ALONE],
])(
  'a table that hundreds of keys lead to loses only rows that none does, with %s rows, %s',
  async (selection, tables) => {
    const database = await createDatabase(TABLES);
    const settings = `random_seed: 1\n${tables}\nnum_iterations: 400\noperation_weights: [1, 1, 6]\nrow_selection: ${selection}`;
    const { code, summary } = await runCli(configFor(database, settings));
    expect(code).toBe(0);
    const hub = summary.tables['public.hub']!;
    expect(hub.rows_expected).toBe(await count(database, 'hub'));
    expect(hub.delete.rows).toBeGreaterThan(10);
    // A DELETE that finds no row becomes an INSERT, and is owed.
    if (selection === 'system_rows') expect(hub.insert.operations).toBeGreaterThan(hub.delete.operations / 10);
    // Of sampled rows the same one may be taken twice.
    const expected = selection === 'owned' ? [] : ['23505'];
    expect(Object.keys(summary.errors).filter((sqlstate) => !expected.includes(sqlstate))).toEqual([]);
    await database.drop();
  },
);

/* Outside of the run: other schemas, composite keys, and what a DELETE would take along uncounted. */
const OUTSIDE = `CREATE SCHEMA other;
  CREATE TABLE hub (id int PRIMARY KEY, code text NOT NULL, region int NOT NULL, note text, UNIQUE (region, code));
  INSERT INTO hub SELECT n, 'code' || n, n % 3, 'n' FROM generate_series(1, 60) AS n;
  CREATE TABLE other.cascades (id int PRIMARY KEY, "the hub" int REFERENCES hub ON DELETE CASCADE);
  CREATE TABLE other.empties (id int PRIMARY KEY, code text, region int, FOREIGN KEY (code, region) REFERENCES hub (code, region) ON DELETE SET NULL);
  CREATE TABLE other.refuses (id int PRIMARY KEY, hub int REFERENCES hub) PARTITION BY RANGE (id);
  CREATE TABLE other.refuses_low PARTITION OF other.refuses DEFAULT;
  INSERT INTO other.cascades SELECT n, n FROM generate_series(1, 10) AS n;
  INSERT INTO other.empties SELECT n, 'code' || n, n % 3 FROM generate_series(11, 20) AS n;
  INSERT INTO other.refuses SELECT n, n FROM generate_series(21, 30) AS n;`;

it.each(['owned', 'system_rows'])(
  'no row of a table outside of the run is touched, with %s rows',
  async (selection) => {
    const database = await createDatabase(OUTSIDE);
    const settings = `random_seed: 2\nnum_iterations: 600\noperation_weights: [1, 1, 8]\nrow_selection: ${selection}`;
    const { code, summary } = await runCli(configFor(database, settings));
    expect({ code, errors: summary.errors }).toEqual({ code: 0, errors: {} });
    expect(summary.tables['public.hub']!.rows_expected).toBe(await count(database, 'hub'));
    expect(summary.tables['public.hub']!.delete.rows).toBeGreaterThan(100);
    expect(await count(database, 'hub WHERE id <= 30')).toBe(30);
    expect(await count(database, 'hub WHERE id BETWEEN 31 AND 60')).toBeLessThan(30);
    expect(await count(database, 'other.cascades JOIN hub ON hub.id = "the hub"')).toBe(10);
    expect(await count(database, 'other.empties WHERE code IS NOT NULL')).toBe(10);
    await database.drop();
  },
);

/* Every child needs a parent of its own, or a pair that no other child has; one table has room for a single row. */
const NEEDY = `CREATE TABLE pa (id int PRIMARY KEY, v text); CREATE TABLE pb (id int PRIMARY KEY, pa int NOT NULL REFERENCES pa, v text);
  CREATE TABLE one (id int PRIMARY KEY, pa int NOT NULL UNIQUE REFERENCES pa, v text);
  CREATE TABLE pair (pa int NOT NULL REFERENCES pa, pb int NOT NULL REFERENCES pb, v text, PRIMARY KEY (pa, pb));
  CREATE TABLE single (lock char(1) PRIMARY KEY DEFAULT 'X' CHECK (lock = 'X'), position bigint)`;

it('rows sampled by the server fill empty tables: a row that needs a parent of its own brings one', async () => {
  const database = await createDatabase(NEEDY);
  const settings = 'num_iterations: 1500\nrow_selection: system_rows\noperation_weights: [3, 2, 1]';
  const { code, summary } = await runCli(configFor(database, settings));
  expect(code).toBe(0);
  expect(summary.totals.rejected).toBe(0);
  expect(Object.keys(summary.errors).filter((sqlstate) => !['23502', '23505', '40P01'].includes(sqlstate))).toEqual([]);
  expect(summary.totals['retries']!).toBeLessThan(summary.totals['operations']!);
  for (const table of ['pa', 'pb', 'one', 'pair', 'single']) {
    expect(summary.tables[`public.${table}`]!.rows_expected).toBe(await count(database, table));
    expect(summary.tables[`public.${table}`]!.insert.operations, table).toBeGreaterThan(50);
  }
  expect(await count(database, 'one')).toBeGreaterThan(100);
  await database.drop();
});

it('rows of a large table that was never analyzed are claimed at once', async () => {
  // The planner expects a few hundred: compared each with each, the references to 10,000 rows take minutes.
  const database = await createDatabase(
    `CREATE TABLE parent (id int PRIMARY KEY, v text) WITH (autovacuum_enabled = off); INSERT INTO parent SELECT n FROM generate_series(1, 1000001) AS n;
     CREATE TABLE child (id int PRIMARY KEY, parent int) WITH (autovacuum_enabled = off); INSERT INTO child SELECT n, n FROM generate_series(1, 200000) AS n;
     ALTER TABLE child ADD FOREIGN KEY (parent) REFERENCES parent NOT VALID`,
  );
  const { code, summary } = await runCli(configFor(database, 'random_seed: 1\nnum_iterations: 300'));
  expect({ code, errors: summary.errors }).toEqual({ code: 0, errors: {} });
  expect(summary.tables['public.parent']!.delete.operations).toBeGreaterThan(5);
  expect(summary.tables['public.parent']!.rows_expected).toBe(await count(database, 'parent'));
  await database.drop();
}, 60_000);
