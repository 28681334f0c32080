import { columnsOf, type Expression } from '../catalog/expression.js';
import { type ForeignKey, labelOf, quoteIdentifier, quoteQualified, type Relation, rowsOf } from '../catalog/model.js';
import { didYouMean } from '../config/nearest.js';
import { type Condition, conditionsOn, conjuncts } from '../constraint/restriction.js';
import { isTotal } from '../constraint/total.js';
import { type ColumnDraft, isComputedDefault } from './column.js';
import { conflictKeys, reusesKey } from './conflict-keys.js';
import { constraintNotes } from './constraint-notes.js';
import type { Context } from './context.js';
import { distinctSearch } from './distinct.js';
import { mayBecomeNull } from './foreign-keys.js';
import { draftKeys, draftMark, type KeyDraft } from './keys.js';
import type { ColumnPlan, Finding, ForeignKeyPlan, Guard, IncomingKey, OperationKind, RelationPlan } from './plan.js';
import { type ReadRelation, readRelation } from './read-relation.js';
import { readable, type Search, searchesFor } from './search.js';
import { entryFor } from './target.js';
import type { UniqueRecipe } from './unique-recipe.js';
import { updateGroups, updateSets } from './update-sets.js';

/** Decides everything about one relation that can be decided without its rows, in stages. */
export function planRelation(given: Relation, index: number, context: Context): RelationPlan {
  const read = readRelation(given, context);
  const numbered = numberRows(read, context);
  if (read.isTargeted)
    for (const [column, unique] of numbered.ordinals)
      if (column !== numbered.mark) context.ordinals.push({ relation: index, column, unique });
  const planned = planColumns(read, numbered);
  const tied = tieColumns(read, numbered, { planned, index }, context);
  const updates = planUpdates(read, numbered, { planned, tied }, context);
  const findings = read.isTargeted ? findingsOf(read, numbered, tied, updates, context) : [];
  context.findings.push(...findings);
  if (read.isTargeted) {
    const { label, relation, escaped, foreignKeys, conditions } = read;
    const { keys } = numbered;
    context.notes.push(
      ...constraintNotes({ label, relation, columns: planned, keys, escaped, foreignKeys, conditions, ...tied }),
    );
  }
  return assemble(read, numbered, { planned, tied, updates, findings }, context);
}

/** How rows differ: the columns determined by the ordinal, the capacity, and the mark of a table without a key. */
interface NumberedRows {
  readonly keys: KeyDraft;
  /** −1: none. */
  readonly mark: number;
  readonly ordinals: ReadonlyMap<number, UniqueRecipe>;
  readonly capacity: number;
}

function numberRows(read: ReadRelation, { config, catalog, owned }: Context): NumberedRows {
  const { relation, columns, foreignColumns, key, escaped, limited, unsolved, isTargeted } = read;
  const { min_col_size_bytes: minBytes } = config.generator;
  const keys = draftKeys(
    { ...relation, uniqueKeys: relation.uniqueKeys.filter((candidate) => !escaped.includes(candidate)) },
    columns,
    (column) => foreignColumns.has(column),
    (name) => limited.get(name) ?? null,
    catalog,
    minBytes,
  );
  const isNamed = key.length > 0 && key.every((position) => columns[position]!.source !== 'server');
  const decided = new Set([
    ...[...unsolved, ...relation.computed].flatMap(({ expression }) => columnsOf(expression)),
    ...relation.uniqueKeys.flatMap((unique) => unique.columns),
    ...(relation.partitioning?.columns ?? []),
  ]);
  const isFree = (column: number) =>
    !foreignColumns.has(column) && !decided.has(columns[column]!.name) && !keys.pairs.flat().includes(column);
  const marked =
    isTargeted && owned && !isNamed && !relation.reacts ? draftMark(columns, isFree, catalog, minBytes) : undefined;
  // Existing rows are distinguished by their age, so they need not be queried.
  const ordinals =
    marked === undefined ? keys.ordinals : new Map([...keys.ordinals, [marked.column, marked.unique] as const]);
  const capacities = isTargeted ? [...ordinals.values()].map(({ capacity }) => capacity) : [];
  const capacity = Math.min(keys.isSingle ? 1 : Number.MAX_SAFE_INTEGER, ...capacities);
  return { keys, mark: marked?.column ?? -1, ordinals, capacity };
}

