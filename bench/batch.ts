/**
 * INSERTs of 1, 10, 100 and 1000 rows against the same statements with values made beforehand, on one connection at the
 * same depth, in alternation: rows per second as ratios within one run.
 */
import pg from 'pg';
import { Lane } from '../src/lane/lane.js';
import { parametersOf } from '../src/lane/messages/bind.js';
import { play, SILENT } from '../src/lane/play.js';
import { CompiledPlan } from '../src/lane/rows/compiled.js';
import { connectCoordinator } from '../src/prepare/connect.js';
import { prepare } from '../src/prepare/prepare.js';
import type { Cluster } from '../src/server/cluster.js';
import { createDemo } from '../src/server/demo.js';
import { configFor, describeMachine, option, spread, startOurs, withServer } from './measure.js';

const ROUNDS = option('rounds', 7);
const DEPTH = option('depth', 16);
const SIZES = [1, 10, 100, 1000] as const;
/* Rows of one sample, by the size of its statements: some seconds' worth. */
const ROWS = { 1: 60_000, 10: 150_000, 100: 200_000, 1000: 200_000 };

const settings = (size: (typeof SIZES)[number]) =>
  `random_seed: 1\nmanual_table_list: [eg_users]\noperations: [INSERT]\nconnections: 1\nworkers: 1\npipeline_depth: ${DEPTH}\ninsert_rows: ${size}\nnum_iterations: ${ROWS[size] / size}\nexisting_rows: 0`;

interface Ready {
  readonly text: string;
  readonly values: (string | null)[];
}

async function statementsFor(cluster: Cluster, size: (typeof SIZES)[number]): Promise<Ready[]> {
  const config = configFor(cluster, settings(size));
  const client = await connectCoordinator(cluster.settings, config, 'bench');
  const { plan, claims } = await prepare(client, config, {
    dryRun: true,
    say: () => undefined,
    step: () => undefined,
    rehearsal: null,
  });
  await client.end();
  const ready: Ready[] = [];
  for (const { members } of play(new Lane(new CompiledPlan(plan), 0, claims, SILENT))) {
    const { bytes, statements } = members[0]!.operation;
    for (const statement of statements)
      ready.push({ text: statement.shape.sql, values: parametersOf(bytes, statement) });
  }
  return ready;
}

/** Rows per second of ours, from the first answer to the last. */
async function ours(cluster: Cluster, size: (typeof SIZES)[number]): Promise<number> {
  const { traffic, plan } = await startOurs(cluster, configFor(cluster, settings(size)));
  const rows = () =>
    plan.relations.reduce((sum, _, relation) => sum + traffic.totals.table(relation, 'insert', 'rows'), 0);
  const before = rows();
  const start = performance.now();
  await traffic.ended;
  return ((rows() - before) * 1000) / (performance.now() - start);
}

async function ready(cluster: Cluster, statements: readonly Ready[], size: number): Promise<number> {
  const client = new pg.Client({
    ...cluster.settings,
    password: cluster.settings.password ?? '',
    ssl: false,
    pipeline: true,
  });
  await client.connect();
  const start = performance.now();
  let next = 0;
  const lane = async () => {
    while (next < statements.length) {
      const { text, values } = statements[next++]!;
      await client.query({ name: 's', text, values });
    }
  };
  await Promise.all(Array.from({ length: DEPTH }, lane));
  const seconds = (performance.now() - start) / 1000;
  await client.end();
  return (statements.length * size) / seconds;
}

await withServer(async (cluster, client) => {
  await createDemo(client);
  const empty = () => client.query('TRUNCATE eg_users CASCADE; CHECKPOINT');
  console.log(`${describeMachine()}; eg_users, depth ${DEPTH}, ${ROUNDS} rounds`);
  for (const size of SIZES) {
    await empty();
    const statements = await statementsFor(cluster, size);
    const samples: { ready: number; ours: number }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await empty();
      const one = await ready(cluster, statements, size);
      await empty();
      samples.push({ ready: one, ours: await ours(cluster, size) });
    }
    const of = (pick: (sample: (typeof samples)[number]) => number, digits: number) =>
      spread(samples.map(pick), digits);
    console.log(
      `${String(size).padStart(4)} rows: ours ${of((sample) => sample.ours, 0)} rows/s, ready ${of((sample) => sample.ready, 0)} rows/s, ${of((sample) => sample.ours / sample.ready, 2)} × ready values`,
    );
  }
});
