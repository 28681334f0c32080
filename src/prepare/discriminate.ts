import type { Relation } from '../catalog/model.js';
import { PINNED_BASE } from '../lane/rows/keyspace.js';
import { parentsFirst } from '../plan/order.js';
import type { ColumnPlan, ForeignKeyPlan, Plan } from '../plan/plan.js';
import type { Stage } from './stage.js';
import { tryOperation, type Write } from './trial.js';

/* The most values of a column that are told apart, columns that are tried, and trials per value. */
const MOST_VALUES = 12;
const MOST_COLUMNS = 4;
const TRIALS = 3;
/* Draws of a trial, and the number of the first one. A value counts as refused if all draws of all of its trials are. */
const DRAWS = 6;
const FIRST = 9000;

/** A column whose value decides what triggers do with a row, and the values with which they do one and the same. */
export interface Discriminator {
  readonly column: number;
  readonly values: readonly string[];
  /** Its values that are not used: refused, or with other effects. */
  readonly others: readonly string[];
}

/**
 * Finds the column whose value decides whether an INSERT is accepted, or in which tables triggers insert rows beside it
 * (`type` of a table with subtypes). Null: there is none.
 */
export async function discriminate(
  stage: Stage,
  plan: Plan,
  relations: readonly Relation[],
  relation: number,
): Promise<Discriminator | null> {
  // Rows of other tables, such as a history, may depend on the values as they like.
  const subtypes = relations.filter((_, index) => isSubtype(stage, plan, index, relation));
  const places = new Map(parentsFirst(plan, 'needed').map((index, at) => [relations[index]!.oid, at]));
  for (const { column, values } of candidates(stage, plan, relation)) {
    const byResult = new Map<string, string[]>();
    for (const value of values) {
      const result = await resultOf(stage, subtypes, relation, new Map([[column, value]]));
      byResult.set(result, [...(byResult.get(result) ?? []), value]);
    }
    const unsteady = byResult.get(UNSTEADY)?.length ?? 0;
    const refused = byResult.get(REFUSED) ?? [];
    byResult.delete(UNSTEADY);
    byResult.delete(REFUSED);
    // Something else decides, of which a value may have seen the one side only.
    if (unsteady > values.length - refused.length - unsteady) continue;
    // Of subtypes with as many values, the one that others reference.
    const place = (result: string) => places.get(Number(result.split(',')[0])) ?? Number.MAX_SAFE_INTEGER;
    const [most] = [...byResult]
      .sort(([one, a], [other, b]) => b.length - a.length || place(one) - place(other))
      .map(([, same]) => same);
    // Where none is refused and all have the same effects, the column decides nothing.
    if (most === undefined || (refused.length === 0 && byResult.size === 1)) continue;
    return { column, values: most, others: values.filter((value) => !most.includes(value)) };
  }
  return null;
}

/** Returns the plan in which a column has only some of its values. */
export function withOnly(plan: Plan, relation: number, { column, values }: Discriminator): Plan {
  const given = plan.relations[relation]!;
  const words = `one of ${values.map((value) => `'${value}'`).join(', ')}, learned by trial`;
  const position = keyOn(given.foreignKeys, column);
  const relations = [...plan.relations];
  const own = given.columns[column]!;
  if (position < 0) {
    const recipe = { kind: 'choice', values, cumulative: values.map((_, index) => index + 1) } as const;
    const columns = given.columns.with(column, { ...own, recipe, edges: [], learned: words });
    relations[relation] = { ...given, columns };
  } else {
    const key = given.foreignKeys[position]!;
    const only = { parentColumn: key.parentColumns[0]!, values };
    const columns = given.columns.with(column, { ...own, learned: words });
    relations[relation] = { ...given, columns, foreignKeys: given.foreignKeys.with(position, { ...key, only }) };
  }
  return { ...plan, relations };
}

/** Returns true for a table that may have one row for each row of another one, with the same key. */
function isSubtype(stage: Stage, plan: Plan, index: number, relation: number): boolean {
  return plan.relations[index]!.foreignKeys.some(
    ({ parent }, at) => parent === relation && stage.compiled.relations[index]!.soleKeys[at]! >= 0,
  );
}

function* candidates(
  stage: Stage,
  plan: Plan,
  relation: number,
): Generator<{ readonly column: number; readonly values: readonly string[] }> {
  const { columns, insertColumns, foreignKeys, groups } = plan.relations[relation]!;
  let found = 0;
  for (const column of insertColumns) {
    const isDrawnTogether = groups.some((group) => {
      const at = group.columns.indexOf(column);
      return at >= 0 && !group.own[at]!;
    });
    if (isDrawnTogether) continue;
    const values = valuesOf(stage, columns[column]!, foreignKeys, column);
    if (values.length < 2 || values.length > MOST_VALUES) continue;
    yield { column, values };
    if (++found === MOST_COLUMNS) return;
  }
}

function valuesOf(
  stage: Stage,
  { source, recipe }: ColumnPlan,
  foreignKeys: readonly ForeignKeyPlan[],
  column: number,
): string[] {
  if (source === 'drawn') return recipe.kind === 'choice' ? [...new Set(recipe.values)] : [];
  const position = keyOn(foreignKeys, column);
  if (source !== 'foreign' || position < 0) return [];
  const { parent, parentColumns, only } = foreignKeys[position]!;
  const { live } = stage.store.keyspaces[parent]!;
  const pinned = Array.from(stage.store.pinned[parent]!, (claim) => PINNED_BASE - claim);
  if (live.size + pinned.length > MOST_VALUES || only !== null) return [];
  // Rows that all lanes know come first.
  const rows = [...pinned, ...Array.from({ length: live.size }, (_, at) => live.at(at))];
  return [...new Set(rows.map((row) => stage.store.namedText(parent, row, parentColumns[0]!)))];
}

/** Returns the only foreign key on a column, which has no other columns; −1 if there is none. */
function keyOn(foreignKeys: readonly ForeignKeyPlan[], column: number): number {
  const all = [...foreignKeys.keys()].filter((at) => foreignKeys[at]!.columns.includes(column));
  return all.length === 1 && foreignKeys[all[0]!]!.columns.length === 1 && !foreignKeys[all[0]!]!.makesParent
    ? all[0]!
    : -1;
}

const REFUSED = 'refused';
const UNSTEADY = 'unsteady';

/** Returns the tables that get rows beside one with these texts; equal texts are equal results. */
async function resultOf(
  stage: Stage,
  subtypes: readonly Relation[],
  relation: number,
  texts: ReadonlyMap<number, string>,
): Promise<string> {
  const results = new Set<string>();
  let refused = 0;
  const write: Write = (operation, seeds) => stage.rows.insertWith(operation, texts, seeds);
  for (let trial = 0; trial < TRIALS; trial++) {
    const before = await stage.changes();
    const first = FIRST + trial * DRAWS;
    const tried = await tryOperation(stage, { relation, kind: 'insert', keeps: false, draws: DRAWS, first, write });
    if (tried.kind === 'unknown') return UNSTEADY;
    if (tried.kind === 'refused') refused++;
    // The server counts rows of refused draws, too.
    if (tried.kind === 'refused' || tried.refused > 0) continue;
    const after = await stage.changes();
    const others = subtypes.filter(({ oid }) => (after.get(oid)?.inserted ?? 0) > (before.get(oid)?.inserted ?? 0));
    results.add(others.map(({ oid }) => oid).join());
  }
  if (refused === TRIALS) return REFUSED;
  return refused === 0 && results.size === 1 ? [...results][0]! : UNSTEADY;
}
