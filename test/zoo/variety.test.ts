import type pg from 'pg';
import { expect, it } from 'vitest';
import { configFor, databasesPerTest, runCli } from '../server/database.js';

const { tables } = databasesPerTest();

/* Ordinary conditions, which leave room for thousands of ordinary values. */
const SCHEMA = `
  CREATE DOMAIN price AS numeric(10, 2) CHECK (VALUE >= 0);
  CREATE TABLE offers (id int PRIMARY KEY, price price NOT NULL, low int, high int,
    details jsonb NOT NULL CHECK (jsonb_typeof(details) = 'object'), CHECK (low IS NULL OR high >= low),
    pages int NOT NULL CHECK (pages BETWEEN 1 AND 5000));
  CREATE TABLE monthly (id int NOT NULL, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
  CREATE TABLE monthly_1 PARTITION OF monthly FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
  CREATE TABLE monthly_2 PARTITION OF monthly FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
  CREATE TABLE monthly_3 PARTITION OF monthly FOR VALUES FROM ('2026-04-01') TO ('2026-05-01');
  CREATE TABLE open_ended (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
  CREATE TABLE open_ended_1 PARTITION OF open_ended FOR VALUES FROM (MINVALUE) TO (0);
  CREATE TABLE open_ended_2 PARTITION OF open_ended FOR VALUES FROM (0) TO (MAXVALUE);
  CREATE TABLE nested (kind text NOT NULL, day date NOT NULL, n int) PARTITION BY LIST (kind);
  CREATE TABLE nested_a PARTITION OF nested FOR VALUES IN ('a', 'b') PARTITION BY RANGE (day);
  CREATE TABLE nested_a_1 PARTITION OF nested_a FOR VALUES FROM ('2020-01-01') TO ('2023-01-01');
  CREATE TABLE nested_a_2 PARTITION OF nested_a FOR VALUES FROM ('2023-01-01') TO (MAXVALUE);
  CREATE TABLE nested_c PARTITION OF nested FOR VALUES IN ('c');
  CREATE TABLE by_kind (id int PRIMARY KEY, kind text NOT NULL, size int, note text,
    CHECK ((kind = 'sized' AND size BETWEEN 10 AND 9999 AND note IS NULL) OR (kind = 'named' AND size IS NULL AND note IS NOT NULL)));
  CREATE TABLE party (id int PRIMARY KEY, kind text NOT NULL CHECK (kind IN ('person', 'company', 'state')), born date, vat text,
    CHECK ((kind = 'person' AND born IS NOT NULL AND vat IS NULL) OR (kind = 'company' AND vat ~ '^[A-Z]{2}[0-9]{8}$' AND born IS NULL)
      OR (kind = 'state' AND born IS NULL AND vat IS NULL)));
  CREATE TYPE state AS ENUM ('open', 'paid', 'void');
  CREATE TABLE bill (id int PRIMARY KEY, state state NOT NULL, paid_at timestamptz,
    CHECK ((state = 'paid' AND paid_at IS NOT NULL) OR (state <> 'paid' AND paid_at IS NULL)));
  CREATE FUNCTION is_odd(n int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT n % 2 = 1';
  CREATE TABLE odd (id int PRIMARY KEY, kind text NOT NULL, n int, at date,
    CHECK ((kind = 'odd' AND is_odd(n) AND n BETWEEN 3 AND 7 AND at IS NULL) OR (kind = 'dated' AND n IS NULL AND at IS NOT NULL)));
  CREATE TABLE label (id int PRIMARY KEY, kind text NOT NULL, code text,
    CHECK ((kind = 'word' AND NOT code ~ '^[0-9]+$') OR (kind = 'none' AND code IS NULL)));
  CREATE TABLE job (id int PRIMARY KEY, status text NOT NULL CHECK (status IN ('queued', 'failed', 'done')), error text,
    CHECK ((status = 'failed') = (error IS NOT NULL)));
  CREATE TABLE fee (id int PRIMARY KEY, kind text NOT NULL CHECK (kind IN ('flat', 'rate', 'none')), amount numeric(9,4),
    CHECK (CASE WHEN kind = 'flat' THEN amount >= 10 WHEN kind = 'rate' THEN amount > 0 AND amount < 1 ELSE amount IS NULL END));
  CREATE TABLE owned (id int PRIMARY KEY, a int, b text, c date, CHECK (num_nonnulls(a, b, c) = 1));
  CREATE TABLE either (id int PRIMARY KEY, a int, b text, CHECK ((a IS NOT NULL)::int + (b IS NOT NULL)::int = 1))`;

