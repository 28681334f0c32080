/**
 * `load` of eg_users against one COPY of the same rows made beforehand, in alternation: rows per second as ratios within
 * one run, with one lane and with two, and the generator's own CPU per row. Both sides send the same format through the
 * same client library; the copy of ready rows has one connection.
 */
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { startLoading } from '../src/bulk/coordinator.js';
import { connectCoordinator } from '../src/commands/connect.js';
import { prepare } from '../src/commands/prepare.js';
import { loadPlan } from '../src/plan/stages.js';
import type { Cluster } from '../src/server/cluster.js';
import { createDemo } from '../src/server/demo.js';
import { startWorkers } from '../src/traffic/workers.js';
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

async function loadOurs(cluster: Cluster, lanes: number): Promise<Timed> {
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
  const workers = startWorkers(1, 'load');
  // Threads load their code before the clock starts.
  await sleep(1);
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
      journalFile: null,
      past: [],
      notice: ({ text }) => console.error(text),
    });
    await ended;
  });
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
  const client = new pg.Client({ ...cluster.settings, password: cluster.settings.password ?? '', ssl: false });
  await client.connect();
  const result = await timed(async () => {
    const stream = client.query(copyFrom('COPY eg_users FROM STDIN', { highWaterMark: 1 << 20 }));
    const finished = new Promise((resolve, reject) => stream.once('finish', resolve).once('error', reject));
    for (const bytes of chunks) if (!stream.write(bytes)) await new Promise((resolve) => stream.once('drain', resolve));
    stream.end();
    await finished;
  });
  await client.end();
  return result;
}

await withServer(async (cluster, client) => {
  await createDemo(client);
  const empty = () => client.query('TRUNCATE eg_users CASCADE; CHECKPOINT');
  await empty();
  await loadOurs(cluster, 1);
  const { rows } = await client.query<{ n: string }>('SELECT count(*) AS n FROM eg_users');
  if (Number(rows[0]!.n) !== ROWS) throw new Error(`${rows[0]!.n} rows instead of ${ROWS}`);
  const ready = await readAll(client);
  console.log(`${describeMachine()}; ${ROWS} rows of eg_users, ${ROUNDS} rounds`);
  const results: { ready: Timed; one: Timed; two: Timed }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await empty();
    const copied = await copyReady(cluster, ready);
    await empty();
    const one = await loadOurs(cluster, 1);
    await empty();
    const two = await loadOurs(cluster, 2);
    results.push({ ready: copied, one, two });
    const text = ({ rowsPerSecond, cpuPerRow }: Timed) => `${Math.round(rowsPerSecond)}/s ${cpuPerRow.toFixed(2)} µs`;
    console.log(`  round ${round + 1}: ready ${text(copied)}, one lane ${text(one)}, two lanes ${text(two)}`);
  }
  const of = (pick: (result: (typeof results)[number]) => number, digits = 2) => spread(results.map(pick), digits);
  console.log(`ready rows: ${of(({ ready: { rowsPerSecond } }) => rowsPerSecond, 0)} rows/s`);
  for (const lanes of ['one', 'two'] as const) {
    console.log(
      `${lanes} lane${lanes === 'one' ? '' : 's'}: ${of((result) => result[lanes].rowsPerSecond, 0)} rows/s, ` +
        `${of((result) => result[lanes].rowsPerSecond / result.ready.rowsPerSecond)} × ready rows, ` +
        `${of((result) => result[lanes].cpuPerRow)} µs of CPU per row`,
    );
  }
});
