import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Capture, type CaptureFacts, type CaptureOptions, factsFileOf } from '../../src/changes/capture.js';
import { captured, type EventOptions, PLAIN, verifyEvents } from '../../src/commands/verify/events.js';
import { recorded, verifyExpected } from '../../src/commands/verify/history.js';
import { type Cluster, startCluster } from '../../src/server/cluster.js';
import { createDemo } from '../../src/server/demo.js';
import { startStandby } from '../../src/server/replica.js';
import { CLI, configFor, connectTo, createDatabase, type Database, runCommand, startCli } from '../server/database.js';
import { startProxy } from '../server/proxy.js';

const PROGRAMS = '/usr/lib/postgresql/15/bin';

/* Connections that are cut: each costs a lane a reconnection, and the run must come to its end. */
const MOST_LOST = 9;

let cluster: Cluster;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'eventgen-capture-'));
  // Little memory for decoding: large transactions are streamed before their end.
  cluster = await startCluster({ settings: ['logical_decoding_work_mem = 64kB', 'max_replication_slots = 4'] });
});

afterAll(async () => {
  await cluster?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function optionsFor(events: string, more: Partial<EventOptions> = {}): EventOptions {
  return {
    events,
    ...PLAIN,
    folder,
    ...more,
  };
}

async function demo(): Promise<Database> {
  const database = await createDatabase('SELECT', cluster.settings.port);
  await createDemo(database.client);
  return database;
}

function open(database: Database, file: string, more: Partial<CaptureOptions> = {}): Promise<Capture> {
  return Capture.open({
    connection: { ...cluster.settings, database: database.name },
    runId: path.basename(file, '.jsonl'),
    file,
    schemas: ['public'],
    tables: [],
    connectTimeoutMs: 5000,
    statementTimeoutMs: 20_000,
    lockTimeoutMs: 5000,
    maxOutageMs: 20_000,
    report: () => undefined,
    ...more,
  });
}

async function leftOnServer(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ left: number }>(
    `SELECT ((SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'eventgen%' AND database = current_database())
           + (SELECT count(*) FROM pg_publication WHERE pubname LIKE 'eventgen%'))::int AS left`,
  );
  return rows[0]!.left;
}

function linesOf(file: string): Record<string, unknown>[] {
  const texts = readFileSync(file, 'utf8').split('\n');
  return texts.filter((text) => text !== '').map((text) => JSON.parse(text) as Record<string, unknown>);
}

/** Ends whoever reads the slot of a capture; the capture connects again. */
async function killReaders(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ ended: string }>(
    `SELECT count(pg_terminate_backend(active_pid)) AS ended FROM pg_replication_slots
     WHERE slot_name LIKE 'eventgen%' AND database = current_database() AND active_pid IS NOT NULL`,
  );
  return Number(rows[0]!.ended);
}

