/** Stands for "no lane": any lane may reference the row, and none may change it. */
export const PINNED = 0xffff;
/** Stands for a lane that has forgotten its rows: no lane may reference or change the row. */
export const NOBODY = 0xfffe;

/**
 * Existing rows of one relation that a run knows, over all lanes: the texts of the relation's `named` columns, whose
 * lane each row belongs to, and how rows hang together. Shared memory, so that workers do not copy it.
 */
export interface Claims {
  readonly count: number;
  /** Number of texts per row: the relation's named columns, or ctid and hash if it has no key. */
  readonly width: number;
  readonly bytes: Uint8Array;
  /** count × width + 1 offsets. */
  readonly offsets: Uint32Array;
  readonly lanes: Uint16Array;
  /** By row: number of rows of any table that reference it, counted at the start. */
  readonly references: Uint32Array;
  /** Tuples of tracked keys that the table had at the start, in the form of `tupleOf`. */
  readonly standing: readonly string[];
  /** Number of rows of the table that belong to no lane, as far as counted. */
  readonly unowned: number;
  /** By foreign key of the relation: index of the parent in the parent's claims, −1 if unknown or NULL. */
  readonly parents: readonly Int32Array[];
}

/** Stands for NULL in the texts of a claim; no text of PostgreSQL can contain this character. */
export const NULL_TEXT = '\u0000';

/**
 * A tuple of a tracked key, told apart from those of the relation's other keys. Texts that differ in case alone count as one:
 * an index may be over lower(…), a column of a type that does not tell them apart.
 */
export function tupleOf(key: number, texts: readonly string[]): string {
  return `${key}\u0000${texts.join('\u0000').toLowerCase()}`;
}

/** Claims of a plan, one per relation. */
export type ClaimSet = readonly Claims[];

export function noClaims(foreignKeys: number): Claims {
  return {
    count: 0,
    width: 0,
    bytes: new Uint8Array(0),
    offsets: new Uint32Array(1),
    lanes: new Uint16Array(0),
    references: new Uint32Array(0),
    standing: [],
    unowned: 0,
    parents: Array.from({ length: foreignKeys }, () => new Int32Array(0)),
  };
}

/** Returns true if some claimed row has a text in a column, given by its position among the known columns. */
export function isClaimed({ count, width, bytes, offsets }: Claims, named: number, text: string): boolean {
  const wanted = Buffer.from(text);
  for (let row = 0; row < count && named >= 0; row++) {
    const at = row * width + named;
    if (wanted.equals(bytes.subarray(offsets[at], offsets[at + 1]))) return true;
  }
  return false;
}
