import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import pg from 'pg';
import { prepareBinaries, unprivilegedAccount } from '../../src/server/binaries.js';
import { type Cluster, runAs, startCluster } from '../../src/server/cluster.js';
import { startStandby } from '../../src/server/replica.js';
import { Gate } from './gate.js';

const PATIENCE_MS = 60_000;

/** A server that can be killed and started again on the same data and port. */
class Server {
  readonly cluster: Cluster;
  private revived: ChildProcess | null = null;

  constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  get port(): number {
    return this.cluster.settings.port;
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const pid = this.revived?.pid ?? this.cluster.processId;
    process.kill(pid, signal);
    await until(() => !isAlive(pid), 'the server to end');
  }

  /** Starts it again; it recovers what it has logged. */
  async revive(): Promise<void> {
    const account = unprivilegedAccount();
    const { home } = this.cluster;
    const binaries = prepareBinaries(home, account);
    const program = path.join(binaries.folder, 'postgres');
    const options = { ...runAs(account), env: binaries.environment, stdio: 'ignore' as const, cwd: home };
    await until(async () => {
      // The backends of a killed postmaster hold its memory until they have noticed.
      if (this.revived === null || this.revived.exitCode !== null || this.revived.signalCode !== null)
        this.revived = spawn(program, ['-D', path.join(home, 'data')], options);
      return await answers(this.port);
    }, 'the server to start again');
  }

  async stop(): Promise<void> {
    if (this.revived !== null && this.revived.exitCode === null && this.revived.signalCode === null)
      await this.kill('SIGQUIT');
    await this.cluster.stop();
  }
}

/** A primary and a synchronous standby, each behind a gate whose port stays whichever server it leads to. */
export class Site {
  /** Of the primary and of the standby; a failover exchanges them. */
  private servers: [primary: Server, standby: Server];
  private readonly gates: readonly [Gate, Gate];
  /** The gate that leads to the primary. */
  private lead = 0;

  private constructor(servers: [Server, Server], gates: [Gate, Gate]) {
    this.servers = servers;
    this.gates = gates;
  }

  static async open(): Promise<Site> {
    const primary = await startCluster({ settings: ['max_connections = 100', 'restart_after_crash = on'] });
    const standby = await startStandby(primary);
    const gates: [Gate, Gate] = [await Gate.open(primary.settings.port), await Gate.open(standby.settings.port)];
    const site = new Site([new Server(primary), new Server(standby)], gates);
    await site.synchronous(true);
    return site;
  }

  /** As `connection.hosts` names both. */
  get hosts(): string[] {
    return this.gates.map(({ port }) => `127.0.0.1:${port}`);
  }

  get gate(): Gate {
    return this.gates[this.lead]!;
  }

  /** Of the primary itself, past its gate. */
  get port(): number {
    return this.servers[0].port;
  }

  /** Does something in a database of the primary. */
  async in<Result>(database: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
    return await inDatabase(this.port, database, work);
  }

  async restart(signal: 'SIGKILL' | 'SIGQUIT'): Promise<void> {
    await this.servers[0].kill(signal);
    await this.servers[0].revive();
  }

  /** The standby becomes the primary, and a new standby takes the place of the dead one. */
  async failOver(): Promise<void> {
    const [dead, promoted] = this.servers;
    await dead.kill('SIGKILL');
    this.gates[this.lead]!.lead(null);
    // Its configuration is a copy, so it would wait for a standby that it does not have.
    await inDatabase(promoted.port, 'postgres', async (client) => {
      await client.query('SELECT pg_promote(true, 60)');
      await client.query('ALTER SYSTEM SET synchronous_standby_names = $$$$');
      await client.query('SELECT pg_reload_conf()');
    });
    this.lead = 1 - this.lead;
    await dead.stop().catch(() => undefined);
    const standby = new Server(await startStandby(promoted.cluster));
    this.servers = [promoted, standby];
    this.gates[1 - this.lead]!.lead(standby.port);
    await this.synchronous(true);
  }

  /** Commits wait for the standby, so that a failover loses none. */
  private async synchronous(isOn: boolean): Promise<void> {
    await this.in('postgres', async (client) => {
      await client.query(`ALTER SYSTEM SET synchronous_standby_names = '${isOn ? '*' : ''}'`);
      await client.query('SELECT pg_reload_conf()');
    });
  }

  async close(): Promise<void> {
    for (const gate of this.gates) await gate.close();
    await this.servers[1].stop();
    await this.servers[0].stop();
  }
}

async function inDatabase<Result>(
  port: number,
  database: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database, connectionTimeoutMillis: 5000 });
  // Its end is part of the test.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function answers(port: number): Promise<boolean> {
  return await inDatabase(port, 'postgres', async (client) => {
    await client.query('SELECT 1');
    return true;
  }).catch(() => false);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
