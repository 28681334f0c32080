import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TRAP_NAMES } from '../../src/config/schema.js';
import { type Cluster, startCluster } from '../../src/server/cluster.js';
import { tableNames } from '../../src/traps/catalogue.js';
import { connectTo, runCli, runCommand } from '../server/database.js';

let cluster: Cluster;
const folder = mkdtempSync(path.join(tmpdir(), 'traps-'));
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(async () => {
  await cluster.stop();
  rmSync(folder, { recursive: true, force: true });
});

const config = (
  traps: string,
) => `connection: { host: 127.0.0.1, port: ${cluster.settings.port}, database: postgres, user: postgres }
generator: { num_iterations: -1, random_seed: 3, connections: 2 }
metrics: { enabled: false }
traffic: { rate: 50, duration: 12s, trap_interval: 10ms, traps: ${traps} }
`;

it('every trap makes exactly the changes that it counts, as a logical slot shows them', async () => {
  const client = await connectTo(cluster.settings.port, 'postgres');
  await client.query('CREATE TABLE a (id int PRIMARY KEY, v text)');
  const [file, history] = [path.join(folder, 'source.jsonl'), path.join(folder, 'run.history')];
  const all = TRAP_NAMES.map((name) => `${name}: 1`).join(', ');
  const { code, summary, stdout } = await runCli(config(`{ ${all} }`), ['--capture', file, '--history', history]);
  expect(code).toBe(0);
  expect(stdout).toContain('toast_unchanged');
  const traps = summary.traps!;
  expect(Object.keys(traps).sort()).toEqual([...TRAP_NAMES].sort());
  const seen = new Map<string, Record<string, number>>();
  for (const line of readFileSync(file, 'utf8').trim().split('\n')) {
    const { schema, table, op } = JSON.parse(line) as Record<'schema' | 'table' | 'op', string>;
    if (schema !== 'event_generator') continue;
    const counts = seen.get(table) ?? { insert: 0, update: 0, delete: 0, truncate: 0 };
    counts[op]!++;
    seen.set(table, counts);
  }
  for (const name of TRAP_NAMES) {
    const { done, refused, unknown, events } = traps[name]!;
    expect({ name, refused, unknown, isDone: done > 0 }).toEqual({ name, refused: 0, unknown: 0, isDone: true });
    const found = { insert: 0, update: 0, delete: 0, truncate: 0 };
    for (const table of tableNames(name))
      for (const kind of ['insert', 'update', 'delete', 'truncate'] as const)
        found[kind] += seen.get(table)?.[kind] ?? 0;
    expect({ name, ...found }).toEqual({ name, ...events });
  }
  // They are none of the run's own changes, and nothing of them is in its counts.
  expect(summary.events).toMatchObject({ insert: summary.tables['public.a']!.insert.rows });
  const verdict = await runCommand(['verify', '--events', file, '--history', history]);
  expect(verdict.stdout).toMatch(/^Equal/);
  expect(verdict.code).toBe(0);
  await client.end();
});

it('says which trap there is, and which is not possible', async () => {
  const { code, stderr } = await runCli(config('{ truncat: 1 }'));
  expect(stderr).toContain('traffic.traps.truncat: unknown key (did you mean "truncate"?)');
  expect(code).toBe(1);
});
