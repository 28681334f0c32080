import { existsSync, readFileSync } from 'node:fs';
import type * as z from 'zod';
import { type ConnectionSettings, resolveConnection } from './connection.js';
import { mostOf } from './count.js';
import { didYouMean } from './nearest.js';
import { type Problem, SetupError } from './problem.js';
import { type ReplicationConfig, resolveReplication } from './replication.js';
import {
  type ColumnOverride,
  type FileConfig,
  fileSchema,
  type GeneratorConfig,
  type JsonTemplate,
  OPERATIONS,
  type OperationName,
  type TrapName,
} from './schema.js';
import { describe, Source } from './source.js';
import { parseThreshold, type Threshold } from './threshold.js';
import { TRANSLATIONS } from './translation.js';
import { resolveVerification, type VerificationConfig } from './verification.js';

/** The configuration file where none is named. */
export const DEFAULT_FILE = 'event-generator.yaml';

type OperationWeights = Readonly<Record<OperationName, number>>;

export interface Config {
  readonly connection: ConnectionSettings;
  readonly embedded: boolean;
  readonly generator: GeneratorConfig;
  /** Schemas in the order given. */
  readonly schemas: readonly string[];
  readonly operationWeights: OperationWeights;
  /** Of tables with weights of their own, by their names in the file. */
  readonly tableOperationWeights: Readonly<Record<string, OperationWeights>>;
  /** Undefined where no seed was given: the run is then not reproducible. */
  readonly randomSeed: bigint | undefined;
  readonly fakerSeed: bigint | undefined;
  readonly traffic: FileConfig['traffic'];
  readonly metrics: FileConfig['metrics'];
  readonly thresholds: readonly Threshold[];
  /** Patterns of hosts and databases that are not written to. */
  readonly protect: readonly string[];
  readonly replication: ReplicationConfig | null;
  readonly verification: VerificationConfig | null;
  readonly traps: TrapsConfig | null;
  readonly source: Source;
}

/** Traps beside the traffic; null where there are none. */
interface TrapsConfig {
  readonly weights: ReadonlyMap<TrapName, number>;
  /** Of their tables. */
  readonly schema: string;
  readonly intervalMs: number;
}

/** An option of the command line that stands for a key of the file. */
export interface Override {
  readonly path: readonly string[];
  readonly value: unknown;
  readonly option: string;
  /** What was typed behind the option, where the value does not say. */
  readonly typed?: string;
  /** True if it follows from an option that was given for another key as well. */
  readonly isImplied?: boolean;
}

/**
 * Reads and checks a configuration file.
 * @throws SetupError with every problem found, each with its line and column.
 */
export function loadConfig(
  file: string,
  overrides: readonly Override[],
  environment: Readonly<Record<string, string | undefined>>,
): Config {
  // The demo tables need no configuration: everything has a default.
  const text = isEmbedded(overrides) && file === DEFAULT_FILE && !existsSync(file) ? '' : readText(file);
  return parseConfig(file, text, overrides, environment);
}

function isEmbedded(overrides: readonly Override[]): boolean {
  return overrides.some(({ path, value }) => path.join('.') === 'connection.embedded' && value === true);
}