describe('a capture beside a run', () => {
  it('equals its history, event by event, over cut connections, killed readers and a crash of the server', async () => {
    const database = await demo();
    await database.client.query(
      'CREATE TABLE marks (at timestamptz, who text); CREATE TABLE tags (a int, b int, note text, PRIMARY KEY (a, b)); ALTER TABLE marks REPLICA IDENTITY FULL',
    );
    const proxy = await startProxy(cluster.settings.port);
    const [capture, history] = [path.join(folder, 'faults.jsonl'), path.join(folder, 'faults.history')];
    const config = configFor(
      { ...database, port: proxy.port },
      `manual_table_list: [eg_users, eg_orders, marks, tags]\nrandom_seed: 9\nnum_iterations: 4000\n` +
        'transaction: { statements: 3, savepoint_ratio: 0.2, rollback_ratio: 0.1 }',
      // The rate makes the run last longer than its faults take, however fast the machine is.
      'traffic: { rate: 600 }',
    );
    const run = startCli(config, ['--capture', capture, '--history', history]);
    let isOver = false;
    void run.ended.then(() => {
      isOver = true;
    });
    let [killed, lost] = [0, 0];
    while (!isOver) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      if (lost === MOST_LOST) continue;
      if (await proxy.loseAnswers()) lost++;
      if (lost % 3 === 0) killed += await killReaders(database.client).catch(() => 0);
      if (lost === 6) {
        // A backend that is killed takes all of the server's sessions along.
        const { rows } = await database.client.query<{ pid: number }>(
          "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'eventgen/%' AND state = 'active' AND pid <> pg_backend_pid() LIMIT 1",
        );
        if (rows[0] !== undefined) process.kill(rows[0].pid, 'SIGKILL');
        await database.client.end().catch(() => undefined);
        await reconnect(database);
        lost++;
      }
    }
    const { code, summary, stderr } = await run.ended;
    await proxy.close();
    expect(stderr).not.toContain('error:');
    expect(code).toBe(0);
    expect([killed > 0, lost > 3]).toEqual([true, true]);
    const { insert, update, delete: deleted } = summary.events;
    const facts = JSON.parse(readFileSync(factsFileOf(capture), 'utf8')) as CaptureFacts;
    expect(facts.complete).toBe(true);
    const sum = (kind: 'insert' | 'update' | 'delete') =>
      Object.values(facts.events).reduce((total, counts) => total + counts[kind], 0);
    expect([sum('insert'), sum('update'), sum('delete')]).toEqual([insert, update, deleted]);
    const verdict = await verifyEvents(recorded(history, true), optionsFor(capture));
    expect(verdict.differences).toEqual([]);
    expect(verdict.headline).toBe(`Equal: all ${linesOf(capture).length} changes arrived as they were made.`);
    const target = `postgresql://postgres@127.0.0.1:${cluster.settings.port}/${database.name}`;
    const left = await verifyExpected(history, { target, folder, isStrict: false, renamed: new Map() }, {});
    expect(left.verdict).toBe('equal');
    expect(await leftOnServer(database.client)).toBe(0);
    await database.client.end();

    // Who made a change that a consumer has lost or spoiled, the history tells beside the capture as it does alone.
    const spoiled = path.join(folder, 'spoiled.jsonl');
    const events = linesOf(capture);
    const isOf = (table: string, op: string) => (each: Record<string, unknown>) =>
      each['table'] === table && each['op'] === op;
    const [dropped, changed] = [
      events.findLastIndex(isOf('eg_users', 'update')),
      events.findLastIndex(isOf('tags', 'insert')),
    ];
    events[changed] = { ...events[changed], new: { ...(events[changed]!['new'] as object), note: 'spoiled' } };
    events.splice(dropped, 1);
    writeFileSync(spoiled, events.map((each) => `${JSON.stringify(each)}\n`).join(''));
    const judge = async (...truth: string[]) => {
      const { code: found, stdout } = await runCommand([
        'verify',
        '--events',
        spoiled,
        ...truth,
        '--order',
        'key',
        '--json',
      ]);
      expect(found).toBe(4);
      const { differences } = JSON.parse(stdout) as { differences: Record<string, unknown>[] };
      return Object.fromEntries(
        differences.map((each) => [`${each['class']} ${each['table']} ${each['key']}`, each['origin']]),
      );
    };
    const alone = await judge('--history', history);
    expect(
      Object.keys(alone)
        .map((name) => name.split(' {')[0])
        .sort(),
    ).toEqual(['lost public.eg_users', 'wrong_value public.tags']);
    expect(await judge('--against', capture, '--history', history)).toEqual(alone);
    expect(Object.values(await judge('--against', capture))).toEqual([null, null]);
  });

  it('reads from the server that takes writes, where several are given', async () => {
    const database = await demo();
    const standby = await startStandby(cluster);
    try {
      const hosts = [standby.settings.port, database.port].map((port) => `"127.0.0.1:${port}"`).join(', ');
      const config = configFor(database, 'manual_table_list: [eg_users]\nrandom_seed: 3\nnum_iterations: 300');
      const capture = path.join(folder, 'hosts.jsonl');
      const run = startCli(config.replace(`host: 127.0.0.1, port: ${database.port}`, `hosts: [${hosts}]`), [
        '--capture',
        capture,
      ]);
      const { code, summary } = await run.ended;
      expect(code).toBe(0);
      const { complete, events } = JSON.parse(readFileSync(factsFileOf(capture), 'utf8')) as CaptureFacts;
      expect({ complete, inserted: events['public.eg_users']!.insert }).toEqual({
        complete: true,
        inserted: summary.events.insert,
      });
    } finally {
      await standby.stop();
      await database.drop();
    }
  });

  it('finds a row that was changed behind the back of a run, by its history alone', async () => {
    const database = await demo();
    const history = path.join(folder, 'expected.history');
    const config = configFor(database, 'manual_table_list: [eg_users, eg_orders]\nrandom_seed: 3\nnum_iterations: 500');
    const { code } = await startCli(config, ['--history', history]).ended;
    expect(code).toBe(0);
    const target = `postgresql://postgres@127.0.0.1:${cluster.settings.port}/${database.name}`;
    const verify = () => runCommand(['verify', '--expected', '--history', history, '--target', target, '--json']);
    expect(await verify()).toMatchObject({ code: 0 });
    await database.client.query('BEGIN; SET LOCAL session_replication_role = replica');
    const { rows } = await database.client.query<{ id: string }>('SELECT max(id) AS id, min(id) FROM eg_users');
    await database.client.query(`UPDATE eg_users SET full_name = 'somebody else' WHERE id = ${rows[0]!.id}`);
    await database.client.query('DELETE FROM eg_orders WHERE id = (SELECT max(id) FROM eg_orders)');
    await database.client.query('COMMIT');
    const { code: after, stdout } = await verify();
    expect(after).toBe(4);
    const { differences } = JSON.parse(stdout) as { differences: Record<string, unknown>[] };
    expect(differences.map((each) => each['class']).sort()).toEqual(['lost', 'wrong_value']);
    expect(differences.every((each) => /^\d+:\d+$/.test(String(each['origin'])))).toBe(true);
    const [lane, number] = String(differences[0]!['origin']).split(':');
    const { stdout: explained } = await runCommand(['run', '--explain', `${lane}:${number}`, '--history', history]);
    expect(explained).toContain(`lane ${lane}, operation ${number}: `);
    await database.drop();
  });

  it('of a run that was killed the history still tells what is known, and the rest is in doubt', async () => {
    const database = await demo();
    const [events, history] = [path.join(folder, 'killed.jsonl'), path.join(folder, 'killed.history')];
    const capture = await open(database, events);
    const run = startCli(
      configFor(database, 'manual_table_list: [eg_users, eg_orders]\nrandom_seed: 3\nnum_iterations: -1'),
      ['--history', history],
    );
    while (!existsSync(history) || readFileSync(history, 'utf8').split('\n').length < 4)
      await new Promise((resolve) => setTimeout(resolve, 100));
    run.kill('SIGKILL');
    await run.ended;
    // As a write that the kill has cut off.
    writeFileSync(history, '[3,"r",77', { flag: 'a' });
    await new Promise((resolve) => setTimeout(resolve, 500));
    await capture.end();
    const verdict = await verifyEvents(recorded(history, true), optionsFor(events));
    expect(verdict.differences).toEqual([]);
    expect(verdict.headline).toMatch(/^Not decided: the history ends in the middle of the run/);
    // What the run did after its last record is no fault of the database.
    const target = `postgresql://postgres@127.0.0.1:${database.port}/${database.name}`;
    const expected = { target, folder, isStrict: false, renamed: new Map<string, string>() };
    const left = await verifyExpected(history, expected, {});
    expect(left.differences).toEqual([]);
    expect(left.headline).toMatch(/^Not decided: the history ends in the middle of the run/);
    expect((await runCommand(['history', history])).stdout).toContain('the run was killed, or is still running');
    await database.drop();
  });
});

