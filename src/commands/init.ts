import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { labelOf, type Relation } from '../catalog/model.js';
import { type ConnectionSettings, describeConnection, isLoopback, placesIn } from '../config/connection.js';
import { type Config, parseConfig } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import type { Finding } from '../plan/plan.js';
import { connectCoordinator, connectRehearsal } from '../prepare/connect.js';
import { examine, type Surroundings } from '../prepare/examine.js';
import { Progress } from '../report/progress.js';
import { escaped } from '../report/shown.js';
import { EXIT } from './exit.js';
import { type ProposedOverride, proposeOverrides } from './propose-overrides.js';
import {
  type Activity,
  type Batches,
  readActivity,
  readBatches,
  readSessionSettings,
  readSkew,
  type SessionSetting,
  type Skew,
} from './usage.js';

export interface InitOptions {
  /** Undefined: the PG* variables of the environment are used. */
  readonly url: string | undefined;
  /** Also try every operation, and roll it back. */
  readonly rehearse: boolean;
}

/** Prints a configuration for a live database, in which it changes nothing. Returns the exit code. */
export async function init({ url, rehearse }: InitOptions, environment: NodeJS.ProcessEnv): Promise<number> {
  const progress = new Progress(process.stderr, { json: false, quiet: false });
  try {
    const connected = configFor(url, [], environment);
    const runId = randomBytes(4).toString('hex');
    const client = await connectCoordinator(connected.connection, connected, runId);
    try {
      const schemas = await readSchemas(client);
      if (schemas.length === 0)
        throw SetupError.of(
          describeConnection(connected.connection),
          'has no tables yet: create the schema first, then run init again',
        );
      const config = configFor(url, schemas, environment);
      progress.step('reading statistics');
      const found = await read(client, schemas, config, (settings) => ({
        dryRun: true,
        say: () => undefined,
        step: (text) => progress.step(text),
        rehearsal: rehearse
          ? (path) => connectRehearsal({ ...connected.connection, settings }, config, runId, path)
          : null,
      }));
      progress.stop();
      process.stdout.write(escaped(configurationText(found)));
      progress.message(
        'info',
        `${found.targeted.length} tables in ${schemas.join(', ')}. Next: event-generator validate -c FILE, then inspect -c FILE, then run -c FILE`,
      );
      return EXIT.finished;
    } finally {
      await client.end();
    }
  } catch (error) {
    // For example a locked table or a lost connection; nothing was written.
    if (!(error instanceof SetupError || error instanceof pg.DatabaseError)) throw error;
    progress.message('error', error.message);
    return EXIT.setup;
  } finally {
    progress.stop();
  }
}

/** Reads everything that the configuration is made from. `surroundingsWith`: with sessions that have such settings. */
async function read(
  client: pg.Client,
  schemas: readonly string[],
  config: Config,
  surroundingsWith: (settings: Readonly<Record<string, string>>) => Surroundings,
): Promise<Found> {
  const activity = await readActivity(client, schemas);
  const batches = await readBatches(client);
  const skew = await readSkew(client, schemas);
  const settings = await readSessionSettings(client, schemas);
  const proposed = Object.fromEntries(settings.map((setting) => [setting.name, proposedValue(setting)]));
  // What is tried must be what the configuration says.
  for (const [parameter, value] of Object.entries(proposed))
    await client.query('SELECT set_config($1, $2, false)', [parameter, value]);
  const surroundings = surroundingsWith({ ...proposed, ...config.connection.settings });
  const { relations, plan, findings } = await examine(client, config, surroundings);
  const targeted = relations.filter((_, index) => plan.relations[index]!.targeted);
  const overrides = await proposeOverrides(client, relations, findings);
  return {
    connection: config.connection,
    schemas,
    targeted,
    activity,
    batches,
    skew,
    settings,
    findings,
    overrides,
    isRehearsed: surroundings.rehearsal !== null,
  };
}

function configFor(url: string | undefined, schemas: readonly string[], environment: NodeJS.ProcessEnv): Config {
  const sections = {
    ...(url === undefined ? {} : { connection: { url } }),
    generator: schemas.length === 0 ? {} : { schema_name: schemas },
  };
  // JSON is YAML as well.
  return parseConfig(url === undefined ? 'environment' : 'URL', JSON.stringify(sections), [], environment);
}

/** Returns the schemas with user tables. */
async function readSchemas(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(`
    SELECT n.nspname AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname <> 'event_generator' AND n.nspname !~ '^pg_'
      AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    GROUP BY 1 ORDER BY n.nspname <> 'public', 1`);
  return rows.map(({ name }) => name);
}