export function parseConfig(
  file: string,
  text: string,
  overrides: readonly Override[],
  environment: Readonly<Record<string, string | undefined>>,
): Config {
  const source = new Source(file, text, environment);
  if (!source.readable) throw new SetupError(source.problems);
  const isEmpty = Object.keys(source.data).length === 0 && source.problems.length === 0;
  // A file that is empty by mistake would mean all tables of whatever database the environment names.
  if (isEmpty && !isEmbedded(overrides))
    throw SetupError.of(
      `${file}:1:1`,
      'the file is empty; `event-generator init URL` writes one for your database, and --embedded runs without a file',
    );

  for (const { path, value, option } of overrides) source.override(path, value, option);

  const problems: Problem[] = [...source.problems];
  const config = parseFile(source, problems);
  if (config === undefined) throw new SetupError(problems.sort((a, b) => lineOf(a.place) - lineOf(b.place)));
  const connection = resolveConnection(config.connection, environment, source, problems);
  const replication = resolveReplication(config, connection, environment, source, problems);
  const verification = resolveVerification(config, source, problems);
  const operationWeights = resolveWeights(config.generator, source, problems);
  const tableOperationWeights = resolveTableWeights(config.generator, operationWeights, source, problems);
  const thresholds = resolveThresholds(config, source, problems);
  checkRelations(config, source, problems);
  if (problems.length > 0) throw new SetupError(problems.sort((a, b) => lineOf(a.place) - lineOf(b.place)));

  const generator = withoutLimit(config, source);
  return {
    connection,
    embedded: config.connection.embedded,
    generator,
    schemas: typeof generator.schema_name === 'string' ? [generator.schema_name] : generator.schema_name,
    operationWeights,
    tableOperationWeights,
    randomSeed: generator.random_seed,
    fakerSeed: generator.faker_seed ?? generator.random_seed,
    traffic: config.traffic,
    metrics: config.metrics,
    protect: config.protect,
    thresholds,
    replication,
    verification,
    traps: trapsOf(config),
    source,
  };
}

function trapsOf({ traffic, replication }: FileConfig): TrapsConfig | null {
  const weights = (Object.entries(traffic.traps) as [TrapName, number][]).filter(([, weight]) => weight > 0);
  if (weights.length === 0) return null;
  return { weights: new Map(weights), schema: replication.heartbeat.schema, intervalMs: traffic.trap_interval };
}

/** Where time ends the run and no number of operations was asked for, there is no limit to it. */
function withoutLimit({ generator, traffic: { duration, stages } }: FileConfig, { data }: Source): GeneratorConfig {
  const asked = (data['generator'] as { num_iterations?: unknown } | undefined)?.num_iterations !== undefined;
  const hasEnd = duration !== undefined || stages.at(-1)?.duration !== undefined;
  return hasEnd && !asked ? { ...generator, num_iterations: -1 } : generator;
}

function lineOf(place: string): number {
  return Number(/:(\d+):\d+$/.exec(place)?.[1] ?? 0);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') throw SetupError.of(file, 'the file does not exist; name one with -c FILE');
    if (code === 'EISDIR') throw SetupError.of(file, 'is a folder; name a file with -c FILE');
    throw SetupError.of(file, `cannot be read (${code ?? 'unknown error'})`);
  }
}

/**
 * The file's data, checked key by key. Where keys are wrong they are reported and replaced by their defaults, so that
 * what rests on several keys can still be checked and every problem is seen at once.
 */
function parseFile(source: Source, problems: Problem[]): FileConfig | undefined {
  const first = fileSchema.safeParse(source.data);
  if (first.success) return first.data;
  const mended = structuredClone(source.data);
  for (const issue of first.error.issues) {
    problems.push(...translate(issue, source));
    if (issue.code === 'unrecognized_keys') for (const key of issue.keys) removeAt(mended, [...issue.path, key]);
    else removeAt(mended, issue.path);
  }
  const second = fileSchema.safeParse(mended);
  return second.success ? second.data : undefined;
}

function removeAt(data: unknown, path: readonly PropertyKey[]): void {
  let holder = data as Record<PropertyKey, unknown> | undefined;
  for (const key of path.slice(0, -1)) {
    // A hole in a list would shift its neighbours: the whole list goes.
    const next = holder?.[key];
    if (Array.isArray(next)) {
      delete holder?.[key];
      return;
    }
    holder = next as Record<PropertyKey, unknown> | undefined;
  }
  if (holder !== undefined) delete holder[path[path.length - 1]!];
}

type Issue = z.core.$ZodIssue;

