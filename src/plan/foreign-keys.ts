import { columnsOf, constantsIn } from '../catalog/expression.js';
import { type Catalog, type ForeignKey, labelOf, type Relation } from '../catalog/model.js';
import { conditionsOn, type Restriction, restrictionsOf } from '../constraint/restriction.js';
import type { ColumnDraft } from './column.js';
import type { ForeignKeyPlan } from './plan.js';

/** What the plan of a foreign key depends on. */
interface Surroundings {
  readonly catalog: Catalog;
  readonly columns: readonly ColumnDraft[];
  readonly restrictions: ReadonlyMap<string, Restriction>;
  readonly columnIndex: ReadonlyMap<string, number>;
  /** The relation of the key. */
  readonly relation: Relation;
  /** The relations of the plan, and their positions by label. */
  readonly relations: readonly Relation[];
  readonly indexOf: ReadonlyMap<string, number>;
}

/** Plans a foreign key; none if the server or the user provides its columns. */
export function planForeignKey(given: ForeignKey, surroundings: Surroundings): ForeignKeyPlan[] {
  const { columns, restrictions, columnIndex, relations, indexOf, catalog } = surroundings;
  const constant = constantPart(given, surroundings.relation);
  const key = constant === null ? given : constant.rest;
  // A value that the server computes from other columns follows no parent.
  if (key.columns.some((name) => !columnIndex.has(name))) return [];
  const members = key.columns.map((name) => columnIndex.get(name)!);
  // Values of an override of a referencing column are assumed to be valid.
  if (members.some((column) => columns[column]!.overridden || columns[column]!.source === 'server')) return [];
  const parent = indexOf.get(labelOf(key.referenced))!;
  // One NULL satisfies MATCH SIMPLE; MATCH FULL needs all columns to be NULL.
  const candidates = members.filter((column) => !columns[column]!.attribute.notNull);
  const nullable = key.matchFull && candidates.length < members.length ? [] : candidates;
  const parentNames = relations[parent]!.attributes.map((attribute) => attribute.name);
  const parentColumns = key.referencedColumns.map((name) => parentNames.indexOf(name));
  const limited = key.columns.findIndex((name) => (restrictions.get(name)?.values ?? null) !== null);
  const values = limited < 0 ? null : restrictions.get(key.columns[limited]!)!.values!;
  const fixed = constant && { parentColumn: parentNames.indexOf(constant.referenced), values: [constant.value] };
  const own = values === null ? fixed : { parentColumn: parentColumns[limited]!, values };
  return [
    {
      name: key.name,
      only: own ?? partitionOnly(key, relations[parent]!, catalog),
      parent,
      columns: members,
      parentColumns,
      nullable: nullable.length > 0,
      nullableColumns: nullable,
      makesParent: false,
      copied: [],
      follows: catalog.server.isReplicaRole
        ? 'nothing'
        : key.onDelete === 'cascade'
          ? 'delete'
          : key.onDelete === 'set null'
            ? 'null'
            : 'nothing',
    },
  ];
}

/** The column of a key that the server always fills with the same value, as it does in `kind text GENERATED ALWAYS AS ('car')`. */
function constantPart(
  key: ForeignKey,
  { attributes }: Relation,
): { readonly value: string; readonly referenced: string; readonly rest: ForeignKey } | null {
  for (const [at, name] of key.columns.entries()) {
    const generation = attributes.find((attribute) => attribute.name === name)?.generation ?? null;
    if (generation === null || columnsOf(generation.expression).length > 0) continue;
    const [value, ...others] = constantsIn(generation.expression);
    if (value === undefined || others.length > 0 || key.columns.length === 1) continue;
    const without = (names: readonly string[]) => names.filter((_, index) => index !== at);
    const rest = { ...key, columns: without(key.columns), referencedColumns: without(key.referencedColumns) };
    return { value, referenced: key.referencedColumns[at]!, rest };
  }
  return null;
}

/** Returns the values of the column if a single list partition is referenced; nothing for other partitions. */
function partitionOnly({ within }: ForeignKey, parent: Relation, catalog: Catalog): ForeignKeyPlan['only'] {
  if (within === null) return null;
  const { byColumn } = restrictionsOf(conditionsOn({ ...parent, checks: [within] }, catalog.types));
  for (const [name, { values }] of byColumn) {
    const parentColumn = parent.attributes.findIndex((attribute) => attribute.name === name);
    if (values !== null && parent.partitioning?.columns.includes(name)) return { parentColumn, values };
  }
  return null;
}

/** Returns true if a row's state is known after ON DELETE SET NULL: nullable columns, in no other key. */
export function mayBecomeNull(
  foreignKey: ForeignKeyPlan,
  relation: Relation,
  foreignKeys: readonly ForeignKeyPlan[],
  fixed: readonly number[],
): boolean {
  const { onDeleteColumns } = relation.foreignKeys.find((key) => key.name === foreignKey.name)!;
  return onDeleteColumns.every((name) => {
    const column = relation.attributes.findIndex((attribute) => attribute.name === name);
    return (
      !relation.attributes[column]!.notNull &&
      !fixed.includes(column) &&
      !foreignKeys.some((other) => other !== foreignKey && other.columns.includes(column))
    );
  });
}
