/** What it costs to watch a run with many tables: a scrape, and the live page while it is open. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeMachine, option, sleep, spread, withServer } from './measure.js';
import { createTables } from './tables.js';

const TABLES = option('tables', 2000);
const ROUNDS = option('rounds', 4);
const SCRAPES = 20;
const WINDOW_SECONDS = 10;
const TICKS_PER_SECOND = 100;

await withServer(async (cluster, client) => {
  console.log(`${describeMachine()}; ${TABLES} tables, 500 operations/s`);
  await createTables(client, TABLES);
  const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-watch-'));
  const { host, port, database, user } = cluster.settings;
  for (const limit of [200, TABLES]) {
    const file = path.join(folder, 'watch.yaml');
    writeFileSync(
      file,
      `connection: { host: ${host}, port: ${port}, database: ${database}, user: ${user} }
generator: { num_iterations: -1, random_seed: 1, rehearse: false }
traffic: { rate: 500 }
metrics: { port: 0, table_label_limit: ${limit} }
`,
    );
    const cli = fileURLToPath(new URL('../src/cli.js', import.meta.url));
    const child = spawn(process.execPath, [cli, 'run', '-c', file], { stdio: ['ignore', 'ignore', 'pipe'] });
    const exited = new Promise((resolve) => child.once('exit', resolve));
    try {
      let text = '';
      child.stderr.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      while (!/metrics on/.test(text)) await sleep(0.1);
      const base = /(http:\/\/[^/]+)\/metrics/.exec(text)![1]!;
      while ((await fetch(`${base}/metrics`)).status !== 200) await sleep(0.2);
      await sleep(8);
      const times: number[] = [];
      let size = 0;
      for (let scrape = 0; scrape < SCRAPES; scrape++) {
        const startMs = performance.now();
        size = (await (await fetch(`${base}/metrics`)).text()).length;
        times.push(performance.now() - startMs);
        await sleep(0.2);
      }
      console.log(`scrape, ${limit} table labels: ${spread(times, 1)} ms for ${Math.round(size / 1000)} kB`);
      const costs: { open: number[]; closed: number[] } = { open: [], closed: [] };
      for (let round = 0; round < ROUNDS; round++) {
        for (const kind of ['closed', 'open'] as const) {
          const reader = kind === 'open' ? get(`${base}/events`, (response) => response.resume()) : null;
          await sleep(1);
          const before = mainThreadTicks(child.pid!);
          await sleep(WINDOW_SECONDS);
          costs[kind].push(((mainThreadTicks(child.pid!) - before) * 1000) / TICKS_PER_SECOND / WINDOW_SECONDS);
          reader?.destroy();
        }
      }
      console.log(
        `coordinator’s CPU per second, page closed: ${spread(costs.closed, 1)} ms, open: ${spread(costs.open, 1)} ms`,
      );
    } finally {
      child.kill('SIGINT');
      await exited;
    }
  }
  rmSync(folder, { recursive: true });
});

/** User and system time of a process's main thread, as Linux counts it. */
function mainThreadTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/task/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
