import http from 'node:http';
import { expect, it } from 'vitest';
import { configFor, count, databasesPerTest, runCli, startCli } from '../server/database.js';

const { demo, tables } = databasesPerTest();
const DEMO = 'manual_table_list: [eg_users, eg_orders]\nrandom_seed: 5\nnum_iterations: 50';

it('does not write to what protect names, unless that is named as well', async () => {
  const database = await demo();
  const before = await count(database, 'eg_users');
  const yaml = `${configFor(database, DEMO)}protect: ["${database.name.slice(0, 3)}*"]\n`;
  const refused = await runCli(yaml);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain(`--yes-write-to ${database.name} allows writing to it in this run`);
  expect((await runCli(yaml, ['--dry-run'])).code).toBe(0);
  const other = await runCli(yaml, ['--yes-write-to', 'another']);
  expect(other.code).toBe(1);
  expect(other.stderr).toContain('"another" is neither the database nor a host of the connection');
  expect(await count(database, 'eg_users')).toBe(before);
  expect((await runCli(yaml, ['--yes-write-to', database.name])).code).toBe(0);
  expect(await count(database, 'eg_users')).not.toBe(before);
});

it('warns where a name sounds like a production system', async () => {
  const database = await demo();
  for (const [suffix, warns] of [
    ['_prod', true],
    ['_products', false],
  ] as const) {
    const name = `${database.name}${suffix}`;
    await database.client.query(`CREATE DATABASE ${name}`);
    const { stderr } = await runCli(configFor({ ...database, name }, 'num_iterations: 10'));
    expect(stderr.includes(`writing to "${name}", whose name looks like a production system`)).toBe(warns);
    await database.client.query(`DROP DATABASE ${name} WITH (FORCE)`);
  }
});

it('answers on loopback to no names but its own and those that are allowed', async () => {
  const database = await demo();
  const run = startCli(
    configFor(database, DEMO.replace('50', '-1')).replace(
      '{ enabled: false }',
      '{ port: 0, allowed_hosts: [metrics.example] }',
    ),
  );
  await run.saw('/metrics\n');
  const port = Number(/127\.0\.0\.1:(\d+)\/metrics/.exec(run.stderr())![1]);
  const statusFor = (host: string, path: string) =>
    new Promise<number>((resolve, reject) => {
      http
        .get({ host: '127.0.0.1', port, path, headers: { host } }, (response) => {
          response.resume();
          resolve(response.statusCode!);
        })
        .on('error', reject);
    });
  for (const path of ['/', '/state', '/events', '/metrics'])
    expect(await statusFor('evil.example', path), path).toBe(421);
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, '[::1]', 'metrics.example', 'Metrics.Example:80'])
    expect(await statusFor(host, '/'), host).toBe(200);
  expect(await statusFor('127.0.0.1.evil.example', '/')).toBe(421);
  run.kill('SIGTERM');
  expect((await run.ended).code).toBe(0);
});

it('shows characters that cannot be seen as escapes, and cuts long messages', async () => {
  const database = await tables(`CREATE TABLE "red\u001b[31m\u202etable" (id int PRIMARY KEY, v text);
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION E'\\x1b[2J%', repeat('long ', 1000); END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON "red\u001b[31m\u202etable" FOR EACH ROW EXECUTE FUNCTION refuse();
    CREATE TABLE plain (id int PRIMARY KEY)`);
  const { stderr, stdout } = await runCli(
    configFor(database, 'random_seed: 1\nnum_iterations: 100\nerror_budget: { max_error_ratio: 1 }'),
  );
  for (const text of [stderr, stdout]) {
    for (const character of ['\u001b', '\u202e']) expect(text).not.toContain(character);
    expect(Math.max(...text.split('\n').map(({ length }) => length))).toBeLessThan(1000);
  }
  expect(stdout).toContain('red\\u001b[31m\\u202etable');
  expect(stderr).toContain('\\u001b[2Jlong');
});
