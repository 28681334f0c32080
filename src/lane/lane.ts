import type { LanePlace, OperationKind } from '../plan/plan.js';
import { Chooser, type SavedChoices, type Surroundings } from './choice/chooser.js';
import { Grouping } from './choice/grouping.js';
import { Mix } from './choice/mix.js';
import { shareOf } from './choice/shares.js';
import { Operation, type RowRef } from './messages/operation.js';
import { type Effect, MAX_REPLAYS, messageOf, type Outcome, reactionTo, replayDelayMs } from './messages/outcome.js';
import { type Member, Transaction } from './messages/transaction.js';
import { OwnedRows, type SavedOwnedRows } from './owned.js';
import type { ClaimSet } from './rows/claims.js';
import { type CompiledPlan, type OperationSeeds, operationSeeds } from './rows/compiled.js';
import { RowStore } from './rows/row-store.js';
import { SampledRows } from './sampled.js';
import type { Rows } from './statements/rows.js';

/** What the caller must do next. */
export type Step =
  | { readonly kind: 'send'; readonly transaction: Transaction; readonly delayMs: number }
  /** An operation was skipped, because its table cannot be written to at the moment. */
  | { readonly kind: 'skipped' }
  /** The caller must settle an outcome first. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'done'; readonly starved: boolean };

/** How an operation ended; reported once for each, when its outcome is applied. */
export type Result =
  | { readonly kind: 'committed'; readonly effect: Effect }
  /** Rolled back on purpose, by its savepoint or with its transaction. */
  | { readonly kind: 'rolledBack' }
  /** Not executed, now or later, because its table cannot be written to. */
  | { readonly kind: 'skipped' }
  | {
      readonly kind: 'rejected' | 'failed';
      readonly sqlstate: string;
      readonly message: string;
    };

/** Why another attempt is made: rejected values, a transient error, or a sample without a row. */
export type Retry =
  | { readonly reason: 'values' | 'transient'; readonly sqlstate: string; readonly message: string }
  | { readonly reason: 'vacant' };

/** Receives the result of every operation, exactly once. */
export interface Ledger {
  finished(operation: Operation, result: Result): void;
  retried(operation: Operation, retry: Retry): void;
  transactionEnded(how: 'committed' | 'intendedRollback' | 'refused'): void;
  quarantined(relation: number, kind: OperationKind, sqlstate: string, message: string): void;
}

/** Knows which tables cannot be written to at the moment. */
export interface Barrier {
  /**
   * True where an operation is to be skipped now. `outcomes`: number of outcomes received for its transaction, the last of
   * which timed out on a lock; −1: it was not sent yet.
   */
  bars(operation: Operation, outcomes: number): boolean;
}

const NO_BARRIER: Barrier = { bars: () => false };

/** The state of a lane at a checkpoint: everything that determines its course from there on. To be serialized before the lane continues. */
export interface SavedLane {
  readonly generated: number;
  readonly closed: number;
  readonly impossible: number;
  readonly choices: SavedChoices;
  readonly rows: SavedOwnedRows;
}

/* Number of impossible operations in a row after which a lane ends. */
const STARVED_AFTER = 1000;

/**
 * One logical client: a pure function of (plan, claims, lane) and of the outcomes it is told.
 *
 * At most `pipelineDepth` transactions are in flight. Before transaction j is generated the outcome of j − depth is
 * applied, never earlier and never later, whenever the answer came; a retry of j − depth is sent at that same place and
 * waited for. So the course is the same at any speed.
 *
 * Every `checkpointEvery` operations there is a checkpoint: all outcomes are applied before the next operation is generated. There the
 * lane's state can be saved.
 */
