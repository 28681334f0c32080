import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from '../../src/server/cluster.js';

/* Debian has it where only an administrator looks. */
const PROGRAMS = ['pgbouncer', '/usr/sbin/pgbouncer'];
const PROGRAM = PROGRAMS.find((program) => spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined);

/** True where pgbouncer is installed; said where it is not, and an error in CI. */
export function hasPgbouncer(): boolean {
  if (PROGRAM !== undefined) return true;
  if (process.env['CI'] === 'true') throw new Error('CI must install pgbouncer');
  console.warn('skipped: runs through a pooler; install Debian’s pgbouncer');
  return false;
}

/** A pooler in front of the server at a port. */
export interface Pooler {
  readonly port: number;
  stop(): Promise<void>;
}

/* It does not run as root: "nobody" on Debian. */
const NOBODY = 65534;

export async function startPgbouncer(server: number, settings: Readonly<Record<string, string>>): Promise<Pooler> {
  const port = await freePort();
  const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-pgbouncer-'));
  chmodSync(folder, 0o755);
  const file = path.join(folder, 'pgbouncer.ini');
  const lines = Object.entries({
    listen_addr: '127.0.0.1',
    listen_port: port,
    auth_type: 'any',
    unix_socket_dir: '',
    ...settings,
  });
  writeFileSync(
    file,
    `[databases]\n* = host=127.0.0.1 port=${server} user=postgres\n[pgbouncer]\n${lines.map(([key, value]) => `${key} = ${value}\n`).join('')}`,
  );
  const asNobody = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  const child = spawn(PROGRAM!, ['-q', file], { stdio: 'ignore', ...asNobody });
  await listening(port, child);
  return {
    port,
    stop: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function listening(port: number, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200 && child.exitCode === null; tries++) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.unref();
      setTimeout(() => socket.destroy(), 500).unref();
    });
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`pgbouncer does not listen on ${port} (exit code ${child.exitCode})`);
}
