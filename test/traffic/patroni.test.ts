import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import { configFor, connectTo, contentHash, count, createDatabase, heldPace, startCli } from '../server/database.js';
import { hasPatroni, startPatroni } from '../server/patroni.js';

const TABLES = `CREATE TABLE city (id int PRIMARY KEY, name text NOT NULL UNIQUE);
  CREATE TABLE person (id bigint PRIMARY KEY, city int NOT NULL REFERENCES city ON DELETE CASCADE, v text)`;
const NAMES = ['public.city', 'public.person'];
const GENERATOR = 'random_seed: 5\nnum_iterations: 20000\nconnections: 3\nmax_outage_seconds: 60';

async function rowsOf(port: number, name: string): Promise<number> {
  const client: pg.Client = await connectTo(port, name);
  try {
    return (await client.query<{ n: number }>('SELECT count(*)::int AS n FROM person')).rows[0]!.n;
  } finally {
    await client.end();
  }
}

/** Returns after how many seconds rows come to the server that leads. */
async function secondsUntilWrites(port: number, name: string): Promise<number> {
  const startMs = performance.now();
  const before = await rowsOf(port, name);
  while ((await rowsOf(port, name)) === before) {
    expect(performance.now() - startMs).toBeLessThan(30_000);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return (performance.now() - startMs) / 1000;
}

describe.skipIf(!hasPatroni())('two servers that Patroni keeps', () => {
  it('take over from each other under load, after a crash and when asked: every count is right, and the rows are those of a run in peace', async () => {
    const peace = await createDatabase(TABLES);
    expect((await startCli(configFor(peace, GENERATOR)).ended).code).toBe(0);
    const expected = await contentHash(peace, NAMES);
    await peace.drop();

    const pace = heldPace(100);
    const patroni = await startPatroni();
    try {
      const database = await createDatabase(TABLES, await patroni.leader());
      await database.client.end();
      const hosts = patroni.ports.map((port) => `"127.0.0.1:${port}"`).join(', ');
      const yaml = configFor(database, GENERATOR, pace.traffic);
      const run = startCli(yaml.replace(`host: 127.0.0.1, port: ${database.port}`, `hosts: [${hosts}]`), [], {
        EVENTGEN_MOST_MS: '220000',
      });
      await secondsUntilWrites(database.port, database.name);
      const waited: number[] = [];
      await patroni.killLeader();
      waited.push(await secondsUntilWrites(await patroni.leader(), database.name));
      await patroni.revive();
      await patroni.switchOver();
      waited.push(await secondsUntilWrites(await patroni.leader(), database.name));
      pace.letGo();
      const { code, summary, stderr } = await run.ended;
      expect({ code, exit: summary.exit.reason, stderr }).toMatchObject({ code: 0 });
      console.log(`seconds until rows come to the new leader: ${waited.map((each) => each.toFixed(1)).join(', ')}`);
      for (const seconds of waited) expect(seconds).toBeLessThan(10);
      const client = await connectTo(await patroni.leader(), database.name);
      const there = { ...database, client };
      expect(summary).toMatchObject({ reproducible: true, totals: { operations: 20_000, in_doubt_unknown: 0 } });
      for (const name of NAMES) expect(summary.tables[name]!.rows_expected, name).toBe(await count(there, name));
      expect(await contentHash(there, NAMES)).toEqual(expected);
      await client.end();
    } finally {
      await patroni.stop();
    }
  }, 240_000);
});
