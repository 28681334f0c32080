import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process';
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
      const left = await sessionsLeft(client, name);
      await client.end();
      await administer(port, `DROP DATABASE ${name} WITH (FORCE)`);
      // A connection that outlives its run is a leak.
      if (left.length > 0) throw new Error(`connections left open: ${left.join(', ')}`);
    },
  };
}

const LEAVE_MS = 5000;

/** Names of sessions of runs that are still there. A backend needs a moment to leave when its client is gone. */
async function sessionsLeft(client: pg.Client, name: string): Promise<string[]> {
  for (const startMs = performance.now(); ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const { rows } = await client.query<{ session: string }>(
      "SELECT application_name AS session FROM pg_stat_activity WHERE datname = $1 AND application_name LIKE 'eventgen%'",
      [name],
    );
    if (rows.length === 0 || performance.now() - startMs > LEAVE_MS) return rows.map(({ session }) => session);
  }
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

/** The files of one command line. */
interface Files {
  readonly config: string;
  readonly summary: string;
  /** Returns the summary, undefined where there is none, and takes the files away. */
  readonly finish: () => Summary | undefined;
}

function filesFor(yaml: string): Files {
  const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-test-'));
  const [config, summary] = [path.join(folder, 'config.yaml'), path.join(folder, 'summary.json')];
  writeFileSync(config, yaml);
  const finish = () => {
    try {
      return JSON.parse(readFileSync(summary, 'utf8')) as Summary;
    } catch {
      // Ended before it was written: the test will say so.
      return undefined;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
  return { config, summary, finish };
}

const MOST_MS = 110_000;

/**
 * The command line as a user calls it, on a configuration text; ended by force before a test's time is up. EVENTGEN_NODE is the Node.js to
 * use; EVENTGEN_MOST_MS: another time for tests that last longer.
 */
export function startCli(
  yaml: string,
  options: readonly string[] = [],
  environment: NodeJS.ProcessEnv = {},
  command: readonly string[] = ['run'],
): Running {
  const { config, summary: summaryFile, finish } = filesFor(yaml);
  const { EVENTGEN_NODE: node = process.execPath, EVENTGEN_MOST_MS: mostMs, ...variables } = environment;
  const child = spawn(node, [CLI, ...command, '-c', config, '--summary', summaryFile, ...options], {
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
  const limit = setTimeout(() => child.kill('SIGKILL'), mostMs === undefined ? MOST_MS : Number(mostMs));
  const ended = new Promise<Ran>((resolve) => {
    child.once('close', (code) => {
      clearTimeout(limit);
      resolve({ code, stdout, stderr, summary: finish() as Summary });
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

/** As startCli, to its end. Where it needs no process of its own, one that has the code loaded carries it out. */
export async function runCli(
  yaml: string,
  options: readonly string[] = [],
  environment: NodeJS.ProcessEnv = {},
  command: readonly string[] = ['run'],
): Promise<Ran> {
  if (Object.keys(environment).length > 0 || yaml.includes('embedded: true'))
    return await startCli(yaml, options, environment, command).ended;
  const { config, summary, finish } = filesFor(yaml);
  const ended = await hosted([...command, '-c', config, '--summary', summary, ...options]);
  return { ...ended, summary: finish() as Summary };
}

/** The command line with some arguments, to its end. */
export function runCommand(options: readonly string[], input = ''): Promise<Ended> {
  if (input === '' && !options.includes('-')) return hosted(options);
  const child = spawn(process.execPath, [CLI, ...options]);
  child.stdin.end(input);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
}

type Ended = Omit<Ran, 'summary'>;

const HOST = fileURLToPath(new URL('./host.mjs', import.meta.url));
/* Each command leaves its modules behind. */
const MOST_COMMANDS = 60;
/** Hosts that wait for a command, with how many they have carried out. */
const waiting: { readonly host: ChildProcess; readonly commands: number }[] = [];

async function hosted(args: readonly string[]): Promise<Ended> {
  const { host, commands } = waiting.pop() ?? {
    host: fork(HOST, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] }),
    commands: 0,
  };
  const limit = setTimeout(() => host.kill('SIGKILL'), MOST_MS);
  const ended = new Promise<(Ended & { readonly left: readonly string[] }) | null>((resolve) => {
    host.once('message', resolve).once('exit', () => resolve(null));
  });
  host.send({ cli: CLI, args, environment: process.env });
  const answer = await ended;
  clearTimeout(limit);
  host.removeAllListeners();
  if (answer === null) return { code: host.exitCode, stdout: '', stderr: 'the process ended without an answer' };
  const { left, ...rest } = answer;
  if (commands + 1 < MOST_COMMANDS && left.length === 0) waiting.push({ host, commands: commands + 1 });
  else host.disconnect();
  if (left.length > 0) throw new Error(`the process would not end: ${left.join(', ')} are left`);
  return rest;
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

/** How fast a run goes while a test does something to it; `letGo`: as fast as it can, to its end. */
export interface Pace {
  readonly traffic: string;
  readonly letGo: () => void;
}

/** The pace of a run that must outlast what is done to it, on a fast machine as well. All arrivals are made up for. */
export function heldPace(perSecond: number): Pace {
  const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-pace-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'control.yaml');
  return {
    traffic: `traffic: { rate: ${perSecond}, catch_up: all, control_file: ${JSON.stringify(file)} }`,
    letGo: () => writeFileSync(file, 'rate: 100000'),
  };
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
