import { expect, it } from 'vitest';
import { configFor, count, createDatabase, type Database, runCli, startCli } from '../server/database.js';

const TABLE = 'CREATE TABLE a (id bigint PRIMARY KEY, v text)';
const traffic = (text: string) => `traffic: ${text}\n`;

// As below: a neighbour that takes the processor delays single operations.
it('keeps a rate, and says that it was the limit', { retry: 2 }, async () => {
  const database = await createDatabase(TABLE);
  const file = configFor(
    database,
    `random_seed: 1\nnum_iterations: -1`,
    traffic('{ rate: 200, duration: 5s, catch_up: all }'),
  );
  const { code, summary } = await runCli(file);
  expect(code).toBe(0);
  expect(summary.exit.reason).toBe('duration reached');
  // Every arrival before the end, no more and no less.
  expect(summary.totals.operations).toBe(1000);
  expect(summary.rate.target).toBeCloseTo(200, 5);
  expect(summary.rate.achieved).toBeGreaterThan(170);
  expect(summary.verdict).toBe('rate-bound');
  expect(summary.tables['public.a']!.rows_expected).toBe(await count(database, 'a'));
  await database.drop();
});

it('follows stages and spikes to their end', async () => {
  const database = await createDatabase(TABLE);
  const { summary } = await runCli(
    configFor(
      database,
      'random_seed: 1\nnum_iterations: -1',
      traffic(
        '{ catch_up: all, arrival: constant, stages: [{ duration: 2s, rate: 100, ramp: true }, { duration: 2s, rate: 50 }], spikes: [{ rate: 200, duration: 500ms, every: 2s, offset: 1s }] }',
      ),
    ),
  );
  expect(summary.exit.reason).toBe('all stages done');
  expect(summary.totals.operations).toBe(100 + 100 + 200);
  expect(summary.totals.dropped).toBe(0);
  await database.drop();
});

it('is reproducible where every arrival is carried out', async () => {
  const hashes: string[] = [];
  for (const rate of ['rate: 2000', 'rate: 300, arrival: poisson', 'rate: 900, rate_unit: events']) {
    const database = await createDatabase(TABLE);
    await runCli(configFor(database, 'random_seed: 7\nnum_iterations: 600', traffic(`{ ${rate}, catch_up: all }`)));
    const { rows } = await database.client.query<{ hash: string }>(
      "SELECT count(*) || '/' || sum(hashtextextended(a::text, 0)) AS hash FROM a",
    );
    hashes.push(rows[0]!.hash);
    await database.drop();
  }
  expect(new Set(hashes).size).toBe(1);
});

it('counts response times from the scheduled moment, and what was late or given up', async () => {
  const database = await createDatabase(TABLE);
  // Every statement waits once for three seconds behind a lock that is none of a table's, whose operations would be skipped.
  await database.client.query(`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END'`);
  await database.client.query(
    'CREATE TRIGGER wait AFTER INSERT OR UPDATE OR DELETE ON a FOR EACH STATEMENT EXECUTE FUNCTION wait()',
  );
  const run = runCli(
    configFor(
      database,
      'random_seed: 1\nnum_iterations: -1\nrehearse: false\nmanual_table_list: [a]\ntimeouts: { lock: 60s }',
      traffic('{ rate: 200, duration: 8s, late_after: 500ms }'),
    ),
  );
  while ((await count(database, 'a')) <= 200) await new Promise((resolve) => setTimeout(resolve, 25));
  await database.client.query('SELECT pg_advisory_lock(7)');
  await new Promise((resolve) => setTimeout(resolve, 3000));
  await database.client.query('SELECT pg_advisory_unlock(7)');
  const { summary } = await run;
  expect(summary.totals.late).toBeGreaterThan(20);
  expect(summary.totals.dropped).toBeGreaterThan(100);
  expect(summary.totals.operations! + summary.totals.dropped!).toBe(1600);
  expect(summary.latency_seconds.insert.response!.max).toBeGreaterThan(2.5);
  expect(summary.latency_seconds.insert.response!.max).toBeLessThan(6);
  expect(summary.latency_seconds.insert.response!.p50).toBeLessThan(1);
  await database.drop();
});

