import { columnsOf, type Expression } from '../catalog/expression.js';
import {
  type Attribute,
  type Catalog,
  labelOf,
  quoteIdentifier,
  type Relation,
  type UniqueKey,
} from '../catalog/model.js';
import { type Condition, conditionsOn, neverNull, restrictionsOf } from '../constraint/restriction.js';
import { type ColumnDraft, draftColumns, isNotNullDomain } from './column.js';
import type { Context } from './context.js';
import { baseOf, longestText } from './family.js';
import { planForeignKey } from './foreign-keys.js';
import { identifyingColumns, isTight } from './keys.js';
import { OID } from './oid.js';
import type { ForeignKeyPlan } from './plan.js';
import { fitRow } from './row-width.js';
import { asChecked } from './spatial.js';

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
  const stated = [...conditionsOn(given, catalog.types), ...lengthsAlongKeys(given, context)];
  const relation = withoutRefusedNulls(given, stated, catalog);
  const isTargeted = context.targeted.has(given);
  const escaped = relation.uniqueKeys.filter((key) => isTight(key, relation, catalog));
  const conditions = [
    ...stated,
    ...escaped.map((partial) => ({ ...partial.escape!, domainColumn: null, through: [], computed: false })),
  ];
  const { byColumn, unsolved, ranged } = restrictionsOf(conditions);
  const drafted = fitRow(draftColumns(relation, byColumn, config, catalog, context.problems));
  const back = isTargeted ? backReferences(relation, drafted, context) : new Set<string>();
  const columns = drafted.map((column) =>
    back.has(column.name) ? alwaysNull(column) : asChecked(column, conditions, catalog.types),
  );
  const columnIndex = new Map(columns.map((column, position) => [column.name, position]));
  const positions = (names: readonly string[]) => names.map((name) => columnIndex.get(name)!);
  const foreignKeys = isTargeted
    ? relation.foreignKeys.flatMap((key) =>
        key.columns.some((name) => back.has(name))
          ? []
          : planForeignKey(key, { ...context, relation, columns, restrictions: byColumn, columnIndex }),
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
 * What foreign keys copy must fit into both columns: conditions on the lengths of texts that are longer, or are copied from
 * longer ones, and on the sizes of integers.
 */
function lengthsAlongKeys(
  { attributes, foreignKeys, referencedBy }: Relation,
  { catalog: { types }, relations, indexOf }: Context,
): Condition[] {
  const lengthOf = (attribute: Attribute | undefined) => attribute && longestText(attribute, types);
  const named = (all: readonly Attribute[] | undefined, name: string) => all?.find((each) => each.name === name);
  const attributesOf = (relation: Parameters<typeof labelOf>[0]) =>
    relations[indexOf.get(labelOf(relation)) ?? -1]?.attributes;
  const limits = [
    ...foreignKeys.flatMap(({ columns, referenced, referencedColumns }) =>
      columns.map((name, at) => {
        const own = lengthOf(named(attributes, name));
        const other = lengthOf(named(attributesOf(referenced), referencedColumns[at]!));
        return { name, most: own != null && (other == null || other > own) ? own : null };
      }),
    ),
    ...referencedBy.flatMap(({ columns, referencing, referencedColumns }) =>
      referencedColumns.map((name, at) => {
        const own = lengthOf(named(attributes, name));
        const other = lengthOf(named(attributesOf(referencing), columns[at]!));
        return { name, most: other != null && (own == null || own > other) ? other : null };
      }),
    ),
  ];
  const conditions = limits.flatMap(({ name, most }) => {
    if (most === null) return [];
    const text = `pg_catalog.char_length(${quoteIdentifier(name)}::text) <= ${most}`;
    const length: Expression = { kind: 'function', name: 'char_length', args: [{ kind: 'column', name }] };
    const expression: Expression = {
      kind: 'operator',
      name: '<=',
      args: [length, { kind: 'constant', text: String(most), type: 'number' }],
    };
    return [
      { name: `the lengths of foreign keys`, text, expression, domainColumn: null, through: [], computed: false },
    ];
  });
  const narrower = [
    ...foreignKeys.flatMap(({ columns, referenced, referencedColumns }) =>
      columns.map(
        (name, at) => [name, named(attributes, name), named(attributesOf(referenced), referencedColumns[at]!)] as const,
      ),
    ),
    ...referencedBy.flatMap(({ columns, referencing, referencedColumns }) =>
      referencedColumns.map(
        (name, at) => [name, named(attributesOf(referencing), columns[at]!), named(attributes, name)] as const,
      ),
    ),
  ].flatMap(([name, child, parent]) => {
    const [most, wider] = [child, parent].map((attribute) => LARGEST_OF.get(baseOf(attribute?.type ?? 0, types)));
    if (most === undefined || wider === undefined || most >= wider) return [];
    const text = `${quoteIdentifier(name)} <= ${most}`;
    const expression: Expression = {
      kind: 'operator',
      name: '<=',
      args: [
        { kind: 'column', name },
        { kind: 'constant', text: String(most), type: 'number' },
      ],
    };
    return [{ name: 'the sizes of foreign keys', text, expression, domainColumn: null, through: [], computed: false }];
  });
  return [...conditions, ...narrower];
}

/* The largest number that an integer type holds. */
const LARGEST_OF: ReadonlyMap<number, number> = new Map([
  [OID.int2, 32_767],
  [OID.int4, 2_147_483_647],
  [OID.int8, Number.MAX_SAFE_INTEGER],
]);

/**
 * Returns columns that are always NULL, because with a value the row would reference one that references the row itself:
 * of foreign keys that contain the row's own key (`(id, current_revision)` references `(document_id, number)`). No such row
 * can be there when the key is new.
 */
function backReferences(
  { foreignKeys, uniqueKeys, schema, name: own }: Relation,
  columns: readonly ColumnDraft[],
  { relations, indexOf }: Context,
): Set<string> {
  const isFree = (name: string) => {
    const column = columns.find((each) => each.name === name)!;
    return !column.attribute.notNull && !column.overridden && column.source !== 'server';
  };
  const found = foreignKeys.flatMap(({ columns: names, referenced, referencedColumns, matchFull }) => {
    const parent = relations[indexOf.get(labelOf(referenced)) ?? -1];
    const isOwnKey = (column: string, at: number) =>
      uniqueKeys.some((key) => key.exact && key.columns.length === 1 && key.columns[0] === column) &&
      parent?.foreignKeys.some(
        (key) =>
          labelOf(key.referenced) === labelOf({ schema, name: own }) &&
          key.columns.length === 1 &&
          key.columns[0] === referencedColumns[at] &&
          key.referencedColumns[0] === column,
      ) === true;
    return names.length > 1 && !matchFull && names.some(isOwnKey) ? names.filter(isFree).slice(0, 1) : [];
  });
  return new Set(found);
}

function alwaysNull(column: ColumnDraft): ColumnDraft {
  return { ...column, recipe: { kind: 'null' }, nullRatio: 1, edges: [] };
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