function planColumns(
  { columns, key, referenced, foreignColumns }: ReadRelation,
  { keys, mark, ordinals }: NumberedRows,
): ColumnPlan[] {
  const ends = new Set(keys.pairs.flat());
  const tracked = new Set(keys.tracked.flat());
  return columns.map((column, position): ColumnPlan => {
    const ordinal = ordinals.get(position);
    const fixed = key.includes(position) || referenced.has(position) || position === mark;
    const isForeign = foreignColumns.has(position);
    const isPlain = !isForeign && ordinal === undefined && !fixed && !tracked.has(position);
    return {
      name: column.name,
      sql: column.sql,
      typeName: column.typeName,
      bareType: column.bareType,
      label: column.label,
      recipe: isForeign ? column.recipe : (ordinal?.recipe ?? column.recipe),
      source: isForeign ? 'foreign' : ordinal === undefined ? column.source : 'ordinal',
      salt: column.salt,
      // A range without an end would overlap all others.
      nullRatio: fixed || ends.has(position) ? 0 : column.nullRatio,
      edges: isPlain ? column.edges : NO_EDGES,
      edgeRatio: column.edgeRatio,
    };
  });
}

/** Columns that conditions connect, and conditions that generated values cannot meet. */
interface TiedColumns {
  readonly searches: readonly Search[];
  readonly guards: readonly Guard[];
  readonly open: readonly Condition[];
}

function tieColumns(
  read: ReadRelation,
  { keys, ordinals }: NumberedRows,
  { planned, index }: { planned: readonly ColumnPlan[]; index: number },
  context: Context,
): TiedColumns {
  const { relation, label, columns, conditions, unsolved, foreignColumns, key, referenced } = read;
  if (!read.isTargeted) return { searches: [], guards: [], open: unsolved };
  const unmet = conditions.filter(
    (condition) =>
      ((unsolved.includes(condition) && !isMixed(condition, read, planned)) || isUnmet(condition, columns, ordinals)) &&
      !isInherited(condition, relation, foreignColumns, context),
  );
  // A restriction narrows what a column draws, but has no effect on what it copies from a parent.
  const copied = conditions.filter((condition) => {
    const [position, ...others] = columnsOf(condition.expression).map((name) => read.columnIndex.get(name));
    return (
      !unmet.includes(condition) &&
      position !== undefined &&
      others.length === 0 &&
      foreignColumns.has(position) &&
      !read.foreignKeys.some(({ columns: names, parentColumns, only }) => {
        const at = names.indexOf(position);
        return at >= 0 && only?.parentColumn === parentColumns[at];
      }) &&
      !isInherited(condition, relation, foreignColumns, context)
    );
  });
  const { writers, seed, catalog } = context;
  const fixed = new Set([...key, ...referenced]);
  const { types, functions, names } = catalog;
  const tracked = new Set(keys.tracked.flat());
  const searching = {
    relation,
    index,
    label,
    columns,
    planned,
    fixed,
    types,
    functions,
    names,
    relations: catalog.relations,
    tracked,
    writers,
    seed,
  };
  const tied = searchesFor(
    [
      ...unmet,
      ...relation.computed
        .filter(({ expression }) => !isTotal(expression))
        .map((computed) => ({ ...computed, domainColumn: null, through: [], computed: true })),
      ...columns.filter(({ unknown }) => unknown).map(readable),
    ],
    { solved: conditions.filter((condition) => !unmet.includes(condition)), copied },
    searching,
  );
  context.searches.push(...tied.searches);
  context.distincts.push(
    ...keys.distinct.map(({ key: unique, column, unique: recipe }) =>
      distinctSearch(unique, column, recipe, searching),
    ),
  );
  return tied;
}

/** What UPDATEs may write: sets of columns, or the whole row. */
interface PlannedUpdates {
  readonly groups: readonly (readonly number[])[];
  readonly sets: readonly (readonly number[])[];
  readonly rekeyed: readonly number[];
}

