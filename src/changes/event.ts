/** What a change does to the rows of a table. */
export const CHANGE_KINDS = ['insert', 'update', 'delete', 'truncate'] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

/** Column values as the server's text; null is NULL. */
export type Row = Readonly<Record<string, string | null>>;

/**
 * One change of one row (of all rows, for a truncate). This is format 1 of a change file, one JSON object per line; what a
 * consumer does not know is null here and may be missing in its file.
 */
export interface ChangeEvent {
  readonly op: ChangeKind;
  readonly schema: string;
  readonly table: string;
  /** The row's key before the change; null for a truncate and for tables without a key. */
  readonly key: Row | null;
  /** The row after the change; null for delete and truncate. */
  readonly new: Row | null;
  /** The row before the change, where the replica identity gives it. */
  readonly old: Row | null;
  /** Columns of `new` that the stream did not carry: large values that the update left alone. */
  readonly unchanged: readonly string[];
  readonly xid: string | null;
  /** Position of the commit record in the server's log, such as 0/16B3748. */
  readonly commit: string | null;
}

/** A table as a change file names it. */
export function tableName({ schema, table }: Pick<ChangeEvent, 'schema' | 'table'>): string {
  return `${schema}.${table}`;
}

/** A position in the server's log as a number, for comparison. Returns null for a text that is none. */
export function positionOf(text: string): bigint | null {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  return match === null ? null : (BigInt(`0x${match[1]!}`) << 32n) | BigInt(`0x${match[2]!}`);
}

/** A position in the server's log as PostgreSQL prints it. */
export function positionText(position: bigint): string {
  return `${(position >> 32n).toString(16).toUpperCase()}/${(position & 0xffffffffn).toString(16).toUpperCase()}`;
}
