import { LaneFiles } from '../history/lane-files.js';
import { Lane, type Ledger } from '../lane/lane.js';
import type { Outcome } from '../lane/messages/outcome.js';
import type { Transaction } from '../lane/messages/transaction.js';
import { SILENT } from '../lane/play.js';
import { CompiledPlan } from '../lane/rows/compiled.js';
import type { TrafficOptions } from './coordinator.js';
import { CounterBlock, CounterTotals } from './counters.js';
import { CountingLedger } from './ledger.js';
import { applicationName, type WorkerTask } from './message.js';
import { endBackends, resolveInDoubt } from './recovery.js';
import { connect } from './session.js';

/**
 * Exact counts after the death of a thread whose lanes nobody carries on: they are pure, so what they had in flight is
 * generated again and looked up in the database. Where a lane's course depended on refusals it is counted as unknown.
 */
export async function settleLostLanes(
  options: TrafficOptions,
  task: WorkerTask,
  memory: SharedArrayBuffer,
): Promise<void> {
  const { plan } = options;
  const lanes = plan.quotas.length;
  const counters = new CounterBlock(memory, plan.relations.length, lanes, task.worker);
  const totals = new CounterTotals(memory, plan.relations.length, lanes);
  const client = await connect(options.connection, {
    applicationName: `eventgen/${options.runId}/recovery`,
    connectTimeoutMs: options.timeouts.connect,
    statementTimeoutMs: options.timeouts.statement,
    lockTimeoutMs: options.timeouts.lock,
    pipeline: false,
  });
  try {
    await endBackends(
      client,
      task.lanes.map((lane) => applicationName(options.runId, lane)),
      options.timeouts.connect,
    );
    const compiled = new CompiledPlan(plan);
    // Read before anything is counted here, because operations without effect are counted as failed.
    const isUncertain =
      totals.hasExceptions(task.worker) || plan.rowSelection === 'system_rows' || options.past !== null;
    for (const lane of task.lanes) {
      const applied = totals.laneApplied(lane);
      const inFlight = totals.laneSent(lane) - applied;
      if (inFlight === 0) continue;
      if (isUncertain) {
        counters.add('inDoubtUnknown', inFlight);
        continue;
      }
      const ledger = new CountingLedger(counters, lane, options.notice);
      const pending = replay(compiled, lane, task, applied, inFlight);
      restoreReceipts(pending, totals.laneReceipt(lane));
      for (const { transaction, outcome, proved } of await resolveInDoubt(
        client,
        compiled,
        pending,
        options.incarnation.sinceXid,
      )) {
        counters.add(!proved ? 'inDoubtUnknown' : outcome === null ? 'inDoubtReplayed' : 'inDoubtCommitted', 1);
        count(transaction, outcome, applied, ledger);
      }
    }
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Counts what became of a transaction. `applied`: the operations of its lane that are counted already. */
function count(transaction: Transaction, outcome: Outcome | null, applied: number, ledger: Ledger): void {
  for (const [index, member] of transaction.members.entries()) {
    const { operation } = member;
    // The thread may have died while counting the members of the transaction.
    if (operation.number < applied) continue;
    if (outcome?.kind !== 'committed') ledger.finished(operation, { kind: 'failed', sqlstate: '08006', message: '' });
    else if (transaction.lasts(member))
      ledger.finished(operation, { kind: 'committed', effect: outcome.effects[index]! });
    else ledger.finished(operation, { kind: 'rolledBack' });
  }
  ledger.transactionEnded(outcome === null ? 'refused' : 'committed');
}

/** Restores receipts: the last one, and earlier ones, whose transactions had been answered when the last one came. */
function restoreReceipts(pending: readonly Transaction[], last: { operation: number; xid: string } | null): void {
  for (const transaction of pending) {
    const { number } = transaction.members[0]!.operation;
    if (last === null || !transaction.needsReceipt || number > last.operation) continue;
    const { effects } = transaction.intended();
    transaction.receipt = { xid: number === last.operation ? last.xid : null, effects };
  }
}

/** Returns the transactions that a lane had in flight after so many operations, if all of them went as intended. */
function replay(
  compiled: CompiledPlan,
  number: number,
  { claims, logFolder }: WorkerTask,
  applied: number,
  inFlight: number,
): Transaction[] {
  const lane = new Lane(compiled, number, claims, SILENT);
  const checkpoint = logFolder === null ? null : (new LaneFiles(logFolder, number).read(applied)?.checkpoint ?? null);
  if (checkpoint !== null) lane.restore(checkpoint.state);
  const pending: Transaction[] = [];
  for (let done = 0; done < applied + inFlight; ) {
    const step = lane.next();
    if (step.kind !== 'send') break;
    const { transaction } = step;
    done = transaction.members[transaction.members.length - 1]!.operation.number + 1;
    if (done > applied) pending.push(transaction);
    else lane.settle(transaction, transaction.intended());
  }
  return pending;
}
