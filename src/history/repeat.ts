import type { Lane, Ledger } from '../lane/lane.js';
import type { Transaction } from '../lane/messages/transaction.js';
import type { LanePast } from './lane-log.js';

/* Earlier than every time on the clock of the new thread, which begins at 0. */
const LONG_AGO = 1e12;

/** How far a lane was. */
export type Extent =
  /** So many operations had been sent, and the outcomes of so many were applied. */
  | { readonly sent: number; readonly applied: number }
  /** Every transaction below this number had been executed; those behind it may have been sent. */
  | { readonly before: number };

/**
 * Repeats a lane's course without a database, up to where it was. What was in flight is pending again, without an outcome.
 * `sentBefore`: operations that had been sent where the lane begins. `began` is told of every transaction when it is sent for the first time. Returns how many operations were sent.
 */
export function repeat(
  lane: Lane,
  past: LanePast,
  extent: Extent,
  sentBefore: number,
  began: (transaction: Transaction, begun: number) => void = () => undefined,
): number {
  let begun = sentBefore;
  let sends = 0;
  for (;;) {
    // What is known of the oldest one may have been dealt with already.
    const [oldest] = lane.pending;
    const isKnown = oldest !== undefined && (oldest.outcome ?? past.outcomeOf(oldest)) !== null;
    if ('sent' in extent && lane.operations >= extent.applied && begun >= extent.sent && !isKnown) break;
    if (past.end !== null && lane.begun >= past.end) lane.stop();
    const step = lane.next();
    if (step.kind === 'done') break;
    if (step.kind === 'skipped') begun++;
    else if (step.kind === 'send') {
      const { transaction } = step;
      if (transaction.sends++ === 0) {
        began(transaction, begun);
        begun += transaction.members.length;
      }
      // They went out in this order; what is sent again goes out after its successors.
      transaction.sentMs = ++sends - LONG_AGO;
    } else {
      // It may have been settled before, and applied now.
      const next = lane.pending[0]!;
      const known = past.outcomeOf(next);
      const isThere = 'before' in extent ? next.number >= extent.before : lane.operations >= extent.applied;
      if (known === null && isThere) break;
      const receipt = past.receiptOf(next);
      const committed = receipt === null ? next.intended() : { kind: 'committed' as const, effects: receipt.effects };
      lane.settle(next, known ?? committed);
    }
  }
  for (const transaction of lane.pending) {
    const known = past.outcomeOf(transaction);
    if (known === null) transaction.receipt = past.receiptOf(transaction);
    else if (transaction.outcome === null) lane.settle(transaction, known);
  }
  return begun;
}

/** Keeps what a lane tells to itself while it repeats what it has told before. */
export class RepeatingLedger implements Ledger {
  private readonly ledger: Ledger;
  private told: number;

  /** `told`: how often the lane told something the first time. */
  constructor(ledger: Ledger, told: number) {
    this.ledger = ledger;
    this.told = told;
  }

  finished(...told: Parameters<Ledger['finished']>): void {
    if (this.isNew()) this.ledger.finished(...told);
  }

  retried(...told: Parameters<Ledger['retried']>): void {
    if (this.isNew()) this.ledger.retried(...told);
  }

  transactionEnded(...told: Parameters<Ledger['transactionEnded']>): void {
    if (this.isNew()) this.ledger.transactionEnded(...told);
  }

  quarantined(...told: Parameters<Ledger['quarantined']>): void {
    if (this.isNew()) this.ledger.quarantined(...told);
  }

  private isNew(): boolean {
    if (this.told === 0) return true;
    this.told--;
    return false;
  }
}
