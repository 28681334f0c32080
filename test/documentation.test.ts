import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { parseDurationMs } from '../src/config/duration.js';
import { parseConfig } from '../src/config/load.js';
import { isServer } from '../src/config/replication.js';
import { CLI, configFor, createDatabase, runCli } from './server/database.js';

const README = readFileSync('README.md', 'utf8');
const REFERENCE = readFileSync('docs/configuration.md', 'utf8');
const COMMANDS = readFileSync('docs/commands.md', 'utf8');
const WATCHING = readFileSync('docs/watching.md', 'utf8');
const RECIPES = readFileSync('docs/recipes.md', 'utf8');

function blocks(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map((match) => match[1]!);
}

function section(title: string): string {
  return REFERENCE.split(`\n## ${title}\n`)[1]!.split('\n## ')[0]!;
}

/* Durations are kept in milliseconds; the reference writes them as users do. */
function comparable(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [
      key,
      typeof entry === 'string' ? (parseDurationMs(entry) ?? entry) : entry,
    ]),
  );
}

describe('the reference', () => {
  it.each([
    ['generator', 'generator' as const],
    ['metrics', 'metrics' as const],
  ])('of %s names every key with its default', (title, key) => {
    const config = parseConfig('c.yaml', 'generator: {}\n', [], {})[key] as Record<string, unknown>;
    const rows = [...section(title).matchAll(/^\| `(\w+)` \| (?:`(.*?)`)? ?\|/gm)];
    const documented = new Map(rows.map((row) => [row[1]!, row[2]]));
    for (const [name, value] of Object.entries(config)) {
      expect(documented.has(name), `${name} is not described`).toBe(true);
      expect(comparable(parse(documented.get(name) ?? 'null')) ?? undefined, name).toEqual(value);
    }
  });

  it('has valid examples', () => {
    for (const text of [README, REFERENCE, RECIPES, WATCHING].flatMap((file) => blocks(file, 'yaml'))) {
      expect(() =>
        parseConfig('example.yaml', text, [], { APP_PASSWORD: 'x', DATABASE_URL: 'postgresql://a@b/c' }),
      ).not.toThrow();
    }
    expect(blocks(README, 'yaml').length + blocks(REFERENCE, 'yaml').length).toBeGreaterThan(1);
  });
});

describe('the recipes', () => {
  it('run as they stand, but for their length', async () => {
    const recipes = blocks(RECIPES, 'yaml');
    expect(recipes).toHaveLength(7);
    for (const recipe of recipes) {
      const database = await createDatabase(
        'CREATE TABLE a (id int PRIMARY KEY, code text UNIQUE, v text); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a, v text)',
      );
      const generator = parse(recipe).generator as object;
      const { traffic } = parse(recipe) as { traffic?: Record<string, unknown> };
      const shortened = traffic && { ...traffic, duration: '2s', ...('warm_up' in traffic ? { warm_up: '1s' } : {}) };
      const yaml = configFor(
        database,
        Object.entries({ ...generator, num_iterations: 500 })
          .map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
          .join('\n'),
        shortened === undefined ? '' : `traffic: ${JSON.stringify(shortened)}\n`,
      );
      const { code, summary, stderr } = await runCli(yaml);
      expect(stderr).not.toContain('error:');
      expect(code).toBe(0);
      expect(summary.totals).toMatchObject({ rejected: 0, failed: 0 });
      await database.drop();
    }
  });
});

describe('the containers', () => {
  it('run a configuration that fits their tables, on the servers that compose.yaml names', async () => {
    const { services } = parse(readFileSync('compose.yaml', 'utf8')) as {
      services: Record<string, { volumes?: string[]; environment?: Record<string, string> }>;
    };
    for (const { volumes = [] } of Object.values(services))
      for (const volume of volumes) expect(existsSync(volume.split(':')[0]!), volume).toBe(true);
    const text = readFileSync('docker/run.yaml', 'utf8');
    const file = parseConfig('docker/run.yaml', text, [], { POSTGRES_PASSWORD: 'x' });
    expect(Object.keys(services)).toEqual(
      expect.arrayContaining([
        file.connection.host,
        ...file.replication!.targets.filter(isServer).map(({ connection }) => connection.host),
      ]),
    );
    const database = await createDatabase(readFileSync('docker/demo.sql', 'utf8'));
    const { replication: _targets, ...local } = parse(text) as Record<string, unknown>;
    const yaml = stringify({
      ...local,
      connection: { host: '127.0.0.1', port: database.port, database: database.name, user: 'postgres' },
      metrics: { enabled: false },
    });
    const { code, summary, stderr } = await runCli(yaml, ['--duration', '3s']);
    expect(stderr).not.toContain('so no');
    expect(code).toBe(0);
    expect(summary.totals).toMatchObject({ rejected: 0, failed: 0, dropped: 0 });
    await database.drop();
  });

  it('start a demo of replication that is a valid configuration', () => {
    const config = parseConfig('c.yaml', readFileSync('examples/replication.yaml', 'utf8'), [], {});
    expect(config.replication!.targets.map(({ kind }) => kind)).toEqual(['physical', 'slot', 'logical']);
  });
});