it('leaves the warm-up out of the latencies', async () => {
  const database = await createDatabase(TABLE);
  const { summary } = await runCli(
    configFor(database, 'random_seed: 1\nnum_iterations: 300', traffic('{ rate: 300, warm_up: 1h, catch_up: all }')),
  );
  expect(summary.totals.operations).toBe(300);
  expect(summary.latency_seconds.insert.response).toBe(null);
  await database.drop();
});

/* Statements write their time down; returns how many there were up to each half second from the first one. */
async function untilHalfSeconds(database: Database): Promise<readonly number[]> {
  const { rows } = await database.client.query<{ n: number }>(
    `SELECT (SELECT count(*)::int FROM log WHERE at < began + half * interval '500 ms') AS n
     FROM generate_series(0, 18) AS half, (SELECT min(at) AS began FROM log) AS first ORDER BY half`,
  );
  return rows.map(({ n }) => n);
}

// A neighbour that takes the processor for seconds delays what is due, seldom twice.
it('reaches a spike within a second, and is back within one', { retry: 2 }, async () => {
  const database = await createDatabase(`${TABLE}; CREATE TABLE log (at timestamptz);
    CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (clock_timestamp()); RETURN NULL; END';
    CREATE TRIGGER log AFTER INSERT ON a FOR EACH STATEMENT EXECUTE FUNCTION log()`);
  const { summary } = await runCli(
    configFor(
      database,
      'random_seed: 1\nnum_iterations: -1\nmanual_table_list: [a]\noperations: [INSERT]\ninsert_rows: 1',
      traffic('{ rate: 100, duration: 9s, catch_up: all, spikes: [{ rate: 1000, duration: 2s, offset: 4s }] }'),
    ),
  );
  expect(summary.totals.operations).toBe(900 + 2000);
  const seen = await untilHalfSeconds(database);
  // Never earlier than due. The clock of the log starts with its first row, at most half a second after the schedule's.
  const dueUntil = (seconds: number) => 100 * seconds + 1000 * Math.min(2, Math.max(0, seconds - 4));
  for (const [half, n] of seen.entries())
    expect(n, `half second ${half}`).toBeLessThanOrEqual(dueUntil(half / 2 + 0.5) + 1);
  const during = (half: number) => seen[half + 1]! - seen[half]!;
  for (const half of [4, 5, 6]) expect(during(half)).toBeLessThan(100);
  // From a second after its start on: a busy machine may lag behind, and catches up.
  expect(during(10) + during(11)).toBeGreaterThan(900);
  for (const half of [15, 16]) expect(during(half)).toBeLessThan(100);
  await database.drop();
});

it('backends that are stopped for three seconds show in the response times of what was due meanwhile', async () => {
  const database = await createDatabase(TABLE);
  const run = startCli(
    configFor(
      database,
      'random_seed: 1\nnum_iterations: -1\nmanual_table_list: [a]\nrehearse: false',
      traffic('{ rate: 100, duration: 12s, catch_up: all }'),
    ),
  );
  while ((await count(database, 'a')) < 100) await new Promise((resolve) => setTimeout(resolve, 25));
  const { rows } = await database.client.query<{ pid: number }>(
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ '^eventgen/[0-9a-f]+/[0-9]+$'",
  );
  for (const { pid } of rows) process.kill(pid, 'SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, 3000));
  for (const { pid } of rows) process.kill(pid, 'SIGCONT');
  const { code, summary } = await run.ended;
  expect(code).toBe(0);
  expect(summary.totals).toMatchObject({ operations: 1200, dropped: 0 });
  // A quarter of all arrivals fell into the three seconds: the slowest of them waited for all of it.
  const { p50, p90, p99 } = summary.latency_seconds.insert.response!;
  expect(p99).toBeGreaterThan(2.6);
  expect(p99).toBeLessThan(4);
  expect(p90).toBeGreaterThan(1);
  expect(p50).toBeLessThan(0.5);
  expect(summary.totals.late).toBeGreaterThan(100);
  await database.drop();
});
