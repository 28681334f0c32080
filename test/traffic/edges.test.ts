import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import type { Summary } from '../../src/report/summary.js';
import {
  CLI,
  configFor,
  connectTo,
  count,
  type Database,
  databasesPerTest,
  runCli,
  startCli,
} from '../server/database.js';

const { demo } = databasesPerTest();
const DEMO = 'manual_table_list: [eg_users, eg_orders]\nrandom_seed: 5';
const TABLES = ['eg_users', 'eg_orders'];
const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-edges-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function expectExactCounts(database: Database, { tables }: Summary): Promise<void> {
  for (const table of TABLES) expect(tables[`public.${table}`]!.rows_expected).toBe(await count(database, table));
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function busy(database: Database, rows = 300): Promise<void> {
  const before = await count(database, 'eg_users');
  for (let look = 0; (await count(database, 'eg_users')) < before + rows; look++) {
    if (look > 2000) throw new Error('the run writes no rows');
    await wait(20);
  }
}

it('waits while the server takes no writes, and goes on', async () => {
  const database = await demo();
  const run = startCli(configFor(database, `${DEMO}\nnum_iterations: -1`));
  await busy(database);
  const end = () =>
    database.client.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ '^eventgen/[0-9a-f]+/[0-9]+$'",
    );
  await database.client.query(`ALTER DATABASE ${database.name} SET default_transaction_read_only = on`);
  await end();
  await wait(1500);
  const during = await count(database, 'eg_users');
  await wait(500);
  expect(await count(database, 'eg_users')).toBe(during);
  await database.client.query(`ALTER DATABASE ${database.name} RESET default_transaction_read_only`);
  await busy(database);
  run.kill('SIGTERM');
  const { code, summary } = await run.ended;
  expect(code).toBe(0);
  expect(summary.totals).toMatchObject({ rejected: 0, failed: 0, in_doubt_unknown: 0 });
  await expectExactCounts(database, summary);
});

it('takes sessions that become read-only under way for lost ones', async () => {
  const database = await demo();
  // As a fail-over does it: the answer to a statement is that the server takes no writes.
  await database.client.query(`CREATE TABLE gate (shut bool); INSERT INTO gate VALUES (false);
    CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF (SELECT shut FROM public.gate) THEN RAISE EXCEPTION 'read-only' USING ERRCODE = '25006'; END IF; RETURN NULL; END $$;
    CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON eg_users EXECUTE FUNCTION guard()`);
  const run = startCli(configFor(database, `${DEMO}\nnum_iterations: -1`));
  await busy(database);
  await database.client.query('UPDATE gate SET shut = true');
  await wait(1000);
  await database.client.query('UPDATE gate SET shut = false');
  await busy(database);
  run.kill('SIGTERM');
  const { code, summary } = await run.ended;
  expect(code).toBe(0);
  expect(summary.totals).toMatchObject({ rejected: 0, failed: 0, in_doubt_unknown: 0 });
  expect(summary.totals['reconnects']).toBeGreaterThan(0);
  await expectExactCounts(database, summary);
});

