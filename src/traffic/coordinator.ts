import { availableParallelism } from 'node:os';
import { MessageChannel } from 'node:worker_threads';
import type { ConnectionSettings } from '../config/connection.js';
import { Lane } from '../lane/lane.js';
import type { Transaction } from '../lane/messages/transaction.js';
import { SILENT } from '../lane/play.js';
import type { Claims } from '../lane/rows/claims.js';
import { CompiledPlan } from '../lane/rows/compiled.js';
import type { Plan } from '../plan/plan.js';
import { BlockedTables } from './blocked-tables.js';
import { Control } from './control.js';
import { allocateCounters, CounterBlock, CounterTotals } from './counters.js';
import type { Incarnation } from './incarnation.js';
import type { LaneEnd } from './lane-loop.js';
import { CountingLedger, type Notice, type Told } from './ledger.js';
import { applicationName, type WorkerResult, type WorkerTask } from './message.js';
import type { Pacing } from './pacer.js';
import { endBackends, resolveInDoubt } from './recovery.js';
import { connect } from './session.js';
import type { Workers } from './workers.js';

export interface TrafficOptions {
  readonly plan: Plan;
  readonly claims: readonly Claims[];
  readonly connection: ConnectionSettings;
  readonly workers: Workers;
  readonly runId: string;
  readonly timeouts: { readonly connect: number; readonly statement: number; readonly lock: number };
  readonly maxOutageMs: number;
  readonly maxPreparedStatements: number;
  /** The server at the run's beginning. */
  readonly incarnation: Incarnation;
  readonly waitAfterOperations: number;
  readonly waitMs: number;
  readonly pacing: Pacing | null;
  readonly warmUpMs: number;
  readonly lateAfterMs: number;
  readonly notice: Notice;
}

/** How the traffic ended, the gravest end of all lanes. */
export type TrafficEnd =
  | { readonly kind: 'finished' }
  | { readonly kind: 'starved'; readonly lanes: number }
  | { readonly kind: 'outage' | 'refused' | 'crashed'; readonly message: string };

/** Traffic under way. */
export interface Traffic {
  readonly totals: CounterTotals;
  readonly workers: number;
  /** No new operations; what is in flight finishes. */
  stop(): void;
  /** What is in flight has had its time: nothing is sent again. */
  cut(): void;
  /** True where operations in flight were given up. */
  readonly wasCut: boolean;
  /** Ends the threads, whatever they do. */
  endThreads(): Promise<void>;
  readonly ended: Promise<TrafficEnd>;
  /** Tables that are found to be blocked are noted here. */
  readonly blocked: BlockedTables;
  /** Milliseconds since all lanes were connected; negative while they are not. */
  elapsedMs(): number;
  /** The worker threads, for a test that ends one. */
  readonly threads: readonly { terminate(): Promise<number> }[];
}

/** Workers of `auto`: one per core, never more than there are lanes. */
export function workerCount(setting: number | 'auto', lanes: number): number {
  return Math.min(lanes, setting === 'auto' ? availableParallelism() : setting);
}

/** Starts one long task per worker thread. Lanes are dealt out in turn; their number is the plan's, never the workers'. */
export function startTraffic(options: TrafficOptions): Traffic {
  const { plan } = options;
  const { count: workers, threads } = options.workers;
  const lanes = plan.quotas.length;
  const memory = allocateCounters(plan.relations.length, lanes, workers);
  const control = new Control(options.waitAfterOperations, options.waitMs);
  control.reset();
  const blocked = new BlockedTables(plan.relations.length);
  const run = async (worker: number): Promise<LaneEnd[]> => {
    const { port1, port2 } = new MessageChannel();
    port1.on('message', (message: Told) => options.notice(message));
    port1.unref();
    const task: WorkerTask = {
      worker,
      lanes: Array.from({ length: lanes }, (_, lane) => lane).filter((lane) => lane % workers === worker),
      plan,
      claims: options.claims,
      settings: {
        connection: { ...options.connection, searchPath: plan.searchPath ?? undefined },
        connectTimeoutMs: options.timeouts.connect,
        statementTimeoutMs: options.timeouts.statement,
        lockTimeoutMs: options.timeouts.lock,
        maxOutageMs: options.maxOutageMs,
        maxPreparedStatements: options.maxPreparedStatements,
        incarnation: options.incarnation,
        warmUpMs: options.warmUpMs,
        lateAfterMs: options.lateAfterMs,
      },
      runId: options.runId,
      counters: memory,
      control: control.memory,
      blocked: blocked.memory,
      waitAfterOperations: options.waitAfterOperations,
      waitMs: options.waitMs,
      pacing: options.pacing,
      notices: port2,
    };
    try {
      const result = (await options.workers.run(task, port2)) as WorkerResult;
      for (const { end } of result.ends) if (end.kind !== 'finished' && end.kind !== 'starved') control.stop();
      return result.ends.map(({ end }) => end);
    } catch (error) {
      // The thread is gone: crash, exit or out of memory. The others finish what they have in flight.
      control.stop();
      await settleLostLanes(options, task, memory).catch((failure: Error) =>
        options.notice({
          kind: 'server',
          text: `what worker ${worker} had in flight could not be looked up: ${failure.message}`,
        }),
      );
      return [
        { kind: 'crashed', message: `worker ${worker} ended: ${(error as Error).message}` } as unknown as LaneEnd,
      ];
    } finally {
      port1.close();
    }
  };
  const ended = Promise.all(Array.from({ length: workers }, (_, worker) => run(worker))).then(async (ends) => {
    await options.workers.end();
    return gravest(ends.flat());
  });
  return {
    totals: new CounterTotals(memory, plan.relations.length, lanes, workers),
    workers,
    stop: () => control.stop(),
    cut: () => control.cut(),
    get wasCut() {
      return control.isCut;
    },
    endThreads: () => options.workers.end(),
    ended,
    blocked,
    elapsedMs: () => control.elapsedMs(),
    threads,
  };
}