function planUpdates(
  { relation, label, isTargeted, columns, columnIndex, foreignKeys, key, held, partitionedBy }: ReadRelation,
  { keys, mark }: NumberedRows,
  { planned, tied }: { planned: readonly ColumnPlan[]; tied: TiedColumns },
  context: Context,
): PlannedUpdates {
  const hashed = (relation.partitioning?.hashedWithGaps ?? []).map((name) => columnIndex.get(name)!);
  const excluded = isTargeted ? [...excludedFromUpdate(relation, columnIndex, context), ...hashed] : [];
  const unique = columnsOfKeys(relation, columnIndex);
  const isNumbered = (members: readonly number[]) => members.some((column) => planned[column]!.source === 'ordinal');
  // For a table that is not targeted, the key includes the referenced columns, too.
  const fixed = [...key, ...held, ...keys.tracked.flat(), ...excluded, mark];
  const groupsBeside = (tiedByKeys: readonly (readonly number[])[], fixedByKeys: readonly number[]) =>
    updateGroups(
      columns,
      planned,
      foreignKeys,
      [...keys.pairs, ...[...tied.searches, ...tied.guards].map((each) => each.columns), ...tiedByKeys],
      new Set([...fixed, ...fixedByKeys]),
    );
  // Rows from before the run may be equal in the column that numbers new rows, so the other columns of the key are written together with it.
  const apart = groupsBeside(unique.filter(isNumbered), unique.filter((members) => !isNumbered(members)).flat());
  // An UPDATE may now and then collide with another row; that is better than no UPDATE.
  const groups = apart.length > 0 ? apart : groupsBeside([], []);
  const drawn = isTargeted ? updateSets(context.seed, label, groups, context.sets) : [];
  const sets = mark < 0 || held.includes(mark) || excluded.includes(mark) ? drawn : withMark(drawn, mark);
  const moves = key.some((column) => partitionedBy.includes(column));
  const rekeyed =
    (sets.length > 0 && !moves) || excluded.length > 0
      ? []
      : insertedOf(planned).filter((position) => columns[position]!.attribute.identity !== 'always');
  const canRekey = rekeyed.length > 0 && key.every((position) => rekeyed.includes(position));
  return { groups, sets, rekeyed: canRekey ? rekeyed : [] };
}

/**
 * The columns of each unique key and exclusion that several columns decide about, those of its predicate included. Where one of them is
 * unique by itself, the others say nothing.
 */
function columnsOfKeys(
  { uniqueKeys, exclusions }: Relation,
  columnIndex: ReadonlyMap<string, number>,
): (readonly number[])[] {
  const alone = new Set(uniqueKeys.flatMap(({ exact, columns }) => (exact && columns.length === 1 ? columns : [])));
  const named = [
    ...uniqueKeys.map(({ columns, escape: outside }) => [
      ...columns,
      ...(outside === null ? [] : columnsOf(outside.expression)),
    ]),
    ...exclusions.map(({ elements }) => elements.flatMap(({ expression }) => columnsOf(expression))),
  ];
  return named
    .filter((names) => !names.some((name) => alone.has(name)))
    .map((names) => [...new Set(names)].flatMap((name) => columnIndex.get(name) ?? []))
    .filter((members) => members.length > 1);
}

/** Rows without a key are found by their place, which only PostgreSQL has. */
function withoutPlaces({ label, key }: ReadRelation, { catalog }: Context): Finding[] {
  const { flavour } = catalog.server;
  if (key.length > 0 || flavour === 'PostgreSQL') return [];
  const reason = `has no key, and ${flavour} does not tell where a row lies`;
  return [
    { relation: label, column: null, prevents: ['insert', 'update', 'delete'], reason, remedy: 'add a primary key' },
  ];
}

/** Returns the columns that an INSERT writes. */
function insertedOf(planned: readonly ColumnPlan[]): number[] {
  return [...planned.keys()].filter((position) => planned[position]!.source !== 'server');
}

function findingsOf(
  read: ReadRelation,
  { keys }: NumberedRows,
  { open }: TiedColumns,
  { sets, rekeyed }: PlannedUpdates,
  context: Context,
): Finding[] {
  const { relation, label, columns } = read;
  const findings = [...constraintFindings(relation, open, keys.exclusions), ...withoutPlaces(read, context)];
  if (sets.length > 0 || rekeyed.length > 0) return findings;
  const reason =
    columns.length === 0
      ? 'has no columns, so there is nothing to update'
      : 'has no column to update: its key is generated by the server and there are no others';
  const remedy = 'nothing to do: the other operations run';
  return [{ relation: label, column: null, prevents: ['update'], reason, remedy }, ...findings];
}

/** Returns columns whose computed default may be left to the server, because nothing else depends on them. */
function defaultedOf(
  { columns, isTargeted }: ReadRelation,
  planned: readonly ColumnPlan[],
  settled: ReadonlySet<number>,
  { config }: Context,
): number[] {
  if (!isTargeted || config.generator.defaults !== 'all') return [];
  const inserted = insertedOf(planned);
  const defaulted = inserted.filter(
    (position) =>
      isComputedDefault(columns[position]!) && planned[position]!.source === 'drawn' && !settled.has(position),
  );
  // An INSERT must write at least one column.
  return defaulted.length < inserted.length ? defaulted : [];
}