export class Lane {
  readonly number: number;
  private readonly compiled: CompiledPlan;
  private readonly rows: Rows;
  /** The same if the lane owns its rows; null if it samples them. */
  private readonly owned: OwnedRows | null;
  private readonly ledger: Ledger;
  private readonly barrier: Barrier;
  private readonly seeds: OperationSeeds;
  private readonly chooser: Chooser;
  private readonly quota: number;
  private readonly depth: number;
  /** Transactions whose outcome has not been applied yet, oldest first. */
  private readonly inFlight: Transaction[] = [];
  private readonly grouping: Grouping;
  private readonly surroundings: { -readonly [Key in keyof Surroundings]: Surroundings[Key] };
  /** Called at each checkpoint. */
  onCheckpoint: () => void = () => undefined;
  private generated = 0;
  private applied = 0;
  private impossible = 0;
  private stopped = false;
  /** True if another process will carry the lane on. */
  isSuspended = false;
  private isCut = false;
  /** True if nothing is possible until an outcome is applied. */
  private blocked = false;
  /** The number of operations before the next checkpoint. */
  private nextCheckpoint: number;

  constructor(compiled: CompiledPlan, number: number, claims: ClaimSet, ledger: Ledger, barrier: Barrier = NO_BARRIER) {
    const { plan } = compiled;
    this.number = number;
    this.compiled = compiled;
    this.ledger = ledger;
    this.barrier = barrier;
    this.owned = plan.rowSelection === 'owned' ? new OwnedRows(compiled, new RowStore(compiled, number, claims)) : null;
    this.rows = this.owned ?? new SampledRows(compiled, number);
    this.nextCheckpoint = this.owned === null ? Number.POSITIVE_INFINITY : plan.checkpointEvery;
    this.seeds = compiled.laneSeeds(number);
    const turn = { seed: compiled.random, lane: number, lanes: plan.quotas.length };
    const mix = new Mix(shareOf(plan, claims, number), this.seeds.random, turn);
    this.quota = plan.quotas[number]!;
    this.chooser = new Chooser(compiled, this.rows, mix, this.seeds, this.quota);
    this.depth = plan.pipelineDepth;
    this.grouping = new Grouping(plan.transaction, this.seeds.random);
    this.surroundings = {
      grouping: this.grouping,
      mayWait: false,
      isUnderWay: (relation) => this.isUnderWay(relation, null),
      isComing: (relation) => this.isUnderWay(relation, 'insert') || this.grouping.brings(relation),
    };
  }

  /** The number of operations whose outcome is applied: the lane's progress. */
  get operations(): number {
    return this.applied;
  }

  /** Transactions that were sent and not yet applied, oldest first. */
  get pending(): readonly Transaction[] {
    return this.inFlight;
  }

  /** True if no further operation will be generated. */
  get ending(): boolean {
    return this.stopped || this.impossible >= STARVED_AFTER || (this.quota >= 0 && this.generated >= this.quota);
  }

  /** The number of operations that were begun, whatever their outcome. */
  get begun(): number {
    return this.generated;
  }

  /** Returns the texts of the key of a row that exists or is about to. */
  keyOf(row: RowRef): readonly (string | null)[] {
    return this.rows.keyOf(row);
  }

  /** Where the lane begins again if its course is forgotten; null for one that samples its rows. */
  get placeAhead(): LanePlace | null {
    return this.owned?.placeAhead ?? null;
  }

  /** Returns the state of a lane at a checkpoint. @throws Error for one that samples its rows. */
  save(): SavedLane {
    const { generated, impossible, owned } = this;
    if (owned === null) throw new Error('a lane that samples its rows cannot be saved');
    return { generated, closed: this.grouping.closed, impossible, choices: this.chooser.save(), rows: owned.save() };
  }

  /** Continues a new lane from the state of another one of the same plan and number. */
  restore({ generated, closed, impossible, choices, rows }: SavedLane): void {
    this.generated = generated;
    this.applied = generated;
    this.grouping.closed = closed;
    this.impossible = impossible;
    this.chooser.restore(choices);
    this.owned!.restore(rows);
    this.planCheckpoint();
  }

  private planCheckpoint(): void {
    const { checkpointEvery } = this.compiled.plan;
    this.nextCheckpoint = (Math.floor(this.generated / checkpointEvery) + 1) * checkpointEvery;
  }

