import { describe, expect, it } from 'vitest';
import { configFor, count, type Database, databasesPerTest, startCli } from '../server/database.js';

const TABLES = ['eg_users', 'eg_orders'];
const { demo } = databasesPerTest();
const DEMO = 'manual_table_list: [eg_users, eg_orders]\nrandom_seed: 12345';

describe('a stop', () => {
  it('by the first Ctrl+C finishes what is in flight and exits 0', async () => {
    const database = await demo();
    const run = startCli(
      configFor(database, `${DEMO}\nnum_iterations: -1`).replace('{ enabled: false }', '{ port: 0 }'),
    );
    await run.saw('/metrics\n');
    // In full swing, whatever the machine's speed.
    while ((await count(database, 'eg_users')) < 2000) await new Promise((resolve) => setTimeout(resolve, 50));
    run.kill('SIGINT');
    const { code, summary } = await run.ended;
    expect(code).toBe(0);
    expect(summary.exit.reason).toBe('stopped by SIGINT');
    expect(summary.totals['operations']).toBe(summary.totals['committed']);
    expect(summary.totals['operations']).toBeGreaterThan(0);
    for (const table of TABLES)
      expect(summary.tables[`public.${table}`]!.rows_expected).toBe(await count(database, table));
  });

  it('by a second signal ends at once', async () => {
    const database = await demo();
    await database.client.query(
      'CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(30); RETURN NULL; END $$; CREATE TRIGGER slow AFTER INSERT ON eg_users EXECUTE FUNCTION slow()',
    );
    const run = startCli(configFor(database, `${DEMO}\nnum_iterations: -1\nrehearse: false`));
    await underWay(database, '^eventgen/[0-9a-f]+/[0-9]+$');
    run.kill('SIGTERM');
    await run.saw('SIGTERM: stopping');
    run.kill('SIGTERM');
    expect((await run.ended).code).toBe(143);
    await database.client.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'eventgen%'",
    );
  });

  it('before the traffic ends what is being prepared, at once', async () => {
    const database = await demo();
    await database.client.query(
      'CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(30); RETURN NULL; END $$; CREATE TRIGGER slow AFTER INSERT ON eg_users EXECUTE FUNCTION slow()',
    );
    const run = startCli(configFor(database, `${DEMO}\nnum_iterations: -1`));
    await underWay(database, '/rehearsal$');
    const startMs = performance.now();
    run.kill('SIGINT');
    const { code, summary, stderr } = await run.ended;
    expect(performance.now() - startMs).toBeLessThan(10_000);
    expect(code).toBe(0);
    expect(summary.exit).toEqual({ code: 0, reason: 'stopped by SIGINT before the first write' });
    expect(stderr).toContain('stopped by SIGINT before the first write');
    expect(await count(database, 'eg_users')).toBe(1000);
  });

  it('while threads still load their code has an end as well', async () => {
    const database = await demo();
    const run = startCli(configFor(database, `${DEMO}\nnum_iterations: -1`));
    await run.saw('is a superuser');
    run.kill('SIGTERM');
    const { code, summary } = await run.ended;
    expect(code).toBe(0);
    expect(summary.exit.reason).toContain('stopped by SIGTERM');
  });
});

/** Waits until a session of that name is in the middle of a statement. */
async function underWay(database: Database, name: string): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    const { rowCount } = await database.client.query(
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ $1 AND wait_event = 'PgSleep'",
      [name],
    );
    if (rowCount! > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${name} never was under way`);
}
