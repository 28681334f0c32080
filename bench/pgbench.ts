/**
 * The sample YAML's mix on eg_users against pgbench with the same mix, in alternation: transactions per second as
 * ratios within one run, and the CPU of the whole machine per operation. pgbench's values are made by the server.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type pg from 'pg';
import type { Cluster } from '../src/server/cluster.js';
import { createDemo } from '../src/server/demo.js';
import {
  configFor,
  describeMachine,
  findProgram,
  machineCpuSeconds,
  microsPerOperation,
  option,
  perSecond,
  type Sample,
  sleep,
  spread,
  startOurs,
  withServer,
} from './measure.js';

const ROWS = 20_000;
const CONNECTIONS = option('connections', 4);
const ROUNDS = option('rounds', 9);
const SECONDS = option('seconds', 5);
const WORKERS = option('workers', 1);
const DEPTH = option('depth', 16);
const WEIGHTS = { insert: 3, update: 2, delete: 1 };

/** What the server makes up for a column, as large as what we write; `n` is a number of the row's own. */
const VALUES: Readonly<Record<string, string>> = {
  email: "'user' || n || '.name@example.com'",
  full_name: "'First Last ' || (random() * 10000)::int",
  status: '(enum_range(NULL::eg_status))[1 + (random() * 3)::int]',
  balance: '(random() * 1000000)::numeric(12,2)',
  tags: "ARRAY['Games', 'Outdoors' || (random() * 10)::int]",
  scores: 'ARRAY[(random() * 1000)::int, (random() * 1000)::int]',
  flags: '((random() * 255)::int)::bit(8)',
  meta: `jsonb_build_object('number', (random() * 1000000)::int, 'name', 'First Last ' || (random() * 1000)::int, 'active', random() < 0.5,
    'score', (random() * 100)::int, 'tags', jsonb_build_array('Games', 'Sports'), 'address', jsonb_build_object('city', 'Springfield'))`,
  ip: "('10.0.' || (random() * 255)::int || '.' || (random() * 255)::int)::inet",
  token: 'gen_random_uuid()',
  active: 'random() < 0.5',
  created_at: "timestamp '2025-01-01' + random() * interval '365 days'",
};
const STRIDE = 1_000_000_000;

async function fillUsers(client: pg.Client): Promise<void> {
  const columns = Object.keys(VALUES);
  // Every client of pgbench has a range of ids of its own, as our lanes have.
  await client.query(`
    TRUNCATE eg_users CASCADE;
    INSERT INTO eg_users (id, ${columns.join(', ')})
    SELECT n, ${Object.values(VALUES).join(', ')}
    FROM (SELECT (i % ${CONNECTIONS}) * ${STRIDE}::bigint + i / ${CONNECTIONS} + 1 AS n FROM generate_series(0, ${ROWS - 1}) AS i) AS numbers`);
  await client.query('VACUUM ANALYZE eg_users');
  await client.query('CHECKPOINT');
}

async function bytesPerRow(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ bytes: number }>(
    'SELECT avg(pg_column_size(t.*))::float8 AS bytes FROM eg_users AS t TABLESAMPLE SYSTEM (20)',
  );
  return rows[0]!.bytes;
}

/** One file per statement; updates write the same sets of columns as ours do. */
function writeScripts(folder: string, updateSets: readonly (readonly string[])[], pipelined: boolean): string[] {
  const columns = Object.keys(VALUES);
  const start = `\\if :hi = 0\n\\set hi :client_id * ${STRIDE} + ${ROWS / CONNECTIONS}\n\\set lo :client_id * ${STRIDE} + 1\n\\endif\n`;
  const around = (sql: string) => (pipelined ? `\\startpipeline\n${sql}\n\\endpipeline\n` : `${sql}\n`);
  const tuple = (offset: number) =>
    `(:hi::bigint + ${offset}, ${columns.map((name) => VALUES[name]!.replace(/\bn\b/g, `(:hi::bigint + ${offset})`)).join(', ')})`;
  const files: [string, number][] = [];
  const write = (name: string, weight: number, text: string) => {
    const file = path.join(folder, `${name}.sql`);
    writeFileSync(file, start + text);
    files.push([file, weight]);
  };
  const parts = updateSets.length;
  write(
    'insert',
    WEIGHTS.insert * parts,
    `${around(`INSERT INTO eg_users (id, ${columns.join(', ')}) VALUES ${[1, 2, 3, 4].map(tuple).join(', ')};`)}\\set hi :hi + 4\n`,
  );
  for (const [index, set] of updateSets.entries()) {
    const assignments = set.map((name) => `${name} = ${VALUES[name]!.replace(/\bn\b/g, 'id || random()')}`);
    write(
      `update${index}`,
      WEIGHTS.update,
      `\\set a random(:lo, :hi - 1)\n\\set b random(:lo, :hi - 1)\n\\if :a = :b\n\\set b :b + 1\n\\endif\n${around(`UPDATE eg_users SET ${assignments.join(', ')} WHERE id IN (:a::bigint, :b::bigint);`)}`,
    );
  }
  write(
    'delete',
    WEIGHTS.delete * parts,
    `${around('DELETE FROM eg_users WHERE id = :lo::bigint;')}\\set lo :lo + 1\n`,
  );
  return files.flatMap(([file, weight]) => ['-f', `${file}@${weight}`]);
}

