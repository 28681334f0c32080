import type { Lane } from './lane.js';
import type { Transaction } from './messages/transaction.js';

/** Yields a lane's transactions without a database, each of them committed as intended. */
export function* play(lane: Lane): Generator<Transaction, void> {
  for (;;) {
    const step = lane.next();
    if (step.kind !== 'send') return;
    yield step.transaction;
    lane.settle(step.transaction, step.transaction.intended());
  }
}

/** A ledger that ignores all results. */
export const SILENT = {
  finished: () => undefined,
  retried: () => undefined,
  transactionEnded: () => undefined,
  quarantined: () => undefined,
};
