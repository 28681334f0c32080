import * as z from 'zod';
import { parseDurationMs } from './duration.js';
import { SSL_MODES, TARGET_SESSION_ATTRS } from './modes.js';
import { parseSizeBytes } from './size.js';

/*
 * The YAML file's shape. Every message says what was expected; the loader adds where it stands and what stood there.
 * A key's default stands beside it: docs/configuration.md is checked against them.
 */

const expected = (what: string) => ({ error: `expected ${what}` });

const text = (what = 'a text') => z.string(expected(what));
const flag = () => z.boolean(expected('true or false'));
const ratio = () =>
  z
    .number(expected('a number from 0 to 1'))
    .min(0, expected('a number from 0 to 1'))
    .max(1, expected('a number from 0 to 1'));
const integer = (min: number, max = Number.MAX_SAFE_INTEGER) => {
  const what =
    max === Number.MAX_SAFE_INTEGER ? `a whole number of ${min} or more` : `a whole number from ${min} to ${max}`;
  return z.number(expected(what)).int(expected(what)).min(min, expected(what)).max(max, expected(what));
};
/** A number, or the bounds that it is drawn between. */
const countOrRange = (max: number) => {
  const what = `a whole number from 1 to ${max}, or { min: A, max: B } between them`;
  return z.union(
    [
      integer(1, max),
      z
        .strictObject({ min: integer(1, max), max: integer(1, max) })
        .refine(({ min, max: most }) => min <= most, expected('min of at most max')),
    ],
    expected(what),
  );
};
const weight = () => z.number(expected('a weight of 0 or more')).min(0, expected('a weight of 0 or more'));
const names = (what: string) => z.array(text(what), expected(`a list of ${what}s`));
const durationValue = () =>
  z
    .union([z.string(), z.number()], expected('a duration such as 500ms, 10s, 2m30s or 72h'))
    .transform((value, context) => {
      const ms = parseDurationMs(value);
      if (ms === undefined) {
        context.issues.push({
          code: 'custom',
          message: 'expected a duration such as 500ms, 10s, 2m30s or 72h',
          input: value,
        });
        return z.NEVER;
      }
      return ms;
    });
const positiveDuration = () =>
  durationValue().refine((ms) => ms > 0, expected('a duration above 0, such as 500ms, 10s, 2m30s or 72h'));
const duration = (fallbackMs: number) => durationValue().default(fallbackMs);

const seed = z
  .union([z.bigint(), z.number().int()], expected('a whole number that fits 64 bits'))
  .transform((value, context) => {
    const big = BigInt(value);
    if (BigInt.asIntN(64, big) !== big && BigInt.asUintN(64, big) !== big) {
      context.issues.push({ code: 'custom', message: 'expected a whole number that fits 64 bits', input: value });
      return z.NEVER;
    }
    return big;
  });

export const OPERATIONS = ['INSERT', 'UPDATE', 'DELETE'] as const;
export type OperationName = (typeof OPERATIONS)[number];

const connection = z.strictObject({
  host: text().optional(),
  hosts: z.array(text('a host, or host:port'), expected('a list of hosts, such as [a:5432, b:5432]')).min(1).optional(),
  port: integer(1, 65535).optional(),
  target_session_attrs: z.enum(TARGET_SESSION_ATTRS, expected(TARGET_SESSION_ATTRS.join(', '))).optional(),
  database: text().optional(),
  user: text().optional(),
  password: z.union([z.string(), z.number().transform(String)], expected('a text (put it in quotes)')).optional(),
  password_command: z
    .array(text('a text'), expected('a list of a program and its arguments, such as [pass, show, db]'))
    .min(1, expected('a program and its arguments, such as [pass, show, db]'))
    .optional(),
  url: text('postgresql://user@host:port/database').optional(),
  ssl: z.enum(SSL_MODES, expected('disable, prefer, require, verify-ca or verify-full')).optional(),
  ssl_root_cert: text('a file').optional(),
  ssl_cert: text('a file').optional(),
  ssl_key: text('a file').optional(),
  settings: z
    .record(
      z.string().regex(/^[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)*$/, expected('the name of a setting, such as app.tenant')),
      z.union([z.string(), z.number(), z.boolean()], expected('a text, a number, or true or false')).transform(String),
      expected('a map from setting to value, such as { app.tenant: "7" }'),
    )
    .default({}),
  embedded: flag().default(false),
});

const scalar = z.union([z.string(), z.number(), z.boolean(), z.bigint(), z.null()], expected('a single value'));

/** A JSON value whose texts are templates; `$override` stands for a value of its own. */
export type JsonTemplate =
  | string
  | number
  | boolean
  | bigint
  | null
  | readonly JsonTemplate[]
  | { readonly $override: ColumnOverride }
  | { readonly [key: string]: JsonTemplate };

