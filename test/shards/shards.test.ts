import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { shardedRunId, shardOf } from '../../src/config/shard.js';
import type { Summary } from '../../src/report/summary.js';
import { createDemo } from '../../src/server/demo.js';
import { LOCK_CLASS } from '../../src/shards/lock.js';
import { contentHash, createDatabase, type Database, runCli, runCommand, startCli } from '../server/database.js';

const TABLES = ['public.eg_users', 'public.eg_orders', 'public.eg_types'];
const folder = mkdtempSync(path.join(tmpdir(), 'shards-'));
const databases: Database[] = [];

async function demo(): Promise<Database> {
  const database = await createDatabase('SELECT');
  databases.push(database);
  await createDemo(database.client);
  return database;
}

afterAll(async () => {
  for (const database of databases) await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

const yaml = ({ port, name }: Database, more = '', traffic = '') =>
  `connection: { host: 127.0.0.1, port: ${port}, database: ${name}, user: postgres }
generator: { random_seed: 11, workers: 1, num_iterations: 2400, connections: 7, transaction: { statements: 3, rollback_ratio: 0.1 }, force_conflicts: { enabled: true }${more} }
metrics: { enabled: false }
thresholds: ["response_seconds p99 < 30", "operations_per_second > 1"]
${traffic}`;

const shardOptions = (index: number, of: number, runId: string) => ['--shard', `${index}/${of}`, '--run-id', runId];

/** All shards of a run, to their end; their summaries as files. */
async function shards(config: string, of: number, runId: string) {
  const ran = await Promise.all(
    Array.from({ length: of }, (_, index) => runCli(config, [...shardOptions(index + 1, of, runId), '--quiet'])),
  );
  const files = ran.map(({ summary }, index) => {
    const file = path.join(folder, `${runId}-${index + 1}.json`);
    writeFileSync(file, JSON.stringify(summary));
    return file;
  });
  return { ran, files };
}

function whole(summary: Summary) {
  const { tables, totals, events, transactions, errors, lanes, plan_fingerprint: plan, reproducible } = summary;
  return JSON.stringify({ tables, totals, events, transactions, errors, lanes, plan, reproducible });
}

describe('the shards of a run', () => {
  // A process that gets no processor starts late.
  it('are one run: the same rows, and merged the same counts', { retry: 2 }, async () => {
    const [one, three] = [await demo(), await demo()];
    const alone = await runCli(yaml(one), ['--quiet']);
    expect(alone.code).toBe(0);
    const { ran, files } = await shards(yaml(three), 3, 'equal');
    expect(ran.map(({ code, stderr }) => ({ code, stderr }))).toEqual(ran.map(({ stderr }) => ({ code: 0, stderr })));
    expect(await contentHash(three, TABLES)).toEqual(await contentHash(one, TABLES));
    const file = path.join(folder, 'merged.json');
    const report = path.join(folder, 'merged.html');
    const merged = await runCommand(['merge', ...files, '--summary', file, '--report', report]);
    expect(merged).toMatchObject({ code: 0, stdout: expect.stringContaining('✓ response_seconds p99 < 30') as string });
    expect(whole(JSON.parse(readFileSync(file, 'utf8')) as Summary)).toBe(whole(alone.summary));
    const html = readFileSync(report, 'utf8');
    for (const text of [
      'merged from the summaries of its shards',
      'response_seconds p99 \\u003c 30',
      'public.eg_users',
    ])
      expect(html).toContain(text);
    const starts = ran.map(({ summary }) => Date.parse(summary.started_at));
    expect(Math.max(...starts) - Math.min(...starts)).toBeLessThan(100);

    // Their summaries lie in the database as well.
    const url = `postgresql://postgres@127.0.0.1:${three.port}/${three.name}`;
    const stored = await runCommand(['merge', '--database', url, '--json']);
    expect(whole(JSON.parse(stored.stdout) as Summary)).toBe(whole(alone.summary));

    expect(await runCommand(['merge', ...files.slice(1)])).toMatchObject({
      code: 4,
      stdout: expect.stringContaining('incomplete: the summaries of shards 1 of 3 are missing') as string,
    });
    const refused = async (names: readonly string[], message: string) =>
      expect(await runCommand(['merge', ...names])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(message) as string,
      });
    await refused([files[0]!, files[0]!], 'is shard 1, but so is');
    await refused([], 'expected the summaries of the shards');
    const single = path.join(folder, 'single.json');
    writeFileSync(single, JSON.stringify(alone.summary));
    await refused([files[0]!, single], 'is not the summary of a shard');
    writeFileSync(single, JSON.stringify({ ...ran[1]!.summary, run_id: 'another' }));
    await refused([files[0]!, single], 'belongs to another run (another)');

    // A run that is over is not joined, nor one of another configuration.
    const again = await runCli(yaml(three), shardOptions(2, 3, 'equal'));
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('has finished') as string });
  });

  it('deal the arrivals of a schedule out, each of them once', async () => {
    const database = await demo();
    const traffic =
      'traffic: { rate: 100, duration: 4s, catch_up: all, spikes: [{ rate: 200, duration: 1s, offset: 1s }] }';
    const config = yaml(database, '', traffic)
      .replace('num_iterations: 2400', 'num_iterations: -1')
      .replace('statements: 3', 'statements: 1');
    const { files } = await shards(config, 2, 'dealt');
    const { stdout } = await runCommand(['merge', ...files, '--json']);
    const { totals, rate } = JSON.parse(stdout) as Summary;
    expect(totals).toMatchObject({ operations: 600, dropped: 0 });
    expect(rate.target).toBeCloseTo(600 / 4, 5);
  });

  it('end where one never comes, or is another’s', async () => {
    const database = await demo();
    const config = yaml(database);
    const early = await runCli(config, [...shardOptions(1, 2, 'late'), '--start-timeout', '2s']);
    expect(early).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('shards 2 of 2 did not start within 2 s') as string,
    });
    const other = await runCli(yaml(database, ', insert_rows: 9'), shardOptions(2, 2, 'late'));
    expect(other).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('run late was started with another configuration') as string,
    });
    // One that is told to stop while it waits is not started with, and ends nothing of the others.
    const [waiting, stopped] = [1, 2].map((index) => startCli(config, shardOptions(index, 3, 'stopped')));
    await waiting!.saw('waiting for');
    await stopped!.saw('waiting for');
    stopped!.kill('SIGINT');
    expect((await stopped!.ended).code).toBe(2);
    const third = await runCli(config, [...shardOptions(3, 3, 'stopped'), '--start-timeout', '2s']);
    expect(third).toMatchObject({ code: 3, stderr: expect.stringContaining('shards 2 of 3 did not start') as string });
    waiting!.kill('SIGINT');
    expect((await waiting!.ended).code).toBe(2);
    // It had not begun: a process that is started again takes its place.
    const { ran } = await shards(config, 2, 'late');
    expect(ran.map(({ code }) => code)).toEqual([0, 0]);
  });

  it('stop when their lock is lost to another process, and go on where it is not', async () => {
    const database = await demo();
    const config = yaml(database, '', 'traffic: { rate: 100, duration: 15s }').replace('2400', '-1');
    const [first, second] = [1, 2].map((index) => startCli(config, shardOptions(index, 2, 'fenced')));
    const lanes = async () => {
      const { rows } = await database.client.query<{ n: number }>(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name ~ '^eventgen/fenced/[0-9]+$'",
      );
      return rows[0]!.n;
    };
    for (let tries = 0; (await lanes()) < 7; tries++) {
      expect(tries).toBeLessThan(400);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const cut = (shard: number) =>
      database.client.query(
        `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
           AND classid = ${LOCK_CLASS} AND objid = (hashtext($1)::bigint & 4294967295)::oid`,
        [`fenced/${shard}`],
      );
    // Nobody else wants it: it is held again.
    await cut(1);
    await first!.saw('was acquired again');
    // Another process that is to carry a shard waits for the end of the first, and then goes on where it was.
    const twin = startCli(config, [...shardOptions(2, 2, 'fenced'), '--start-timeout', '30s']);
    await twin.saw('another process is running shard 2');
    await cut(2);
    const ends = await Promise.all([first!.ended, second!.ended, twin.ended]);
    expect(ends[0].code).toBe(0);
    const [, two, three] = ends;
    // Whichever of the two has the lock now: never do both write.
    if (two.code === 0)
      expect(three).toMatchObject({ code: 1, stderr: expect.stringContaining('has finished') as string });
    else {
      expect(two.code).toBe(2);
      expect(two.stderr + two.stdout).toContain('another process took over shard 2');
      expect(three).toMatchObject({
        code: 0,
        stderr: expect.stringContaining('continues where its previous process') as string,
      });
    }
  });

  it('go on where they were when their process was ended, by force or not', async () => {
    const [one, two] = [await demo(), await demo()];
    // Slow enough to last until all has happened, on a fast machine as well.
    const config = (database: Database, traffic = 'traffic: { rate: 800, catch_up: all }') =>
      yaml(database, '', traffic).replace('num_iterations: 2400', 'num_iterations: 12000');
    const planFor = async (yaml: string) => {
      const plan = path.join(folder, 'plan-with-checkpoints.json');
      await runCli(yaml, ['--dry-run', '--plan-out', plan]);
      const decided = JSON.parse(readFileSync(plan, 'utf8')) as { plan: { checkpointEvery: number } };
      // Soon enough for a state to be stored before the process is killed; then the log says what came after it.
      decided.plan.checkpointEvery = 60;
      writeFileSync(plan, JSON.stringify(decided));
      return plan;
    };
    const alone = await runCli(config(one, ''), ['--quiet', '--plan', await planFor(config(one, ''))]);
    expect(alone.code).toBe(0);
    const plan = await planFor(config(two));
    const optionsOf = (index: number) => [...shardOptions(index, 2, 'killed'), '--plan', plan];
    const first = startCli(config(two), optionsOf(1));
    const killed = startCli(config(two), optionsOf(2));
    /** Waits until shard 2 has told its progress again. */
    const told = async () => {
      const at = async () => {
        const { rows } = await two.client.query<{ at: string }>(
          "SELECT told_at::text AS at FROM event_generator.run_progress WHERE run_id = 'killed' AND shard = 2",
        );
        return rows[0]?.at;
      };
      const before = await at().catch(() => undefined);
      for (let tries = 0; (await at().catch(() => undefined)) === before; tries++) {
        expect(tries).toBeLessThan(400);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    await told();
    for (let tries = 0, checkpoints = 0; checkpoints < 3; tries++) {
      expect(tries).toBeLessThan(100);
      await new Promise((resolve) => setTimeout(resolve, 50));
      const { rows } = await two.client.query<{ checkpoints: number }>(
        "SELECT count(*)::int AS checkpoints FROM event_generator.run_checkpoint WHERE run_id = 'killed' AND lane % 2 = 1",
      );
      checkpoints = rows[0]!.checkpoints;
    }
    killed.kill('SIGKILL');
    await killed.ended;
    const drained = startCli(config(two), optionsOf(2));
    await drained.saw('continues where its previous process');
    // What it has taken over, and what it has done itself.
    await told();
    await told();
    drained.kill('SIGTERM');
    expect((await drained.ended).code).toBe(2);
    const last = await runCli(config(two), optionsOf(2));
    expect(last).toMatchObject({ code: 0 });
    expect((await first.ended).code).toBe(0);
    expect(await contentHash(two, TABLES)).toEqual(await contentHash(one, TABLES));
    const url = `postgresql://postgres@127.0.0.1:${two.port}/${two.name}`;
    const merged = JSON.parse((await runCommand(['merge', '--database', url, '--json'])).stdout) as Summary;
    expect(merged.totals.in_doubt_resolved).toBeGreaterThan(0);
    const totals = { ...merged.totals, in_doubt_resolved: 0, reconnects: 0, late: 0 };
    expect(whole({ ...merged, totals })).toBe(whole(alone.summary));
  });

  it('begin again where a lane had given up its log, if that is allowed, and say what is not known', async () => {
    const database = await demo();
    const config = yaml(database, '', 'traffic: { rate: 400, catch_up: all }');
    const options = shardOptions(1, 1, 'inexact');
    const query = (sql: string) => database.client.query<{ n: number }>(sql).then(({ rows }) => rows[0]?.n ?? 0);
    const toldOperations = () =>
      query("SELECT length(counters) AS n FROM event_generator.run_progress WHERE run_id = 'inexact'").catch(() => 0);
    const killed = startCli(config, options);
    for (let tries = 0; (await toldOperations()) === 0; tries++) {
      expect(tries).toBeLessThan(400);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await new Promise((resolve) => setTimeout(resolve, 1200));
    killed.kill('SIGKILL');
    await killed.ended;
    // As a lane does that has noted too much.
    await query(`INSERT INTO event_generator.run_log (run_id, lane, lines) VALUES ('inexact', 3, '["g"]')`);
    expect(await runCli(config, options)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('add --resume inexact to continue with other random values') as string,
    });
    const stopped = startCli(config, [...options, '--resume', 'inexact']);
    await stopped.saw('begin again with other random values');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    stopped.kill('SIGTERM');
    expect((await stopped.ended).code).toBe(2);
    // What began again once has no log any more.
    expect((await runCli(config, options)).code).toBe(1);
    const { code, summary, stderr } = await runCli(config, [...options, '--resume', 'inexact']);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(summary.reproducible).toBe(false);
    expect(summary.reproducible_because.join()).toContain('14 lanes began again after their process had ended');
    expect(summary.totals).toMatchObject({ operations: 2400, rejected: 0, failed: 0 });
    for (const { rows_expected: expected } of Object.values(summary.tables)) expect(expected).toBeNull();
  });
});

const hasFaketime = spawnSync('faketime', ['--version'], { stdio: 'ignore' }).error === undefined;
if (!hasFaketime) console.warn('skipped: shards whose clocks differ; install faketime');
if (!hasFaketime && process.env['CI'] === 'true') throw new Error('CI must have faketime');

describe('the start and the end of all shards', () => {
  it.skipIf(!hasFaketime)('are the same where clocks differ by an hour, and one comes late', async () => {
    const database = await demo();
    const config = yaml(database, '', 'traffic: { rate: 100, duration: 3s, catch_up: all }')
      .replace('num_iterations: 2400', 'num_iterations: -1')
      .replace('statements: 3', 'statements: 1');
    const began = async () => {
      const { rows } = await database.client.query<{ shard: number; after: number }>(
        `SELECT shard, extract(epoch FROM s.began_at - r.starts_at)::float8 AS after FROM event_generator.run_shard AS s JOIN event_generator.run AS r USING (run_id)
         WHERE run_id = 'clocks' ORDER BY shard`,
      );
      return rows;
    };
    const clock = {
      LD_PRELOAD: execFileSync('faketime', ['-m', '-f', '+1h', 'printenv', 'LD_PRELOAD']).toString().trim(),
      FAKETIME: '+1h',
      DONT_FAKE_MONOTONIC: '1',
    };
    const first = startCli(config, shardOptions(1, 3, 'clocks'), clock);
    const second = startCli(config, shardOptions(2, 3, 'clocks'));
    await second.saw('waiting for');
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const third = startCli(config, shardOptions(3, 3, 'clocks'), { ...clock, FAKETIME: '-1h' });
    const ends = await Promise.all([first, second, third].map(({ ended }) => ended));
    expect(ends.map(({ code, stderr }) => ({ code, stderr: code === 0 ? '' : stderr }))).toEqual(
      Array(3).fill({ code: 0, stderr: '' }),
    );
    // They note the start as soon as it is known: before it comes, and none after.
    for (const { after } of await began()) expect(Math.abs(after)).toBeLessThan(3);
    const total = ends.reduce((sum, { summary }) => sum + summary.totals.operations!, 0);
    expect(total).toBe(300);
    for (const { summary } of ends) expect(summary.rate.seconds).toBeLessThan(5);
    expect(new Set(ends.map(({ summary }) => summary.started_at.slice(11, 13))).size).toBeGreaterThan(1);
  });

  it('come with a change of the schema, which fits no plan any more', async () => {
    const database = await demo();
    const config = yaml(database, '', 'traffic: { rate: 50, duration: 40s }').replace('2400', '-1');
    const both = [1, 2].map((index) => startCli(config, shardOptions(index, 2, 'changed')));
    const begun = async () => {
      const { rows } = await database.client
        .query("SELECT FROM event_generator.run_shard WHERE run_id = 'changed' AND began_at IS NOT NULL")
        .catch(() => ({ rows: [] }));
      return rows.length;
    };
    for (let tries = 0; (await begun()) < 2; tries++) {
      expect(tries).toBeLessThan(400);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await new Promise((resolve) => setTimeout(resolve, 3000));
    await database.client.query('ALTER TABLE eg_users ADD COLUMN brand_new text');
    for (const { ended } of both) {
      const { code, summary } = await ended;
      expect(code).toBe(2);
      expect(summary.exit.reason).toContain('the schema has changed: public.eg_users: column brand_new (text)');
      expect(summary.exit.reason).toContain('begin a new run with another --run-id');
    }
    const again = await runCli(config, shardOptions(1, 2, 'changed'));
    expect(again).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('was planned for another schema') as string,
    });
  });
});

