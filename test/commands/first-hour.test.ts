import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { jsonSchema } from '../../src/config/json-schema.js';
import type { Summary } from '../../src/report/summary.js';
import { CLI, configFor, createDatabase, databasesPerTest, runCli } from '../server/database.js';

const { tables, demo } = databasesPerTest();

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function emptyFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-first-'));
  folders.push(folder);
  return folder;
}

/** The command line in a folder of its own. */
function cli(
  options: readonly string[],
  { cwd = emptyFolder(), env = {} }: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
) {
  return spawnSync(process.execPath, [CLI, ...options], {
    cwd,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    timeout: 60_000,
  });
}

describe('what is typed first', () => {
  it('nothing: help', () => {
    const { status, stdout } = cli([]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Usage: event-generator/);
    for (const command of ['run', 'inspect', 'load', 'init', 'validate', 'schema', 'compare', 'grants'])
      expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
  });

  it('half a word: a shell completes it', () => {
    const script = cli(['completion', 'bash']).stdout;
    expect(spawnSync('bash', ['-n'], { input: script, encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
    expect(script).toContain('event-generator complete --');
    expect(cli(['complete', '--', 'va']).stdout).toMatch(/^validate\t/);
    expect(cli(['complete', '--', 'run', '--log-format', '']).stdout).toMatch(/^text\t\njson\t\n/);
    expect(cli(['completion', 'tcsh']).status).toBe(1);
  });

  it('an unknown command or option: what was meant', () => {
    expect(cli(['rum'])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/unknown command 'rum'\s+\(Did you mean run\?\)/),
    });
    expect(cli(['run', '--iteratons', '3'])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/unknown option '--iteratons'\s+\(Did you mean --iterations\?\)/),
    });
  });

  it('an address in the place of a command: no password in the answer', () => {
    const { status, stderr } = cli(['postgresql://me:hunter22@somewhere/x']);
    expect(status).toBe(1);
    expect(stderr).toContain('unknown command');
    expect(stderr).not.toContain('hunter22');
  });

  it('an empty file, by mistake: nothing is written', () => {
    const folder = emptyFolder();
    writeFileSync(path.join(folder, 'empty.yaml'), '');
    expect(cli(['run', '-c', 'empty.yaml', '--no-metrics'], { cwd: folder })).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('empty.yaml:1:1: the file is empty'),
    });
  });

  it('options alone: run', () => {
    const { status, stderr } = cli(['-c', 'missing.yaml']);
    expect(status).toBe(1);
    expect(stderr).toContain('missing.yaml: the file does not exist');
  });

  it('--embedded in an empty folder: a run of the demo', () => {
    const { status, stdout } = cli(['run', '--embedded', '--iterations', '200', '--seed', '5', '--no-metrics']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^\nFinished: all operations done \(exit code 0\)\n\n {2}200 operations, /);
    expect(stdout).toMatch(
      /to repeat this run: node \S+cli\.js run --iterations 200 --embedded --no-metrics --seed 5\n/,
    );
  });
});

describe('--set', () => {
  it('sets any key, and names itself where the value is wrong', async () => {
    const database = await tables(
      'CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE never (id int PRIMARY KEY CHECK (id < 0 AND id > 0))',
    );
    const yaml = configFor(database, 'random_seed: 1\nnum_iterations: 200');
    const { code, summary } = await runCli(yaml, [
      '--set',
      'generator.insert_rows=7',
      '--set',
      'generator.operations=[INSERT]',
    ]);
    expect(code).toBe(0);
    expect(summary.events).toEqual({ insert: 1400, update: 0, delete: 0 });
    const nested = await runCli(yaml, [
      '--set',
      'generator.operation_weights={INSERT: 1, UPDATE: 1}',
      '--set',
      'generator.random_seed=12345678901234567890',
      '--set',
      "connection.password='{[@hidden'",
    ]);
    expect(nested.code).toBe(0);
    expect(nested.summary.seeds.random).toBe('12345678901234567890');
    expect(nested.stdout + nested.stderr).not.toContain('hidden');
    // Without a value a key is not set.
    const without = await runCli(yaml.replace('random_seed: 1', 'random_seed: 1\n  table_weights: { nowhere: 1 }'), [
      '--set',
      'generator.table_weights=null',
      '--set',
      'generator.transaction={statements: 2, rollback_ratio: null}',
    ]);
    expect(without.stderr).not.toContain('error:');
    expect(without.code).toBe(0);
    expect(without.summary.coverage).toMatchObject({ tables: 2, complete: 1 });
    // A table of weight 0 is not missed.
    const { summary: weighed } = await runCli(yaml, ['--set', 'generator.table_weights={never: 0}']);
    expect(weighed.coverage).toEqual({ tables: 1, complete: 1, left_out: [] });
    const { code: refused, stderr } = await runCli(yaml, ['--set', 'generator.insert_rows=many']);
    expect(refused).toBe(1);
    expect(stderr).toMatch(/--set generator\.insert_rows: generator\.insert_rows: expected a whole number.*got "many"/);
    expect((await runCli(yaml, ['--set', 'generator'])).stderr).toContain('expected KEY=VALUE');
  });
});

