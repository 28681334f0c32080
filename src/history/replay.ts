import type { Barrier, Lane } from '../lane/lane.js';
import type { Outcome } from '../lane/messages/outcome.js';
import type { Transaction } from '../lane/messages/transaction.js';
import type { LanePast } from './lane-log.js';

/**
 * A lane's transactions without a database, in the order in which they are sent: each of them with the outcome that its past
 * knows, or committed as intended. A transaction that was refused comes again.
 */
export function* replay(lane: Lane, past?: LanePast): Generator<Transaction, void> {
  for (;;) {
    if (past !== undefined && past.end !== null && lane.begun >= past.end) lane.stop();
    const step = lane.next();
    if (step.kind === 'skipped') continue;
    if (step.kind !== 'send') return;
    yield step.transaction;
    lane.settle(step.transaction, outcomeOf(step.transaction, past));
  }
}

/** What became of a transaction. */
export function outcomeOf(transaction: Transaction, past?: LanePast): Outcome {
  const known = past?.outcomeOf(transaction) ?? null;
  const receipt = past?.receiptOf(transaction) ?? null;
  if (known !== null) return known;
  return receipt === null ? transaction.intended() : { kind: 'committed', effects: receipt.effects };
}

/** Skips what a lane has skipped. */
export function barrierOf(past?: LanePast): Barrier {
  return { bars: (operation, outcomes) => past?.skips(operation, outcomes) ?? false };
}
