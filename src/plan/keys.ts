import { columnsOf } from '../catalog/expression.js';
import type { Catalog, Relation, UniqueKey } from '../catalog/model.js';
import type { Restriction } from '../constraint/restriction.js';
import type { Recipe } from '../datum/recipe.js';
import type { ColumnDraft } from './column.js';
import { computedFrom } from './distinct.js';
import { keepApart, SMALL_CAPACITY } from './exclusion.js';
import { listedIfAny, narrowUnique } from './narrow.js';
import { AMPLE_CAPACITY } from './plan.js';
import { uniqueRecipeFor } from './sequence-for.js';
import type { UniqueRecipe } from './unique-recipe.js';

/** The columns that carry the ordinal, and the unique keys that must be tracked because none can. */
export interface KeyDraft {
  /** Column index → its unique recipe. */
  readonly ordinals: ReadonlyMap<number, UniqueRecipe>;
  readonly tracked: readonly (readonly number[])[];
  /** Names of unique indexes over expressions, which may be equal although their columns differ. */
  readonly blurred: readonly string[];
  /** Columns that contain the ends of one range and are written together. */
  readonly pairs: readonly (readonly number[])[];
  /** Columns that carry the ordinal, with the key whose index compares a computed value instead. */
  readonly distinct: readonly { readonly key: UniqueKey; readonly column: number; readonly unique: UniqueRecipe }[];
  /** True if a unique index has the same value for every row, so that there is room for one row. */
  readonly isSingle: boolean;
  /** Names of exclusion constraints that generated rows may violate. */
  readonly exclusions: readonly string[];
}

/**
 * Makes every unique key unique: by a column that is a function of the row's ordinal where one exists, the one of most
 * values first; else by tracking its tuples. `isForeign` columns take their values from a parent and cannot serve. A column may
 * be `searched`, under conditions that no restriction expresses, or `ranged`, so that it has ordinals as a last resort: what
 * decides on the partition is better drawn.
 */
export function draftKeys(
  relation: Relation,
  columns: readonly ColumnDraft[],
  isForeign: (column: number) => boolean,
  limitOf: (name: string) => 'searched' | 'ranged' | null,
  catalog: Catalog,
  minBytes: number,
): KeyDraft {
  const ordinals = new Map<number, UniqueRecipe>();
  const tracked: number[][] = [];
  const blurred: string[] = [];
  const distinct: KeyDraft['distinct'][number][] = [];
  let isSingle = false;
  const indexOf = new Map(columns.map((column, index) => [column.name, index]));
  const isOurs = (index: number) => !isForeign(index) && !columns[index]!.overridden;
  for (const key of relation.uniqueKeys) {
    const members = key.columns.flatMap((name) => indexOf.get(name) ?? []);
    if (members.length === 0) {
      isSingle ||= key.escape === null;
      continue;
    }
    const computed = computedFrom(key);
    // The computed values must differ; distinct values in its plain columns are enough.
    const bare = key.computed?.plain.flatMap((name) => indexOf.get(name) ?? []) ?? members;
    if (computed === null ? members.some((index) => ordinals.has(index)) : bare.some((index) => ordinals.has(index)))
      continue;
    // A sequence or default of the server generates the values.
    if (members.some((index) => columns[index]!.source === 'server')) continue;
    const carrying = computed !== null && bare.length === 0 ? ordinals.get(indexOf.get(computed)!) : undefined;
    if (carrying !== undefined) {
      distinct.push({ key, column: indexOf.get(computed!)!, unique: carrying });
      continue;
    }
    let best: { index: number; unique: UniqueRecipe; rank: number } | undefined;
    const usable = computed !== null && bare.some(isOurs) ? bare : members;
    for (const index of usable) {
      const column = columns[index]!;
      if (column.overridden || isForeign(index) || column.recipe.kind === 'null') continue;
      // A search finds few values: enough for one of several columns of a key, too few to number all rows.
      const limit = members.length > 1 ? limitOf(column.name) : null;
      if (limit === 'searched') continue;
      const typed = uniqueRecipeFor(column.attribute, catalog.types, minBytes);
      const unique = column.restriction ? narrowedOrListed(typed, column.restriction) : typed;
      if (unique === undefined) continue;
      const { identity, sequence } = column.attribute;
      const isCounted = identity !== 'none' || sequence !== null;
      const rank = unique.capacity < SMALL_CAPACITY ? 0 : limit === 'ranged' ? 1 : isCounted ? 3 : 2;
      if (best === undefined || rank > best.rank || (rank === best.rank && unique.capacity > best.unique.capacity))
        best = { index, unique, rank };
    }
    if (best !== undefined && (members.length === 1 || best.unique.capacity >= SMALL_CAPACITY)) {
      ordinals.set(best.index, best.unique);
      if (computed !== null && indexOf.get(computed) === best.index)
        distinct.push({ key, column: best.index, unique: best.unique });
    } else {
      tracked.push(members);
      // Values of an override are assumed to be valid.
      if (!key.exact && key.escape === null && !members.some((index) => columns[index]!.overridden))
        blurred.push(key.name);
    }
  }
  const context = { relation, columns, isForeign, catalog, ordinals };
  const pairs: number[][] = [];
  const exclusions = relation.exclusions.filter((exclusion) => {
    const found = keepApart(exclusion, context);
    if (found === undefined) return true;
    for (const [index, unique] of found) ordinals.set(index, unique);
    if (found.size > 1) pairs.push([...found.keys()]);
    return false;
  });
  return { ordinals, tracked, blurred, pairs, distinct, isSingle, exclusions: exclusions.map(({ name }) => name) };
}

