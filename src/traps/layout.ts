import type pg from 'pg';
import { quoteIdentifier } from '../catalog/model.js';
import { SetupError } from '../config/problem.js';
import type { TrapName } from '../config/schema.js';
import { namingOf, tableNames, trapOf } from './catalogue.js';

/** What makes the tables of some traps, each only where it is missing. */
export function trapDefinitions(schema: string, names: Iterable<TrapName>): string[] {
  return [...names].flatMap((name) => [...trapOf(name).layout(namingOf(schema, name))]);
}

/** The tables of some traps, as schema.table without quotes. */
export function trapTables(schema: string, names: Iterable<TrapName>): string[] {
  return [...names].flatMap((name) => tableNames(name).map((table) => `${schema}.${table}`));
}

/** The same as SQL names them. */
function quotedTables(schema: string, names: Iterable<TrapName>): string[] {
  return [...names].flatMap((name) =>
    tableNames(name).map((table) => `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`),
  );
}

/**
 * Makes the tables of the traps where they are missing, and empties them: a run that was killed may have left rows.
 * @returns the traps that this user can spring, and why not for the rest.
 * @throws SetupError where the tables cannot be made, or another run uses them.
 */
export async function layOutTraps(
  client: pg.Client,
  schema: string,
  names: readonly TrapName[],
): Promise<{ readonly possible: readonly TrapName[]; readonly refused: ReadonlyMap<TrapName, string> }> {
  const { rowCount: others } = await client.query(
    "SELECT FROM pg_catalog.pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'eventgen/%/traps'",
  );
  if (others !== null && others > 0)
    throw SetupError.of(
      'traffic.traps',
      `another run uses the trap tables in schema ${schema} of this database; wait until it ends`,
    );
  const refused = new Map<TrapName, string>();
  for (const name of names) {
    const { needs } = trapOf(name);
    if (needs === undefined) continue;
    const { rows } = await client.query<{ may: boolean }>('SELECT has_function_privilege($1, $2) AS may', [
      needs,
      'EXECUTE',
    ]);
    if (rows[0]!.may !== true) refused.set(name, `GRANT EXECUTE ON FUNCTION ${needs} to the user of the run`);
  }
  const possible = names.filter((name) => !refused.has(name));
  try {
    const { rows } = await client.query('SELECT WHERE to_regnamespace($1) IS NULL', [quoteIdentifier(schema)]);
    if (rows.length > 0) await client.query(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`);
    for (const definition of trapDefinitions(schema, possible)) await client.query(definition);
    const tables = quotedTables(schema, possible);
    if (tables.length > 0) await client.query(`TRUNCATE ${tables.join(', ')}`);
  } catch (error) {
    throw SetupError.of(
      'traffic.traps',
      `the trap tables in schema ${schema} cannot be created: ${(error as Error).message}; grant CREATE on the database, or create the schema and make the user of the run its owner`,
    );
  }
  return { possible, refused };
}

/**
 * A subscriber without the tables would stop at the first change of them.
 * @throws SetupError that says what to create there.
 */
export async function expectTrapTables(
  client: pg.Client,
  target: string,
  schema: string,
  names: readonly TrapName[],
): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    'SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL',
    [quotedTables(schema, names)],
  );
  if (rows.length === 0) return;
  throw SetupError.of(
    `replication target ${target}`,
    `lacks the tables of traffic.traps, so its subscription would stop. Create them there, and REFRESH the subscription: ${trapDefinitions(schema, names).join('; ')};`,
  );
}