  /** Stops generating operations; those in flight are still settled. */
  stop(): void {
    this.stopped = true;
  }

  /**
   * As `stop`, for a lane that another process will carry on: operations that wait for others to fill their transaction are not
   * sent, since the course would go on differently behind a transaction that is smaller than it was to be.
   */
  suspend(): void {
    this.stopped = true;
    this.isSuspended = true;
  }

  /** As `stop`. Refused operations are not sent again either; they count as failed. */
  cut(): void {
    this.stopped = true;
    this.isCut = true;
  }

  /**
   * Ends the lane where it stands, when there is no connection any more: outcomes that came are counted. Returns how many
   * operations were sent and have none.
   */
  abandon(): number {
    let unknown = 0;
    for (const transaction of this.inFlight.splice(0)) {
      const { outcome, members } = transaction;
      for (const [index, member] of members.entries()) {
        if (outcome === null) unknown++;
        else if (outcome.kind === 'committed')
          this.finish(member.operation, resultOf(transaction, member, outcome.effects[index]!));
        else this.finish(member.operation, { ...outcome, kind: outcome.member === index ? 'rejected' : 'failed' });
      }
    }
    return unknown;
  }

  /** Records the outcome of a transaction. It is applied when its turn comes. */
  settle(transaction: Transaction, outcome: Outcome): void {
    transaction.outcome = outcome;
    transaction.outcomes++;
  }

  next(): Step {
    for (;;) {
      const { ending } = this;
      // A value that was freed is taken first.
      const isDue = this.generated >= this.nextCheckpoint && !ending && this.rows.promised === null;
      if (isDue) this.grouping.cutShort();
      const isFull = this.grouping.isFull(ending && !this.isSuspended);
      if (this.inFlight.length < this.depth && isFull) return this.begin(this.grouping.close());
      if (this.inFlight.length >= this.depth || ((ending || isDue || this.blocked) && this.inFlight.length > 0)) {
        const step = this.finishOldest();
        if (step !== null) return step;
        this.blocked = false;
        continue;
      }
      if (ending) return { kind: 'done', starved: this.impossible >= STARVED_AFTER };
      if (isDue) {
        this.planCheckpoint();
        this.onCheckpoint();
      }
      const operation = this.generateNext();
      if (operation === null) continue;
      if (this.barrier.bars(operation, -1)) {
        // Nothing was sent: its ordinals are as good as new.
        this.rows.undone(operation, true);
        this.finish(operation, { kind: 'skipped' });
        return SKIPPED;
      }
      this.grouping.add(operation);
    }
  }

  private begin(transaction: Transaction): Step {
    this.inFlight.push(transaction);
    return { kind: 'send', transaction, delayMs: 0 };
  }

  /** Applies the oldest outcome, or returns what is needed first. */
  private finishOldest(): Step | null {
    const transaction = this.inFlight[0]!;
    const { outcome } = transaction;
    if (outcome === null) return WAIT;
    if (outcome.kind === 'refused') {
      this.ledger.transactionEnded('refused');
      return this.repair(transaction, outcome);
    }
    this.inFlight.shift();
    this.impossible = 0;
    const inserts: Member[] = [];
    for (const [index, member] of transaction.members.entries()) {
      const { operation } = member;
      const effect = outcome.effects[index]!;
      const insert = transaction.lasts(member) ? this.insertInstead(operation, effect) : null;
      if (insert !== null) {
        inserts.push({ operation: insert, savepoint: 'none' });
        continue;
      }
      const result = resultOf(transaction, member, effect);
      if (result.kind === 'committed') this.rows.applied(operation, effect);
      else this.rows.undone(operation, true);
      this.chooser.succeeded(operation);
      this.finish(operation, result);
    }
    if (inserts.length < transaction.members.length)
      this.ledger.transactionEnded(transaction.rollsBack ? 'intendedRollback' : 'committed');
    return inserts.length === 0 ? null : this.follow(transaction, inserts);
  }