interface Decisions {
  readonly planned: readonly ColumnPlan[];
  readonly tied: TiedColumns;
  readonly updates: PlannedUpdates;
  readonly findings: readonly Finding[];
}

function assemble(
  read: ReadRelation,
  { keys, mark, capacity }: NumberedRows,
  { planned, tied, updates, findings }: Decisions,
  context: Context,
): RelationPlan {
  const { relation, isTargeted, columns, columnIndex, foreignKeys, key, referenced, partitionedBy } = read;
  const { tracked, pairs } = keys;
  const insertColumns = insertedOf(planned);
  const named = [...new Set([...key, ...referenced])].sort((a, b) => a - b);
  const kept = named.filter((position) => planned[position]!.source !== 'ordinal');
  const checked = read.conditions.flatMap(({ expression }) =>
    columnsOf(expression).map((name) => columnIndex.get(name)!),
  );
  // A row without a key moves when it is written, and cannot be identified again within the same operation.
  const conflicts = isTargeted && key.length > 0 ? conflictKeys(relation, read.escaped, planned, updates.groups) : [];
  const settled = new Set(
    [
      [...named, mark, ...tracked.flat(), ...pairs.flat(), ...checked, ...partitionedBy],
      ...[...tied.searches, ...tied.guards].map((each) => each.columns),
      ...conflicts.map(({ written }) => written),
    ].flat(),
  );
  const possible = (operation: OperationKind) =>
    isTargeted && !findings.some((finding) => finding.prevents.includes(operation));
  return {
    label: read.label,
    sql: quoteQualified(relation),
    rows: rowsOf(relation),
    targeted: isTargeted,
    columns: planned,
    insertColumns,
    defaulted: defaultedOf(read, planned, settled, context),
    overriding: insertColumns.some((position) => columns[position]!.attribute.identity === 'always'),
    key,
    mark,
    named,
    kept,
    returned: kept.filter((position) => planned[position]!.source === 'server'),
    foreignKeys: foreignKeys.map((foreignKey) =>
      followsForSure(foreignKey, relation, foreignKeys, [...named, ...tracked.flat(), ...checked]),
    ),
    incoming: isTargeted ? relation.referencedBy.map(planIncoming) : [],
    trackedKeys: isTargeted ? tracked : [],
    blurredKeys: isTargeted ? keys.blurred : [],
    groups: [],
    guards: tied.guards,
    updateGroups: isTargeted ? updates.groups : [],
    updateSets: updates.sets,
    partitionedBy,
    rekeyed: updates.rekeyed,
    conflictKeys: conflicts,
    reusesKey: reusesKey(key, named, planned, capacity),
    isSingle: keys.isSingle,
    capacity,
    // Only the server knows the hash remainder of a value: of single rows, some fall into an existing partition.
    oneByOne: (relation.partitioning?.hashedWithGaps ?? []).length > 0,
    changesTogether: key.length > 0 && !relation.reacts,
    copies: !relation.rowSecurity && !relation.hasRules,
    companions: [],
    bears: [],
    needs: [],
    operations: { insert: possible('insert'), update: possible('update'), delete: possible('delete') },
  };
}

/** Returns the foreign key, which follows its parent's deletion only if the server's action is known. */
function followsForSure(
  foreignKey: ForeignKeyPlan,
  relation: Relation,
  foreignKeys: readonly ForeignKeyPlan[],
  fixed: readonly number[],
): ForeignKeyPlan {
  const isUnclear =
    foreignKeys.some((other) => isRival(foreignKey, other)) ||
    (foreignKey.follows === 'null' && !mayBecomeNull(foreignKey, relation, foreignKeys, fixed));
  return isUnclear ? { ...foreignKey, follows: 'nothing' } : foreignKey;
}

/** Adds the mark to all sets, so that each UPDATE writes a new mark that proves its effect. */
function withMark(sets: readonly (readonly number[])[], mark: number): number[][] {
  return (sets.length > 0 ? sets : [[]]).map((set) => [...set, mark].sort((a, b) => a - b));
}

/** Returns true for keys on the same columns with different ON DELETE actions, of which the server executes one. */
function isRival(key: ForeignKeyPlan, other: ForeignKeyPlan): boolean {
  return key.follows !== other.follows && key.parent === other.parent && key.columns.join() === other.columns.join();
}

function planIncoming({ referencing, columns, referencedColumns }: ForeignKey): IncomingKey {
  return {
    sql: quoteQualified(referencing),
    columns: columns.map(quoteIdentifier),
    referencedColumns: referencedColumns.map(quoteIdentifier),
  };
}

