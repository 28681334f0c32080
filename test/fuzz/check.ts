import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import type { Summary } from '../../src/report/summary.js';
import { sqlOf, type TableDraft } from './schema.js';

/* npm and vitest start at the project's root. */
const CLI = path.resolve('dist/src/cli.js');
const OPERATIONS_PER_TABLE = 40;
const ROWS = 30;
const MOST_SECONDS = 60;
/* Of one operation from its draw to its answer: triggers that lock rows of each other cost seconds, a search without end more. */
const MOST_SECONDS_PER_OPERATION = 10;

/** A server that databases may be made on. */
export interface Server {
  readonly host: string;
  readonly port: number;
  readonly user: string;
}

/** What does not hold of a schema, in words; empty: all holds. */
export async function faultsOf(server: Server, tables: readonly TableDraft[], name: string): Promise<string[]> {
  const sql = sqlOf(tables);
  const folder = mkdtempSync(path.join(tmpdir(), 'fuzz-'));
  try {
    const runs = [];
    for (const workers of [1, 3])
      runs.push(
        await inDatabase(server, `${name}_${workers}`, sql, (client, database) =>
          run(server, { client, database, folder, workers }),
        ),
      );
    const loaded = await inDatabase(server, `${name}_l`, sql, async (client, database) => [
      ...(await inspect(server, { client, database, folder })),
      ...(await load(server, { client, database, folder })),
    ]);
    const [one, three] = runs as [Run, Run];
    const faults = [...one.faults, ...three.faults, ...loaded];
    const isRepeatable = one.summary?.reproducible === true && three.summary?.reproducible === true;
    if (isRepeatable)
      for (const [table, hash] of one.hashes)
        if (three.hashes.get(table) !== hash)
          faults.push(`${table}: other rows with 3 workers than with 1, and reproducible`);
    return faults;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function inDatabase<Result>(
  { host, port, user }: Server,
  name: string,
  sql: string,
  work: (client: pg.Client, database: string) => Promise<Result>,
): Promise<Result> {
  const admin = new pg.Client({ host, port, user, database: 'postgres' });
  await admin.connect();
  await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  await admin.query(`CREATE DATABASE ${name}`);
  const client = new pg.Client({ host, port, user, database: name });
  try {
    await client.connect();
    await client.query(sql);
    return await work(client, name);
  } finally {
    await client.end();
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await admin.end();
  }
}

interface Surroundings {
  readonly client: pg.Client;
  readonly database: string;
  readonly folder: string;
}

interface Run {
  readonly faults: string[];
  readonly summary: Summary | null;
  readonly hashes: ReadonlyMap<string, string>;
}

async function run(
  server: Server,
  { client, database, folder, workers }: Surroundings & { workers: number },
): Promise<Run> {
  const tables = await tablesOf(client);
  const config = configuration(
    server,
    database,
    folder,
    `num_iterations: ${tables.length * OPERATIONS_PER_TABLE}, workers: ${workers}`,
  );
  const file = path.join(folder, 'summary.json');
  const { code, stderr, seconds } = await command(['run', '-c', config, '--no-metrics', '--quiet', '--summary', file]);
  if (code === null) return { faults: [`run: no end within ${MOST_SECONDS} s`], summary: null, hashes: new Map() };
  const summary = JSON.parse(readFileSync(file, 'utf8')) as Summary;
  if (summary.totals === undefined)
    return { faults: [`run: exit code ${code}: ${stderr.slice(0, 300)}`], summary: null, hashes: new Map() };
  const faults: string[] = [];
  const { operations = 0, rejected = 0, failed = 0 } = summary.totals;
  if (code !== 0) faults.push(`run: exit code ${code}, ${summary.exit.reason}`);
  if (rejected + failed > operations / 100)
    faults.push(`run: ${rejected} rejected, ${failed} failed of ${operations}: ${JSON.stringify(summary.errors)}`);
  for (const kind of ['insert', 'update', 'delete'] as const) {
    const { max = 0 } = summary.latency_seconds[kind].response ?? {};
    if (max > MOST_SECONDS_PER_OPERATION) faults.push(`run: one ${kind.toUpperCase()} took ${max.toFixed(1)} s`);
  }
  if (seconds > MOST_SECONDS / 2) faults.push(`run: took ${seconds.toFixed(0)} s`);
  const announced = (table: string, kind: string) =>
    stderr
      .split('\n')
      .some((line) => line.includes(table) && new RegExp(`no [A-Z, ]*${kind}|this also blocks`).test(line));
  for (const [table, entry] of Object.entries(summary.tables)) {
    const isFed = entry.insert.rows > 0;
    if (!isFed && !announced(table, 'INSERT'))
      faults.push(`${table}: no INSERT in ${operations} operations, and not announced`);
    for (const kind of ['update', 'delete'] as const)
      if (isFed && entry[kind].operations === 0 && !announced(table, kind.toUpperCase()))
        faults.push(`${table}: no ${kind.toUpperCase()}, and not announced`);
    const count = await countOf(client, table);
    if (entry.rows_expected !== null && entry.rows_expected !== count)
      faults.push(`${table}: ${entry.rows_expected} rows expected, ${count} there`);
  }
  const hashes = new Map<string, string>();
  for (const table of tables) {
    const { rows } = await client.query<{ hash: string }>(
      `SELECT count(*) || ':' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) AS hash FROM ${table} AS t`,
    );
    hashes.set(table, rows[0]!.hash);
  }
  return { faults, summary, hashes };
}

/** Inspect says the same tables as the catalog, and writes nothing. */
async function inspect(server: Server, { client, database, folder }: Surroundings): Promise<string[]> {
  const config = configuration(server, database, folder, '');
  const tables = await tablesOf(client);
  const before: number[] = [];
  for (const table of tables) before.push(await countOf(client, table));
  const { code, stdout, stderr } = await command(['inspect', '-c', config, '--rehearse', '--json']);
  // 4: something is left out, and said.
  if (code !== 0 && code !== 4) return [`inspect: exit code ${code}: ${stderr.slice(0, 300)}`];
  const faults: string[] = [];
  const shown = new Set((JSON.parse(stdout) as { tables: { table: string }[] }).tables.map(({ table }) => table));
  for (const [index, table] of tables.entries()) {
    if (!shown.has(table) && !stderr.includes(table)) faults.push(`inspect: ${table} is not shown`);
    const count = await countOf(client, table);
    if (count !== before[index]) faults.push(`inspect: ${table} had ${before[index]} rows, has ${count}`);
  }
  return faults;
}

async function load(server: Server, { client, database, folder }: Surroundings): Promise<string[]> {
  const config = configuration(server, database, folder, '');
  const { code, stderr, stdout } = await command(['load', '-c', config, '--rows', String(ROWS)]);
  if (code === null) return [`load: no end within ${MOST_SECONDS} s`];
  const faults: string[] = [];
  for (const table of await tablesOf(client)) {
    const count = await countOf(client, table);
    const isAnnounced = `${stderr}\n${stdout}`
      .split('\n')
      .some((line) => line.includes(table) && /no [A-Z, ]*INSERT|this also blocks|room for/.test(line));
    if (count < ROWS && !isAnnounced) faults.push(`load: ${table} has ${count} of ${ROWS} rows (exit code ${code})`);
  }
  return faults;
}

async function tablesOf(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT 'public.' || relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname",
  );
  return rows.map(({ name }) => name);
}

async function countOf(client: pg.Client, table: string): Promise<number> {
  return Number((await client.query<{ count: string }>(`SELECT count(*) FROM ${table}`)).rows[0]!.count);
}

function configuration({ host, port, user }: Server, database: string, folder: string, generator: string): string {
  const file = path.join(folder, `${database}.yaml`);
  writeFileSync(
    file,
    `connection: { host: ${host}, port: ${port}, database: ${database}, user: ${user}, password: x }\ngenerator: { schema_name: public, random_seed: 1, ${generator} }\n`,
  );
  return file;
}

interface End {
  /** Null where it was ended since it took too long. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

async function command(args: readonly string[]): Promise<End> {
  const start = performance.now();
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (texts.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (texts.stderr += chunk.toString()));
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, MOST_SECONDS * 1000);
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  clearTimeout(timer);
  return { code: isLate ? null : code, ...texts, seconds: (performance.now() - start) / 1000 };
}

/** The smallest schema that was found to have a fault, by leaving out tables and then parts of them; at most `most` trials. */
export async function reduced(
  server: Server,
  tables: readonly TableDraft[],
  name: string,
  most: number,
): Promise<readonly TableDraft[]> {
  let smallest = tables;
  let trials = 0;
  const fails = async (candidate: readonly TableDraft[]) =>
    trials++ < most && (await faultsOf(server, candidate, name)).length > 0;
  for (
    let size = Math.ceil(smallest.length / 2);
    size >= 1 && trials < most;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let from = 0; from < smallest.length && smallest.length > size; ) {
      const candidate = [...smallest.slice(0, from), ...smallest.slice(from + size)];
      if (await fails(candidate)) smallest = candidate;
      else from += size;
      if (trials >= most) break;
    }
  }
  for (let index = 0; index < smallest.length; index++) {
    const plainer: Partial<TableDraft>[] = [
      { trigger: 'none' },
      { unique: 'none' },
      { partition: 'none' },
      { rows: 0 },
      { parents: [] },
      { key: 'serial' },
      { columns: ['text NOT NULL'] },
    ];
    for (const change of plainer) {
      const candidate = smallest.map((table, at) => (at === index ? { ...table, ...change } : table));
      if (await fails(candidate)) smallest = candidate;
    }
  }
  return smallest;
}
