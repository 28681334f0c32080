import { expect, it } from 'vitest';
import { configFor, count, createDatabase, runCli } from '../server/database.js';
import { everyOperation } from './every-operation.js';
import { KEYS } from './keys.js';
import { PARTITIONS } from './partitions.js';

everyOperation([...KEYS, ...PARTITIONS]);

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
