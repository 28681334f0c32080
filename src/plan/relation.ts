import { columnsOf } from '../catalog/expression.js';
import {
  type Catalog,
  type ForeignKey,
  labelOf,
  quoteIdentifier,
  quoteQualified,
  type Relation,
  rowsOf,
} from '../catalog/model.js';
import type { Config } from '../config/load.js';
import { didYouMean } from '../config/nearest.js';
import type { Problem } from '../config/problem.js';
import { type Condition, conditionsOn, neverNull, restrictionsOf } from '../constraint/restriction.js';
import { isTotal } from '../constraint/total.js';
import type { Writers } from '../datum/compile.js';
import type { Seed } from '../random/seed.js';
import { type ColumnDraft, draftColumns, isComputedDefault, isNotNullDomain } from './column.js';
import { conflictKeys, reusesKey } from './conflict-keys.js';
import { type ConstraintNote, constraintNotes } from './constraint-notes.js';
import { type DistinctSearch, distinctSearch } from './distinct.js';
import { mayBecomeNull, planForeignKey } from './foreign-keys.js';
import { draftKeys, draftMark, identifyingColumns, isTight, type KeyDraft } from './keys.js';
import type { ColumnPlan, Finding, ForeignKeyPlan, IncomingKey, OperationKind, RelationPlan } from './plan.js';
import { fitRow } from './row-width.js';
import { readable, type Search, searchesFor } from './search.js';
import type { UniqueRecipe } from './sequence-for.js';
import { entryFor } from './target.js';
import { updateGroups, updateSets } from './update-sets.js';

/** What the database must still be asked before a plan is whole: see `watermark.ts`. */
export interface OrdinalColumn {
  readonly relation: number;
  readonly column: number;
  readonly unique: UniqueRecipe;
}

/** What the plans of all relations share, and what they add to. */
export interface Context {
  readonly config: Config;
  readonly catalog: Catalog;
  readonly seed: Seed;
  readonly relations: readonly Relation[];
  readonly indexOf: ReadonlyMap<string, number>;
  readonly targeted: ReadonlySet<Relation>;
  readonly findings: Finding[];
  readonly problems: Problem[];
  readonly ordinals: OrdinalColumn[];
  readonly searches: Search[];
  readonly distincts: DistinctSearch[];
  readonly notes: ConstraintNote[];
  /** For samples of recipes, to be tried on the server. */
  readonly writers: Writers;
  /** Sets of columns for UPDATE, per table. */
  readonly sets: number;
  /** True where lanes own their rows. */
  readonly owned: boolean;
}

