import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { Summary } from '../../src/report/summary.js';
import { startCluster } from '../../src/server/cluster.js';
import {
  configFor,
  contentHash,
  count,
  createDatabase,
  cutConnections,
  type Database,
  dumpInto,
  heldPace,
  runCli,
  startCli,
} from '../server/database.js';

/* Shapes of real schemas, each of which needs something of its own from keyspaces and keys: schema → its tables. */
const SHAPES: Readonly<Record<string, string>> = {
  one_to_one: 'CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY REFERENCES a, w text)',
  junction:
    'CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id uuid PRIMARY KEY, v text); CREATE TABLE ab (a int REFERENCES a, b uuid REFERENCES b, n int, PRIMARY KEY (a, b))',
  cascades: `CREATE TABLE a (id int PRIMARY KEY, v text);
     CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL REFERENCES a ON DELETE CASCADE, v text);
     CREATE TABLE c (id int PRIMARY KEY, b int NOT NULL REFERENCES b ON DELETE CASCADE, v text);
     CREATE TABLE d (id int PRIMARY KEY, b int REFERENCES b ON DELETE SET NULL, v text);
     CREATE TABLE e (id int PRIMARY KEY, d int REFERENCES d ON DELETE SET NULL, c int REFERENCES c ON DELETE CASCADE, v text)`,
  keyless: 'CREATE TABLE a (at timestamptz, who text, what jsonb)',
  one_row: 'CREATE TABLE a (id int PRIMARY KEY CHECK (id = 1), v text); CREATE TABLE b (id bigint PRIMARY KEY, v text)',
  self_reference: 'CREATE TABLE a (id bigint PRIMARY KEY, parent bigint REFERENCES a, v text)',
  partitions:
    "CREATE TABLE a (id bigint, day date, v float8, PRIMARY KEY (id, day)) PARTITION BY RANGE (day); CREATE TABLE a1 PARTITION OF a FOR VALUES FROM (MINVALUE) TO (DATE '2010-01-01'); CREATE TABLE a2 PARTITION OF a DEFAULT",
  tenants: `CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE m (t int REFERENCES t, id int, v text, PRIMARY KEY (t, id));
     CREATE TABLE p (t int REFERENCES t, id int, v text, PRIMARY KEY (t, id));
     CREATE TABLE k (t int, id int, m int NOT NULL, p int NOT NULL, v text, PRIMARY KEY (t, id), FOREIGN KEY (t, m) REFERENCES m, FOREIGN KEY (t, p) REFERENCES p)`,
  unique_beside_key:
    'CREATE TABLE a (id int PRIMARY KEY, code char(6) UNIQUE, at timestamp(3) UNIQUE, amount numeric(9,2) UNIQUE, ip inet UNIQUE)',
};

const SETTINGS = `schema_name: [${Object.keys(SHAPES).join(', ')}]\nrandom_seed: 11\nconnections: 8\nnum_iterations: 15000\noperation_weights: [4, 3, 3]\n# One lane of eight owns the one row, and has but an eighth of all operations.\ntable_weights: { one_row.a: 2 }`;

async function shapes(port?: number): Promise<Database> {
  const schemas = Object.entries(SHAPES).map(
    ([schema, sql]) => `CREATE SCHEMA ${schema}; SET search_path = ${schema}; ${sql};`,
  );
  return await createDatabase(`${schemas.join('\n')} SET search_path = ''`, port);
}

interface Result {
  readonly hash: Record<string, string>;
  readonly summary: Summary;
}

/** What a run left behind, after a look at its counts; the database is dropped. */
async function result(database: Database, run: Awaited<ReturnType<typeof runCli>>): Promise<Result> {
  const { code, summary, stderr } = run;
  expect(stderr).not.toContain('error:');
  expect(code).toBe(0);
  const tables = Object.keys(summary.tables);
  for (const table of tables) expect(summary.tables[table]!.rows_expected, table).toBe(await count(database, table));
  const hash = await contentHash(database, tables);
  await database.drop();
  return { hash, summary };
}

async function runOn(
  database: Database,
  settings: string,
  environment: NodeJS.ProcessEnv = {},
  options: readonly string[] = [],
): Promise<Result> {
  return await result(database, await runCli(configFor(database, `${SETTINGS}\n${settings}`), options, environment));
}

