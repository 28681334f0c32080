import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterEach, inject } from 'vitest';
import type { Summary } from '../../src/report/summary.js';
import { createDemo } from '../../src/server/demo.js';

export const CLI = fileURLToPath(new URL('../../dist/src/cli.js', import.meta.url));

export interface Database {
  readonly name: string;
  readonly port: number;
  readonly client: pg.Client;
  drop(): Promise<void>;
}

let counter = 0;

/** An empty database of its own on the test server, or on another one. */
export async function createDatabase(sql: string, port = inject('port')): Promise<Database> {
  const name = `t_${process.pid}_${++counter}`;
  await administer(port, `CREATE DATABASE ${name}`);
  const client = await connectTo(port, name);
  await client.query(sql);
  return {
    name,
    port,
    client,
    drop: async () => {
      const left = await client.query(
        "SELECT application_name FROM pg_stat_activity WHERE datname = $1 AND application_name LIKE 'eventgen%'",
        [name],
      );
      await client.end();
      await administer(port, `DROP DATABASE ${name} WITH (FORCE)`);
      // A connection that outlives its run is a leak.
      if (left.rows.length > 0) throw new Error(`connections left open: ${JSON.stringify(left.rows)}`);
    },
  };
}

/** Makers of databases that are dropped after the test that asked for them; called once per test file. */
export function databasesPerTest() {
  let databases: Database[] = [];
  afterEach(async () => {
    const open = databases;
    databases = [];
    for (const database of open) await database.drop();
  });
  const tables = async (sql: string): Promise<Database> => {
    const database = await createDatabase(sql);
    databases.push(database);
    return database;
  };
  const demo = async (): Promise<Database> => {
    const database = await tables('SELECT');
    await createDemo(database.client);
    return database;
  };
  return { tables, demo };
}

export async function connectTo(port: number, database: string, user = 'postgres'): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port, database, user });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function administer(port: number, sql: string): Promise<void> {
  const client = await connectTo(port, 'postgres');
  await client.query(sql);
  await client.end();
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly summary: Summary;
}

/** Dumps a database and restores it into another one of the same server, with the programs in a folder. */
export function dumpInto(from: Database, to: Database, programs: string): void {
  const connection = ['-h', '127.0.0.1', '-p', String(from.port), '-U', 'postgres'];
  const dump = execFileSync(path.join(programs, 'pg_dump'), [...connection, from.name], { maxBuffer: 1 << 28 });
  execFileSync(path.join(programs, 'psql'), [...connection, '-q', '-v', 'ON_ERROR_STOP=1', to.name], {
    input: dump,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
}

export interface Running {
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly pid: number;
  /** Resolves when standard error holds the text. */
  readonly saw: (text: string) => Promise<void>;
  /** Standard error so far. */
  readonly stderr: () => string;
  readonly ended: Promise<Ran>;
}

/** The command line as a user calls it, on a configuration text; ended by force before a test's time is up. EVENTGEN_NODE is the Node.js to use. */
export function startCli(
  yaml: string,
  options: readonly string[] = [],
  environment: NodeJS.ProcessEnv = {},
  command: readonly string[] = ['run'],
): Running {
  const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-test-'));
  const file = path.join(folder, 'config.yaml');
  const summaryFile = path.join(folder, 'summary.json');
  writeFileSync(file, yaml);
  const { EVENTGEN_NODE: node = process.execPath, ...variables } = environment;
  const child = spawn(node, [CLI, ...command, '-c', file, '--summary', summaryFile, ...options], {
    env: { ...process.env, ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  const listeners = new Set<() => void>();
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
    for (const listener of listeners) listener();
  });
  const limit = setTimeout(() => child.kill('SIGKILL'), 110_000);
  const ended = new Promise<Ran>((resolve) => {
    child.once('close', (code) => {
      clearTimeout(limit);
      let summary: Summary | undefined;
      try {
        summary = JSON.parse(readFileSync(summaryFile, 'utf8')) as Summary;
      } catch {
        // Ended before it was written: the test will say so.
      }
      rmSync(folder, { recursive: true, force: true });
      resolve({ code, stdout, stderr, summary: summary as Summary });
    });
  });
  const saw = (text: string) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!stderr.includes(text)) return;
        listeners.delete(look);
        resolve();
      };
      listeners.add(look);
      look();
    });
  return { kill: (signal) => child.kill(signal), pid: child.pid!, saw, stderr: () => stderr, ended };
}

export function runCli(
  yaml: string,
  options: readonly string[] = [],
  environment: NodeJS.ProcessEnv = {},
  command: readonly string[] = ['run'],
): Promise<Ran> {
  return startCli(yaml, options, environment, command).ended;
}

/** The command line with some arguments, to its end. */
export function runCommand(options: readonly string[], input = ''): Promise<Omit<Ran, 'summary'>> {
  const child = spawn(process.execPath, [CLI, ...options]);
  child.stdin.end(input);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
}

/**
 * YAML that points at a test database, without metrics, with one thread where a test does not say how many: each takes half a
 * second of CPU time to start.
 */
export function configFor(database: Database, generator: string, sections = ''): string {
  const indented = `${/^workers:/m.test(generator) ? '' : 'workers: 1\n'}${generator}`
    .trim()
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
  return `connection: { host: 127.0.0.1, port: ${database.port}, database: ${database.name}, user: postgres }\ngenerator:\n${indented}\nmetrics: { enabled: false }\n${sections}`;
}

/** A content hash per table: explicit columns by name, pinned settings, free of order. */
export async function contentHash(database: Database, tables: readonly string[]): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  await database.client.query(
    `SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET extra_float_digits = 1; SET bytea_output = 'hex'; SET IntervalStyle = 'postgres'`,
  );
  for (const table of tables) {
    const { rows: columns } = await database.client.query<{ name: string }>(
      `SELECT quote_ident(attname) AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname COLLATE "C"`,
      [table],
    );
    const row = columns.map(({ name }) => `coalesce(${name}::text, '~')`).join(` || '|' || `);
    const { rows } = await database.client.query<{ hash: string }>(
      `SELECT count(*) || '/' || coalesce(sum(('x' || left(md5(${row}), 15))::bit(60)::bigint::numeric), 0) AS hash FROM ${table}`,
    );
    hashes[table] = rows[0]!.hash;
  }
  return hashes;
}

export async function count(database: Database, table: string): Promise<number> {
  const { rows } = await database.client.query<{ n: string }>(`SELECT count(*) AS n FROM ${table}`);
  return Number(rows[0]!.n);
}

/** Ends a connection of some lane at an interval, until so many are cut or the run has ended; returns how many. */
export async function cutConnections(
  { port, name }: Database,
  ended: Promise<unknown>,
  { cuts, everyMs }: { cuts: number; everyMs: number },
): Promise<number> {
  const admin = await connectTo(port, 'postgres');
  const finished = ended.then(() => true);
  const pause = () => new Promise<boolean>((resolve) => setTimeout(() => resolve(false), everyMs));
  let cut = 0;
  while (cut < cuts && !(await Promise.race([finished, pause()]))) {
    const { rowCount } = await admin.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name ~ '^eventgen/[0-9a-f]+/[0-9]+$' ORDER BY random() LIMIT 1",
      [name],
    );
    cut += rowCount ?? 0;
  }
  await admin.end();
  return cut;
}
