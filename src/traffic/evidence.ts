import { parametersOf } from '../lane/messages/bind.js';
import type { Statement } from '../lane/messages/operation.js';
import { isUntold } from '../lane/messages/outcome.js';
import { listRows, nameOf, Parameters, whereListed, whereRow } from '../lane/messages/shape.js';
import type { CompiledPlan } from '../lane/rows/compiled.js';
import { isListed } from '../lane/sampled.js';
import type { RelationPlan } from '../plan/plan.js';

/** A question whose answer shows a statement's effect: rows as its RETURNING would have read them; of a DELETE, the row. */
export interface Look {
  readonly text: string;
  readonly values: readonly (string | null)[];
  /** The least number of rows that it finds if the statement took effect. */
  readonly rows: number;
  /** Whether the result is a proof. If it is not, other sessions may have changed the rows as well. */
  readonly found: 'proof' | 'hint';
  readonly missing: 'proof' | 'hint';
}

/**
 * How the effect of a statement that needs no receipt is looked up; null where it cannot be. `bytes`: of its operation.
 * `sinceXid`: a transaction id that no row of the run is older than. `isWrittenAgain`: true for a row that shows the values
 * of a later statement of the same transaction.
 */
export function lookFor(
  compiled: CompiledPlan,
  bytes: Buffer,
  statement: Statement,
  sinceXid: string,
  isWrittenAgain: (slot: number) => boolean,
): Look | null {
  const { plan } = compiled.relations[statement.relation]!;
  const all = parametersOf(bytes, statement);
  // Rows of other tables in the same statement come first. The table's own rows are sufficient evidence.
  const own = statement.also.length > 0 ? statement.rows * statement.written.length : all.length;
  const values = all.slice(all.length - own);
  if (values.some(isUntold)) return null;
  if (compiled.plan.rowSelection === 'system_rows') return ofSampled(plan, statement, values);
  const first = values.slice(0, statement.written.length);
  switch (statement.kind) {
    case 'insert':
      if (plan.mark >= 0) return byMarks(plan, statement, values, sinceXid);
      // One row is enough, unless each has to be known.
      return byKeys(plan, statement, statement.shape.returned > 0 ? values : first);
    case 'update':
      if (plan.key.length === 0) return byMarks(plan, statement, values, sinceXid);
      return statement.successor >= 0
        ? byKeys(plan, statement, first)
        : ofUpdate(plan, statement, values, isWrittenAgain);
    case 'delete':
      return ofDelete(plan, values);
  }
}

/**
 * Rows of a table without a key by the names that the server has returned, or that a DELETE was given; null for other
 * statements. `xid`: the transaction of the statement; null if it is not known any more.
 */
export function placeOf(
  compiled: CompiledPlan,
  bytes: Buffer,
  statement: Statement,
  returned: readonly (readonly (string | null)[])[],
  xid: string | null,
): Pick<Look, 'text' | 'values' | 'rows'> | null {
  const { plan } = compiled.relations[statement.relation]!;
  if (plan.key.length > 0) return null;
  const isDelete = statement.kind === 'delete';
  const names = isDelete
    ? [parametersOf(bytes, statement)]
    : returned.map((row) => row.slice(0, statement.shape.returned));
  if (names.length === 0 || names.flat().some(isUntold)) return null;
  if (isDelete) return ofDelete(plan, names[0]!, xid);
  const parameters = new Parameters();
  const selects = names.map(() => `(SELECT 1 FROM ${plan.rows} AS t WHERE ${whereRow(plan, parameters)})`);
  return { text: selects.join(' UNION ALL '), values: names.flat(), rows: names.length };
}

/** New rows by their keys, with all their values where another row had a key before. */
function byKeys(plan: RelationPlan, { written, reusesKey }: Statement, values: readonly (string | null)[]): Look {
  const parameters = new Parameters();
  const sent: (string | null)[] = [];
  const selects: string[] = [];
  for (let at = 0; at < values.length; at += written.length) {
    const conditions = written.flatMap((column, index) => {
      const isKey = plan.key.includes(column);
      if (!isKey && !reusesKey) return [];
      sent.push(values[at + index]!);
      return [isKey ? sameKey(plan, column, parameters) : sameText(plan, column, parameters)];
    });
    selects.push(`(SELECT ${returningOf(plan)} FROM ${plan.rows} AS t WHERE ${conditions.join(' AND ')})`);
  }
  return { text: selects.join(' UNION ALL '), values: sent, rows: selects.length, found: 'proof', missing: 'proof' };
}

