#!/usr/bin/env node
import completion from '@bomb.sh/tab/commander';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { parse as parseYaml } from 'yaml';
import type { LagLimit } from './benchmark/max.js';
import { PATTERNS, type Pattern } from './benchmark/patterns.js';
import { capture } from './commands/capture.js';
import { compare } from './commands/compare.js';
import { EXIT } from './commands/exit.js';
import { type Place, parsePlace } from './commands/explain.js';
import { grants } from './commands/grants.js';
import { history } from './commands/history.js';
import { init } from './commands/init.js';
import { inspect } from './commands/inspect.js';
import { type LagOptions, parseLimit, parseSteps } from './commands/lag.js';
import { load } from './commands/load.js';
import { merge } from './commands/merge.js';
import { type RunOptions, run } from './commands/run.js';
import { schema } from './commands/schema.js';
import type { ShardRequest } from './commands/sharded.js';
import { validate } from './commands/validate.js';
import { ALLOWANCES, type Allowance } from './commands/verify/events.js';
import { verify } from './commands/verify.js';
import { parseDurationMs } from './config/duration.js';
import { DEFAULT_FILE, type Override } from './config/load.js';
import { withoutSecrets } from './config/secrets.js';
import { VERSION } from './package.js';
import { TOLERATED, type Tolerances, type Tolerated } from './report/comparison.js';

interface ShardFlags {
  readonly shard?: string;
  readonly runId?: string;
  readonly startTimeout?: string;
  readonly startAt?: Date;
  readonly resume?: 'inexact';
}

interface Flags extends ShardFlags {
  readonly config: string;
  readonly iterations?: number;
  readonly duration?: string;
  readonly rate?: number;
  readonly workers?: number;
  readonly connections?: number;
  readonly seed?: bigint;
  readonly embedded?: true;
  readonly set?: readonly Override[];
  readonly dryRun?: true;
  readonly explain?: Place;
  readonly plan?: string;
  readonly planOut?: string;
  readonly until?: string;
  readonly yesWriteTo?: string;
  readonly summary?: string;
  readonly report?: string;
  readonly capture?: string;
  readonly history?: string;
  readonly metricsPort?: number;
  readonly metrics: boolean;
  readonly pushGateway?: string;
  readonly metricsLinger?: string;
  readonly quiet?: true;
  readonly full?: true;
  readonly logFormat: string;
}

function wholeNumber(text: string): number {
  if (!/^-?\d+$/.test(text)) throw new InvalidArgumentError('expected a whole number.');
  return Number(text);
}

function positiveNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text) || Number(text) === 0)
    throw new InvalidArgumentError('expected a whole number above 0.');
  return Number(text);
}

function rate(text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError('expected a rate above 0.');
  return value;
}

function seed(text: string): bigint {
  if (!/^-?\d+$/.test(text)) throw new InvalidArgumentError('expected a whole number.');
  return BigInt(text);
}

function address(text: string): string {
  if (!/^https?:\/\/[^/]+/.test(text))
    throw new InvalidArgumentError('expected an address such as http://gateway:9091.');
  return text;
}

function duration(text: string): string {
  if (parseDurationMs(text) === undefined)
    throw new InvalidArgumentError('expected a duration such as 500ms, 10s, 2m30s or 72h.');
  return text;
}

function moment(text: string): Date {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) throw new InvalidArgumentError('expected a time such as 2026-12-01T10:00:00Z.');
  if (date.getTime() < Date.now()) throw new InvalidArgumentError('this time is in the past.');
  return date;
}

function place(text: string): Place {
  const parsed = parsePlace(text);
  if (parsed === undefined) throw new InvalidArgumentError('expected LANE:N, both counted from 0, for example 1:42.');
  return parsed;
}

/** `key=value` of --set: a key path with dots, and a value as in YAML. */
function setting(text: string, before: readonly Override[] = []): Override[] {
  const at = text.indexOf('=');
  const path = text.slice(0, Math.max(0, at)).split('.');
  if (path.some((key) => key === ''))
    throw new InvalidArgumentError('expected KEY=VALUE, such as generator.insert_rows=10.');
  const typed = text.slice(at + 1);
  return [...before, { path, value: settingValue(path, typed), option: `--set ${path.join('.')}`, typed }];
}