function gravest(ends: readonly (LaneEnd | { kind: 'crashed'; message: string })[]): TrafficEnd {
  for (const kind of ['crashed', 'refused', 'outage'] as const) {
    const found = ends.find((end) => end.kind === kind);
    if (found !== undefined && 'message' in found) return { kind, message: found.message };
  }
  const starved = ends.filter((end) => end.kind === 'starved').length;
  return starved > 0 ? { kind: 'starved', lanes: starved } : { kind: 'finished' };
}

/**
 * Exact counts after a thread's death: its lanes are pure, so what they had in flight is generated again and looked up
 * in the database. Where a lane's course depended on refusals, which died with the thread, it is counted as unknown.
 */
async function settleLostLanes(options: TrafficOptions, task: WorkerTask, memory: SharedArrayBuffer): Promise<void> {
  const { plan } = options;
  const lanes = plan.quotas.length;
  const counters = new CounterBlock(memory, plan.relations.length, lanes, task.worker);
  const totals = new CounterTotals(memory, plan.relations.length, lanes, options.workers.count);
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
    // Asked before anything is counted here: what had no effect is counted as failed.
    const isUncertain = totals.hasExceptions(task.worker) || plan.rowSelection === 'system_rows';
    for (const lane of task.lanes) {
      const applied = totals.laneApplied(lane);
      const inFlight = totals.laneSent(lane) - applied;
      if (inFlight === 0) continue;
      if (isUncertain) {
        counters.add('inDoubtUnknown', inFlight);
        continue;
      }
      const ledger = new CountingLedger(counters, lane, options.notice);
      const pending = replay(compiled, lane, task.claims, applied, inFlight);
      restoreReceipts(pending, totals.laneReceipt(lane));
      for (const { transaction, outcome, proved } of await resolveInDoubt(
        client,
        compiled,
        pending,
        options.incarnation.sinceXid,
      )) {
        counters.add(!proved ? 'inDoubtUnknown' : outcome === null ? 'inDoubtReplayed' : 'inDoubtCommitted', 1);
        for (const [index, member] of transaction.members.entries()) {
          const { operation } = member;
          // The thread may have died while it counted the transaction's members.
          if (operation.number < applied) continue;
          if (outcome?.kind !== 'committed')
            ledger.finished(operation, { kind: 'failed', sqlstate: '08006', message: '' });
          else if (transaction.lasts(member))
            ledger.finished(operation, { kind: 'committed', effect: outcome.effects[index]! });
          else ledger.finished(operation, { kind: 'rolledBack' });
        }
        ledger.transactionEnded(outcome === null ? 'refused' : 'committed');
      }
    }
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Receipts as far as they matter: the last one, and those before it, whose transactions had been answered when it came. */
function restoreReceipts(pending: readonly Transaction[], last: { operation: number; xid: string } | null): void {
  for (const transaction of pending) {
    const { number } = transaction.members[0]!.operation;
    if (last === null || !transaction.needsReceipt || number > last.operation) continue;
    const { effects } = transaction.intended();
    transaction.receipt = { xid: number === last.operation ? last.xid : null, effects };
  }
}

/** The transactions that a lane had in flight when it had applied so many operations, all of them as intended. */
function replay(
  compiled: CompiledPlan,
  number: number,
  claims: readonly Claims[],
  applied: number,
  inFlight: number,
): Transaction[] {
  const lane = new Lane(compiled, number, claims, SILENT);
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