/** Returns the recipe narrowed by a restriction; values from a list can be handed out one by one for any type. */
function narrowedOrListed(typed: UniqueRecipe | undefined, restriction: Restriction): UniqueRecipe | undefined {
  return typed === undefined
    ? restriction.values === null
      ? undefined
      : listedIfAny(restriction.values)
    : narrowUnique(typed, restriction);
}

/**
 * A column that can tell rows apart where no unique key does, the first of those that nothing else decides on; undefined
 * where there is none. It depends on no other column, so that a new one behind it changes nothing.
 */
export function draftMark(
  columns: readonly ColumnDraft[],
  isFree: (column: number) => boolean,
  { types }: Catalog,
  minBytes: number,
): { readonly column: number; readonly unique: UniqueRecipe } | undefined {
  for (const [column, { attribute, overridden, recipe, restriction, source }] of columns.entries()) {
    const isCounted = attribute.identity !== 'none' || attribute.sequence !== null;
    if (overridden || isCounted || source !== 'drawn' || !isFree(column) || !MARKING.has(recipe.kind)) continue;
    const typed = uniqueRecipeFor(attribute, types, minBytes);
    const unique = typed && restriction ? narrowUnique(typed, restriction) : typed;
    if (unique !== undefined && unique.capacity >= AMPLE_CAPACITY) return { column, unique };
  }
  return undefined;
}

/* Kinds of recipes whose values remain realistic if all are different. */
const MARKING: ReadonlySet<Recipe['kind']> = new Set(['text', 'uuid', 'bytes', 'integer', 'decimal']);

/**
 * True for a partial unique index whose columns have few values, or none: it would hold the table at a few rows, where
 * rows outside of its predicate are not compared at all. Such rows are made instead.
 */
export function isTight(key: UniqueKey, relation: Relation, catalog: Catalog): boolean {
  if (key.escape === null || isBoundTo(key, relation)) return false;
  return key.columns.every((name) => {
    if (relation.foreignKeys.some(({ columns }) => columns.includes(name))) return false;
    const attribute = relation.attributes.find((candidate) => candidate.name === name)!;
    return (uniqueRecipeFor(attribute, catalog.types, 0)?.capacity ?? 0) < SMALL_CAPACITY;
  });
}

/** True if the predicate is only about columns of the index, none of which may be NULL: then no row can be kept out of the index. */
function isBoundTo({ escape: outside, columns }: UniqueKey, { attributes }: Relation): boolean {
  return columnsOf(outside!.expression).every(
    (name) => columns.includes(name) && attributes.find((attribute) => attribute.name === name)?.notNull === true,
  );
}

/** Returns the columns that identify a row: the primary key, a unique key without NULLs, a referenced one, or none. */
export function identifyingColumns(relation: Relation, columns: readonly ColumnDraft[]): number[] {
  const indexOf = new Map(columns.map((column, index) => [column.name, index]));
  const key =
    relation.uniqueKeys.find((candidate) => candidate.primary) ??
    relation.uniqueKeys.find(
      (candidate) =>
        candidate.exact &&
        !candidate.nullsNotDistinct &&
        candidate.columns.every((name) => columns[indexOf.get(name)!]!.attribute.notNull),
    ) ??
    // Generated rows have no NULL in referenced columns.
    relation.uniqueKeys.find(
      (candidate) =>
        candidate.exact &&
        relation.referencedBy.some(({ referencedColumns }) =>
          candidate.columns.every((name) => referencedColumns.includes(name)),
        ),
    );
  return key === undefined ? [] : key.columns.map((name) => indexOf.get(name)!);
}
