import { quoteIdentifier, type Relation, rowsOf } from '../catalog/model.js';
import type { Band } from '../datum/bands.js';
import { split } from '../random/seed.js';
import type { Draft } from './build.js';
import type { OrdinalColumn } from './context.js';
import type { ColumnPlan, Plan } from './plan.js';

/** A query about the existing rows of a table; answers are texts, null if there are no rows. */
export interface Question {
  readonly ordinal: OrdinalColumn;
  /** SELECT of one row of two texts. */
  readonly sql: string;
}

/** Returns the queries that make new keys start above existing ones, a cheap one per ordinal column. */
export function watermarkQuestions(draft: Draft): Question[] {
  const questions: Question[] = [];
  for (const ordinal of draft.ordinals) {
    const { watermark } = ordinal.unique;
    const table = rowsOf(draft.relations[ordinal.relation]!);
    const { name } = draft.plan.relations[ordinal.relation]!.columns[ordinal.column]!;
    const column = `t.${quoteIdentifier((watermark.kind === 'max' ? watermark.column : undefined) ?? name)}`;
    if (watermark.kind === 'max') {
      const expression = watermark.expression.replaceAll(/\bc\b/g, column);
      questions.push({ ordinal, sql: `SELECT (SELECT (${expression})::text FROM ${table} AS t), NULL::text` });
    } else if (watermark.kind === 'bands') {
      const highest = watermark.expression.replaceAll(/\bc\b/g, column);
      // The ends are generated here and contain no quotes.
      const ends = (expression: string) =>
        watermark.bands.map(
          ({ first, last }) =>
            `(SELECT (${expression})::text FROM ${table} AS t WHERE ${column} BETWEEN '${first}' AND '${last}')`,
        );
      const list = (texts: readonly string[]) => `array_to_json(ARRAY[${texts.join(', ')}])::text`;
      questions.push({
        ordinal,
        sql: `SELECT ${list(ends(highest))}, ${list(ends(highest.replaceAll('max(', 'min(')))}`,
      });
    } else if (watermark.kind === 'taken') {
      questions.push({
        ordinal,
        sql: `SELECT (SELECT json_agg(DISTINCT ${column}::text)::text FROM ${table} AS t), NULL::text`,
      });
    } else if (watermark.kind === 'salt') {
      // Rows left by the last run change the ends or the count.
      const end = (order: string) =>
        `(SELECT ${column}::text FROM ${table} AS t ORDER BY ${column} ${order} NULLS LAST LIMIT 1)`;
      questions.push({
        ordinal,
        sql: `SELECT ${end('ASC')}, ${end('DESC')} || '/' || (SELECT count(*) FROM ${table})`,
      });
    }
  }
  return questions;
}

export type Answer = readonly [string | null, string | null];

/* With less room above the largest key, the largest gap below it is used. */
const ROOM = 10_000_000;

/** Returns a query for the largest gap between keys, if a sentinel such as 2147483647 leaves no room above. */
export function gapQuestion(draft: Draft, question: Question, answer: Answer): string | undefined {
  const { recipe, capacity } = question.ordinal.unique;
  if (recipe.kind !== 'sequence' || recipe.form.kind !== 'integer' || answer[0] === null) return undefined;
  if (capacity - Number(answer[0]) >= Math.min(ROOM, capacity / 2)) return undefined;
  const relation: Relation = draft.relations[question.ordinal.relation]!;
  const column = quoteIdentifier(
    draft.plan.relations[question.ordinal.relation]!.columns[question.ordinal.column]!.name,
  );
  return (
    `SELECT low::text, (high - low - 1)::text FROM (SELECT c AS low, lead(c, 1, ${capacity}::numeric) OVER (ORDER BY c) AS high ` +
    `FROM (SELECT 0::numeric AS c UNION SELECT ${column}::numeric FROM ${rowsOf(relation)} WHERE ${column} > 0 AND ${column} <= ${capacity}) AS used) AS gaps ` +
    'ORDER BY high - low DESC, low LIMIT 1'
  );
}

