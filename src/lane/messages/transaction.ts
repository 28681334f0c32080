import type { Operation, Statement } from './operation.js';
import { type Effect, type Outcome, untold } from './outcome.js';
import { CONTROL, type Shape } from './shape.js';

/** An operation's place in a transaction: outside of any savepoint, or in one that is released or rolled back. */
export interface Member {
  readonly operation: Operation;
  readonly savepoint: 'none' | 'released' | 'rolled back';
}

/** Something that a transaction executes: a statement of one of its members, or what begins, divides and ends it. */
export interface Execution {
  readonly shape: Shape;
  /** Index of the member; −1 for the transaction's own. */
  readonly member: number;
  readonly statement: Statement | null;
}

/** Who a transaction is to the server, and what it did: with that its end can be asked for when its answer is lost. */
export interface Receipt {
  /** Decimal digits of its id; null where it is known to have been committed. */
  readonly xid: string | null;
  /** By member. */
  readonly effects: readonly Effect[];
}

/**
 * Consecutive operations of a lane that commit together: the unit of pipelining distance, replay and doubt. Alone an
 * operation needs no BEGIN, its Sync commits it; several stand in a block, whose messages travel together as well.
 */
export class Transaction {
  /** That of its first operation. */
  readonly number: number;
  readonly isBlock: boolean;
  /** True where ROLLBACK ends it, on purpose. */
  readonly rollsBack: boolean;
  replays = 0;
  /** Outcomes that it has had. */
  outcomes = 0;
  /** Times that it was sent. */
  sends = 0;
  /** Its last refusal came from COMMIT: deferred constraints are checked after each member, to see whose they are. */
  checksEach = false;
  outcome: Outcome | null = null;
  /** An answer that has come and is not settled yet, since it leaves something to ask. */
  answer: Outcome | null = null;
  /** What the server has said of it before its COMMIT was sent; null where it has not, or was not asked. */
  receipt: Receipt | null = null;
  /** Milliseconds on the thread's clock. */
  scheduledMs = 0;
  sentMs = 0;
  private content: readonly Member[];

  constructor(members: readonly Member[], isBlock: boolean, rollsBack = false) {
    this.content = members;
    this.number = members[0]!.operation.number;
    this.isBlock = isBlock;
    this.rollsBack = rollsBack;
  }

  /** An operation that commits alone. */
  static of(operation: Operation): Transaction {
    return new Transaction([{ operation, savepoint: 'none' }], false);
  }

  get members(): readonly Member[] {
    return this.content;
  }

  /** A member was refused for good; the others are carried out without it. */
  remove(member: Member): void {
    this.content = this.content.filter((each) => each !== member);
  }

  /** True for a member whose effect stays when the transaction ends as intended. */
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

  /** What it executes, in order. Where its COMMIT waits for a receipt, that is asked for last, or last before the end of a block. */
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

  /** The outcome where every statement does what it means to. */
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
