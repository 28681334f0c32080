import { labelOf, quoteQualified, type Relation } from '../catalog/model.js';
import { readTriggerText } from '../catalog/trigger-text.js';
import type { Finding, OperationKind } from '../plan/plan.js';
import type { Failure } from './trial.js';

/** Returns why an operation is not possible, in words, and what would help. */
export function refusalOf(
  kind: OperationKind,
  failure: Failure,
  relation: Relation,
): Pick<Finding, 'reason' | 'remedy'> {
  const { sqlstate, message, context } = failure;
  if (sqlstate === null) return { reason: message, remedy: REMEDY };
  const from = triggerIn(context, relation);
  const by = from === null ? '' : ` by trigger ${from}`;
  const missing = kind === 'delete' ? null : missingRow(failure, relation);
  if (missing !== null)
    return {
      reason: `a trial ${kind.toUpperCase()} was rejected (${sqlstate})${by}, which needs ${missing.wanted}`,
      remedy: `insert that row, and the rows that it references, before the run`,
    };
  return {
    reason: `a trial ${kind.toUpperCase()} was rejected (${sqlstate}: ${message})${by}`,
    remedy: remedyFor(sqlstate, message, relation),
  };
}

/** Returns the row that a trigger needs, because the row that it writes references it; null for other errors. */
function missingRow({ sqlstate, detail, table, constraint }: Failure, relation: Relation): { wanted: string } | null {
  // In every language of the server, columns and values come first, each in parentheses.
  const found = sqlstate === '23503' ? /\(([^()]+)\)=\((.*)\)/.exec(detail ?? '') : null;
  if (found === null) return null;
  const [, columns, values] = found;
  const key = table === relation.name ? relation.foreignKeys.find(({ name }) => name === constraint) : undefined;
  const place =
    key === undefined ? `the row that ${constraint} of ${table} references` : `a row of ${labelOf(key.referenced)}`;
  return { wanted: `${place} with ${columns} = ${values}` };
}

/** Returns the trigger whose function raised an error; null if it was no trigger of the table. */
function triggerIn(context: string | null, { triggers }: Relation): string | null {
  if (context === null) return null;
  const called = [...context.matchAll(/function ((?:"[^"]+"|[\w$.])+)\(/g)].map((match) => match[1]!);
  const bare = (name: string) => name.slice(name.indexOf('.') + 1);
  return triggers.find((trigger) => called.some((name) => bare(name) === bare(trigger.function)))?.name ?? null;
}

/** What to do where the server lacks a setting that a function, a default or a policy reads; null for other errors. */
export function missingSetting(sqlstate: string | undefined, message: string): string | null {
  const setting = sqlstate === '42704' ? /configuration parameter "([^"]+)"/.exec(message)?.[1] : undefined;
  return setting === undefined
    ? null
    : `set the parameter for the sessions of the run with connection.settings: { "${setting}": "…" }`;
}

const REMEDY =
  'set generator.column_overrides or exclude the table with generator.exclude_table_list; with generator.rehearse: false the run tries it anyway';

function remedyFor(sqlstate: string, message: string, relation: Relation): string {
  // "Object not in prerequisite state": a publication needs a replica identity to identify the row.
  if (sqlstate === '55000') {
    const table = quoteQualified(relation);
    return `add a primary key, run ALTER TABLE ${table} REPLICA IDENTITY FULL, or remove the table from the publication`;
  }
  const missing = missingSetting(sqlstate, message);
  if (missing !== null) return missing;
  const read = [...new Set(relation.triggers.flatMap(({ source }) => readTriggerText(source).settings))];
  if (read.length === 0) return REMEDY;
  return `its triggers read settings that may be missing, so set them for the sessions of the run with connection.settings: { ${read.map((name) => `"${name}": "…"`).join(', ')} }; otherwise ${REMEDY}`;
}