interface Found {
  readonly connection: ConnectionSettings;
  readonly schemas: readonly string[];
  readonly targeted: readonly Relation[];
  readonly activity: ReadonlyMap<string, Activity>;
  readonly batches: Batches;
  readonly skew: Skew | null;
  readonly settings: readonly SessionSetting[];
  readonly findings: readonly Finding[];
  readonly overrides: readonly ProposedOverride[];
  readonly isRehearsed: boolean;
}

function configurationText(found: Found): string {
  const { schemas, batches } = found;
  const changes = [...found.activity.values()].reduce(
    (sum, { inserted, updated, deleted }) => ({
      insert: sum.insert + inserted,
      update: sum.update + updated,
      delete: sum.delete + deleted,
    }),
    { insert: 0, update: 0, delete: 0 },
  );
  const hasActivity = changes.insert + changes.update + changes.delete >= FEWEST_CHANGES;
  return `${[
    '# Configuration of pg-event-generator, made by `event-generator init`.',
    '# A run with this file changes rows of this database. `event-generator inspect -c FILE` shows beforehand what it would do.',
    '# For completion in an editor: `event-generator schema > event-generator.schema.json`, and uncomment the next line.',
    '# # yaml-language-server: $schema=event-generator.schema.json',
    '',
    'connection:',
    ...connectionLines(found.connection),
    ...settingLines(found.settings),
    '',
    'generator:',
    `  schema_name: ${schemas.length === 1 ? name(schemas[0]!) : `[${schemas.map(name).join(', ')}]`}`,
    '  manual_table_list: []                # empty: all tables of the schema; or a list of names',
    '  exclude_table_list: []               # names of tables to leave out',
    '  # num_iterations: 2000               # operations in total, unless traffic.duration or stages end the run; -1: until stopped',
    ...mixLines(changes, hasActivity),
    ...batchLines(batches),
    ...skewLines(found.skew),
    '  random_seed: 12345                   # the same seed repeats the run',
    '  connections: 4                       # concurrent connections',
    '  existing_rows: 10000                 # existing rows per table that a run may change; 0: none; all: all of them',
    ...weightLines(found, hasActivity),
    ...findingLines(found),
    ...overrideLines(found.overrides),
    '',
    '# traffic: { rate: 500, duration: 10m }   # a fixed rate instead of full speed, for some time',
    '# thresholds: ["response_seconds p99 < 0.5", "error_ratio < 0.01"]   # exit code 4 if one is not met',
  ].join('\n')}\n`;
}

/* With fewer changes the statistics say nothing about the application. */
const FEWEST_CHANGES = 1000;

function connectionLines(connection: ConnectionSettings): string[] {
  const { database, user, ssl, targetSessionAttrs } = connection;
  const places = placesIn(connection);
  const where =
    places.length === 1
      ? [`  host: ${name(places[0]!.host)}`, `  port: ${places[0]!.port}`]
      : [
          `  hosts: [${places.map(({ host, port }) => name(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)).join(', ')}]`,
        ];
  const isUsual = ssl === (places.every(({ host }) => isLoopback(host)) ? 'disable' : 'prefer');
  const encrypted = isUsual ? [] : [`  ssl: ${ssl}`];
  const target =
    targetSessionAttrs === (places.length > 1 ? 'read-write' : 'any')
      ? []
      : [`  target_session_attrs: ${targetSessionAttrs}`];
  return [
    ...where,
    `  database: ${name(database)}`,
    `  user: ${name(user)}`,
    ...encrypted,
    ...target,
    '  # The password comes from PGPASSWORD, ~/.pgpass or password_command; it is not written here.',
  ];
}

/* The operation mix in percent. */
function mixLines(
  { insert, update, delete: deleted }: Record<'insert' | 'update' | 'delete', number>,
  isKnown: boolean,
): string[] {
  if (!isKnown) return ['  operation_weights: { INSERT: 3, UPDATE: 2, DELETE: 1 }'];
  const share = (count: number) => Math.max(count > 0 ? 1 : 0, Math.round((count * 100) / (insert + update + deleted)));
  return [
    '  # The mix of rows inserted, updated and deleted according to pg_stat_user_tables, in percent.',
    `  operation_weights: { INSERT: ${Math.max(1, share(insert))}, UPDATE: ${share(update)}, DELETE: ${share(deleted)} }`,
  ];
}

