import type { ChangeEvent } from '../changes/event.js';

/** A change, and what its stream knows beside the event itself. */
export interface ToldEvent {
  readonly event: ChangeEvent;
  /** Its line in the file, or its number. */
  readonly position: number;
  /** The lane and operation that made it, as `lane:operation`; null if that is not known. */
  readonly origin: string | null;
  /** True for an update that moved its row to another partition. */
  readonly isMove: boolean;
}

/** The key of a table, and the types of its columns. */
export interface TableFacts {
  readonly key: readonly string[] | null;
  readonly columns: Readonly<Record<string, string>>;
  /** Its partitions, as schema.table: a consumer may name them instead. */
  readonly partitions?: readonly string[];
  /** Columns whose values cannot be compared, with the reason. */
  readonly incomparable?: Readonly<Record<string, string>>;
}
