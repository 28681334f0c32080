import { expect, it } from 'vitest';
import { configFor, createDatabase, cutConnections, runCli, startCli } from '../server/database.js';

/* What the server computes carries a mark that no generated text has. */
const TABLES = `CREATE TABLE parent (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    mark text NOT NULL DEFAULT 'by ' || current_setting('application_name'),
    at timestamptz DEFAULT clock_timestamp(),
    fixed int DEFAULT 7,
    checked text DEFAULT lower('MARK') CHECK (checked <> 'mark')
  );
  CREATE TABLE child (id int PRIMARY KEY, tenant text DEFAULT current_setting('app.tenant', true), parent uuid NOT NULL DEFAULT gen_random_uuid() REFERENCES parent ON DELETE CASCADE, mark text DEFAULT 'by ' || session_user);`;

const marked = (table: string) => `SELECT count(*) FILTER (WHERE mark LIKE 'by %')::int AS marked,
  count(*)::int AS rows, count(*) FILTER (WHERE mark = 'by ' || session_user OR mark LIKE 'by eventgen/%')::int AS ours FROM ${table}`;

it.each(['owned', 'system_rows'])(
  'defaults: all leaves some INSERTs to the server, with %s rows',
  async (selection) => {
    const database = await createDatabase(TABLES);
    const settings = `random_seed: 3\nnum_iterations: 3000\nrow_selection: ${selection}\ndefaults: all`;
    const { code, summary, stderr } = await runCli(configFor(database, settings));
    expect(stderr).not.toContain('error:');
    expect(code).toBe(0);
    expect(summary.totals['rejected']).toBe(0);
    expect(summary.reproducible).toBe(false);
    expect(summary.reproducible_because).toContain('defaults: all leaves some values to the server');
    for (const table of ['parent', 'child']) {
      const { rows } = await database.client.query<{ marked: number; rows: number; ours: number }>(marked(table));
      expect(rows[0]!.ours).toBe(rows[0]!.marked);
      expect(rows[0]!.rows).toBe(summary.tables[`public.${table}`]!.rows_expected);
      // One INSERT in eight; some of them were updated since.
      expect(rows[0]!.marked / rows[0]!.rows).toBeGreaterThan(0.03);
      expect(rows[0]!.marked / rows[0]!.rows).toBeLessThan(0.2);
    }
    await database.drop();
  },
);

it('leaves nothing to the server that it has not been asked to', async () => {
  const database = await createDatabase(TABLES);
  const { summary } = await runCli(configFor(database, 'random_seed: 3\nnum_iterations: 1000'));
  expect(summary.reproducible).toBe(true);
  const { rows } = await database.client.query<{ marked: number }>(marked('parent'));
  expect(rows[0]!.marked).toBe(0);
  await database.drop();
});

it('goes on after its connections were cut, without losing count', async () => {
  const database = await createDatabase(TABLES);
  const run = startCli(configFor(database, 'random_seed: 3\nnum_iterations: 12000\ndefaults: all'));
  await cutConnections(database, run.ended, { cuts: 4, everyMs: 150 });
  const { code, summary } = await run.ended;
  expect(summary.totals['reconnects']).toBeGreaterThan(0);
  expect(code).toBe(0);
  expect(summary.totals['in_doubt_unknown']).toBe(0);
  for (const table of ['parent', 'child']) {
    const { rows } = await database.client.query<{ rows: number }>(`SELECT count(*)::int AS rows FROM ${table}`);
    expect(rows[0]!.rows).toBe(summary.tables[`public.${table}`]!.rows_expected);
  }
  await database.drop();
});

it('does not leave to the server what it refuses to compute', async () => {
  const database = await createDatabase(
    "CREATE TABLE tenants (id int PRIMARY KEY, tenant text NOT NULL DEFAULT current_setting('app.tenant'), at timestamptz DEFAULT now())",
  );
  const { code, summary } = await runCli(configFor(database, 'random_seed: 3\nnum_iterations: 600\ndefaults: all'));
  expect(code).toBe(0);
  expect(summary.errors).toEqual({});
  await database.drop();
});