function settingValue(path: readonly string[], typed: string): unknown {
  // Whatever a password looks like, it is a text, and it is in no message.
  if (['password', 'url'].includes(path[path.length - 1]!)) return typed;
  try {
    return plain(parseYaml(typed, { intAsBigInt: true, logLevel: 'silent' }));
  } catch {
    throw new InvalidArgumentError('the value is not valid YAML.');
  }
}

/** Numbers as JavaScript has them, but for whole ones that it would round. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  // As in the file, a key without a value is not set.
  const entries = Object.entries(value).filter(([, entry]) => entry !== null);
  return Object.fromEntries(entries.map(([key, entry]) => [key, plain(entry)]));
}

/** `10%`, or `latency=20%`: the latter for one kind of figure. */
function tolerance(text: string, before: Tolerances): Tolerances {
  const match = /^(?:([a-z]+)=)?(\d+(?:\.\d+)?)\s*%?$/.exec(text);
  const kind = match?.[1];
  if (match === null || (kind !== undefined && !(TOLERATED as readonly string[]).includes(kind)))
    throw new InvalidArgumentError(
      `expected a percentage such as 10%, or KIND=PERCENTAGE where KIND is one of ${TOLERATED.join(', ')}.`,
    );
  const share = Number(match[2]) / 100;
  return kind === undefined ? allTolerances(share) : { ...before, [kind as Tolerated]: share };
}

function allTolerances(share: number): Tolerances {
  return { rate: share, latency: share, lag: share, errors: share, cpu: share };
}

/** Options that stand for keys of the file. */
function overridesOf(flags: Partial<Flags> & Pick<Flags, 'metrics'>): Override[] {
  const generator = (key: string, value: unknown, option: string): Override[] =>
    value === undefined ? [] : [{ path: ['generator', key], value, option }];
  return [
    ...generator('num_iterations', flags.iterations, '--iterations'),
    ...generator('workers', flags.workers, '--workers'),
    ...generator('connections', flags.connections, '--connections'),
    ...generator('random_seed', flags.seed, '--seed'),
    ...generator('faker_seed', flags.seed, '--seed'),
    ...(flags.rate === undefined ? [] : [{ path: ['traffic', 'rate'], value: flags.rate, option: '--rate' }]),
    ...(flags.duration === undefined
      ? []
      : [{ path: ['traffic', 'duration'], value: flags.duration, option: '--duration' }]),
    // A duration on the command line replaces the number of operations in the file.
    ...(flags.duration === undefined || flags.iterations !== undefined
      ? []
      : generator('num_iterations', -1, '--duration').map((each) => ({ ...each, isImplied: true }))),
    ...(flags.embedded === undefined ? [] : [{ path: ['connection', 'embedded'], value: true, option: '--embedded' }]),
    ...(flags.metricsPort === undefined
      ? []
      : [{ path: ['metrics', 'port'], value: flags.metricsPort, option: '--metrics-port' }]),
    ...(flags.metrics ? [] : [{ path: ['metrics', 'enabled'], value: false, option: '--no-metrics' }]),
    ...(flags.set ?? []),
  ];
}

function shardRequest({ shard, runId, startTimeout, startAt, resume }: ShardFlags): ShardRequest | null {
  if (shard === undefined) {
    // What shards have in common means nothing without one.
    const given = { '--run-id': runId, '--start-timeout': startTimeout, '--start-at': startAt, '--resume': resume };
    const found = Object.entries(given).find(([, value]) => value !== undefined);
    if (found !== undefined)
      program.error(`error: ${found[0]} has no effect without --shard; leave it out, or add --shard i/n`);
    return null;
  }
  const startTimeoutMs = parseDurationMs(startTimeout ?? '5m')!;
  return { text: shard, runId, startTimeoutMs, startAt: startAt ?? null, mayBeInexact: resume === 'inexact' };
}