describe('validate', () => {
  it('checks a file without a database', () => {
    const folder = emptyFolder();
    writeFileSync(
      path.join(folder, 'good.yaml'),
      'connection: { host: nowhere.invalid, database: x, user: y }\ngenerator: { num_iterations: 5 }\n',
    );
    writeFileSync(path.join(folder, 'bad.yaml'), 'generator: { num_iteration: 5 }\n');
    expect(cli(['validate', '-c', 'good.yaml'], { cwd: folder })).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(
        /^good\.yaml is valid\. A run would connect to y@nowhere\.invalid:5432\/x and write to all tables of public\./,
      ),
    });
    expect(cli(['validate', '-c', 'bad.yaml'], { cwd: folder })).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(
        /bad\.yaml:1:14: generator\.num_iteration: unknown key \(did you mean "num_iterations"\?\)/,
      ),
    });
  });
});

describe('the JSON schema', () => {
  const text = readFileSync('event-generator.schema.json', 'utf8');

  it('is printed, and the file is current (npm run schema writes it)', () => {
    expect(JSON.parse(text)).toEqual(jsonSchema());
    expect(cli(['schema']).stdout).toBe(text);
  });

  it('accepts every configuration of ours, and no unknown key', () => {
    const schema = z.fromJSONSchema(JSON.parse(text));
    const files = ['event-generator.yaml', ...readdirSync('examples').map((name) => `examples/${name}`)];
    for (const file of files) {
      const yaml = readFileSync(file, 'utf8');
      expect(yaml, file).toMatch(/^# yaml-language-server: \$schema=\S*event-generator\.schema\.json\n/);
      expect(schema.safeParse(parse(yaml)).error, file).toBeUndefined();
    }
    expect(schema.safeParse({ generator: { num_iteration: 5 } }).success).toBe(false);
    expect(schema.safeParse({ generator: { null_ratio: 2 } }).success).toBe(false);
  });
});

describe('compare', () => {
  it('finds what is worse beyond the tolerance, and only that', async () => {
    const database = await demo();
    const { summary } = await runCli(configFor(database, 'random_seed: 1\nnum_iterations: 500'));
    const folder = emptyFolder();
    const write = (name: string, change: (copy: Summary) => unknown) =>
      writeFileSync(path.join(folder, name), JSON.stringify(change(structuredClone(summary))));
    const compare = (...options: string[]) => cli(['compare', 'a.json', ...options], { cwd: folder });
    write('a.json', (copy) => copy);
    // Where a run leads is nobody's business.
    expect(summary.configuration).toMatchObject({ 'generator.num_iterations': '500', 'metrics.enabled': 'false' });
    expect(Object.keys(summary.configuration!).filter((key) => key.startsWith('connection'))).toEqual([]);
    expect(compare('a.json')).toMatchObject({ status: 0, stdout: expect.stringMatching(/^No regression\.\n/) });
    const slower = summary.latency_seconds.insert.response!.p99 * 1.5 + 0.01;
    write('b.json', (copy) => ({
      ...copy,
      connections: 9,
      configuration: { ...copy.configuration, 'generator.insert_rows': '20' },
      latency_seconds: {
        ...copy.latency_seconds,
        insert: { ...copy.latency_seconds.insert, response: { ...copy.latency_seconds.insert.response!, p99: slower } },
      },
    }));
    const worse = compare('b.json');
    expect(worse.status).toBe(4);
    expect(worse.stdout).toMatch(/^Regression: insert response p99\.\n/);
    expect(worse.stdout).toMatch(
      /The runs differ in\n.*\n\s+connections\s+4\s+9\n\s+generator\.insert_rows\s+not set\s+20\n/,
    );
    // The other way round it is better.
    expect(cli(['compare', 'b.json', 'a.json'], { cwd: folder }).status).toBe(0);
    expect(compare('b.json', '--tolerance', 'latency=100000%').status).toBe(0);
    expect(compare('b.json', '--tolerance', 'speed=1%').stderr).toContain(
      'KIND=PERCENTAGE where KIND is one of rate, latency',
    );
    write('ended.json', (copy) => ({ ...copy, exit: { code: 3, reason: 'away' } }));
    expect(compare('ended.json')).toMatchObject({
      status: 4,
      stdout: expect.stringContaining('the second run ended with exit code 3 (away)'),
    });
    writeFileSync(path.join(folder, 'none.json'), '{}');
    expect(compare('none.json')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('none.json: is not the summary of a run'),
    });
    // Histograms can be added: their counts stand beside the percentiles.
    const { buckets } = summary.latency_seconds.insert.response!;
    expect(buckets.reduce((sum, [, count]) => sum + count, 0)).toBe(
      Object.values(summary.tables).reduce((sum, { insert }) => sum + insert.operations, 0),
    );
  });
});