function translate(issue: Issue, source: Source): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeysAt(issue.path);
    return issue.keys.map((key) => {
      const ours = TRANSLATIONS[key];
      const value = source.valueAt([...issue.path, key]);
      const hint = ours === undefined ? didYouMean(key, known) : `; write ${ours(value)}`;
      return source.problem([...issue.path, key], `unknown key${hint}`);
    });
  }
  // The innermost issue of a union is only better than the union's own text where one key inside it is unknown.
  if (issue.code === 'invalid_union') {
    const inner = issue.errors.flat().find((nested) => nested.code === 'unrecognized_keys');
    if (inner !== undefined) {
      return inner.keys.map((key) =>
        source.problem(
          [...issue.path, ...inner.path, key],
          `unknown key${didYouMean(key, OPERATIONS)}; ${issue.message}`,
        ),
      );
    }
  }
  const secret = ['password', 'url'].includes(String(issue.path[issue.path.length - 1]));
  const got = secret ? 'something else (not shown)' : describe(source.valueAt(issue.path));
  const value = source.valueAt(issue.path);
  const near =
    issue.code === 'invalid_value' && typeof value === 'string' ? didYouMean(value, issue.values.map(String)) : '';
  return [source.problem(issue.path, `${issue.message}, got ${got}${near}`)];
}

function knownKeysAt(path: readonly PropertyKey[]): string[] {
  // biome-ignore lint/suspicious/noExplicitAny: zod's tree of schemas is walked by structure
  let schema: any = fileSchema;
  for (const key of path) {
    while (schema?.def?.innerType !== undefined) schema = schema.def.innerType;
    if (typeof key === 'number') schema = schema?.def?.element;
    else schema = schema?.shape?.[key] ?? schema?.def?.valueType;
  }
  while (schema?.def?.innerType !== undefined) schema = schema.def.innerType;
  return schema?.def?.keyType?.options ?? Object.keys(schema?.shape ?? {});
}

/** Returns the weights of tables with an entry of their own; what an entry leaves out is as for all tables. */
function resolveTableWeights(
  { operations, operation_weights: given }: GeneratorConfig,
  common: OperationWeights,
  source: Source,
  problems: Problem[],
): Record<string, OperationWeights> {
  const tables = given === undefined || Array.isArray(given) ? {} : (given.tables ?? {});
  return Object.fromEntries(
    Object.entries(tables).map(([table, own]) => {
      const path = ['generator', 'operation_weights', 'tables', table];
      for (const name of OPERATIONS)
        if ((own[name] ?? 0) > 0 && !operations.includes(name))
          problems.push(
            source.problem(
              [...path, name],
              `${name} has a weight but is not listed in operations: [${operations.join(', ')}]`,
            ),
          );
      const weights = Object.fromEntries(
        OPERATIONS.map((name) => [name, own[name] ?? common[name]]),
      ) as OperationWeights;
      if (OPERATIONS.every((name) => weights[name] === 0))
        problems.push(
          source.problem(path, 'all weights are 0; to leave the table alone, set its weight in table_weights to 0'),
        );
      return [table, weights];
    }),
  );
}

function resolveWeights(
  generator: GeneratorConfig,
  source: Source,
  problems: Problem[],
): Record<OperationName, number> {
  const path = ['generator', 'operation_weights'];
  const weights: Record<OperationName, number> = { INSERT: 0, UPDATE: 0, DELETE: 0 };
  const given = generator.operation_weights;
  const seen = new Set<string>();
  for (const [index, name] of generator.operations.entries()) {
    if (seen.has(name))
      problems.push(source.problem(['generator', 'operations', index], `${name} is listed twice; remove one`));
    seen.add(name);
  }
  // Weights of tables alone leave the general ones as they are.
  const isUsual =
    given === undefined || (!Array.isArray(given) && OPERATIONS.every((name) => given[name] === undefined));
  if (isUsual) {
    const defaults = { INSERT: 3, UPDATE: 2, DELETE: 1 };
    for (const name of generator.operations) weights[name] = defaults[name];
  } else if (Array.isArray(given)) {
    if (given.length !== generator.operations.length) {
      problems.push(
        source.problem(
          path,
          `expected one weight for each of the ${generator.operations.length} operations (${generator.operations.join(', ')}), got ${given.length}`,
        ),
      );
    }
    for (const [index, name] of generator.operations.entries()) weights[name] = given[index] ?? 0;
  } else {
    for (const name of OPERATIONS) {
      const value = given[name];
      if (value !== undefined && value > 0 && !generator.operations.includes(name)) {
        problems.push(
          source.problem(
            [...path, name],
            `${name} has a weight but is not among operations: [${generator.operations.join(', ')}]`,
          ),
        );
      }
      if (generator.operations.includes(name)) weights[name] = value ?? 0;
    }
  }
  if (problems.length === 0 && OPERATIONS.every((name) => weights[name] === 0)) {
    problems.push(
      source.problem(path, 'all weights are 0, so no operation can be chosen; give one of them a weight above 0'),
    );
  }
  return weights;
}

