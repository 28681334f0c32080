import { afterAll, describe, expect, it } from 'vitest';
import { flavourOf } from '../../src/catalog/flavour.js';
import { spreadOut } from '../../src/config/connection.js';
import type { LoadSummary } from '../../src/report/load.js';
import {
  configFor,
  contentHash,
  count,
  createDatabase,
  cutConnections,
  type Database,
  heldPace,
  runCli,
  startCli,
} from '../server/database.js';

const YUGABYTE = 'PostgreSQL 15.2-YB-2.25.1.0-b0 on x86_64-pc-linux-gnu, compiled by clang version 17.0.6, 64-bit';

/* A server that says it is another database, and has none of the functions that one lacks. */
const FAKE = (version: string) => `CREATE SCHEMA fake;
  CREATE FUNCTION fake.version() RETURNS text LANGUAGE sql AS $$ SELECT '${version}'::text $$;
  ${[
    'pg_try_advisory_lock(int, int) RETURNS bool',
    'pg_advisory_unlock(int, int) RETURNS bool',
    'pg_current_xact_id() RETURNS xid8',
    'pg_xact_status(xid8) RETURNS text',
    'pg_current_wal_lsn() RETURNS pg_lsn',
    'pg_current_wal_insert_lsn() RETURNS pg_lsn',
    'pg_walfile_name(pg_lsn) RETURNS text',
    'pg_current_snapshot() RETURNS pg_snapshot',
  ]
    .map(
      (name) =>
        `CREATE FUNCTION fake.${name} LANGUAGE plpgsql AS $$ BEGIN RAISE 'not supported' USING ERRCODE = '0A000'; END $$;`,
    )
    .join('\n')}
  CREATE TABLE customer (id bigint PRIMARY KEY, name text NOT NULL UNIQUE, balance numeric(10,2));
  CREATE TABLE purchase (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer bigint NOT NULL REFERENCES customer ON DELETE CASCADE, at timestamptz);
  CREATE TABLE visit (day date, id bigint, pages int, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
  CREATE TABLE visit_old PARTITION OF visit FOR VALUES FROM (MINVALUE) TO ('2016-01-01'); CREATE TABLE visit_new PARTITION OF visit DEFAULT;`;
const NAMES = ['public.customer', 'public.purchase', 'public.visit'];

const databases: Database[] = [];
afterAll(async () => {
  for (const database of databases) await database.drop();
});

async function faked(version: string): Promise<Database> {
  const database = await createDatabase(FAKE(version));
  databases.push(database);
  await database.client.query(`ALTER DATABASE ${database.name} SET search_path = fake, pg_catalog, public`);
  return database;
}

const yaml = (database: Database, more = '') =>
  configFor(database, `random_seed: 4\nnum_iterations: 6000\nconnections: 4\ntransaction: { statements: 2 }${more}`);

async function expectCounted(
  database: Database,
  tables: Record<string, { rows_expected: number | null }>,
): Promise<void> {
  for (const name of NAMES) expect(tables[name]!.rows_expected, name).toBe(await count(database, name));
}

describe('another database that speaks the protocol', () => {
  it('is recognised by version()', () => {
    expect(flavourOf(YUGABYTE)).toBe('YugabyteDB');
    expect(flavourOf('CockroachDB CCL v24.1.0 (x86_64-pc-linux-gnu, built 2024/05/15)')).toBe('CockroachDB');
    expect(flavourOf('PostgreSQL 15.8 (Debian 15.8-0+deb12u1) on x86_64')).toBe('PostgreSQL');
  });

  it('takes every operation that it can, and the rest is said before', async () => {
    const database = await faked(YUGABYTE);
    await database.client.query('CREATE TABLE public.keyless (v text)');
    const { code, summary, stderr } = await runCli(yaml(database, '\nrow_selection: system_rows'));
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).toContain('the server is YugabyteDB. The run does without');
    expect(stderr).toContain('public.keyless: has no key, and YugabyteDB does not tell where a row lies');
    expect(summary.totals.rejected).toBe(0);
    await expectCounted(database, summary.tables);
    for (const name of NAMES)
      for (const kind of ['insert', 'update', 'delete'] as const)
        expect(summary.tables[name]![kind].operations, `${name} ${kind}`).toBeGreaterThan(50);
    // The same seed, the same rows, for any number of workers.
    const again = await faked(YUGABYTE);
    await again.client.query('CREATE TABLE public.keyless (v text)');
    expect((await runCli(yaml(again, '\nworkers: 3'))).code).toBe(0);
    expect(await contentHash(again, NAMES)).toEqual(await contentHash(database, NAMES));
  });

  it('is cut in the middle, and no row is lost or doubled', async () => {
    const [database, quiet] = [await faked(YUGABYTE), await faked(YUGABYTE)];
    await runCli(yaml(quiet));
    const pace = heldPace(500);
    const run = startCli(`${yaml(database)}\n${pace.traffic}`);
    expect(await cutConnections(database, run.ended, { cuts: 8, everyMs: 100 })).toBe(8);
    pace.letGo();
    const { code, summary } = await run.ended;
    expect(code).toBe(0);
    await expectCounted(database, summary.tables);
    expect(await contentHash(database, NAMES)).toEqual(await contentHash(quiet, NAMES));
  });

  it('has shards, which leases keep apart', async () => {
    const [one, two] = [await faked(YUGABYTE), await faked(YUGABYTE)];
    await runCli(yaml(one));
    const start = (shard: number) =>
      startCli(yaml(two), ['--shard', `${shard}/2`, '--run-id', 'leased', '--start-timeout', '60s']);
    const killed = start(2);
    await killed.saw('waiting for 1 of 2 shards');
    killed.kill('SIGKILL');
    await killed.ended;
    // Its lease outlives it for a while.
    const [first, second] = [start(1), start(2)];
    await second.saw('another process is running shard 2');
    for (const { ended } of [first, second]) expect(await ended).toMatchObject({ code: 0 });
    expect(await contentHash(two, NAMES)).toEqual(await contentHash(one, NAMES));
    expect(await count(two, 'event_generator.run_lease')).toBe(0);
  });

  it('is loaded with a journal of its own', async () => {
    const database = await faked('CockroachDB CCL v24.1.0 (x86_64-pc-linux-gnu)');
    const load = (options: readonly string[]) =>
      startCli(yaml(database), ['--rows', '2000', ...options], {}, ['load']).ended;
    expect(await load([])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('add --shard 1/1 --run-id NAME') as string,
    });
    const { code, summary } = await load(['--shard', '1/1', '--run-id', 'filled']);
    expect(code).toBe(0);
    await expectCounted(database, (summary as unknown as LoadSummary).tables);
  });

  it('spreads its lanes over its nodes, with the configured place as the last resort', () => {
    const place = (host: string) => ({ host, port: 5433 });
    const settings = { ...place('entry'), nodes: ['a', 'b', 'c'].map(place) } as unknown as Parameters<
      typeof spreadOut
    >[0];
    const order = (lane: number) => {
      const { host, others = [] } = spreadOut(settings, lane);
      return [host, ...others.map((other) => other.host)].join(' ');
    };
    expect([0, 1, 2, 3].map(order)).toEqual(['a b c entry', 'b c a entry', 'c a b entry', 'a b c entry']);
  });
});
