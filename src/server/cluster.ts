import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import type { ConnectionSettings } from '../config/connection.js';
import { SetupError } from '../config/problem.js';
import { connect } from '../traffic/session.js';
import { type Account, type Binaries, prepareBinaries, unprivilegedAccount } from './binaries.js';
import { cleanUpLeftovers, homePrefix } from './leftovers.js';

/** A private PostgreSQL server in a temporary folder, on loopback. */
export interface Cluster {
  readonly settings: ConnectionSettings;
  readonly processId: number;
  /** Where its data and log lie. */
  readonly home: string;
  /** Stops the server and removes its folder. Safe to call twice. */
  stop(): Promise<void>;
  /** Stops at once, as a process's exit handler must. */
  stopNow(): void;
}

export interface ClusterOptions {
  /** Lines for postgresql.conf. */
  readonly settings?: readonly string[];
  /** Folder of another PostgreSQL's programs; the embedded one by default. */
  readonly programs?: string;
}

const START_TIMEOUT_MS = 30_000;

/** A folder that a server's data goes into, and the programs that work on it. */
export interface Site {
  readonly binaries: Binaries;
  /** Null: the current user. */
  readonly account: Account | null;
  readonly home: string;
  readonly data: string;
  readonly port: number;
}

/** Creates and starts a server: initdb takes half a second, the start 50 ms. */
export function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  return establish(options.programs, (site) => initialise(site, options.settings ?? []));
}

/** Starts a server on the data that `fill` puts into a new folder. */
export async function establish(
  programs: string | undefined,
  fill: (site: Site) => void | Promise<void>,
): Promise<Cluster> {
  cleanUpLeftovers();
  const account = unprivilegedAccount();
  const home = mkdtempSync(homePrefix());
  const remove = () => rmSync(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  try {
    if (account !== null) chownSync(home, account.uid, account.gid);
    chmodSync(home, 0o700);
    const binaries =
      programs === undefined ? prepareBinaries(home, account) : { folder: programs, environment: process.env };
    const site = { binaries, account, home, data: path.join(home, 'data'), port: await freePort() };
    await fill(site);
    return await launch(site, remove);
  } catch (error) {
    remove();
    throw error;
  }
}

function initialise({ binaries, account, home, data, port }: Site, settings: readonly string[]): void {
  const initdb = spawnSync(
    path.join(binaries.folder, 'initdb'),
    ['-D', data, '-U', 'postgres', '-A', 'trust', '--locale=C', '--encoding=UTF8', '--no-sync'],
    { ...runAs(account), env: binaries.environment, encoding: 'utf8', cwd: home },
  );
  if (initdb.status !== 0) {
    throw SetupError.of(
      'embedded PostgreSQL',
      `initdb failed: ${initdb.error?.message ?? initdb.stderr.trim().split('\n').pop()}`,
    );
  }
  // A throw-away server: durability costs time and protects nothing.
  const lines = [
    `port = ${port}`,
    "listen_addresses = '127.0.0.1'",
    "unix_socket_directories = ''",
    'fsync = off',
    'full_page_writes = off',
    'max_connections = 200',
    'shared_buffers = 256MB',
    'max_wal_size = 4GB',
    "timezone = 'UTC'",
    'wal_level = logical',
    'logging_collector = off',
    ...settings,
  ];
  writeFileSync(path.join(data, 'postgresql.conf'), `${lines.join('\n')}\n`, { flag: 'a' });
}

async function launch({ binaries, account, home, data, port }: Site, remove: () => void): Promise<Cluster> {
  // Detached: Ctrl+C goes to the foreground's process group and would end the server before our sessions.
  const server = spawn(path.join(binaries.folder, 'postgres'), ['-D', data], {
    ...runAs(account),
    env: binaries.environment,
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
    cwd: home,
  });
  let log = '';
  server.stderr.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-4000);
  });
  const exited = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  const settings: ConnectionSettings = {
    host: '127.0.0.1',
    port,
    database: 'postgres',
    user: 'postgres',
    password: undefined,
    ssl: 'disable',
    sslRootCert: undefined,
    sslCert: undefined,
    sslKey: undefined,
    settings: {},
  };
  const stopNow = () => {
    if (server.exitCode === null && server.signalCode === null) kill(server, 'SIGQUIT');
    remove();
  };
  process.once('exit', stopNow);
  const stop = async () => {
    process.removeListener('exit', stopNow);
    if (server.exitCode === null && server.signalCode === null) {
      kill(server, 'SIGINT');
      const timer = setTimeout(() => kill(server, 'SIGKILL'), 10_000);
      await exited;
      clearTimeout(timer);
    }
    remove();
  };
  try {
    await waitUntilReady(settings, server, () => log);
  } catch (error) {
    await stop();
    throw error;
  }
  server.unref();
  (server.stderr as unknown as { unref(): void }).unref();
  return { settings, processId: server.pid!, home, stop, stopNow };
}

async function waitUntilReady(settings: ConnectionSettings, server: ChildProcess, log: () => string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    if (server.exitCode !== null)
      throw SetupError.of(
        'embedded PostgreSQL',
        `the server stopped during startup: ${log().trim().split('\n').pop()}`,
      );
    try {
      const client = await connect(settings, {
        applicationName: 'eventgen/start',
        connectTimeoutMs: 1000,
        statementTimeoutMs: 0,
        lockTimeoutMs: 0,
        pipeline: false,
      });
      await client.end();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function kill(server: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(server.pid!, signal);
  } catch {
    // It has ended already.
  }
}

/** How a program is started as the server's user. */
export function runAs(account: Account | null): { uid?: number; gid?: number } {
  return account === null ? {} : { uid: account.uid, gid: account.gid };
}

/** A port of loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