type Problems = z.core.ParsePayload['issues'];

/** Reads what stands in a JSON template; the path is where a problem is reported, below the template itself. */
function readTemplate(value: unknown, path: readonly PropertyKey[], issues: Problems): JsonTemplate {
  if (Array.isArray(value)) return value.map((each, index) => readTemplate(each, [...path, index], issues));
  if (typeof value !== 'object' || value === null) return value as JsonTemplate;
  if (!Object.hasOwn(value, '$override'))
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, readTemplate(each, [...path, key], issues)]),
    );
  const { $override: own, ...others } = value as { $override: unknown };
  if (Object.keys(others).length > 0)
    issues.push({ code: 'custom', message: 'expected $override alone in its map', path: [...path], input: value });
  const read = override.safeParse(own);
  for (const issue of read.error?.issues ?? [])
    issues.push({ ...issue, path: [...path, '$override', ...issue.path], input: own } as Problems[number]);
  return read.success ? { $override: read.data } : null;
}

const jsonTemplate = z.unknown().transform((value, { issues }): JsonTemplate => readTemplate(value, [], issues));

const ofType = <T extends string, S extends z.ZodRawShape>(type: T, keys: S) =>
  z.strictObject({ type: z.literal(type), null_ratio: ratio().optional(), ...keys });
const decimal = () => z.number(expected('a number'));
const override = z.discriminatedUnion(
  'type',
  [
    ofType('choice', {
      values: z.array(scalar, expected('a list of values')).min(1, expected('at least one value')),
      weights: z.array(weight(), expected('a list of weights')).optional(),
    }),
    ofType('int_range', { min: integer(Number.MIN_SAFE_INTEGER), max: integer(Number.MIN_SAFE_INTEGER) }),
    ofType('decimal_range', { min: decimal(), max: decimal(), scale: integer(0, 15).optional() }),
    ofType('date_range', { min: text('a date such as 2024-01-31'), max: text('a date such as 2024-01-31') }),
    ofType('timestamp_range', {
      min: text('a timestamp such as 2024-01-31 12:00:00'),
      max: text('a timestamp such as 2024-01-31 12:00:00'),
    }),
    ofType('faker', { method: text('a faker method such as person.fullName') }),
    ofType('template', { template: text('a template such as "{{person.firstName}}-{{ordinal}}"') }),
    ofType('pattern', { pattern: text('a regular expression such as "[A-Z]{3}-\\d{4}"') }),
    ofType('json', { value: jsonTemplate }),
    z.strictObject({ type: z.literal('null') }),
    ofType('constant', { value: scalar }),
  ],
  expected(
    'type: choice, int_range, decimal_range, date_range, timestamp_range, faker, template, pattern, json, null or constant, with its own keys',
  ),
);
export type ColumnOverride = z.output<typeof override>;

const weightPerOperation = { INSERT: weight().optional(), UPDATE: weight().optional(), DELETE: weight().optional() };
const operationWeights = z.union(
  [
    z.array(weight(), expected('a list of weights')),
    z.strictObject({
      ...weightPerOperation,
      tables: z
        .record(
          z.string(),
          z.strictObject(weightPerOperation, expected('a map such as { INSERT: 1, UPDATE: 9 }')),
          expected('a map from table to weights'),
        )
        .optional(),
    }),
  ],
  expected(
    'a list of weights in the order of operations, or a map { INSERT: 3, UPDATE: 2, DELETE: 1, tables: { … } }, each weight 0 or more',
  ),
);

