import { afterAll, beforeAll, expect, it } from 'vitest';
import { transcript } from '../../src/commands/dry-run.js';
import { parseConfig } from '../../src/config/load.js';
import { Lane } from '../../src/lane/lane.js';
import { parametersOf } from '../../src/lane/messages/bind.js';
import { play, SILENT } from '../../src/lane/play.js';
import type { ClaimSet } from '../../src/lane/rows/claims.js';
import { CompiledPlan } from '../../src/lane/rows/compiled.js';
import { GENERATOR_VERSION, type Plan } from '../../src/plan/plan.js';
import { prepare } from '../../src/prepare/prepare.js';
import { configFor, createDatabase, type Database, runCli } from '../server/database.js';

let database: Database;

beforeAll(async () => {
  database = await createDatabase(`CREATE TYPE mood AS ENUM ('fine', 'bad');
    CREATE TABLE people (id bigint PRIMARY KEY, email varchar(60) NOT NULL UNIQUE, mood mood, born date, tags text[]);
    CREATE TABLE pets (person bigint REFERENCES people, nr smallint, name text NOT NULL, weight numeric(5,2), PRIMARY KEY (person, nr));
    CREATE TABLE notes (at timestamptz, body jsonb);
    CREATE TABLE visits (at timestamptz, page text, seconds real);
    INSERT INTO people SELECT i, 'p' || i || '@example.org' FROM generate_series(1, 6) AS i`);
  await database.client.query('SET search_path = pg_catalog');
});
afterAll(() => database.drop());

/*
 * Frozen: what a seed generates. A change here is a change of what users' seeds mean: it needs a new GENERATOR_VERSION
 * and a line in CHANGELOG.md. `npx vitest run test/lane/golden.test.ts -u` writes the file anew.
 */
it('the first operations of every lane are those of the golden file', async () => {
  const generator = 'random_seed: 12345\nfaker_seed: 54321\nconnections: 2\npipeline_depth: 3';
  const config = parseConfig('c.yaml', configFor(database, generator), [], {});
  const { plan, claims } = await prepare(database.client, config, {
    dryRun: true,
    say: () => undefined,
    step: () => undefined,
    rehearsal: null,
  });
  await expect(
    `generator_version ${GENERATOR_VERSION}\n${transcript(plan, claims, 12).join('\n')}\n`,
  ).toMatchFileSnapshot('golden/transcript.sql');
});

it('another faker seed changes texts and not the operations', async () => {
  const lines = async (fakerSeed: number) => {
    const config = parseConfig(
      'c.yaml',
      configFor(database, `random_seed: 1\nfaker_seed: ${fakerSeed}\nconnections: 3`),
      [],
      {},
    );
    const { plan, claims } = await prepare(database.client, config, {
      dryRun: true,
      say: () => undefined,
      step: () => undefined,
      rehearsal: null,
    });
    return transcript(plan, claims, 300);
  };
  const one = await lines(1);
  const two = await lines(2);
  const operations = (all: readonly string[]) => all.filter((line) => !line.startsWith('  -- '));
  expect(operations(one)).toEqual(operations(two));
  expect(one).not.toEqual(two);
});

it('another table changes no value of the first operations on its neighbours', async () => {
  const seen = async () => {
    const config = parseConfig(
      'c.yaml',
      configFor(database, 'random_seed: 1\nconnections: 1\nmanual_table_list: [people]'),
      [],
      {},
    );
    const { plan, claims } = await prepare(database.client, config, {
      dryRun: true,
      say: () => undefined,
      step: () => undefined,
      rehearsal: null,
    });
    return transcript(plan, claims, 100);
  };
  const before = await seen();
  await database.client.query('CREATE TABLE public.another (id int PRIMARY KEY, v text)');
  const after = await seen();
  await database.client.query('DROP TABLE public.another');
  expect(after).toEqual(before);
});

/** What INSERTs of the given plan give to each column: "lane/operation/row/column" → value. */
function insertedValues(plan: Plan, claims: ClaimSet, operations: number): Map<string, string | null> {
  const compiled = new CompiledPlan(plan);
  const values = new Map<string, string | null>();
  for (const number of plan.quotas.keys()) {
    let sent = 0;
    for (const { members } of play(new Lane(compiled, number, claims, SILENT))) {
      if (sent++ === operations) break;
      const { operation } = members[0]!;
      for (const statement of operation.statements) {
        const { insertColumns, columns } = plan.relations[statement.relation]!;
        if (statement.kind !== 'insert') continue;
        for (const [index, value] of parametersOf(operation.bytes, statement).entries()) {
          const column = columns[insertColumns[index % insertColumns.length]!]!;
          values.set(
            `${number}/${operation.number}/${Math.floor(index / insertColumns.length)}/${column.label}`,
            value,
          );
        }
      }
    }
  }
  return values;
}

it('another column changes no value that an INSERT gives to its neighbours', async () => {
  const seen = async () => {
    const settings = 'random_seed: 1\nconnections: 2\nmanual_table_list: [people]';
    const config = parseConfig('c.yaml', configFor(database, settings), [], {});
    const { plan, claims } = await prepare(database.client, config, {
      dryRun: true,
      say: () => undefined,
      step: () => undefined,
      rehearsal: null,
    });
    return insertedValues(plan, claims, 200);
  };
  const before = await seen();
  await database.client.query('ALTER TABLE public.people ADD COLUMN another numeric(8,3), ADD COLUMN one_more text[]');
  const after = await seen();
  await database.client.query('ALTER TABLE public.people DROP COLUMN another, DROP COLUMN one_more');
  expect(after.size).toBeGreaterThan(before.size);
  for (const [place, value] of before) expect(after.get(place), place).toBe(value);
});

it('a lane is played as it goes, also where only the server knows what rows are called', async () => {
  const unnamed = await createDatabase(`CREATE TABLE flags (x bool, y bool);
    CREATE TABLE marked (at timestamptz, who text);
    CREATE TABLE made (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
    CREATE TABLE parts (day date, v bool) PARTITION BY RANGE (day);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (MINVALUE) TO ('2010-01-01'); CREATE TABLE parts_2 PARTITION OF parts DEFAULT;`);
  const generator = 'random_seed: 8\nnum_iterations: 3000\nidentity_values: database';
  const config = parseConfig('c.yaml', configFor(unnamed, generator), [], {});
  const { plan, claims } = await prepare(unnamed.client, config, {
    dryRun: true,
    say: () => undefined,
    step: () => undefined,
    rehearsal: null,
  });
  const played: Record<string, Record<string, number>> = {};
  const compiled = new CompiledPlan(plan);
  for (const number of plan.quotas.keys()) {
    for (const { members } of play(new Lane(compiled, number, claims, SILENT))) {
      for (const { operation } of members) {
        const { label } = plan.relations[operation.relation]!;
        played[label] ??= { insert: 0, update: 0, delete: 0 };
        played[label][operation.kind]!++;
      }
    }
  }
  const { summary } = await runCli(configFor(unnamed, generator));
  await unnamed.drop();
  const gone = Object.entries(summary.tables).map(([table, { insert, update, delete: removed }]) => [
    table,
    { insert: insert.operations, update: update.operations, delete: removed.operations },
  ]);
  expect(played).toEqual(Object.fromEntries(gone));
});