  /** Sends INSERTs in place of a transaction's operations that found no row. */
  private follow({ scheduledMs, isBlock, sends, outcomes }: Transaction, inserts: readonly Member[]): Step {
    const transaction = new Transaction(inserts, isBlock);
    transaction.scheduledMs = scheduledMs;
    // Its operations are already counted as sent.
    transaction.sends = sends;
    transaction.outcomes = outcomes;
    this.inFlight.unshift(transaction);
    return { kind: 'send', transaction, delayMs: 0 };
  }

  /** Sends a rejected transaction again: unchanged, with new values if they were at fault, or without a member. */
  private repair(transaction: Transaction, outcome: Refused): Step | null {
    const { members } = transaction;
    if (this.isCut) {
      for (const each of members) this.refuse(each.operation, 'failed', outcome);
      this.inFlight.shift();
      return null;
    }
    if (outcome.member < 0 && members.length > 1 && !transaction.checksEach) {
      transaction.checksEach = true;
      return this.again(transaction);
    }
    const member = members[outcome.member] ?? members[members.length - 1]!;
    const { operation } = member;
    const { sqlstate } = outcome;
    const message = messageOf(outcome);
    if (WAITED.includes(sqlstate) && this.barrier.bars(operation, transaction.outcomes))
      return this.skip(transaction, member);
    switch (reactionTo(sqlstate, operation.kind)) {
      case 'replay':
        if (transaction.replays < MAX_REPLAYS) {
          this.ledger.retried(operation, { reason: 'transient', sqlstate, message });
          transaction.replays++;
          return this.again(transaction, replayDelayMs(transaction.replays));
        }
        for (const each of members) this.refuse(each.operation, 'failed', outcome);
        this.inFlight.shift();
        return null;
      case 'redraw':
        // The operation that freed its value has been replayed in the meantime and is final.
        if (operation.after !== null) {
          operation.after = null;
          this.ledger.retried(operation, { reason: 'transient', sqlstate, message });
          return this.again(transaction);
        }
        this.rows.undone(operation, false);
        if (operation.kind === 'delete') this.rows.spare(operation);
        if (operation.attempt < this.chooser.attemptsFor(operation)) {
          operation.attempt++;
          operation.mayBring = true;
          if (this.rows.generate(operation, this.operationSeeds(operation)) === 'written') {
            this.ledger.retried(operation, { reason: 'values', sqlstate, message });
            return this.again(transaction);
          }
        }
        return this.without(transaction, member, outcome);
      case 'reject':
        this.rows.undone(operation, false);
        return this.without(transaction, member, outcome);
    }
  }

  private skip(transaction: Transaction, member: Member): Step | null {
    this.rows.undone(member.operation, false);
    this.finish(member.operation, { kind: 'skipped' });
    return this.rest(transaction, member);
  }

  private again(transaction: Transaction, delayMs = 0): Step {
    transaction.outcome = null;
    return { kind: 'send', transaction, delayMs };
  }

  private without(transaction: Transaction, member: Member, outcome: Refused): Step | null {
    this.count(member.operation, 'rejected', outcome);
    return this.rest(transaction, member);
  }

  /** Sends what is left of a transaction without one of its members. */
  private rest(transaction: Transaction, member: Member): Step | null {
    transaction.remove(member);
    if (transaction.members.length > 0) return this.again(transaction);
    this.inFlight.shift();
    return null;
  }