describe('the reference of metrics and summary', () => {
  it('names every metric', () => {
    const text = readFileSync('docs/metrics.md', 'utf8');
    const names = [...readFileSync('src/metrics/registry.ts', 'utf8').matchAll(/'(eventgen_\w+)'/g)].map(
      (match) => match[1]!,
    );
    expect(names.length).toBeGreaterThan(20);
    for (const name of names) expect(text, name).toContain(`| \`${name}\` |`);
    for (const [, name] of text.matchAll(/^\| `(\w+)`/gm)) expect(names, name).toContain(name);
  });

  it('names every field of a summary', async () => {
    const text = readFileSync('docs/summary.md', 'utf8');
    const database = await createDatabase('CREATE TABLE a (id int PRIMARY KEY, v text)');
    const { summary } = await runCli(
      configFor(database, 'random_seed: 1\nnum_iterations: 300', 'thresholds: [coverage >= 1]\n'),
    );
    await database.drop();
    const { tables, errors: _, lanes, thresholds, ...rest } = summary;
    const named = [
      rest,
      { tables, lanes: '', errors: '', thresholds: '' },
      ...Object.values(tables),
      lanes[0]!,
      thresholds[0]!,
    ];
    for (const part of named)
      for (const key of Object.keys(part)) if (!key.startsWith('public.')) expect(text, key).toContain(key);
    for (const part of [
      summary.totals,
      summary.rate,
      summary.coverage,
      summary.generator,
      summary.latency_seconds.insert.response!,
    ])
      for (const key of Object.keys(part)) expect(text, key).toContain(`\`${key}\``);
  });
});

describe('the page on proof', () => {
  it('shows commands that do what it says', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-docs-'));
    try {
      const script = blocks(readFileSync('docs/proof.md', 'utf8'), 'sh')[0]!.replaceAll(
        'event-generator ',
        `"${process.execPath}" "${CLI}" `,
      );
      const { stdout, status } = spawnSync('sh', ['-ec', script], { cwd: folder, encoding: 'utf8', timeout: 90_000 });
      expect(status).toBe(0);
      expect(stdout).toMatch(/^Equal: all \d+ changes arrived as they were made\.$/m);
      expect(stdout).toMatch(/^Different: 1 lost/m);
      expect(stdout).toMatch(/^exit code 4$/m);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('links between pages', () => {
  it('lead somewhere', () => {
    const pages = [
      'README.md',
      ...readdirSync('docs')
        .filter((name) => name.endsWith('.md'))
        .map((name) => `docs/${name}`),
    ];
    for (const page of pages) {
      for (const [, target] of readFileSync(page, 'utf8').matchAll(/\]\((?!https?:)([^)#]+)/g))
        expect(existsSync(path.join(path.dirname(page), target!)), `${page}: ${target}`).toBe(true);
    }
  });
});

describe('the README', () => {
  it('runs its own example on a database', async () => {
    const database = await createDatabase('CREATE TABLE customers (id int PRIMARY KEY, name text, email text UNIQUE)');
    const yaml = blocks(README, 'yaml')[0]!
      .replace('host: localhost', 'host: 127.0.0.1')
      .replace('port: 5432', `port: ${database.port}`)
      .replace('database: app', `database: ${database.name}`)
      .replace('user: app', 'user: postgres');
    const dry = await runCli(yaml, ['--dry-run'], { APP_PASSWORD: 'x' });
    expect(dry.code).toBe(0);
    const { code, summary } = await runCli(yaml, ['--no-metrics'], { APP_PASSWORD: 'x' });
    expect(code).toBe(0);
    expect(summary.totals).toMatchObject({ committed: 10_000, rejected: 0 });
    await database.drop();
  });
});

describe('the list of commands', () => {
  it('lists the options that there are', async () => {
    const cli = readFileSync('src/cli.ts', 'utf8');
    const options = [...cli.matchAll(/(?:\.option|new Option)\('(?:-\w, )?(--[\w-]+)/g)].map((match) => match[1]!);
    expect(options.length).toBeGreaterThan(10);
    for (const option of options) expect(COMMANDS, option).toContain(option);
  });
});
