import { performance } from 'node:perf_hooks';
import type pg from 'pg';
import type { ConnectionSettings } from '../config/connection.js';
import { exceptionOf, type LaneLog } from '../history/lane-log.js';
import type { Lane } from '../lane/lane.js';
import { isTogether } from '../lane/messages/operation.js';
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
import { connect, isFinal, type SessionOptions, wasReadOnly } from './session.js';

/** What carries a lane, beside the lane itself. */
export interface LaneSettings {
  readonly connection: ConnectionSettings;
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  readonly maxOutageMs: number;
  readonly maxPreparedStatements: number;
  /** The server at the run's beginning. */
  readonly incarnation: Incarnation;
  /** Operations scheduled so early are counted apart. */
  readonly warmUpMs: number;
  readonly lateAfterMs: number;
  /** How many lanes this process carries: the last of them to connect starts the clock. */
  readonly carriedLanes: number;
}

/** What a lane's loop is tied to. */
interface Surroundings {
  readonly control: Control;
  readonly counters: CounterBlock;
  readonly notice: Notice;
  /** Null: as fast as it goes. */
  readonly pacer: Pacer | null;
  readonly blocked: BlockedTables;
  readonly log: LaneLog;
}

/** How a lane ended. */
export type LaneEnd =
  | { readonly kind: 'finished' }
  /** No table had a row or room for any operation any more. */
  | { readonly kind: 'starved' }
  | { readonly kind: 'outage'; readonly message: string }
  /** The server refuses us for good: wrong database, password, privileges. */
  | { readonly kind: 'refused'; readonly message: string };

/** The server's process that carried the lane: by its number, or by the name of its session where a thread took that along. */
type LostProcess = number | 'unknown' | null;

/* Half of the pipeline is refilled at once; of a deep one, more: eight operations last the server longer than a tick takes. */
const MOST_ENOUGH = 8;
/* How often a lane looks whether all others are connected. */
const START_POLL_MS = 2;
/* Back-off between attempts to reconnect. */
const FIRST_BACKOFF_MS = 50;
const LONGEST_BACKOFF_MS = 2000;
/* The server cancels a statement at its time-out; a connection that says nothing so much longer is dead. */
const WATCHDOG_GRACE_MS = 10_000;
/* A stop that is cut short ends the sessions by then. */
const MOST_CUT_SECONDS = 8;

/* An answer that takes longer is worth a look at what it waits for. */
const STALLED_MS = 400;
/* A statement that is called back has waited longer. */
const WAITED_MS = 50;
const CALLED_BACK: readonly string[] = ['55P03', '57014'];
const NO_ROOM = '53100';
/* Operations given up in a row after which a lane waits between them, so long. */
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

/* Behind a pooler: a statement that we have prepared is not there, or one that we have not is, so the session is not ours alone. */
const STATEMENT_NAMES: readonly string[] = ['26000', '42P05'];

