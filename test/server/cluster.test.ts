import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { startCluster } from '../../src/server/cluster.js';
import { createDemo } from '../../src/server/demo.js';
import { CLI, configFor, connectTo, contentHash, createDatabase, runCli } from './database.js';

const DEBIAN_15 = '/usr/lib/postgresql/15/bin';
const hasDebian = existsSync(path.join(DEBIAN_15, 'postgres'));
if (!hasDebian) console.warn('skipped: PostgreSQL 15 against 18; install Debian’s postgresql-15 to run it');
// In CI nothing may be left out in silence.
if (!hasDebian && process.env['CI'] === 'true') throw new Error('CI must install postgresql-15');

function homes(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith('pg-event-generator-'));
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

it('stops without leaving anything behind', async () => {
  const cluster = await startCluster();
  expect(existsSync(cluster.home)).toBe(true);
  await cluster.stop();
  await cluster.stop();
  expect(existsSync(cluster.home)).toBe(false);
  expect(alive(cluster.processId)).toBe(false);
});

it('cleans up after a run that was killed, at the next start', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-kill-'));
  const child = spawn(
    process.execPath,
    [CLI, '--embedded', '--iterations', '-1', '--metrics-port', '0', '-c', path.resolve('event-generator.yaml')],
    {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let stderr = '';
  await new Promise<void>((resolve) => {
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
      if (stderr.includes('embedded PostgreSQL with the demo tables')) resolve();
    });
  });
  const mark = `pg-event-generator-${child.pid}-`;
  const [home] = homes().filter((name) => name.startsWith(mark));
  expect(home).toBeDefined();
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exited;
  const servers = () => spawnSync('pgrep', ['-f', home!], { encoding: 'utf8' }).stdout.trim();
  expect(servers()).not.toBe('');
  const next = await startCluster();
  for (let i = 0; i < 100 && servers() !== ''; i++) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(homes().filter((name) => name.startsWith(mark))).toEqual([]);
  expect(servers()).toBe('');
  await next.stop();
  rmSync(folder, { recursive: true });
});

it.skipIf(!hasDebian)('gives the same rows on PostgreSQL 15 and 18', async () => {
  const old = await startCluster({ programs: DEBIAN_15 });
  try {
    const hashes: Record<string, string>[] = [];
    for (const port of [old.settings.port, undefined]) {
      const database = await createDatabase('SELECT', port);
      await createDemo(database.client);
      const { code, summary } = await runCli(configFor(database, 'random_seed: 12345\nnum_iterations: 1500'));
      expect(code).toBe(0);
      expect(summary.totals).toMatchObject({ committed: 1500, rejected: 0, retries: 0 });
      hashes.push(await contentHash(database, ['eg_users', 'eg_orders', 'eg_types']));
      await database.drop();
    }
    expect(hashes[0]).toEqual(hashes[1]);
  } finally {
    await old.stop();
  }
});

it('reads a hundred tables in six queries', async () => {
  const database = await createDatabase(
    Array.from({ length: 100 }, (_, i) => `CREATE TABLE t${i} (id int PRIMARY KEY, v text, d date)`).join(';'),
  );
  const { introspect, CATALOG_QUERIES } = await import('../../src/catalog/introspect.js');
  const client = await connectTo(database.port, database.name);
  let queries = 0;
  const counting = {
    query: (text: string, values?: unknown[]) => {
      // Settings read nothing.
      if (!/^(SET|RESET) /.test(text)) queries++;
      return client.query(text, values);
    },
  };
  const catalog = await introspect(counting as unknown as typeof client, ['public']);
  expect(catalog.relations).toHaveLength(100);
  expect(queries).toBe(CATALOG_QUERIES);
  await client.end();
  await database.drop();
});