/* Names and states that a configuration has to survive. */
const ODD = `CREATE SCHEMA "Other schema"; CREATE TABLE plain (id int PRIMARY KEY, v text);
  CREATE TABLE "Mixed Case" (id int PRIMARY KEY, v text, plain int REFERENCES plain);
  CREATE TABLE "Other schema"."yes" (id int PRIMARY KEY, v text CHECK (v <> ''));
  CREATE TABLE parted (id int PRIMARY KEY, v text) PARTITION BY HASH (id);
  CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
  CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
  INSERT INTO plain SELECT i, 'x' FROM generate_series(1, 3000) AS i; UPDATE plain SET v = 'y' WHERE id <= 1000; ANALYZE`;

describe('init', () => {
  it.each([
    ['the demo', async () => demo()],
    ['odd names, several schemas, partitions and activity', async () => tables(ODD)],
  ])('writes a configuration that runs as it is: %s', async (_, make) => {
    const database = await make();
    await database.client.query('SELECT pg_stat_force_next_flush()').catch(() => undefined);
    const folder = emptyFolder();
    const { status, stdout, stderr } = cli([
      'init',
      `postgresql://postgres:not-told@127.0.0.1:${database.port}/${database.name}`,
    ]);
    expect(stderr).not.toContain('error:');
    expect(status).toBe(0);
    expect(stdout + stderr).not.toContain('not-told');
    writeFileSync(path.join(folder, 'my.yaml'), stdout);
    expect(cli(['validate', '-c', 'my.yaml'], { cwd: folder }).status).toBe(0);
    const run = cli(['run', '-c', 'my.yaml', '--iterations', '300', '--no-metrics', '--summary', 's.json'], {
      cwd: folder,
    });
    expect(run.stderr).not.toContain('error:');
    expect(run.status).toBe(0);
    const summary = JSON.parse(readFileSync(path.join(folder, 's.json'), 'utf8')) as Summary;
    expect(summary.coverage).toMatchObject({ complete: summary.coverage.tables, left_out: [] });
    const { table_weights: weights } = (parse(stdout) as { generator: { table_weights: Record<string, number> } })
      .generator;
    expect(Object.keys(weights).length).toBe(Object.keys(summary.tables).length);
    if (weights['public.plain'] !== undefined) {
      // By what the server has seen.
      expect(weights['public.plain']).toBe(1000);
      expect(weights['"Other schema".yes'] ?? weights['"Other schema"."yes"']).toBe(1);
      expect(stdout).toContain('operation_weights: { INSERT: 75, UPDATE: 25, DELETE: 0 }');
    }
  });

  it('proposes the skew, the session settings and the overrides that the database asks for', async () => {
    const database = await tables(`CREATE TABLE customer (id int PRIMARY KEY);
      INSERT INTO customer SELECT generate_series(1, 200);
      CREATE TABLE purchase (id int PRIMARY KEY, customer int NOT NULL REFERENCES customer, tenant text NOT NULL DEFAULT current_setting('app.tenant'));
      INSERT INTO purchase SELECT row_number() OVER (), c, 't' FROM generate_series(1, 200) AS c, generate_series(1, 6000 / c);
      CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM current_setting(''app.user_id'')::int; RETURN NEW; END';
      CREATE TRIGGER stamp BEFORE INSERT ON purchase FOR EACH ROW EXECUTE FUNCTION stamp();
      CREATE FUNCTION odd(n int, s text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT n % 7919 = 13 AND s = ''x'' || n';
      CREATE TABLE strange (id int PRIMARY KEY, n int NOT NULL, s text NOT NULL, CHECK (odd(n, s))); ANALYZE`);
    const { status, stdout } = cli(['init', `postgresql://postgres@127.0.0.1:${database.port}/${database.name}`]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/app\.tenant: "1" +# read by default of public\.purchase\.tenant/);
    expect(stdout).toMatch(/app\.user_id: "1" +# read by trigger stamp on public\.purchase/);
    expect(stdout).toMatch(/public\.purchase\.customer follows Zipf's law/);
    expect(Number(/exponent: ([\d.]+)/.exec(stdout)?.[1])).toBeCloseTo(1, 0);
    expect(stdout).toMatch(
      /# column_overrides:\n +# +public\.strange:\n +# +"n": \{ type: int_range, min: 1, max: 1000 \}\n +# +s: \{ type: pattern/,
    );
    // What is proposed in comments is valid once they are removed.
    const folder = emptyFolder();
    const uncommented = stdout.replaceAll(/^ {2}# ( {0,4}(?:column_overrides:$|[\w."]+:(?: \{.*\})?$))/gm, '  $1');
    writeFileSync(path.join(folder, 'my.yaml'), uncommented);
    const valid = cli(['validate', '-c', 'my.yaml'], { cwd: folder });
    expect(valid.stderr).not.toContain('error');
    expect(valid.status).toBe(0);
    const run = cli(
      [
        'run',
        '-c',
        'my.yaml',
        '--iterations',
        '200',
        '--no-metrics',
        '--set',
        'generator.exclude_table_list=[strange]',
        '--set',
        'generator.table_weights={}',
        '--set',
        'generator.column_overrides={}',
      ],
      { cwd: folder },
    );
    expect(run.stderr).not.toContain('42704');
    expect(run.status).toBe(0);
  });

  it('finds by --rehearse what only the server knows, and changes nothing', async () => {
    const database = await tables(`CREATE TABLE strict (id int PRIMARY KEY, v text NOT NULL);
      CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no rows, ever''; END';
      CREATE TRIGGER never BEFORE INSERT ON strict FOR EACH ROW EXECUTE FUNCTION never();
      CREATE TABLE free (id int PRIMARY KEY)`);
    const url = `postgresql://postgres@127.0.0.1:${database.port}/${database.name}`;
    const plain = cli(['init', url]).stdout;
    expect(plain).not.toContain('no rows, ever');
    expect(plain).toContain('init --rehearse');
    const { status, stdout } = cli(['init', url, '--rehearse']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/# +public\.strict: .*no rows, ever/);
    expect(stdout).not.toContain('init --rehearse');
    const { rows } = await database.client.query('SELECT count(*)::int AS n FROM free');
    expect(rows).toEqual([{ n: 0 }]);
  });

  it('says what is missing', async () => {
    const database = await createDatabase('SELECT 1');
    const { status, stderr } = cli(['init', `postgresql://postgres@127.0.0.1:${database.port}/${database.name}`]);
    expect(status).toBe(1);
    expect(stderr).toContain('has no tables yet: create the schema first');
    await database.drop();
  });
});

describe('the package', () => {
  it('is built by npm pack and holds what a user needs', () => {
    const listed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { encoding: 'utf8' });
    const files = (JSON.parse(listed) as { files: { path: string }[] }[])[0]!.files.map((file) => file.path);
    for (const file of [
      'dist/src/cli.js',
      'event-generator.schema.json',
      'event-generator.yaml',
      'examples/replication.yaml',
      'grafana/event-generator.json',
      'docs/configuration.md',
    ])
      expect(files).toContain(file);
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
    expect(scripts['prepack']).toBe(scripts['build']);
  });

  it('has a lock file with the optional packages of every platform, and no download addresses', () => {
    const text = readFileSync('package-lock.json', 'utf8');
    const { packages } = JSON.parse(text) as {
      packages: Record<string, { optionalDependencies?: Record<string, string> }>;
    };
    const missing = Object.entries(packages).flatMap(([at, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies)
        .filter((name) => !foldersAbove(at).some((folder) => packages[`${folder}node_modules/${name}`] !== undefined))
        .map((name) => `${name} of ${at}`),
    );
    expect(missing).toEqual([]);
    expect(text).not.toContain('"resolved"');
  });
});

/** Returns the folders in which Node.js looks for packages that a package needs, each with a slash at its end. */
function foldersAbove(place: string): string[] {
  const parts = place === '' ? [] : place.split('/node_modules/');
  return ['', ...parts.map((_, index) => `${parts.slice(0, index + 1).join('/node_modules/')}/`)];
}
