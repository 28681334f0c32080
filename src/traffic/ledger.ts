import type { Ledger, Result, Retry } from '../lane/lane.js';
import type { Operation } from '../lane/messages/operation.js';
import type { OperationKind } from '../plan/plan.js';
import type { CounterBlock } from './counters.js';

/** A rejected statement, or a kind of operation that is skipped from now on; shown once per kind. */
export interface Refusal {
  readonly kind: 'error' | 'quarantine';
  readonly sqlstate: string;
  readonly relation: number;
  readonly text: string;
}

/** What a lane reports in addition to its counts. */
export type Told =
  | Refusal
  | { readonly kind: 'server'; readonly text: string }
  /** A lane lost its connection, or cannot get one. */
  | { readonly kind: 'lost'; readonly lane: number; readonly reason: string }
  | { readonly kind: 'connected'; readonly lane: number };

export type Notice = (told: Told) => void;

const ENDS = {
  committed: 'transactionsCommitted',
  intendedRollback: 'transactionsIntended',
  refused: 'transactionsRolledBack',
} as const;
const RETRY_FIELDS = { values: 'retriesValues', transient: 'retriesTransient', vacant: 'retriesVacant' } as const;

/** Counts what a lane reports. The lanes of one thread share a block, which has only them as writers. */
export class CountingLedger implements Ledger {
  private readonly counters: CounterBlock;
  private readonly notice: Notice;
  private readonly lane: number;

  constructor(counters: CounterBlock, lane: number, notice: Notice) {
    this.counters = counters;
    this.lane = lane;
    this.notice = notice;
  }

  finished(operation: Operation, result: Result): void {
    this.counters.begin(this.lane);
    this.count(operation, result);
    this.counters.commit(this.lane);
  }

  private count(operation: Operation, result: Result): void {
    const { counters } = this;
    const { relation, kind } = operation;
    counters.laneApplied(this.lane);
    if (result.kind === 'committed') {
      counters.addTable(relation, kind, 'committed', 1);
      const { rows: rowsBy, returned } = result.effect;
      if (operation.isConflict) counters.add('conflicts', 1);
      if (kind !== operation.drawn) counters.addTable(relation, operation.drawn, 'substituted', 1);
      for (const [index, statement] of operation.statements.entries()) {
        // It only prepares the next one.
        if (statement.rows === 0) continue;
        const rows = rowsBy[index]!;
        counters.addTable(statement.relation, statement.kind, 'rows', rows);
        if (rows < statement.rows && statement.slots.length > 0)
          counters.addTable(statement.relation, statement.kind, 'vanished', statement.rows - rows);
        if (statement.shape.reportsMove && returned[index]?.[0]?.at(-1) === 'true')
          counters.addTable(statement.relation, 'update', 'moved', 1);
        for (const { relation, slots } of statement.also) counters.addTable(relation, 'insert', 'rows', slots.length);
        for (const other of statement.brings) counters.addTable(other, 'insert', 'rows', rows);
        if (statement.cascade === null || rows === 0) continue;
        for (const row of statement.cascade.deleted) counters.addTable(row.relation, 'delete', 'cascaded', 1);
        for (const row of statement.cascade.nulled) counters.addTable(row.relation, 'update', 'cascaded', 1);
      }
      return;
    }
    counters.addTable(relation, kind, result.kind, 1);
    if (result.kind === 'rolledBack') return;
    if (result.kind === 'skipped') {
      counters.laneException(this.lane, `${operation.number}/${operation.attempt}/skipped`);
      return;
    }
    counters.laneException(
      this.lane,
      `${operation.number}/${operation.attempt}/${result.kind}/${reported(operation, result.sqlstate)}`,
    );
    this.error(operation, result.sqlstate, result.message);
  }

  retried(operation: Operation, retry: Retry): void {
    this.counters.begin(this.lane);
    this.countRetry(operation, retry);
    this.counters.commit(this.lane);
  }

  private countRetry(operation: Operation, retry: Retry): void {
    this.counters.addTable(operation.relation, operation.kind, RETRY_FIELDS[retry.reason], 1);
    if (retry.reason === 'values')
      this.counters.laneException(
        this.lane,
        `${operation.number}/${operation.attempt}/${reported(operation, retry.sqlstate)}`,
      );
    if (retry.reason === 'vacant') return;
    this.error(operation, retry.sqlstate, retry.message);
  }

  transactionEnded(how: keyof typeof ENDS): void {
    this.counters.begin(this.lane);
    this.counters.add(ENDS[how], 1);
    this.counters.commit(this.lane);
  }

  quarantined(relation: number, kind: OperationKind, sqlstate: string, message: string): void {
    this.counters.begin(this.lane);
    this.counters.add('quarantined', 1);
    this.counters.commit(this.lane);
    this.notice({
      kind: 'quarantine',
      sqlstate,
      relation,
      text: `${kind.toUpperCase()} is skipped from now on, because the server keeps rejecting it (${sqlstate}: ${message})`,
    });
  }

  private error(operation: Operation, sqlstate: string, message: string): void {
    this.counters.addError(sqlstate, operation.relation);
    if (message !== '')
      this.notice({
        kind: 'error',
        sqlstate,
        relation: operation.relation,
        text: `${message} (lane ${this.lane}, operation ${operation.number})`,
      });
  }
}

/* Which of several errors a cascading DELETE meets first depends on the physical order of rows, not on the lane. */
function reported(operation: Operation, sqlstate: string): string {
  return operation.kind === 'delete' ? 'refused' : sqlstate;
}
