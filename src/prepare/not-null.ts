import type { Relation } from '../catalog/model.js';
import { readTriggerText } from '../catalog/trigger-text.js';
import type { Plan, RelationPlan } from '../plan/plan.js';
import type { Stage } from './stage.js';
import { tryOperation, type Write } from './trial.js';

/* The most columns that are tried, draws of each, and the number of the first draw. */
const MOST_COLUMNS = 12;
const DRAWS = 3;
const FIRST = 11_000;

/** Returns nullable columns in which triggers refuse NULL. A row with any value in them has passed before. */
export async function refusedNulls(
  stage: Stage,
  plan: Plan,
  relation: number,
  { triggers, attributes }: Relation,
): Promise<number[]> {
  const { insertColumns, columns, groups } = plan.relations[relation]!;
  const mentioned = new Set(
    triggers.filter(({ events }) => events.insert).flatMap(({ source }) => readTriggerText(source).columns),
  );
  const isAsked = (column: number) =>
    !attributes[column]!.notNull &&
    mentioned.has(columns[column]!.name) &&
    columns[column]!.nullRatio > 0 &&
    columns[column]!.nullRatio < 1 &&
    !groups.some((group) => group.columns.includes(column));
  const refused: number[] = [];
  for (const column of insertColumns.filter(isAsked).slice(0, MOST_COLUMNS)) {
    const texts = new Map([[column, null]]);
    const write: Write = (operation, seeds) => stage.rows.insertWith(operation, texts, seeds);
    const trial = await tryOperation(stage, {
      relation,
      kind: 'insert',
      keeps: false,
      draws: DRAWS,
      first: FIRST,
      write,
    });
    if (trial.kind === 'refused') refused.push(column);
  }
  return refused;
}

/** Returns the relation with columns that are never NULL. A foreign key on them has a parent always. */
export function neverNull(given: RelationPlan, never: readonly number[]): Partial<RelationPlan> {
  return {
    columns: given.columns.map((column, at) => (never.includes(at) ? { ...column, nullRatio: 0 } : column)),
    foreignKeys: given.foreignKeys.map((key) => {
      const nullableColumns = key.nullableColumns.filter((column) => !never.includes(column));
      return { ...key, nullableColumns, nullable: nullableColumns.length > 0 };
    }),
  };
}
