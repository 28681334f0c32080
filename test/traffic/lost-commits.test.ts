import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../src/server/cluster.js';
import { startStandby } from '../../src/server/replica.js';
import { configFor, connectTo, contentHash, count, createDatabase, startCli } from '../server/database.js';

/* A server acknowledges commits and loses them: what a run has told of them is taken back, and they are made again. */

const TABLES = `CREATE TABLE city (id int PRIMARY KEY, name text NOT NULL UNIQUE);
  CREATE TABLE person (id bigint PRIMARY KEY, city int NOT NULL REFERENCES city ON DELETE CASCADE, boss bigint REFERENCES person ON DELETE SET NULL, v text);
  CREATE TABLE note (a uuid PRIMARY KEY, person bigint REFERENCES person ON DELETE CASCADE, t timestamptz);
  CREATE INDEX ON person (city); CREATE INDEX ON person (boss); CREATE INDEX ON note (person)`;
const NAMES = ['public.city', 'public.person', 'public.note'];
/* What is committed lies in the server's memory for long. */
const FORGETFUL = [
  'synchronous_commit = off',
  'wal_writer_delay = 10s',
  'wal_writer_flush_after = 1GB',
  'wal_buffers = 64MB',
];
const GENERATOR =
  'random_seed: 5\nnum_iterations: 24000\nconnections: 3\nrehearse: false\ntransaction: { statements: 2, rollback_ratio: 0.1 }';

/* Slow enough to last until all has happened to it. */
const TRAFFIC = 'traffic: { rate: 4000, catch_up: all }';

/** Connects to a server that may be about to come back. */
async function reconnected(port: number, name: string): Promise<pg.Client> {
  for (let tries = 0; ; tries++) {
    try {
      return await connectTo(port, name);
    } catch (error) {
      if (tries === 300) throw error;
      await pause(50);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function whenBegun(client: pg.Client, rows: number): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    const { rows: found } = await client.query<{ n: number }>('SELECT count(*)::int AS n FROM person');
    if (found[0]!.n >= rows) return;
    await pause(20);
  }
  throw new Error('no row was written');
}

/** What the run leaves when nothing happens. */
async function undisturbed(cluster: Cluster): Promise<Record<string, string>> {
  const database = await createDatabase(TABLES, cluster.settings.port);
  expect((await startCli(configFor(database, GENERATOR)).ended).code).toBe(0);
  const hashes = await contentHash(database, NAMES);
  await database.drop();
  return hashes;
}

describe('commits that were acknowledged and lost', () => {
  it('in crashes of a server that commits asynchronously are made again, and every count is right', async () => {
    const cluster = await startCluster({ settings: FORGETFUL });
    try {
      const expected = await undisturbed(cluster);
      const { client: first, ...database } = await createDatabase(TABLES, cluster.settings.port);
      // The tables themselves are not to be lost.
      await first.query('CHECKPOINT');
      const run = startCli(configFor({ ...database, client: first }, GENERATOR, TRAFFIC));
      await whenBegun(first, 500);
      await first.end();
      for (let crash = 0; crash < 2; crash++) {
        const client = await reconnected(cluster.settings.port, database.name);
        await pause(900);
        // A backend that is killed takes all of the server's sessions along, and what lies in its buffers.
        const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
        process.kill(rows[0]!.pid, 'SIGKILL');
        await client.end().catch(() => undefined);
      }
      const { code, summary, stderr } = await run.ended;
      expect({ code, stderr, exit: summary.exit }).toMatchObject({
        code: 0,
        stderr: expect.stringContaining('are taken back') as string,
      });
      const client = await reconnected(cluster.settings.port, database.name);
      expect(await contentHash({ ...database, client }, NAMES)).toEqual(expected);
      for (const name of NAMES)
        expect(summary.tables[name]!.rows_expected, name).toBe(await count({ ...database, client }, name));
      expect(summary).toMatchObject({ reproducible: true, totals: { operations: 24_000, in_doubt_unknown: 0 } });
      const lost = Object.values(summary.acknowledged_lost ?? {}).reduce((sum, rows) => sum + rows, 0);
      expect(lost).toBeGreaterThan(0);
      await client.end();
    } finally {
      await cluster.stop();
    }
  });

  it('are looked for at the end of a schedule, too, and where nothing was lost nothing is added', async () => {
    const database = await createDatabase(TABLES);
    // The server forgets its statistics, which is taken for a crash.
    await database.client.query(`ALTER DATABASE ${database.name} SET synchronous_commit = off`);
    const settings = GENERATOR.replace('24000', '-1').replace('statements: 2', 'statements: 5');
    const run = startCli(configFor(database, settings, 'traffic: { rate: 400, duration: 4s, catch_up: all }'));
    await whenBegun(database.client, 50);
    await database.client.query("SELECT pg_stat_reset_shared('bgwriter')");
    const { code, summary, stderr } = await run.ended;
    expect({ code, stderr }).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('are taken back') as string,
    });
    expect(summary.totals['in_doubt_unknown']).toBe(0);
    // What was due, and the rest of the last transaction of each lane.
    expect(summary.totals['operations']).toBeGreaterThanOrEqual(1600);
    expect(summary.totals['operations']).toBeLessThan(1615);
    expect(summary.reproducible).toBe(true);
    for (const name of NAMES) expect(summary.tables[name]!.rows_expected, name).toBe(await count(database, name));
    await database.drop();
  });

  it('by a standby that takes over and has not received them are made again', async () => {
    const primary = await startCluster();
    let standby: Cluster | null = null;
    try {
      const expected = await undisturbed(primary);
      const database = await createDatabase(TABLES, primary.settings.port);
      standby = await startStandby(primary);
      const onStandby = await connectTo(standby.settings.port, database.name);
      const yaml = configFor(database, GENERATOR, TRAFFIC).replace(
        `host: 127.0.0.1, port: ${database.port}`,
        `hosts: ["127.0.0.1:${database.port}", "127.0.0.1:${standby.settings.port}"]`,
      );
      const run = startCli(yaml);
      await whenBegun(database.client, 900);
      // What is committed from now on does not reach the standby.
      await onStandby.query("ALTER SYSTEM SET primary_conninfo = ''");
      await onStandby.query('SELECT pg_reload_conf()');
      // More than one remembered moment lies behind what it has.
      await pause(1200);
      await whenBegun(database.client, 7_000);
      await database.client.end();
      primary.stopNow();
      const promotedMs = performance.now();
      await onStandby.query('SELECT pg_promote()');
      const { code, summary, stderr } = await run.ended;
      expect({ code, stderr, exit: summary.exit }).toMatchObject({
        code: 0,
        stderr: expect.stringContaining('are taken back') as string,
      });
      const there = { ...database, client: onStandby };
      expect(await contentHash(there, NAMES)).toEqual(expected);
      for (const name of NAMES) expect(summary.tables[name]!.rows_expected, name).toBe(await count(there, name));
      expect(summary).toMatchObject({ reproducible: true, totals: { operations: 24_000, in_doubt_unknown: 0 } });
      expect(Object.keys(summary.acknowledged_lost ?? {}).sort()).toEqual([...NAMES].sort());
      expect(performance.now() - promotedMs).toBeLessThan(60_000);
      await onStandby.end();
    } finally {
      await standby?.stop();
      await primary.stop();
    }
  });
});