const TABLES = 13;
const ROWS = 3000;

async function counts(client: pg.Client, sql: string) {
  return (await client.query<{ part: string; n: number; distinct: number }>(sql)).rows;
}

it('draws ordinary values within ordinary conditions, all partitions and branches alike', async () => {
  const database = await tables(SCHEMA);
  const { client } = database;
  const settings = `random_seed: 3\noperations: [INSERT]\noperation_weights: [1]\ninsert_rows: 10\nnum_iterations: ${(TABLES * ROWS) / 10}`;
  const { code, summary } = await runCli(configFor(database, settings));
  expect(code).toBe(0);
  expect(summary.totals).toMatchObject({ rejected: 0, failed: 0, retries: 0 });
  const [offers] = (
    await client.query(
      'SELECT count(DISTINCT price)::int AS prices, count(DISTINCT high)::int AS highs, count(DISTINCT details)::int AS details, count(DISTINCT pages)::int AS pages FROM offers',
    )
  ).rows as Record<string, number>[];
  for (const [column, distinct] of Object.entries(offers!)) expect(distinct, column).toBeGreaterThan(1000);
  const spreads = [
    ['monthly', 'at', 3, 900],
    ['open_ended', 'id', 2, 1400],
    ['nested', 'day', 3, 300],
  ] as const;
  for (const [table, column, parts, distinct] of spreads) {
    const found = await counts(
      client,
      `SELECT tableoid::regclass::text AS part, count(*)::int AS n, count(DISTINCT ${column})::int AS distinct FROM ${table} GROUP BY 1`,
    );
    expect(found.length, table).toBe(parts);
    for (const { part, n, distinct: values } of found) {
      expect(n, part).toBeGreaterThan((ROWS / parts) * 0.8);
      expect(values, part).toBeGreaterThan(distinct);
    }
  }
  const kinds = await counts(
    client,
    "SELECT kind AS part, count(*)::int AS n, count(DISTINCT CASE kind WHEN 'sized' THEN size::text ELSE note END)::int AS distinct FROM by_kind GROUP BY 1",
  );
  expect(kinds.length).toBe(2);
  for (const { part, n, distinct } of kinds) {
    expect(n, part).toBeGreaterThan(ROWS * 0.3);
    expect(distinct, part).toBeGreaterThan(300);
  }
  const shares = [
    ['party', 'kind', 3, 0.25, "CASE kind WHEN 'person' THEN born::text ELSE vat END"],
    ['bill', 'state', 3, 0.15, 'paid_at'],
    ['odd', 'kind', 2, 0.2, 'coalesce(at::text, n::text)'],
    ['label', 'kind', 2, 0.3, 'code'],
    ['job', 'status', 3, 0.15, 'error'],
    ['fee', 'kind', 3, 0.2, 'amount'],
    [
      'owned',
      "CASE WHEN a IS NOT NULL THEN 'int' WHEN b IS NOT NULL THEN 'text' ELSE 'date' END",
      3,
      0.2,
      'coalesce(a::text, b, c::text)',
    ],
    ['either', "CASE WHEN a IS NOT NULL THEN 'int' ELSE 'text' END", 2, 0.3, 'coalesce(a::text, b)'],
  ] as const;
  for (const [table, column, values, share, detail] of shares) {
    const found = await counts(
      client,
      `SELECT (${column})::text AS part, count(*)::int AS n, count(DISTINCT ${detail})::int AS distinct FROM ${table} GROUP BY 1`,
    );
    expect(found.length, table).toBe(values);
    for (const { part, n } of found) expect(n, `${table} ${part}`).toBeGreaterThan(ROWS * share);
    for (const { part, distinct } of found)
      if (
        ['person', 'company', 'paid', 'dated', 'word', 'failed', 'flat', 'rate', 'int', 'text', 'date'].includes(part)
      )
        expect(distinct, part).toBeGreaterThan(150);
  }
});