/** Options of all commands whose lanes several processes can share. */
const SHARD_OPTIONS = [
  new Option(
    '--shard <i/n>',
    'carry only this part of the lanes; other processes carry the rest. auto: take i/n from the batch engine’s environment',
  ),
  new Option('--run-id <id>', 'the name of the run, the same for all of its shards'),
  new Option('--start-timeout <time>', 'how long a shard waits for the others (default: 5m)').argParser(duration),
  new Option(
    '--start-at <time>',
    'time at which all shards start, such as 2026-12-01T10:00:00Z (default: when all are ready)',
  ).argParser(moment),
] as const;

function toOptions(flags: Flags): RunOptions {
  return {
    file: flags.config,
    overrides: overridesOf(flags),
    dryRun: flags.dryRun === true,
    explain: flags.explain,
    planFile: flags.plan,
    planOutFile: flags.planOut,
    untilFile: flags.until,
    writeTo: flags.yesWriteTo,
    summaryFile: flags.summary,
    reportFile: flags.report,
    captureFile: flags.capture,
    historyFile: flags.history,
    lag: null,
    shard: shardRequest(flags),
    publishing: {
      gateway: flags.pushGateway,
      lingerMs: flags.metricsLinger === undefined ? 0 : parseDurationMs(flags.metricsLinger)!,
    },
    quiet: flags.quiet === true,
    full: flags.full === true,
    json: flags.logFormat === 'json',
  };
}

const program = new Command('event-generator')
  .description('Sends randomized, type-correct, reproducible INSERT/UPDATE/DELETE traffic to a PostgreSQL schema.')
  .version(VERSION)
  .exitOverride()
  // What was typed in the place of a command may be an address with a password.
  .configureOutput({ writeErr: (text) => process.stderr.write(withoutSecrets(text)) })
  .showHelpAfterError('(--help shows all options)');

program
  .command('run')
  .description('run the traffic that a configuration file describes')
  .option('-c, --config <file>', 'configuration file', DEFAULT_FILE)
  .option('--iterations <n>', 'total number of operations; -1: run until stopped', wholeNumber)
  .option('--duration <time>', 'end after this time, for example 10m', duration)
  .option('--rate <n>', 'operations per second in total (default: as fast as possible)', rate)
  .option('--workers <n>', 'number of worker threads', wholeNumber)
  .option('--connections <n>', 'number of connections (lanes) in total', wholeNumber)
  .option('--seed <n>', 'sets random_seed and faker_seed', seed)
  .option('--embedded', 'start a private PostgreSQL with the demo tables')
  .option('--set <key=value>', 'set any key of the configuration, such as generator.insert_rows=10', setting)
  .option('--dry-run', 'show the plan and sample SQL; write nothing')
  .option('--explain <lane:n>', 'show operation n of a lane (both count from 0); write nothing', place)
  .option('--plan-out <file>', 'write the plan as JSON')
  .option('--plan <file>', 'begin with a plan that --plan-out wrote instead of making one from the database')
  .option('--until <file>', 'stop each lane where the run that wrote this summary or history stopped')
  .option('--yes-write-to <name>', 'allow writing to this database or host although it is protected')
  .option('--summary <file>', 'write the summary as JSON')
  .option('--report <file>', 'write a report: one HTML file with charts, the summary and the configuration')
  .option('--capture <file>', 'write the change events of the source, read from its logical replication stream')
  .option(
    '--history <file>',
    'write the plan and every exception, enough to reconstruct each change; --explain reads it',
  )
  .addOption(SHARD_OPTIONS[0])
  .addOption(SHARD_OPTIONS[1])
  .addOption(SHARD_OPTIONS[2])
  .addOption(SHARD_OPTIONS[3])
  .addOption(
    new Option(
      '--resume <how>',
      'inexact: if it is not known where the previous process of this shard stopped, continue with other random values',
    ).choices(['inexact']),
  )
  .option('--metrics-port <n>', 'port of the live page and /metrics; 0: any free port', wholeNumber)
  .option('--no-metrics', 'turn off the live page and /metrics')
  .option('--push-gateway <url>', 'push the metrics to this Prometheus Pushgateway when the run has ended', address)
  .option('--metrics-linger <time>', 'keep /metrics for this long after the run, for a last scrape', duration)
  .option('--quiet', 'show warnings and the first line of the summary only')
  .option('--full', 'show all tables and latencies in the summary')
  .addOption(
    new Option('--log-format <format>', 'format of progress and result').choices(['text', 'json']).default('text'),
  )
  .action(async (flags: Flags) => {
    process.exitCode = await run(toOptions(flags), process.env);
  });

