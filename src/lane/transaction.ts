import type { Operation, Statement } from './operation.js';
import type { Effect, Outcome } from './outcome.js';
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

/**
 * Consecutive operations of a lane that commit together: the unit of pipelining distance, replay and doubt. Alone an
 * operation needs no BEGIN, its Sync commits it; several stand in a block, whose messages travel together as well.
 */
export class Transaction {
  readonly isBlock: boolean;
  /** True where ROLLBACK ends it, on purpose. */
  readonly rollsBack: boolean;
  replays = 0;
  /** Times that it was sent. */
  sends = 0;
  /** Its last refusal came from COMMIT: deferred constraints are checked after each member, to see whose they are. */
  checksEach = false;
  outcome: Outcome | null = null;
  /** Milliseconds on the thread's clock. */
  scheduledMs = 0;
  sentMs = 0;
  private content: readonly Member[];

  constructor(members: readonly Member[], isBlock: boolean, rollsBack = false) {
    this.content = members;
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

  /** What a block executes, in order. */
  executions(): Execution[] {
    const done: Execution[] = [own(CONTROL.begin)];
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
    done.push(own(this.rollsBack ? CONTROL.rollback : CONTROL.commit));
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

function intendedEffect({ statements }: Operation): Effect {
  return { rows: statements.map(({ rows }) => rows), returned: statements.map(() => null) };
}
