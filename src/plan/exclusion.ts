import type { Expression } from '../catalog/expression.js';
import type { Catalog, Exclusion, Relation } from '../catalog/model.js';
import { DIGITS } from '../constraint/regular.js';
import type { Recipe } from '../datum/recipe.js';
import type { ColumnDraft } from './column.js';
import { OID } from './oid.js';
import { endsOf, uniqueRecipeFor } from './sequence-for.js';
import { byPlaces, type UniqueRecipe } from './unique-recipe.js';

/** With fewer values, ordinals would soon run out. */
export const SMALL_CAPACITY = 10_000;

/** The decisions on a relation's columns that exclusion constraints depend on. */
export interface ExclusionContext {
  readonly relation: Relation;
  readonly columns: readonly ColumnDraft[];
  readonly isForeign: (column: number) => boolean;
  readonly catalog: Catalog;
  readonly ordinals: ReadonlyMap<number, UniqueRecipe>;
}

function isDisjoint({ elements }: Exclusion, { columns, ordinals }: ExclusionContext): boolean {
  return elements.some(({ expression, operator }) => {
    const index = expression.kind === 'column' ? columns.findIndex(({ name }) => name === expression.name) : -1;
    const unique = ordinals.get(index);
    if (unique === undefined) return false;
    return operator === '=' || (unique.recipe.kind === 'sequence' && unique.recipe.form.kind === 'span');
  });
}

/**
 * Recipes that keep the rows of an exclusion constraint apart, where none does yet: ranges that follow each other, in one
 * column or as two ends, else another value of a column compared by =. Undefined where it has no such element.
 */
export function keepApart(
  exclusion: Exclusion,
  context: ExclusionContext,
): ReadonlyMap<number, UniqueRecipe> | undefined {
  const { relation } = context;
  // A key WITHOUT OVERLAPS rejects empty ranges, so its ranges are made even if another column makes rows distinct.
  const isInKey = (name: string) => relation.uniqueKeys.some((key) => key.columns.includes(name));
  const inKey = elementsOf(exclusion, '&&').filter((part) => part.kind === 'column' && isInKey(part.name));
  return (
    firstOf(inKey, (part) => uniqueColumn(part, context)) ??
    (isDisjoint(exclusion, context) ? new Map() : undefined) ??
    firstOf(elementsOf(exclusion, '&&'), (part) => uniqueColumn(part, context) ?? twoEnds(part, context)) ??
    firstOf([...elementsOf(exclusion, '&&'), ...elementsOf(exclusion, '~=')], (part) => shapesApart(part, context)) ??
    firstOf(elementsOf(exclusion, '='), (part) => uniqueColumn(part, context))
  );
}

function elementsOf({ elements }: Exclusion, operator: string): Expression[] {
  return elements.filter((element) => element.operator === operator).map(({ expression }) => expression);
}

function firstOf<Found>(
  parts: readonly Expression[],
  find: (part: Expression) => Found | undefined,
): Found | undefined {
  for (const part of parts) {
    const found = find(part);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Returns the position of a column whose values can be chosen freely; −1 for other expressions. */
function usable(part: Expression, { columns, isForeign, ordinals }: ExclusionContext): number {
  const index = part.kind === 'column' ? columns.findIndex(({ name }) => name === part.name) : -1;
  const column = columns[index];
  const isFree = column !== undefined && column.source === 'drawn' && !column.overridden && !isForeign(index);
  return isFree && !ordinals.has(index) && column.restriction === undefined ? index : -1;
}

function uniqueColumn(part: Expression, context: ExclusionContext): ReadonlyMap<number, UniqueRecipe> | undefined {
  const index = usable(part, context);
  if (index < 0) return undefined;
  const unique = uniqueRecipeFor(context.columns[index]!.attribute, context.catalog.types, 0);
  return unique === undefined || unique.capacity < SMALL_CAPACITY ? undefined : new Map([[index, unique]]);
}

const NUMBER: Recipe = { kind: 'sequence', form: { kind: 'integer' }, start: 1 };
const apart = (...parts: (string | Recipe)[]): UniqueRecipe => ({
  recipe: { kind: 'format', parts },
  capacity: 1_000_000_000,
  watermark: { kind: 'none' },
});
const OCTET = ['.', '1', DIGITS, DIGITS];

/* Shapes side by side along an axis, and consecutive addresses, by oid of their type: no two touch. */
const APART: ReadonlyMap<number, UniqueRecipe> = new Map([
  [600, apart('(', NUMBER, ',0)')],
  [601, apart('[(', NUMBER, ',0),(', NUMBER, ',1)]')],
  [603, apart('((', NUMBER, ',0),(', NUMBER, '.5,0.5))')],
  [604, apart('((', NUMBER, ',0),(', NUMBER, '.5,0),(', NUMBER, '.5,0.5))')],
  [718, apart('<(', NUMBER, ',0),0.2>')],
  ...[OID.inet, OID.cidr].map((oid) => [oid, byPlaces(['1', '0', ...OCTET, ...OCTET, ...OCTET])] as const),
]);

function shapesApart(part: Expression, context: ExclusionContext): ReadonlyMap<number, UniqueRecipe> | undefined {
  const index = usable(part, context);
  const unique = index < 0 ? undefined : APART.get(context.columns[index]!.attribute.type);
  return unique === undefined ? undefined : new Map([[index, unique]]);
}

/** Returns recipes for both columns of an expression such as tstzrange(starts, ends). */
function twoEnds(part: Expression, context: ExclusionContext): ReadonlyMap<number, UniqueRecipe> | undefined {
  if (part.kind !== 'function') return undefined;
  const [low, high] = part.args.slice(0, 2).map((arg) => usable(arg, context));
  if (low === undefined || high === undefined || low < 0 || high < 0 || low === high) return undefined;
  const { attribute, name } = context.columns[high]!;
  const ends = endsOf(attribute.type, name, context.catalog.types);
  return (
    ends &&
    new Map([
      [low, ends[0]],
      [high, ends[1]],
    ])
  );
}
