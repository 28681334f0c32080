import { columnsOf } from '../catalog/expression.js';
import type { Relation, UniqueKey } from '../catalog/model.js';
import type { ColumnPlan, ConflictKey } from './plan.js';

/* Tables of fewer possible rows reuse the ordinals of deleted rows anyway. */
const LARGE_CAPACITY = 100_000;

/**
 * For each unique index whose values can go from one row to another the columns that must be written for it: those of the
 * index and of its predicate, with all that conditions tie to them. Columns of foreign keys and those that the server
 * writes cannot be chosen freely, and `groups` leaves out what names a row or is referenced.
 */
export function conflictKeys(
  relation: Relation,
  escaped: readonly UniqueKey[],
  columns: readonly ColumnPlan[],
  groups: readonly (readonly number[])[],
): ConflictKey[] {
  return relation.uniqueKeys
    .filter((key) => !escaped.includes(key))
    .flatMap((key): ConflictKey[] => {
      const at = (name: string) => columns.findIndex((column) => column.name === name);
      const indexed = key.columns.map(at);
      const members = [...indexed, ...(key.escape === null ? [] : columnsOf(key.escape.expression).map(at))];
      const touched = groups.filter((group) => group.some((column) => members.includes(column)));
      const written = [...new Set(touched.flat())].sort((a, b) => a - b);
      const isFree = (column: number) => ['ordinal', 'drawn'].includes(columns[column]!.source);
      const isPossible =
        members.length > 0 && members.every((column) => written.includes(column)) && written.every(isFree);
      return isPossible ? [{ indexed, written }] : [];
    });
}

/** Returns true if a deleted row's key can be inserted again: only the ordinal determines it, and it names the row. */
export function reusesKey(
  key: readonly number[],
  named: readonly number[],
  columns: readonly ColumnPlan[],
  capacity: number,
): boolean {
  return (
    key.length > 0 &&
    capacity > LARGE_CAPACITY &&
    named.length === key.length &&
    key.every((column) => columns[column]!.source === 'ordinal')
  );
}
