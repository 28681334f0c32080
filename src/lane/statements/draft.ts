import type { Operation } from '../messages/operation.js';
import type { OperationSeeds } from '../rows/compiled.js';
import type { Required } from '../rows/row-store.js';

/** A row to be inserted: the decisions made before its bytes are written. */
export interface RowDraft {
  readonly slot: number;
  readonly ordinal: number;
  /** Number of the draw: row + try × TRY_STRIDE. */
  draw: number;
  readonly parents: number[];
  /** Foreign keys whose parent a trigger makes with this row. Its slot is reserved, and freed with the draft. */
  readonly made: number[];
  /** Tuples drawn of the relation's groups. */
  picks: readonly number[];
}

/** The context in which the rows of one INSERT are drafted. */
export interface InsertContext {
  /** The operation that inserts missing parents; null in bulk loads, where all parents exist beforehand. */
  readonly operation: Operation | null;
  readonly seeds: OperationSeeds;
  /** False for parents inserted on the way. */
  readonly own: boolean;
  readonly depth: number;
  readonly required: Required;
  /** Texts that are given for some columns. */
  readonly given?: ReadonlyMap<number, string | null>;
  /** The ordinal that identifies the row, if it is not its own. */
  readonly handle?: number | null;
}