describe('--shard', () => {
  it.each([
    [
      { JOB_COMPLETION_INDEX: '0', EVENTGEN_SHARDS: '3' },
      { index: 1, of: 3 },
    ],
    [
      { AWS_BATCH_JOB_ARRAY_INDEX: '2', AWS_BATCH_JOB_ARRAY_SIZE: '3' },
      { index: 3, of: 3 },
    ],
    [
      { CLOUD_RUN_TASK_INDEX: '1', CLOUD_RUN_TASK_COUNT: '2' },
      { index: 2, of: 2 },
    ],
    [
      { CI_NODE_INDEX: '1', CI_NODE_TOTAL: '4' },
      { index: 1, of: 4 },
    ],
  ])('auto reads %j', (environment, shard) => {
    expect(shardOf('auto', environment as Record<string, string>)).toEqual(shard);
  });

  it.each([
    ['0/3', {}, 'expected i/n'],
    ['4/3', {}, 'expected i/n'],
    ['1', {}, 'expected i/n'],
    ['auto', {}, 'none of the variables JOB_COMPLETION_INDEX'],
    ['auto', { CI_NODE_INDEX: '1' }, 'CI_NODE_TOTAL is not'],
    ['auto', { CI_NODE_INDEX: 'x', CI_NODE_TOTAL: '2' }, 'must be whole numbers'],
    ['auto', { JOB_COMPLETION_INDEX: '3', EVENTGEN_SHARDS: '3' }, 'expected i/n'],
  ])('refuses %s with %j', (text, environment, message) => {
    expect(() => shardOf(text, environment as Record<string, string>)).toThrow(message);
  });

  it('names the run as the engine does', () => {
    expect(shardedRunId('mine', { GITHUB_RUN_ID: '7' })).toBe('mine');
    expect(shardedRunId(undefined, { GITHUB_RUN_ID: '7', GITHUB_RUN_ATTEMPT: '2' })).toBe('7-2');
    expect(shardedRunId(undefined, { AWS_BATCH_JOB_ID: 'abc:1' })).toBe('abc');
    expect(() => shardedRunId(undefined, {})).toThrow('--run-id: is required');
    expect(() => shardedRunId('a/b', {})).toThrow('expected up to 40 letters');
  });
});
