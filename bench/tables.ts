import type pg from 'pg';

/** Tables of 12 columns, a third of them children of the table before: `t0` … in schema public. */
export async function createTables(client: pg.Client, count: number): Promise<void> {
  await client.query('DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public; SET search_path = public');
  const statements = Array.from({ length: count }, (_, index) => {
    const parent = index % 3 === 2 ? ` REFERENCES t${index - 1}` : '';
    return `CREATE TABLE t${index} (id bigint PRIMARY KEY, parent bigint${parent}, name varchar(80) NOT NULL, email text, amount numeric(10,2),
      qty integer, active boolean, born date, created_at timestamptz, token uuid, note text, tags text[])`;
  });
  const BATCH = 250;
  for (let from = 0; from < count; from += BATCH) await client.query(statements.slice(from, from + BATCH).join(';'));
}

/** 1,000 tables on 20 levels with some 4,000 foreign keys, two of them NOT NULL, and 1,500 CHECKs: what large applications look like. */
export async function createDeepTables(client: pg.Client): Promise<void> {
  const LEVELS = 20;
  const WIDTH = 50;
  await client.query('DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public; SET search_path = public');
  for (let level = 0; level < LEVELS; level++) {
    const statements = Array.from({ length: WIDTH }, (_, at) => {
      const parent = (step: number) => `t${level - 1}_${(at * 7 + step * 13) % WIDTH}`;
      const keys =
        level === 0
          ? []
          : [0, 1, 2, 3].map((key) => `p${key} bigint ${key < 2 ? 'NOT NULL ' : ''}REFERENCES ${parent(key)}`);
      const checks = [
        "state text NOT NULL CHECK (state IN ('new', 'done'))",
        ...(at % 2 === 0 ? ['n int CHECK (n > 0)'] : []),
      ];
      return `CREATE TABLE t${level}_${at} (${['id bigserial PRIMARY KEY', ...keys, ...checks, 'name text NOT NULL', 'made timestamptz'].join(', ')})`;
    });
    await client.query(statements.join(';'));
  }
}
