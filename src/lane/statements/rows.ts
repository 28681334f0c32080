import type { OperationKind } from '../../plan/plan.js';
import type { Operation, RowRef } from '../messages/operation.js';
import type { Effect } from '../messages/outcome.js';
import type { OperationSeeds } from '../rows/compiled.js';
import type { ConflictForm } from './conflicts.js';

/** `busy`: a row that must be this one is in flight, and comes back with an outcome. */
export type Generated = 'written' | 'impossible' | 'busy';

/**
 * Where a lane's rows come from: its own keyspace, or samples of the whole table. The lane decides what is done; this
 * says whether it can be done, writes the statements and learns from the outcome.
 */
export interface Rows {
  /** Cheap answer to "is there a row for it, or room?". */
  possible(relation: number, kind: OperationKind): boolean;
  /** After an INSERT was impossible: the relation of which a further row would help; −1 where no single one would. */
  readonly lacking: number;
  /** Changes whenever rows of the relation come or go: what failed for want of them is worth another try then. */
  version(relation: number): number;
  /** INSERTs of the relation have been set aside: no other operation brings rows of it along. */
  close(relation: number): void;
  /** Writes the operation's statements. Where it does not, nothing has been taken. */
  generate(operation: Operation, seeds: OperationSeeds): Generated;
  /** How a unique value could go from one row to another now; null where that is not asked for, or not possible. `mayPart`: over two operations. */
  conflictFor(relation: number, seeds: OperationSeeds, mayPart: boolean): ConflictForm | null;
  /** Writes an operation that does so, or its first half. */
  conflict(operation: Operation, form: ConflictForm, seeds: OperationSeeds): boolean;
  /** The second half that must come next, after a first one. */
  readonly promised: { readonly relation: number; readonly kind: OperationKind } | null;
  redeem(operation: Operation, seeds: OperationSeeds): boolean;
  /** The operation took effect. */
  applied(operation: Operation, effect: Effect): void;
  /** This attempt had no effect and is over. `reusable`: its values were not at fault and may come again. */
  undone(operation: Operation, reusable: boolean): void;
  /** The texts of a row's key; none where rows are sampled. */
  keyOf(row: RowRef): readonly (string | null)[];
  /** The operation is final and counted: nothing of it is needed any more. */
  finished(operation: Operation): void;
}