/** Rows by the marks that a statement has written, in its order. Without an index, all rows are looked up in one scan. */
function byMarks(
  plan: RelationPlan,
  { written, rows }: Statement,
  values: readonly (string | null)[],
  sinceXid: string,
): Look {
  const parameters = new Parameters();
  const { sql, typeName } = plan.columns[plan.mark]!;
  const at = written.indexOf(plan.mark);
  const marks = Array.from({ length: rows }, (_, row) => values[row * written.length + at]!);
  const listed = marks.map((_, row) => `(${row}, ${parameters.next()}::${typeName})`);
  return {
    text:
      `SELECT ${returningOf(plan)} FROM (VALUES ${listed.join(', ')}) AS v (row, mark) JOIN ${plan.rows} AS t ON t.${sql} = v.mark ` +
      `WHERE age(t.xmin) <= age(${parameters.next()}::xid) ORDER BY v.row`,
    values: [...marks, sinceXid],
    rows: marks.length,
    found: 'proof',
    missing: 'proof',
  };
}

/** Changed rows, by comparing them with the values that were sent. The same values may have been there before. */
function ofUpdate(
  plan: RelationPlan,
  { written, slots }: Statement,
  values: readonly (string | null)[],
  isWrittenAgain: (slot: number) => boolean,
): Look | null {
  const parameters = new Parameters();
  const width = written.length + plan.key.length;
  const sent: (string | null)[] = [];
  const selects: string[] = [];
  for (const [row, slot] of slots.entries()) {
    if (isWrittenAgain(slot)) continue;
    sent.push(...values.slice(row * width, (row + 1) * width));
    const conditions = [
      ...written.map((column) => sameText(plan, column, parameters)),
      ...plan.key.map((column) => sameKey(plan, column, parameters)),
    ];
    selects.push(`(SELECT ${returningOf(plan)} FROM ${plan.rows} AS t WHERE ${conditions.join(' AND ')})`);
  }
  if (selects.length === 0) return null;
  return { text: selects.join(' UNION ALL '), values: sent, rows: selects.length, found: 'hint', missing: 'proof' };
}

/**
 * Deleted rows by their absence. `before`: without a key, the place of a deleted row may be another's by now, which looks
 * the same; but that one is younger than the transaction that deleted.
 */
function ofDelete(plan: RelationPlan, values: readonly (string | null)[], before: string | null = null): Look {
  const parameters = new Parameters();
  const conditions: string[] = [];
  do conditions.push(whereRow(plan, parameters));
  while (parameters.count < values.length);
  const isOlder = before === null ? '' : ` AND age(t.xmin) > age((${parameters.next()}::text::xid8)::xid)`;
  const selects = conditions.map((condition) => `(SELECT 1 FROM ${plan.rows} AS t WHERE ${condition}${isOlder})`);
  return {
    text: selects.join(' UNION ALL '),
    values: before === null ? values : [...values, before],
    rows: 0,
    found: 'proof',
    missing: 'proof',
  };
}

/** Which rows that an UPDATE of several names are there: their numbers within the statement, from 0. */
export function rowsThere(compiled: CompiledPlan, bytes: Buffer, statement: Statement): Pick<Look, 'text' | 'values'> {
  const { plan } = compiled.relations[statement.relation]!;
  const { written, rows } = statement;
  const width = written.length + plan.key.length;
  const values = parametersOf(bytes, statement).flatMap((value, index) =>
    index % width < written.length ? [] : value,
  );
  const { listed, names } = listRows(plan, plan.key, rows, true);
  const text = `SELECT v.number::text FROM ${listed} JOIN ${plan.rows} AS t ON ${whereListed(plan, names)}`;
  return { text, values };
}

/** Rows that belong to nobody: others may have changed or deleted them since. Which ones were sampled is not known. */
function ofSampled(plan: RelationPlan, statement: Statement, values: readonly (string | null)[]): Look | null {
  const { kind, written } = statement;
  const isNamed = plan.key.length > 0 && plan.key.every((column) => written.includes(column));
  if (kind !== 'insert' || !isNamed || isListed(plan)) return null;
  return { ...byKeys(plan, statement, values), rows: 1, missing: 'hint' };
}

/* Keys are compared with =, so that their index is used. */
function sameKey(plan: RelationPlan, column: number, parameters: Parameters): string {
  const { sql, typeName } = plan.columns[column]!;
  return `t.${sql} = ${parameters.next()}::${typeName}`;
}

/* By text, because json and some other types have no equality operator. */
function sameText(plan: RelationPlan, column: number, parameters: Parameters): string {
  const { sql, typeName } = plan.columns[column]!;
  return `t.${sql}::text IS NOT DISTINCT FROM ${parameters.next()}::${typeName}::text`;
}

function returningOf(plan: RelationPlan): string {
  return nameOf(plan).join(', ') || '1';
}
