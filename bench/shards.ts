/**
 * What shards cost: the start of all at once, the CPU of each, and the merge of their summaries. The processes are those that a
 * user starts, on one server.
 */

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type pg from 'pg';
import type { Summary } from '../src/report/summary.js';
import { createDemo } from '../src/server/demo.js';
import { describeMachine, option, sleep, spread, withServer } from './measure.js';

const ROUNDS = option('rounds', 3);
const OPERATIONS = option('operations', 200_000);
const MANY = option('shards', 100);
/* A server on the other core, so that the generator's core is its own. */
const OWN_CORE = spawnSync('taskset', ['--version']).error === undefined ? ['taskset', '-c', '0'] : [];

const cli = path.join(import.meta.dirname, '../src/cli.js');
const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-bench-shards-'));
let runs = 0;

interface Shards {
  readonly summaries: readonly Summary[];
  readonly files: readonly string[];
  readonly runId: string;
}

await withServer(async (cluster, client) => {
  try {
    console.log(`${describeMachine()}; ${ROUNDS} rounds of ${OPERATIONS} operations on the demo tables`);
    const { host, port, database, user } = cluster.settings;
    const yaml = (generator: string, traffic = '') =>
      `connection: { host: "${host}", port: ${port}, database: ${database}, user: ${user} }\n` +
      `generator: { schema_name: public, random_seed: 7, rehearse: false, workers: 1, ${generator} }\nmetrics: { enabled: false }\n${traffic}`;
    await compareNumbers(client, yaml);
    await dealArrivals(client, yaml);
    await startMany(client, yaml);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

type Yaml = (generator: string, traffic?: string) => string;

/** The same operations by 1, 2, 4 and 8 processes: rows, rate, and CPU per operation. */
async function compareNumbers(client: pg.Client, yaml: Yaml): Promise<void> {
  const config = yaml(`connections: 8, num_iterations: ${OPERATIONS}`);
  const rates = new Map<number, number[]>();
  const cpu = new Map<number, number[]>();
  const hashes = new Set<string>();
  for (let round = 0; round < ROUNDS; round++)
    for (const of of [1, 2, 4, 8]) {
      await recreate(client);
      const { summaries } = await runShards(config, of, OWN_CORE);
      hashes.add(await contents(client));
      const starts = summaries.map(({ started_at: at }) => Date.parse(at));
      const seconds = Math.max(
        ...summaries.map(
          ({ elapsed_seconds: elapsed }, index) => elapsed + (starts[index]! - Math.min(...starts)) / 1000,
        ),
      );
      add(rates, of, OPERATIONS / seconds);
      const cpuSeconds = summaries.reduce((sum, { generator }) => sum + generator.cpu_seconds, 0);
      add(cpu, of, (cpuSeconds * 1e6) / OPERATIONS);
    }
  for (const [of, all] of rates)
    console.log(
      `${of} processes: ${spread(all, 0)} operations/s, ${spread(cpu.get(of)!, 1)} µs of the generators' CPU per operation`,
    );
  console.log(`contents: ${hashes.size === 1 ? 'equal' : `${hashes.size} DIFFERENT`} over all numbers of processes`);
}

/** The arrivals of a schedule over several processes: each of them exactly once. */
async function dealArrivals(client: pg.Client, yaml: Yaml): Promise<void> {
  const traffic =
    'traffic: { rate: 500, duration: 6s, catch_up: all, arrival: poisson, spikes: [{ rate: 1000, duration: 1s, offset: 2s }] }';
  const config = yaml('connections: 8, num_iterations: -1', traffic);
  const counts = [];
  for (const of of [1, 8]) {
    await recreate(client);
    const { summaries } = await runShards(config, of);
    counts.push(summaries.reduce((sum, { totals }) => sum + totals.operations! + totals.dropped!, 0));
  }
  console.log(
    `arrivals by 1 process: ${counts[0]}, by 8: ${counts[1]} (difference ${Math.abs(counts[0]! - counts[1]!)})`,
  );
}

/** Many processes of one lane each, and the merge of as many and of a thousand summaries. */
async function startMany(client: pg.Client, yaml: Yaml): Promise<void> {
  await recreate(client);
  const began = performance.now();
  const { summaries, files, runId } = await runShards(
    yaml(`connections: ${MANY}, num_iterations: ${MANY * 100}`),
    MANY,
  );
  const seconds = (performance.now() - began) / 1000;
  const { rows } = await client.query<{ ready: number; apart: number }>(
    `SELECT extract(epoch FROM max(s.ready_at) - min(s.ready_at))::float8 AS ready, extract(epoch FROM max(r.starts_at) - max(s.ready_at))::float8 AS apart
     FROM event_generator.run_shard AS s JOIN event_generator.run AS r USING (run_id) WHERE run_id = $1`,
    [runId],
  );
  const starts = summaries.map(({ started_at: at }) => Date.parse(at));
  console.log(
    `${MANY} processes of one lane: ready within ${rows[0]!.ready.toFixed(1)} s of each other (they share ${describeMachine().split(' (')[0]}), ` +
      `start ${rows[0]!.apart.toFixed(1)} s after the last, ${Math.max(...starts) - Math.min(...starts)} ms apart; over after ${seconds.toFixed(1)} s`,
  );
  console.log(`merge of ${MANY} summaries: ${merge(files).toFixed(2)} s`);
  const [first] = summaries as [Summary];
  const thousand = Array.from({ length: 1000 }, (_, index) => {
    const file = path.join(folder, `of-thousand-${index}.json`);
    writeFileSync(file, JSON.stringify({ ...first, shard: { index: index + 1, of: 1000 } }));
    return file;
  });
  console.log(`merge of 1000 summaries: ${merge(thousand).toFixed(2)} s`);
}

/** Seconds that `merge` takes for some files. */
function merge(files: readonly string[]): number {
  const began = performance.now();
  const { status, stderr } = spawnSync(process.execPath, [cli, 'merge', ...files], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`merge ended with ${status}: ${stderr}`);
  return (performance.now() - began) / 1000;
}

/** Runs all shards of a run to their end. `prefix`: a program that starts them, with its arguments. */
async function runShards(config: string, of: number, prefix: readonly string[] = []): Promise<Shards> {
  const runId = `bench-${process.pid}-${++runs}`;
  const file = path.join(folder, 'bench.yaml');
  writeFileSync(file, config);
  const files = await Promise.all(
    Array.from({ length: of }, async (_, index) => {
      const summary = path.join(folder, `${runId}-${index + 1}.json`);
      const shard = ['--shard', `${index + 1}/${of}`, '--run-id', runId, '--start-timeout', '10m'];
      const [program, ...args] = [
        ...prefix,
        process.execPath,
        cli,
        'run',
        '-c',
        file,
        '--quiet',
        '--summary',
        summary,
        ...shard,
      ] as [string, ...string[]];
      const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
      const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
      if (code !== 0) throw new Error(`shard ${index + 1} of ${of} ended with ${code}`);
      return summary;
    }),
  );
  const summaries = files.map((each) => JSON.parse(readFileSync(each, 'utf8')) as Summary);
  await sleep(0.2);
  return { summaries, files, runId };
}

/** One number for the rows of the demo tables, free of their order. */
async function contents(client: pg.Client): Promise<string> {
  const sums = [];
  for (const table of ['eg_users', 'eg_orders', 'eg_types']) {
    const { rows } = await client.query<{ sum: string }>(
      `SELECT count(*) || '/' || coalesce(sum(('x' || left(md5(t::text), 15))::bit(60)::bigint::numeric), 0) AS sum FROM ${table} AS t`,
    );
    sums.push(rows[0]!.sum);
  }
  return sums.join(' ');
}

/** Creates the demo tables anew. */
async function recreate(client: pg.Client): Promise<void> {
  await client.query('DROP TABLE IF EXISTS eg_orders, eg_users, eg_types; DROP TYPE IF EXISTS eg_status CASCADE');
  await createDemo(client);
}

function add(all: Map<number, number[]>, of: number, value: number): void {
  all.set(of, [...(all.get(of) ?? []), value]);
}
