/**
 * INSERT, UPDATE and DELETE of 1, 2, 10, 100 and 1000 rows against the same statements with values made beforehand, on
 * one connection at the same depth, in alternation: rows per second as ratios within one run.
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
const SIZES = [1, 2, 10, 100, 1000] as const;
const KINDS = ['insert', 'update', 'delete'] as const;
/* Rows that UPDATE and DELETE begin with. */
const EXISTING = 250_000;
/* Rows of one sample, by the size of its statements: some seconds' worth. */
const ROWS = { 1: 60_000, 2: 80_000, 10: 150_000, 100: 200_000, 1000: 200_000 };

type Size = (typeof SIZES)[number];
type Kind = (typeof KINDS)[number];

function settings(kind: Kind, size: Size): string {
  return [
    'random_seed: 1',
    'manual_table_list: [eg_users]',
    `operations: [${kind.toUpperCase()}]`,
    'operation_weights: [1]',
    'connections: 1',
    'workers: 1',
    `pipeline_depth: ${DEPTH}`,
    `${kind}_rows: ${size}`,
    `num_iterations: ${ROWS[size] / size}`,
    `existing_rows: ${kind === 'insert' ? 0 : 'all'}`,
  ].join('\n');
}

interface Ready {
  readonly text: string;
  readonly values: (string | null)[];
}

async function statementsFor(cluster: Cluster, kind: Kind, size: Size): Promise<Ready[]> {
  const config = configFor(cluster, settings(kind, size));
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
async function ours(cluster: Cluster, kind: Kind, size: Size): Promise<number> {
  const { traffic, plan } = await startOurs(cluster, configFor(cluster, settings(kind, size)));
  const rows = () => plan.relations.reduce((sum, _, relation) => sum + traffic.totals.table(relation, kind, 'rows'), 0);
  const before = rows();
  const start = performance.now();
  await traffic.ended;
  return ((rows() - before) * 1000) / (performance.now() - start);
}

async function ready(cluster: Cluster, statements: readonly Ready[]): Promise<number> {
  const client = new pg.Client({
    ...cluster.settings,
    password: cluster.settings.password ?? '',
    ssl: false,
    pipeline: true,
  });
  await client.connect();
  const start = performance.now();
  const names = new Map<string, string>();
  let next = 0;
  let rows = 0;
  const lane = async () => {
    while (next < statements.length) {
      const { text, values } = statements[next++]!;
      const name = names.get(text) ?? `s${names.size}`;
      names.set(text, name);
      rows += (await client.query({ name, text, values })).rowCount ?? 0;
    }
  };
  await Promise.all(Array.from({ length: DEPTH }, lane));
  const seconds = (performance.now() - start) / 1000;
  await client.end();
  return rows / seconds;
}

/** The table as a sample finds it. */
async function refill(client: pg.Client, kind: Kind): Promise<void> {
  await client.query('TRUNCATE eg_users CASCADE');
  if (kind !== 'insert') {
    await client.query(`INSERT INTO eg_users SELECT i, i || '@example.com', 'First Last ' || i, 'new', 12.5, ARRAY['a', 'b'], ARRAY[1, 2],
      B'10101010', '{"a": 1}', '10.0.0.1', gen_random_uuid(), true, now() FROM generate_series(1, ${EXISTING}) AS i`);
    await client.query('VACUUM ANALYZE eg_users');
  }
  await client.query('CHECKPOINT');
}

await withServer(async (cluster, client) => {
  await createDemo(client);
  console.log(`${describeMachine()}; eg_users, depth ${DEPTH}, ${ROUNDS} rounds`);
  for (const kind of KINDS) {
    for (const size of SIZES) {
      await refill(client, kind);
      const statements = await statementsFor(cluster, kind, size);
      const samples: { ready: number; ours: number }[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        await refill(client, kind);
        const one = await ready(cluster, statements);
        await refill(client, kind);
        samples.push({ ready: one, ours: await ours(cluster, kind, size) });
      }
      const of = (pick: (sample: (typeof samples)[number]) => number, digits: number) =>
        spread(samples.map(pick), digits);
      console.log(
        `${kind.toUpperCase()} ${String(size).padStart(4)} rows: ours ${of((sample) => sample.ours, 0)} rows/s, ready ${of((sample) => sample.ready, 0)} rows/s, ${of((sample) => sample.ours / sample.ready, 2)} × ready values`,
      );
    }
  }
});
