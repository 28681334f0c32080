import { expect, it } from 'vitest';
import { TableSizes } from '../../src/traffic/table-sizes.js';
import { connectTo, createDatabase } from '../server/database.js';

it('adds up tables with their indexes and partitions, and leaves out what is gone', async () => {
  const database = await createDatabase(`CREATE TABLE plain (id int PRIMARY KEY); CREATE TABLE gone (id int);
    CREATE TABLE parted (id int) PARTITION BY HASH (id); CREATE TABLE part PARTITION OF parted FOR VALUES WITH (MODULUS 1, REMAINDER 0);
    INSERT INTO parted SELECT generate_series(1, 10000)`);
  const { rows } = await database.client.query<{ bytes: number }>(
    "SELECT (pg_total_relation_size('plain') + pg_total_relation_size('part'))::float8 AS bytes",
  );
  await database.client.query('DROP TABLE gone');
  const tables = ['public.plain', 'public.parted', 'public.gone'];
  const sizes = new TableSizes(tables, () => connectTo(database.port, database.name), 20);
  for (let tries = 0; tries < 200 && sizes.bytes === 0; tries++)
    await new Promise((resolve) => setTimeout(resolve, 25));
  sizes.end();
  expect(sizes.bytes).toBe(rows[0]!.bytes);
  await database.drop();
});
