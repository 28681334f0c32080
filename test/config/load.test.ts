import { describe, expect, it } from 'vitest';
import { parseDurationMs } from '../../src/config/duration.js';
import { type Config, loadConfig, type Override, parseConfig } from '../../src/config/load.js';
import { SetupError } from '../../src/config/problem.js';

function problems(
  text: string,
  overrides: readonly Override[] = [],
  environment: Record<string, string> = {},
): string[] {
  try {
    parseConfig('c.yaml', text, overrides, environment);
  } catch (error) {
    if (error instanceof SetupError) return error.message.split('\n');
    throw error;
  }
  return [];
}

function parse(text: string, overrides: readonly Override[] = [], environment: Record<string, string> = {}): Config {
  return parseConfig('c.yaml', text, overrides, environment);
}

const generator = (...lines: string[]) => `generator:\n${lines.map((line) => `  ${line}`).join('\n')}\n`;

describe('a configuration file', () => {
  it('of the project is valid', () => {
    const config = loadConfig('event-generator.yaml', [], {});
    expect(config.generator.manual_table_list).toEqual(['eg_users', 'eg_orders']);
    expect(config.operationWeights).toEqual({ INSERT: 3, UPDATE: 2, DELETE: 1 });
  });

  it('of the original runs unchanged', () => {
    const config = parse(`
connection: {host: localhost, port: 5432, database: sakila, user: postgres, password: postgres}
generator:
  schema_name: public
  manual_table_list: []
  exclude_table_list: [a]
  num_iterations: 2000
  wait_after_operations: 100
  wait_duration_seconds: 0.5
  table_weights: {}
  operations: [INSERT, UPDATE, DELETE]
  operation_weights: [3, 2, 1]
  insert_rows: 4
  update_rows: 2
  delete_rows: 1
  insert_max_retries: 50
  update_max_retries: 3
  random_seed: 42
  min_col_size_bytes: 0
  enable_index_create_drop: false
  index_events_interval: 7
  force_conflicts: { enabled: false, weight: 2 }
`);
    expect(config.connection).toMatchObject({
      host: 'localhost',
      port: 5432,
      database: 'sakila',
      user: 'postgres',
      password: 'postgres',
    });
    expect(config.fakerSeed).toBe(42n);
  });

  it.each([
    ['not YAML', 'generator: [1, 2', /^c\.yaml:1:\d+: not valid YAML/],
    ['a tab as indentation', 'generator:\n\tnum_iterations: 3\n', /^c\.yaml:2:1: a tab is used for indentation/],
    ['a duplicate key', generator('num_iterations: 3', 'num_iterations: 4'), /^c\.yaml:3:3: this key occurs twice/],
    [
      'an unknown key',
      generator('num_iteration: 3'),
      'c.yaml:2:3: generator.num_iteration: unknown key (did you mean "num_iterations"?)',
    ],
    ['an unknown section', 'generater: {}\n', 'c.yaml:1:1: generater: unknown key (did you mean "generator"?)'],
    [
      'a wrong type',
      generator('num_iterations: many'),
      'c.yaml:2:3: generator.num_iterations: expected a whole number of -1 or more, got "many"',
    ],
    [
      'a negative count',
      generator('insert_rows: -4'),
      'c.yaml:2:3: generator.insert_rows: expected a whole number from 1 to 100000, got -4',
    ],
    [
      'a fractional count',
      generator('update_rows: 1.5'),
      'c.yaml:2:3: generator.update_rows: expected a whole number from 1 to 10000, or { min: A, max: B } between them, got 1.5',
    ],
    [
      'a negative weight',
      generator('operation_weights: [3, -2, 1]'),
      'c.yaml:2:26: generator.operation_weights.1: expected a weight of 0 or more, got -2',
    ],
    ['weights all zero', generator('operation_weights: [0, 0, 0]'), /generator\.operation_weights: all weights are 0/],
    [
      'weights of the wrong length',
      generator('operation_weights: [3, 2]'),
      /expected one weight for each of the 3 operations \(INSERT, UPDATE, DELETE\), got 2/,
    ],
    [
      'an unknown operation',
      generator('operations: [INSERT, UPSERT]'),
      /generator\.operations\.1: expected INSERT, UPDATE or DELETE, got "UPSERT"/,
    ],
    [
      'an unknown operation weight',
      generator('operation_weights: { INSRT: 1 }'),
      /generator\.operation_weights\.INSRT: unknown key/,
    ],
    [
      'a key of another generator',
      'generator: { seed: 5 }\n',
      /^c\.yaml:1:14: generator\.seed: unknown key; write random_seed: 5/,
    ],
    [
      'a section of another generator',
      'rate_control: { rate: 5 }\n',
      'c.yaml:1:1: rate_control: unknown key; write traffic: { rate: 5 } beside generator',
    ],
    [
      'a schedule of another generator',
      'rate_control: { schedule: [{ duration_seconds: 60, events_per_second: 50 }, { duration: 5m, rate: 500 }], jitter_pct: 10 }\n',
      'c.yaml:1:1: rate_control: unknown key; write traffic: { stages: [{ duration: 60s, rate: 50 }, { duration: 5m, rate: 500 }], arrival: poisson } beside generator',
    ],
    [
      'transactions of another generator',
      generator(
        'transaction_mode: { enabled: true, statements_per_transaction: [2, 8], hot_tables: [orders, items], rollback_pct: 5 }',
      ),
      'c.yaml:2:3: generator.transaction_mode: unknown key; write transaction: { statements: { min: 2, max: 8 }, rollback_ratio: 0.05 } and table_weights: { orders: 10, items: 10 } under generator',
    ],
    [
      'transactions of another generator, by their least and most',
      generator('transaction_mode: { min_statements: 3, max_statements: 6, hot_tables: { orders: 4 } }'),
      'c.yaml:2:3: generator.transaction_mode: unknown key; write transaction: { statements: { min: 3, max: 6 } } and table_weights: { orders: 4 } under generator',
    ],
    [
      'a schedule of another generator, by its moments',
      'rate_control: { schedule: [{ start: 0, end: 30, target: 50 }, { start: 30, target: 500 }] }\n',
      'c.yaml:1:1: rate_control: unknown key; write traffic: { stages: [{ duration: 30s, rate: 50 }, { duration: N, rate: 500 }] } beside generator',
    ],
    [
      'transactions of another generator, by their operations and shares',
      generator('transaction_mode: { min_operations: 1, max_operations: 10, hot_tables: { orders: 0.7 } }'),
      'c.yaml:2:3: generator.transaction_mode: unknown key; write transaction: { statements: { min: 1, max: 10 } } and table_weights: { orders: 10 } under generator',
    ],
    [
      'parallel sections of another generator',
      generator('parallel: { workers: 4, connections: 16 }'),
      'c.yaml:2:3: generator.parallel: unknown key; write connections: 16 and workers: 4 under generator',
    ],
    ['an empty file', '', /^c\.yaml:1:1: the file is empty/],
    ['a list at the top', '- 1\n', /expected the sections connection: and generator:, got a list/],
    ['__proto__', generator('__proto__: 3'), 'c.yaml:2:3: generator.__proto__: unknown key'],
    [
      'a seed beyond 64 bits',
      generator('random_seed: 99999999999999999999'),
      /expected a whole number that fits 64 bits/,
    ],
    [
      'a missing environment variable',
      'connection: { password: "${NOT_THERE}" }\n',
      /^c\.yaml:1:15: connection\.password: the environment variable NOT_THERE is not set/,
    ],
    ['a rate of zero', 'traffic: { rate: 0 }\n', 'c.yaml:1:12: traffic.rate: expected a rate above 0, got 0'],
    [
      'a rate beside stages',
      'traffic: { rate: 5, stages: [{ rate: 1, duration: 1s }] }\n',
      /^c\.yaml:1:12: traffic\.rate: cannot be combined with stages/,
    ],
    [
      'stages without an end',
      'generator: { num_iterations: -1 }\ntraffic: { stages: [{ rate: 1 }] }\n',
      /^c\.yaml:2:\d+: traffic\.stages\.0: never ends, .* set traffic\.duration/,
    ],
    [
      'a spike longer than its period',
      'traffic: { rate: 5, spikes: [{ rate: 1, duration: 10s, every: 5s }] }\n',
      /^c\.yaml:1:\d+: traffic\.spikes\.0\.duration: is longer than every: a spike of 10 s every 5 s/,
    ],
    ['spikes on nothing', 'traffic: { spikes: [{ rate: 1, duration: 1s }] }\n', /need a base rate/],
    ['a stage of no time', 'traffic: { stages: [{ rate: 1, duration: 0s }] }\n', /expected a duration above 0/],
    ['arrivals without a rate', 'traffic: { arrival: poisson }\n', /has an effect only on a schedule/],
    [
      'savepoints with one statement',
      generator('transaction: { savepoint_ratio: 0.5 }'),
      /generator\.transaction\.savepoint_ratio: needs transactions of several statements/,
    ],
    [
      'a transaction of no statements',
      generator('transaction: { statements: 0 }'),
      /transaction\.statements: expected a whole number from 1 to 10000, got 0/,
    ],
    [
      'an exponent below zero',
      generator('skew: { distribution: zipf, exponent: -1 }'),
      /generator\.skew\.exponent: expected a number above 0, at most 20, got -1/,
    ],
    [
      'an exponent without its law',
      generator('skew: { exponent: 2 }'),
      /generator\.skew\.exponent: has an effect only with distribution: zipf/,
    ],
    [
      'conflicts among sampled rows',
      generator('row_selection: system_rows\n  force_conflicts: { enabled: true }'),
      /generator\.force_conflicts: needs row_selection: owned/,
    ],
    [
      'a default that is none',
      generator('defaults: some'),
      /^c\.yaml:2:3: generator\.defaults: expected never, immutable or all/,
    ],
    [
      'a bad url',
      'connection: { url: "host=h dbname=d" }\n',
      /connection\.url: expected postgresql:\/\/user@host:port\/database/,
    ],
    [
      'a bad sslmode',
      'connection: { url: "postgresql://h/d?sslmode=bogus" }\n',
      /sslmode: expected disable, prefer, require, verify-ca or verify-full, got "bogus"/,
    ],
    [
      'an override of an unknown kind',
      generator('column_overrides: { t: { c: { type: chioce } } }'),
      /generator\.column_overrides\.t\.c\.type: expected type: choice/,
    ],
    [
      'an empty range',
      generator('column_overrides: { t: { c: { type: int_range, min: 4, max: 3 } } }'),
      /min 4 is above max 3/,
    ],
  ])('with %s is refused with its place', (_, text, expected) => {
    const found = problems(text);
    expect(found.length).toBeGreaterThan(0);
    if (typeof expected === 'string') expect(found).toContain(expected);
    else expect(found.some((problem) => expected.test(problem))).toBe(true);
  });

  it('with an alias bomb is refused quickly', () => {
    const lines = ['a: &a [x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 9; i++) {
      const before = String.fromCharCode(96 + i);
      const name = String.fromCharCode(97 + i);
      lines.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(', ')}]`);
    }
    expect(problems(lines.join('\n'))[0]).toMatch(/too many YAML aliases/);
  });

  it('reports every problem at once', () => {
    const found = problems(
      'connection: { hots: x, port: 99999 }\ngenerator:\n  insert_rows: 0\n  operation_weights: [1]\n  __proto__: 1\n',
    );
    expect(found).toHaveLength(5);
  });

  it('never shows a password', () => {
    expect(problems('connection: { password: [hunter2] }\n').join()).not.toContain('hunter2');
    expect(problems('connection: { url: 3, password: hunter2 }\n').join()).not.toContain('hunter2');
  });

  it('keeps a 64-bit seed to the last bit', () => {
    expect(parse(generator('random_seed: 9223372036854775807')).randomSeed).toBe(9223372036854775807n);
    expect(parse(generator('random_seed: 18446744073709551615', 'faker_seed: -9223372036854775808'))).toMatchObject({
      randomSeed: 18446744073709551615n,
      fakerSeed: -9223372036854775808n,
    });
  });

  it('takes both forms of operation weights', () => {
    expect(parse(generator('operation_weights: { INSERT: 5, DELETE: 2 }')).operationWeights).toEqual({
      INSERT: 5,
      UPDATE: 0,
      DELETE: 2,
    });
    expect(parse(generator('operations: [DELETE, INSERT]', 'operation_weights: [7, 1]')).operationWeights).toEqual({
      INSERT: 1,
      UPDATE: 0,
      DELETE: 7,
    });
  });

  it('falls back to PG* variables and reads a url', () => {
    const environment = { PGHOST: 'h', PGPORT: '6000', PGDATABASE: 'd', PGUSER: 'u', PGPASSWORD: 'p' };
    expect(parse('generator: {}\n', [], environment).connection).toMatchObject({
      host: 'h',
      port: 6000,
      database: 'd',
      user: 'u',
      password: 'p',
    });
    expect(
      parse('connection: { url: "postgresql://me:s%40t@db.example:7000/app?sslmode=require" }\n').connection,
    ).toMatchObject({
      host: 'db.example',
      port: 7000,
      database: 'app',
      user: 'me',
      password: 's@t',
      ssl: 'require',
    });
  });

  it('takes an environment variable in a text', () => {
    expect(parse('connection: { password: "x${SECRET}y" }\n', [], { SECRET: '1' }).connection.password).toBe('x1y');
  });

  it('lets the command line stand for a key, and names it when it is wrong', () => {
    const override = (value: unknown) => [{ path: ['generator', 'num_iterations'], value, option: '--iterations' }];
    expect(parse(generator('num_iterations: 5'), override(9)).generator.num_iterations).toBe(9);
    expect(problems(generator('num_iterations: 5'), override(-7))[0]).toBe(
      '--iterations: generator.num_iterations: expected a whole number of -1 or more, got -7',
    );
  });

  it('that is missing is named', () => {
    expect(() => loadConfig('no-such.yaml', [], {})).toThrow(/no-such\.yaml: the file does not exist/);
  });
});

it('shows a configuration without its secrets, and variables by their names', () => {
  const text = `# password: commented
connection: { url: "postgresql://me:hun@ter2:x@h/db" }
replication:
  targets:
    - { name: a, kind: physical, connection: { host: b, password: 123456 } }
    - { name: c, kind: physical, connection: { host: d, password: "\${SECRET}" } }
`;
  const config = parseConfig('c.yaml', text, [{ path: ['traffic', 'duration'], value: '5s', option: '--duration' }], {
    SECRET: 'hunter3',
  });
  const shown = config.source.withoutSecrets();
  for (const secret of ['commented', 'hun', 'ter2', '123456', 'hunter3']) expect(shown).not.toContain(secret);
  expect(shown).toContain('url: postgresql://me:***@h/db');
  expect(shown).toContain('password: ${SECRET}');
  expect(shown).toContain('# --duration: traffic.duration = 5s');
});

it('has no limit of operations where time ends the run and none is asked for', () => {
  const iterations = (text: string) => parseConfig('c.yaml', text, [], {}).generator.num_iterations;
  expect(iterations('traffic: { duration: 5s }\n')).toBe(-1);
  expect(iterations('traffic: { stages: [{ rate: 5, duration: 5s }] }\n')).toBe(-1);
  expect(iterations('generator: { schema_name: x }\ntraffic: { duration: 5s }\n')).toBe(-1);
  expect(iterations('generator: { num_iterations: 7 }\ntraffic: { duration: 5s }\n')).toBe(7);
  expect(iterations('traffic: { stages: [{ rate: 5, duration: 5s }, { rate: 6 }] }\n')).toBe(2000);
  expect(iterations('traffic: { rate: 5 }\n')).toBe(2000);
});

it.each([
  ['500ms', 500],
  ['10', 10_000],
  ['1.5m', 90_000],
  ['2m30s', 150_000],
  ['1h 5m', 3_900_000],
  ['3d', 259_200_000],
  ['1s1s', undefined],
  ['5 minutes', undefined],
  ['m5', undefined],
  ['', undefined],
  ['-5s', undefined],
])('reads the duration %j', (text, ms) => {
  expect(parseDurationMs(text)).toBe(ms);
});

it('tells the settings of a file without connections, and variables by their names', () => {
  const text = `connection: { password: "\${SECRET}", host: example.com }
generator: { insert_rows: 7, manual_table_list: [a, b], random_seed: 5 }
traffic: { stages: [{ rate: 10, duration: 1s }], control_file: "/run/\${SECRET}.yaml" }
`;
  const { source } = parseConfig('c.yaml', text, [], { SECRET: 'hunter22' });
  expect(source.settings()).toEqual({
    'generator.insert_rows': '7',
    'generator.manual_table_list': '[a, b]',
    'generator.random_seed': '5',
    'traffic.stages.0.rate': '10',
    'traffic.stages.0.duration': '1s',
    'traffic.control_file': '/run/${SECRET}.yaml',
  });
});