const generator = z.strictObject({
  schema_name: z
    .union([z.string(), z.array(z.string()).min(1)], expected('a schema name, or a list of them'))
    .default('public'),
  manual_table_list: names('table name').default([]),
  exclude_table_list: names('table name').default([]),
  num_iterations: integer(-1).default(2000),
  wait_after_operations: integer(0).default(0),
  wait_duration_seconds: z
    .number(expected('a number of seconds, 0 or more'))
    .min(0, expected('a number of seconds, 0 or more'))
    .default(0),
  table_weights: z.record(z.string(), weight(), expected('a map from table to weight')).default({}),
  operations: z
    .array(z.enum(OPERATIONS, expected('INSERT, UPDATE or DELETE')), expected('a list with INSERT, UPDATE and DELETE'))
    .min(1, expected('at least one of INSERT, UPDATE and DELETE'))
    .default([...OPERATIONS]),
  operation_weights: operationWeights.optional(),
  insert_rows: countOrRange(100_000).default(4),
  update_rows: countOrRange(10_000).default(2),
  delete_rows: countOrRange(10_000).default(1),
  insert_max_retries: integer(0).default(50),
  update_max_retries: integer(0).default(3),
  random_seed: seed.optional(),
  faker_seed: seed.optional(),
  min_col_size_bytes: integer(0, 100_000_000).default(0),
  enable_index_create_drop: flag().default(false),
  index_events_interval: z
    .number(expected('a number of seconds above 0'))
    .gt(0, expected('a number of seconds above 0'))
    .default(5),
  column_overrides: z
    .record(
      z.string(),
      z.record(z.string(), override, expected('a map from column to override')),
      expected('a map from table to its columns'),
    )
    .default({}),
  force_conflicts: z
    .strictObject({
      enabled: flag().default(false),
      weight: weight().default(1),
      free_via: z.array(z.enum(['DELETE', 'UPDATE'], expected('DELETE or UPDATE'))).default(['DELETE', 'UPDATE']),
      reuse_via: z.array(z.enum(['INSERT', 'UPDATE'], expected('INSERT or UPDATE'))).default(['INSERT', 'UPDATE']),
    })
    .prefault({}),
  workers: z
    .union([z.literal('auto'), integer(1, 256)], expected('auto, or a whole number from 1 to 256'))
    .default('auto'),
  connections: integer(1, 1024).default(4),
  pipeline_depth: integer(1, 1024).default(8),
  max_prepared_statements: integer(8, 1_000_000).default(4096),
  row_selection: z.enum(['auto', 'owned', 'system_rows'], expected('auto, owned or system_rows')).default('auto'),
  existing_rows: z
    .union([z.literal('all'), integer(0)], expected('all, or a whole number of 0 or more'))
    .default(10_000),
  max_tracked_rows: integer(1).default(1_000_000),
  max_tracked_rows_total: integer(1).default(10_000_000),
  table_rows: z
    .strictObject({ min: integer(0).default(0), max: integer(0).default(0) })
    .refine(({ min, max }) => max === 0 || min < max, expected('min below max, or max 0 for no bound'))
    .prefault({}),
  count_rows: z.enum(['auto', 'always', 'never'], expected('auto, always or never')).default('auto'),
  null_ratio: ratio().default(0.05),
  edge_ratio: ratio().default(0.01),
  defaults: z.enum(['never', 'immutable', 'all'], expected('never, immutable or all')).default('immutable'),
  identity_values: z.enum(['generate', 'database'], expected('generate or database')).default('generate'),
  untargeted_parents: z.enum(['refuse', 'insert'], expected('refuse or insert')).default('refuse'),
  exclude_columns_from_update: z
    .record(z.string(), names('column name'), expected('a map from table to a list of columns'))
    .default({}),
  rehearse: flag().default(true),
  transaction: z
    .strictObject({
      statements: countOrRange(10_000).default(1),
      savepoint_ratio: ratio().default(0),
      rollback_ratio: ratio().default(0),
      isolation: z
        .enum(
          ['read committed', 'repeatable read', 'serializable'],
          expected('read committed, repeatable read or serializable'),
        )
        .default('read committed'),
    })
    .prefault({}),
  skew: z
    .strictObject({
      distribution: z.enum(['uniform', 'zipf'], expected('uniform or zipf')).default('uniform'),
      exponent: z
        .number(expected('a number above 0, at most 20'))
        .gt(0, expected('a number above 0, at most 20'))
        .max(20, expected('a number above 0, at most 20'))
        .optional(),
    })
    .prefault({}),
  error_budget: z
    .strictObject({ max_error_ratio: ratio().default(0.05), quarantine_after: integer(1).default(50) })
    .prefault({}),
  timeouts: z
    .strictObject({
      connect: duration(10_000),
      statement: duration(60_000),
      lock: duration(5_000),
      rehearsal: duration(60_000),
      stop: duration(30_000),
    })
    .prefault({}),
  max_outage_seconds: z
    .number(expected('a number of seconds, 0 or more'))
    .min(0, expected('a number of seconds, 0 or more'))
    .default(60),
  allow_superuser: flag().default(true),
});

/** Traffic that consumers are known to get wrong, as `traffic.traps` names it. */
export const TRAP_NAMES = [
  'toast_unchanged',
  'key_update',
  'no_op_update',
  'empty_transaction',
  'savepoint_rollback',
  'big_transaction',
  'long_transaction',
  'cascade',
  'truncate',
  'partition_move',
  'replica_identity',
  'commit_across_segments',
  'add_column',
  'drop_column',
] as const;
export type TrapName = (typeof TRAP_NAMES)[number];