interface LagFlags {
  readonly config: string;
  readonly pattern: string;
  readonly hold?: string;
  readonly steps: readonly number[];
  readonly limit?: LagLimit;
  readonly budget?: string;
  readonly burst: string;
  readonly rounds: number;
  readonly workers?: number;
  readonly connections?: number;
  readonly seed?: bigint;
  readonly embedded?: true;
  readonly set?: readonly Override[];
  readonly yesWriteTo?: string;
  readonly summary?: string;
  readonly report?: string;
  readonly metricsPort?: number;
  readonly metrics: boolean;
  readonly quiet?: true;
  readonly full?: true;
  readonly json?: true;
  readonly logFormat: string;
}

function limit(text: string): LagLimit {
  const parsed = parseLimit(text);
  if (parsed === undefined) throw new InvalidArgumentError('expected a limit such as "p99 < 2s".');
  return parsed;
}

function steps(text: string): readonly number[] {
  const parsed = parseSteps(text);
  if (parsed === undefined)
    throw new InvalidArgumentError('expected a number of steps such as 10, or percentages such as 25%,50%,100%.');
  return parsed;
}

/* What each benchmark takes where nothing is said: enough for its figures to be steady. */
const LAG_TIMES = {
  curve: { hold: '60s', budget: '30m' },
  max: { hold: '20s', budget: '20m' },
  drain: { hold: '60s', budget: '10m' },
  overhead: { hold: '20s', budget: '30m' },
  tour: { hold: '6s', budget: '150s' },
} as const;

function toLagOptions(kind: keyof typeof LAG_TIMES, flags: LagFlags): LagOptions {
  const ms = (text: string) => parseDurationMs(text)!;
  const common = {
    pattern: flags.pattern as Pattern,
    holdMs: ms(flags.hold ?? LAG_TIMES[kind].hold),
    budgetMs: ms(flags.budget ?? LAG_TIMES[kind].budget),
  };
  switch (kind) {
    case 'curve':
      return { ...common, kind, shares: flags.steps };
    case 'max':
      return { ...common, kind, limit: flags.limit ?? parseLimit('p99 < 2s')! };
    case 'drain':
      return { ...common, kind, burstMs: ms(flags.burst) };
    case 'tour':
      return { ...common, kind };
    case 'overhead':
      return { ...common, kind, rounds: flags.rounds };
  }
}

const lagCommand = program
  .command('lag')
  .description('benchmark replication lag: how far targets fall behind at which load, and how fast they catch up');

const LAG_KINDS = {
  curve: 'measure the lag at rising shares of the highest rate that the source sustains',
  max: 'find the highest rate at which the lag stays below a limit',
  drain: 'measure how long the targets take to catch up after a burst',
  overhead: 'measure what each consumer costs the source',
  tour: 'run curve, drain and max in about two minutes, for a first impression',
} as const;