it('a load waits as well while the server takes no writes', async () => {
  const database = await demo();
  await database.client.query(`CREATE TABLE gate (shut bool); INSERT INTO gate VALUES (true); CREATE SEQUENCE refusals;
    CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF (SELECT shut FROM public.gate) THEN PERFORM nextval('public.refusals'); RAISE EXCEPTION 'read-only' USING ERRCODE = '25006'; END IF; RETURN NULL; END $$;
    CREATE TRIGGER guard BEFORE INSERT ON eg_users EXECUTE FUNCTION guard()`);
  const file = path.join(folder, 'load.yaml');
  writeFileSync(file, configFor(database, `${DEMO}\nrehearse: false`));
  const child = spawn(process.execPath, [CLI, 'load', '-c', file, '--rows', '2000'], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const hasRefused = async () =>
    (await database.client.query<{ is_called: boolean }>('SELECT is_called FROM refusals')).rows[0]!.is_called;
  await expect.poll(hasRefused, { timeout: 30_000 }).toBe(true);
  expect(await count(database, 'eg_users')).toBe(1000);
  await database.client.query('UPDATE gate SET shut = false');
  expect(await ended).toBe(0);
  for (const table of TABLES) expect(await count(database, table)).toBe(2000);
});

it('waits at the start for a database that is not there yet, and says for what', async () => {
  const database = await demo();
  const gate = net.createServer((client) => {
    const server = net.connect(database.port, '127.0.0.1');
    client.pipe(server).pipe(client);
    for (const socket of [client, server]) socket.on('error', () => socket.destroy());
  });
  const port = await new Promise<number>((resolve) => {
    const probe = net.createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = probe.address() as net.AddressInfo;
      probe.close(() => resolve(free));
    });
  });
  const run = startCli(configFor({ ...database, port }, `${DEMO}\nnum_iterations: 200`));
  await run.saw('waiting for the database, 60 s at most');
  await new Promise<void>((resolve) => gate.listen(port, '127.0.0.1', resolve));
  const { code, summary } = await run.ended;
  expect(code).toBe(0);
  expect(summary.totals['committed']).toBe(200);
  await new Promise((resolve) => gate.close(resolve));
});

it('a signal ends the wait for a database', async () => {
  const run = startCli('connection: { host: 127.0.0.1, port: 1, database: d, user: u }\nmetrics: { enabled: false }\n');
  await run.saw('waiting for the database');
  run.kill('SIGTERM');
  const { code, stderr } = await run.ended;
  expect(code).toBe(0);
  expect(stderr).toContain('stopped by SIGTERM before the first write');
});

it.each([
  ['hosts: ["127.0.0.1:1", "127.0.0.1:PORT"]', 'a list'],
  ['host: "127.0.0.1:1,127.0.0.1:PORT"', 'a text'],
  ['url: "postgresql://postgres@127.0.0.1:1,127.0.0.1:PORT/NAME?target_session_attrs=primary"', 'a URL'],
])('of several hosts takes the first that will do: %s', async (hosts) => {
  const database = await demo();
  const where = hosts.replace('PORT', String(database.port)).replace('NAME', database.name);
  const rest = where.startsWith('url') ? '' : `, database: ${database.name}, user: postgres`;
  const { code, summary, stderr } = await runCli(
    `connection: { ${where}${rest} }\ngenerator: { manual_table_list: [eg_users], num_iterations: 100, random_seed: 1 }\nmetrics: { enabled: false }\n`,
  );
  expect(stderr).not.toContain('error:');
  expect(code).toBe(0);
  expect(summary.totals['committed']).toBe(100);
});

it('of several hosts takes none that takes no writes, and says why', async () => {
  const database = await demo();
  await database.client.query(`ALTER DATABASE ${database.name} SET default_transaction_read_only = on`);
  const { code, stderr } = await runCli(
    `connection: { hosts: ["127.0.0.1:1", "127.0.0.1:${database.port}"], database: ${database.name}, user: postgres }\ngenerator: { max_outage_seconds: 0 }\nmetrics: { enabled: false }\n`,
  );
  expect(code).toBe(3);
  expect(stderr).toContain(`127.0.0.1:${database.port} is read-only`);
  await database.client.query(`ALTER DATABASE ${database.name} RESET default_transaction_read_only`);
});

/** Lets statements on eg_users wait for as long as somebody holds a lock that is none of a table's. */
async function holdUp(database: Database): Promise<void> {
  await database.client.query(`CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END $$;
    CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON eg_users EXECUTE FUNCTION guard()`);
}

/** Waits until a statement of the run waits for a lock: a stop before that has nothing to wait for. */
async function blocked(database: Database): Promise<void> {
  for (let look = 0; ; look++) {
    const { rows } = await database.client.query<{ waiting: number }>(
      `SELECT count(*)::int AS waiting FROM pg_stat_activity
       WHERE datname = current_database() AND application_name LIKE 'eventgen/%' AND wait_event_type = 'Lock'`,
    );
    if (rows[0]!.waiting > 0) return;
    if (look > 2000) throw new Error('no statement waits');
    await wait(20);
  }
}

