import type { Plan } from './plan.js';

/** A step of bulk loading, the same in every lane. */
export type Stage =
  /** Rows of one relation whose parents exist. */
  | { readonly kind: 'copy'; readonly relation: number }
  /** INSERTs for relations whose rows need each other, or whose keys only the server generates. */
  | { readonly kind: 'insert'; readonly relations: readonly number[] }
  /** Sets a foreign key that was left NULL because its parents came later. */
  | { readonly kind: 'close'; readonly relation: number; readonly foreignKey: number };

/** The order in which relations are filled, and how many rows each lane inserts. */
export interface LoadPlan {
  readonly stages: readonly Stage[];
  /** Number of rows by relation and lane. */
  readonly quotas: readonly (readonly number[])[];
}

/** The existing rows of a relation. */
export interface Standing {
  readonly rows: number;
  /** By lane: true if the lane knows rows of it, its own or pinned ones. */
  readonly known: readonly boolean[];
}

/** Plans to fill every relation up to `rows` rows, parents first. */
export function loadPlan(plan: Plan, rows: number, standing: readonly Standing[]): LoadPlan {
  const groups = inOrder(plan, circles(plan));
  const quotas = plan.relations.map(() => plan.quotas.map(() => 0));
  for (const group of groups) {
    for (const relation of group) {
      if (!plan.relations[relation]!.operations.insert) continue;
      const missing = Math.max(0, rows - standing[relation]!.rows);
      quotas[relation] = share(plan, relation, missing, { quotas, standing, group });
    }
  }
  const filled = groups
    .map((group) => group.filter((relation) => quotas[relation]!.some((quota) => quota > 0)))
    .filter((group) => group.length > 0);
  const stages = filled.map((group): Stage => {
    const [relation] = group as [number];
    return group.length === 1 && plan.relations[relation]!.copies && !makesKeys(plan, relation)
      ? { kind: 'copy', relation }
      : { kind: 'insert', relations: group };
  });
  return { stages: [...stages, ...closings(plan, filled.flat(), standing)], quotas };
}

/**
 * Returns true for relations with server-made keys that children need: INSERT can return them, COPY cannot; or whose rows
 * need children in the same transaction.
 */
function makesKeys(plan: Plan, relation: number): boolean {
  const isReferenced = plan.relations.some(({ foreignKeys }) => foreignKeys.some(({ parent }) => parent === relation));
  const { returned, oneByOne, insertColumns, bears } = plan.relations[relation]!;
  // Without a column list COPY would expect all columns.
  return (isReferenced && returned.length > 0) || oneByOne || insertColumns.length === 0 || bears.length > 0;
}

/** Divides the rows of a relation over the lanes that have room and parents. */
function share(
  plan: Plan,
  relation: number,
  missing: number,
  { quotas, standing, group }: { quotas: number[][]; standing: readonly Standing[]; group: readonly number[] },
): number[] {
  const { capacity, foreignKeys } = plan.relations[relation]!;
  const lanes = plan.quotas.length;
  const isOpen = plan.quotas.map((_, lane) => {
    const has = (parent: number) =>
      group.includes(parent) || quotas[parent]![lane]! > 0 || standing[parent]!.known[lane]! || isMade(parent);
    // Its rows come with those of another table.
    const isMade = (parent: number) =>
      plan.relations.some(
        ({ companions }, base) => quotas[base]![lane]! > 0 && companions.some((each) => each.relation === parent),
      );
    return lane < capacity && foreignKeys.every(({ nullable, parent }) => nullable || has(parent));
  });
  const count = isOpen.filter(Boolean).length;
  let place = 0;
  return isOpen.map((open, lane) => {
    if (!open) return 0;
    const part = Math.floor(missing / count) + (place++ < missing % count ? 1 : 0);
    // Each of n lanes has every n-th ordinal.
    return Math.min(part, Math.ceil((capacity - lane) / lanes));
  });
}

/** Groups relations: those in a circle of foreign keys that must not be NULL are together. */
function circles(plan: Plan): number[][] {
  const needs = plan.relations.map(({ foreignKeys }) =>
    foreignKeys.filter(({ nullable }) => !nullable).map(({ parent }) => parent),
  );
  const reach = (from: number): Set<number> => {
    const seen = new Set<number>();
    const open = [...needs[from]!];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (seen.has(next)) continue;
      seen.add(next);
      open.push(...needs[next]!);
    }
    return seen;
  };
  const reached = new Map<number, Set<number>>();
  const of = (relation: number) => {
    let set = reached.get(relation);
    if (set === undefined) {
      set = reach(relation);
      reached.set(relation, set);
    }
    return set;
  };
  const groups: number[][] = [];
  const placed = new Set<number>();
  for (const relation of plan.relations.keys()) {
    if (placed.has(relation)) continue;
    const group = [relation];
    if (of(relation).has(relation))
      for (const other of of(relation)) if (other !== relation && of(other).has(relation)) group.push(other);
    for (const member of group) placed.add(member);
    groups.push(group.sort((a, b) => a - b));
  }
  return groups;
}

/** Orders groups: those referenced by keys that must not be NULL come first, and other parents if possible. */
function inOrder(plan: Plan, groups: readonly number[][]): number[][] {
  const groupOf = new Map(groups.flatMap((group, index) => group.map((relation) => [relation, index] as const)));
  const parents = (group: readonly number[], among: (nullable: boolean) => boolean) =>
    group.flatMap((relation) =>
      plan.relations[relation]!.foreignKeys.filter(({ nullable }) => among(nullable)).map(
        ({ parent }) => groupOf.get(parent)!,
      ),
    );
  const must = groups.map(
    (group, index) => new Set(parents(group, (nullable) => !nullable).filter((g) => g !== index)),
  );
  const may = groups.map((group, index) => new Set(parents(group, () => true).filter((g) => g !== index)));
  const done = new Set<number>();
  const order: number[][] = [];
  while (order.length < groups.length) {
    const ready = [...groups.keys()].filter((index) => !done.has(index) && [...must[index]!].every((g) => done.has(g)));
    const complete = ready.filter((index) => [...may[index]!].every((g) => done.has(g)));
    // All groups whose parents are complete; if there is none, the first that may leave a key NULL.
    for (const index of complete.length > 0 ? complete : ready.slice(0, 1)) {
      done.add(index);
      order.push(groups[index]!);
    }
  }
  return order;
}

/** Returns nullable keys that reference relations which were empty when their children were inserted. */
function closings(plan: Plan, order: readonly number[], standing: readonly Standing[]): Stage[] {
  const place = new Map(order.map((relation, index) => [relation, index]));
  return order.flatMap((relation) => {
    const { foreignKeys, groups, key, operations } = plan.relations[relation]!;
    if (!operations.update || key.length === 0) return [];
    return [...foreignKeys.entries()]
      .filter(([, { nullable, parent, columns, nullableColumns }]) => {
        const later = place.get(parent);
        const isTied = groups.some((group) => columns.some((column) => group.columns.includes(column)));
        const isKey = columns.some((column) => key.includes(column));
        return (
          nullable &&
          // A column that another key or constraint uses cannot be written alone.
          nullableColumns.length === columns.length &&
          !foreignKeys.some((other) => other.columns !== columns && other.columns.some((c) => columns.includes(c))) &&
          !isTied &&
          !isKey &&
          later !== undefined &&
          later > place.get(relation)! &&
          standing[parent]!.rows === 0
        );
      })
      .map(([foreignKey]): Stage => ({ kind: 'close', relation, foreignKey }));
  });
}