/** Returns the plan with the start, capacity and salt of every sequence. `gaps` replaces answers without room. */
export function applyWatermarks(
  draft: Draft,
  questions: readonly Question[],
  answers: readonly Answer[],
  gaps: ReadonlyMap<number, Answer>,
): Plan {
  const capacities = draft.plan.relations.map(({ isSingle }) => (isSingle ? 1 : Number.MAX_SAFE_INTEGER));
  const columns = draft.plan.relations.map((relation) => [...relation.columns]);
  const asked = new Map(questions.map((question, index) => [question.ordinal, index]));
  // The salt uses all answers about a table: the highest key changes with every run, the ends of a text seldom do.
  const answersOf: (string | null)[][] = draft.plan.relations.map(() => []);
  for (const [index, { ordinal }] of questions.entries()) answersOf[ordinal.relation]!.push(...answers[index]!);
  const relationAnswers = answersOf.map((texts) => texts.join('/'));
  for (const ordinal of draft.ordinals) {
    const index = asked.get(ordinal);
    const column = columns[ordinal.relation]![ordinal.column]!;
    const moved =
      index === undefined
        ? { column, capacity: ordinal.unique.capacity }
        : move(ordinal, column, answers[index]!, gaps.get(index), relationAnswers[ordinal.relation]!);
    columns[ordinal.relation]![ordinal.column] = moved.column;
    capacities[ordinal.relation] = Math.min(capacities[ordinal.relation]!, moved.capacity);
  }
  return {
    ...draft.plan,
    relations: draft.plan.relations.map((relation, index) => ({
      ...relation,
      columns: columns[index]!,
      capacity: capacities[index]!,
    })),
  };
}

function move(
  ordinal: OrdinalColumn,
  column: ColumnPlan,
  answer: Answer,
  gap: Answer | undefined,
  relationAnswers: string,
): { column: ColumnPlan; capacity: number } {
  const { unique } = ordinal;
  const { recipe } = column;
  if (unique.watermark.kind === 'salt') {
    if (answer[0] === null) return { column, capacity: unique.capacity };
    const seed = split({ hi: 0, lo: 0 }, relationAnswers);
    const salt = (seed.lo >>> 0).toString(36).padStart(7, '0').slice(-4);
    if (recipe.kind === 'sequence' && recipe.form.kind === 'text') {
      return {
        column: { ...column, salt, recipe: { ...recipe, form: { ...recipe.form, salt } } },
        capacity: unique.capacity,
      };
    }
    if (recipe.kind === 'sequence' && recipe.form.kind === 'places') {
      // Starts at a random place, so that few values of a former run are repeated.
      const start = Math.floor(((seed.lo >>> 0) / 0x1_0000_0000) * Math.min(unique.capacity, 0x100_0000_0000));
      return { column: { ...column, recipe: { ...recipe, start } }, capacity: unique.capacity };
    }
    return { column: { ...column, salt }, capacity: unique.capacity };
  }
  if (recipe.kind !== 'sequence' || answer[0] === null) return { column, capacity: unique.capacity - startOf(recipe) };
  if (recipe.form.kind === 'labels') {
    const taken = new Set(JSON.parse(answer[0]) as string[]);
    // Values in use come last, so their ordinals are used only when their rows have been deleted.
    const free = recipe.form.values.filter((value) => !taken.has(value));
    const values = [...free, ...recipe.form.values.filter((value) => taken.has(value))];
    return { column: { ...column, recipe: { ...recipe, form: { ...recipe.form, values } } }, capacity: free.length };
  }
  if (recipe.form.kind === 'bands') {
    const [highest, lowest] = answer.map((texts) => JSON.parse(texts!) as (string | null)[]);
    const bands = recipe.form.bands
      .map((band, at) => beside(band, highest![at] ?? null, lowest![at] ?? null))
      .filter(({ count }) => count > 0);
    if (bands.length === 0) return { column, capacity: 0 };
    const form = { ...recipe.form, bands, highest: Math.max(0, ...highest!.map(Number)) };
    return {
      column: { ...column, recipe: { ...recipe, form } },
      capacity: bands.reduce((sum, { count }) => sum + count, 0),
    };
  }
  if (gap !== undefined && gap[0] !== null) {
    return { column: { ...column, recipe: { ...recipe, start: Number(gap[0]) + 1 } }, capacity: Number(gap[1]) };
  }
  const highest = recipe.form.kind === 'code' ? Number.parseInt(answer[0], 36) : Number(answer[0]);
  const start = Math.max(recipe.start, highest + 1);
  // Codes that look like generated numbers may be words: if they leave no room, start over and let retries avoid them.
  if (unique.capacity - start <= 0) return { column, capacity: unique.capacity - startOf(recipe) };
  return { column: { ...column, recipe: { ...recipe, start } }, capacity: unique.capacity - start };
}

/** Returns the rest of a band above the highest existing number, or below the lowest if that is more. */
function beside({ first, count }: Band, highest: string | null, lowest: string | null): Band {
  if (highest === null || lowest === null) return { first, count };
  const above = { first: Number(highest) + 1, count: first + count - Number(highest) - 1 };
  const below = { first, count: Number(lowest) - first };
  return above.count >= Math.min(ROOM, below.count) ? above : below;
}

function startOf(recipe: ColumnPlan['recipe']): number {
  return recipe.kind === 'sequence' ? recipe.start : 0;
}