for (const kind of Object.keys(LAG_KINDS) as (keyof typeof LAG_KINDS)[]) {
  const command = lagCommand
    .command(kind)
    .description(LAG_KINDS[kind])
    .option('-c, --config <file>', 'configuration file; it must have replication.targets', DEFAULT_FILE)
    .addOption(new Option('--pattern <name>', 'kind of load').choices(PATTERNS).default('mixed'))
    .option('--budget <time>', `end after this time with what is known (default: ${LAG_TIMES[kind].budget})`, duration);
  if (kind !== 'drain')
    command.option('--hold <time>', `how long each rate is held (default: ${LAG_TIMES[kind].hold})`, duration);
  if (kind === 'curve')
    command.addOption(
      new Option('--steps <n>', 'number of steps, or percentages such as 25%,50%,100%')
        .argParser(steps)
        .default(parseSteps('10'), '10'),
    );
  if (kind === 'max')
    command.option('--limit <condition>', 'the limit that the lag must stay below (default: "p99 < 2s")', limit);
  if (kind === 'drain')
    command.option('--burst <time>', 'how long the source is loaded at full speed', duration, '60s');
  if (kind === 'overhead')
    command.option('--rounds <n>', 'number of measurements with and without each consumer', positiveNumber, 2);
  command
    .option('--workers <n>', 'number of worker threads', wholeNumber)
    .option('--connections <n>', 'number of connections (lanes) in total', wholeNumber)
    .option('--seed <n>', 'sets random_seed and faker_seed', seed)
    .option('--embedded', 'start a private PostgreSQL with the demo tables')
    .option('--set <key=value>', 'set any key of the configuration, such as generator.insert_rows=10', setting)
    .option('--yes-write-to <name>', 'allow writing to this database or host although it is protected')
    .option('--summary <file>', 'write the summary as JSON')
    .option('--report <file>', 'write a report: one HTML file with charts, the result and the configuration')
    .option('--metrics-port <n>', 'port of the live page and /metrics; 0: any free port', wholeNumber)
    .option('--no-metrics', 'turn off the live page and /metrics')
    .option('--quiet', 'show warnings and the first line of the summary only')
    .option('--full', 'show all tables and latencies in the summary')
    .addOption(
      new Option('--log-format <format>', 'format of progress and result').choices(['text', 'json']).default('text'),
    )
    .action(async (flags: LagFlags) => {
      process.exitCode = await run({ ...toOptions(flags), lag: toLagOptions(kind, flags) }, process.env);
    });
}

interface InspectFlags {
  readonly config: string;
  readonly json?: true;
  readonly rehearse?: true;
  readonly embedded?: true;
  readonly set?: readonly Override[];
}

program
  .command('inspect')
  .description('show what a run would do with each table and column, and what it cannot do and why; writes nothing')
  .option('-c, --config <file>', 'configuration file', DEFAULT_FILE)
  .option('--json', 'print the result as JSON')
  .option('--rehearse', 'also try one INSERT, UPDATE and DELETE per table, and roll them back')
  .option('--embedded', 'start a private PostgreSQL with the demo tables')
  .option('--set <key=value>', 'set any key of the configuration, such as generator.insert_rows=10', setting)
  .action(async ({ config, json, rehearse, ...flags }: InspectFlags) => {
    const overrides = overridesOf({ ...flags, metrics: true });
    const options = { file: config, overrides, json: json === true, rehearse: rehearse === true };
    process.exitCode = await inspect(options, process.env);
  });

interface LoadFlags extends ShardFlags {
  readonly config: string;
  readonly rows: number;
  readonly workers?: number;
  readonly connections?: number;
  readonly seed?: bigint;
  readonly embedded?: true;
  readonly set?: readonly Override[];
  readonly journal?: string;
  readonly yesWriteTo?: string;
  readonly summary?: string;
  readonly report?: string;
  readonly metricsPort?: number;
  readonly metrics: boolean;
  readonly quiet?: true;
  readonly logFormat: string;
}

program
  .command('load')
  .description('fill the tables by COPY, parents first, with the rows that a run would insert')
  .option('-c, --config <file>', 'configuration file', DEFAULT_FILE)
  .requiredOption('--rows <n>', 'number of rows that each table has at the end', positiveNumber)
  .option('--workers <n>', 'number of worker threads', wholeNumber)
  .option('--connections <n>', 'number of connections (lanes) in total', wholeNumber)
  .option('--seed <n>', 'sets random_seed and faker_seed', seed)
  .option('--embedded', 'start a private PostgreSQL with the demo tables')
  .option('--set <key=value>', 'set any key of the configuration, such as generator.insert_rows=10', setting)
  .option(
    '--journal <file>',
    'file that lets an interrupted load continue (default: the configuration file’s name with .load)',
  )
  .option('--yes-write-to <name>', 'allow writing to this database or host although it is protected')
  .option('--summary <file>', 'write the summary as JSON')
  .option('--report <file>', 'write a report: one HTML file with charts, tables and the configuration')
  .addOption(SHARD_OPTIONS[0])
  .addOption(SHARD_OPTIONS[1])
  .addOption(SHARD_OPTIONS[2])
  .addOption(SHARD_OPTIONS[3])
  .option('--metrics-port <n>', 'port of the live page and /metrics; 0: any free port', wholeNumber)
  .option('--no-metrics', 'turn off the live page and /metrics')
  .option('--quiet', 'show warnings and the first line of the summary only')
  .addOption(
    new Option('--log-format <format>', 'format of progress and result').choices(['text', 'json']).default('text'),
  )
  .action(async (flags: LoadFlags) => {
    process.exitCode = await load(
      {
        file: flags.config,
        overrides: overridesOf(flags),
        rows: flags.rows,
        journalFile: flags.journal,
        shard: shardRequest(flags),
        writeTo: flags.yesWriteTo,
        summaryFile: flags.summary,
        reportFile: flags.report,
        quiet: flags.quiet === true,
        json: flags.logFormat === 'json',
      },
      process.env,
    );
  });

