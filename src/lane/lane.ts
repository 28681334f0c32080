import { type Choice, OPERATION_KINDS, type OperationKind } from '../plan/plan.js';
import type { ClaimSet } from './claims.js';
import { type CompiledPlan, type OperationSeeds, operationSeeds } from './compiled.js';
import { Mix } from './mix.js';
import { MAX_REPLAYS, type Outcome, reactionTo, replayDelayMs } from './outcome.js';
import { OwnedRows } from './owned.js';
import type { Rows } from './rows.js';
import { SampledRows } from './sampled.js';
import { shareOf } from './shares.js';
import { Transaction } from './transaction.js';

/** What the shell is to do next. */
export type Step =
  | { readonly kind: 'send'; readonly transaction: Transaction; readonly delayMs: number }
  /** An outcome must be settled first. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'done'; readonly starved: boolean };

/** How an operation ended: told once for each, when its outcome is applied. */
export type Result =
  | (Outcome & { readonly kind: 'committed' })
  | {
      readonly kind: 'rejected' | 'failed';
      readonly sqlstate: string;
      readonly message: string;
      readonly constraint: string | null;
    };

/** Why a further attempt is made: refused values, a passing condition, or a sample that held no row. */
export type Retry =
  | { readonly reason: 'values' | 'transient'; readonly sqlstate: string; readonly message: string }
  | { readonly reason: 'vacant' };

/** Who counts. */
export interface Ledger {
  finished(transaction: Transaction, result: Result): void;
  retried(transaction: Transaction, retry: Retry): void;
  quarantined(relation: number, kind: OperationKind, sqlstate: string, message: string): void;
}

/* Other choices that are drawn before all are tried in order, and impossible operations after which a lane gives up. */
const REDRAWS = 16;
const STARVED_AFTER = 1000;

/**
 * One logical client: a pure function of (plan, claims, lane) and of the outcomes it is told.
 *
 * At most `pipelineDepth` transactions are in flight. Before transaction j is generated the outcome of j − depth is
 * applied, never earlier and never later, whenever the answer came; a retry of j − depth is sent at that same place and
 * waited for. So the course is the same at any speed.
 */
export class Lane {
  readonly number: number;
  private readonly compiled: CompiledPlan;
  private readonly rows: Rows;
  private readonly ledger: Ledger;
  private readonly seeds: OperationSeeds;
  private readonly mix: Mix;
  /** Relation × 3 + kind of every choice. */
  private readonly chosen: ReadonlySet<number>;
  private readonly quota: number;
  private readonly depth: number;
  /** Transactions whose outcome is not applied yet, the oldest first. */
  private readonly inFlight: Transaction[] = [];
  /** By relation and kind: operations drawn where they were not possible, to be made up for. */
  private readonly owed: Record<OperationKind, number>[];
  private readonly refusals: Record<OperationKind, number>[];
  private generated = 0;
  private applied = 0;
  private impossible = 0;
  private stopped = false;
  /** Nothing is possible until an outcome is applied. */
  private blocked = false;

  constructor(compiled: CompiledPlan, number: number, claims: ClaimSet, ledger: Ledger) {
    const { plan } = compiled;
    this.number = number;
    this.compiled = compiled;
    this.ledger = ledger;
    this.rows =
      plan.rowSelection === 'owned' ? new OwnedRows(compiled, number, claims) : new SampledRows(compiled, number);
    this.seeds = compiled.laneSeeds(number);
    const share = shareOf(plan, claims, number);
    this.mix = new Mix(share, this.seeds.random, { seed: compiled.random, lane: number, lanes: plan.quotas.length });
    this.chosen = new Set(
      this.mix.all.map(({ relation, operation }) => relation * 3 + OPERATION_KINDS.indexOf(operation)),
    );
    this.quota = plan.quotas[number]!;
    this.depth = plan.pipelineDepth;
    this.owed = plan.relations.map(() => ({ insert: 0, update: 0, delete: 0 }));
    this.refusals = plan.relations.map(() => ({ insert: 0, update: 0, delete: 0 }));
  }

  /** Operations whose outcome is applied: how far the lane came. */
  get operations(): number {
    return this.applied;
  }

  /** Transactions sent and not yet applied, the oldest first. */
  get pending(): readonly Transaction[] {
    return this.inFlight;
  }

  /** True where no further operation will be generated. */
  get ending(): boolean {
    return this.stopped || this.impossible >= STARVED_AFTER || (this.quota >= 0 && this.generated >= this.quota);
  }

  /** No further operations are generated; those in flight are still settled. */
  stop(): void {
    this.stopped = true;
  }

