import { expect, it } from 'vitest';
import { configFor, contentHash, count, databasesPerTest, runCli, startCli } from '../server/database.js';

const { tables } = databasesPerTest();

/* A type for each way in which a value can be cut, rounded or read otherwise on its way through a list of rows. */
const TYPES = `CREATE TYPE mood AS ENUM ('sad', 'fine');
  CREATE TYPE pair AS (a int, b text);
  CREATE DOMAIN short AS varchar(4);
  CREATE DOMAIN positive AS numeric(8,3) CHECK (VALUE > 0);
  CREATE TABLE every (id short PRIMARY KEY, c1 varchar(3), c2 char(3), c3 bit(3), c4 varbit(5), c5 numeric(6,2), c6 positive, c7 short,
    c8 "char", c9 name, c10 int[], c11 varchar(3)[], c12 text[], c13 json, c14 jsonb, c15 xml, c16 bytea, c17 mood, c18 pair, c19 int4range,
    c20 tstzrange, c21 timestamptz(0), c22 interval(0), c23 time(3), c24 inet, c25 macaddr, c26 uuid, c27 money, c28 point, c29 tsvector,
    c30 real, c31 double precision, c32 oid, c33 boolean, c34 date, c35 mood[], c36 bit(3)[], c37 char(2)[], c38 short[], c39 smallint);
  CREATE TABLE two (a int, b text, v text, w int, PRIMARY KEY (a, b));
  CREATE TABLE child (id uuid PRIMARY KEY, every short REFERENCES every, a int, b text, n int UNIQUE, FOREIGN KEY (a, b) REFERENCES two);
  CREATE TABLE parted (id bigint, day date, v text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
  CREATE TABLE parted_old PARTITION OF parted FOR VALUES FROM (MINVALUE) TO ('2015-01-01');
  CREATE TABLE parted_new PARTITION OF parted DEFAULT;
  CREATE TABLE measured (id bigint, at timestamptz(3), during interval(0), code char(4), v text, PRIMARY KEY (id, at, during, code));
  CREATE SCHEMA kinds; CREATE TYPE kinds.state AS ENUM ('on', 'off'); CREATE TABLE elsewhere (id int PRIMARY KEY, v kinds.state, w text);
  CREATE TABLE ordered (id int PRIMARY KEY, v text);
  CREATE TABLE noted (n serial, id int, v text);
  CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO noted (id, v) VALUES (NEW.id, NEW.v); RETURN NULL; END $$;
  CREATE TRIGGER note AFTER UPDATE ON ordered FOR EACH ROW EXECUTE FUNCTION note();`;

it('changes many rows of every type in one statement, and the same ones whatever the number of workers', async () => {
  const hashes: Record<string, string>[] = [];
  for (const workers of [1, 3]) {
    const database = await tables(TYPES);
    const settings =
      'random_seed: 3\nnum_iterations: 800\noperation_weights: [4, 4, 1]\ninsert_rows: 9\nupdate_rows: 40\ndelete_rows: 11\nexclude_table_list: [noted]';
    const { code, summary, stderr } = await runCli(configFor(database, `${settings}\nworkers: ${workers}`));
    expect(stderr).not.toContain('error:');
    expect(code).toBe(0);
    expect(summary.errors).toEqual({});
    expect(summary.totals).toMatchObject({ operations: 800, rejected: 0, failed: 0 });
    for (const [table, { rows_expected }] of Object.entries(summary.tables))
      expect(rows_expected, table).toBe(await count(database, table));
    // Keys that their columns round are found all the same.
    expect(summary.tables['public.measured']!.rows_expected).not.toBeNull();
    expect(summary.reproducible).toBe(true);
    // Row by row where a trigger sees the order.
    expect(await count(database, 'noted')).toBe(summary.tables['public.ordered']!.update.rows);
    expect(summary.tables['public.every']!.update.rows).toBeGreaterThan(
      summary.tables['public.every']!.update.operations * 10,
    );
    hashes.push(
      await contentHash(
        database,
        [...Object.keys(summary.tables), 'public.noted'].filter((name) => name !== 'public.noted'),
      ),
    );
  }
  expect(hashes[1]).toEqual(hashes[0]);
});

