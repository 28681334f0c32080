import type { ChangeEvent } from '../changes/event.js';

/** A change with what its stream knows beyond the event itself. */
export interface ToldEvent {
  readonly event: ChangeEvent;
  /** Its line in the file, or its number. */
  readonly position: number;
  /** Who made it: `lane:operation`; null where that is not known. */
  readonly origin: string | null;
  /** True for an update that moved its row to another partition. */
  readonly isMove: boolean;
}

/** What is known of a table: its key, and types by column. */
export interface TableFacts {
  readonly key: readonly string[] | null;
  readonly columns: Readonly<Record<string, string>>;
  /** Columns whose values cannot be compared, with the reason. */
  readonly incomparable?: Readonly<Record<string, string>>;
}
