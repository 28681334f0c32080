import type { Catalog, Exclusion, Relation, UniqueKey } from '../catalog/model.js';
import type { ColumnDraft } from './column.js';
import { narrowUnique } from './narrow.js';
import { endsOf, type UniqueRecipe, uniqueRecipeFor } from './sequence-for.js';

/* Below this many values an ordinal would soon run out; where other columns share the key, tuples are tracked instead. */
const SMALL_CAPACITY = 10_000;

/** Which columns carry the ordinal, and which unique keys have to be tracked because none can. */
export interface KeyDraft {
  /** Column index → its unique recipe. */
  readonly ordinals: ReadonlyMap<number, UniqueRecipe>;
  readonly tracked: readonly (readonly number[])[];
  /** Columns that hold the ends of one range: written together. */
  readonly pairs: readonly (readonly number[])[];
  /** Names of exclusion constraints that rows of ours may meet. */
  readonly exclusions: readonly string[];
}

/**
 * Makes every unique key unique: by a column that is a function of the row's ordinal where one exists, the one of most
 * values first; else by tracking its tuples. `isForeign` columns take their values from a parent and cannot serve;
 * `isSearched` ones are under conditions that no restriction expresses.
 */
export function draftKeys(
  relation: Relation,
  columns: readonly ColumnDraft[],
  isForeign: (column: number) => boolean,
  isSearched: (name: string) => boolean,
  catalog: Catalog,
  minBytes: number,
): KeyDraft {
  const ordinals = new Map<number, UniqueRecipe>();
  const tracked: number[][] = [];
  const indexOf = new Map(columns.map((column, index) => [column.name, index]));
  for (const key of relation.uniqueKeys) {
    const members = key.columns.flatMap((name) => indexOf.get(name) ?? []);
    if (members.length === 0) continue;
    if (members.some((index) => ordinals.has(index))) continue;
    // A sequence or default of the server makes its own values.
    if (members.some((index) => columns[index]!.source === 'server')) continue;
    let best: { index: number; unique: UniqueRecipe } | undefined;
    for (const index of members) {
      const column = columns[index]!;
      if (column.overridden || isForeign(index) || column.recipe.kind === 'null') continue;
      // A search finds few values: enough for a column among others of a key, too few to number all rows.
      if (members.length > 1 && isSearched(column.name)) continue;
      const typed = uniqueRecipeFor(column.attribute, catalog.types, minBytes);
      const unique = typed && column.restriction ? narrowUnique(typed, column.restriction) : typed;
      if (unique !== undefined && (best === undefined || unique.capacity > best.unique.capacity))
        best = { index, unique };
    }
    if (best !== undefined && (members.length === 1 || best.unique.capacity >= SMALL_CAPACITY))
      ordinals.set(best.index, best.unique);
    else tracked.push(members);
  }
  const context = { relation, columns, isForeign, catalog, ordinals };
  const pairs: number[][] = [];
  const exclusions = relation.exclusions.filter((exclusion) => {
    const found = disjoint(exclusion, context);
    for (const [index, unique] of found) ordinals.set(index, unique);
    if (found.size > 1) pairs.push([...found.keys()]);
    return found.size === 0 && !isDisjoint(exclusion, context);
  });
  return { ordinals, tracked, pairs, exclusions: exclusions.map(({ name }) => name) };
}

interface ExclusionContext {
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
 * column or as two ends, else another value of a column compared by =. None where it has no such element.
 */
function disjoint(exclusion: Exclusion, context: ExclusionContext): Map<number, UniqueRecipe> {
  const { columns, isForeign, catalog, ordinals } = context;
  if (isDisjoint(exclusion, context)) return new Map();
  const usable = (name: string): number => {
    const index = columns.findIndex((column) => column.name === name);
    const column = columns[index];
    const isFree = column !== undefined && column.source === 'drawn' && !column.overridden && !isForeign(index);
    return isFree && !ordinals.has(index) && column.restriction === undefined ? index : -1;
  };
  const uniqueOf = (index: number) => uniqueRecipeFor(columns[index]!.attribute, catalog.types, 0);
  for (const { expression, operator } of exclusion.elements) {
    if (operator !== '&&') continue;
    if (expression.kind === 'column') {
      const index = usable(expression.name);
      const unique = index < 0 ? undefined : uniqueOf(index);
      if (unique !== undefined) return new Map([[index, unique]]);
    }
    if (expression.kind !== 'function') continue;
    const ends = expression.args.slice(0, 2).map((arg) => (arg.kind === 'column' ? usable(arg.name) : -1));
    const [low, high] = ends;
    if (low === undefined || high === undefined || low < 0 || high < 0 || low === high) continue;
    const [first, last] = endsOf(columns[high]!.attribute.type, columns[high]!.name, catalog.types) ?? [];
    if (first === undefined || last === undefined) continue;
    return new Map([
      [low, first],
      [high, last],
    ]);
  }
  for (const { expression, operator } of exclusion.elements) {
    if (operator !== '=' || expression.kind !== 'column') continue;
    const index = usable(expression.name);
    const unique = index < 0 ? undefined : uniqueOf(index);
    if (unique !== undefined && unique.capacity >= SMALL_CAPACITY) return new Map([[index, unique]]);
  }
  return new Map();
}

/**
 * True for a partial unique index whose columns have few values, or none: it would hold the table at a few rows, where
 * rows outside of its predicate are not compared at all. Such rows are made instead.
 */
export function isTight(key: UniqueKey, relation: Relation, catalog: Catalog): boolean {
  if (key.escape === null) return false;
  return key.columns.every((name) => {
    if (relation.foreignKeys.some(({ columns }) => columns.includes(name))) return false;
    const attribute = relation.attributes.find((candidate) => candidate.name === name)!;
    return (uniqueRecipeFor(attribute, catalog.types, 0)?.capacity ?? 0) < SMALL_CAPACITY;
  });
}

/** Columns that name a row: the primary key, else the first unique key without NULLs, else one that is referenced, else none (ctid). */
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
    // Rows of ours hold no NULL where others reference them.
    relation.uniqueKeys.find(
      (candidate) =>
        candidate.exact &&
        relation.referencedBy.some(({ referencedColumns }) =>
          candidate.columns.every((name) => referencedColumns.includes(name)),
        ),
    );
  return key === undefined ? [] : key.columns.map((name) => indexOf.get(name)!);
}
