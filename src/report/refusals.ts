import { PostgresError } from 'pg-error-enum';
import { OPERATION_KINDS, type Plan } from '../plan/plan.js';
import type { CounterTotals } from '../traffic/counters.js';

/** A table that refuses many statements, and what it mostly refuses them for. */
export interface RefusedTable {
  readonly table: string;
  /** Refused statements among all that were sent, from 0 to 1. */
  readonly share: number;
  readonly sqlstate: string;
  /** The condition's name in PostgreSQL's manual; null if the server's code is not in it. */
  readonly name: string | null;
  readonly count: number;
  readonly example: string;
  readonly remedy: string;
}

/* What fewer statements are refused for is ordinary: conflicts, now and then a value. */
const MUCH = 0.1;
const FEWEST_STATEMENTS = 20;

const NAMES: ReadonlyMap<string, string> = new Map(
  Object.entries(PostgresError).map(([name, sqlstate]) => [sqlstate, name.toLowerCase()]),
);

/** Returns the condition's name in appendix A of PostgreSQL's manual; null if there is none. */
export function sqlstateName(sqlstate: string): string | null {
  return NAMES.get(sqlstate) ?? null;
}

/**
 * Returns the tables that refuse more than a tenth of their statements, the worst first.
 * `exampleOf`: a message of the server for a SQLSTATE and the index of a table.
 */
export function refusedTables(
  plan: Plan,
  totals: CounterTotals,
  exampleOf: (sqlstate: string, relation: number) => string,
): RefusedTable[] {
  const errors = totals.errors();
  return plan.relations
    .flatMap(({ label, columns }, relation): RefusedTable[] => {
      const sum = (...fields: Parameters<CounterTotals['table']>[2][]) =>
        OPERATION_KINDS.reduce(
          (all, kind) => all + fields.reduce((each, field) => each + totals.table(relation, kind, field), 0),
          0,
        );
      const refused = sum('retriesValues', 'retriesTransient', 'rejected');
      const sent = refused + sum('committed', 'rolledBack', 'failed');
      const [most] = errors.filter((each) => each.relation === relation).sort((a, b) => b.count - a.count);
      if (most === undefined || sent < FEWEST_STATEMENTS || refused / sent <= MUCH) return [];
      const { sqlstate, count } = most;
      const name = sqlstateName(sqlstate);
      const example = exampleOf(sqlstate, relation);
      return [
        {
          table: label,
          share: Math.round((refused / sent) * 1000) / 1000,
          sqlstate,
          name,
          count,
          example,
          remedy: remedyFor(
            sqlstate,
            columnsNamedIn(
              example,
              label,
              columns.map((column) => column.name),
            ),
          ),
        },
      ];
    })
    .sort((a, b) => b.share - a.share);
}

/** Returns those of several shards as one list, each table with its largest share. */
export function mergeRefused(shards: readonly (readonly RefusedTable[])[]): RefusedTable[] {
  const worst = new Map<string, RefusedTable>();
  for (const each of shards.flat()) if (each.share > (worst.get(each.table)?.share ?? 0)) worst.set(each.table, each);
  return [...worst.values()].sort((a, b) => b.share - a.share);
}

/**
 * Returns the columns that a message of the server is about: those that it names as such, else those whose names are parts of
 * the constraint's name, else those that occur in it as a word.
 */
function columnsNamedIn(message: string, label: string, columns: readonly string[]): string[] {
  const known = (names: readonly string[]) => columns.filter((column) => names.includes(column));
  const named = [...message.matchAll(/column "([^"]+)"/g)].map(([, name]) => name!);
  const keys = [...message.matchAll(/Key \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(', '));
  if (known([...named, ...keys]).length > 0) return known([...named, ...keys]);
  const table = label.slice(label.lastIndexOf('.') + 1);
  const [, constraint = ''] = /constraint "([^"]+)"/.exec(message) ?? [];
  const rest = `_${constraint.startsWith(`${table}_`) ? constraint.slice(table.length + 1) : constraint}_`;
  const parts = columns.filter((column) => rest.includes(`_${column}_`));
  if (parts.length > 0) return parts;
  const words = message.replaceAll(/"[^"]*"/g, ' ').split(/[^\p{L}\p{N}_]+/u);
  return columns.filter((column) => column.length > FEWEST_LETTERS && words.includes(column));
}

/* Shorter names are ordinary words as often as columns. */
const FEWEST_LETTERS = 3;

/** `columns`: those that the message names; empty where it names none. */
function remedyFor(sqlstate: string, columns: readonly string[]): string {
  const of = (others: string) => (columns.length > 0 ? columns.join(', ') : others);
  if (sqlstate === '23505')
    return `set generator.column_overrides for ${of('the columns of the index')} to values with more variety`;
  if (sqlstate === '23503') return 'set generator.existing_rows: all, so that more rows can be referenced';
  if (sqlstate === '23514' || sqlstate === '23P01' || sqlstate === '23502')
    return `set generator.column_overrides for ${of('the columns of the constraint')} to values that the constraint allows`;
  if (sqlstate.startsWith('40')) return 'lower generator.connections or transaction.isolation, so that fewer collide';
  if (sqlstate === '55P03') return 'raise generator.timeouts.lock, or find the session that holds the lock';
  if (sqlstate === '57014') return 'raise generator.timeouts.statement';
  if (sqlstate.startsWith('42')) return 'grant what is missing, or exclude the table with generator.exclude_table_list';
  if (sqlstate.startsWith('22'))
    return `set generator.column_overrides for ${of('the column whose value is read by a trigger or a generated column')}`;
  return `set generator.column_overrides for ${of('the columns that the trigger examines')}, or connection.settings for what the trigger reads`;
}