it('a stop has an end although statements wait for others, with exact counts', async () => {
  const database = await demo();
  await holdUp(database);
  const run = startCli(
    configFor(
      database,
      `${DEMO}\nnum_iterations: -1\ntimeouts: { stop: 1s, lock: 60s }\nerror_budget: { max_error_ratio: 1 }`,
    ),
  );
  await busy(database);
  const holder = await connectTo(database.port, database.name);
  await holder.query('SELECT pg_advisory_lock(1)');
  await blocked(database);
  run.kill('SIGTERM');
  const { code, summary, stderr } = await run.ended;
  expect(code).toBe(0);
  expect(stderr).toContain('did not finish within 1 s (generator.timeouts.stop) and are being cancelled');
  await holder.end();
  expect(summary.totals['in_doubt_unknown']).toBe(0);
  expect(summary.totals['failed']).toBeGreaterThan(0);
  expect(summary.reproducible_because).toEqual(['operations in flight were cancelled after timeouts.stop']);
  await expectExactCounts(database, summary);
});

it('a table that others have locked does not stop the others', async () => {
  const database = await demo();
  await database.client.query('CREATE TABLE apart (id int PRIMARY KEY, note text)');
  const settings = 'manual_table_list: [eg_users, eg_orders, apart]\nrandom_seed: 5\nnum_iterations: -1\nworkers: 2';
  const run = startCli(configFor(database, settings));
  await busy(database);
  const locker = await connectTo(database.port, database.name);
  await locker.query("SET application_name = 'migration'; BEGIN; LOCK TABLE eg_users");
  await run.saw('public.eg_users is locked by another session');
  await wait(1000);
  const before = await count(database, 'apart');
  await wait(2000);
  expect(await count(database, 'apart')).toBeGreaterThan(before + 100);
  await locker.query('ROLLBACK');
  await locker.end();
  await run.saw('no longer locked after');
  await busy(database);
  run.kill('SIGTERM');
  const { code, summary, stderr } = await run.ended;
  expect(code).toBe(0);
  expect(stderr).toMatch(/"migration"\); operations that need it are skipped until the lock is released/);
  expect(stderr.match(/is locked by/g)).toHaveLength(1);
  const { operations, committed, skipped } = summary.totals;
  expect(summary.totals).toMatchObject({ rejected: 0, failed: 0, in_doubt_unknown: 0 });
  expect(skipped).toBeGreaterThan(10);
  expect(committed! + skipped!).toBe(operations);
  expect(summary.tables['public.eg_users']!.skipped).toBeGreaterThan(0);
  expect(summary.tables['public.apart']!.skipped).toBe(0);
  expect(summary.reproducible).toBe(false);
  await expectExactCounts(database, summary);
});

it('a table without room on the disk does not stop the others', async () => {
  const database = await demo();
  // As a full tablespace answers.
  await database.client.query(`CREATE TABLE gate (shut bool); INSERT INTO gate VALUES (false);
    CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF (SELECT shut FROM public.gate) THEN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END IF; RETURN NULL; END $$;
    CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON eg_orders EXECUTE FUNCTION guard()`);
  const run = startCli(configFor(database, `${DEMO}\nnum_iterations: -1`));
  await busy(database);
  await database.client.query('UPDATE gate SET shut = true');
  await run.saw("public.eg_orders: the server's disk is full");
  await busy(database);
  await database.client.query('UPDATE gate SET shut = false');
  await run.saw('the disk has room again');
  run.kill('SIGTERM');
  const { code, summary } = await run.ended;
  expect(code).toBe(0);
  expect(summary.totals).toMatchObject({ rejected: 0, failed: 0 });
  expect(summary.tables['public.eg_orders']!.skipped).toBeGreaterThan(10);
  expect(summary.tables['public.eg_users']!.skipped).toBe(0);
  await expectExactCounts(database, summary);
});

