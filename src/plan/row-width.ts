import type { ColumnDraft } from './column.js';
import { OID } from './oid.js';

/* A row must fit into a page of 8 kB, with room for its header and for values that are wider than expected. */
const MOST_BYTES = 6500;

/* Bytes of a value in its row; longer values are stored elsewhere and leave a pointer. */
const WIDTHS: ReadonlyMap<number, number> = new Map<number, number>([
  [OID.bool, 1],
  [OID.int2, 2],
  [OID.int4, 4],
  [OID.int8, 8],
  [OID.float4, 4],
  [OID.float8, 8],
  [OID.money, 8],
  [OID.date, 4],
  [OID.time, 8],
  [OID.timestamp, 8],
  [OID.timestamptz, 8],
  [OID.uuid, 16],
  [OID.interval, 16],
]);
const OTHER_WIDTH = 26;

/**
 * Returns columns whose rows fit into a page: if all values together would not fit, nullable columns are NULL more
 * often. This changes only tables with hundreds of columns.
 */
export function fitRow(columns: readonly ColumnDraft[]): readonly ColumnDraft[] {
  const widthOf = ({ attribute }: ColumnDraft) => WIDTHS.get(attribute.type) ?? OTHER_WIDTH;
  const sum = (some: readonly ColumnDraft[]) => some.reduce((total, column) => total + widthOf(column), 0);
  if (sum(columns) <= MOST_BYTES) return columns;
  const isFlexible = ({ attribute, overridden, source }: ColumnDraft) =>
    !attribute.notNull && !overridden && source === 'drawn';
  const flexible = columns.filter(isFlexible);
  const room = Math.max(0, MOST_BYTES - (sum(columns) - sum(flexible)));
  const nullRatio = 1 - Math.min(1, room / sum(flexible));
  return columns.map((column) =>
    isFlexible(column) ? { ...column, nullRatio: Math.max(column.nullRatio, nullRatio) } : column,
  );
}