function batchLines(batches: Batches): string[] {
  const { insert, update, delete: deleted } = batches ?? { insert: 4, update: 2, delete: 1 };
  return [
    ...(batches === null ? [] : ['  # Rows per statement according to pg_stat_statements.']),
    `  insert_rows: ${insert}                       # rows of one INSERT`,
    `  update_rows: ${update}                       # rows of one UPDATE`,
    `  delete_rows: ${deleted}                       # rows of one DELETE`,
  ];
}

/* The weight of the most frequently changed table; a table without changes has 1. */
const HIGHEST_WEIGHT = 1000;

function weightLines({ targeted, activity }: Found, isKnown: boolean): string[] {
  const changesOf = (relation: Relation) => {
    const { inserted, updated, deleted } = activity.get(labelOf(relation)) ?? { inserted: 0, updated: 0, deleted: 0 };
    return inserted + updated + deleted;
  };
  const most = Math.max(1, ...targeted.map(changesOf));
  const width = Math.max(0, ...targeted.map((relation) => name(labelOf(relation)).length));
  return [
    isKnown
      ? '  # How often each table is chosen, in proportion to its changed rows in pg_stat_user_tables. 0: never.'
      : '  # How often each table is chosen. 0: never. (The server has counted too few changes to propose weights.)',
    '  table_weights:',
    ...targeted.map((relation) => {
      const weight = isKnown ? Math.max(1, Math.round((changesOf(relation) * HIGHEST_WEIGHT) / most)) : 1;
      const { estimatedRows } = relation;
      const rows = estimatedRows < 0 ? 'never analyzed' : `about ${Math.round(estimatedRows)} rows`;
      const size = activity.get(labelOf(relation))?.size;
      return `    ${`${name(labelOf(relation))}:`.padEnd(width + 1)} ${String(weight).padEnd(5)} # ${rows}${size === undefined ? '' : `, ${size}`}`;
    }),
  ];
}

/** Returns comments on what the generator cannot do, and what would help. */
function findingLines({ findings, isRehearsed }: Found): string[] {
  const hint = isRehearsed
    ? []
    : ['  # Operations were not tried; `event-generator init --rehearse` also finds what triggers refuse.'];
  if (findings.length === 0) return hint;
  const lines = findings.slice(0, MOST_FINDINGS).map(({ relation, column, prevents, reason, remedy }) => {
    const what = prevents.length === 0 ? '' : ` No ${prevents.join(', ').toUpperCase()}.`;
    return `  #   ${oneLine(`${relation}${column === null ? '' : `.${column}`}: ${reason}.${what} Remedy: ${remedy}`)}`;
  });
  const more = findings.length - lines.length;
  return [
    ...hint,
    '  # What to look at before a run:',
    ...lines,
    ...(more > 0 ? [`  #   … and ${more} more: event-generator inspect -c FILE`] : []),
  ];
}

/** A parameter without a value is given one, because reading it fails. */
function proposedValue({ value }: SessionSetting): string {
  return value ?? '1';
}

/** Returns the settings that code of the schema reads. */
function settingLines(settings: readonly SessionSetting[]): string[] {
  if (settings.length === 0) return [];
  return [
    '  # Parameters that triggers, defaults, constraints or policies read from the session. Check the values.',
    '  settings:',
    ...settings.map((setting) => {
      const { name: parameter, value, reader } = setting;
      const known = value === null ? '' : ', the value is that of a new session';
      return `    ${parameter}: ${JSON.stringify(proposedValue(setting))}   # read by ${oneLine(reader)}${known}`;
    }),
  ];
}

function skewLines(skew: Skew | null): string[] {
  if (skew === null) return [];
  return [
    `  # According to pg_stats, few rows are used often: ${skew.column} follows Zipf's law with this exponent.`,
    `  skew: { distribution: zipf, exponent: ${skew.exponent} }`,
  ];
}

/* Commented out, because only the user knows whether the values are right. */
function overrideLines(overrides: readonly ProposedOverride[]): string[] {
  if (overrides.length === 0) return [];
  const tables = [...new Set(overrides.map(({ table }) => table))];
  return [
    '  # Proposed for the columns above; see docs/configuration.md for all types of overrides.',
    '  # column_overrides:',
    ...tables.flatMap((table) => [
      `  #   ${name(table)}:`,
      ...overrides
        .filter((each) => each.table === table)
        .map(({ column, override }) => `  #     ${name(column)}: ${oneLine(override)}`),
    ]),
  ];
}

const MOST_FINDINGS = 40;

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ');
}

/** Returns a text as YAML, quoted if necessary. */
function name(text: string): string {
  const isPlain = /^[A-Za-z_/][\w./-]*$/.test(text) && !/^(true|false|null|yes|no|on|off|y|n)$/i.test(text);
  return isPlain ? text : JSON.stringify(text);
}