function checkRelations({ generator, traffic, replication }: FileConfig, source: Source, problems: Problem[]): void {
  if (
    generator.wait_after_operations > 0 &&
    generator.wait_duration_seconds === 0 &&
    source.valueAt(['generator', 'wait_duration_seconds']) === undefined
  ) {
    problems.push(source.problem(['generator', 'wait_after_operations'], 'needs wait_duration_seconds as well'));
  }
  if (generator.faker_seed !== undefined && generator.random_seed === undefined) {
    problems.push(
      source.problem(['generator', 'faker_seed'], 'needs random_seed as well; without it the run cannot be repeated'),
    );
  }
  checkTraffic(traffic, generator, source, problems);
  if (traffic.hold_lag > 0 && replication.targets.length === 0)
    problems.push(source.problem(['traffic', 'hold_lag'], 'needs a measured lag: set replication.targets'));
  if (generator.skew.distribution === 'uniform' && generator.skew.exponent !== undefined)
    problems.push(
      source.problem(['generator', 'skew', 'exponent'], 'has an effect only with distribution: zipf; remove it'),
    );
  const isSampled = generator.row_selection === 'system_rows';
  const { force_conflicts: conflicts, skew, table_rows: bounds } = generator;
  const needOwned = {
    force_conflicts: conflicts.enabled,
    skew: skew.distribution !== 'uniform',
    table_rows: bounds.min > 0 || bounds.max > 0,
  };
  for (const [key, isAsked] of Object.entries(needOwned))
    if (isSampled && isAsked)
      problems.push(
        source.problem(['generator', key], 'needs row_selection: owned; remove row_selection, or set it to owned'),
      );
  const { transaction } = generator;
  if (transaction.savepoint_ratio > 0 && mostOf(transaction.statements) === 1)
    problems.push(
      source.problem(
        ['generator', 'transaction', 'savepoint_ratio'],
        'needs transactions of several statements: set transaction.statements to 2 or more, or remove it',
      ),
    );
  const weights = Object.values(generator.table_weights);
  if (weights.length > 0 && weights.every((value) => value === 0) && generator.manual_table_list.length > 0) {
    const covered = generator.manual_table_list.every((name) => generator.table_weights[name] === 0);
    if (covered)
      problems.push(
        source.problem(
          ['generator', 'table_weights'],
          'every table has weight 0, so no table can be chosen; give one of them a weight above 0',
        ),
      );
  }
  for (const [table, columns] of Object.entries(generator.column_overrides)) {
    for (const [column, override] of Object.entries(columns)) {
      const path = ['generator', 'column_overrides', table, column];
      checkOverride(override, (message) => problems.push(source.problem(path, message)));
    }
  }
}

/** What the keys of an override say together. */
function checkOverride(override: ColumnOverride, report: (message: string) => void): void {
  switch (override.type) {
    case 'int_range':
    case 'decimal_range':
      if (override.min > override.max) report(`min ${override.min} is above max ${override.max}`);
      return;
    case 'date_range':
    case 'timestamp_range':
      if (override.min > override.max) report(`min "${override.min}" is after max "${override.max}"`);
      return;
    case 'choice': {
      const { values, weights } = override;
      if (weights === undefined) return;
      if (weights.length !== values.length)
        report(`expected one weight for each of the ${values.length} values, got ${weights.length}`);
      else if (weights.every((value) => value === 0)) report('all weights are 0; give one of them a weight above 0');
      return;
    }
    case 'json':
      for (const each of overridesWithin(override.value)) checkOverride(each, report);
      return;
    default:
      return;
  }
}

