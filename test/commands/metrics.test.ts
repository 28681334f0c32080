import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { configFor, createDatabase, runCli, startCli } from '../server/database.js';

const TABLE = 'CREATE TABLE a (id int PRIMARY KEY, v text)';

it('keeps the final figures for a last scrape, as text and as OpenMetrics', async () => {
  const database = await createDatabase(TABLE);
  const yaml = configFor(database, 'random_seed: 1\nnum_iterations: 700').replace('{ enabled: false }', '{ port: 0 }');
  const run = startCli(yaml, ['--metrics-linger', '60s']);
  await run.saw('/metrics stays available for 60 s');
  const port = run.stderr().match(/:(\d+)\/metrics/)![1]!;
  const scrape = async (accept: string) => {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { accept } });
    return { type: response.headers.get('content-type')!, text: await response.text() };
  };
  const sum = (text: string, name: string, label: string) =>
    text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) && line.includes(label))
      .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  // Twice each: one format must not change the other.
  for (let round = 0; round < 2; round++) {
    const plain = await scrape('*/*');
    expect(plain.type).toContain('text/plain');
    expect(sum(plain.text, 'eventgen_operations_total', 'outcome="committed"')).toBe(700);
    expect(sum(plain.text, 'eventgen_lanes', 'state="ended"')).toBe(4);
    expect(sum(plain.text, 'eventgen_lanes', 'state="connected"')).toBe(0);
    expect(sum(plain.text, 'eventgen_response_seconds_count', '')).toBe(700);
    const open = await scrape('application/openmetrics-text;version=1.0.0,text/plain;q=0.5');
    expect(open.type).toContain('application/openmetrics-text');
    expect(open.text).toMatch(/# EOF\n$/);
    expect(open.text).toContain('# TYPE eventgen_operations counter');
    expect(sum(open.text, 'eventgen_operations_total', 'outcome="committed"')).toBe(700);
  }
  run.kill('SIGTERM');
  const { code, summary } = await run.ended;
  expect(code).toBe(0);
  expect(summary.exit.reason).toBe('all operations done');
  await database.drop();
});

it('pushes the final figures to a gateway, and survives one that is away', async () => {
  const database = await createDatabase(TABLE);
  const pushed: { url: string; body: string }[] = [];
  const gateway = createServer((request, response) => {
    let body = '';
    request.on('data', (bytes: Buffer) => (body += bytes.toString()));
    request.on('end', () => {
      pushed.push({ url: request.url!, body });
      response.end();
    });
  });
  await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`;
  const yaml = configFor(database, 'random_seed: 1\nnum_iterations: 300');
  expect((await runCli(yaml, ['--push-gateway', address])).code).toBe(0);
  expect(pushed).toHaveLength(1);
  expect(pushed[0]!.url).toMatch(/^\/metrics\/job\/event-generator\/run_id\/[0-9a-f]{8}$/);
  expect(pushed[0]!.body).toMatch(/eventgen_operations_total\{[^}]*outcome="committed"[^}]*\} \d+/);
  gateway.closeAllConnections();
  await new Promise((resolve) => gateway.close(resolve));
  const alone = await runCli(yaml, ['--push-gateway', address]);
  expect(alone.code).toBe(0);
  expect(alone.stderr).toContain(`the metrics could not be pushed to ${address}`);
  const wrong = await runCli(yaml, ['--push-gateway', 'gateway:9091']);
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toContain('expected an address such as http://gateway:9091');
  await database.drop();
});

it('takes the next free port where none was asked for and the usual one is taken', async () => {
  const held = createServer();
  // Whoever holds it, it is not free.
  await new Promise<void>((resolve) => {
    held.once('error', () => resolve());
    held.listen(9464, '127.0.0.1', resolve);
  });
  const database = await createDatabase('CREATE TABLE a (id int PRIMARY KEY, v text)');
  const yaml = configFor(database, 'random_seed: 1\nnum_iterations: 200').replace('metrics: { enabled: false }\n', '');
  const { code, stderr } = await runCli(yaml);
  expect(code).toBe(0);
  const port = Number(/live page on http:\/\/127\.0\.0\.1:(\d+)\//.exec(stderr)![1]);
  expect(port).toBeGreaterThan(9464);
  expect(port).toBeLessThanOrEqual(9484);
  held.close();
  await database.drop();
});
