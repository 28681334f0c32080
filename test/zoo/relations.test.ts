import { expect, it } from 'vitest';
import { configFor, count, createDatabase, runCli } from '../server/database.js';
import { everyOperation } from './every-operation.js';
import { KEYS } from './keys.js';
import { PARTITIONS } from './partitions.js';

everyOperation([...KEYS, ...PARTITIONS]);

it('partition-range-of-a-unique-column: a second run goes on above the keys in every partition, the application behind all of them', async () => {
  const database = await createDatabase(
    `CREATE TABLE a (id serial PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE a1 PARTITION OF a FOR VALUES FROM (1) TO (5000);
     CREATE TABLE a2 PARTITION OF a FOR VALUES FROM (5000) TO (6000); CREATE TABLE a3 PARTITION OF a FOR VALUES FROM (9000) TO (20000)`,
  );
  const { client } = database;
  await client.query("INSERT INTO a (id, v) VALUES (700, 'theirs'), (5998, 'theirs')");
  const bounds = async () =>
    (
      await client.query<{ low: number; high: number }>(
        'SELECT min(id) AS low, max(id) AS high FROM a WHERE v IS DISTINCT FROM $1 GROUP BY tableoid ORDER BY 1',
        ['theirs'],
      )
    ).rows;
  const run = (seed: number) =>
    runCli(configFor(database, `random_seed: ${seed}\nnum_iterations: 300\noperation_weights: [1, 0, 0]`));
  const { code, summary } = await run(1);
  expect(code).toBe(0);
  expect(summary.errors).toEqual({});
  const [low, middle, high] = await bounds();
  expect(low!.low).toBe(701);
  // One place is left above what stands there: those below it are used.
  expect(middle!.low).toBe(5000);
  expect(middle!.high).toBeLessThan(5998);
  expect(high!.low).toBe(9000);
  const { rows } = await client.query<{ id: number }>("INSERT INTO a (v) VALUES ('theirs') RETURNING id");
  expect(rows[0]!.id).toBe(high!.high + 1);
  const second = await run(2);
  expect(second.code).toBe(0);
  expect(second.summary.errors).toEqual({});
  expect(await count(database, 'a')).toBe(2 + 1 + 1200 * 2);
  await database.drop();
});

it('fk-circle-one-to-one: rows that only have each other are inserted together, also where keys are taken', async () => {
  const counts: number[] = [];
  for (const workers of [1, 2]) {
    const database = await createDatabase(
      `CREATE TABLE a (id int PRIMARY KEY, b int NOT NULL UNIQUE, v text); CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL UNIQUE REFERENCES a);
       ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b`,
    );
    const { code, summary } = await runCli(
      configFor(database, `random_seed: 3\nnum_iterations: 1500\nworkers: ${workers}`),
    );
    expect(code).toBe(0);
    expect(summary.errors).toEqual({});
    expect(summary.tables['public.a']!.update.operations).toBeGreaterThan(100);
    for (const table of ['a', 'b'])
      expect(summary.tables[`public.${table}`]!.rows_expected).toBe(await count(database, table));
    counts.push(await count(database, 'a'));
    await database.drop();
  }
  expect(counts[0]).toBeGreaterThan(1000);
  expect(counts[1]).toBe(counts[0]);
});
