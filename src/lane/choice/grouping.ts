import type { TransactionPlan } from '../../plan/plan.js';
import { type Seed, split } from '../../random/seed.js';
import { Stream } from '../../random/stream.js';
import type { Operation } from '../messages/operation.js';
import { type Member, Transaction } from '../messages/transaction.js';

/* The share of savepoints that are rolled back; the others are released. */
const ROLLED_BACK = 0.5;
const SIZES = split({ hi: 0, lo: 0 }, 'transaction sizes');

/** Groups a lane's operations into transactions. */
export class Grouping {
  private readonly plan: TransactionPlan;
  private readonly seed: Seed;
  private readonly stream = new Stream();
  private readonly isBlock: boolean;
  private operations: Operation[] = [];
  private isCut = false;
  /** Number of transactions so far. */
  closed = 0;
  /** Operations of the open transaction, when it is full. */
  private size = 1;

  constructor(plan: TransactionPlan, lane: Seed) {
    this.plan = plan;
    this.seed = split(lane, 'transactions');
    this.isBlock = plan.statements > 1 || plan.rollbackRatio > 0;
  }

  /** True if every operation commits by itself. */
  get isSingle(): boolean {
    return !this.isBlock;
  }

  /** The operations of the transaction that is being grouped. */
  get open(): readonly Operation[] {
    return this.operations;
  }

  /** Returns true if an operation of the open transaction inserts rows of the relation. */
  brings(relation: number): boolean {
    return this.operations.some(({ statements }) =>
      statements.some((statement) => statement.relation === relation && statement.kind === 'insert'),
    );
  }

  add(operation: Operation): void {
    if (this.operations.length === 0) this.size = this.draw();
    this.operations.push(operation);
  }

  /** Returns true if the transaction must be sent. `ending`: no further operations will come. */
  isFull(ending: boolean): boolean {
    const { length } = this.operations;
    return length > 0 && (ending || this.isCut || length >= this.size);
  }

  /** Ends the open transaction, because nothing else is possible while it holds its rows. False if there is none. */
  cutShort(): boolean {
    this.isCut = this.operations.length > 0;
    return this.isCut;
  }

  private draw(): number {
    const { statements: most, fewestStatements: fewest } = this.plan;
    if (fewest === undefined || fewest >= most) return most;
    this.stream.restart(this.seed, SIZES, this.closed);
    return fewest + this.stream.below(most - fewest + 1);
  }

  close(): Transaction {
    const { operations } = this;
    this.operations = [];
    this.isCut = false;
    const number = this.closed++;
    if (!this.isBlock) return Transaction.of(operations[0]!);
    const { savepointRatio, rollbackRatio } = this.plan;
    this.stream.restart(this.seed, this.seed, number);
    const rollsBack = this.stream.chance(rollbackRatio);
    const members = operations.map((operation, index): Member => {
      if (index === 0 || !this.stream.chance(savepointRatio)) return { operation, savepoint: 'none' };
      return { operation, savepoint: this.stream.chance(ROLLED_BACK) ? 'rolled back' : 'released' };
    });
    return new Transaction(members, true, rollsBack);
  }
}
