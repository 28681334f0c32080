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
