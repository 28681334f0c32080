import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import pg from 'pg';
import { type Config, parseConfig } from '../src/config/load.js';
import type { Plan } from '../src/plan/plan.js';
import { connectCoordinator } from '../src/prepare/connect.js';
import { prepare } from '../src/prepare/prepare.js';
import { type Cluster, startCluster } from '../src/server/cluster.js';
import { startTraffic, type Traffic, workerCount } from '../src/traffic/coordinator.js';
import { startWorkers } from '../src/traffic/workers.js';

/** One window of time on one side of a comparison. */
export interface Sample {
  readonly operations: number;
  readonly rows: number;
  readonly seconds: number;
  /** Of the whole machine: ours, the server's and whoever else's. */
  readonly machineCpuSeconds: number;
  /** Of this process alone. */
  readonly ownCpuSeconds: number;
}

/** Starts a server for a benchmark and stops it at the end, whatever happens. */
export async function withServer(work: (cluster: Cluster, client: pg.Client) => Promise<void>): Promise<void> {
  const cluster = await startCluster({
    settings: ['synchronous_commit = off', 'max_connections = 300', 'max_locks_per_transaction = 4096'],
  });
  const client = new pg.Client(clientOptions(cluster));
  try {
    await client.connect();
    await work(cluster, client);
  } finally {
    await client.end().catch(() => undefined);
    await cluster.stop();
  }
}

function clientOptions({ settings }: Cluster): pg.ClientConfig {
  return { ...settings, password: settings.password ?? '', ssl: false };
}

/** A configuration for the cluster, from the lines of a generator section. */
export function configFor(cluster: Cluster, generator: string): Config {
  const { host, port, database, user, password } = cluster.settings;
  const lines = generator.split('\n').map((line) => `  ${line}`);
  const text = `connection: { host: ${host}, port: ${port}, database: ${database}, user: ${user}, password: "${password ?? ''}" }\ngenerator:\n${lines.join('\n')}\n`;
  return parseConfig('bench', text, [], process.env);
}

/** Our traffic under way: its threads run, every lane has committed something. */
export interface Running {
  readonly traffic: Traffic;
  readonly plan: Plan;
  window(seconds: number): Promise<Sample>;
  stop(): Promise<void>;
}

/** Plans and starts traffic, and waits until it flows. */
export async function startOurs(cluster: Cluster, config: Config): Promise<Running> {
  const client = await connectCoordinator(cluster.settings, config, 'bench');
  const prepared = await prepare(client, config, {
    dryRun: false,
    say: () => undefined,
    step: () => undefined,
    rehearsal: null,
  });
  await client.end();
  const { generator } = config;
  const { plan } = prepared;
  const traffic = startTraffic({
    plan,
    claims: prepared.claims,
    incarnation: prepared.incarnation,
    connection: cluster.settings,
    workers: startWorkers(workerCount(generator.workers, plan.quotas.length, true), 'traffic'),
    runId: 'bench',
    timeouts: generator.timeouts,
    maxOutageMs: 1000,
    maxPreparedStatements: generator.max_prepared_statements,
    waitAfterOperations: 0,
    waitMs: 0,
    pacing: null,
    startAtMs: null,
    lanes: [...plan.quotas.keys()],
    warmUpMs: 0,
    lateAfterMs: 1000,
    historyFile: null,
    past: null,
    keeping: null,
    notice: (told) => console.error(JSON.stringify(told)),
  });
  await until(() => plan.quotas.every((_, lane) => traffic.totals.laneApplied(lane) > 0));
  const operations = () => plan.quotas.reduce((sum, _, lane) => sum + traffic.totals.laneApplied(lane), 0);
  const rows = () =>
    plan.relations.reduce(
      (sum, _, relation) =>
        sum +
        (['insert', 'update', 'delete'] as const).reduce(
          (of, kind) =>
            of + traffic.totals.table(relation, kind, 'rows') + traffic.totals.table(relation, kind, 'cascaded'),
          0,
        ),
      0,
    );
  return {
    traffic,
    plan,
    window: (seconds) => measureWindow(operations, rows, seconds),
    stop: async () => {
      traffic.stop();
      await traffic.ended;
    },
  };
}

export async function until(condition: () => boolean, seconds = 60): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('no traffic within the time allowed');
    await sleep(0.01);
  }
}

export async function sleep(seconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

/** Counts over a window of time. */
async function measureWindow(operations: () => number, rows: () => number, seconds: number): Promise<Sample> {
  const before = { operations: operations(), rows: rows(), machine: machineCpuSeconds(), own: process.cpuUsage() };
  const start = performance.now();
  await sleep(seconds);
  const own = process.cpuUsage(before.own);
  return {
    operations: operations() - before.operations,
    rows: rows() - before.rows,
    seconds: (performance.now() - start) / 1000,
    machineCpuSeconds: machineCpuSeconds() - before.machine,
    ownCpuSeconds: (own.user + own.system) / 1e6,
  };
}

const TICKS_PER_SECOND = 100;

/** CPU time that all processes of the machine have used since its start; NaN where /proc is not there. */
export function machineCpuSeconds(): number {
  try {
    const [, user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.split(/\s+/);
    return [user, nice, system, irq, softirq].reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_SECOND;
  } catch {
    return Number.NaN;
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Median with the range of the middle half, as text. */
export function spread(values: readonly number[], digits = 2): string {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
  return `${median(values).toFixed(digits)} (${at(0.25).toFixed(digits)}–${at(0.75).toFixed(digits)})`;
}

export function perSecond(sample: Sample): number {
  return sample.operations / sample.seconds;
}

export function microsPerOperation(cpuSeconds: number, operations: number): number {
  return (cpuSeconds * 1e6) / operations;
}

export function describeMachine(): string {
  return `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), Node ${process.versions.node}`;
}

/** Finds a program of the system, as `pgbench`; null where it is not installed. */
export function findProgram(name: string): string | null {
  const found = spawnSync(
    'sh',
    ['-c', `command -v ${name} || ls /usr/lib/postgresql/*/bin/${name} 2>/dev/null | tail -1`],
    {
      encoding: 'utf8',
    },
  ).stdout.trim();
  return found === '' ? null : found;
}

/** A whole number from the command line: `--rounds 9`. */
export function option(name: string, standard: number): number {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? standard : Number(process.argv[at + 1]);
}