/** Returns true for a condition on one column that its parent's column has as well, so that a copied value meets it. */
function isInherited(
  { expression, domainColumn }: Condition,
  relation: Relation,
  foreignColumns: ReadonlyMap<number, number>,
  { relations, indexOf, catalog: { types } }: Context,
): boolean {
  const [name, ...others] = columnsOf(expression);
  const position = relation.attributes.findIndex((attribute) => attribute.name === name);
  if (position < 0 || others.length > 0 || !foreignColumns.has(position)) return false;
  const own = conjuncts(expression).map((part) => aboutAnyColumn(part));
  return relation.foreignKeys.some(({ columns, referenced, referencedColumns }) => {
    const at = columns.indexOf(name!);
    const parent = relations[indexOf.get(labelOf(referenced)) ?? -1];
    const attribute = parent?.attributes.find((each) => each.name === referencedColumns[at]);
    if (at < 0 || parent === undefined || attribute === undefined) return false;
    if (domainColumn !== null && attribute.type === relation.attributes[position]!.type) return true;
    const known = conditionsOn(parent, types)
      .filter((condition) => columnsOf(condition.expression).join() === attribute.name)
      .flatMap((condition) => conjuncts(condition.expression))
      .map((part) => aboutAnyColumn(part));
    return own.every((part) => known.includes(part));
  });
}

/** A condition on one column, without the column's name. */
function aboutAnyColumn(condition: Expression): string {
  return JSON.stringify(condition, (_, value: unknown) =>
    typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'column' ? 'the column' : value,
  );
}

/** Returns true for a condition on one column that is drawn from all allowed ranges. */
function isMixed(condition: Condition, { ranged, columnIndex }: ReadRelation, planned: readonly ColumnPlan[]): boolean {
  if (!ranged.has(condition)) return false;
  const { source, recipe } = planned[columnIndex.get(columnsOf(condition.expression)[0]!)!]!;
  return source === 'drawn' && recipe.kind === 'mixture';
}

/** Returns true if a recipe cannot be narrowed to an understood condition; unique columns have recipes of their own. */
function isUnmet({ expression }: Condition, columns: readonly ColumnDraft[], ordinals: KeyDraft['ordinals']): boolean {
  const names = columnsOf(expression);
  return columns.some(({ name, unmet }, position) => unmet && !ordinals.has(position) && names.includes(name));
}

/** Returns the columns that the user excludes from UPDATEs. */
function excludedFromUpdate(
  relation: Relation,
  columnIndex: ReadonlyMap<string, number>,
  { config, problems }: Context,
): number[] {
  const names = entryFor(config.generator.exclude_columns_from_update, relation) ?? [];
  return names.flatMap((name) => {
    const column = columnIndex.get(name);
    if (column !== undefined) return column;
    const path = ['generator', 'exclude_columns_from_update'];
    const message = `table "${relation.name}" has no column "${name}"${didYouMean(name, [...columnIndex.keys()])}`;
    problems.push(config.source.problem(path, message));
    return [];
  });
}

const NO_EDGES: readonly string[] = [];

/** Returns findings on constraints that this version does not understand, because they may reject values. */
function constraintFindings(
  relation: Relation,
  unsolved: readonly Condition[],
  exclusions: readonly string[],
): Finding[] {
  const label = labelOf(relation);
  const remedy = `set generator.column_overrides for columns of ${relation.name}, or exclude the table with generator.exclude_table_list`;
  const findings: Finding[] = [];
  const unread = [...new Set([...unsolved.map(({ name }) => name), ...exclusions])];
  if (unread.length > 0) {
    const reason = `the server may reject values because of ${unread.join(', ')}, which this version cannot take into account`;
    const columns = [...new Set(unsolved.flatMap(({ expression }) => columnsOf(expression)))];
    findings.push({ relation: label, column: null, columns, prevents: [], reason, remedy });
  }
  const leftOut = relation.partitioning?.leftOut ?? 0;
  if (leftOut > 0) {
    const reason = `${leftOut} of its partitions get no rows, because their foreign keys differ from those of the others`;
    findings.push({
      relation: label,
      column: null,
      prevents: [],
      reason,
      remedy: 'give all partitions the same foreign keys',
    });
  }
  if (relation.partitioning?.partitions === 0) {
    findings.push({
      relation: label,
      column: null,
      prevents: ['insert'],
      reason: 'has no partition',
      remedy: 'create a partition',
    });
  }
  return findings;
}
