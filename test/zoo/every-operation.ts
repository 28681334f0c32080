import { expect, it } from 'vitest';
import { configFor, count, createDatabase, runCli } from '../server/database.js';
import type { Animal } from './animal.js';

async function majorVersion(): Promise<number> {
  const database = await createDatabase('SELECT');
  const { rows } = await database.client.query<{ major: number }>(
    "SELECT current_setting('server_version_num')::int / 10000 AS major",
  );
  await database.drop();
  return rows[0]!.major;
}

/** Runs every operation on each of the schemas. */
export function everyOperation(animals: readonly Animal[]): void {
  it.for([...animals])(
    '$name: every table is inserted into, updated and deleted from, nothing is refused',
    async ({ sql, settings, never, inherited, redrawn, moves, since = 0 }, { skip }) => {
      skip(since > 0 && (await majorVersion()) < since, `needs PostgreSQL ${since}`);
      const database = await createDatabase(sql);
      const { code, summary, stderr } = await runCli(
        configFor(
          database,
          `random_seed: 3\noperation_weights: [2, 1, 1]\n${settings?.includes('num_iterations') ? '' : 'num_iterations: 2000\n'}${settings ?? ''}`,
        ),
      );
      expect(stderr).not.toContain('error:');
      expect(code).toBe(0);
      expect(summary.totals.rejected).toBe(0);
      if (!redrawn) expect(summary.errors).toEqual({});
      for (const table of moves ?? []) expect(summary.tables[table]!.moved, table).toBeGreaterThan(5);
      for (const [table, { insert, update, delete: deleted, rows_expected: rows }] of Object.entries(summary.tables)) {
        expect(rows).toBe(await count(database, table === inherited ? `ONLY ${table}` : table));
        for (const { operations } of [insert, update, deleted]) expect(operations, table).toBeGreaterThan(20);
      }
      for (const query of never ?? []) expect((await database.client.query(query)).rowCount, query).toBe(0);
      await database.drop();
    },
  );
}
