import { performance } from 'node:perf_hooks';
import type pg from 'pg';
import { type ConnectionSettings, spreadOut } from '../config/connection.js';
import { exceptionOf, type LaneLog } from '../history/lane-log.js';
import type { Lane } from '../lane/lane.js';
import { eventsOf, isTogether } from '../lane/messages/operation.js';
import type { Effect, Outcome } from '../lane/messages/outcome.js';
import type { Transaction } from '../lane/messages/transaction.js';
import type { CompiledPlan } from '../lane/rows/compiled.js';
import type { BlockedTables } from './blocked-tables.js';
import type { Control } from './control.js';
import type { CounterBlock } from './counters.js';
import { rowsThere } from './evidence.js';
import { type Incarnation, readIncarnation } from './incarnation.js';
import { LaneSession } from './lane-session.js';
import { LaneTime } from './lane-time.js';
import type { Notice } from './ledger.js';
import type { Pacer } from './pacer.js';
import { sharedSessions } from './pooler.js';
import { endBackend, endBackends, resolveInDoubt } from './recovery.js';
import { connect, isFinal, type SessionOptions, WATCHDOG_GRACE_MS, wasReadOnly } from './session.js';
import type { StoredLog } from './stored-log.js';

/** Settings of the loop that runs a lane. */
export interface LaneSettings {
  readonly connection: ConnectionSettings;
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  readonly maxOutageMs: number;
  readonly maxPreparedStatements: number;
  /** The server as it was when the run began. */
  readonly incarnation: Incarnation;
  /** True if the lanes can be taken back to what a server has kept. */
  readonly mayTakeBack: boolean;
  /** Operations scheduled before this are counted as warm-up. */
  readonly warmUpMs: number;
  readonly lateAfterMs: number;
  /** How many lanes this process runs. The last of them to connect starts the clock. */
  readonly carriedLanes: number;
}

/** The objects that a lane's loop works with. */
interface Surroundings {
  readonly control: Control;
  readonly counters: CounterBlock;
  readonly notice: Notice;
  /** Null: as fast as possible. */
  readonly pacer: Pacer | null;
  readonly blocked: BlockedTables;
  readonly log: LaneLog;
  /** Where the log goes into the database; null where no other process could go on with it. */
  readonly stored: StoredLog | null;
}

/** How a lane ended. */
export type LaneEnd =
  | { readonly kind: 'finished' }
  /** No table had a row to change or room for a new one. */
  | { readonly kind: 'starved' }
  | { readonly kind: 'outage'; readonly message: string }
  /** The server rejects the connection permanently: wrong database, password or privileges. */
  | { readonly kind: 'refused'; readonly message: string }
  /** The server may have lost what it had acknowledged: all lanes are taken back to what it has kept. */
  | { readonly kind: 'changed'; readonly incarnation: Incarnation }
  /** What was remembered of the lane is too new to be taken back to. */
  | { readonly kind: 'unsure' };

/** The lane ends, because its server may have lost what it had acknowledged. */
class ServerChanged extends Error {
  readonly incarnation: Incarnation;

  constructor(incarnation: Incarnation) {
    super('the server has changed');
    this.incarnation = incarnation;
  }
}

/** The server process of the lane's lost session: its process id, or `unknown` if a thread died with it. */
type LostProcess = number | 'unknown' | null;

/* The pipeline is refilled when half of it is free. In a deep one, eight operations keep the server busy for a tick. */
const MOST_ENOUGH = 8;
/* Interval at which a lane checks whether all others are connected. */
const START_POLL_MS = 2;
/* Back-off between attempts to reconnect. */
const FIRST_BACKOFF_MS = 50;
const LONGEST_BACKOFF_MS = 2000;
/* A stop that is cut short ends the sessions within this time. */
const MOST_CUT_SECONDS = 8;