/** Everything about one relation that can be decided without its rows. */
export function planRelation(given: Relation, index: number, context: Context): RelationPlan {
  const { config, catalog } = context;
  const stated = conditionsOn(given, catalog.types);
  const relation = withoutRefusedNulls(given, stated, catalog);
  const label = labelOf(relation);
  const isTargeted = context.targeted.has(given);
  const findings: Finding[] = [];
  const escaped = relation.uniqueKeys.filter((key) => isTight(key, relation, catalog));
  const conditions = [
    ...stated,
    ...escaped.map((partial) => ({ ...partial.escape!, domainColumn: null, through: [], computed: false })),
  ];
  const { byColumn, unsolved, ranged } = restrictionsOf(conditions);
  const columns = fitRow(draftColumns(relation, byColumn, config, catalog, context.problems));
  const columnIndex = new Map(columns.map((column, position) => [column.name, position]));
  const foreignKeys = isTargeted
    ? relation.foreignKeys.flatMap((key) =>
        planForeignKey(key, { ...context, columns, restrictions: byColumn, columnIndex }),
      )
    : [];
  const foreignColumns = new Map(
    foreignKeys.flatMap((key, position) => key.columns.map((column) => [column, position] as const)),
  );

  const key = identifyingColumns(relation, columns);
  const referenced = new Set(
    relation.referencedBy
      .filter((incoming) => context.indexOf.has(labelOf(incoming.referencing)))
      .flatMap((incoming) => incoming.referencedColumns.map((name) => columnIndex.get(name)!)),
  );
  const held = relation.referencedBy.flatMap(({ referencedColumns }) =>
    referencedColumns.map((name) => columnIndex.get(name)!),
  );
  const limited = new Map<string, 'searched' | 'ranged'>();
  for (const condition of unsolved) {
    for (const name of columnsOf(condition.expression))
      if (limited.get(name) !== 'searched') limited.set(name, ranged.has(condition) ? 'ranged' : 'searched');
  }
  const keys = draftKeys(
    { ...relation, uniqueKeys: relation.uniqueKeys.filter((candidate) => !escaped.includes(candidate)) },
    columns,
    (column) => foreignColumns.has(column),
    (name) => limited.get(name) ?? null,
    catalog,
    config.generator.min_col_size_bytes,
  );
  const { tracked, pairs } = keys;
  const isNamed = key.length > 0 && key.every((position) => columns[position]!.source !== 'server');
  const decided = new Set([
    ...[...unsolved, ...relation.computed].flatMap(({ expression }) => columnsOf(expression)),
    ...relation.uniqueKeys.flatMap((unique) => unique.columns),
    ...(relation.partitioning?.columns ?? []),
  ]);
  const isFree = (column: number) =>
    !foreignColumns.has(column) && !decided.has(columns[column]!.name) && !pairs.flat().includes(column);
  const marked =
    isTargeted && context.owned && !isNamed && !relation.reacts
      ? draftMark(columns, isFree, catalog, config.generator.min_col_size_bytes)
      : undefined;
  const mark = marked?.column ?? -1;
  // Rows that stand there already are told apart by their age: nothing need be asked of them.
  const ordinals =
    marked === undefined ? keys.ordinals : new Map([...keys.ordinals, [marked.column, marked.unique] as const]);
  let capacity = keys.isSingle ? 1 : Number.MAX_SAFE_INTEGER;
  if (isTargeted) {
    for (const [column, unique] of ordinals) {
      if (column !== mark) context.ordinals.push({ relation: index, column, unique });
      capacity = Math.min(capacity, unique.capacity);
    }
  }

  const planned = columns.map((column, position): ColumnPlan => {
    const ordinal = ordinals.get(position);
    const fixed = key.includes(position) || referenced.has(position) || position === mark;
    // A range that lacks an end would overlap all others.
    const nullRatio = fixed || pairs.flat().includes(position) ? 0 : column.nullRatio;
    const isForeign = foreignColumns.has(position);
    const isPlain = !isForeign && ordinal === undefined && !fixed;
    return {
      name: column.name,
      sql: column.sql,
      typeName: column.typeName,
      label: column.label,
      recipe: isForeign ? column.recipe : (ordinal?.recipe ?? column.recipe),
      source: isForeign ? 'foreign' : ordinal === undefined ? column.source : 'ordinal',
      salt: column.salt,
      nullRatio,
      edges: isPlain && !tracked.some((members) => members.includes(position)) ? column.edges : NO_EDGES,
      edgeRatio: column.edgeRatio,
    };
  });

  const insertColumns = [...planned.keys()].filter((position) => planned[position]!.source !== 'server');
  const named = [...new Set([...key, ...referenced])].sort((a, b) => a - b);
  const kept = named.filter((position) => planned[position]!.source !== 'ordinal');
  const unmet = conditions.filter(
    (condition) =>
      (unsolved.includes(condition) || isUnmet(condition, columns, ordinals)) &&
      !isInherited(condition, relation, foreignColumns, context),
  );
  const searching = {
    relation,
    index,
    label,
    columns,
    planned,
    fixed: new Set([...key, ...referenced]),
    types: catalog.types,
    writers: context.writers,
    seed: context.seed,
  };
  const { searches, guards, open } = isTargeted
    ? searchesFor(
        [
          ...unmet,
          ...relation.computed
            .filter(({ expression }) => !isTotal(expression))
            .map((computed) => ({ ...computed, domainColumn: null, through: [], computed: true })),
          ...columns.filter(({ unknown }) => unknown).map(readable),
        ],
        conditions.filter((condition) => !unmet.includes(condition)),
        searching,
      )
    : { searches: [], guards: [], open: unsolved };
  context.searches.push(...searches);
  if (isTargeted)
    context.distincts.push(
      ...keys.distinct.map(({ key: unique, column, unique: recipe }) =>
        distinctSearch(unique, column, recipe, searching),
      ),
    );
  const hashed = (relation.partitioning?.hashedWithGaps ?? []).map((name) => columnIndex.get(name)!);
  const excluded = isTargeted ? [...excludedFromUpdate(relation, columnIndex, context), ...hashed] : [];
  const groups = updateGroups(
    columns,
    planned,
    foreignKeys,
    [...pairs, ...[...searches, ...guards].map((tied) => tied.columns)],
    // A key of a table that is not targeted holds the columns that it references, too.
    new Set([...key, ...held, ...tracked.flat(), ...excluded, mark]),
  );
  const drawnSets = isTargeted ? updateSets(context.seed, label, groups, context.sets) : [];
  const sets = mark < 0 || held.includes(mark) || excluded.includes(mark) ? drawnSets : withMark(drawnSets, mark);
  const partitionedBy = (relation.partitioning?.columns ?? []).map((name) => columnIndex.get(name)!);
  const moves = key.some((column) => partitionedBy.includes(column));
  const rekeyed =
    (sets.length > 0 && !moves) || excluded.length > 0
      ? []
      : insertColumns.filter((position) => columns[position]!.attribute.identity !== 'always');
  const canRekey = rekeyed.length > 0 && key.every((position) => rekeyed.includes(position));
  if (isTargeted && sets.length === 0 && !canRekey) {
    findings.push({
      relation: label,
      column: null,
      prevents: ['update'],
      reason: 'has no column that an UPDATE could change: its key is made by the server, and there is nothing else',
      remedy: 'nothing to do: the other operations run',
    });
  }
  if (isTargeted) {
    findings.push(...constraintFindings(relation, open, keys.exclusions));
    const planning = {
      label,
      relation,
      columns: planned,
      keys,
      escaped,
      foreignKeys,
      conditions,
      guards,
      searches,
      open,
    };
    context.notes.push(...constraintNotes(planning));
  }
  context.findings.push(...findings);
  const checked = conditions.flatMap(({ expression }) => columnsOf(expression).map((name) => columnIndex.get(name)!));
  // A row without a key moves when it is written, and cannot be named again within the same operation.
  const conflicts = isTargeted && key.length > 0 ? conflictKeys(relation, escaped, planned, groups) : [];
  const settled = new Set(
    [
      [...named, mark, ...tracked.flat(), ...pairs.flat(), ...checked, ...partitionedBy],
      ...[...searches, ...guards].map((tied) => tied.columns),
      ...conflicts.map(({ written }) => written),
    ].flat(),
  );
  const defaulted = insertColumns.filter(
    (position) =>
      isTargeted &&
      config.generator.defaults === 'all' &&
      isComputedDefault(columns[position]!) &&
      planned[position]!.source === 'drawn' &&
      !settled.has(position),
  );
  const possible = (operation: OperationKind) =>
    isTargeted && !findings.some((finding) => finding.prevents.includes(operation));
  return {
    label,
    sql: quoteQualified(relation),
    rows: rowsOf(relation),
    targeted: isTargeted,
    columns: planned,
    insertColumns,
    // A row needs a value to be written at all.
    defaulted: defaulted.length < insertColumns.length ? defaulted : [],
    overriding: insertColumns.some((position) => columns[position]!.attribute.identity === 'always'),
    key,
    mark,
    named,
    kept,
    returned: kept.filter((position) => planned[position]!.source === 'server'),
    foreignKeys: foreignKeys.map((foreignKey) =>
      foreignKeys.some((other) => isRival(foreignKey, other))
        ? { ...foreignKey, follows: 'nothing' }
        : foreignKey.follows !== 'null' ||
            mayBecomeNull(foreignKey, relation, foreignKeys, [...named, ...tracked.flat(), ...checked])
          ? foreignKey
          : { ...foreignKey, follows: 'nothing' },
    ),
    incoming: isTargeted ? relation.referencedBy.map(planIncoming) : [],
    trackedKeys: isTargeted ? tracked : [],
    blurredKeys: isTargeted ? keys.blurred : [],
    groups: [],
    guards,
    updateGroups: isTargeted ? groups : [],
    updateSets: sets,
    partitionedBy,
    rekeyed: canRekey ? rekeyed : [],
    conflictKeys: conflicts,
    reusesKey: reusesKey(key, named, planned, capacity),
    isSingle: keys.isSingle,
    capacity,
    // Which remainder a value has is known to the server alone: of single rows some fall into a partition.
    oneByOne: hashed.length > 0,
    copies: !relation.rowSecurity,
    companions: [],
    needs: [],
    operations: { insert: possible('insert'), update: possible('update'), delete: possible('delete') },
  };
}

