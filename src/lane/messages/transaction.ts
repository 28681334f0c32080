import type { Operation, Statement } from './operation.js';
import { type Effect, type Outcome, untold } from './outcome.js';
import { CONTROL, type Shape } from './shape.js';

/** An operation's place in a transaction: outside of any savepoint, or in one that is released or rolled back. */
export interface Member {
  readonly operation: Operation;
  readonly savepoint: 'none' | 'released' | 'rolled back';
}

/** A statement that a transaction executes: of one of its members, or one that begins, divides or ends it. */
export interface Execution {
  readonly shape: Shape;
  /** Index of the member; −1 for a statement of the transaction itself. */
  readonly member: number;
  readonly statement: Statement | null;
}

/** The id of a transaction and what it did, with which its outcome can be looked up if the answer is lost. */
export interface Receipt {
  /** Its id in decimal digits; null if it is known to be committed. */
  readonly xid: string | null;
  /** Effects by member. */
  readonly effects: readonly Effect[];
}

/**
 * Consecutive operations of a lane that commit together: the unit of pipelining distance, replay and doubt. Alone an
 * operation needs no BEGIN, its Sync commits it; several stand in a block, whose messages travel together as well.
 */
export class Transaction {
  /** The number of its first operation. */
  readonly number: number;
  readonly isBlock: boolean;
  /** True if it ends with ROLLBACK, on purpose. */
  readonly rollsBack: boolean;
  replays = 0;
  /** Number of outcomes that it has had. */
  outcomes = 0;
  /** Number of times that it was sent. */
  sends = 0;
  /** True after a failed COMMIT: deferred constraints are then checked after each member, to find the one at fault. */
  checksEach = false;
  outcome: Outcome | null = null;
  /** An answer that was received but not settled yet, because a query about it is still open. */
  answer: Outcome | null = null;
  /** The receipt, which is taken before COMMIT is sent; null if there is none. */
  receipt: Receipt | null = null;
  /** When it was due, in milliseconds of the thread's clock. */
  scheduledMs = 0;
  sentMs = 0;
  private content: readonly Member[];

  constructor(members: readonly Member[], isBlock: boolean, rollsBack = false) {
    this.content = members;
    this.number = members[0]!.operation.number;
    this.isBlock = isBlock;
    this.rollsBack = rollsBack;
  }

  /** Returns the transaction of an operation that commits by itself. */
  static of(operation: Operation): Transaction {
    return new Transaction([{ operation, savepoint: 'none' }], false);
  }

  get members(): readonly Member[] {
    return this.content;
  }

  /** Removes a member that was finally rejected; the others are executed without it. */
  remove(member: Member): void {
    this.content = this.content.filter((each) => each !== member);
  }

  /** Returns true for a member whose effect remains when the transaction ends as intended. */
  lasts({ savepoint }: Member): boolean {
    return !this.rollsBack && savepoint !== 'rolled back';
  }

  /**
   * True where the rows could not tell whether it took effect: rows that look like its own may be anybody's. Its COMMIT
   * waits for a receipt.
   */
  get needsReceipt(): boolean {
    for (const member of this.content) {
      if (!this.lasts(member)) continue;
      for (const { shape } of member.operation.statements) if (shape.needsReceipt) return true;
    }
    return false;
  }

  /** Returns what it executes, in order. A receipt is requested last, or last before the end of a block. */
  executions(): Execution[] {
    const done: Execution[] = this.isBlock ? [own(CONTROL.begin)] : [];
    for (const [index, { operation, savepoint }] of this.content.entries()) {
      if (savepoint !== 'none') done.push(own(CONTROL.savepoint));
      for (const statement of operation.statements) done.push({ shape: statement.shape, member: index, statement });
      if (this.checksEach) {
        done.push({ shape: CONTROL.immediate, member: index, statement: null });
        done.push(own(CONTROL.deferred));
      }
      if (savepoint === 'rolled back') done.push(own(CONTROL.rollbackToSavepoint));
      if (savepoint !== 'none') done.push(own(CONTROL.release));
    }
    if (this.needsReceipt) done.push(own(CONTROL.receipt));
    if (this.isBlock) done.push(own(this.rollsBack ? CONTROL.rollback : CONTROL.commit));
    return done;
  }

  /** Returns the outcome if every statement has its intended effect. */
  intended(): Outcome & { readonly kind: 'committed' } {
    return { kind: 'committed', effects: this.content.map(({ operation }) => intendedEffect(operation)) };
  }
}

function own(shape: Shape): Execution {
  return { shape, member: -1, statement: null };
}

function intendedEffect({ number, statements }: Operation): Effect {
  return {
    rows: statements.map(({ rows }) => rows),
    returned: statements.map(({ shape, rows }, index) => {
      if (shape.returned === 0 && !shape.reportsMove) return null;
      return Array.from({ length: rows }, (_, row) => [
        ...Array.from({ length: shape.returned }, () =>
          untold(`operation ${number}, statement ${index + 1}, row ${row + 1}`),
        ),
        ...(shape.reportsMove ? ['false'] : []),
      ]);
    }),
  };
}