interface CaptureFlags {
  readonly config: string;
  readonly out?: string;
  readonly duration?: string;
  readonly dropLeftovers?: true;
  readonly set?: readonly Override[];
  readonly quiet?: true;
  readonly logFormat: string;
}

program
  .command('capture')
  .description('write the change events of a database to a file, read from its logical replication stream')
  .option('-c, --config <file>', 'configuration file', DEFAULT_FILE)
  .option('--out <file>', 'file to write the events to, one JSON object per line')
  .option('--duration <time>', 'end after this time (default: until Ctrl+C)', duration)
  .option('--drop-leftovers', 'drop replication slots left behind by killed captures; without --out that is all')
  .option('--set <key=value>', 'set any key of the configuration, such as generator.schema_name=shop', setting)
  .option('--quiet', 'show warnings only')
  .addOption(
    new Option('--log-format <format>', 'format of progress and result').choices(['text', 'json']).default('text'),
  )
  .action(async (flags: CaptureFlags) => {
    process.exitCode = await capture(
      {
        file: flags.config,
        overrides: flags.set ?? [],
        out: flags.out,
        durationMs: flags.duration === undefined ? undefined : parseDurationMs(flags.duration),
        dropsLeftovers: flags.dropLeftovers === true,
        quiet: flags.quiet === true,
        json: flags.logFormat === 'json',
      },
      process.env,
    );
  });

program
  .command('history')
  .description('summarize a history that run --history wrote')
  .argument('<file>', 'the history file')
  .option('--events', 'print every change instead, one per line')
  .action(async (file: string, { events }: { readonly events?: true }) => {
    process.exitCode = await history({ file, events: events === true });
  });

interface VerifyFlags {
  readonly source?: string;
  readonly target?: string;
  readonly events?: string;
  readonly against?: string;
  readonly history?: string;
  readonly expected?: true;
  readonly format?: string;
  readonly map?: string;
  readonly delivery: 'exactly-once' | 'at-least-once';
  readonly order?: 'transaction' | 'key' | 'none';
  readonly allow?: readonly Allowance[];
  readonly schema?: readonly string[];
  readonly table?: readonly string[];
  readonly excludeTable?: readonly string[];
  readonly rename?: ReadonlyMap<string, string>;
  readonly columns?: ReadonlyMap<string, readonly string[]>;
  readonly rate: number;
  readonly rechecks: number;
  readonly resume?: string;
  readonly strict?: true;
  readonly full?: true;
  readonly json?: true;
  readonly report?: string;
}

function names(text: string, before: readonly string[] = []): string[] {
  return [...before, ...text.split(',').filter((name) => name !== '')];
}

/** `a=b` of --rename. */
function renaming(text: string, before: ReadonlyMap<string, string> = new Map()): ReadonlyMap<string, string> {
  const [from, to, ...more] = text.split('=');
  if (!from || !to || more.length > 0 || (to.includes('.') && !from.includes('.')))
    throw new InvalidArgumentError('expected SCHEMA=SCHEMA or SCHEMA.TABLE=SCHEMA.TABLE.');
  return new Map([...before, [from, to]]);
}

