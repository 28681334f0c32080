import { expect, it } from 'vitest';
import { configFor, contentHash, count, createDatabase, runCli } from '../server/database.js';

interface Shape {
  readonly name: string;
  readonly sql: string;
  readonly settings?: string;
}

/* Shapes of real schemas, each of which needs something of its own from keyspaces and keys. */
const SHAPES: readonly Shape[] = [
  {
    name: 'a 1:1 key that is a foreign key',
    sql: 'CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY REFERENCES a, w text)',
  },
  {
    name: 'a junction table',
    sql: 'CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id uuid PRIMARY KEY, v text); CREATE TABLE ab (a int REFERENCES a, b uuid REFERENCES b, n int, PRIMARY KEY (a, b))',
  },
  { name: 'a table without any key', sql: 'CREATE TABLE a (at timestamptz, who text, what jsonb)' },
  { name: 'a self-reference', sql: 'CREATE TABLE a (id bigint PRIMARY KEY, parent bigint REFERENCES a, v text)' },
  {
    name: 'range partitions with the partition column in the key',
    sql: "CREATE TABLE a (id bigint, day date, v float8, PRIMARY KEY (id, day)) PARTITION BY RANGE (day); CREATE TABLE a1 PARTITION OF a FOR VALUES FROM (MINVALUE) TO (DATE '2010-01-01'); CREATE TABLE a2 PARTITION OF a DEFAULT",
  },
  {
    name: 'a tenant key with overlapping foreign keys',
    sql: `CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE m (t int REFERENCES t, id int, v text, PRIMARY KEY (t, id));
     CREATE TABLE p (t int REFERENCES t, id int, v text, PRIMARY KEY (t, id));
     CREATE TABLE k (t int, id int, m int NOT NULL, p int NOT NULL, v text, PRIMARY KEY (t, id), FOREIGN KEY (t, m) REFERENCES m, FOREIGN KEY (t, p) REFERENCES p)`,
  },
  {
    name: 'ON DELETE CASCADE and SET NULL two levels deep',
    sql: `CREATE TABLE a (id int PRIMARY KEY, v text);
     CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL REFERENCES a ON DELETE CASCADE, v text);
     CREATE TABLE c (id int PRIMARY KEY, b int NOT NULL REFERENCES b ON DELETE CASCADE, v text);
     CREATE TABLE d (id int PRIMARY KEY, b int REFERENCES b ON DELETE SET NULL, v text);
     CREATE TABLE e (id int PRIMARY KEY, d int REFERENCES d ON DELETE SET NULL, c int REFERENCES c ON DELETE CASCADE, v text)`,
  },
  {
    name: 'a table of one row',
    sql: 'CREATE TABLE a (id int PRIMARY KEY CHECK (id = 1), v text); CREATE TABLE b (id bigint PRIMARY KEY, v text)',
    // One lane of eight owns the row, so an eighth of the operations must be enough.
    settings: 'num_iterations: 36000\noperation_weights: [1, 1, 1]',
  },
  {
    name: 'a unique column beside the key',
    sql: 'CREATE TABLE a (id int PRIMARY KEY, code char(6) UNIQUE, at timestamp(3) UNIQUE, amount numeric(9,2) UNIQUE, ip inet UNIQUE)',
  },
];

it.each(SHAPES)(
  '$name: same rows with 1 and 8 workers, nothing refused, counts exact',
  async ({ name, sql, settings = 'num_iterations: 24000\noperation_weights: [2, 1, 1]' }) => {
    const hashes: Record<string, string>[] = [];
    for (const workers of [1, 8]) {
      const database = await createDatabase(sql);
      const { code, summary } = await runCli(
        configFor(database, `random_seed: 11\nconnections: 8\nworkers: ${workers}\n${settings}`),
      );
      expect(code).toBe(0);
      const { operations, ...totals } = summary.totals;
      expect(totals).toMatchObject({ committed: operations, retries: 0 });
      const tables = Object.keys(summary.tables);
      for (const table of tables) {
        expect(summary.tables[table]!.rows_expected).toBe(await count(database, table));
        for (const kind of ['insert', 'update', 'delete'] as const)
          expect(summary.tables[table]![kind].operations).toBeGreaterThanOrEqual(1000);
      }
      if (name.includes('CASCADE')) {
        expect(summary.tables['public.c']!.cascaded.delete).toBeGreaterThan(100);
        expect(summary.tables['public.e']!.cascaded.update).toBeGreaterThan(100);
      }
      hashes.push(await contentHash(database, tables));
      await database.drop();
    }
    expect(hashes[1]).toEqual(hashes[0]);
  },
);