  /**
   * Ends the lane where it stands, when there is no connection any more: outcomes that came are counted. Returns how many
   * transactions were sent and have none.
   */
  abandon(): number {
    let unknown = 0;
    for (const transaction of this.inFlight.splice(0)) {
      const { outcome } = transaction;
      if (outcome === null) {
        unknown++;
        continue;
      }
      this.applied++;
      this.ledger.finished(transaction, outcome.kind === 'committed' ? outcome : { ...outcome, kind: 'rejected' });
    }
    return unknown;
  }

  /** Records what happened to a transaction. Takes effect when its turn comes. */
  settle(transaction: Transaction, outcome: Outcome): void {
    transaction.outcome = outcome;
  }

  next(): Step {
    for (;;) {
      const { ending } = this;
      if (this.inFlight.length >= this.depth || ((ending || this.blocked) && this.inFlight.length > 0)) {
        const step = this.finishOldest();
        if (step !== null) return step;
        this.blocked = false;
        continue;
      }
      if (ending) return { kind: 'done', starved: this.impossible >= STARVED_AFTER };
      const transaction = this.generateNext();
      if (transaction !== null) {
        this.inFlight.push(transaction);
        return { kind: 'send', transaction, delayMs: 0 };
      }
    }
  }

  /** Applies the oldest outcome, or says what it still needs. */
  private finishOldest(): Step | null {
    const transaction = this.inFlight[0]!;
    const { outcome } = transaction;
    if (outcome === null) return WAIT;
    if (outcome.kind === 'committed') {
      const converted = this.insertInstead(transaction, outcome.rows);
      if (converted !== null) return converted;
      this.rows.applied(transaction);
      this.refusals[transaction.relation]![transaction.kind] = 0;
      this.impossible = 0;
      this.finish(transaction, outcome);
      return null;
    }
    switch (reactionTo(outcome.sqlstate, transaction.kind)) {
      case 'replay':
        if (transaction.replays < MAX_REPLAYS) {
          this.ledger.retried(transaction, {
            reason: 'transient',
            sqlstate: outcome.sqlstate,
            message: outcome.message,
          });
          transaction.replays++;
          transaction.outcome = null;
          return { kind: 'send', transaction, delayMs: replayDelayMs(transaction.replays) };
        }
        this.rows.undone(transaction);
        this.refuse(transaction, 'failed', outcome);
        return null;
      case 'redraw': {
        this.rows.undone(transaction);
        if (transaction.attempt < this.compiled.plan.maxRetries[transaction.kind]) {
          transaction.attempt++;
          if (this.rows.generate(transaction, this.operationSeeds(transaction))) {
            this.ledger.retried(transaction, {
              reason: 'values',
              sqlstate: outcome.sqlstate,
              message: outcome.message,
            });
            return { kind: 'send', transaction, delayMs: 0 };
          }
        }
        this.refuse(transaction, 'rejected', outcome);
        return null;
      }
      case 'reject':
        this.rows.undone(transaction);
        this.refuse(transaction, 'rejected', outcome);
        return null;
    }
  }

  /** An UPDATE or DELETE that found no row in its sample becomes an INSERT and stays owed. */
  private insertInstead(transaction: Transaction, rows: readonly number[]): Step | null {
    const { plan } = this.compiled;
    if (plan.rowSelection !== 'system_rows' || transaction.kind === 'insert' || rows.some((count) => count > 0))
      return null;
    if (!this.mayInsert(transaction.relation)) return null;
    const insert = new Transaction(transaction.number, transaction.relation, 'insert', transaction.drawn);
    insert.attempt = 1;
    insert.scheduledMs = transaction.scheduledMs;
    if (!this.rows.generate(insert, this.operationSeeds(insert))) return null;
    this.owed[transaction.relation]![transaction.kind]++;
    this.ledger.retried(transaction, { reason: 'vacant' });
    this.inFlight[0] = insert;
    return { kind: 'send', transaction: insert, delayMs: 0 };
  }

  private finish(transaction: Transaction, result: Result): void {
    this.inFlight.shift();
    this.applied++;
    this.ledger.finished(transaction, result);
    this.rows.finished(transaction);
  }

  private refuse(transaction: Transaction, kind: 'rejected' | 'failed', outcome: Outcome & { kind: 'refused' }): void {
    const { relation } = transaction;
    const count = ++this.refusals[relation]![transaction.kind];
    this.finish(transaction, {
      kind,
      sqlstate: outcome.sqlstate,
      message: outcome.message,
      constraint: outcome.constraint,
    });
    if (count === this.compiled.plan.quarantineAfter) {
      this.ledger.quarantined(relation, transaction.kind, outcome.sqlstate, outcome.message);
    }
  }