/** Carries one lane on one connection at a time: sends, receives, reconnects. Decides nothing about operations. */
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
  /** Operations given up since one was sent. */
  private skipped = 0;
  private session: LaneSession | null = null;
  private scheduled = false;
  private previousDoneMs = 0;
  /** Transactions sent whose answer has not come, and so many of them that the server has work until the next look. */
  private unanswered = 0;
  private readonly enough: number;
  private lastAnswerMs = 0;
  /** Since when there has been no connection that answered. */
  private lostSinceMs = performance.now();
  private answered = false;
  /** Set while a timer will wake the lane, and when that is. */
  private waking: NodeJS.Timeout | undefined;
  private wakeMs = 0;
  /** On a schedule: when the next operation is due. */
  private dueMs = 0;
  private readonly time: LaneTime;
  private wasConnected = false;
  /** It has been told that there is no connection. */
  private isLost = false;
  private cutSeconds = 0;
  private isStopped = false;
  /** Of the server that the lane was connected to last. */
  private incarnation: string;
  private end: (end: LaneEnd) => void = () => undefined;
  private readonly ended: Promise<LaneEnd>;

  constructor(
    lane: Lane,
    compiled: CompiledPlan,
    settings: LaneSettings,
    { control, counters, notice, pacer, blocked, log }: Surroundings,
  ) {
    this.lane = lane;
    this.compiled = compiled;
    this.enough = Math.min(compiled.plan.pipelineDepth >> 1, MOST_ENOUGH);
    this.settings = settings;
    this.incarnation = settings.incarnation.name;
    this.control = control;
    this.counters = counters;
    this.time = new LaneTime(counters);
    this.notice = notice;
    this.pacer = pacer;
    this.blocked = blocked;
    this.log = log;
    this.ended = new Promise((resolve) => {
      this.end = resolve;
    });
  }

  /** Runs the lane to its end. `isResumed`: it has been carried before, by a thread that has died. */
  async run(isResumed: boolean): Promise<LaneEnd> {
    const startMs = performance.now();
    this.time.begin('laneMs', startMs);
    // What a dead thread had in flight: when it was due is not known here.
    for (const transaction of this.lane.pending) transaction.scheduledMs = startMs;
    const watchdog = setInterval(() => this.watch(), 1000);
    try {
      await this.reconnect(isResumed ? 'unknown' : null);
      const end = await this.ended;
      // It waits for no connection any more.
      if (this.isLost && end.kind !== 'outage') this.notice({ kind: 'connected', lane: this.lane.number });
      return end;
    } finally {
      clearInterval(watchdog);
      const endMs = performance.now();
      for (const state of ['laneMs', 'inFlightMs', 'pausedMs'] as const) this.time.end(state, endMs);
      const session = this.session;
      this.disconnected();
      // It holds up no outage of the others.
      this.unanswer();
      this.counters.add('lanesEnded', 1);
      await session?.close();
    }
  }

  /** Looks at the stop flag and at the pause, where nothing else would wake the lane. */
  wake(): void {
    this.schedule();
  }

  /** Brings the counts of what the lane's time goes to up to date; true where an answer is long in coming. */
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
   * Refills the pipeline: everything that may be sent now goes out in one write. While enough of it is still under way
   * the server has work, and waiting makes the next write a larger one: a write costs more than an operation.
   */
  private tick(): void {
    const { session } = this;
    if (session === null) return;
    if (!this.isPaced && this.unanswered > this.enough && !this.control.stopped) return;
    // Before any outcome is applied.
    this.log.flush();
    session.cork();
    try {
      while (this.session === session) {
        if (this.control.isCut) this.lane.cut();
        else if (this.control.stopped) this.stopLane();
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
          // After a reconnection everything pending has been sent anyway.
          setTimeout(() => {
            if (this.session === session) this.send(step.transaction);
          }, step.delayMs);
        }
      }
    } finally {
      session.uncork();
    }
  }

  /** True where a schedule says when operations are due. */
  private get isPaced(): boolean {
    return this.pacer !== null && !this.pacer.isUnlimited;
  }

  /** True where the schedule says to wait; then something will wake the lane in time. */
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

  private stopLane(): void {
    if (!this.isStopped) {
      this.isStopped = true;
      this.log.add(['e', this.lane.begun]);
      this.log.flush();
    }
    this.lane.stop();
  }

  private wakeIn(ms: number): void {
    const wakeMs = performance.now() + Math.min(ms, 1000);
    // A rate that is raised brings the next operation forward.
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

  private pausing(): boolean {
    const pauseMs = this.control.pauseMs();
    if (pauseMs <= 0) {
      // On a schedule it may still be too early, which is a pause as well.
      if (!this.isPaced) this.time.end('pausedMs', performance.now());
      return false;
    }
    this.time.begin('pausedMs', performance.now());
    // What is due meanwhile is not forgotten, also where the run ends before the pause does.
    this.giveUpArrivals();
    this.wakeIn(pauseMs);
    return true;
  }

  /** Takes note of an operation that was given up; false where that goes on, and there is nothing else to do just now. */
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
    // While the connection is away, recovery sends what is pending.
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

  /** The moment at which a transaction's first operation was due, on this thread's clock; without a schedule, now. */
  private scheduledMs(transaction: Transaction, nowMs: number): number {
    if (this.pacer === null) return nowMs;
    const scheduledMs = nowMs - (this.control.elapsedMs() - this.dueMs);
    for (const member of transaction.members)
      this.pacer.take(
        transaction.lasts(member) ? member.operation.statements.reduce((sum, { rows }) => sum + rows, 0) : 0,
      );
    this.notePace(this.pacer);
    return scheduledMs;
  }

  private notePace({ state: { position, gaps } }: Pacer): void {
    this.counters.lanePace(this.lane.number, position, gaps);
  }

  /** Takes note of an outcome, and tells the lane. */
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

  /** What a refusal says about its table: that there is no room for it, or that others have locked what it needs. */
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
      // Not even the end of its session has come through.
      if (++this.cutSeconds > MOST_CUT_SECONDS) session?.destroy();
    }
    // On a schedule arrivals are given up while nothing is answered, too.
    if (this.control.stopped || this.pacer !== null) this.schedule();
    if (session === null || this.settings.statementTimeoutMs === 0) return;
    const waitingForAnswer = this.lane.pending.some((transaction) => transaction.outcome === null);
    const silentMs =
      performance.now() - Math.max(this.lastAnswerMs, ...this.lane.pending.map((transaction) => transaction.sentMs));
    if (waitingForAnswer && silentMs > this.settings.statementTimeoutMs + WATCHDOG_GRACE_MS) session.destroy();
  }

  /** Connects, after a loss with what was in doubt resolved first; gives up beyond `maxOutageMs`. */
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
            this.log.flush();
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
        for (const transaction of this.lane.pending) if (transaction.outcome === null) this.send(transaction);
        this.schedule();
        return;
      } catch (error) {
        const message =
          error instanceof Error ? error.message || String((error as NodeJS.ErrnoException).code) : String(error);
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

  /** True where neither this lane nor another one has been answered for as long as an outage may last. */
  private get isOutage(): boolean {
    const { maxOutageMs } = this.settings;
    return performance.now() - this.lostSinceMs > maxOutageMs && this.control.outageMs() > maxOutageMs;
  }

  /** On a schedule, what is due while there is no connection is not done later. */
  private giveUpArrivals(): void {
    const { pacer, control } = this;
    const elapsedMs = control.elapsedMs();
    if (pacer === null || elapsedMs < 0) return;
    const dropped = pacer.giveUp(elapsedMs / 1000);
    if (dropped > 0) {
      this.counters.add('dropped', dropped);
      this.notePace(pacer);
    }
    if (pacer.due(elapsedMs / 1000) === Number.POSITIVE_INFINITY) this.stopLane();
  }

  /** Looks up once what was in flight; what had no effect has failed, since it is not sent again. */
  private async endCut(lostProcessId: LostProcess): Promise<void> {
    try {
      if (lostProcessId !== null) await this.resolve(lostProcessId);
      for (const transaction of this.lane.pending)
        if (transaction.outcome === null) this.conclude(transaction, CANCELLED);
    } catch {
      // Without a server nothing can be looked up: it stays unknown.
    }
    this.giveUp({ kind: 'finished' });
  }

  /** What was sent and not answered may have been committed or not: it is said to be unknown. */
  private giveUp(end: LaneEnd): void {
    this.counters.add('inDoubtUnknown', this.lane.abandon());
    this.end(end);
  }

  private disconnected(): void {
    // Time without a connection is neither the server's nor the configuration's.
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
      )) {
        this.counters.add(!proved ? 'inDoubtUnknown' : outcome === null ? 'inDoubtReplayed' : 'inDoubtCommitted', 1);
        if (!proved) this.log.add(['u', transaction.number, transaction.outcomes]);
        if (outcome !== null) this.conclude(transaction, outcome);
      }
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** Says where the server may have lost what it had acknowledged. */
  private async compareServers(client: pg.Client): Promise<void> {
    const { name } = await readIncarnation(client);
    if (name === this.incarnation) return;
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
