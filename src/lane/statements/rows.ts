import type { OperationKind } from '../../plan/plan.js';
import type { Operation, RowRef } from '../messages/operation.js';
import type { Effect } from '../messages/outcome.js';
import type { OperationSeeds } from '../rows/compiled.js';
import type { ConflictForm } from './conflicts.js';

/** `busy`: the operation needs a certain row that is in flight and comes back with an outcome. */
export type Generated = 'written' | 'impossible' | 'busy';

/**
 * Where a lane's rows come from: its own keyspace, or samples of the whole table. The lane decides what is done; this
 * says whether it can be done, writes the statements and learns from the outcome.
 */
export interface Rows {
  /** Returns cheaply whether there is a row for it, or room. */
  possible(relation: number, kind: OperationKind): boolean;
  /** After an impossible INSERT: the relation of which another row would help; −1 if no single one would. */
  readonly lacking: number;
  /** A number that changes when rows of the relation come or go; then operations that lacked rows are tried again. */
  version(relation: number): number;
  /** Records that INSERTs of the relation are no longer tried: no operation inserts its rows as parents. */
  close(relation: number): void;
  /** Writes the operation's statements. If it cannot, nothing stays reserved. */
  generate(operation: Operation, seeds: OperationSeeds): Generated;
  /** Returns how a unique value could move between rows now; null if it cannot. `mayPart`: in two operations. */
  conflictFor(relation: number, seeds: OperationSeeds, mayPart: boolean): ConflictForm | null;
  /** Writes an operation that moves a unique value, or its first half. */
  conflict(operation: Operation, form: ConflictForm, seeds: OperationSeeds): boolean;
  /** The second half that must come next. */
  readonly promised: { readonly relation: number; readonly kind: OperationKind } | null;
  redeem(operation: Operation, seeds: OperationSeeds): boolean;
  /** Records that the operation took effect. */
  applied(operation: Operation, effect: Effect): void;
  /** Records that an attempt had no effect. `reusable`: its values were not at fault and may be used again. */
  undone(operation: Operation, reusable: boolean): void;
  /** Records that the server refuses to delete an operation's row, so that it is not chosen again. */
  spare(operation: Operation): void;
  /** Returns the texts of a row's key; none if rows are sampled. */
  keyOf(row: RowRef): readonly (string | null)[];
  /** Releases an operation that is final and counted. */
  finished(operation: Operation): void;
}
