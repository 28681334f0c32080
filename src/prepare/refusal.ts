import { quoteQualified, type Relation } from '../catalog/model.js';
import type { Finding, OperationKind } from '../plan/plan.js';
import type { Failure } from './trial.js';

/** Why an operation is not possible, in words, and what would help. */
export function refusalOf(
  kind: OperationKind,
  { sqlstate, message, context }: Failure,
  relation: Relation,
): Pick<Finding, 'reason' | 'remedy'> {
  if (sqlstate === null) return { reason: message, remedy: REMEDY };
  const from = triggerIn(context, relation);
  const by = from === null ? '' : ` by trigger ${from}`;
  return {
    reason: `${kind.toUpperCase()} was tried and refused (${sqlstate}: ${message})${by}`,
    remedy: remedyFor(sqlstate, message, relation),
  };
}

/** The trigger in whose function a refusal was raised; null where it was in none of the table's. */
function triggerIn(context: string | null, { triggers }: Relation): string | null {
  if (context === null) return null;
  const called = [...context.matchAll(/function ((?:"[^"]+"|[\w$.])+)\(/g)].map((match) => match[1]!);
  const bare = (name: string) => name.slice(name.indexOf('.') + 1);
  return triggers.find((trigger) => called.some((name) => bare(name) === bare(trigger.function)))?.name ?? null;
}

const REMEDY =
  'generator.column_overrides or exclude_table_list; generator.rehearse: false tries it in the run all the same';

function remedyFor(sqlstate: string, message: string, relation: Relation): string {
  // "Object not in prerequisite state": a publication wants to say which row it was.
  if (sqlstate === '55000') {
    const table = quoteQualified(relation);
    return `give it a primary key, or ALTER TABLE ${table} REPLICA IDENTITY FULL, or take it out of the publication`;
  }
  const setting = sqlstate === '42704' ? /configuration parameter "([^"]+)"/.exec(message)?.[1] : undefined;
  if (setting !== undefined) return `set it for the run's sessions: connection.settings: { ${setting}: "…" }`;
  return REMEDY;
}
