import { expect, it } from 'vitest';
import { configFor, contentHash, count, createDatabase, runCli } from '../server/database.js';

/* Shapes of real schemas, each of which needs something of its own from keyspaces and keys. */
const SHAPES: readonly (readonly [string, string])[] = [
  [
    'a 1:1 key that is a foreign key',
    'CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY REFERENCES a, w text)',
  ],
  [
    'a junction table',
    'CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id uuid PRIMARY KEY, v text); CREATE TABLE ab (a int REFERENCES a, b uuid REFERENCES b, n int, PRIMARY KEY (a, b))',
  ],
  ['a table without any key', 'CREATE TABLE a (at timestamptz, who text, what jsonb)'],
  ['a self-reference', 'CREATE TABLE a (id bigint PRIMARY KEY, parent bigint REFERENCES a, v text)'],
  [
    'range partitions with the partition column in the key',
    "CREATE TABLE a (id bigint, day date, v float8, PRIMARY KEY (id, day)) PARTITION BY RANGE (day); CREATE TABLE a1 PARTITION OF a FOR VALUES FROM (MINVALUE) TO (DATE '2010-01-01'); CREATE TABLE a2 PARTITION OF a DEFAULT",
  ],
  [
    'a tenant key with overlapping foreign keys',
    `CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE m (t int REFERENCES t, id int, v text, PRIMARY KEY (t, id));
     CREATE TABLE p (t int REFERENCES t, id int, v text, PRIMARY KEY (t, id));
     CREATE TABLE k (t int, id int, m int NOT NULL, p int NOT NULL, v text, PRIMARY KEY (t, id), FOREIGN KEY (t, m) REFERENCES m, FOREIGN KEY (t, p) REFERENCES p)`,
  ],
  [
    'a unique column beside the key',
    'CREATE TABLE a (id int PRIMARY KEY, code char(6) UNIQUE, at timestamp(3) UNIQUE, amount numeric(9,2) UNIQUE, ip inet UNIQUE)',
  ],
];

it.each(SHAPES)('%s: same rows with 1 and 3 workers, nothing refused, counts exact', async (_, sql) => {
  const hashes: Record<string, string>[] = [];
  for (const workers of [1, 3]) {
    const database = await createDatabase(sql);
    const { code, summary } = await runCli(
      configFor(database, `random_seed: 11\nnum_iterations: 6000\nworkers: ${workers}`),
    );
    expect(code).toBe(0);
    expect(summary.totals).toMatchObject({ operations: 6000, committed: 6000, retries: 0 });
    const tables = Object.keys(summary.tables);
    for (const table of tables) {
      expect(summary.tables[table]!.rows_expected).toBe(await count(database, table));
      for (const kind of ['insert', 'update', 'delete'] as const)
        expect(summary.tables[table]![kind].operations).toBeGreaterThan(200);
    }
    hashes.push(await contentHash(database, tables));
    await database.drop();
  }
  expect(hashes[1]).toEqual(hashes[0]);
});