/** `schema.table=a,b` of --columns. */
function columnList(
  text: string,
  before: ReadonlyMap<string, readonly string[]> = new Map(),
): ReadonlyMap<string, readonly string[]> {
  const at = text.indexOf('=');
  if (at < 1 || !text.slice(0, at).includes('.'))
    throw new InvalidArgumentError('expected SCHEMA.TABLE=COLUMN,COLUMN.');
  return new Map([...before, [text.slice(0, at), names(text.slice(at + 1))]]);
}

function allowances(text: string, before: readonly Allowance[] = []): Allowance[] {
  return [
    ...before,
    ...text.split(',').map((name) => {
      const found = ALLOWANCES.find((each) => each === name);
      if (found === undefined) throw new InvalidArgumentError(`expected ${ALLOWANCES.join(', ')}.`);
      return found;
    }),
  ];
}

program
  .command('verify')
  .description('compare what arrived with what was written; exit code 0: equal, 4: different, 5: could not be decided')
  .option('--source <url>', 'contents: the database that was written to, postgresql://user@host:port/database')
  .option('--target <url>', 'contents: the database that should hold the same rows')
  .option(
    '--events <file>',
    'events: what a consumer has received, one JSON object per line (.gz is unpacked; -: standard input)',
  )
  .option('--against <file>', 'events: the file that a capture wrote')
  .option('--history <file>', 'events, or with --expected: the history of a run')
  .option('--expected', 'rows: compare the rows that the run of --history must have left with --target')
  .option('--format <name>', 'format of --events: own, debezium, wal2json-1, wal2json-2 (default: detected)')
  .option('--map <command>', 'command that converts the lines of --events to the format own')
  .addOption(
    new Option('--delivery <promise>', 'delivery guarantee of the consumer')
      .choices(['exactly-once', 'at-least-once'])
      .default('exactly-once'),
  )
  .addOption(
    new Option('--order <promise>', 'ordering guarantee (default: transaction, if both files have them)').choices([
      'transaction',
      'key',
      'none',
    ]),
  )
  .option('--allow <list>', `differences to accept: ${ALLOWANCES.join(', ')}`, allowances)
  .option('--schema <list>', 'contents: schemas (default: all)', names)
  .option('--table <list>', 'contents: tables (default: all)', names)
  .option('--exclude-table <list>', 'contents: tables to skip', names)
  .option('--rename <source=target>', 'schema or table that has a different name in the target', renaming)
  .option('--columns <table=list>', 'contents: compare only these columns of a table', columnList)
  .option('--rate <n>', 'contents: read at most this many rows per second; 0: no limit', wholeNumber, 0)
  .option('--rechecks <n>', 'contents: how often to re-read rows that differ', wholeNumber, 5)
  .option('--resume <file>', 'contents: record finished tables in this file, and continue from it')
  .option('--strict', 'count a different representation of the same value as a difference')
  .option('--full', 'list all differences')
  .option('--json', 'print the result as JSON')
  .option('--report <file>', 'write the verdict as one HTML file')
  .action(async (flags: VerifyFlags) => {
    process.exitCode = await verify(
      {
        source: flags.source,
        target: flags.target,
        events: flags.events,
        against: flags.against,
        history: flags.history,
        expected: flags.expected === true,
        format: flags.format,
        map: flags.map,
        delivery: flags.delivery,
        order: flags.order,
        allow: flags.allow ?? [],
        schemas: flags.schema ?? [],
        tables: flags.table ?? [],
        excluded: flags.excludeTable ?? [],
        renamed: flags.rename ?? new Map<string, string>(),
        columns: flags.columns ?? new Map<string, readonly string[]>(),
        rate: flags.rate,
        rechecks: flags.rechecks,
        resumeFile: flags.resume,
        strict: flags.strict === true,
        full: flags.full === true,
        json: flags.json === true,
        reportFile: flags.report,
      },
      process.env,
    );
  });

program
  .command('grants')
  .description('print the minimal privileges that a configuration needs, as SQL to run; writes nothing')
  .option('-c, --config <file>', 'configuration file', DEFAULT_FILE)
  .option('--to <role>', 'role to grant them to (default: the user of the configuration)')
  .action(async ({ config, to }: { readonly config: string; readonly to?: string }) => {
    process.exitCode = await grants({ file: config, role: to }, process.env);
  });

