import { type Catalog, type ForeignKey, labelOf, type Relation } from '../catalog/model.js';
import { conditionsOn, type Restriction, restrictionsOf } from '../constraint/restriction.js';
import type { ColumnDraft } from './column.js';
import type { ForeignKeyPlan } from './plan.js';

/** What the plan of a foreign key needs to know of its surroundings. */
interface Surroundings {
  readonly catalog: Catalog;
  readonly columns: readonly ColumnDraft[];
  readonly restrictions: ReadonlyMap<string, Restriction>;
  readonly columnIndex: ReadonlyMap<string, number>;
  /** Relations of the plan, and their positions by label. */
  readonly relations: readonly Relation[];
  readonly indexOf: ReadonlyMap<string, number>;
}

/** The plan of a foreign key; none where the server or the user fills its columns. */
export function planForeignKey(key: ForeignKey, surroundings: Surroundings): ForeignKeyPlan[] {
  const { columns, restrictions, columnIndex, relations, indexOf, catalog } = surroundings;
  const members = key.columns.map((name) => columnIndex.get(name)!);
  // A user's override of a referencing column is taken at its word.
  if (members.some((column) => columns[column]!.overridden || columns[column]!.source === 'server')) return [];
  const parent = indexOf.get(labelOf(key.referenced))!;
  // MATCH SIMPLE is satisfied by one NULL; MATCH FULL wants all of them.
  const candidates = members.filter((column) => !columns[column]!.attribute.notNull);
  const nullable = key.matchFull && candidates.length < members.length ? [] : candidates;
  const parentNames = relations[parent]!.attributes.map((attribute) => attribute.name);
  const parentColumns = key.referencedColumns.map((name) => parentNames.indexOf(name));
  const limited = key.columns.findIndex((name) => (restrictions.get(name)?.values ?? null) !== null);
  const values = limited < 0 ? null : restrictions.get(key.columns[limited]!)!.values!;
  const own = values === null ? null : { parentColumn: parentColumns[limited]!, values };
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

/** Where one partition of a list is referenced: the values of its column. Of other partitions nothing is said. */
function partitionOnly({ within }: ForeignKey, parent: Relation, catalog: Catalog): ForeignKeyPlan['only'] {
  if (within === null) return null;
  const { byColumn } = restrictionsOf(conditionsOn({ ...parent, checks: [within] }, catalog.types));
  for (const [name, { values }] of byColumn) {
    const parentColumn = parent.attributes.findIndex((attribute) => attribute.name === name);
    if (values !== null && parent.partitioning?.columns.includes(name)) return { parentColumn, values };
  }
  return null;
}

/** True where ON DELETE SET NULL leaves a row whose state is known: nullable columns, in no key and no other foreign key. */
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
