import type { RelationPlan } from '../plan/plan.js';

/** COPY of the columns that an INSERT would give, in their order. */
export function copySql({ sql, insertColumns, columns }: RelationPlan): string {
  const names = insertColumns.map((column) => columns[column]!.sql);
  return `COPY ${sql}${names.length === 0 ? '' : ` (${names.join(', ')})`} FROM STDIN`;
}

/** An UPDATE of some columns of many rows. Parameters: an array of texts per column, then per column of the rows' key. */
export function closeSql({ rows, columns, key }: RelationPlan, written: readonly number[]): string {
  const all = [...written, ...key];
  const arrays = all.map((_, index) => `$${index + 1}::text[]`);
  const names = all.map((_, index) => `c${index}`);
  const typed = (index: number) => `v.c${index}::${columns[all[index]!]!.typeName}`;
  const assignments = written.map((column, index) => `${columns[column]!.sql} = ${typed(index)}`);
  const conditions = key.map((column, index) => `t.${columns[column]!.sql} = ${typed(written.length + index)}`);
  return `UPDATE ${rows} AS t SET ${assignments.join(', ')} FROM unnest(${arrays.join(', ')}) AS v (${names.join(', ')}) WHERE ${conditions.join(' AND ')}`;
}