/** Whatever an UPDATE writes, the row gets another mark with it: by that it is known to have been written. */
function withMark(sets: readonly (readonly number[])[], mark: number): number[][] {
  return (sets.length > 0 ? sets : [[]]).map((set) => [...set, mark].sort((a, b) => a - b));
}

/** True for keys of the same columns of which each does another thing when the parent goes: the server carries out one of them. */
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

/** True for a domain's condition on a column that copies a value of the same domain from a parent, where it holds already. */
function isInherited(
  { domainColumn }: Condition,
  relation: Relation,
  foreignColumns: ReadonlyMap<number, number>,
  { relations, indexOf }: Context,
): boolean {
  const position = relation.attributes.findIndex(({ name }) => name === domainColumn);
  if (position < 0 || !foreignColumns.has(position)) return false;
  return relation.foreignKeys.some(({ columns, referenced, referencedColumns }) => {
    const at = columns.indexOf(domainColumn!);
    const parent = relations[indexOf.get(labelOf(referenced)) ?? -1];
    const attribute = parent?.attributes.find(({ name }) => name === referencedColumns[at]);
    return at >= 0 && attribute?.type === relation.attributes[position]!.type;
  });
}

/**
 * NOT NULL is said in many ways: by a domain, by a CHECK. A unique key of which NULLs count as values allows one of them in
 * all: none is simpler, and as good. Where other columns keep rows apart parents may be missing, and where a condition is about them.
 */
