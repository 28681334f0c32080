import { countOf } from '../constraint/regular.js';
import type { Recipe } from '../datum/recipe.js';
import type { ForeignKeyPlan, OperationKind, Plan, RelationPlan, ValueGroup } from '../plan/plan.js';
import type { Companion } from './effects.js';

/** What a column must contain so that an INSERT is accepted, and how that is known. */
export type Lesson = { readonly column: number; readonly words: string } & (
  | { readonly kind: 'recipe'; readonly recipe: Recipe }
  | { readonly kind: 'null' }
  /** A value of another table's column, as if a foreign key referenced it. */
  | { readonly kind: 'reference'; readonly parent: number; readonly parentColumn: number }
);

/** Returns the plan with what was learned about a table's columns. */
export function withLessons(plan: Plan, relation: number, lessons: readonly Lesson[]): Plan {
  let changed = plan.relations[relation]!;
  for (const lesson of lessons) changed = withLesson(changed, lesson);
  return withRelation(plan, relation, changed);
}

function withLesson(relation: RelationPlan, lesson: Lesson): RelationPlan {
  const columns = [...relation.columns];
  const column = columns[lesson.column]!;
  const learned = { ...column, edges: [], learned: lesson.words };
  switch (lesson.kind) {
    case 'recipe':
      columns[lesson.column] = { ...learned, recipe: lesson.recipe, nullRatio: 0 };
      return {
        ...relation,
        columns,
        groups: relation.groups.flatMap((group) => loosened(group, lesson.column)),
        capacity: Math.min(relation.capacity, capacityOf(lesson.recipe)),
      };
    case 'null':
      columns[lesson.column] = { ...learned, recipe: { kind: 'null' }, nullRatio: 1 };
      return { ...relation, columns, groups: relation.groups.flatMap((group) => withNull(group, lesson.column)) };
    case 'reference': {
      columns[lesson.column] = { ...learned, source: 'foreign', nullRatio: 0 };
      const key: ForeignKeyPlan = {
        name: lesson.words,
        parent: lesson.parent,
        columns: [lesson.column],
        parentColumns: [lesson.parentColumn],
        nullable: false,
        nullableColumns: [],
        only: null,
        follows: 'nothing',
        makesParent: false,
        copied: [],
      };
      // After the others, whose positions the claims use. Its references need no counting, because rows keep their key.
      return { ...relation, columns, foreignKeys: [...relation.foreignKeys, key] };
    }
  }
}

function capacityOf(recipe: Recipe): number {
  const isCounted = recipe.kind === 'sequence' && recipe.form.kind === 'places';
  return isCounted ? countOf(recipe.form.places) : Number.MAX_SAFE_INTEGER;
}

/** Returns the group with only the tuples in which the column is NULL; without the column if there are none. */
function withNull(group: ValueGroup, column: number): ValueGroup[] {
  const at = group.columns.indexOf(column);
  const tuples = at < 0 ? group.tuples : group.tuples.filter((tuple) => tuple[at] === null);
  return tuples.length > 0 ? [{ ...group, tuples }] : loosened(group, column);
}

/** Returns the group without a column that now has its own recipe; the rehearsal tries the combinations again. */
function loosened({ columns, own, tuples }: ValueGroup, column: number): ValueGroup[] {
  const at = columns.indexOf(column);
  const without = <Value>(values: readonly Value[]): Value[] => values.filter((_, index) => index !== at);
  if (at < 0) return [{ columns, own, tuples }];
  return columns.length === 1 ? [] : [{ columns: without(columns), own: without(own), tuples: tuples.map(without) }];
}

/** Returns the plan with a key that a trigger assigns to every row, except what the row copies from a parent. */
export function withServerKey(plan: Plan, relation: number): Plan {
  const { columns, key: whole, named, trackedKeys } = plan.relations[relation]!;
  const key = whole.filter((column) => columns[column]!.source !== 'foreign');
  const changed = columns.map((column, at) => (key.includes(at) ? { ...column, source: 'server' as const } : column));
  const kept = named.filter((at) => changed[at]!.source !== 'ordinal');
  return withRelation(plan, relation, {
    columns: changed,
    kept,
    returned: kept.filter((at) => changed[at]!.source === 'server'),
    trackedKeys: trackedKeys.filter((tracked) => !tracked.some((column) => key.includes(column))),
    reusesKey: false,
  });
}