program
  .command('init')
  .description('print a commented configuration for a live database; nothing is changed in it')
  .argument('[url]', 'postgresql://user@host:port/database (default: PGHOST, PGPORT, PGDATABASE and PGUSER)')
  .option('--rehearse', 'also try one INSERT, UPDATE and DELETE per table, and roll them back, to find what is refused')
  .action(async (url: string | undefined, { rehearse }: { readonly rehearse?: true }) => {
    process.exitCode = await init({ url, rehearse: rehearse === true }, process.env);
  });

program
  .command('validate')
  .description('check a configuration file without connecting to a database')
  .option('-c, --config <file>', 'configuration file', DEFAULT_FILE)
  .option('--set <key=value>', 'set any key of the configuration, such as generator.insert_rows=10', setting)
  .action(({ config, set }: { readonly config: string; readonly set?: readonly Override[] }) => {
    process.exitCode = validate({ file: config, overrides: set ?? [] }, process.env);
  });

program
  .command('schema')
  .description('print the JSON schema of the configuration file, for editors')
  .action(() => {
    process.exitCode = schema();
  });

interface MergeFlags {
  readonly database?: string;
  readonly runId?: string;
  readonly schema: string;
  readonly summary?: string;
  readonly report?: string;
  readonly full?: true;
  readonly json?: true;
}

program
  .command('merge')
  .description('combine the summaries of all shards of a run: counts are added, thresholds are judged on the whole')
  .argument('[files...]', 'summaries written by run --shard i/n --summary')
  .option('--database <url>', 'take the summaries that the shards stored in their database instead of files')
  .option('--run-id <id>', 'the run to take from the database (default: the newest)')
  .option('--schema <name>', 'schema of the event-generator tables in that database', 'event_generator')
  .option('--summary <file>', 'write the merged summary as JSON')
  .option('--report <file>', 'write the merged result as a report: one HTML file, without curves')
  .option('--full', 'show all tables and latencies')
  .option('--json', 'print the result as JSON')
  .action(async (files: string[], flags: MergeFlags) => {
    process.exitCode = await merge(
      {
        files,
        url: flags.database,
        runId: flags.runId,
        schema: flags.schema,
        summaryFile: flags.summary,
        reportFile: flags.report,
        full: flags.full === true,
        json: flags.json === true,
      },
      process.env,
    );
  });

program
  .command('compare')
  .description('show the summaries of two runs side by side; exit code 4 if the second run is worse')
  .argument('<baseline>', 'summary written by run --summary')
  .argument('<other>', 'summary to compare with the baseline')
  .addOption(
    new Option(
      '--tolerance <percentage>',
      `how much worse a figure may be; KIND=PERCENTAGE for one of ${TOLERATED.join(', ')}`,
    )
      .argParser(tolerance)
      .default(allTolerances(0.1), '10%'),
  )
  .option('--json', 'print the result as JSON')
  .action((a: string, b: string, { tolerance: tolerances, json }: { tolerance: Tolerances; json?: true }) => {
    process.exitCode = compare({ files: [a, b], tolerances, json: json === true });
  });

// It adds the command that prints a shell's script, and the one that the script asks.
completion(program, { completionCommandName: 'completion' });
program.commands
  .find((command) => command.name() === 'completion')!
  .description('print a script that completes commands and options in a shell: bash, zsh, fish or powershell');

// Whoever reads may be gone: what cannot be shown is not shown, and the work goes on.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

/** What was typed, with the command that is meant where options stand alone; nothing at all asks for help. */
function argumentsOf([first, ...others]: readonly string[]): string[] {
  if (first === undefined) return ['--help'];
  const isOption = first.startsWith('-') && !['-h', '--help', '-V', '--version'].includes(first);
  return isOption ? ['run', first, ...others] : [first, ...others];
}

try {
  await program.parseAsync(argumentsOf(process.argv.slice(2)), { from: 'user' });
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? EXIT.finished : EXIT.setup;
}
