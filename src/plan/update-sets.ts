import { type Seed, split } from '../random/seed.js';
import { Stream } from '../random/stream.js';
import type { ColumnDraft } from './column.js';
import type { ColumnPlan, ForeignKeyPlan } from './plan.js';

/* Each set is one prepared statement per table and connection. */
const MOST_SETS = 4;
/* INSERT and DELETE, which every table has in addition to updates. */
const OTHER_STATEMENTS = 2;

/** Returns how many sets per table are possible so that the statements of all tables stay prepared. */
export function setsPerTable(tables: number, maxPreparedStatements: number): number {
  return Math.max(1, Math.min(MOST_SETS, Math.floor(maxPreparedStatements / tables) - OTHER_STATEMENTS));
}

/**
 * At most `sets` sets of columns for UPDATE: 1 … N groups each, every group in at least one of them. They depend on the seed and on
 * the column's names alone, so that a new table changes none of them.
 */
export function updateSets(
  seed: Seed,
  label: string,
  groups: readonly (readonly number[])[],
  sets: number,
): number[][] {
  if (groups.length === 0) return [];
  const stream = Stream.of(split(split(seed, 'update sets'), label));
  const missing = new Set(groups.keys());
  const found = new Map<string, number[]>();
  const add = (members: readonly number[]) => {
    const columns = members.flatMap((group) => groups[group]!).sort((a, b) => a - b);
    found.set(columns.join(), columns);
    for (const group of members) missing.delete(group);
  };
  for (let i = 0; i < sets - 1; i++) {
    const order = [...groups.keys()];
    for (let at = order.length - 1; at > 0; at--) {
      const other = stream.below(at + 1);
      [order[at], order[other]] = [order[other]!, order[at]!];
    }
    add(order.slice(0, 1 + stream.below(groups.length)));
  }
  if (missing.size > 0) add([...missing]);
  return [...found.values()];
}

/** Returns groups of columns that are written together: of overlapping foreign keys or conditions, else one each. */
export function updateGroups(
  columns: readonly ColumnDraft[],
  planned: readonly ColumnPlan[],
  foreignKeys: readonly ForeignKeyPlan[],
  tied: readonly (readonly number[])[],
  fixed: ReadonlySet<number>,
): number[][] {
  const groups: number[][] = [];
  const grouped = new Set<number>();
  for (const members of [...foreignKeys.map((key) => key.columns), ...tied]) {
    const touching = groups.filter((group) => group.some((column) => members.includes(column)));
    const merged = [...new Set([...touching.flat(), ...members])];
    for (const group of touching) groups.splice(groups.indexOf(group), 1);
    groups.push(merged);
    for (const column of merged) grouped.add(column);
  }
  for (const [position, column] of planned.entries()) {
    if (column.source === 'server' || grouped.has(position)) continue;
    if (column.recipe.kind === 'null' && column.nullRatio === 1 && !columns[position]!.overridden) continue;
    groups.push([position]);
  }
  const isFixed = (column: number) => fixed.has(column) || columns[column]!.attribute.identity === 'always';
  return groups.filter((group) => !group.some(isFixed)).sort((a, b) => a[0]! - b[0]!);
}
