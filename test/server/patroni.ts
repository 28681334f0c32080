import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from '../../src/server/cluster.js';

const PROGRAMS = '/usr/lib/postgresql/15/bin';
const NEEDED = [`${PROGRAMS}/postgres`, '/usr/bin/patroni', '/usr/bin/etcd'];

/** True where Patroni, etcd and PostgreSQL 15 are installed; said where they are not, and an error in CI. */
export function hasPatroni(): boolean {
  if (NEEDED.every((program) => existsSync(program))) return true;
  if (process.env['CI'] === 'true') throw new Error('CI must install patroni, etcd-server and postgresql-15');
  console.warn('skipped: fail-overs by Patroni; install Debian’s patroni, etcd-server and postgresql-15');
  return false;
}

interface Member {
  readonly name: string;
  /** Of PostgreSQL, and of Patroni's own interface. */
  readonly port: number;
  readonly restPort: number;
  readonly data: string;
  process: ChildProcess;
}

/** Two servers that Patroni keeps, with etcd as their witness. */
export interface Patroni {
  readonly ports: readonly number[];
  /** The port of the server that takes writes now. */
  leader(): Promise<number>;
  /** Lets the other server take over in good order. */
  switchOver(): Promise<void>;
  /** Kills the server that takes writes, with its Patroni. Returns when the other one has taken over. */
  killLeader(): Promise<void>;
  /** Starts what was killed. Returns when it follows. */
  revive(): Promise<void>;
  stop(): Promise<void>;
}

/* How long a leader that says nothing stays the leader; Patroni takes nothing shorter. */
const TTL_SECONDS = 20;
const PATIENCE_MS = 90_000;

/** Starts both, and waits until one follows the other. */
export async function startPatroni(): Promise<Patroni> {
  const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-patroni-'));
  chmodSync(folder, 0o755);
  const account = process.getuid?.() === 0 ? accountOf('postgres') : {};
  const own = (where: string) => account.uid !== undefined && chownSync(where, account.uid, account.gid!);
  const [client, peer] = [await freePort(), await freePort()];
  const etcdData = path.join(folder, 'etcd');
  mkdirSync(etcdData, { mode: 0o700 });
  own(etcdData);
  const url = (port: number) => `http://127.0.0.1:${port}`;
  const etcd = spawn(
    '/usr/bin/etcd',
    [
      ...['--data-dir', etcdData, '--listen-client-urls', url(client), '--advertise-client-urls', url(client)],
      ...['--listen-peer-urls', url(peer), '--initial-advertise-peer-urls', url(peer)],
      ...['--initial-cluster', `default=${url(peer)}`],
    ],
    { stdio: 'ignore', ...account },
  );
  await settled('etcd answers', async () => (await fetch(`${url(client)}/health`)).ok);

  const start = (config: string): ChildProcess =>
    spawn('/usr/bin/patroni', [config], { stdio: 'ignore', detached: true, ...account });
  const members: Member[] = [];
  const configOf = (name: string) => path.join(folder, `${name}.yml`);
  for (const name of ['a', 'b']) {
    const [port, restPort] = [await freePort(), await freePort()];
    const data = path.join(folder, name);
    mkdirSync(data, { mode: 0o700 });
    own(data);
    writeFileSync(
      configOf(name),
      `scope: eventgen
name: ${name}
restapi: { listen: "127.0.0.1:${restPort}", connect_address: "127.0.0.1:${restPort}" }
etcd3: { host: "127.0.0.1:${client}" }
bootstrap:
  dcs:
    ttl: ${TTL_SECONDS}
    loop_wait: 1
    retry_timeout: 5
    maximum_lag_on_failover: 100000000
    postgresql:
      use_pg_rewind: true
      parameters: { wal_level: logical, max_connections: 50, max_wal_senders: 6, wal_log_hints: "on", fsync: "off" }
  initdb: [ { encoding: UTF8 }, { locale: C }, { auth: trust } ]
  pg_hba: [ "host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust", "local all all trust" ]
postgresql:
  listen: "127.0.0.1:${port}"
  connect_address: "127.0.0.1:${port}"
  data_dir: ${path.join(data, 'data')}
  bin_dir: ${PROGRAMS}
  pgpass: ${path.join(data, 'pgpass')}
  authentication: { superuser: { username: postgres }, replication: { username: postgres }, rewind: { username: postgres } }
  parameters: { unix_socket_directories: "${data}" }
`,
    );
    chmodSync(configOf(name), 0o644);
    members.push({ name, port, restPort, data: path.join(data, 'data'), process: start(configOf(name)) });
    // The first one to come makes the database.
    if (name === 'a') await settled('a leads', () => answers(members[0]!, 'leader'));
  }
  const leading = async (): Promise<Member> => {
    for (const member of members) if (await answers(member, 'leader').catch(() => false)) return member;
    throw new Error('no server leads');
  };
  const other = (member: Member) => members.find((each) => each !== member)!;
  const follows = (member: Member) => settled(`${member.name} follows`, () => answers(member, 'replica'));
  await follows(members[1]!);
  return {
    ports: members.map(({ port }) => port),
    leader: async () => (await leading()).port,
    switchOver: async () => {
      const before = await leading();
      const next = other(before);
      await settled('a switchover begins', async () => {
        const response = await fetch(`${url(before.restPort)}/switchover`, {
          method: 'POST',
          body: JSON.stringify({ leader: before.name, candidate: next.name }),
        });
        return response.ok;
      });
      await settled(`${next.name} leads`, () => answers(next, 'leader'));
      await follows(before);
    },
    killLeader: async () => {
      const member = await leading();
      member.process.kill('SIGKILL');
      process.kill(Number(readFileSync(path.join(member.data, 'postmaster.pid'), 'utf8').split('\n')[0]), 'SIGKILL');
      await settled(`${other(member).name} leads`, () => answers(other(member), 'leader'));
    },
    revive: async () => {
      const member = members.find(({ process: each }) => each.signalCode !== null || each.exitCode !== null)!;
      member.process = start(configOf(member.name));
      await follows(member);
    },
    stop: async () => {
      for (const { process: patroni, data } of members) {
        patroni.kill('SIGKILL');
        try {
          process.kill(Number(readFileSync(path.join(data, 'postmaster.pid'), 'utf8').split('\n')[0]), 'SIGQUIT');
        } catch {
          // It has ended before.
        }
      }
      etcd.kill('SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, 500));
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}

async function answers({ restPort }: Member, role: 'leader' | 'replica'): Promise<boolean> {
  return (await fetch(`http://127.0.0.1:${restPort}/${role}`)).status === 200;
}

function accountOf(name: string): { uid?: number; gid?: number } {
  const id = (what: string) => Number(spawnSync('id', [what, name]).stdout.toString());
  return { uid: id('-u'), gid: id('-g') };
}

async function settled(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const startMs = performance.now(); ; await new Promise((resolve) => setTimeout(resolve, 100))) {
    if (await holds().catch(() => false)) return;
    if (performance.now() - startMs > PATIENCE_MS) throw new Error(`waited in vain: ${what}`);
  }
}
