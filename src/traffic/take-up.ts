import type pg from 'pg';
import type { Checkpoint } from '../history/lane-files.js';
import { exceptionOf, type LaneLog, LanePast } from '../history/lane-log.js';
import { repeat } from '../history/repeat.js';
import { barrierOf } from '../history/replay.js';
import { Lane } from '../lane/lane.js';
import { eventsOf } from '../lane/messages/operation.js';
import type { Outcome } from '../lane/messages/outcome.js';
import type { Transaction } from '../lane/messages/transaction.js';
import { SILENT } from '../lane/play.js';
import type { ClaimSet } from '../lane/rows/claims.js';
import type { CompiledPlan } from '../lane/rows/compiled.js';
import type { LaneBarrier } from './blocked-tables.js';
import type { CounterBlock, CounterTotals } from './counters.js';
import { type Found, Frontier } from './frontier.js';
import type { LaneSettings } from './lane-loop.js';
import { LaneSession } from './lane-session.js';
import type { Pacer } from './pacer.js';
import { endBackends, resolveInDoubt } from './recovery.js';
import { connect, WATCHDOG_GRACE_MS, wasReadOnly } from './session.js';
import type { StoredLog } from './stored-log.js';

/** A lane that somebody else has carried before, and what it is carried with from now on. */
export interface Inherited {
  readonly lane: Lane;
  /** Where the lane stands: at its beginning if null. */
  readonly checkpoint: Checkpoint | null;
  /** Its exceptions from there on. */
  readonly past: LanePast;
  readonly compiled: CompiledPlan;
  readonly claims: ClaimSet;
  readonly barrier: LaneBarrier;
  readonly pacer: Pacer | null;
  readonly log: LaneLog;
  /** Null where no other process could continue the lane. */
  readonly stored: StoredLog | null;
  readonly counters: CounterBlock;
  readonly totals: CounterTotals;
  readonly settings: LaneSettings;
  /** True when the run is to end: then the server is waited for no longer. */
  readonly isOver: () => boolean;
}

const RETRY_MS = 500;

/** Brings a lane to where a thread of this process has carried it: its counts are exact. */
export function takeUpFromThread(inherited: Inherited): void {
  const { lane, checkpoint, past, barrier, counters, totals } = inherited;
  const { number } = lane;
  resumePace(inherited);
  barrier.past = past;
  const counts = { sent: totals.laneSent(number), applied: totals.laneApplied(number) };
  counters.setLaneSent(number, repeat(lane, past, counts, checkpoint?.sent ?? 0));
  barrier.past = null;
}

/**
 * Brings a lane to where another process has carried it. Its counts are those of a moment before its end, so the database tells
 * how far it came.
 * @throws Error if the server cannot be asked for as long as an outage may last.
 */
export async function takeUpFromProcess(inherited: Inherited): Promise<void> {
  const found = await asking(inherited, (client) => frontierOf(inherited, client, true));
  await takeUpAt(inherited, found);
}

/**
 * Takes a lane of this process back to what its server has kept of it.
 * @returns false if nothing shows that the server has kept anything since the progress was told: then an older one is needed.
 * @throws Error like `takeUpFromProcess`.
 */
export async function takeBack(inherited: Inherited): Promise<boolean> {
  const { lane, checkpoint, past, log, totals } = inherited;
  const found = await asking(inherited, (client) => frontierOf(inherited, client, false));
  if (!found.isProved && totals.laneApplied(lane.number) > 0) return false;
  const kept = past.below(found.end);
  log.backTo(checkpoint?.operations ?? 0, kept);
  await takeUpAt({ ...inherited, past: LanePast.of(kept) }, found);
  return true;
}