/* If an answer takes longer, it is worth finding out what it waits for. */
const STALLED_MS = 400;
/* A statement is cancelled only if it has waited longer. */
const WAITED_MS = 50;
const HELD_LOOK_MS = 50;
const CALLED_BACK: readonly string[] = ['55P03', '57014'];
const NO_ROOM = '53100';
/* After so many skipped operations in a row, a lane waits SKIPPING_MS between them. */
const MOST_SKIPPED = 16;
const SKIPPING_MS = 1000;

const CANCELLED: Outcome = {
  kind: 'refused',
  sqlstate: '57014',
  message: 'cancelled because the run was stopped and timeouts.stop had passed',
  constraint: null,
  detail: null,
  table: null,
  context: null,
  member: -1,
};

/* Signs of a pooler that shares sessions: a statement that we prepared is missing, or one exists that we did not. */
const STATEMENT_NAMES: readonly string[] = ['26000', '42P05'];

/** Runs one lane on one connection at a time: sends, receives, reconnects. The lane itself decides on operations. */
export class LaneLoop {
  private readonly lane: Lane;
  private readonly compiled: CompiledPlan;
  private readonly settings: LaneSettings;
  private readonly control: Control;
  private readonly counters: CounterBlock;
  private readonly notice: Notice;
  private readonly pacer: Pacer | null;
  private readonly blocked: BlockedTables;
  private readonly log: LaneLog;
  private readonly stored: StoredLog | null;
  /** What is pending was sent by another process, whose receipts are not known. */
  private isInherited = false;
  /** Operations given up since one was sent. */
  private skipped = 0;
  private session: LaneSession | null = null;
  private scheduled = false;
  private previousDoneMs = 0;
  /** Transactions sent and not yet answered, and how many of them keep the server busy until the next tick. */
  private unanswered = 0;
  private readonly enough: number;
  private lastAnswerMs = 0;
  /** The time since which no connection has answered. */
  private lostSinceMs = performance.now();
  private answered = false;
  /** Set while a timer will wake the lane, and when that is. */
  private waking: NodeJS.Timeout | undefined;
  private wakeMs = 0;
  /** On a schedule: when the next operation is due. */
  private dueMs = 0;
  private readonly time: LaneTime;
  private wasConnected = false;
  /** True if the loss of the connection has been reported. */
  private isLost = false;
  private cutSeconds = 0;
  private isStopped = false;
  /** Identifies the server that the lane was connected to last. */
  private incarnation: string;
  private end: (end: LaneEnd) => void = () => undefined;
  private readonly ended: Promise<LaneEnd>;

  constructor(
    lane: Lane,
    compiled: CompiledPlan,
    settings: LaneSettings,
    { control, counters, notice, pacer, blocked, log, stored }: Surroundings,
  ) {
    this.lane = lane;
    this.compiled = compiled;
    this.enough = Math.min(compiled.plan.pipelineDepth >> 1, MOST_ENOUGH);
    this.settings = { ...settings, connection: spreadOut(settings.connection, lane.number) };
    this.incarnation = settings.incarnation.name;
    this.control = control;
    this.counters = counters;
    this.time = new LaneTime(counters);
    this.notice = notice;
    this.pacer = pacer;
    this.blocked = blocked;
    this.log = log;
    this.stored = stored;
    this.ended = new Promise((resolve) => {
      this.end = resolve;
    });
  }

