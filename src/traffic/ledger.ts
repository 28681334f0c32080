import type { Ledger, Result, Retry } from '../lane/lane.js';
import type { Transaction } from '../lane/transaction.js';
import type { OperationKind } from '../plan/plan.js';
import type { CounterBlock } from './counters.js';

/** Something to show the user, once per kind. */
export type Notice = (notice: {
  readonly sqlstate: string;
  readonly relation: number;
  readonly text: string;
  readonly kind: 'error' | 'quarantine' | 'outage';
}) => void;

const RETRY_FIELDS = { values: 'retriesValues', transient: 'retriesTransient', vacant: 'retriesVacant' } as const;

/** Counts what a lane tells. One writer per block: lanes of one thread share it. */
export class CountingLedger implements Ledger {
  private readonly counters: CounterBlock;
  private readonly notice: Notice;
  private readonly lane: number;

  constructor(counters: CounterBlock, lane: number, notice: Notice) {
    this.counters = counters;
    this.lane = lane;
    this.notice = notice;
  }

  finished(transaction: Transaction, result: Result): void {
    const { counters } = this;
    const { relation, kind } = transaction;
    counters.laneApplied(this.lane);
    if (result.kind === 'committed') {
      counters.addTable(relation, kind, 'committed', 1);
      counters.add('transactionsCommitted', 1);
      if (kind !== transaction.drawn) counters.addTable(relation, transaction.drawn, 'substituted', 1);
      for (const [index, statement] of transaction.statements.entries()) {
        const rows = result.rows[index]!;
        counters.addTable(statement.relation, statement.kind, 'rows', rows);
        if (rows < statement.rows && statement.slots.length > 0) counters.add('vanishedRows', statement.rows - rows);
        if (statement.shape.reportsMove && result.returned[index]?.[0]?.at(-1) === 'true')
          counters.addTable(statement.relation, 'update', 'moved', 1);
        for (const { relation, slots } of statement.also) counters.addTable(relation, 'insert', 'rows', slots.length);
        if (statement.cascade === null || rows === 0) continue;
        for (const row of statement.cascade.deleted) counters.addTable(row.relation, 'delete', 'cascaded', 1);
        for (const row of statement.cascade.nulled) counters.addTable(row.relation, 'update', 'cascaded', 1);
      }
      return;
    }
    counters.addTable(relation, kind, result.kind, 1);
    counters.laneException(
      this.lane,
      `${transaction.number}/${transaction.attempt}/${result.kind}/${reported(transaction, result.sqlstate)}`,
    );
    counters.add('transactionsRolledBack', 1);
    this.error(transaction, result.sqlstate, result.message);
  }

  retried(transaction: Transaction, retry: Retry): void {
    this.counters.addTable(transaction.relation, transaction.kind, RETRY_FIELDS[retry.reason], 1);
    if (retry.reason === 'values')
      this.counters.laneException(
        this.lane,
        `${transaction.number}/${transaction.attempt}/${reported(transaction, retry.sqlstate)}`,
      );
    if (retry.reason === 'vacant') return;
    this.counters.add('transactionsRolledBack', 1);
    this.error(transaction, retry.sqlstate, retry.message);
  }

  quarantined(relation: number, kind: OperationKind, sqlstate: string, message: string): void {
    this.counters.add('quarantined', 1);
    this.notice({
      kind: 'quarantine',
      sqlstate,
      relation,
      text: `${kind.toUpperCase()} set aside in lane ${this.lane} after repeated refusals (${sqlstate}: ${message})`,
    });
  }

  private error(transaction: Transaction, sqlstate: string, message: string): void {
    this.counters.addError(sqlstate, transaction.relation);
    if (message !== '')
      this.notice({
        kind: 'error',
        sqlstate,
        relation: transaction.relation,
        text: `${message} (lane ${this.lane}, operation ${transaction.number})`,
      });
  }
}

/* Which of several refusals a cascading DELETE meets first depends on the order in which rows lie, not on the lane. */
function reported(transaction: Transaction, sqlstate: string): string {
  return transaction.kind === 'delete' ? 'refused' : sqlstate;
}