/** Returns the plan in which a table gets its rows together with those of another one. */
export function withCompanion(plan: Plan, relation: number, companion: Companion): Plan {
  const { companions } = plan.relations[relation]!;
  const changed = withRelation(plan, relation, { companions: [...companions, companion], rekeyed: [] });
  return withOperations(changed, companion.relation, { insert: false });
}

/**
 * Returns the plan in which a trigger of the table inserts the row that it references, with the same key; null if no
 * foreign key can be so: it must allow each parent once, an ordinal must be part of it, and the trigger must copy whatever
 * else tells the parent's rows apart.
 */
export function baseByTrigger(plan: Plan, relation: number): Plan | null {
  for (const position of plan.relations[relation]!.foreignKeys.keys()) {
    const changed = withBase(plan, relation, position);
    if (changed !== null) return changed;
  }
  return null;
}

function withBase(plan: Plan, relation: number, position: number): Plan | null {
  const child = plan.relations[relation]!;
  const key = child.foreignKeys[position]!;
  const base = plan.relations[key.parent]!;
  const isOfOne = child.trackedKeys.some((tracked) => tracked.every((column) => key.columns.includes(column)));
  if (key.parent === relation || !base.targeted || !isOfOne) return null;
  const places = key.columns.map((column, at) => [column, key.parentColumns[at]!] as const);
  // A trigger of the base may make a base of its own, from which the number comes.
  const isNumbered = ([, parentColumn]: readonly [number, number]) =>
    base.columns[parentColumn]!.source === 'ordinal' ||
    base.foreignKeys.some(({ makesParent, columns }) => makesParent && columns.includes(parentColumn));
  const numbered = places.filter(isNumbered);
  const copied = places.filter((place) => !isNumbered(place));
  // Columns beside the key that must be known: a trigger copies them from the column of the same name.
  for (const kept of base.kept) {
    if (numbered.some(([, parentColumn]) => parentColumn === kept)) continue;
    if (copied.some(([, parentColumn]) => parentColumn === kept)) continue;
    const column = child.columns.findIndex(({ name }) => name === base.columns[kept]!.name);
    if (column < 0) return null;
    copied.push([column, kept]);
  }
  if (numbered.length === 0 || copied.some(([, at]) => base.columns[at]!.source === 'server')) return null;
  const makes = {
    ...key,
    columns: numbered.map(([column]) => column),
    parentColumns: numbered.map(([, parentColumn]) => parentColumn),
    makesParent: true,
    copied,
  };
  let changed: RelationPlan = { ...child, foreignKeys: child.foreignKeys.with(position, makes), rekeyed: [] };
  for (const [column, parentColumn] of copied) changed = withSourceOf(changed, column, base, parentColumn);
  return withRelation(plan, relation, changed);
}

/** Returns the child with a column that gets its values as the base's column does, unless another key determines it. */
function withSourceOf(child: RelationPlan, column: number, base: RelationPlan, baseColumn: number): RelationPlan {
  if (child.foreignKeys.some(({ columns, makesParent }) => !makesParent && columns.includes(column))) return child;
  const own = child.columns[column]!;
  const { source, recipe, nullRatio } = base.columns[baseColumn]!;
  const via = base.foreignKeys.find(({ columns }) => columns.length === 1 && columns[0] === baseColumn);
  if (source !== 'foreign' || via === undefined)
    return own.source === 'drawn'
      ? child
      : { ...child, columns: child.columns.with(column, { ...own, source: 'drawn', recipe, nullRatio, edges: [] }) };
  // Last, because claims and references know the others by their position. Its references count as the base's.
  const key: ForeignKeyPlan = { ...via, columns: [column], nullable: false, nullableColumns: [], follows: 'nothing' };
  const columns = child.columns.with(column, { ...own, source: 'foreign', nullRatio: 0, edges: [] });
  return { ...child, columns, foreignKeys: [...child.foreignKeys, key] };
}

/** Returns the plan without some operations of a table, or with them again. */
export function withOperations(plan: Plan, relation: number, changes: Partial<Record<OperationKind, boolean>>): Plan {
  const { operations } = plan.relations[relation]!;
  const changed = withRelation(plan, relation, { operations: { ...operations, ...changes } });
  const choices = changed.choices.filter(
    (choice) => choice.relation !== relation || changes[choice.operation] !== false,
  );
  return { ...changed, choices };
}

/** Returns the plan with changes to one relation. */
export function withRelation(plan: Plan, relation: number, changes: Partial<RelationPlan>): Plan {
  const relations = [...plan.relations];
  relations[relation] = { ...relations[relation]!, ...changes };
  return { ...plan, relations };
}
