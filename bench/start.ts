/** From the command to the first committed operation, by number of tables. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { introspect } from '../src/catalog/introspect.js';
import type { Cluster } from '../src/server/cluster.js';
import { describeMachine, option, sleep, spread, withServer } from './measure.js';
import { createDeepTables, createTables } from './tables.js';

const ROUNDS = option('rounds', 5);
const CLI = fileURLToPath(new URL('../src/cli.js', import.meta.url));

/* A session that carries a lane and has an INSERT behind it. */
const COMMITTED = `SELECT FROM pg_stat_activity
  WHERE application_name ~ '^eventgen/[^/]+/[0-9]+$' AND state = 'idle' AND query ~ '^(INSERT|UPDATE|DELETE)' LIMIT 1`;

async function runOnce(cluster: Cluster, client: pg.Client, folder: string): Promise<number> {
  const { host, port, database, user, password } = cluster.settings;
  const file = path.join(folder, 'start.yaml');
  writeFileSync(
    file,
    `connection: { host: ${host}, port: ${port}, database: ${database}, user: ${user}, password: "${password ?? ''}" }\ngenerator: { schema_name: public, num_iterations: -1, random_seed: 1 }\nmetrics: { enabled: false }\n`,
  );
  const start = performance.now();
  const child = spawn(process.execPath, [CLI, 'run', '-c', file, '--quiet'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const closed = new Promise((resolve) => child.on('close', resolve));
  while (((await client.query(COMMITTED)).rowCount ?? 0) === 0) {
    if (performance.now() - start > 60_000 || child.exitCode !== null) throw new Error('no operation was committed');
    await sleep(0.005);
  }
  const seconds = (performance.now() - start) / 1000;
  child.kill('SIGINT');
  await closed;
  return seconds;
}

await withServer(async (cluster, client) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'bench-start-'));
  try {
    console.log(`${describeMachine()}; ${ROUNDS} rounds; median (middle half)`);
    for (const count of [10, 100, 1000, 5000].filter((size) => size >= option('from', 0))) {
      await createTables(client, count);
      await client.query('ANALYZE');
      const seconds: number[] = [];
      for (let round = 0; round < ROUNDS; round++) seconds.push(await runOnce(cluster, client, folder));
      await client.query('SET search_path = pg_catalog');
      const start = performance.now();
      await introspect(client, ['public']);
      console.log(
        `${String(count).padStart(5)} tables: ${spread(seconds)} s; catalog read in ${((performance.now() - start) / 1000).toFixed(2)} s`,
      );
    }
    await createDeepTables(client);
    const seconds: number[] = [];
    for (let round = 0; round < ROUNDS; round++) seconds.push(await runOnce(cluster, client, folder));
    console.log(`1000 tables on 20 levels, 3,800 foreign keys: ${spread(seconds)} s`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