async function runPgbench(program: string, cluster: Cluster, scripts: readonly string[]): Promise<Sample> {
  const { host, port, user, password, database } = cluster.settings;
  const cpu = machineCpuSeconds();
  const child = spawn(
    program,
    [
      '-n',
      '-M',
      'prepared',
      '-c',
      String(CONNECTIONS),
      '-j',
      '2',
      '-D',
      'hi=0',
      '-D',
      'lo=0',
      '-T',
      String(SECONDS),
      ...scripts,
      '-h',
      host,
      '-p',
      String(port),
      '-U',
      user,
      database,
    ],
    { env: { ...process.env, PGPASSWORD: password ?? '' }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (output += bytes.toString()));
  await new Promise((resolve) => child.on('close', resolve));
  const machineCpuUsed = machineCpuSeconds() - cpu;
  const rate = Number(/tps = ([\d.]+) \(without/.exec(output)?.[1]);
  const failed = Number(/number of failed transactions: (\d+)/.exec(output)?.[1]);
  if (!(rate > 0) || failed !== 0 || output.includes('aborted'))
    throw new Error(
      `pgbench failed:\n${output}${scripts
        .filter((s) => s.endsWith('@12'))
        .map((s) => readFileSync(s.replace(/@.*/, ''), 'utf8'))
        .join('')}`,
    );
  let rows = 0;
  let operations = 0;
  for (const [, name, count] of output.matchAll(/SQL script \d+: \S*\/(\w+)\.sql\n[^\n]*\n - (\d+) transactions/g)) {
    operations += Number(count);
    rows += Number(count) * (name === 'insert' ? 4 : name === 'delete' ? 1 : 2);
  }
  return { operations, rows, seconds: operations / rate, machineCpuSeconds: machineCpuUsed, ownCpuSeconds: 0 };
}

async function runOurs(cluster: Cluster): Promise<{ sample: Sample; sets: string[][] }> {
  const config = configFor(
    cluster,
    `schema_name: public\nmanual_table_list: [eg_users]\nnum_iterations: -1\nrandom_seed: 1\nexisting_rows: ${ROWS}\nnull_ratio: 0\nconnections: ${CONNECTIONS}\nworkers: ${WORKERS}\npipeline_depth: ${DEPTH}`,
  );
  const running = await startOurs(cluster, config);
  await sleep(0.5);
  const sample = await running.window(SECONDS);
  await running.stop();
  const users = running.plan.relations.find(({ label }) => label === 'public.eg_users')!;
  return { sample, sets: users.updateSets.map((set) => set.map((column) => users.columns[column]!.name)) };
}

const program = findProgram('pgbench');
if (program === null) {
  console.error('pgbench is not installed: on Debian, apt-get install postgresql-contrib (or postgresql-15)');
  process.exit(1);
}
await withServer(async (cluster, client) => {
  await client.query('SET search_path = public');
  await createDemo(client);
  const folder = mkdtempSync(path.join(tmpdir(), 'bench-pgbench-'));
  try {
    await fillUsers(client);
    const { sets } = await runOurs(cluster);
    const plain = writeScripts(mkdtempSync(path.join(folder, 'plain-')), sets, false);
    const pipelined = writeScripts(mkdtempSync(path.join(folder, 'pipelined-')), sets, true);
    const sides = {
      ours: async () => (await runOurs(cluster)).sample,
      pgbench: () => runPgbench(program, cluster, plain),
      pipelined: () => runPgbench(program, cluster, pipelined),
    };
    const samples: Record<keyof typeof sides, Sample[]> = { ours: [], pgbench: [], pipelined: [] };
    const bytes: Record<keyof typeof sides, number[]> = { ours: [], pgbench: [], pipelined: [] };
    for (let round = 0; round < ROUNDS; round++) {
      for (const side of ['ours', 'pgbench', 'pipelined'] as const) {
        await fillUsers(client);
        samples[side].push(await sides[side]());
        bytes[side].push(await bytesPerRow(client));
      }
      const now = (side: keyof typeof sides) => perSecond(samples[side][round]!).toFixed(0);
      console.log(
        `round ${round + 1}: ours ${now('ours')}/s, pgbench ${now('pgbench')}/s, pgbench pipelined ${now('pipelined')}/s`,
      );
    }
    const cpu = (sample: Sample) => microsPerOperation(sample.machineCpuSeconds, sample.operations);
    const ratios = (of: keyof typeof sides, figure: (sample: Sample) => number) =>
      samples.ours.map((sample, round) => figure(sample) / figure(samples[of][round]!));
    console.log(
      `\n${describeMachine()}; ${CONNECTIONS} connections, ${WORKERS} worker, depth ${DEPTH}, ${ROUNDS} rounds of ${SECONDS} s; median (middle half)`,
    );
    for (const side of ['ours', 'pgbench', 'pipelined'] as const) {
      console.log(
        `${side.padEnd(10)} ${spread(samples[side].map(perSecond), 0)} transactions/s, ` +
          `${spread(
            samples[side].map(({ rows, operations }) => rows / operations),
            3,
          )} rows per operation of ${spread(bytes[side], 0)} bytes, ` +
          `${spread(samples[side].map(cpu), 0)} µs of the machine's CPU per operation`,
      );
    }
    console.log(
      `ours, generator's process alone: ${spread(
        samples.ours.map(({ ownCpuSeconds, operations }) => microsPerOperation(ownCpuSeconds, operations)),
        1,
      )} µs of CPU per operation`,
    );
    for (const side of ['pgbench', 'pipelined'] as const)
      console.log(
        `ours / ${side}: ${spread(ratios(side, perSecond))} × transactions/s, ${spread(ratios(side, cpu))} × CPU per operation`,
      );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
