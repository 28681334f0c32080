import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PLAIN, verifyEvents } from '../../src/commands/verify/events.js';
import { recorded } from '../../src/commands/verify/history.js';
import type { Summary } from '../../src/report/summary.js';
import { type Cluster, startCluster } from '../../src/server/cluster.js';
import { configFor, count, createDatabase, type Database, runCli } from '../server/database.js';
import { type Animal, isSociable, schemaOf, sharedSql } from './animal.js';

const OPERATIONS = 500;
/* One UPDATE in eight takes a row to another key, and half of these to another partition: with so many, some do for certain. */
const MOVING_WEIGHT = 4;
const MORE_FOR_MOVING = 400;

/** The tables whose UPDATEs must take rows to other partitions, as `table_weights`, and operations for them beside the others'. */
function forMoving(animals: readonly Animal[], schemaFor: (animal: Animal) => string) {
  const tables = animals.flatMap((animal) => (animal.moves ?? []).map((table) => `${schemaFor(animal)}.${table}`));
  return {
    weights: `table_weights: { ${tables.map((table) => `${table}: ${MOVING_WEIGHT}`).join(', ')} }`,
    operations: MORE_FOR_MOVING * tables.length,
  };
}

async function majorVersion(port: number): Promise<number> {
  const database = await createDatabase('SELECT', port);
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

let folder: string;
/** A server of its own: a capture waits for every transaction that is open on its server. */
let cluster: Cluster;

/** What a run has left behind: its summary, and the database for questions. */
interface Ran {
  readonly database: Database;
  readonly summary: Summary;
}

/** A run that must end well, and refuse nothing but what is redrawn. */
async function runOn(
  sql: string,
  settings: string,
  {
    redrawn = false,
    options = [],
  }: { readonly redrawn?: boolean | undefined; readonly options?: readonly string[] } = {},
): Promise<Ran> {
  const database = await createDatabase(sql, cluster.settings.port);
  const { code, summary, stderr } = await runCli(
    configFor(database, `random_seed: 3\noperation_weights: [4, 3, 3]\n${settings}`),
    options,
  );
  expect(stderr).not.toContain('error:');
  expect(code).toBe(0);
  expect(summary.totals.rejected).toBe(0);
  if (!redrawn) expect(summary.errors).toEqual({});
  return { database, summary };
}

/** What must hold of each table, whose names begin with the schema's. */
async function expectEveryOperation({ database, summary }: Ran, animal: Animal, schema: string): Promise<void> {
  const { moves, inherited, never } = animal;
  const nameOf = (table: string) => `${schema}.${table}`;
  for (const table of moves ?? []) expect(summary.tables[nameOf(table)]!.moved, table).toBeGreaterThan(0);
  for (const [table, entry] of Object.entries(summary.tables)) {
    if (isSociable(animal) && !table.startsWith(nameOf(''))) continue;
    const isInherited = inherited !== undefined && table === nameOf(inherited);
    expect(entry.rows_expected, table).toBe(await count(database, isInherited ? `ONLY ${table}` : table));
    for (const kind of ['insert', 'update', 'delete'] as const)
      expect(entry[kind].operations, `${kind} ${table}`).toBeGreaterThan(20);
  }
  await database.client.query(`SET search_path = ${schema}, public`);
  for (const query of never ?? []) expect((await database.client.query(query)).rowCount, query).toBe(0);
}

/** Runs every operation on each of the schemas; those without settings of their own stand in one database and have one run. */
export function everyOperation(animals: readonly Animal[]): void {
  let version: number;
  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'eventgen-zoo-'));
    cluster = await startCluster(PROGRAMS === undefined ? {} : { programs: PROGRAMS });
    version = await majorVersion(cluster.settings.port);
  });
  afterAll(async () => {
    await cluster?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const isHere = ({ since = 0 }: Animal) => version >= since;

  describe('every table is inserted into, updated and deleted from, nothing is refused', () => {
    const sociable = animals.filter(isSociable);
    let ran: Ran;
    beforeAll(async () => {
      const here = sociable.filter(isHere);
      const moving = forMoving(here, schemaOf);
      const settings = `schema_name: [${here.map(schemaOf).join(', ')}]\nnum_iterations: ${OPERATIONS * here.length + moving.operations}\n${moving.weights}`;
      // On another server, no capture: what is to be seen there is that it takes every operation.
      const isCaptured = PROGRAMS === undefined;
      const [capture, history] = ['events', 'history'].map((name) => path.join(folder, name)) as [string, string];
      const options = isCaptured ? ['--capture', capture, '--history', history] : [];
      ran = await runOn(sharedSql(here), settings, { options });
      if (isCaptured) await expectSameChanges(capture, history);
    }, 120_000);
    afterAll(() => ran?.database.drop());
    it.for(sociable)('$name', async (animal, { skip }) => {
      skip(!isHere(animal), `needs PostgreSQL ${animal.since}`);
      await expectEveryOperation(ran, animal, schemaOf(animal));
    });

    it.for(animals.filter((animal) => !isSociable(animal)))('$name, with a run of its own', async (animal) => {
      const { sql, settings = '', redrawn } = animal;
      const moving = forMoving([animal], () => 'public');
      const most = OPERATIONS + moving.operations;
      const operations = settings.includes('num_iterations') ? '' : `num_iterations: ${most}\n${moving.weights}\n`;
      const own = await runOn(sql, `${operations}${settings}`, { redrawn });
      await expectEveryOperation(own, animal, 'public');
      await own.database.drop();
    });
  });
}