  /** The next operation; null where none is possible now, or where it failed because none will be. */
  private generateNext(): Transaction | null {
    const number = this.generated++;
    const drawn = this.mix.draw(number);
    if (this.comesSoon(drawn)) return this.waitForOldest();
    for (let attempt = 0; attempt <= REDRAWS; attempt++) {
      const transaction = this.tryChoice(number, attempt === 0 ? drawn : this.mix.redraw(number, attempt));
      if (transaction !== null) return transaction;
    }
    for (const choice of this.mix.all) {
      const transaction = this.tryChoice(number, choice);
      if (transaction !== null) return transaction;
    }
    if (this.inFlight.length > 0) {
      return this.waitForOldest();
    }
    // Nothing can be done on any table: the operation fails, and the lane ends when that goes on.
    this.impossible++;
    this.applied++;
    const transaction = new Transaction(number, drawn.relation, drawn.operation, drawn.operation);
    this.ledger.finished(transaction, {
      kind: 'failed',
      sqlstate: NO_ROW,
      message: 'no table had a row or room for any operation',
      constraint: null,
    });
    return null;
  }

  /** Rows in flight come back with their outcomes: the oldest is applied early, which depends on no timing either. */
  private waitForOldest(): null {
    this.generated--;
    this.blocked = true;
    return null;
  }

  /** True where an UPDATE or DELETE has no row yet, but something in flight on its table may bring or free one. */
  private comesSoon({ relation, operation }: Choice): boolean {
    if (operation === 'insert' || this.inFlight.length === 0 || this.isSetAside(relation, operation)) return false;
    if (this.rows.possible(relation, operation)) return false;
    return this.inFlight.some(({ statements }) => statements.some((statement) => statement.relation === relation));
  }

  private tryChoice(number: number, choice: Choice): Transaction | null {
    const kind = this.kindFor(choice);
    if (kind === null) return null;
    const transaction = new Transaction(number, choice.relation, kind, choice.operation);
    if (!this.rows.generate(transaction, this.operationSeeds(transaction)))
      return this.tryInstead(number, choice, kind);
    this.account(choice, kind);
    return transaction;
  }

  /** What was possible at a glance and was not: an INSERT on a table without room becomes what there are rows for, others an INSERT. */
  private tryInstead(number: number, choice: Choice, failed: OperationKind): Transaction | null {
    for (const kind of failed === 'insert' ? (['delete', 'update'] as const) : (['insert'] as const)) {
      const { relation } = choice;
      if (!this.isChosen(relation, kind) || this.isSetAside(relation, kind) || !this.rows.possible(relation, kind))
        continue;
      const transaction = new Transaction(number, relation, kind, choice.operation);
      if (!this.rows.generate(transaction, this.operationSeeds(transaction))) continue;
      this.account(choice, kind);
      return transaction;
    }
    return null;
  }

  /**
   * What a draw becomes: an INSERT drawn makes up for an operation that is owed; an UPDATE or DELETE without a row
   * becomes an INSERT; an INSERT without room becomes what there are rows for.
   */
  private kindFor(choice: Choice): OperationKind | null {
    const { relation, operation } = choice;
    if (this.isSetAside(relation, operation)) return null;
    const owed = this.owed[relation]!;
    const can = (kind: OperationKind) => !this.isSetAside(relation, kind) && this.rows.possible(relation, kind);
    if (operation === 'insert') {
      const makeUp = OPERATION_KINDS.find((kind) => kind !== 'insert' && owed[kind] > 0 && can(kind));
      if (makeUp !== undefined) return makeUp;
      if (can('insert')) return 'insert';
      return (['delete', 'update'] as const).find((kind) => this.isChosen(relation, kind) && can(kind)) ?? null;
    }
    if (owed.insert > 0 && can('insert')) return 'insert';
    if (can(operation)) return operation;
    return this.mayInsert(relation) && can('insert') ? 'insert' : null;
  }

  /** Keeps the books of what was drawn and not done, and of what was made up for. */
  private account(choice: Choice, kind: OperationKind): void {
    if (kind === choice.operation) return;
    const owed = this.owed[choice.relation]!;
    if (owed[kind] > 0) owed[kind]--;
    else owed[choice.operation]++;
  }

  private mayInsert(relation: number): boolean {
    return this.isChosen(relation, 'insert') && !this.isSetAside(relation, 'insert');
  }

  private isChosen(relation: number, kind: OperationKind): boolean {
    return this.chosen.has(relation * 3 + OPERATION_KINDS.indexOf(kind));
  }

  private isSetAside(relation: number, kind: OperationKind): boolean {
    return this.refusals[relation]![kind] >= this.compiled.plan.quarantineAfter;
  }

  private operationSeeds(transaction: Transaction): OperationSeeds {
    return operationSeeds(this.seeds, transaction.number, transaction.attempt);
  }
}

const WAIT: Step = { kind: 'wait' };

/** Our own mark for an operation that no table could take; SQLSTATE 02000 is "no data". */
const NO_ROW = '02000';
