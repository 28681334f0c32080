import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type pg from 'pg';
import type { Verdict } from '../../src/proof/verdict.js';
import { indexAt } from '../../src/random/choice.js';
import type { Stream } from '../../src/random/stream.js';
import type { Summary } from '../../src/report/summary.js';
import type { Animal } from '../zoo/animal.js';
import type { Fault, Scene } from './faults.js';
import type { Site } from './site.js';

/* npm and vitest start at the project's root. */
const CLI = path.resolve('dist/src/cli.js');
const DEATH = pathToFileURL(path.resolve('test/chaos/die.mjs')).href;
const RATE = 800;
const MOST_SECONDS = 180;
const THREAD_LIFE_MS = 4000;
const GENTLE_SHARE = 0.7;
/* Rounds that are recorded, and verified at their end. */
const RECORDED_SHARE = 0.5;

/** How a run under faults came out. */
export interface Outcome {
  readonly animal: string;
  readonly isRecorded: boolean;
  readonly struck: readonly string[];
  readonly threadDeaths: number;
  readonly seconds: number;
  readonly events: number;
  readonly reproducible: boolean;
  /** True if nothing that happened may change the rows. */
  readonly mustBeReproducible: boolean;
  /** What does not hold, in words; empty: all holds. */
  readonly wrong: readonly string[];
}

interface Round {
  readonly animal: Animal;
  readonly faults: readonly Fault[];
  /** Of its database. */
  readonly name: string;
  /** Number of the run's operations. */
  readonly operations: number;
  readonly stream: Stream;
}

