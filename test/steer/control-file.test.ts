import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { configFor, createDatabase, startCli } from '../server/database.js';

const folder = mkdtempSync(path.join(tmpdir(), 'control-file-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('a rate that the control file sets stands in the summary, which says that the configuration alone does not repeat the load', async () => {
  const database = await createDatabase('CREATE TABLE t (id int PRIMARY KEY, v text)');
  const file = path.join(folder, 'control.yaml');
  const traffic = `traffic: { rate: 400, duration: 5s, control_file: ${JSON.stringify(file)} }`;
  const run = startCli(configFor(database, 'random_seed: 3', traffic));
  await new Promise((resolve) => setTimeout(resolve, 2500));
  writeFileSync(file, 'rate: 40');
  const { code, summary, stdout } = await run.ended;
  expect(code).toBe(0);
  expect(summary.rate_changes).toEqual([{ after_seconds: expect.any(Number) as number, rate: 40 }]);
  // Less than 400 a second for the whole time.
  expect(summary.totals['operations']).toBeLessThan(1900);
  expect(stdout).toContain('the configuration alone does not repeat its load');
  await database.drop();
});

it('a pause by the control file makes no operation late, and does not delay the end', async () => {
  const database = await createDatabase('CREATE TABLE t (id int PRIMARY KEY, v text)');
  const file = path.join(folder, 'pause.yaml');
  const traffic = `traffic: { rate: 100, duration: 6s, control_file: ${JSON.stringify(file)} }`;
  const run = startCli(configFor(database, 'random_seed: 3', traffic));
  await new Promise((resolve) => setTimeout(resolve, 3000));
  writeFileSync(file, 'pause: true');
  const { code, summary } = await run.ended;
  expect(code).toBe(0);
  expect(summary.pauses).toMatchObject([{ by: 'file' }]);
  expect(summary.totals).toMatchObject({ late: 0, dropped: 0 });
  expect(summary.verdict).toBe('rate-bound');
  // Operations before the pause were not held up by it, nor the first ones by the next look at the file.
  expect(summary.latency_seconds.insert.response!.p90).toBeLessThan(0.25);
  expect(summary.elapsed_seconds).toBeLessThan(7.5);
  await database.drop();
});
