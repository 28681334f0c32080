import { expect, it } from 'vitest';
import { configFor, contentHash, count, createDatabase, type Database, runCli } from '../server/database.js';
import { watchChanges } from '../server/decoded.js';

const ROWS = 200;

/** A table of existing rows, and a tally of the UPDATEs of each of them. */
async function tallied(): Promise<Database> {
  return await createDatabase(`CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a SELECT i, i FROM generate_series(1, ${ROWS}) AS i;
    CREATE TABLE tally (id int);
    CREATE FUNCTION tally() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO tally VALUES (NEW.id); RETURN NULL; END';
    CREATE TRIGGER tally AFTER UPDATE ON a FOR EACH ROW EXECUTE FUNCTION tally();`);
}

const UPDATES = 'manual_table_list: [a]\noperations: [UPDATE]\nupdate_rows: 1\nrandom_seed: 3\nnum_iterations: 12000';

it.each([
  [0.8, ''],
  [1, ''],
  [1.5, ''],
  [1, 'transaction: { statements: 4 }'],
])('skew with exponent %d updates rows by the law of Zipf %s', async (exponent, more) => {
  const database = await tallied();
  const settings = `${UPDATES}\nconnections: 1\nskew: { distribution: zipf, exponent: ${exponent} }\n${more}`;
  const { code, summary } = await runCli(configFor(database, settings));
  expect(code).toBe(0);
  expect(summary.totals['committed']).toBe(12_000);
  const { rows } = await database.client.query<{ n: number }>(
    'SELECT count(*)::int AS n FROM tally GROUP BY id ORDER BY n DESC',
  );
  const weights = Array.from({ length: ROWS }, (_, index) => (index + 1) ** -exponent);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const share = (values: readonly number[], first: number) =>
    values.slice(0, first).reduce((sum, value) => sum + value, 0);
  for (const first of [1, 5, 20, 100]) {
    const expected = share(weights, first) / total;
    const seen =
      share(
        rows.map(({ n }) => n),
        first,
      ) / 12_000;
    // Statements of one transaction never write a row twice, so the hottest rows are a little cooler there.
    expect(Math.abs(seen - expected), `the first ${first}`).toBeLessThan(more === '' ? 0.025 : 0.08);
  }
  await database.drop();
});

it('skewed traffic of every kind leaves the same rows with 1 and 3 workers', async () => {
  const hashes: Record<string, string>[] = [];
  for (const workers of [1, 3]) {
    const database = await createDatabase(
      'CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE, w text)',
    );
    const settings = `random_seed: 3\nnum_iterations: 6000\nconnections: 4\nworkers: ${workers}\nskew: { distribution: zipf }\ntransaction: { statements: 3, rollback_ratio: 0.1 }`;
    const { code, summary } = await runCli(configFor(database, settings));
    expect(code).toBe(0);
    for (const [table, { rows_expected: rows }] of Object.entries(summary.tables))
      expect(rows, table).toBe(await count(database, table));
    hashes.push(await contentHash(database, ['a', 'b']));
    await database.drop();
  }
  expect(hashes[1]).toEqual(hashes[0]);
});

it('min_col_size_bytes stores values out of line, and updates leave many of them as they are', async () => {
  const database = await createDatabase(
    'CREATE TABLE a (id int PRIMARY KEY, t text, b bytea, j json, k jsonb, s tsvector, l text[], n int, m int)',
  );
  const changes = await watchChanges(database);
  const settings = 'random_seed: 1\nnum_iterations: 1500\nmin_col_size_bytes: 3000\nnull_ratio: 0\nedge_ratio: 0';
  const { code, summary } = await runCli(configFor(database, settings));
  expect(code).toBe(0);
  const { rows } = await database.client.query<Record<string, number>>(
    `SELECT ${[...'tbjksl'].map((name) => `min(pg_column_size(${name}))::int AS ${name}`).join(', ')},
       (SELECT pg_relation_size(reltoastrelid)::float8 FROM pg_class WHERE oid = 'a'::regclass) / count(*) AS out_of_line FROM a`,
  );
  const { out_of_line: outOfLine, ...sizes } = rows[0]!;
  // As stored: of an array's words some come twice, and compression finds them.
  for (const [column, size] of Object.entries(sizes))
    expect(size, column).toBeGreaterThanOrEqual(column === 'l' ? 1500 : 2900);
  expect(outOfLine).toBeGreaterThan(5 * 2900);
  const { tables } = await changes.read();
  // Most updates write some of the six and leave the others.
  expect(tables['public.a']!.unchanged).toBeGreaterThan(summary.events.update * 2);
  await database.drop();
});

it('exclude_columns_from_update and every kind of column_overrides hold for each row written', async () => {
  const database =
    await createDatabase(`CREATE TABLE a (id int PRIMARY KEY, kept int, choice text, num int, day date, at timestamptz, mail text, code text, nothing text, same text);
    CREATE FUNCTION frozen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.kept IS DISTINCT FROM OLD.kept THEN RAISE EXCEPTION 'kept was written'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER frozen BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION frozen();`);
  const settings = `random_seed: 2
num_iterations: 4000
exclude_columns_from_update: { a: [kept] }
column_overrides:
  a:
    choice: { type: choice, values: [x, y, z], weights: [8, 1, 1] }
    num: { type: int_range, min: -3, max: 3 }
    day: { type: date_range, min: "2024-01-01", max: "2024-01-31" }
    at: { type: timestamp_range, min: "2024-06-01 00:00:00", max: "2024-06-01 23:59:59" }
    mail: { type: faker, method: internet.email }
    code: { type: template, template: "C-{{ordinal}}-{{location.countryCode}}" }
    nothing: { type: "null" }
    same: { type: constant, value: load-test }`;
  const { code, summary } = await runCli(configFor(database, settings));
  expect(code).toBe(0);
  expect(summary.totals).toMatchObject({ committed: 4000, retries: 0 });
  const { rows } = await database.client.query<Record<string, boolean>>(`SELECT
    bool_and(choice IN ('x', 'y', 'z')) AS choice, avg((choice = 'x')::int) BETWEEN 0.75 AND 0.85 AS weighted,
    bool_and(num BETWEEN -3 AND 3) AND count(DISTINCT num) = 7 AS num, bool_and(day BETWEEN '2024-01-01' AND '2024-01-31') AS day,
    bool_and(at BETWEEN '2024-06-01 00:00:00+00' AND '2024-06-01 23:59:59+00') AS at, bool_and(mail ~ '^[^@ ]+@[^@ ]+$') AS mail,
    bool_and(code ~ '^C-[0-9]+-[A-Z]{2}$') AS code, count(nothing) = 0 AS nothing, bool_and(same = 'load-test') AS same FROM a`);
  for (const [column, holds] of Object.entries(rows[0]!)) expect(holds, column).toBe(true);
  await database.drop();
});