  /** Runs the lane to its end. `before`: who has carried it before, and is gone; null: nobody. */
  async run(before: 'thread' | 'process' | null): Promise<LaneEnd> {
    this.isInherited = before === 'process';
    // To take it up may have taken long.
    this.lostSinceMs = performance.now();
    const startMs = performance.now();
    this.time.begin('laneMs', startMs);
    // What was in flight when its carrier died: when it was due is not known here.
    for (const transaction of this.lane.pending) transaction.scheduledMs = startMs;
    const watchdog = setInterval(() => this.watch(), 1000);
    try {
      await this.reconnect(before === null ? null : 'unknown');
      const end = await this.ended;
      // The lane no longer waits for a connection.
      if (this.isLost && end.kind !== 'outage') this.notice({ kind: 'connected', lane: this.lane.number });
      return end;
    } finally {
      clearInterval(watchdog);
      const endMs = performance.now();
      for (const state of ['laneMs', 'inFlightMs', 'pausedMs'] as const) this.time.end(state, endMs);
      const session = this.session;
      if (session !== null) this.storeLog(session);
      this.disconnected();
      // An outage of the other lanes must not wait for this one.
      this.unanswer();
      this.counters.add('lanesEnded', 1);
      // Another process may have to go on from here.
      if (session !== null) await this.stored?.settle();
      await session?.close();
    }
  }

  /** Checks the stop flag and the pause; called periodically, since nothing else may wake the lane. */
  wake(): void {
    this.schedule();
  }

