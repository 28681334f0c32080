import { expect, it } from 'vitest';
import type { Summary } from '../../src/report/summary.js';
import { configFor, contentHash, count, createDatabase, runCli } from '../server/database.js';

/* Where lanes could meet in a unique index: each schema left other rows with 1 and 3 workers once. */
const SCHEMAS: readonly { readonly name: string; readonly sql: string; readonly settings: string }[] = [
  {
    name: 'a unique key with the tenant that all lanes share, beside a parent of the lane',
    sql: `CREATE TABLE tenants (id int PRIMARY KEY); INSERT INTO tenants SELECT generate_series(1, 30);
      CREATE TABLE g (tenant_id int NOT NULL REFERENCES tenants, id int NOT NULL, PRIMARY KEY (tenant_id, id));
      CREATE TABLE t (id int PRIMARY KEY, tenant_id int NOT NULL REFERENCES tenants, g_id int, n smallint NOT NULL CHECK (n BETWEEN 1 AND 90),
        FOREIGN KEY (tenant_id, g_id) REFERENCES g, UNIQUE (tenant_id, n))`,
    settings: 'manual_table_list: [g, t]\nnum_iterations: 1500',
  },
  {
    name: 'a part of the parent’s key that does not name it',
    sql: `CREATE TYPE kind AS ENUM ('a', 'b', 'c', 'd', 'e', 'f'); CREATE TABLE p (id int PRIMARY KEY, a int, b int NOT NULL, UNIQUE (a, b)); INSERT INTO p SELECT n, n % 5, n FROM generate_series(1, 60) AS n;
      CREATE TABLE t (id int PRIMARY KEY, fa int NOT NULL, fb int NOT NULL, kind kind NOT NULL, n int NOT NULL CHECK (n BETWEEN 1 AND 200), FOREIGN KEY (fa, fb) REFERENCES p (a, b), UNIQUE (fa, kind, n))`,
    settings: 'num_iterations: 600',
  },
  {
    name: 'a generated column, and an index over lower(…)',
    sql: `CREATE DOMAIN mail AS text CHECK (VALUE ~ '^[^@]+@[^@]+$'); CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p SELECT generate_series(1, 3);
      CREATE TABLE g (id int PRIMARY KEY, n varchar(8) NOT NULL, l text GENERATED ALWAYS AS (lower(n)) STORED UNIQUE);
      CREATE TABLE t (id int PRIMARY KEY, p int NOT NULL REFERENCES p, mail mail NOT NULL); CREATE UNIQUE INDEX ON t (p, lower(mail))`,
    settings: 'exclude_table_list: [p]\nnum_iterations: 1500',
  },
];

it.each(SCHEMAS)('lanes do not meet in $name', async ({ sql, settings }) => {
  const results: { hash: Record<string, string>; lanes: Summary['lanes'] }[] = [];
  for (const workers of [1, 3]) {
    const database = await createDatabase(sql);
    const common = `random_seed: 11\nconnections: 4\nworkers: ${workers}`;
    const yaml = configFor(database, `${common}\n${settings}`);
    const { code, summary } = await runCli(yaml);
    expect({ code, errors: summary.errors, reproducible: summary.reproducible }).toEqual({
      code: 0,
      errors: {},
      reproducible: true,
    });
    results.push({ hash: await contentHash(database, Object.keys(summary.tables)), lanes: summary.lanes });
    await database.drop();
  }
  expect(results[1]).toEqual(results[0]);
});

it('rows that are not kept track of any more keep their keys', async () => {
  const database = await createDatabase(
    'CREATE TABLE p (id int PRIMARY KEY, v text); CREATE TABLE c (id int PRIMARY KEY REFERENCES p, v text)',
  );
  const settings = 'random_seed: 1\nnum_iterations: 2000\nconnections: 1\nmax_tracked_rows: 200';
  const { code, summary } = await runCli(configFor(database, settings));
  expect(code).toBe(0);
  expect(summary.tables['public.c']!.rows_expected).toBe(await count(database, 'c'));
  // The oldest keys are forgotten in the end, as memory is bounded.
  expect(summary.totals.rejected).toBeLessThan(20);
  await database.drop();
});
