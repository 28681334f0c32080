import { describe, expect, it } from 'vitest';
import {
  configFor,
  connectTo,
  contentHash,
  count,
  cutConnections,
  databasesPerTest,
  heldPace,
  runCli,
  startCli,
} from '../server/database.js';
import { hasPgbouncer, type Pooler, startPgbouncer } from '../server/pgbouncer.js';

const { demo } = databasesPerTest();
const TABLES = ['eg_users', 'eg_orders'];
const SETTINGS = 'manual_table_list: [eg_users, eg_orders]\nrandom_seed: 9\nnum_iterations: 3000';
const IGNORED = { ignore_startup_parameters: 'extra_float_digits,options' };

describe.skipIf(!hasPgbouncer())('through pgbouncer', () => {
  async function through<Result>(
    server: number,
    settings: Readonly<Record<string, string>>,
    work: (pooler: Pooler) => Promise<Result>,
  ): Promise<Result> {
    const pooler = await startPgbouncer(server, settings);
    try {
      return await work(pooler);
    } finally {
      await pooler.stop();
    }
  }

  it.each([
    ['transaction', { pool_mode: 'transaction', default_pool_size: '3' }],
    ['transaction', { pool_mode: 'transaction', default_pool_size: '1' }],
    ['transaction', { pool_mode: 'transaction', server_round_robin: '1' }],
    ['statement', { pool_mode: 'statement' }],
  ])('refuses %s mode before the first write: %o', async (mode, settings) => {
    const database = await demo();
    const before = await contentHash(database, TABLES);
    await through(database.port, { ...IGNORED, ...settings }, async ({ port }) => {
      // Idle servers in the pool, as on a system that is in use.
      if (mode === 'transaction') {
        const sessions = await Promise.all([1, 2, 3].map(() => connectTo(port, database.name)));
        for (const session of sessions) await session.query('SELECT 1');
        for (const session of sessions) await session.end();
      }
      const { code, stderr } = await runCli(configFor({ ...database, port }, SETTINGS));
      expect(stderr).toContain(`the connection goes through a pooler in ${mode} mode`);
      expect(stderr).toContain('pool_mode = session');
      expect(code).toBe(1);
    });
    expect(await contentHash(database, TABLES)).toEqual(before);
  });

  it('refuses transaction mode also where others hold all servers but one', async () => {
    const database = await demo();
    await through(database.port, { ...IGNORED, pool_mode: 'transaction', default_pool_size: '3' }, async ({ port }) => {
      const others = await Promise.all([1, 2].map(() => connectTo(port, database.name)));
      for (const other of others) await other.query('BEGIN');
      const { code, stderr } = await runCli(configFor({ ...database, port }, SETTINGS));
      expect(stderr).toContain('the connection goes through a pooler in transaction mode');
      expect(code).toBe(1);
      for (const other of others) await other.end();
    });
  });

  it('names the setting where the pooler refuses ours', async () => {
    const database = await demo();
    await through(database.port, { pool_mode: 'session' }, async ({ port }) => {
      const { code, stderr } = await runCli(configFor({ ...database, port }, SETTINGS));
      expect(code).toBe(1);
      expect(stderr).toContain('ignore_startup_parameters = options');
    });
  });

  it('says what to do where its pool has no room, and waits no longer than for a connection', async () => {
    const database = await demo();
    await through(database.port, { ...IGNORED, pool_mode: 'session', default_pool_size: '1' }, async ({ port }) => {
      const { code, stderr } = await runCli(configFor({ ...database, port }, `${SETTINGS}\ntimeouts: { connect: 2s }`));
      expect(code).toBe(1);
      expect(stderr).toContain('its pool must have room');
    });
  });

  it('leaves the same rows in session mode as without it, with our settings, also when sessions are lost', async () => {
    const direct = await demo();
    await runCli(configFor(direct, SETTINGS));
    for (const cuts of [0, 6]) {
      const database = await demo();
      const rowsAtStart = await count(database, TABLES[0]!);
      // What a session would otherwise read and write dates with.
      await database.client.query(`ALTER DATABASE ${database.name} SET DateStyle = 'German'`);
      await through(database.port, { ...IGNORED, pool_mode: 'session' }, async ({ port }) => {
        const pace = heldPace(1000);
        const run = startCli(configFor({ ...database, port }, SETTINGS, pace.traffic));
        // A session that is cut while it connects is no session that was lost.
        for (let tries = 0; (await count(database, TABLES[0]!)) === rowsAtStart; tries++) {
          expect(tries).toBeLessThan(400);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        expect(await cutConnections(database, run.ended, { cuts, everyMs: 60 })).toBe(cuts);
        pace.letGo();
        const { code, summary } = await run.ended;
        expect(code).toBe(0);
        expect(summary.totals).toMatchObject({ operations: 3000, committed: 3000, in_doubt_unknown: 0 });
        if (cuts > 0) expect(summary.totals['reconnects']).toBeGreaterThan(0);
        for (const table of TABLES)
          expect(summary.tables[`public.${table}`]!.rows_expected).toBe(await count(database, table));
      });
      expect(await contentHash(database, TABLES)).toEqual(await contentHash(direct, TABLES));
    }
  });
});
