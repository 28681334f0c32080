import type { Operation } from '../messages/operation.js';
import type { OperationSeeds } from '../rows/compiled.js';
import type { Required } from '../rows/row-store.js';

/** A row that an INSERT is to write: what is decided of it before its bytes are. */
export interface RowDraft {
  readonly slot: number;
  readonly ordinal: number;
  /** Number of the draw: row + try × TRY_STRIDE. */
  draw: number;
  readonly parents: number[];
  /** Foreign keys whose parent a trigger makes with this row: its slot is taken, and goes with the draft. */
  readonly made: number[];
  /** Tuples drawn of the relation's groups. */
  picks: readonly number[];
}

/** What the rows of one INSERT are drawn with. */
export interface InsertContext {
  /** Where parents that are missing are inserted; null in bulk, where all parents are there beforehand. */
  readonly operation: Operation | null;
  readonly seeds: OperationSeeds;
  /** False for parents inserted on the way. */
  readonly own: boolean;
  readonly depth: number;
  readonly required: Required;
  /** Texts that the row is given beside. */
  readonly given?: ReadonlyMap<number, string | null>;
  /** The ordinal by which the row is named, where that is not its own. */
  readonly handle?: number | null;
}
