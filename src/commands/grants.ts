import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { introspect } from '../catalog/introspect.js';
import { type Catalog, labelOf, quoteIdentifier, type Relation } from '../catalog/model.js';
import { type Config, loadConfig } from '../config/load.js';
import { type Problem, SetupError } from '../config/problem.js';
import { heartbeatDefinition, heartbeatTable } from '../lag/table.js';
import { grantStatements, type Need, neededPrivileges, referencedBeside } from '../plan/privileges.js';
import { targetedRelations } from '../plan/target.js';
import { connectCoordinator } from '../prepare/connect.js';
import { Progress } from '../report/progress.js';
import { shown } from '../report/shown.js';
import { EXIT } from './exit.js';

export interface GrantsOptions {
  readonly file: string;
  /** The role that gets the privileges; by default the user of the configuration. */
  readonly role: string | undefined;
}

/** Prints the minimal privileges that a configuration needs, as SQL to run. Returns the exit code. */
export async function grants({ file, role }: GrantsOptions, environment: NodeJS.ProcessEnv): Promise<number> {
  const progress = new Progress(process.stderr, { json: false, quiet: false });
  try {
    const config = loadConfig(file, [], environment);
    const client = await connectCoordinator(config.connection, config, randomBytes(4).toString('hex'));
    try {
      const catalog = await introspect(client, config.schemas);
      const lines = await statementsFor(client, config, catalog, role ?? config.connection.user);
      process.stdout.write(shown(`${lines.join('\n')}\n`));
      return EXIT.finished;
    } finally {
      await client.end();
    }
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    progress.message('error', error.message);
    return EXIT.setup;
  }
}

async function statementsFor(client: pg.Client, config: Config, catalog: Catalog, role: string): Promise<string[]> {
  const to = ` TO ${quoteIdentifier(role)};`;
  const problems: Problem[] = [];
  const targeted = targetedRelations(config, catalog, problems);
  if (problems.length > 0) throw new SetupError(problems);
  const { generator, replication } = config;
  const filled = generator.untargeted_parents === 'insert' ? ancestors(targeted, catalog) : [];
  const roles = { targeted, filled, referenced: referencedBeside([...targeted, ...filled], catalog) };
  const rowSelection = generator.row_selection === 'system_rows' ? 'system_rows' : 'owned';
  const triggered = writtenByTriggers(targeted, catalog);
  const sequences = [...targeted, ...filled, ...triggered].flatMap(({ attributes }) =>
    attributes.flatMap(({ sequence }) => sequence ?? []),
  );
  const needs: Need[] = [
    ...neededPrivileges(roles, config, rowSelection),
    ...triggered.map(
      (at): Need => ({ at, privileges: ['select', 'insert', 'update', 'delete'], schema: true, purpose: '' }),
    ),
  ];
  const functions = await functionsOf(client, [...targeted, ...filled]);
  return [
    `GRANT CONNECT ON DATABASE ${quoteIdentifier(catalog.server.database)}${to}`,
    ...grantStatements(needs, role),
    ...(sequences.length > 0 ? [`GRANT USAGE, SELECT, UPDATE ON SEQUENCE ${distinct(sequences)}${to}`] : []),
    ...(functions.length > 0 ? [`GRANT EXECUTE ON FUNCTION ${distinct(functions)}${to}`] : []),
    ...(rowSelection === 'system_rows' ? ['CREATE EXTENSION IF NOT EXISTS tsm_system_rows;'] : []),
    ...(generator.enable_index_create_drop
      ? ['-- enable_index_create_drop: only the owner of a table can create and drop its indexes']
      : []),
    ...(replication === null
      ? []
      : [
          heartbeatDefinition(replication.schema, replication.tables),
          `GRANT USAGE ON SCHEMA ${quoteIdentifier(replication.schema)}${to}`,
          ...[null, ...replication.tables].map(
            (beside) => `GRANT SELECT, INSERT, UPDATE, DELETE ON ${heartbeatTable(replication.schema, beside)}${to}`,
          ),
          `GRANT pg_monitor${to}`,
        ]),
  ];
}

/** Returns further tables whose rows may be needed as parents, directly or indirectly. */
function ancestors(targeted: readonly Relation[], catalog: Catalog): Relation[] {
  const found: Relation[] = [];
  for (let more = referencedBeside(targeted, catalog); more.length > 0; ) {
    found.push(...more);
    more = referencedBeside([...targeted, ...found], catalog);
  }
  return found;
}

/** Returns tables that triggers write with the privileges of the current user, according to their functions' texts. */
function writtenByTriggers(targeted: readonly Relation[], catalog: Catalog): Relation[] {
  const names = new Set(
    targeted.flatMap(({ triggers }) => triggers.flatMap(({ asOwner, writes }) => (asOwner ? [] : (writes ?? [])))),
  );
  const known = new Set(targeted.map(labelOf));
  return catalog.relations.filter((relation) => names.has(relation.name) && !known.has(labelOf(relation)));
}

/* Functions that CHECKs, defaults, generated columns, indexes and policies call, except those that PUBLIC may call. */
const FUNCTIONS = `
SELECT DISTINCT proc.oid::regprocedure::text AS name
FROM pg_depend AS d JOIN pg_proc AS proc ON proc.oid = d.refobjid
WHERE d.refclassid = 'pg_proc'::regclass AND NOT has_function_privilege('public', proc.oid, 'EXECUTE') AND (
  d.classid = 'pg_constraint'::regclass AND d.objid IN (SELECT oid FROM pg_constraint WHERE conrelid = ANY ($1::oid[]))
  OR d.classid = 'pg_attrdef'::regclass AND d.objid IN (SELECT oid FROM pg_attrdef WHERE adrelid = ANY ($1::oid[]))
  OR d.classid = 'pg_class'::regclass AND d.objid IN (SELECT indexrelid FROM pg_index WHERE indrelid = ANY ($1::oid[]))
  OR d.classid = 'pg_policy'::regclass AND d.objid IN (SELECT oid FROM pg_policy WHERE polrelid = ANY ($1::oid[])))
ORDER BY 1`;

async function functionsOf(client: pg.Client, relations: readonly Relation[]): Promise<string[]> {
  // With its schema, whatever that is.
  await client.query('SET search_path = pg_catalog');
  const { rows } = await client.query<{ name: string }>(FUNCTIONS, [relations.map(({ oid }) => oid)]);
  return rows.map(({ name }) => name);
}

function distinct(names: readonly string[]): string {
  return [...new Set(names)].join(', ');
}
