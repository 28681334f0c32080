/**
 * `load` of eg_users against one COPY of the same rows made beforehand, in alternation: rows per second as ratios within
 * one run, with one lane and with two, and the generator's own CPU per row. Both sides send the same format through the
 * same client library; the copy of ready rows has one connection. Both have been compiled by V8 in a round before; beside it
 * stands what a thread does that has just started, as a command's thread has.
 */
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { startLoading } from '../src/bulk/coordinator.js';
import { loadPlan } from '../src/plan/stages.js';
import { connectCoordinator } from '../src/prepare/connect.js';
import { prepare } from '../src/prepare/prepare.js';
import type { Cluster } from '../src/server/cluster.js';
import { createDemo } from '../src/server/demo.js';
import { startWorkers, type Workers } from '../src/traffic/workers.js';
import { configFor, describeMachine, microsPerOperation, option, sleep, spread, withServer } from './measure.js';

const ROWS = option('rows', 400_000);
const ROUNDS = option('rounds', 7);

interface Timed {
  readonly rowsPerSecond: number;
  /** Of this process, in microseconds. */
  readonly cpuPerRow: number;
}

async function timed(work: () => Promise<void>): Promise<Timed> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { rowsPerSecond: ROWS / seconds, cpuPerRow: microsPerOperation((user + system) / 1e6, ROWS) };
}

async function loadOurs(cluster: Cluster, lanes: number, workers: Workers): Promise<Timed> {
  const config = configFor(
    cluster,
    `random_seed: 1\nmanual_table_list: [eg_users]\nconnections: ${lanes}\nexisting_rows: 0`,
  );
  const client = await connectCoordinator(cluster.settings, config, 'bench');
  const { plan, claims } = await prepare(client, config, {
    dryRun: false,
    say: () => undefined,
    step: () => undefined,
    rehearsal: null,
  });
  await client.end();
  return await timed(async () => {
    const { ended } = startLoading({
      plan,
      claims,
      load: loadPlan(
        plan,
        ROWS,
        plan.relations.map(() => ({ rows: 0, known: plan.quotas.map(() => false) })),
      ),
      connection: cluster.settings,
      settings: { connectTimeoutMs: 10_000, statementTimeoutMs: 0, lockTimeoutMs: 0, maxOutageMs: 1000 },
      runId: 'bench',
      workers,
      lanes: [...plan.quotas.keys()],
      keeping: { kind: 'file', file: null },
      crashMark: null,
      afterCrash: () => Promise.resolve(null),
      past: [],
      notice: ({ text }) => console.error(text),
    });
    await ended;
  });
}

/** By a thread that has its code, and nothing of it compiled. */
async function loadCold(cluster: Cluster, lanes: number): Promise<Timed> {
  const workers = startWorkers(1, 'load');
  await sleep(1);
  return loadOurs(cluster, lanes, workers);
}

async function readAll(client: pg.Client): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  const CHUNK = 1 << 16;
  let open: Buffer[] = [];
  let size = 0;
  for await (const bytes of client.query(copyTo('COPY eg_users TO STDOUT')) as AsyncIterable<Buffer>) {
    open.push(bytes);
    size += bytes.length;
    if (size < CHUNK) continue;
    chunks.push(Buffer.concat(open));
    open = [];
    size = 0;
  }
  return [...chunks, Buffer.concat(open)];
}

async function copyReady(cluster: Cluster, chunks: readonly Buffer[]): Promise<Timed> {
  // As ours does, from connecting to the end of the session.
  return await timed(async () => {
    const client = new pg.Client({ ...cluster.settings, password: cluster.settings.password ?? '', ssl: false });
    await client.connect();
    const stream = client.query(copyFrom('COPY eg_users FROM STDIN', { highWaterMark: 1 << 20 }));
    const finished = new Promise((resolve, reject) => stream.once('finish', resolve).once('error', reject));
    for (const bytes of chunks) if (!stream.write(bytes)) await new Promise((resolve) => stream.once('drain', resolve));
    stream.end();
    await finished;
    await client.end();
  });
}

await withServer(async (cluster, client) => {
  await createDemo(client);
  const empty = () => client.query('TRUNCATE eg_users CASCADE; CHECKPOINT');
  const pool = startWorkers(1, 'load');
  // Its thread serves all rounds.
  const warm: Workers = { ...pool, end: () => Promise.resolve() };
  for (const lanes of [2, 1]) {
    await empty();
    await loadOurs(cluster, lanes, warm);
  }
  const { rows } = await client.query<{ n: string }>('SELECT count(*) AS n FROM eg_users');
  if (Number(rows[0]!.n) !== ROWS) throw new Error(`${rows[0]!.n} rows instead of ${ROWS}`);
  const ready = await readAll(client);
  console.log(`${describeMachine()}; ${ROWS} rows of eg_users, ${ROUNDS} rounds`);
  const sides = {
    'ready rows': () => copyReady(cluster, ready),
    'one lane': () => loadOurs(cluster, 1, warm),
    'two lanes': () => loadOurs(cluster, 2, warm),
    'one lane, new thread': () => loadCold(cluster, 1),
  };
  const results: Record<keyof typeof sides, Timed>[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const result: Partial<Record<keyof typeof sides, Timed>> = {};
    for (const [side, work] of Object.entries(sides)) {
      await empty();
      result[side as keyof typeof sides] = await work();
    }
    results.push(result as Record<keyof typeof sides, Timed>);
    const text = Object.entries(result).map(
      ([side, { rowsPerSecond, cpuPerRow }]) => `${side} ${Math.round(rowsPerSecond)}/s ${cpuPerRow.toFixed(2)} µs`,
    );
    console.log(`  round ${round + 1}: ${text.join(', ')}`);
  }
  await pool.end();
  const of = (pick: (result: (typeof results)[number]) => number, digits = 2) => spread(results.map(pick), digits);
  for (const side of Object.keys(sides) as (keyof typeof sides)[]) {
    console.log(
      `${side}: ${of((result) => result[side].rowsPerSecond, 0)} rows/s, ` +
        `${of((result) => result[side].rowsPerSecond / result['ready rows'].rowsPerSecond)} × ready rows, ` +
        `${of((result) => result[side].cpuPerRow)} µs of CPU per row`,
    );
  }
});
