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

/* Draws that show how often an INSERT of one row is refused, how many passes in a row end them, and how many refusals are many. */
const SAMPLE = 8;
const ENOUGH_PASSES = 3;
const MANY = 4;
const MOST_WANTED = 3;

/**
 * Returns nullable columns in which triggers refuse everything but NULL, where INSERTs are refused often and not always: a row that is
 * NULL there by chance has passed before.
 */
export async function wantedNulls(
  stage: Stage,
  plan: Plan,
  relation: number,
  { attributes }: Relation,
): Promise<number[]> {
  const { insertColumns, columns, groups } = plan.relations[relation]!;
  const found: number[] = [];
  let refused = await refusals(stage, relation, new Map());
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
      const texts = new Map([...found, column].map((each) => [each, null]));
      const now = await refusals(stage, relation, texts);
      if (now < refused) [refused, best] = [now, column];
      if (refused === 0) break;
    }
    if (best < 0 || refused > before - MANY / 2) break;
    found.push(best);
  }
  if (found.length === 0) return [];
  // Fewer refusals may be chance: with other draws there must be next to none.
  const confirmed = await refusals(stage, relation, new Map(found.map((each) => [each, null])), SAMPLE);
  return confirmed < MANY / 2 ? found : [];
}

/** Returns how many INSERTs of one row with some given texts are refused, of SAMPLE. */
async function refusals(
  stage: Stage,
  relation: number,
  texts: ReadonlyMap<number, string | null>,
  from = 0,
): Promise<number> {
  let [refused, passed] = [0, 0];
  const most = from + SAMPLE;
  for (let draw = from; draw < most && (from > 0 || refused > 0 || passed < ENOUGH_PASSES); draw++) {
    const write: Write = (operation, seeds) =>
      texts.size === 0 ? stage.rows.insert(operation, 1, seeds) : stage.rows.insertWith(operation, texts, seeds);
    const wish = { relation, kind: 'insert', keeps: false, draws: 1, first: FIRST + 100 + draw, write } as const;
    const trial = await tryOperation(stage, wish);
    if (trial.kind === 'unknown') return 0;
    if (trial.kind === 'refused') refused++;
    else passed++;
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