/** Runs traffic on a schema of the zoo while faults strike, and holds the result against the tables, a slot and a run in peace. */
export async function chaosRound(site: Site, { animal, faults, name, operations, stream }: Round): Promise<Outcome> {
  const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-chaos-'));
  const deaths = path.join(folder, 'deaths');
  mkdirSync(deaths);
  const beganMs = performance.now();
  try {
    const tables = await createDatabase(site, name, animal.sql);
    const slot = `chaos_${name}`;
    await watch(site, name, slot);
    const hasDeaths = stream.chance(0.3);
    const settings = settingsFor(animal, operations, stream);
    const environment = hasDeaths
      ? { NODE_OPTIONS: `--import ${DEATH}`, CHAOS_DEATHS_FOLDER: deaths, CHAOS_THREAD_LIFE_MS: String(THREAD_LIFE_MS) }
      : {};
    // The slot of a capture does not outlive its server.
    const isRecorded = stream.chance(RECORDED_SHARE);
    const allowed = isRecorded ? faults.filter((fault) => fault.name !== 'failover') : faults;
    const [capture, history] = [path.join(folder, 'capture'), path.join(folder, 'history')];
    const options = isRecorded ? ['--capture', capture, '--history', history] : [];
    const running = run(folder, { hosts: site.hosts, name, settings, rate: RATE, options }, environment);
    const struck = await strike({ site, database: name, tables, stream }, allowed, running.ended);
    const { code, summary, stderr } = await running.ended;
    const wrong: string[] = [];
    if (summary === null) wrong.push(`no summary; exit code ${code}: ${stderr.slice(-600)}`);
    else {
      wrong.push(...(await against(site, name, summary, { operations, code })));
      if (!struck.some(({ name: fault }) => fault === 'failover'))
        wrong.push(...(await againstSlot(site, name, slot, summary)));
      if (summary.reproducible) wrong.push(...(await againstPeace(site, name, { folder, animal, settings })));
      if (isRecorded && !struck.some(({ changesRows }) => changesRows))
        wrong.push(...(await verified(site, name, { capture, history, updates: summary.events.update })));
    }
    return {
      animal: animal.name,
      isRecorded,
      struck: struck.map(({ name: fault }) => fault),
      threadDeaths: readdirSync(deaths).length,
      seconds: (performance.now() - beganMs) / 1000,
      events: summary === null ? 0 : Object.values(summary.events).reduce((sum, each) => sum + each, 0),
      reproducible: summary?.reproducible ?? false,
      mustBeReproducible: !struck.some(({ changesRows }) => changesRows),
      wrong,
    };
  } finally {
    await dropDatabase(site, name).catch(() => undefined);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Returns the tables of a new database, as SQL writes them. */
async function createDatabase(site: Site, name: string, sql: string): Promise<string[]> {
  await site.in('postgres', (client) => client.query(`CREATE DATABASE ${name}`));
  return await site.in(name, async (client) => {
    await client.query(sql);
    // Publishing a table without a replica identity would make its UPDATEs fail.
    await client.query(`DO $$ DECLARE name regclass; BEGIN
      FOR name IN SELECT oid FROM pg_class WHERE relkind IN ('r', 'p') AND (relnamespace >= 16384 OR relnamespace = 'public'::regnamespace)
      LOOP EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', name); END LOOP; END $$`);
    const { rows } = await client.query<{ name: string }>(
      "SELECT oid::regclass::text AS name FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace ORDER BY 1",
    );
    return rows.map((row) => row.name);
  });
}

async function dropDatabase(site: Site, name: string): Promise<void> {
  await site.in('postgres', async (client) => {
    await client.query(
      'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1 AND NOT active',
      [name],
    );
    await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  });
}

function settingsFor({ settings = '' }: Animal, operations: number, stream: Stream): string {
  const blocks = [
    'transaction: { statements: 1 }',
    'transaction: { statements: { min: 1, max: 6 }, savepoint_ratio: 0.3, rollback_ratio: 0.1 }',
    'transaction: { statements: 3, isolation: repeatable read }',
  ];
  return [
    `random_seed: ${stream.below(1_000_000)}`,
    'connections: 4',
    'workers: 2',
    'max_outage_seconds: 90',
    ...(settings.includes('transaction:') ? [] : [blocks[stream.below(blocks.length)]!]),
    ...settings.split('\n').filter((line) => line !== '' && !line.includes('num_iterations')),
    `num_iterations: ${operations}`,
  ].join('\n');
}

interface Asked {
  readonly hosts: readonly string[];
  readonly name: string;
  readonly settings: string;
  /** Null: as fast as possible. */
  readonly rate: number | null;
  readonly options: readonly string[];
}

interface Ran {
  readonly code: number | null;
  readonly stderr: string;
  readonly summary: Summary | null;
}

function run(
  folder: string,
  { hosts, name, settings, rate, options }: Asked,
  environment: NodeJS.ProcessEnv,
): { readonly ended: Promise<Ran> } {
  const file = path.join(folder, `${name}.yaml`);
  const summary = path.join(folder, `${name}.json`);
  const traffic = rate === null ? '' : `traffic: { rate: ${rate}, catch_up: all }\n`;
  writeFileSync(
    file,
    `connection: { hosts: [${hosts.map((host) => `"${host}"`).join(', ')}], database: ${name}, user: postgres }\ngenerator:\n  ${settings.replaceAll('\n', '\n  ')}\n${traffic}metrics: { enabled: false }\n`,
  );
  const child = spawn(process.execPath, [CLI, 'run', '-c', file, '--quiet', '--summary', summary, ...options], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  const limit = setTimeout(() => child.kill('SIGKILL'), MOST_SECONDS * 1000);
  const ended = new Promise<Ran>((resolve) => {
    child.once('close', (code) => {
      clearTimeout(limit);
      resolve({ code, stderr, summary: readSummary(summary) });
    });
  });
  return { ended };
}

function readSummary(file: string): Summary | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Summary;
  } catch {
    return null;
  }
}

/** Lets faults strike until the run has ended. Returns those that did. */
async function strike(scene: Scene, all: readonly Fault[], ended: Promise<unknown>): Promise<Fault[]> {
  const { site, database, stream } = scene;
  let isOver = false;
  void ended.then(() => (isOver = true));
  const struck: Fault[] = [];
  // Most rounds must leave the rows of a run in peace.
  const gentle = all.filter(({ changesRows }) => !changesRows);
  const faults = stream.chance(GENTLE_SHARE) && gentle.length > 0 ? gentle : all;
  const isRunning = async () =>
    await site
      .in(database, async (client) => {
        const { rowCount } = await client.query(
          "SELECT FROM pg_stat_activity WHERE datname = $1 AND application_name ~ '^eventgen/[^/]+/[0-9]+$'",
          [database],
        );
        return rowCount! > 0;
      })
      .catch(() => false);
  while (!isOver && !(await isRunning())) await sleep(100);
  while (!isOver) {
    await sleep(500 + stream.below(2500));
    if (isOver) break;
    const fault = drawn(faults, stream);
    struck.push(fault);
    // A fault may meet another one's consequences, such as a server that is still starting.
    await fault.strike(scene).catch(() => undefined);
  }
  return struck;
}

function drawn(faults: readonly Fault[], stream: Stream): Fault {
  let sum = 0;
  const cumulative = faults.map(({ weight }) => {
    sum += weight;
    return sum;
  });
  return faults[indexAt(cumulative, stream.fraction())]!;
}

/** What the summary says, against the tables. */
async function against(
  site: Site,
  name: string,
  summary: Summary,
  { operations, code }: { readonly operations: number; readonly code: number | null },
): Promise<string[]> {
  const wrong: string[] = [];
  const { totals, exit, tables, reproducible } = summary;
  if (code !== 0) wrong.push(`exit code ${code}: ${exit.reason}`);
  if (totals['operations'] !== operations) wrong.push(`${totals['operations']} of ${operations} operations`);
  if (totals['in_doubt_unknown'] !== 0) wrong.push(`${totals['in_doubt_unknown']} outcomes are unknown`);
  await site.in(name, async (client) => {
    for (const [table, { rows_expected: expected }] of Object.entries(tables)) {
      if (expected === null) {
        if (reproducible) wrong.push(`${table}: the number of rows is not known, though the run is reproducible`);
        continue;
      }
      const { rows } = await client.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`);
      if (rows[0]!.n !== expected) wrong.push(`${table}: ${rows[0]!.n} rows, the summary says ${expected}`);
    }
    const { rows: sessions } = await client.query<{ name: string }>(
      "SELECT application_name AS name FROM pg_stat_activity WHERE application_name LIKE 'eventgen/%' AND application_name <> 'eventgen/replica'",
    );
    if (sessions.length > 0) wrong.push(`sessions left: ${sessions.map((each) => each.name).join(', ')}`);
  });
  return wrong;
}

async function watch(site: Site, name: string, slot: string): Promise<void> {
  await site.in(name, async (client) => {
    await client.query('CREATE PUBLICATION chaos FOR ALL TABLES');
    await client.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [slot]);
  });
}

/* Of UPDATEs that changed nothing, on tables of few values. */
const MOST_UNSEEN = 40;
const UNSEEN_SHARE = 0.01;

/* Messages of the logical replication protocol. */
const KINDS = { I: 'insert', U: 'update', D: 'delete' } as const;

/** What the summary says, against what a logical slot has seen. */
async function againstSlot(site: Site, name: string, slot: string, { events, tables }: Summary): Promise<string[]> {
  // Rows that triggers make are no events of the run.
  if (Object.values(tables).some(({ by_trigger: made }) => made !== 0)) return [];
  const seen = { insert: 0, update: 0, delete: 0 };
  await site.in(name, async (client: pg.Client) => {
    const { rows } = await client.query<{ kind: string; n: number }>(
      `SELECT chr(get_byte(data, 0)) AS kind, count(*)::int AS n FROM pg_logical_slot_get_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', 'chaos') GROUP BY 1`,
      [slot],
    );
    for (const { kind, n } of rows) {
      const known = KINDS[kind as keyof typeof KINDS];
      if (known !== undefined) seen[known] += n;
    }
  });
  return (['insert', 'update', 'delete'] as const).flatMap((kind) => {
    const missing = events[kind] - seen[kind];
    // After lost answers, nothing tells an UPDATE to the values that were there before from one that did not happen (docs/faults.md).
    const isKnown = kind === 'update' && missing > 0 && missing <= Math.min(MOST_UNSEEN, events.update * UNSEEN_SHARE);
    return missing === 0 || isKnown ? [] : [`${kind}: a slot saw ${seen[kind]} rows, the summary says ${events[kind]}`];
  });
}

/** What the server's stream told, against the history of the run; and the tables, against what the history says they must hold. */
async function verified(
  site: Site,
  name: string,
  { capture, history, updates }: { readonly capture: string; readonly history: string; readonly updates: number },
): Promise<string[]> {
  const target = `postgresql://postgres@127.0.0.1:${site.port}/${name}`;
  const wrong: string[] = [];
  const judge = async (...options: string[]): Promise<Verdict | null> => {
    const { code, stdout, stderr } = await verify(options);
    if (code === 0 || code === 4) return JSON.parse(stdout) as Verdict;
    wrong.push(`verify ${options[0]} ended with exit code ${code}: ${stderr.slice(-300)} ${stdout.slice(0, 300)}`);
    return null;
  };
  const events = await judge('--events', capture, '--history', history, '--order', 'key');
  // As for the slot: an UPDATE to the values that were there before may be counted, and not have happened.
  const isKnown = ({ class: found, op }: Verdict['differences'][number]) => found === 'lost' && op === 'update';
  const unseen = Math.min(MOST_UNSEEN, updates * UNSEEN_SHARE);
  if (events !== null && (!events.differences.every(isKnown) || events.difference_count > unseen))
    wrong.push(`the capture: ${events.headline} ${JSON.stringify(events.differences.slice(0, 3))}`);
  const left = await judge('--expected', '--history', history, '--target', target);
  if (left !== null && left.verdict !== 'equal')
    wrong.push(`the tables: ${left.headline} ${JSON.stringify(left.differences.slice(0, 3))}`);
  return wrong;
}

function verify(options: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [CLI, 'verify', ...options, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const limit = setTimeout(() => child.kill('SIGKILL'), MOST_SECONDS * 1000);
  const text = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].on('data', (bytes: Buffer) => (text[stream] += bytes.toString()));
  return new Promise((resolve) => {
    child.once('close', (code) => {
      clearTimeout(limit);
      resolve({ code, ...text });
    });
  });
}

/** The rows, against those that the same run leaves where nothing goes wrong. */
async function againstPeace(
  site: Site,
  name: string,
  { folder, animal, settings }: { readonly folder: string; readonly animal: Animal; readonly settings: string },
): Promise<string[]> {
  const twin = `${name}_peace`;
  await createDatabase(site, twin, animal.sql);
  try {
    const { code, stderr } = await run(
      folder,
      { hosts: [`127.0.0.1:${site.port}`], name: twin, settings, rate: null, options: [] },
      {},
    ).ended;
    if (code !== 0) return [`the run in peace ended with exit code ${code}: ${stderr.slice(-300)}`];
    const [stormy, peaceful] = [await contents(site, name), await contents(site, twin)];
    return [...peaceful].flatMap(([table, hash]) =>
      stormy.get(table) === hash ? [] : [`${table}: other rows than without faults, though the run is reproducible`],
    );
  } finally {
    await dropDatabase(site, twin).catch(() => undefined);
  }
}

async function contents(site: Site, name: string): Promise<ReadonlyMap<string, string>> {
  return await site.in(name, async (client) => {
    const { rows: tables } = await client.query<{ name: string }>(
      "SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    );
    const hashes = new Map<string, string>();
    for (const { name: table } of tables) {
      const { rows } = await client.query<{ hash: string }>(
        `SELECT count(*) || '/' || coalesce(sum(hashtextextended(t::text, 0)), 0) AS hash FROM ONLY ${table} AS t`,
      );
      hashes.set(table, rows[0]!.hash);
    }
    return hashes;
  });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
