import { expect, it } from 'vitest';
import { parseThreshold } from '../../src/config/threshold.js';
import { configFor, createDatabase, runCli } from '../server/database.js';

const TABLE = 'CREATE TABLE a (id int PRIMARY KEY, v text)';

it.each([
  ['response_seconds p99 < 0.5', { figure: 'response_seconds', percentile: 'p99', operation: null, bound: 0.5 }],
  [
    '  service_seconds   DELETE max >= 1e-3',
    { figure: 'service_seconds', percentile: 'max', operation: 'delete', bound: 0.001 },
  ],
  ['slope( replication_lag_seconds  p99 ) < 0.1/h', { figure: 'slope', of: 'replication_lag_seconds p99', bound: 0.1 }],
  ['slope(table_bytes) <= 2MB/h', { figure: 'slope', of: 'table_bytes', comparison: '<=', bound: 2 * 1024 ** 2 }],
  ['error_ratio <= 0', { figure: 'error_ratio', comparison: '<=', bound: 0 }],
])('reads "%s"', (text, expected) => {
  expect(parseThreshold(text, false)).toMatchObject(expected);
});

it.each([
  ['respons_seconds p99 < 1', /unknown figure "respons_seconds".*response_seconds/],
  ['response_seconds < 1', /expected one of p50/],
  ['response_seconds p98 < 1', /expected one of p50/],
  ['response_seconds upsert p99 < 1', /expected one of p50/],
  ['error_ratio p99 < 1', /error_ratio does not take "p99"; remove it/],
  ['error_ratio = 1', /expected a comparison/],
  ['slope(memory_bytes) < 1MB', /expected slope\(FIGURE\), a comparison, and a change per hour/],
  ['slope(memory_byte) < 1MB/h', /slope is not known for "memory_byte" \(did you mean "memory_bytes"\?\)/],
  ['slope(response_seconds p99) < 1MB/h', /expected a number before \/h, got "1MB"/],
  ['error_ratio < one', /expected a comparison/],
  ['', /unknown figure ""/],
  ['replication_lag_seconds insert p99 < 2', /expected one of p50/],
])('says what is wrong with "%s"', (text, expected) => {
  expect(parseThreshold(text, false)).toMatch(expected);
});

it('exits with 4 and names what was not met, with its value', async () => {
  const database = await createDatabase(TABLE);
  const met =
    'thresholds: ["error_ratio < 0.01", "response_seconds p99 < 60", "operations_per_second > 1", "rejected <= 0"]\n';
  const settings = 'random_seed: 1\nnum_iterations: 500';
  const good = await runCli(configFor(database, settings, met));
  expect(good.code).toBe(0);
  expect(good.summary.thresholds.map(({ passed }) => passed)).toEqual([true, true, true, true]);
  const missed =
    'thresholds: ["error_ratio < 0.01", "response_seconds insert max < 0.000001", "service_seconds delete p99 < 9"]\n';
  const bad = await runCli(configFor(database, `${settings}\noperations: [INSERT]`, missed));
  expect(bad.code).toBe(4);
  expect(bad.summary.exit.reason).toMatch(
    /^not met: response_seconds insert max < 0\.000001 \(0\.\d+\), service_seconds delete p99 < 9 \(nothing was measured\)$/,
  );
  expect(bad.stdout).toContain('✓ error_ratio < 0.01: 0\n');
  const few = await runCli(
    configFor(database, 'random_seed: 1\nnum_iterations: 20', 'thresholds: ["error_ratio < 1", "coverage >= 1"]\n'),
  );
  expect(few.code).toBe(4);
  expect(few.summary.exit.reason).toBe(
    'not met: error_ratio < 1 (only 20 operations; at least 100 are needed to judge it)',
  );
  await database.client.query(`CREATE TABLE shut (id int PRIMARY KEY);
    CREATE FUNCTION shut() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''shut''; END';
    CREATE TRIGGER shut BEFORE INSERT ON shut FOR EACH ROW EXECUTE FUNCTION shut()`);
  const unreached = await runCli(
    configFor(
      database,
      'random_seed: 1\nnum_iterations: 60\nrehearse: false\nerror_budget: { max_error_ratio: 1 }',
      'thresholds: ["coverage >= 1"]\n',
    ),
  );
  expect(unreached.code).toBe(4);
  expect(unreached.summary.coverage).toMatchObject({ tables: 2, complete: 1 });
  expect(unreached.summary.coverage.left_out[0]!.tables).toEqual(['public.shut']);
  // What is printed to repeat a run is valid, and says what it cannot repeat.
  const timed = await runCli(configFor(database, 'random_seed: 1'), ['--duration', '500ms']);
  expect(timed.stdout).toMatch(/to repeat this run: .* run -c \S+ --duration 500ms --seed 1\n.*it ended by the clock/);
  const wrong = await runCli(configFor(database, settings, 'thresholds: ["eror_ratio < 1", "late_ratio < 1"]\n'));
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toMatch(
    /thresholds\.0: unknown figure "eror_ratio".*\n.*thresholds\.1: late_ratio needs a schedule/,
  );
  await database.drop();
});

it('ends a run as soon as a condition that is to abort it is not met', async () => {
  const database = await createDatabase(`${TABLE};
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN NULL; END';
    CREATE TRIGGER slow AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION slow();`);
  const sections =
    'traffic: { duration: 60s }\nthresholds: [{ condition: "service_seconds insert p50 < 0.01", abort_on_fail: true }]\n';
  const { code, summary } = await runCli(
    configFor(database, 'random_seed: 1\nnum_iterations: -1\npipeline_depth: 1', sections),
  );
  expect(code).toBe(4);
  expect(summary.elapsed_seconds).toBeGreaterThan(9);
  expect(summary.elapsed_seconds).toBeLessThan(30);
  expect(summary.thresholds[0]).toMatchObject({ passed: false });
  await database.drop();
});