/* What every other run must leave behind. */
let first: Promise<Result> | undefined;
function reference(): Promise<Result> {
  first ??= shapes().then((database) => runOn(database, 'workers: 1'));
  return first;
}

it('every shape takes every kind of operation, nothing is refused, and counts are the rows', async () => {
  const { summary } = await reference();
  const { operations, ...totals } = summary.totals;
  expect(totals).toMatchObject({ committed: operations, retries: 0 });
  for (const [table, counts] of Object.entries(summary.tables)) {
    for (const kind of ['insert', 'update', 'delete'] as const)
      expect(counts[kind].operations, `${table} ${kind}`).toBeGreaterThanOrEqual(200);
  }
  expect(summary.tables['cascades.c']!.cascaded.delete).toBeGreaterThan(20);
  expect(summary.tables['cascades.e']!.cascaded.update).toBeGreaterThan(20);
});

/* Each of these differs from the reference in the number of workers as well: equal rows prove both at once. */

it('the same rows with 2 workers, when connections are cut in the middle, ten times', async () => {
  const database = await shapes();
  const pace = heldPace(3000);
  const run = startCli(configFor(database, `${SETTINGS}\nworkers: 2`, pace.traffic));
  const cuts = await cutConnections(database, run.ended, { cuts: 10, everyMs: 70 });
  pace.letGo();
  const { hash, summary } = await result(database, await run.ended);
  expect(cuts).toBe(10);
  expect(summary.totals).toMatchObject({ committed: summary.totals['operations'], in_doubt_unknown: 0 });
  expect(hash).toEqual((await reference()).hash);
});

const DEBIAN = '/usr/lib/postgresql/15/bin';
const HAS_DEBIAN = existsSync(`${DEBIAN}/pg_dump`);
const NODE_24 = process.env['EVENTGEN_TEST_NODE_24'];
const ELSEWHERE = [
  ...(HAS_DEBIAN ? ['on PostgreSQL 15, in a database that was dumped and restored'] : []),
  ...(NODE_24 === undefined ? [] : ['on Node 24']),
];

it(`the same rows with 8 workers ${ELSEWHERE.join(', ')}`.trim(), async () => {
  const cluster = HAS_DEBIAN ? await startCluster({ programs: DEBIAN }) : null;
  try {
    const database = cluster === null ? await shapes() : await restored(cluster.settings.port);
    const environment = NODE_24 === undefined ? {} : { EVENTGEN_NODE: NODE_24 };
    expect((await runOn(database, 'workers: 8', environment)).hash).toEqual((await reference()).hash);
  } finally {
    await cluster?.stop();
  }
});

async function restored(port: number): Promise<Database> {
  const before = await shapes(port);
  const after = await createDatabase('CREATE TABLE public.before_all (id int)', port);
  dumpInto(before, after, DEBIAN);
  await before.drop();
  return after;
}

it('the same rows where unique keys, foreign keys, CHECKs and triggers refuse some of them', {
  timeout: 120_000,
}, async () => {
  const states = ['23505', '23503', '23514', 'P0001'];
  const results: Result[] = [];
  for (const workers of [1, 3]) {
    const database = await shapes();
    // A row is refused by what stands in it, so that it is the same rows however often and from where they come.
    await database.client.query(`
      CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE chance int := ('x' || left(md5(CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END::text), 4))::bit(16)::int;
        BEGIN
          IF chance % 40 < 4 THEN RAISE EXCEPTION 'refused' USING ERRCODE = ('{${states.join()}}'::text[])[chance % 40 + 1]; END IF;
          RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
        END $$;`);
    const { rows } = await database.client.query<{ name: string }>(
      `SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text = ANY($1)`,
      [Object.keys(SHAPES)],
    );
    for (const { name } of rows)
      await database.client.query(
        `CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON ${name} FOR EACH ROW EXECUTE FUNCTION public.refuse()`,
      );
    results.push(
      await runOn(
        database,
        `workers: ${workers}\nerror_budget: { max_error_ratio: 1, quarantine_after: 1000000 }`,
        {},
        ['--iterations', '4000'],
      ),
    );
  }
  const [one, three] = results as [Result, Result];
  for (const state of states) expect(one.summary.errors[state]?.count, state).toBeGreaterThan(10);
  expect(three.hash).toEqual(one.hash);
  expect(three.summary.lanes).toEqual(one.summary.lanes);
});
