import { columnsOf } from '../catalog/expression.js';
import { type Catalog, labelOf, type Relation, type UniqueKey } from '../catalog/model.js';
import { type Condition, conditionsOn, neverNull, restrictionsOf } from '../constraint/restriction.js';
import { type ColumnDraft, draftColumns, isNotNullDomain } from './column.js';
import type { Context } from './context.js';
import { planForeignKey } from './foreign-keys.js';
import { identifyingColumns, isTight } from './keys.js';
import type { ForeignKeyPlan } from './plan.js';
import { fitRow } from './row-width.js';

/** What is known about a relation: its conditions, column drafts, foreign keys, and identifying columns. */
export interface ReadRelation {
  readonly relation: Relation;
  readonly label: string;
  readonly isTargeted: boolean;
  /** Partial unique indexes whose predicates no generated row meets. */
  readonly escaped: readonly UniqueKey[];
  readonly conditions: readonly Condition[];
  readonly unsolved: readonly Condition[];
  /** Of these, conditions that hold for all values of a column that is drawn from several ranges. */
  readonly ranged: ReadonlySet<Condition>;
  /** Columns with unsolved conditions. */
  readonly limited: ReadonlyMap<string, 'searched' | 'ranged'>;
  readonly columns: readonly ColumnDraft[];
  readonly columnIndex: ReadonlyMap<string, number>;
  readonly foreignKeys: readonly ForeignKeyPlan[];
  /** A foreign key that a column belongs to, by column. */
  readonly foreignColumns: ReadonlyMap<number, number>;
  readonly key: readonly number[];
  /** Columns referenced by foreign keys of the plan's relations, and columns referenced by any foreign key. */
  readonly referenced: ReadonlySet<number>;
  readonly held: readonly number[];
  /** Columns that determine the partition of a row. */
  readonly partitionedBy: readonly number[];
}

export function readRelation(given: Relation, context: Context): ReadRelation {
  const { config, catalog } = context;
  const stated = conditionsOn(given, catalog.types);
  const relation = withoutRefusedNulls(given, stated, catalog);
  const isTargeted = context.targeted.has(given);
  const escaped = relation.uniqueKeys.filter((key) => isTight(key, relation, catalog));
  const conditions = [
    ...stated,
    ...escaped.map((partial) => ({ ...partial.escape!, domainColumn: null, through: [], computed: false })),
  ];
  const { byColumn, unsolved, ranged } = restrictionsOf(conditions);
  const columns = fitRow(draftColumns(relation, byColumn, config, catalog, context.problems));
  const columnIndex = new Map(columns.map((column, position) => [column.name, position]));
  const positions = (names: readonly string[]) => names.map((name) => columnIndex.get(name)!);
  const foreignKeys = isTargeted
    ? relation.foreignKeys.flatMap((key) =>
        planForeignKey(key, { ...context, columns, restrictions: byColumn, columnIndex }),
      )
    : [];
  const limited = new Map<string, 'searched' | 'ranged'>();
  for (const condition of unsolved) {
    for (const name of columnsOf(condition.expression))
      if (limited.get(name) !== 'searched') limited.set(name, ranged.has(condition) ? 'ranged' : 'searched');
  }
  const ofPlan = relation.referencedBy.filter((incoming) => context.indexOf.has(labelOf(incoming.referencing)));
  return {
    relation,
    label: labelOf(relation),
    isTargeted,
    escaped,
    conditions,
    unsolved,
    ranged,
    limited,
    columns,
    columnIndex,
    foreignKeys,
    foreignColumns: new Map(
      foreignKeys.flatMap((key, position) => key.columns.map((column) => [column, position] as const)),
    ),
    key: identifyingColumns(relation, columns),
    referenced: new Set(ofPlan.flatMap(({ referencedColumns }) => positions(referencedColumns))),
    held: relation.referencedBy.flatMap(({ referencedColumns }) => positions(referencedColumns)),
    partitionedBy: positions(relation.partitioning?.columns ?? []),
  };
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
