import type { ColumnPlan, Finding, Plan, RelationPlan } from './plan.js';

/* A table with room for fewer rows gets a finding. */
const AMPLE_ROOM = 10_000;

/** Returns findings for tables that have room for few rows, with the number and the cause. `rows`: of each relation at the start; null where unknown. */
export function capacityFindings(plan: Plan, rows: readonly (number | null)[]): Finding[] {
  const rooms = new Rooms(plan, rows);
  return plan.relations.flatMap((relation, index): Finding[] => {
    const { label, targeted, operations } = relation;
    if (!targeted || !operations.insert) return [];
    const { room, key } = rooms.of(index);
    if (room >= AMPLE_ROOM) return [];
    return [
      {
        relation: label,
        column: null,
        prevents: [],
        reason: `${room === 0 ? 'is full' : `has room for only ${room} more ${room === 1 ? 'row' : 'rows'}`}: ${causeOf(relation, key)}`,
        remedy:
          'nothing to do: when the table is full, each INSERT is replaced by a DELETE or UPDATE and counted as substituted',
      },
    ];
  });
}

/** How many rows a table can gain, and the key whose combinations limit it; null where its own numbers do. */
interface Room {
  readonly room: number;
  readonly key: readonly number[] | null;
}

/** The room of each table, which may depend on that of the tables that its keys reference. */
class Rooms {
  private readonly plan: Plan;
  private readonly rows: readonly (number | null)[];
  private readonly known = new Map<number, Room>();

  constructor(plan: Plan, rows: readonly (number | null)[]) {
    this.plan = plan;
    this.rows = rows;
  }

  of(index: number): Room {
    const known = this.known.get(index);
    if (known !== undefined) return known;
    const relation = this.plan.relations[index]!;
    // In a circle of foreign keys, a table does not limit itself.
    this.known.set(index, { room: Number.MAX_SAFE_INTEGER, key: null });
    let found: Room = { room: relation.capacity, key: null };
    for (const key of relation.trackedKeys) {
      const room = Math.max(0, this.combinations(relation, key) - (this.rows[index] ?? 0));
      if (room < found.room) found = { room, key };
    }
    this.known.set(index, found);
    return found;
  }

  /** The most different tuples of a key. */
  private combinations(relation: RelationPlan, key: readonly number[]): number {
    // A row with a NULL in the key differs from all others.
    if (key.some((column) => relation.columns[column]!.nullRatio > 0)) return Number.POSITIVE_INFINITY;
    const left = new Set(key);
    let product = 1;
    for (const group of relation.groups) {
      const places = group.columns.flatMap((column, at) => (left.has(column) && !group.own[at]! ? at : []));
      if (places.length === 0) continue;
      product *= new Set(group.tuples.map((tuple) => JSON.stringify(places.map((at) => tuple[at])))).size;
      for (const at of places) left.delete(group.columns[at]!);
    }
    for (const { parent, columns, parentColumns } of relation.foreignKeys) {
      if (!columns.some((column) => left.has(column))) continue;
      const isWhole = this.plan.relations[parent]!.key.every((column) => parentColumns.includes(column));
      const rows = this.rows[parent];
      if (!isWhole || rows === null || rows === undefined) return Number.POSITIVE_INFINITY;
      product *= rows + (this.plan.relations[parent]!.operations.insert ? this.of(parent).room : 0);
      for (const column of columns) left.delete(column);
    }
    for (const column of left) product *= valuesOf(relation.columns[column]!);
    return product;
  }
}

/** How many values a column draws from, if they are few. */
function valuesOf({ source, recipe }: ColumnPlan): number {
  if (source !== 'drawn') return Number.POSITIVE_INFINITY;
  switch (recipe.kind) {
    case 'choice':
      return new Set(recipe.values).size;
    case 'boolean':
      return 2;
    case 'integer':
      return recipe.max - recipe.min + 1;
    default:
      return Number.POSITIVE_INFINITY;
  }
}

function causeOf({ isSingle, columns, groups, trackedKeys }: RelationPlan, key: readonly number[] | null): string {
  if (isSingle) return 'a unique index allows only one row';
  if (key !== null)
    return `${key.map((column) => columns[column]!.name).join(', ')} can take only a few unique combinations`;
  const searched = new Set(groups.flatMap((group) => group.columns));
  const scarce = trackedKeys.flatMap((key) => (key.every((column) => searched.has(column)) ? key : []));
  const names = columns
    .filter(({ source }, at) => (scarce.length > 0 ? scarce.includes(at) : source === 'ordinal'))
    .map(({ name }) => name);
  return `${names.join(', ')} can take only a few unique values`;
}
