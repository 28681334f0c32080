/** What proof costs: a capture beside a run, a comparison of events, and a comparison of contents against plain SQL. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Capture } from '../src/changes/capture.js';
import { verifyContents } from '../src/commands/verify/contents.js';
import { captured, PLAIN, verifyEvents } from '../src/commands/verify/events.js';
import { createDemoTables } from '../src/server/demo.js';
import { describeMachine, option, withServer } from './measure.js';

const OPERATIONS = option('operations', 100_000);
const ROWS = option('rows', 1_000_000);

const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-proof-'));
try {
  await withServer(async (cluster, client) => {
    console.log(`${describeMachine()}; ${OPERATIONS} operations, ${ROWS} rows`);
    await createDemoTables(client);
    const { host, port, database, user } = cluster.settings;
    const config = path.join(folder, 'run.yaml');
    writeFileSync(
      config,
      `connection: { host: ${host}, port: ${port}, database: ${database}, user: ${user} }
generator: { num_iterations: ${OPERATIONS}, random_seed: 1, manual_table_list: [eg_users, eg_orders], existing_rows: 0 }
metrics: { enabled: false }
`,
    );
    const file = path.join(folder, 'source.jsonl');
    const history = path.join(folder, 'run.history');
    const capture = await Capture.open({
      connection: cluster.settings,
      runId: 'bench',
      file,
      schemas: ['public'],
      tables: [],
      connectTimeoutMs: 5000,
      statementTimeoutMs: 60_000,
      lockTimeoutMs: 5000,
      maxOutageMs: 10_000,
      report: (_, text) => console.log(text),
    });
    const cpu = process.cpuUsage();
    const startMs = performance.now();
    const cli = fileURLToPath(new URL('../src/cli.js', import.meta.url));
    const child = spawn(process.execPath, [cli, 'run', '-c', config, '--quiet', '--history', history], {
      stdio: 'ignore',
    });
    await new Promise((resolve) => child.once('exit', resolve));
    await capture.end();
    const seconds = (performance.now() - startMs) / 1000;
    const used = process.cpuUsage(cpu);
    const events = capture.total;
    const micros = (used.user + used.system) / events;
    console.log(
      `capture: ${events} events in ${seconds.toFixed(1)} s, ${micros.toFixed(1)} µs of CPU each: ${((micros * 20_000) / 1e4).toFixed(0)} % of a core at 20,000 events/s`,
    );
    console.log(`history: ${statSync(history).size} bytes for ${OPERATIONS} operations`);

    const beganMs = performance.now();
    const verdict = await verifyEvents(await captured(file), {
      events: file,
      ...PLAIN,
      folder,
    });
    const tookSeconds = (performance.now() - beganMs) / 1000;
    const peak = process.resourceUsage().maxRSS / 1024;
    console.log(
      `events: ${verdict.verdict}, ${events} against as many in ${tookSeconds.toFixed(1)} s (${Math.round(events / tookSeconds)}/s), ${peak.toFixed(0)} MB at most`,
    );

    await client.query(`
      CREATE TABLE big (id bigint PRIMARY KEY, email text, name text, amount numeric(12,2), at timestamptz, meta jsonb);
      INSERT INTO big SELECT g, g || '@example.com', 'First Last ' || g, g * 1.25, '2025-01-01'::timestamptz + g * interval '1 second', '{"a":1}'
      FROM generate_series(1, ${ROWS}) g; ANALYZE big`);
    const url = `postgresql://${user}@${host}:${port}/${database}`;
    const timed = async (name: string, work: () => Promise<unknown>) => {
      const fromMs = performance.now();
      await work();
      const took = (performance.now() - fromMs) / 1000;
      console.log(`${name}: ${took.toFixed(2)} s, ${Math.round(ROWS / took)} rows/s`);
    };
    const scope = { schemas: [], tables: ['public.big'], excluded: [], renamed: new Map(), columns: new Map() };
    const rest = { rate: 0, rechecks: 1, isStrict: false, resumeFile: undefined, step: () => undefined };
    for (let round = 0; round < 2; round++) {
      await timed('contents, both sides', () => verifyContents({ source: url, target: url, scope, ...rest }, {}));
      await timed('md5(string_agg), one side', () =>
        client.query("SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM big AS t"),
      );
      await timed('sum of hash_record, one side', () =>
        client.query('SELECT sum(hash_record_extended(t, 0)) FROM big AS t'),
      );
    }
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
