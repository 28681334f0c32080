import { expect, it } from 'vitest';
import { configFor, contentHash, count, createDatabase, runCli } from '../server/database.js';

const TABLES =
  'CREATE TABLE a (id bigint PRIMARY KEY, v text); CREATE TABLE b (id bigint PRIMARY KEY, a bigint NOT NULL REFERENCES a ON DELETE CASCADE, v text)';

it('table_rows keeps every table between its bounds', async () => {
  const database = await createDatabase(`${TABLES}; INSERT INTO a SELECT i, 'x' FROM generate_series(1, 500) AS i`);
  const settings = 'random_seed: 4\nnum_iterations: 12000\ntable_rows: { min: 300, max: 900 }\nexisting_rows: 100';
  const { code, summary } = await runCli(configFor(database, settings));
  expect(code).toBe(0);
  expect(summary.totals['committed']).toBe(12_000);
  for (const table of ['a', 'b']) {
    const rows = await count(database, table);
    expect(rows).toBeGreaterThanOrEqual(300);
    expect(rows).toBeLessThanOrEqual(900);
    expect(summary.tables[`public.${table}`]!.rows_expected).toBe(rows);
    // It stays there and goes on: inserts and deletes in balance.
    expect(summary.tables[`public.${table}`]!.insert.operations).toBeGreaterThan(500);
    expect(summary.tables[`public.${table}`]!.delete.operations).toBeGreaterThan(500);
  }
  await database.drop();
});

it('max_tracked_rows forgets the longest untouched rows, the same ones with any number of workers', async () => {
  const hashes: Record<string, string>[] = [];
  for (const workers of [1, 2]) {
    const database = await createDatabase(TABLES);
    const settings = `random_seed: 4\nnum_iterations: 6000\nmax_tracked_rows: 400\nmax_tracked_rows_total: 600\nworkers: ${workers}`;
    const { code, summary } = await runCli(configFor(database, settings));
    expect(code).toBe(0);
    expect(summary.totals).toMatchObject({ committed: 6000, retries: 0 });
    expect(await count(database, 'a')).toBeGreaterThan(2000);
    expect(summary.tables['public.a']!.rows_expected).toBe(await count(database, 'a'));
    hashes.push(await contentHash(database, ['a', 'b']));
    await database.drop();
  }
  expect(hashes[1]).toEqual(hashes[0]);
});

it('claims rows of a large table by its index, as the seed says', async () => {
  const claimed: string[] = [];
  for (const order of ['ASC', 'DESC']) {
    const database = await createDatabase(
      `CREATE UNLOGGED TABLE a (id bigint PRIMARY KEY, n int); INSERT INTO a SELECT i, 0 FROM generate_series(1, 1000001) AS i ORDER BY i ${order}`,
    );
    const settings =
      'random_seed: 4\nnum_iterations: 2000\noperations: [UPDATE]\noperation_weights: [1]\nexisting_rows: 500\ncount_rows: always';
    const { code, summary } = await runCli(configFor(database, settings));
    expect(code).toBe(0);
    expect(summary.tables['public.a']!.rows_at_start).toBe(1_000_001);
    const { rows } = await database.client.query<{ ids: string; parts: number }>(
      "SELECT string_agg(id::text, ',' ORDER BY id) AS ids, count(DISTINCT id / 100000)::int AS parts FROM a WHERE xmin <> (SELECT xmin FROM a WHERE id = 0 UNION ALL SELECT mode() WITHIN GROUP (ORDER BY xmin::text::bigint)::text::xid FROM a LIMIT 1)",
    );
    expect(rows[0]!.parts).toBeGreaterThan(8);
    claimed.push(rows[0]!.ids);
    await database.drop();
  }
  expect(claimed[1]).toBe(claimed[0]);
});