  /** Replaces an UPDATE or DELETE whose sample had no row by an INSERT; the original operation stays owed. */
  private insertInstead(operation: Operation, { rows }: Effect): Operation | null {
    const { plan } = this.compiled;
    if (plan.rowSelection !== 'system_rows' || operation.kind === 'insert') return null;
    // A statement that is meant to change no row only prepares another one.
    if (operation.statements.some((statement, index) => statement.rows > 0 && rows[index]! > 0)) return null;
    if (!this.chooser.mayInsert(operation.relation) || !this.rows.possible(operation.relation, 'insert')) return null;
    const insert = new Operation(operation.number, operation.relation, 'insert', operation.drawn);
    insert.attempt = 1;
    if (this.rows.generate(insert, this.operationSeeds(insert)) !== 'written') return null;
    this.chooser.owe(operation);
    this.ledger.retried(operation, { reason: 'vacant' });
    return insert;
  }

  private finish(operation: Operation, result: Result): void {
    this.applied++;
    this.ledger.finished(operation, result);
    this.rows.finished(operation);
  }

  /** Releases what the operation has taken, and counts it. */
  private refuse(operation: Operation, kind: 'rejected' | 'failed', outcome: Refused): void {
    this.rows.undone(operation, false);
    this.count(operation, kind, outcome);
  }

  private count(operation: Operation, kind: 'rejected' | 'failed', outcome: Refused): void {
    const { sqlstate, context } = outcome;
    const message = messageOf(outcome);
    // An error raised by a function may depend on the row, so the next row may succeed.
    const isLast = this.chooser.refused(operation, context === null && GONE.includes(sqlstate));
    this.finish(operation, { kind, sqlstate, message });
    if (isLast) this.ledger.quarantined(operation.relation, operation.kind, sqlstate, message);
  }

  /** Returns the next operation; null if none is possible now, or if it failed because none ever will be. */
  private generateNext(): Operation | null {
    const number = this.generated++;
    this.surroundings.mayWait = this.inFlight.length > 0 || this.grouping.open.length > 0;
    const chosen = this.chooser.choose(number, this.surroundings);
    if (chosen !== null && chosen !== 'wait') return chosen;
    if (this.waitForRows()) return null;
    if (this.chooser.isSpent) {
      this.impossible = STARVED_AFTER;
      this.generated--;
      return null;
    }
    // Nothing is possible on any table: the operation fails, and the lane ends if that continues.
    this.impossible++;
    this.applied++;
    this.ledger.finished(this.chooser.nothing(number), {
      kind: 'failed',
      sqlstate: NO_ROW,
      message: 'no table had a row or room for any operation',
    });
    return null;
  }

  private isUnderWay(relation: number, kind: OperationKind | null): boolean {
    const touches = ({ statements }: Operation) =>
      statements.some((statement) => statement.relation === relation && (kind === null || statement.kind === kind));
    return this.inFlight.some(({ members }) => members.some(({ operation }) => touches(operation)));
  }

  /**
   * Rows in flight come back with their outcomes: the oldest is applied early, or the open transaction sent as it is, which
   * depends on no timing either. Then the operation is drawn again. False where there is nothing to wait for.
   */
  private waitForRows(): boolean {
    this.blocked = this.inFlight.length > 0;
    if (!this.blocked && !this.grouping.cutShort()) return false;
    this.generated--;
    return true;
  }

  private operationSeeds(operation: Operation): OperationSeeds {
    return operationSeeds(this.seeds, operation.number, operation.attempt);
  }
}

type Refused = Outcome & { readonly kind: 'refused' };

/** Returns the result of a member whose transaction ended as intended. */
function resultOf(transaction: Transaction, member: Member, effect: Effect): Result {
  return transaction.lasts(member) ? { kind: 'committed', effect } : { kind: 'rolledBack' };
}

const WAIT: Step = { kind: 'wait' };
const SKIPPED: Step = { kind: 'skipped' };

/* SQLSTATEs of a statement that waited for its table in vain: lock time-out, cancelled, disk full. */
const WAITED: readonly string[] = ['55P03', '57014', '53100'];

/* SQLSTATEs after a schema change: the table, a column or a privilege no longer exists. */
export const GONE: readonly string[] = ['42P01', '42703', '42501', '3F000'];

/** Our own mark for an operation that no table could take; SQLSTATE 02000 is "no data". */
const NO_ROW = '02000';