function overridesWithin(value: JsonTemplate): ColumnOverride[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Object.hasOwn(value, '$override')) return [(value as { $override: ColumnOverride }).$override];
  return Object.values(value).flatMap(overridesWithin);
}

function resolveThresholds(config: FileConfig, source: Source, problems: Problem[]): Threshold[] {
  const isScheduled = hasSchedule(config.traffic);
  return config.thresholds.flatMap((entry, index) => {
    const { condition, abort_on_fail: abort } =
      typeof entry === 'string' ? { condition: entry, abort_on_fail: false } : entry;
    const threshold = parseThreshold(condition, abort);
    const report = (message: string) => {
      problems.push(source.problem(['thresholds', index], message));
      return [];
    };
    if (typeof threshold === 'string') return report(threshold);
    if (!isScheduled && (threshold.figure === 'dropped_ratio' || threshold.figure === 'late_ratio'))
      return report(`${threshold.figure} needs a schedule: set traffic.rate or traffic.stages`);
    const figure = threshold.figure === 'slope' ? threshold.of : threshold.figure;
    if (REPLICATED.test(figure) && config.replication.targets.length === 0)
      return report(`${figure} needs a target to measure: set replication.targets`);
    return [threshold];
  });
}

/* Figures that only replication targets have. */
const REPLICATED = /^(replication_lag_seconds|retained_bytes)/;

/** True where something says when operations are due. */
function hasSchedule({ rate, stages, hold_lag: holdLag, control_file: file }: FileConfig['traffic']): boolean {
  return rate !== undefined || stages.length > 0 || holdLag > 0 || file !== undefined;
}

/** What the keys of a schedule say together. */
function checkTraffic(
  traffic: FileConfig['traffic'],
  generator: GeneratorConfig,
  source: Source,
  problems: Problem[],
): void {
  const { rate, stages, spikes, duration, catch_up: catchUp } = traffic;
  const report = (path: readonly (string | number)[], message: string) =>
    problems.push(source.problem(['traffic', ...path], message));
  if (rate !== undefined && stages.length > 0)
    report(['rate'], 'cannot be combined with stages, which have rates of their own; remove one of them');
  for (const [index, stage] of stages.entries()) {
    const isLast = index === stages.length - 1;
    if (stage.duration === undefined && !isLast)
      report(
        ['stages', index],
        'needs a duration; only the last stage may leave it out and continue to the end of the run',
      );
    if (stage.duration === undefined && stage.ramp)
      report(['stages', index, 'ramp'], 'needs a duration of the stage; the rate is reached at its end');
    if (stage.duration === undefined && isLast && generator.num_iterations === -1 && duration === undefined)
      report(
        ['stages', index],
        'never ends, because num_iterations is -1; give the stage a duration, or set traffic.duration',
      );
  }
  if (spikes.length > 0 && rate === undefined && stages.length === 0)
    report(['spikes'], 'need a base rate: set traffic.rate or traffic.stages');
  for (const [index, spike] of spikes.entries()) {
    if (spike.every !== undefined && spike.duration > spike.every)
      report(
        ['spikes', index, 'duration'],
        `is longer than every: a spike of ${spike.duration / 1000} s every ${spike.every / 1000} s; shorten the duration, or raise every`,
      );
  }
  if (!hasSchedule(traffic)) {
    for (const key of ['arrival', 'rate_unit', 'catch_up', 'catch_up_seconds', 'late_after'] as const)
      if (source.valueAt(['traffic', key]) !== undefined)
        report([key], 'has an effect only on a schedule: set traffic.rate or traffic.stages, or remove it');
  } else if (catchUp !== 'bounded' && source.valueAt(['traffic', 'catch_up_seconds']) !== undefined)
    report(['catch_up_seconds'], `has an effect only with catch_up: bounded, not with ${catchUp}; remove it`);
}