  /** Updates the counts of how the lane spends its time. Returns true if an answer is overdue. */
  sample(): boolean {
    const nowMs = performance.now();
    this.time.bringUpToDate(nowMs);
    if (this.unanswered === 0 || this.session === null) return false;
    const waiting = this.lane.pending.find(({ outcome }) => outcome === null);
    return waiting !== undefined && nowMs - Math.max(this.lastAnswerMs, waiting.sentMs) > STALLED_MS;
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.tick();
    });
  }

  /**
   * Refills the pipeline: sends everything that may be sent now in one write. While enough is still in flight
   * the server has work, and waiting makes the next write a larger one: a write costs more than an operation.
   */
  private tick(): void {
    const { session } = this;
    if (session === null) return;
    if (!this.isPaced && this.unanswered > this.enough && !this.control.stopped) return;
    session.cork();
    // Before any outcome is applied.
    this.storeLog(session);
    try {
      while (this.session === session) {
        if (this.control.isCut) this.lane.cut();
        else if (this.control.isTakenBack) this.lane.suspend();
        else if (this.control.stopped) this.stopLane(this.stored !== null);
        else if (this.pausing() || this.isEarly()) break;
        const step = this.lane.next();
        if (step.kind === 'wait') break;
        if (step.kind === 'skipped') {
          if (this.skip()) continue;
          break;
        }
        if (step.kind === 'done') {
          this.end({ kind: step.starved ? 'starved' : 'finished' });
          break;
        }
        if (step.delayMs === 0) this.send(step.transaction);
        else {
          // After reconnecting, everything pending has already been sent.
          setTimeout(() => {
            if (this.session === session) this.send(step.transaction);
          }, step.delayMs);
        }
      }
    } finally {
      session.uncork();
    }
  }

  /** Waits until stored exceptions are durable, before anything is sent that depends on them. */
  private storeLog(session: LaneSession): void {
    this.log.flush();
    this.stored?.send(session);
  }

  /** True where a schedule says when operations are due. */
  private get isPaced(): boolean {
    return this.pacer !== null && !this.pacer.isUnlimited;
  }

  /** True if the next operation is not due yet; then a timer wakes the lane in time. */
  private isEarly(): boolean {
    const { pacer, control } = this;
    if (pacer === null || this.lane.ending) return false;
    const elapsedMs = control.elapsedMs();
    if (elapsedMs >= 0) {
      this.giveUpArrivals();
      this.dueMs = pacer.due(elapsedMs / 1000) * 1000;
      if (this.dueMs <= elapsedMs || this.dueMs === Number.POSITIVE_INFINITY) {
        this.time.end('pausedMs', performance.now());
        return false;
      }
    }
    this.time.begin('pausedMs', performance.now());
    this.wakeIn(elapsedMs < 0 ? START_POLL_MS : this.dueMs - elapsedMs);
    return true;
  }

  /** `mayGoOn`: another process may carry the lane on; then this is not where its course ends. */
  private stopLane(mayGoOn: boolean): void {
    if (mayGoOn) {
      this.lane.suspend();
      return;
    }
    if (!this.isStopped && !this.lane.isSuspended) {
      this.log.add(['e', this.lane.begun]);
      this.log.flush();
    }
    this.isStopped = true;
    this.lane.stop();
  }

  private wakeIn(ms: number): void {
    const wakeMs = performance.now() + Math.min(ms, 1000);
    // A higher rate makes the next operation due earlier.
    if (this.waking !== undefined && wakeMs >= this.wakeMs) return;
    clearTimeout(this.waking);
    this.wakeMs = wakeMs;
    this.waking = setTimeout(
      () => {
        this.waking = undefined;
        this.schedule();
      },
      Math.min(ms, 1000),
    );
  }

  /** True if nothing is due any more: then a pause does not keep the run from its end. */
  private isScheduleOver(): boolean {
    const elapsedMs = this.control.elapsedMs();
    return this.pacer !== null && elapsedMs >= 0 && this.pacer.due(elapsedMs / 1000) === Number.POSITIVE_INFINITY;
  }

  private pausing(): boolean {
    const pauseMs = this.control.pauseMs();
    if (pauseMs <= 0 || this.isScheduleOver()) {
      // On a schedule the next operation may not be due yet, which counts as a pause as well.
      if (!this.isPaced) this.time.end('pausedMs', performance.now());
      return false;
    }
    this.time.begin('pausedMs', performance.now());
    // Operations that fall due during the pause are counted, even if the run ends before the pause.
    this.giveUpArrivals();
    this.wakeIn(pauseMs);
    return true;
  }

  /** Counts a skipped operation. Returns false if many were skipped in a row, so the lane should wait. */
  private skip(): boolean {
    this.counters.laneSent(this.lane.number);
    this.control.operationSent();
    if (this.pacer !== null) {
      this.pacer.take(0);
      this.notePace(this.pacer);
    }
    if (this.isPaced || ++this.skipped <= MOST_SKIPPED) return true;
    this.wakeIn(SKIPPING_MS);
    return false;
  }

  private send(transaction: Transaction): void {
    const { session } = this;
    // While there is no connection, recovery sends what is pending.
    if (session === null) return;
    const nowMs = performance.now();
    transaction.sentMs = nowMs;
    if (transaction.sends++ === 0) {
      transaction.scheduledMs = this.scheduledMs(transaction, nowMs);
      for (const _ of transaction.members) {
        this.counters.laneSent(this.lane.number);
        this.control.operationSent();
      }
    }
    this.unanswered++;
    this.skipped = 0;
    this.time.begin('inFlightMs', nowMs);
    session.send(transaction, (outcome) =>
      this.nameVanished(session, transaction, outcome, () => this.settle(transaction, outcome)),
    );
  }

  /**
   * Of rows that others have deleted the server tells how many an UPDATE of several has missed; which ones is asked. Where
   * the connection is lost meanwhile, the answer that has come counts.
   */
  private nameVanished(session: LaneSession, transaction: Transaction, outcome: Outcome, named: () => void): void {
    const short = outcome.kind === 'committed' ? this.shortUpdates(transaction, outcome.effects) : [];
    if (short.length > 0) transaction.answer = outcome;
    const next = () => {
      const each = short.shift();
      if (each === undefined) {
        transaction.answer = null;
        named();
        return;
      }
      session.ask(each.question, (there) => {
        each.effect.returned[each.at] = there;
        next();
      });
    };
    next();
  }

  private shortUpdates({ members }: Transaction, effects: readonly Effect[]) {
    return members.flatMap(({ operation }, index) => {
      const effect = effects[index]! as { rows: readonly number[]; returned: (string[][] | null)[] };
      return operation.statements.flatMap((statement, at) =>
        isTogether(statement) && effect.rows[at] !== statement.rows
          ? { effect, at, question: rowsThere(this.compiled, operation.bytes, statement) }
          : [],
      );
    });
  }

  /** Returns when a transaction's first operation was due, on this thread's clock; without a schedule, now. */
  private scheduledMs(transaction: Transaction, nowMs: number): number {
    if (this.pacer === null) return nowMs;
    const scheduledMs = nowMs - (this.control.elapsedMs() - this.dueMs);
    for (const member of transaction.members)
      this.pacer.take(transaction.lasts(member) ? eventsOf(member.operation) : 0);
    this.notePace(this.pacer);
    return scheduledMs;
  }

  private notePace({ state: { position, gaps } }: Pacer): void {
    this.counters.lanePace(this.lane.number, position, gaps);
  }

  /** Counts an outcome and passes it to the lane. */
  private conclude(transaction: Transaction, outcome: Outcome): void {
    const exception = exceptionOf(transaction, outcome);
    if (exception !== null) this.log.add(exception);
    this.lane.settle(transaction, outcome);
  }

  private settle(transaction: Transaction, outcome: Outcome): void {
    const doneMs = performance.now();
    if (--this.unanswered === 0) this.time.end('inFlightMs', doneMs);
    this.lastAnswerMs = doneMs;
    if (!this.answered) {
      this.control.up();
      this.counters.add('lanesAnswered', 1);
    }
    this.answered = true;
    if (outcome.kind === 'committed') {
      const { scheduledMs, sentMs, members } = transaction;
      const responseMs = doneMs - scheduledMs;
      const serviceMs = doneMs - Math.max(sentMs, this.previousDoneMs);
      const isWarmUp = this.settings.warmUpMs > 0 && this.control.elapsedMs() - responseMs < this.settings.warmUpMs;
      for (const { operation } of members) {
        this.counters.observe(isWarmUp ? 'warmUpResponse' : 'response', operation.kind, responseMs);
        this.counters.observe(isWarmUp ? 'warmUpService' : 'service', operation.kind, serviceMs);
      }
      if (this.isPaced && responseMs > this.settings.lateAfterMs) this.counters.add('late', members.length);
    } else {
      this.counters.add('refusals', 1);
      this.noteBlocked(transaction, outcome, doneMs - Math.max(transaction.sentMs, this.previousDoneMs));
    }
    if (outcome.kind === 'refused' && STATEMENT_NAMES.includes(outcome.sqlstate) && this.session?.isPooled === true) {
      this.giveUp({ kind: 'refused', message: sharedSessions('transaction').message });
      return;
    }
    this.previousDoneMs = doneMs;
    this.conclude(transaction, outcome);
    this.schedule();
  }

  /** Records what a rejection says about its table: the disk is full, or another session holds a lock. */
  private noteBlocked({ members }: Transaction, outcome: Outcome & { kind: 'refused' }, waitedMs: number): void {
    const relation = members[outcome.member]?.operation.relation;
    if (relation === undefined) return;
    if (outcome.sqlstate === NO_ROOM) this.blocked.block(relation, 'room');
    else if (CALLED_BACK.includes(outcome.sqlstate) && this.blocked.isWaiting && waitedMs > WAITED_MS)
      this.blocked.block(relation, 'lock');
  }

  private watch(): void {
    const { session } = this;
    if (this.control.isCut) {
      this.schedule();
      // Not even the end of its session was received.
      if (++this.cutSeconds > MOST_CUT_SECONDS) session?.destroy();
    }
    // On a schedule, arrivals are dropped while there are no answers, too.
    if (this.control.stopped || this.pacer !== null) this.schedule();
    if (session === null || this.settings.statementTimeoutMs === 0) return;
    const waitingForAnswer = this.lane.pending.some((transaction) => transaction.outcome === null);
    const silentMs =
      performance.now() - Math.max(this.lastAnswerMs, ...this.lane.pending.map((transaction) => transaction.sentMs));
    if (waitingForAnswer && silentMs > this.settings.statementTimeoutMs + WATCHDOG_GRACE_MS) session.destroy();
  }

  /** Connects; after a loss, resolves what was in doubt first. Gives up after `maxOutageMs`. */
  private async reconnect(lostProcessId: LostProcess): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      this.giveUpArrivals();
      if ((this.control.stopped || this.lane.ending) && this.lane.pending.length === 0) {
        this.end({ kind: 'finished' });
        return;
      }
      if (this.control.isCut) {
        await this.endCut(lostProcessId);
        return;
      }
      // Another process may carry the lane by now: what is pending is its business.
      if (this.stored !== null && this.control.isHeld) {
        await new Promise((resolve) => setTimeout(resolve, HELD_LOOK_MS));
        continue;
      }
      try {
        if (this.isOutage) {
          this.giveUp({ kind: 'outage', message: 'new connections were lost before the server answered on them' });
          return;
        }
        if (lostProcessId !== null) await this.resolve(lostProcessId);
        const client = await connect(this.settings.connection, this.options(true));
        if (wasReadOnly(client)) {
          await client.end().catch(() => undefined);
          throw new Error('the server is read-only');
        }
        const session: LaneSession = new LaneSession(client, this.settings.maxPreparedStatements, {
          onLost: (reason) => {
            if (this.session === session) void this.lose(session.processId, reason);
          },
          onReceipt: ({ number, outcomes, receipt }) => {
            const { xid, effects } = receipt!;
            this.counters.laneReceipt(this.lane.number, number, xid!);
            this.log.add(['q', number, outcomes, xid!, effects]);
            this.storeLog(session);
          },
        });
        if (this.isLost) this.notice({ kind: 'connected', lane: this.lane.number });
        this.isLost = false;
        if (!this.wasConnected) this.control.connected(this.settings.carriedLanes);
        this.wasConnected = true;
        this.session = session;
        this.counters.add('lanesConnected', 1);
        this.unanswered = 0;
        this.lastAnswerMs = performance.now();
        if (lostProcessId !== null) this.counters.add('reconnects', 1);
        this.storeLog(session);
        for (const transaction of this.lane.pending) if (transaction.outcome === null) this.send(transaction);
        this.schedule();
        return;
      } catch (error) {
        const message =
          error instanceof Error ? error.message || String((error as NodeJS.ErrnoException).code) : String(error);
        if (error instanceof ServerChanged) {
          this.giveUp({ kind: 'changed', incarnation: error.incarnation });
          return;
        }
        if (isFinal(error)) {
          this.giveUp({ kind: 'refused', message });
          return;
        }
        if (this.isOutage) {
          this.giveUp({ kind: 'outage', message });
          return;
        }
        this.tellLost(message);
        const backoffMs = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(attempt, 10));
        await new Promise((resolve) => setTimeout(resolve, backoffMs * (0.5 + Math.random() / 2)));
      }
    }
  }

  /** True if no lane has got an answer for as long as an outage may last. */
  private get isOutage(): boolean {
    const { maxOutageMs } = this.settings;
    return performance.now() - this.lostSinceMs > maxOutageMs && this.control.outageMs() > maxOutageMs;
  }

  /** Drops the scheduled operations that fell due without a connection. */
  private giveUpArrivals(): void {
    const { pacer, control } = this;
    const elapsedMs = control.elapsedMs();
    if (pacer === null || elapsedMs < 0) return;
    const dropped = pacer.giveUp(elapsedMs / 1000);
    if (dropped > 0) {
      this.counters.add('dropped', dropped);
      this.notePace(pacer);
    }
    if (pacer.due(elapsedMs / 1000) === Number.POSITIVE_INFINITY) this.stopLane(false);
  }

  /** Looks up once what was in flight. Operations without effect count as failed, since they are not sent again. */
  private async endCut(lostProcessId: LostProcess): Promise<void> {
    try {
      if (lostProcessId !== null) await this.resolve(lostProcessId);
      for (const transaction of this.lane.pending)
        if (transaction.outcome === null) this.conclude(transaction, CANCELLED);
    } catch {
      // Without a server the outcome cannot be looked up and stays unknown.
    }
    this.giveUp({ kind: 'finished' });
  }

  /** Ends the lane. The outcome of what was sent and not answered is counted as unknown. */
  private giveUp(end: LaneEnd): void {
    this.counters.add('inDoubtUnknown', this.lane.abandon());
    this.end(end);
  }

  private disconnected(): void {
    // Time without a connection is counted neither as work of the server nor as waiting.
    const nowMs = performance.now();
    this.time.end('inFlightMs', nowMs);
    this.time.end('pausedMs', nowMs);
    if (this.session !== null) this.counters.add('lanesConnected', -1);
    this.session = null;
  }

  private tellLost(reason: string): void {
    if (this.isLost) return;
    this.isLost = true;
    this.notice({ kind: 'lost', lane: this.lane.number, reason });
  }

  private unanswer(): void {
    if (this.answered) {
      this.control.down();
      this.counters.add('lanesAnswered', -1);
    }
    this.answered = false;
  }

  private async lose(processId: number, reason: string): Promise<void> {
    this.disconnected();
    this.stored?.lost();
    // Without an answer since the last loss nothing was gained by reconnecting: the outage goes on.
    if (this.answered) this.lostSinceMs = performance.now();
    this.unanswer();
    this.tellLost(reason);
    await this.reconnect(processId);
  }

  private async resolve(lostProcessId: number | 'unknown'): Promise<void> {
    const client = await connect(this.settings.connection, this.options(false));
    try {
      const { applicationName, connectTimeoutMs } = this.settings;
      if (lostProcessId === 'unknown') await endBackends(client, [applicationName], connectTimeoutMs);
      else await endBackend(client, lostProcessId, applicationName, connectTimeoutMs);
      await this.compareServers(client);
      for (const transaction of this.lane.pending) {
        const { answer } = transaction;
        transaction.answer = null;
        if (answer !== null) this.conclude(transaction, answer);
      }
      const pending = this.lane.pending.filter((transaction) => transaction.outcome === null);
      for (const { transaction, outcome, proved } of await resolveInDoubt(
        client,
        this.compiled,
        pending,
        this.settings.incarnation.sinceXid,
        !this.isInherited,
      )) {
        this.counters.add(!proved ? 'inDoubtUnknown' : outcome === null ? 'inDoubtReplayed' : 'inDoubtCommitted', 1);
        if (!proved) this.log.add(['u', transaction.number, transaction.outcomes]);
        if (outcome !== null) this.conclude(transaction, outcome);
      }
      this.isInherited = false;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** Warns if the server may have lost acknowledged commits. */
  private async compareServers(client: pg.Client): Promise<void> {
    const incarnation = await readIncarnation(client);
    const { name, isStandby } = incarnation;
    // What it has kept is known only after it has taken over.
    if (isStandby) throw new Error('the server is a standby');
    if (name === this.incarnation) return;
    if (this.settings.mayTakeBack && !this.control.isCut) throw new ServerChanged(incarnation);
    this.incarnation = name;
    this.counters.set('lostCommits', 1);
    const text = `lane ${this.lane.number}: the server crashed with synchronous_commit=off, or another server took over, so the last acknowledged commits may be lost`;
    this.notice({ kind: 'server', text });
  }

  private options(pipeline: boolean): SessionOptions {
    const { applicationName, connectTimeoutMs, statementTimeoutMs, lockTimeoutMs } = this.settings;
    return {
      applicationName: pipeline ? applicationName : `${applicationName}/recovery`,
      connectTimeoutMs,
      statementTimeoutMs,
      lockTimeoutMs,
      isolation: this.compiled.plan.transaction.isolation,
      pipeline,
    };
  }
}