it('refuses what is too long for a column, and cuts nothing', async () => {
  const database =
    await tables(`CREATE DOMAIN three AS varchar(3); CREATE TABLE t (id int PRIMARY KEY, v three, b bit(3), n numeric(4,2));
    INSERT INTO t SELECT i, 'abc', B'101', 1.5 FROM generate_series(1, 100) AS i`);
  // What the check of overrides beforehand lets pass, since a cast cuts it.
  for (const [column, values] of [
    ['v', "type: constant, value: 'abcd'"],
    ['b', "type: constant, value: '1010'"],
  ] as const) {
    const override = `column_overrides: { t: { ${column}: { ${values} } } }`;
    const others = `exclude_columns_from_update: { t: [${['v', 'b', 'n'].filter((name) => name !== column).join(', ')}] }`;
    const { summary, stderr } = await runCli(
      configFor(
        database,
        `random_seed: 1\nnum_iterations: 4\noperations: [UPDATE]\noperation_weights: [1]\nupdate_rows: 20\nrehearse: false\n${override}\n${others}`,
      ),
    );
    expect(stderr).not.toContain('error:');
    expect(summary.totals['rejected'], column).toBe(4);
    expect(Object.keys(summary.errors).join(), column).toMatch(/22001|22026/);
  }
  expect(
    (await database.client.query("SELECT count(*)::int AS n FROM t WHERE v = 'abc' AND b = B'101' AND n = 1.5")).rows,
  ).toEqual([{ n: 100 }]);
});

it('goes on with the rows that are there where others have deleted some of those that an UPDATE names', async () => {
  const database = await tables(`CREATE TABLE t (id int PRIMARY KEY, v text);
    INSERT INTO t SELECT i, 'x' FROM generate_series(1, 4000) AS i`);
  const run = startCli(
    configFor(
      database,
      'random_seed: 1\nnum_iterations: 1600\noperations: [UPDATE]\noperation_weights: [1]\nupdate_rows: 50\nconnections: 2\nexisting_rows: all',
      'traffic: { rate: 400 }',
    ),
    ['--log-format', 'json'],
  );
  await expect.poll(() => count(database, "t WHERE v <> 'x'"), { timeout: 10_000 }).toBeGreaterThan(0);
  // One by one: several at once would lock them in another order than the lanes do.
  const deleted = 200;
  for (let id = 1; id <= deleted; id++) await database.client.query('DELETE FROM t WHERE id = $1', [id * 20]);
  const { code, summary } = await run.ended;
  expect(code).toBe(0);
  const { rows } = summary.tables['public.t']!.update;
  const missed = 1600 * 50 - rows;
  expect(missed).toBeGreaterThan(0);
  // Each of them is missed once: from then on the lane knows.
  expect(missed).toBeLessThanOrEqual(deleted);
  expect(await count(database, 't')).toBe(4000 - deleted);
});

it('finds rows by their key in a table that was empty when its statements were planned', async () => {
  const database = await tables(
    'CREATE TABLE t (a int, b int, v text, w text, PRIMARY KEY (a, b)) WITH (autovacuum_enabled = false)',
  );
  const { code, summary } = await runCli(
    configFor(
      database,
      'random_seed: 1\nnum_iterations: 1200\noperations: [INSERT, UPDATE, DELETE]\noperation_weights: [4, 4, 1]\ninsert_rows: 100\nupdate_rows: 20\ndelete_rows: 20\nconnections: 2',
    ),
  );
  expect(code).toBe(0);
  const { update, delete: deleted } = summary.tables['public.t']!;
  await database.client.query('SELECT pg_stat_force_next_flush()').catch(() => undefined);
  const { rows } = await database.client.query<{ read: string; rows: number }>(
    "SELECT seq_tup_read AS read, (SELECT count(*)::int FROM t) AS rows FROM pg_stat_user_tables WHERE relname = 't'",
  );
  expect(rows[0]!.rows).toBeGreaterThan(20_000);
  // A scan of the whole table in each of these statements would read ten million rows.
  const statements = update.operations + deleted.operations;
  expect(Number(rows[0]!.read) / statements).toBeLessThan(2000);
});