it('the end of a schedule has an end although statements wait for others', async () => {
  const database = await demo();
  await holdUp(database);
  const settings = `${DEMO}\nnum_iterations: -1\ntimeouts: { stop: 1s, lock: 60s }\nerror_budget: { max_error_ratio: 1 }`;
  const holder = await connectTo(database.port, database.name);
  const run = startCli(configFor(database, settings, 'traffic: { rate: 200, duration: 5s }\n'));
  await busy(database, 20);
  await holder.query('SELECT pg_advisory_lock(1)');
  const { code, summary, stderr } = await run.ended;
  expect(code).toBe(0);
  expect(stderr).toContain('did not finish within 1 s');
  await holder.end();
  expect(summary.exit.reason).toBe('duration reached');
  await expectExactCounts(database, summary);
});

it('lanes that are connected work on a schedule, although another one cannot connect', async () => {
  const database = await demo();
  const role = `few_${database.name}`;
  await database.client.query(
    `CREATE ROLE ${role} LOGIN CONNECTION LIMIT 3; GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role}; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO ${role}`,
  );
  const yaml = configFor(database, `${DEMO}\nnum_iterations: -1`, 'traffic: { rate: 100, duration: 5s }\n');
  const { code, summary } = await runCli(yaml.replace('user: postgres', `user: ${role}`));
  expect(code).toBe(0);
  expect(summary.totals['committed']).toBeGreaterThan(300);
  expect(summary.totals['dropped']).toBeGreaterThan(50);
  await expectExactCounts(database, summary);
  await database.client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
});

it.each(['--summary', '--report', '--plan-out'])(
  'finds out before the first write that a file cannot be written: %s',
  async (option) => {
    const database = await demo();
    const before = await count(database, 'eg_users');
    const { code, stderr } = await runCli(configFor(database, `${DEMO}\nnum_iterations: 100`), [
      option,
      path.join(folder, 'nowhere', 'file'),
    ]);
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`error: ${option}: .*nowhere.file cannot be written: ENOENT`));
    expect(await count(database, 'eg_users')).toBe(before);
  },
);

it('writes the summary through a link, in the place of the old one at once', async () => {
  const database = await demo();
  const [file, link] = [path.join(folder, 'real.json'), path.join(folder, 'link.json')];
  writeFileSync(file, 'old');
  symlinkSync(file, link);
  const { code } = await runCli(configFor(database, `${DEMO}\nnum_iterations: 50`), ['--summary', link]);
  expect(code).toBe(0);
  expect((JSON.parse(readFileSync(file, 'utf8')) as Summary).totals['operations']).toBe(50);
});

it('goes on when nobody reads what it prints any more', async () => {
  const database = await demo();
  const [config, file] = [path.join(folder, 'closed.yaml'), path.join(folder, 'closed.json')];
  writeFileSync(config, configFor(database, `${DEMO}\nnum_iterations: 3000`));
  const child = spawn(process.execPath, [CLI, 'run', '-c', config, '--summary', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.destroy();
  child.stderr.once('data', () => child.stderr.destroy());
  const code = await new Promise((resolve) => child.once('exit', resolve));
  expect(code).toBe(0);
  const summary = JSON.parse(readFileSync(file, 'utf8')) as Summary;
  expect(summary.totals['operations']).toBe(3000);
  await expectExactCounts(database, summary);
});

it.each([
  ['SIGQUIT', 131],
  ['SIGHUP', 0],
] as const)('%s leaves a summary', async (signal, expected) => {
  const database = await demo();
  const run = startCli(configFor(database, `${DEMO}\nnum_iterations: -1`));
  await busy(database);
  run.kill(signal);
  const { code, summary } = await run.ended;
  expect(code).toBe(expected);
  expect(summary.exit.code).toBe(expected);
  expect(summary.totals['operations']).toBeGreaterThan(100);
  // What was in flight is not known where it was ended by force.
  const { rows_expected: rows } = summary.tables['public.eg_users']!;
  expect(rows).toBe(expected === 0 ? await count(database, 'eg_users') : null);
});
