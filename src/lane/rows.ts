import type { OperationKind } from '../plan/plan.js';
import type { OperationSeeds } from './compiled.js';
import type { Transaction } from './transaction.js';

/**
 * Where a lane's rows come from: its own keyspace, or samples of the whole table. The lane decides what is done; this
 * says whether it can be done, writes the statements and learns from the outcome.
 */
export interface Rows {
  /** Cheap answer to "is there a row for it, or room?". */
  possible(relation: number, kind: OperationKind): boolean;
  /** Writes the transaction's statements; false where it turned out to be impossible (nothing has then been taken). */
  generate(transaction: Transaction, seeds: OperationSeeds): boolean;
  /** The transaction took effect. */
  applied(transaction: Transaction): void;
  /** The transaction had no effect and this attempt is over. */
  undone(transaction: Transaction): void;
  /** The transaction is final and counted: nothing of it is needed any more. */
  finished(transaction: Transaction): void;
}