/** A new session on a database whose server has crashed. */
async function reconnect(database: Database): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    try {
      Object.assign(database, { client: await connectTo(database.port, database.name) });
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

describe('a capture', () => {
  it('holds large transactions whole, without what was rolled back, whoever cuts the stream', async () => {
    const database = await createDatabase('CREATE TABLE t (id int PRIMARY KEY, v text)', cluster.settings.port);
    const file = path.join(folder, 'large.jsonl');
    const capture = await open(database, file);
    const second = await connectTo(cluster.settings.port, database.name);
    const third = await connectTo(cluster.settings.port, database.name);
    const insert = (client: pg.Client, from: number, count: number) =>
      client.query(`INSERT INTO t SELECT g, repeat('x', 50) FROM generate_series(${from}, ${from + count - 1}) g`);
    await second.query('BEGIN');
    await third.query('BEGIN');
    await insert(second, 1, 3000);
    await insert(third, 100_000, 3000);
    await second.query('SAVEPOINT a');
    await insert(second, 10_000, 3000);
    await second.query('SAVEPOINT b');
    await insert(second, 20_000, 3000);
    await second.query('ROLLBACK TO SAVEPOINT a');
    await insert(second, 30_000, 10);
    await insert(database.client, 200_000, 5);
    expect(await killReaders(database.client)).toBe(1);
    await insert(second, 40_000, 3000);
    await second.query('COMMIT');
    await third.query('ROLLBACK');
    await database.client.query('UPDATE t SET id = -id WHERE id < 10; TRUNCATE t');
    const facts = await capture.end();
    expect(facts).toMatchObject({ complete: true, events: { 'public.t': { insert: 6015, update: 9, truncate: 1 } } });
    const lines = linesOf(file);
    const numbers = lines.filter(({ op }) => op === 'insert').map(({ new: row }) => Number((row as { id: string }).id));
    expect(numbers).toHaveLength(6015);
    expect(new Set(numbers).size).toBe(6015);
    expect(numbers.some((number) => number >= 10_000 && number < 30_000)).toBe(false);
    // Positions grow from transaction to transaction, numbers within one.
    const positions = lines.map(({ commit }) =>
      String(commit)
        .split('/')
        .map((part) => Number.parseInt(part, 16)),
    );
    for (const [index, [high, low]] of positions.entries()) {
      const [beforeHigh, beforeLow] = positions[index - 1] ?? [0, 0];
      expect(high! * 2 ** 32 + low!).toBeGreaterThanOrEqual(beforeHigh! * 2 ** 32 + beforeLow!);
      const isFirst = lines[index - 1]?.['commit'] !== lines[index]!['commit'];
      expect(lines[index]!['seq']).toBe(isFirst ? 1 : Number(lines[index - 1]!['seq']) + 1);
    }
    // Nothing is left beside the file.
    expect(readdirSync(folder).filter((name) => name.startsWith('large'))).toEqual([
      'large.jsonl',
      'large.jsonl.meta.json',
    ]);
    expect(await leftOnServer(database.client)).toBe(0);
    for (const client of [second, third]) await client.end();
    await database.drop();
  });

  it('leaves the updates of a table without a replica identity alone, and says what it does not see', async () => {
    const database = await createDatabase(
      `CREATE TABLE plain (v text); CREATE TABLE whole (v text); ALTER TABLE whole REPLICA IDENTITY FULL; CREATE UNLOGGED TABLE fast (id int PRIMARY KEY);
       CREATE TABLE late (id int PRIMARY KEY DEFERRABLE, v text); CREATE TABLE keyed (id int PRIMARY KEY, v text);
       CREATE TABLE child () INHERITS (keyed)`,
      cluster.settings.port,
    );
    const file = path.join(folder, 'identity.jsonl');
    const capture = await open(database, file);
    const tables = ['plain', 'whole', 'late', 'keyed'];
    for (const table of tables)
      await database.client.query(
        `INSERT INTO ${table} (${table === 'plain' || table === 'whole' ? 'v' : 'id, v'}) VALUES (${table === 'plain' || table === 'whole' ? "'1'" : "1, '1'"});
         UPDATE ${table} SET v = '2'; DELETE FROM ${table}`,
      );
    // A child has none of its parent's keys: what is published of the one must not hold for the other.
    await database.client.query("INSERT INTO child VALUES (2, 'x'); UPDATE child SET v = 'y'; DELETE FROM child");
    const facts = await capture.end();
    expect(facts.not_covered.map(({ table, operations }) => `${table}: ${operations}`)).toEqual([
      'public.child: update, delete',
      'public.fast: all',
      'public.late: update, delete',
      'public.plain: update, delete',
    ]);
    const told = linesOf(file).map(({ table, op }) => `${String(table)} ${String(op)}`);
    expect(told).toEqual(
      ['plain insert', 'whole insert', 'whole update', 'whole delete', 'late insert'].concat(
        ['insert', 'update', 'delete'].map((op) => `keyed ${op}`),
        'child insert',
      ),
    );
    await database.drop();
  });

  it('says what the server or a privilege lacks, and leaves nothing behind', async () => {
    const database = await createDatabase('CREATE TABLE t (id int PRIMARY KEY)', cluster.settings.port);
    await database.client.query('CREATE ROLE plain_user LOGIN; GRANT CREATE ON SCHEMA public TO plain_user');
    const settings = { ...cluster.settings, database: database.name };
    await expect(
      open(database, path.join(folder, 'x.jsonl'), { connection: { ...settings, user: 'plain_user' } }),
    ).rejects.toThrow(/needs the REPLICATION attribute/);
    await expect(open(database, path.join(folder, 'x.jsonl'), { schemas: ['nowhere'] })).rejects.toThrow(
      /schema nowhere has no table that can be captured/,
    );
    await database.client.query('DROP OWNED BY plain_user; DROP ROLE plain_user');
    // A slot waits for whoever has a transaction open.
    const other = await connectTo(cluster.settings.port, database.name);
    await other.query('BEGIN; SELECT pg_current_xact_id()');
    await expect(open(database, path.join(folder, 'x.jsonl'), { statementTimeoutMs: 500 })).rejects.toThrow(
      /a slot waits for all open transactions/,
    );
    await other.end();
    expect(await leftOnServer(database.client)).toBe(0);
    await database.drop();
    const replica = await startCluster({ settings: ['wal_level = replica'] });
    const onReplica = await createDatabase('CREATE TABLE t (id int PRIMARY KEY)', replica.settings.port);
    const { code, stderr } = await startCli(configFor(onReplica, 'num_iterations: 5'), [
      '--capture',
      path.join(folder, 'x.jsonl'),
    ]).ended;
    expect([code, stderr]).toEqual([1, expect.stringContaining('set wal_level = logical in postgresql.conf')]);
    await replica.stop();
  });

  it('leaves another one of the same name alone, and of shards the first one captures', async () => {
    const database = await demo();
    const file = path.join(folder, 'same-name.jsonl');
    const first = await open(database, file);
    await expect(open(database, path.join(folder, 'other', '..', 'same-name.jsonl'))).rejects.toThrow('already exists');
    expect(await leftOnServer(database.client)).toBe(2);
    await database.client.query('UPDATE eg_users SET active = active WHERE id <= 7');
    expect(await first.end()).toMatchObject({ complete: true, events: { 'public.eg_users': { update: 7 } } });

    const shard = (index: number) =>
      startCli(configFor(database, 'random_seed: 4\nnum_iterations: 300\nconnections: 2'), [
        ...['--shard', `${index}/2`, '--run-id', 'captured-shards'],
        ...['--capture', path.join(folder, `shard-${index}.jsonl`)],
      ]);
    const ends = await Promise.all([1, 2].map((index) => shard(index).ended));
    expect(ends.map(({ code, stderr }) => ({ code, stderr: code === 0 ? '' : stderr }))).toEqual(
      Array(2).fill({ code: 0, stderr: '' }),
    );
    expect(ends[1]!.stderr).toContain('shard 1 captures the changes of all shards');
    expect(existsSync(path.join(folder, 'shard-2.jsonl'))).toBe(false);
    const { events } = JSON.parse(
      readFileSync(factsFileOf(path.join(folder, 'shard-1.jsonl')), 'utf8'),
    ) as CaptureFacts;
    const inserted = Object.values(events).reduce((sum, { insert }) => sum + insert, 0);
    expect(inserted).toBe(ends.reduce((sum, { summary }) => sum + summary.events.insert, 0));
    await database.drop();
  });

  it('ends by itself where its slot is gone, and is not taken for complete, nor is one that was killed', async () => {
    const database = await createDatabase('CREATE TABLE t (id int PRIMARY KEY)', cluster.settings.port);
    const file = path.join(folder, 'gone.jsonl');
    const capture = await open(database, file);
    await database.client.query('INSERT INTO t VALUES (1)');
    const facts = () => JSON.parse(readFileSync(factsFileOf(file), 'utf8')) as CaptureFacts;
    // What stands there until it has ended.
    expect(facts()).toMatchObject({ complete: false, reason: 'it was killed, or is still running' });
    await killReaders(database.client);
    for (let tries = 0; tries < 100 && capture.failed === null; tries++) {
      await database.client
        .query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'eventgen_gone'")
        .catch(() => killReaders(database.client));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(capture.failed).toMatch(/does not exist/);
    expect(await capture.end()).toMatchObject({ complete: false, reason: expect.stringMatching(/does not exist/) });
    expect((await captured(file)).undecided.join()).toContain('the capture is incomplete');
    await database.drop();
  });

  it('of its own command, killed: the next one names the slot, and drops it where that is asked for', async () => {
    const database = await createDatabase('CREATE TABLE t (id int PRIMARY KEY)', cluster.settings.port);
    const config = path.join(folder, 'capture.yaml');
    writeFileSync(config, configFor(database, 'num_iterations: 1'));
    const file = path.join(folder, 'own.jsonl');
    const child = spawn(process.execPath, [CLI, 'capture', '-c', config, '--out', file]);
    let stderr = '';
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    while (!stderr.includes('capturing to')) await new Promise((resolve) => setTimeout(resolve, 50));
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    while ((await killReaders(database.client)) > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    const again = ['capture', '-c', config, '--out', file, '--duration', '1s'];
    const named = await runCommand(again);
    expect([named.code, named.stderr]).toEqual([
      0,
      expect.stringMatching(/an earlier capture left the replication slot eventgen_[0-9a-f]+ behind/),
    ]);
    expect(await leftOnServer(database.client)).toBe(2);
    // As the message says it, without a file to write to.
    expect(named.stderr).toContain('drop it with capture --drop-leftovers');
    const dropped = await runCommand(['capture', '-c', config, '--drop-leftovers']);
    expect(dropped.code).toBe(0);
    expect(await leftOnServer(database.client)).toBe(0);
    expect(await runCommand(['capture', '-c', config])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('--out: is missing'),
    });
    await database.drop();
  });

  it('names what others add to the schema meanwhile', async () => {
    const database = await demo();
    const capture = await open(database, path.join(folder, 'added.jsonl'));
    await database.client.query(
      'CREATE TABLE late (id int PRIMARY KEY); ALTER TABLE eg_users ADD COLUMN extra numeric',
    );
    const facts = await capture.end();
    expect(facts.complete).toBe(true);
    expect(facts.tables['public.eg_users']!.columns).toMatchObject({
      extra: 'numeric',
      full_name: 'character varying(100)',
    });
    expect(facts.not_covered).toContainEqual({
      table: 'public.late',
      operations: 'all',
      reason: 'it was created while the capture was running',
    });
    await database.drop();
  });

  it('is opened on another session where the server ends the one that sets it up', async () => {
    const database = await demo();
    const busy = await connectTo(cluster.settings.port, database.name);
    await busy.query(
      "BEGIN; INSERT INTO eg_users (id, full_name, email) SELECT coalesce(max(id), 0) + 1, 'busy', 'busy' FROM eg_users",
    );
    const file = path.join(folder, 'opened.jsonl');
    const opening = open(database, file);
    // The slot waits for the open transaction.
    for (let ended = 0; ended < 2; ) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const { rows } = await database.client.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'eventgen/opened/capture' AND query LIKE '%pg_create_logical%' AND state = 'active'",
      );
      ended += rows.length;
    }
    await busy.query('COMMIT');
    const capture = await opening;
    await database.client.query("UPDATE eg_users SET full_name = 'seen' WHERE full_name = 'busy'");
    const facts = await capture.end();
    expect([facts.complete, facts.events['public.eg_users']]).toMatchObject([
      true,
      { insert: 0, update: 1, delete: 0 },
    ]);
    const { rows } = await database.client.query(
      "SELECT slot_name::text FROM pg_replication_slots WHERE database = current_database() UNION ALL SELECT pubname::text FROM pg_publication WHERE pubname LIKE 'eventgen_%'",
    );
    expect(rows).toEqual([]);
    await busy.end();
  });

  it('is stopped while its slot waits for the transaction of another', async () => {
    const database = await createDatabase('CREATE TABLE t (id int PRIMARY KEY)', cluster.settings.port);
    const config = path.join(folder, 'stopped.yaml');
    writeFileSync(config, configFor(database, 'num_iterations: 1'));
    const other = await connectTo(database.port, database.name);
    await other.query('BEGIN; INSERT INTO t VALUES (1)');
    const child = spawn(process.execPath, [CLI, 'capture', '-c', config, '--out', path.join(folder, 'stopped.jsonl')]);
    let stderr = '';
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    const waiting = async () => {
      const { rowCount } = await database.client.query(
        "SELECT FROM pg_stat_activity WHERE application_name LIKE 'eventgen/%/capture' AND query LIKE '%slot%' AND state = 'active'",
      );
      return rowCount! > 0;
    };
    for (let tries = 0; !(await waiting()); tries++) {
      expect(tries).toBeLessThan(400);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const startMs = performance.now();
    child.kill('SIGTERM');
    expect(await new Promise((resolve) => child.once('close', resolve)), stderr).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(10_000);
    await other.end();
    expect(await leftOnServer(database.client)).toBe(0);
    await database.drop();
  });
});

const hasWal2json = existsSync(`${PROGRAMS}/../lib/wal2json.so`) && existsSync(`${PROGRAMS}/pg_recvlogical`);

describe.skipIf(!hasWal2json && process.env['CI'] === undefined)(
  'wal2json by pg_recvlogical (Debian: postgresql-15-wal2json)',
  () => {
    it('tells what the capture tells, in both of its formats, but for what JSON has no number for', async () => {
      const server = await startCluster({ programs: PROGRAMS });
      try {
        const database = await createDatabase('SELECT', server.settings.port);
        await createDemo(database.client);
        await trustPlugin(database.client);
        for (const version of [1, 2])
          await database.client.query(`SELECT pg_create_logical_replication_slot('witness_${version}', 'wal2json')`);
        const capture = path.join(folder, 'witness.jsonl');
        const { code } = await startCli(
          configFor(
            database,
            'manual_table_list: [eg_users, eg_orders, eg_types]\nrandom_seed: 4\nnum_iterations: 900\ntransaction: { statements: 2 }',
          ),
          ['--capture', capture],
        ).ended;
        expect(code).toBe(0);
        const { rows } = await database.client.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
        // Something must come behind the position, for the program to see that it has reached it.
        await database.client.query('CREATE TABLE behind (id int)');
        for (const version of [1, 2]) {
          const events = path.join(folder, `witness.${version}`);
          const options = [`format-version=${version}`, 'include-xids=1'].flatMap((option) => ['-o', option]);
          execFileSync(
            `${PROGRAMS}/pg_recvlogical`,
            ['-h', '127.0.0.1', '-p', String(server.settings.port), '-U', 'postgres', '-d', database.name]
              .concat(['-S', `witness_${version}`, '--start', '--no-loop', '-E', rows[0]!.lsn, '-f', events])
              .concat(options),
            { timeout: 60_000 },
          );
          const verdict = await verifyEvents(await captured(capture), optionsFor(events));
          expect(verdict.differences.filter((each) => each.class !== 'wrong_value')).toEqual([]);
          // wal2json writes null for them, and loses them.
          for (const { source } of verdict.differences.flatMap(({ columns }) => columns))
            expect(source).toMatch(/^(NaN|-?Infinity)$/);
          expect(Object.values(verdict.tables).reduce((sum, { matched = 0 }) => sum + matched, 0)).toBeGreaterThan(
            2000,
          );
        }
        await database.client.end();
      } finally {
        await server.stop();
      }
    });
  },
);

/* Of late a server names the plugins that it trusts. */
async function trustPlugin(client: pg.Client): Promise<void> {
  const { rows } = await client.query("SELECT FROM pg_settings WHERE name = 'output_plugin_libraries'");
  if (rows.length > 0) await client.query("ALTER SYSTEM SET output_plugin_libraries = 'pgoutput', 'wal2json'");
  await client.query('SELECT pg_reload_conf()');
  await new Promise((resolve) => setTimeout(resolve, 200));
}

it('a consumer that is killed: what it confirmed before it wrote is found lost, what it wrote before it confirmed doubled', async () => {
  const database = await demo();
  const source = path.join(folder, 'consumed.jsonl');
  const { code } = await startCli(
    configFor(database, 'manual_table_list: [eg_users, eg_orders]\nrandom_seed: 6\nnum_iterations: 600'),
    ['--capture', source],
  ).ended;
  expect(code).toBe(0);
  const consumer = path.join(folder, 'consumer.mjs');
  // Takes events in batches of ten; it is killed in some of them, and begins again behind what it has confirmed.
  writeFileSync(
    consumer,
    `import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
     const [source, out, state, order, kill] = process.argv.slice(2);
     const lines = readFileSync(source, 'utf8').trim().split('\\n');
     let at = existsSync(state) ? Number(readFileSync(state, 'utf8')) : 0;
     while (at < lines.length) {
       const batch = lines.slice(at, at + 10);
       const write = () => appendFileSync(out, batch.map((line) => line + '\\n').join(''));
       const confirm = () => writeFileSync(state, String(at + batch.length));
       const [first, second] = order === 'confirm-first' ? [confirm, write] : [write, confirm];
       first();
       if (at === Number(kill)) process.kill(process.pid, 'SIGKILL');
       second();
       at += batch.length;
     }`,
  );
  const consume = (order: string) => {
    const [out, state] = [path.join(folder, `${order}.out`), path.join(folder, `${order}.state`)];
    for (const kill of ['100', '300', 'never'])
      spawnSync(process.execPath, [consumer, source, out, state, order, kill]);
    return out;
  };
  const lost = await verifyEvents(await captured(source), optionsFor(consume('confirm-first')));
  expect(lost.headline).toMatch(/^Different: 20 lost/);
  const doubled = consume('write-first');
  const exact = await verifyEvents(await captured(source), optionsFor(doubled, { order: 'key' }));
  expect(exact.headline).toMatch(/^Different: 20 doubled/);
  const allowed = await verifyEvents(await captured(source), optionsFor(doubled, { delivery: 'at-least-once' }));
  expect(allowed.headline).toMatch(/^Equal/);
  await database.drop();
});