const positiveRate = z.number(expected('a rate above 0')).gt(0, expected('a rate above 0'));
const traffic = z.strictObject({
  rate: positiveRate.optional(),
  arrival: z.enum(['constant', 'poisson'], expected('constant or poisson')).default('constant'),
  rate_unit: z.enum(['operations', 'events'], expected('operations or events')).default('operations'),
  catch_up: z.enum(['all', 'bounded', 'drop'], expected('all, bounded or drop')).default('bounded'),
  catch_up_seconds: z
    .number(expected('a number of seconds above 0'))
    .gt(0, expected('a number of seconds above 0'))
    .default(1),
  late_after: duration(1000),
  duration: positiveDuration().optional(),
  warm_up: duration(0),
  stages: z
    .array(
      z.strictObject({ duration: positiveDuration().optional(), rate: positiveRate, ramp: flag().default(false) }),
      expected('a list of stages'),
    )
    .default([]),
  spikes: z
    .array(
      z.strictObject({
        rate: positiveRate,
        duration: positiveDuration(),
        every: positiveDuration().optional(),
        offset: duration(0),
        mode: z.enum(['add', 'replace'], expected('add or replace')).default('add'),
        jitter: ratio().default(0),
      }),
      expected('a list of spikes'),
    )
    .default([]),
  hold_lag: duration(0),
  control_file: text('a file').optional(),
  traps: z
    .partialRecord(
      z.enum(TRAP_NAMES, expected(`the name of a trap: ${TRAP_NAMES.join(', ')}`)),
      weight(),
      expected('a map from trap to weight, such as { truncate: 1, key_update: 3 }'),
    )
    .default({}),
  trap_interval: positiveDuration().default(1000),
});

const metrics = z.strictObject({
  enabled: flag().default(true),
  host: text('an address').default('127.0.0.1'),
  port: integer(0, 65535).default(9464),
  table_label_limit: integer(0).default(200),
  allowed_hosts: z.array(text('a host name'), expected('a list of host names')).default([]),
});

const programAndArguments = 'a list of a program and its arguments, such as [./newest-heartbeat.sh]';
const target = z.strictObject({
  name: text('a name').min(1, expected('a name')),
  kind: z.enum(
    ['physical', 'logical', 'heartbeat', 'slot', 'command'],
    expected('physical, logical, heartbeat, slot or command'),
  ),
  connection: connection.optional(),
  slot: text('the name of a replication slot').min(1, expected('the name of a replication slot')).optional(),
  command: z.array(text('a text'), expected(programAndArguments)).min(1, expected(programAndArguments)).optional(),
  interval: positiveDuration().optional(),
  timeout: positiveDuration().optional(),
  may_pause: flag().default(false),
});

const SIZE = 'a size such as 500MB or 10GB, or 0 for no limit';
/* In bytes. */
const size = () =>
  z.union([z.string(), z.number()], expected(SIZE)).transform((value, context) => {
    const bytes = parseSizeBytes(value);
    if (bytes !== undefined) return bytes;
    context.issues.push({ code: 'custom', message: `expected ${SIZE}`, input: value });
    return z.NEVER;
  });

const fuse = z.strictObject({
  retained: z.union([z.literal('auto'), size()], expected(`auto, or ${SIZE}`)).default('auto'),
  safe_wal_size: size().default(0),
  lag: duration(0),
  action: z.enum(['pause', 'stop'], expected('pause or stop')).default('pause'),
});

const threshold = z.union(
  [text('a condition'), z.strictObject({ condition: text('a condition'), abort_on_fail: flag().default(false) })],
  expected('a condition such as "response_seconds p99 < 0.5"'),
);

export const fileSchema = z.strictObject({
  connection: connection.prefault({}),
  generator: generator.prefault({}),
  traffic: traffic.prefault({}),
  metrics: metrics.prefault({}),
  thresholds: z.array(threshold, expected('a list of conditions')).default([]),
  protect: z.array(text('a pattern'), expected('a list of patterns, such as [prod-*]')).default([]),
  verify: z
    .strictObject({
      every: duration(0),
      targets: z.array(text('a name from replication.targets'), expected('a list of names')).default([]),
      stop_on_difference: flag().default(false),
    })
    .prefault({}),
  replication: z
    .strictObject({
      targets: z.array(target, expected('a list of targets')).default([]),
      heartbeat: z
        .strictObject({
          schema: text('a schema name').default('event_generator'),
          interval: positiveDuration().default(50),
          tables: names('table name').default([]),
        })
        .prefault({}),
      fuse: fuse.prefault({}),
    })
    .prefault({}),
});

export type FileConfig = z.output<typeof fileSchema>;
export type GeneratorConfig = FileConfig['generator'];
export type ConnectionConfig = FileConfig['connection'];
export type TargetConfig = FileConfig['replication']['targets'][number];