async function takeUpAt(inherited: Inherited, found: Found): Promise<void> {
  const { lane, checkpoint, past, barrier, counters, totals } = inherited;
  const { number } = lane;
  const sent = totals.laneSent(number);
  resumePace(inherited);
  barrier.past = past;
  // What was sent after the last progress had taken its place in the schedule as well.
  const began = (transaction: Transaction, begun: number) => {
    if (begun >= sent) takePlace(inherited, transaction);
  };
  let begun = repeat(lane, past, found, checkpoint?.sent ?? 0, began);
  const ours = new Set<Transaction>();
  const isOpen = ({ number: each, outcome }: Transaction) => each < found.end && outcome === null;
  while (lane.pending.some(isOpen)) {
    await settle(inherited, lane.pending.filter(isOpen), found, ours);
    begun = goOn(lane, past, begun, began);
  }
  barrier.past = null;
  counters.setLaneSent(number, begun);
}

async function frontierOf(
  { lane, checkpoint, past, compiled, claims, totals, settings }: Inherited,
  client: pg.Client,
  trustsLog: boolean,
): Promise<Found> {
  const scout = new Lane(compiled, lane.number, claims, SILENT, barrierOf(past));
  // The state is the other lane's from now on.
  if (checkpoint !== null) scout.restore(structuredClone(checkpoint.state));
  const applied = totals.laneApplied(lane.number);
  const { sinceXid } = settings.incarnation;
  const frontier = new Frontier(scout, compiled, past, { applied, sinceXid, trustsLog });
  return frontier.find(client, compiled.plan.pipelineDepth);
}

/* Before its first operation it stood where a new one does. */
function resumePace({ lane, totals, pacer }: Inherited): void {
  const pace = totals.lanePace(lane.number);
  if (pace.gaps > 0) pacer?.resume(pace);
}

function takePlace({ pacer }: Inherited, transaction: Transaction): void {
  for (const member of transaction.members) pacer?.take(transaction.lasts(member) ? eventsOf(member.operation) : 0);
}

/** Generates as far as the lane goes, without sending anything. Returns the number of operations that were begun, with those before. */
function goOn(
  lane: Lane,
  { end }: LanePast,
  before: number,
  began: (transaction: Transaction, begun: number) => void,
): number {
  let begun = before;
  for (;;) {
    if (end !== null && lane.begun >= end) lane.stop();
    const step = lane.next();
    if (step.kind !== 'send' && step.kind !== 'skipped') return begun;
    if (step.kind === 'skipped') {
      begun++;
      continue;
    }
    const { transaction } = step;
    transaction.sentMs = performance.now();
    if (transaction.sends++ > 0) continue;
    began(transaction, begun);
    begun += transaction.members.length;
  }
}

/**
 * Settles transactions that were executed, or failed. Those that failed are sent again, and from then on they are `ours`. Of those that were
 * executed the tables tell what the server has made for them; the rows of some were changed again meanwhile, which nothing depends on.
 */
async function settle(
  inherited: Inherited,
  pending: readonly Transaction[],
  { failed }: Found,
  ours: Set<Transaction>,
): Promise<void> {
  const { past, compiled, settings, counters } = inherited;
  const unknown = pending.filter((transaction) => !ours.has(transaction) && past.outcomeOf(transaction) === null);
  const resolutions = await asking(inherited, (client) =>
    resolveInDoubt(client, compiled, unknown, settings.incarnation.sinceXid, false),
  );
  const found = new Map(resolutions.map((resolution) => [resolution.transaction, resolution]));
  for (const transaction of pending) {
    const known = ours.has(transaction) ? null : past.outcomeOf(transaction);
    if (known !== null) {
      inherited.lane.settle(transaction, known);
      continue;
    }
    const resolution = found.get(transaction);
    if (resolution === undefined || failed.has(transaction.number)) {
      if (resolution !== undefined) counters.add('inDoubtReplayed', 1);
      ours.add(transaction);
      conclude(inherited, transaction, await execute(inherited, transaction));
    } else {
      const { outcome, proved } = resolution;
      const receipt = past.receiptOf(transaction);
      const isProved = proved || receipt !== null || !transaction.needsReceipt;
      counters.add(isProved ? 'inDoubtCommitted' : 'inDoubtUnknown', 1);
      const told: Outcome = receipt === null ? transaction.intended() : { kind: 'committed', effects: receipt.effects };
      conclude(inherited, transaction, outcome ?? told);
    }
  }
}

