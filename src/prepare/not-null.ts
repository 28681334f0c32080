import type { Relation } from '../catalog/model.js';
import { readTriggerText } from '../catalog/trigger-text.js';
import type { Plan, RelationPlan } from '../plan/plan.js';
import type { Stage } from './stage.js';
import { refusalsOf, tryOperation, type Write } from './trial.js';

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

/* Draws that show how often an INSERT of one row is refused, others that confirm it, and how many refusals are many. */
const SAMPLE = { most: 8, first: FIRST + 100, enough: 3 };
const CONFIRMING = { most: 16, first: FIRST + 200, enough: 16 };
const MANY = 4;
const MOST_WANTED = 3;

/**
 * Returns nullable columns in which triggers refuse everything but NULL, if INSERTs are refused often but not always, because
 * rows that happened to be NULL there were accepted.
 */
export async function wantedNulls(
  stage: Stage,
  plan: Plan,
  relation: number,
  { attributes }: Relation,
): Promise<number[]> {
  const { insertColumns, columns, groups } = plan.relations[relation]!;
  const found: number[] = [];
  let refused = await refusals(stage, relation, [], SAMPLE);
  const candidates = insertColumns.filter(
    (column) =>
      !attributes[column]!.notNull &&
      columns[column]!.nullRatio > 0 &&
      columns[column]!.nullRatio < 1 &&
      !groups.some((group) => group.columns.includes(column)),
  );
  while (refused >= MANY && found.length < MOST_WANTED) {
    const before = refused;
    let best = -1;
    for (const column of candidates) {
      const now = await refusals(stage, relation, [...found, column], SAMPLE);
      if (now < refused) [refused, best] = [now, column];
      if (refused === 0) break;
    }
    if (best < 0 || refused > before - MANY / 2) break;
    found.push(best);
  }
  if (found.length === 0) return [];
  // Fewer refusals may be chance, so other draws must confirm them with almost none.
  return (await refusals(stage, relation, found, CONFIRMING)) < MANY / 2 ? found : [];
}

/** Returns how many INSERTs of one row with NULL in some columns are refused. */
async function refusals(
  stage: Stage,
  relation: number,
  nulls: readonly number[],
  sampling: Parameters<typeof refusalsOf>[2],
): Promise<number> {
  const texts = new Map(nulls.map((column) => [column, null]));
  const write: Write = (operation, seeds) =>
    nulls.length === 0 ? stage.rows.insert(operation, 1, seeds) : stage.rows.insertWith(operation, texts, seeds);
  return (await refusalsOf(stage, { relation, kind: 'insert', write }, sampling)).refused;
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