function withoutRefusedNulls(relation: Relation, conditions: readonly Condition[], { types }: Catalog): Relation {
  const isForeign = (name: string) => relation.foreignKeys.some(({ columns }) => columns.includes(name));
  const tied = new Set(
    conditions.map(({ expression }) => columnsOf(expression)).flatMap((all) => (all.length > 1 ? all : [])),
  );
  const unique = relation.uniqueKeys
    .filter((key) => key.nullsNotDistinct)
    .flatMap(({ columns }) => {
      const own = columns.filter((name) => !isForeign(name));
      return own.length > 0 ? own : columns.filter((name) => !tied.has(name));
    });
  const refused = new Set([...neverNull(conditions), ...unique]);
  const attributes = relation.attributes.map((attribute) =>
    !attribute.notNull && (refused.has(attribute.name) || isNotNullDomain(attribute.type, types))
      ? { ...attribute, notNull: true }
      : attribute,
  );
  return { ...relation, attributes };
}

/** True where a condition was read, but a column's recipe cannot be narrowed to it; unique columns have recipes of their own. */
function isUnmet({ expression }: Condition, columns: readonly ColumnDraft[], ordinals: KeyDraft['ordinals']): boolean {
  const names = columnsOf(expression);
  return columns.some(({ name, unmet }, position) => unmet && !ordinals.has(position) && names.includes(name));
}

/** Columns that the user keeps out of UPDATEs. */
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

/** Constraints that this version does not read: said beforehand, since values of ours may be refused by them. */
function constraintFindings(
  relation: Relation,
  unsolved: readonly Condition[],
  exclusions: readonly string[],
): Finding[] {
  const label = labelOf(relation);
  const remedy = `generator.column_overrides for the columns of ${relation.name}, or exclude_table_list`;
  const findings: Finding[] = [];
  const unread = [...new Set([...unsolved.map(({ name }) => name), ...exclusions])];
  if (unread.length > 0) {
    const reason = `values may be refused by ${unread.join(', ')}, which this version does not read`;
    findings.push({ relation: label, column: null, prevents: [], reason, remedy });
  }
  const leftOut = relation.partitioning?.leftOut ?? 0;
  if (leftOut > 0) {
    const reason = `${leftOut} of its partitions take no rows: they have other foreign keys than the rest`;
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
      remedy: 'create one',
    });
  }
  return findings;
}
