import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PLAIN, verifyEvents } from '../../src/commands/verify/events.js';
import { recorded } from '../../src/commands/verify/history.js';
import { type Cluster, startCluster } from '../../src/server/cluster.js';
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

/** What the server's stream has told of a run is what its history tells, change by change. */
async function expectSameChanges(capture: string, history: string): Promise<void> {
  const { differences, verdict } = await verifyEvents(recorded(history, true), {
    events: capture,
    ...PLAIN,
    folder,
  });
  expect(differences.slice(0, 3)).toEqual([]);
  // A run that no stream tells of leaves nothing to compare.
  expect(['equal', 'undecided']).toContain(verdict);
}

const { EVENTGEN_TEST_PROGRAMS: PROGRAMS } = process.env;
/* True if the schemas that are not captured are tried on another server afterwards. */
const IS_ELSEWHERE = process.env['EVENTGEN_TEST_SECOND_SERVER'] === 'follows';

let folder: string;
/** A server of its own: a capture waits for every transaction that is open on its server. */
let cluster: Cluster;

/** Runs every operation on each of the schemas. */
export function everyOperation(animals: readonly Animal[]): void {
  const names = animals.map(({ name }) => name);
  // For time: every fourth one is captured, and the others are tried on another server where there is one.
  const isTriedWithCapture = ({ name, since = 0 }: Pick<Animal, 'name' | 'since'>) =>
    since > 0 || names.indexOf(name) % 4 === 0;
  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'eventgen-zoo-'));
    cluster = await startCluster(PROGRAMS === undefined ? {} : { programs: PROGRAMS });
  });
  afterAll(async () => {
    await cluster?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const here = animals.filter((animal) => !IS_ELSEWHERE || isTriedWithCapture(animal));
  it.for(here)(
    '$name: every table is inserted into, updated and deleted from, nothing is refused',
    async ({ name, sql, settings, never, inherited, redrawn, moves, since = 0 }, { skip }) => {
      skip(since > 0 && (await majorVersion()) < since, `needs PostgreSQL ${since}`);
      const isCaptured = isTriedWithCapture({ name, since });
      skip(PROGRAMS !== undefined && isCaptured, 'is tried with a capture, on the embedded server');
      const database = await createDatabase(sql, cluster.settings.port);
      const [capture, history] = ['events', 'history'].map((name) => path.join(folder, name)) as [string, string];
      const { code, summary, stderr } = await runCli(
        configFor(
          database,
          `random_seed: 3\noperation_weights: [2, 1, 1]\n${settings?.includes('num_iterations') ? '' : 'num_iterations: 1000\n'}${settings ?? ''}`,
        ),
        isCaptured ? ['--capture', capture, '--history', history] : [],
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
      if (isCaptured) await expectSameChanges(capture, history);
      await database.drop();
    },
  );
}