function conclude({ lane, log }: Inherited, transaction: Transaction, outcome: Outcome): void {
  const exception = exceptionOf(transaction, outcome);
  if (exception !== null) log.add(exception);
  log.flush();
  lane.settle(transaction, outcome);
}

/** Sends a transaction until it has an outcome. After a lost connection the tables tell whether it has one. */
async function execute(inherited: Inherited, transaction: Transaction): Promise<Outcome> {
  const { compiled, settings, counters } = inherited;
  const { applicationName, connectTimeoutMs, incarnation } = settings;
  for (;;) {
    const sent = await retrying(inherited, () => sendAgain(inherited, transaction));
    if (sent !== null) return sent;
    const [resolution] = await asking(inherited, async (client) => {
      await endBackends(client, [applicationName], connectTimeoutMs);
      return await resolveInDoubt(client, compiled, [transaction], incarnation.sinceXid);
    });
    const { outcome, proved } = resolution!;
    counters.add(!proved ? 'inDoubtUnknown' : outcome === null ? 'inDoubtReplayed' : 'inDoubtCommitted', 1);
    if (outcome !== null) return outcome;
  }
}

/**
 * Sends a transaction once. Returns null if the connection was lost.
 * @throws Error if there is no connection to send it on.
 */
async function sendAgain(
  { settings, compiled, log, stored }: Inherited,
  transaction: Transaction,
): Promise<Outcome | null> {
  const client = await connect(settings.connection, sessionOptions(settings, compiled, true));
  if (wasReadOnly(client)) {
    await client.end().catch(() => undefined);
    throw new Error('the server is read-only');
  }
  const silentMs = settings.statementTimeoutMs === 0 ? null : settings.statementTimeoutMs + WATCHDOG_GRACE_MS;
  let watchdog: NodeJS.Timeout | undefined;
  try {
    return await new Promise<Outcome | null>((resolve) => {
      const session = new LaneSession(client, settings.maxPreparedStatements, {
        onLost: () => resolve(null),
        onReceipt: ({ number, outcomes, receipt }) => {
          log.add(['q', number, outcomes, receipt!.xid!, receipt!.effects]);
          store();
        },
      });
      // An exception is always stored before anything that follows from it.
      const store = () => {
        log.flush();
        stored?.send(session);
      };
      if (silentMs !== null) watchdog = setTimeout(() => session.destroy(), silentMs);
      store();
      session.send(transaction, resolve);
    });
  } finally {
    clearTimeout(watchdog);
    stored?.lost();
    await client.end().catch(() => undefined);
  }
}

/** Asks the server, again and again while it is away. */
function asking<Answer>(inherited: Inherited, ask: (client: pg.Client) => Promise<Answer>): Promise<Answer> {
  const { settings, compiled } = inherited;
  return retrying(inherited, async () => {
    const client = await connect(settings.connection, {
      ...sessionOptions(settings, compiled, false),
      pipeline: true,
    });
    try {
      return await ask(client);
    } finally {
      await client.end().catch(() => undefined);
    }
  });
}

async function retrying<Result>({ settings, isOver }: Inherited, work: () => Promise<Result>): Promise<Result> {
  for (const startMs = performance.now(); ; await new Promise((resolve) => setTimeout(resolve, RETRY_MS))) {
    try {
      return await work();
    } catch (error) {
      if (isOver() || performance.now() - startMs > settings.maxOutageMs) throw error;
    }
  }
}

function sessionOptions(settings: LaneSettings, { plan }: CompiledPlan, pipeline: boolean) {
  const { applicationName, connectTimeoutMs, statementTimeoutMs, lockTimeoutMs } = settings;
  return {
    applicationName: pipeline ? applicationName : `${applicationName}/recovery`,
    connectTimeoutMs,
    statementTimeoutMs,
    lockTimeoutMs,
    isolation: plan.transaction.isolation,
    pipeline,
  };
}
