import { rmSync } from 'node:fs';
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { createLaneFolder, LaneFiles } from '../history/lane-files.js';
import { OPERATION_KINDS } from '../plan/plan.js';
import type { BlockedTables } from './blocked-tables.js';
import type { Control } from './control.js';
import type { TrafficOptions } from './coordinator.js';
import { appliedIn, CounterBlock, CounterTotals, restoreCounters, rowsIn } from './counters.js';
import { type Incarnation, readIncarnation } from './incarnation.js';
import type { LaneEnd } from './lane-loop.js';
import type { Course, LaneCheckpoint, LaneProgress, TakenBack } from './lane-progress.js';
import type { Told } from './ledger.js';
import { settleLostLanes } from './lost-lanes.js';
import { canTakeBack, Memory } from './memory.js';
import type { WorkerResult, WorkerTask } from './message.js';
import { connect } from './session.js';
import { CannotStart } from './workers.js';

/* If threads die more often than this, a new thread would die as well. */
const MOST_DEATHS = 5;
const WITHIN_MS = 60_000;
/* Among so many operations there is almost always an INSERT whose row still exists. */
const PROVING_OPERATIONS = 50;

/** How a lane ended, or the thread that ran it. */
export type CrewEnd = LaneEnd | { readonly kind: 'crashed'; readonly message: string };

/** A message of a worker. */
type Heard = Told | LaneProgress | LaneCheckpoint | TakenBack;

/** The objects that all threads share. */
interface Shared {
  readonly control: Control;
  readonly blocked: BlockedTables;
  readonly counters: SharedArrayBuffer;
}

/** The worker threads of a run. Each runs its lanes to their end; a thread that dies is replaced. */
export class Crew {
  readonly totals: CounterTotals;
  private readonly options: TrafficOptions;
  private readonly shared: Shared;
  /** Null if no folder can be created; then a thread that dies is not replaced. */
  private readonly logFolder: string | null;
  private readonly removeLogs = () => {
    if (this.logFolder !== null) rmSync(this.logFolder, { recursive: true, force: true });
  };
  /** The times at which threads died. */
  private readonly deaths: number[] = [];
  private isForced = false;
  private isStopped = false;
  /** What the lanes are taken back to when their server has lost something. */
  private readonly memory: Memory;
  private readonly size: { readonly relations: number; readonly lanes: number };
  private incarnation: Incarnation;
  private isTakenBack = false;
  /** The blocks of workers before they were taken back. */
  private readonly before = new Map<number, Float64Array<ArrayBuffer>>();
  /** Rows that the server had acknowledged and lost, by relation. */
  readonly acknowledgedLost = new Map<number, number>();

  constructor(options: TrafficOptions, shared: Shared) {
    const { plan } = options;
    this.options = options;
    this.shared = shared;
    this.totals = new CounterTotals(shared.counters, plan.relations.length, plan.quotas.length);
    this.logFolder = createLaneFolder(options.runId);
    this.incarnation = options.incarnation;
    this.size = { relations: plan.relations.length, lanes: plan.quotas.length };
    const progressOf = (counters: Float64Array<ArrayBuffer>) =>
      options.lanes.reduce((sum, lane) => sum + appliedIn(counters, this.size, lane), 0);
    this.memory = new Memory(options.workers.count, this.logFolder !== null && canTakeBack(options), progressOf);
    process.once('exit', this.removeLogs);
  }

  /** Runs all lanes to their end. */
  async carry(): Promise<readonly CrewEnd[]> {
    const { workers } = this.options;
    try {
      await this.takeUp();
      for (;;) {
        const all = Array.from({ length: workers.count }, (_, worker) => this.carryLanes(worker));
        const ends = (await Promise.all(all)).flat();
        const incarnation = await this.changedServer(ends);
        if (incarnation === null) {
          // For lanes that could not be taken back, only earlier counts are known.
          if (this.before.size > 0) this.blockOf(0).set('lostCommits', 1);
          return ends;
        }
        this.goBack(incarnation);
      }
    } finally {
      await workers.end();
      process.removeListener('exit', this.removeLogs);
      this.removeLogs();
    }
  }

  /** Lets no further operation begin; operations in flight finish. */
  stop(): void {
    this.isStopped = true;
    this.shared.control.stop();
  }

  /** Returns the server that has taken the place of the one before, if the lanes can be taken back to what it has; null otherwise. */
  private async changedServer(ends: readonly CrewEnd[]): Promise<Incarnation | null> {
    const seen = ends.find((end) => end.kind === 'changed');
    const isOver = ends.every(({ kind }) => kind === 'finished' || kind === 'starved');
    // Lanes that had finished before the server changed do not know of it.
    const now =
      seen?.incarnation ?? (isOver && !this.isForced && !this.shared.control.isCut ? await this.currentServer() : null);
    if (now === null || now.name === this.incarnation.name) return null;
    if (this.memory.isUsable && !this.isForced && !this.isStopped) return now;
    // What has been told is not certain.
    this.blockOf(0).set('lostCommits', 1);
    return null;
  }

  private async currentServer(): Promise<Incarnation | null> {
    const { connection, runId, timeouts } = this.options;
    try {
      const client = await connect(connection, {
        applicationName: `eventgen/${runId}/server`,
        connectTimeoutMs: timeouts.connect,
        statementTimeoutMs: timeouts.statement,
        lockTimeoutMs: timeouts.lock,
        pipeline: false,
      });
      try {
        const incarnation = await readIncarnation(client);
        return incarnation.isStandby ? null : incarnation;
      } finally {
        await client.end();
      }
    } catch {
      return null;
    }
  }

  /** Restores every worker to its remembered state, from which its lanes find out what the new server has. */
  private goBack(incarnation: Incarnation): void {
    const { control } = this.shared;
    this.options.notice({
      kind: 'server',
      text: 'the server crashed with synchronous_commit=off, or another one took over; the lanes are taken back to what it has kept',
    });
    this.incarnation = incarnation;
    this.isTakenBack = true;
    for (const worker of this.memory.workers()) {
      const now = this.blockOf(worker).snapshot();
      // Only rows that came later prove a moment. A try with too few of them would cost the start of a thread.
      const isOldEnough = (counters: Float64Array<ArrayBuffer>) =>
        this.lanesOf(worker).every(
          (lane) => appliedIn(now, this.size, lane) - appliedIn(counters, this.size, lane) >= PROVING_OPERATIONS,
        );
      this.restore(worker, this.memory.newestOf(worker, isOldEnough));
    }
    control.goOn();
    if (this.isStopped) control.stop();
  }

  private blockOf(worker: number): CounterBlock {
    const { plan } = this.options;
    return new CounterBlock(this.shared.counters, plan.relations.length, plan.quotas.length, worker);
  }

  private restore(worker: number, counters: Float64Array<ArrayBuffer> | null): void {
    const block = this.blockOf(worker);
    if (!this.before.has(worker)) this.before.set(worker, block.snapshot());
    block.restore(counters);
  }

  /** Ends the threads, whatever they are doing. */
  async end(): Promise<void> {
    this.isForced = true;
    await this.options.workers.end();
  }

  /** Puts the files of an earlier process where the threads look for them. */
  private async takeUp(): Promise<void> {
    const { past, lanes, workers, keeping } = this.options;
    if (past === null) return;
    if (this.logFolder === null) throw new Error('no temporary folder can be made for the logs of the lanes');
    const workerOf = (lane: number) => {
      const index = lanes.indexOf(lane);
      return index < 0 ? undefined : this.workerOf(index);
    };
    const { course } = past;
    restoreCounters(this.shared.counters, this.size, past.counters, { workerOf, begins: course === null });
    if (course === null) this.blockOf(0).add('lanesBegunAgain', lanes.length);
    else for (const lane of lanes) await this.putBack(lane, course, this.logFolder);
    const of = this.totals.blockCount;
    for (let block = workers.count; block < of; block++) {
      const counters = this.blockOf(block).snapshot();
      keeping?.take({ kind: 'progress', block, of, counters, places: new Map() });
    }
  }

  /** Writes the latest checkpoint of a lane that its progress has reached, and the lane's exceptions, where the thread looks for them. */
  private async putBack(lane: number, { exceptions, checkpoints }: Course, folder: string): Promise<void> {
    const files = new LaneFiles(folder, lane);
    const known = checkpoints.get(lane) ?? [];
    const checkpoint = known.findLast(({ operations }) => operations <= this.totals.laneApplied(lane));
    // With the second one, what came before the first is dropped.
    if (checkpoint === undefined && known.length > 1)
      throw new Error(`the stored progress of lane ${lane} is older than the exceptions that are left of it`);
    files.begin(checkpoint?.operations ?? 0, exceptions.get(lane) ?? []);
    if (checkpoint !== undefined) await files.save(checkpoint);
  }

  private lanesOf(worker: number): readonly number[] {
    return this.options.lanes.filter((_, index) => this.workerOf(index) === worker);
  }

  /** Lanes are dealt out in turn. */
  private workerOf(index: number): number {
    return index % this.options.workers.count;
  }

  private async carryLanes(worker: number): Promise<readonly CrewEnd[]> {
    const hasCourse = (this.options.past?.course ?? null) !== null;
    for (let hasDied = false; ; hasDied = true) {
      // A thread may have died before it had found out how far the process before had come: then the next one finds it out.
      const before = hasCourse ? 'process' : hasDied ? 'thread' : null;
      const { port1, port2 } = new MessageChannel();
      port1.on('message', (message: Heard) => this.hear(message, worker));
      port1.unref();
      const takesBack: boolean = this.isTakenBack && this.before.has(worker);
      const task = {
        ...this.taskOf(worker, port2),
        before: takesBack ? 'process' : before,
        hasDied,
        takesBack,
      } as const;
      try {
        const result = (await this.options.workers.run(task, port2)) as WorkerResult;
        if (result.ends.some(({ end }) => end.kind === 'unsure')) {
          this.restore(worker, this.memory.older(worker));
          continue;
        }
        for (const { end } of result.ends)
          if (end.kind === 'changed') this.shared.control.takeBack();
          else if (end.kind !== 'finished' && end.kind !== 'starved') this.shared.control.stop();
        return result.ends.map(({ end }) => end);
      } catch (error) {
        // The thread is gone: crash, exit or out of memory.
        const { message } = error as Error;
        // All tasks have failed, also those of threads that are alive and would go on counting.
        if (error instanceof CannotStart) await this.options.workers.end();
        if (this.mayReplace(task, error)) this.prepareNext(task, message);
        else return [await this.giveUp(task, message)];
      } finally {
        // What was posted before the end may not have been read yet.
        for (let left = receiveMessageOnPort(port1); left !== undefined; left = receiveMessageOnPort(port1))
          this.hear(left.message, worker);
        port1.close();
      }
    }
  }

  private hear(message: Heard, worker: number): void {
    if (message.kind === 'taken back') this.countLost(worker, message.counters);
    else if (message.kind === 'checkpoint') this.options.keeping?.takeCheckpoint(message);
    else if (message.kind !== 'progress') this.options.notice(message);
    else if (this.options.keeping !== null) this.options.keeping.take(message);
    else this.memory.add(worker, message.counters);
  }

  /** Counts what the server had acknowledged of a worker's lanes before they were taken back, and has not kept. */
  private countLost(worker: number, after: Float64Array<ArrayBuffer>): void {
    const before = this.before.get(worker);
    this.before.delete(worker);
    if (before === undefined) return;
    const { relations } = this.options.plan;
    const of = (block: Float64Array<ArrayBuffer>, relation: number) =>
      OPERATION_KINDS.reduce((sum, kind) => sum + rowsIn(block, relation, kind), 0);
    for (const relation of relations.keys()) {
      const lost = of(before, relation) - of(after, relation);
      if (lost > 0) this.acknowledgedLost.set(relation, (this.acknowledgedLost.get(relation) ?? 0) + lost);
    }
  }

  private taskOf(worker: number, notices: MessagePort): Omit<WorkerTask, 'before' | 'hasDied' | 'takesBack'> {
    const { options, shared } = this;
    const { plan, timeouts } = options;
    return {
      worker,
      lanes: this.lanesOf(worker),
      plan,
      claims: options.claims,
      settings: {
        connection: { ...options.connection, searchPath: plan.searchPath ?? undefined },
        connectTimeoutMs: timeouts.connect,
        statementTimeoutMs: timeouts.statement,
        lockTimeoutMs: timeouts.lock,
        maxOutageMs: options.maxOutageMs,
        maxPreparedStatements: options.maxPreparedStatements,
        incarnation: this.incarnation,
        mayTakeBack: this.memory.isUsable,
        warmUpMs: options.warmUpMs,
        lateAfterMs: options.lateAfterMs,
        carriedLanes: options.lanes.length,
      },
      runId: options.runId,
      counters: shared.counters,
      control: shared.control.memory,
      blocked: shared.blocked.memory,
      waitAfterOperations: options.waitAfterOperations,
      waitMs: options.waitMs,
      pacing: options.pacing,
      logFolder: this.logFolder,
      historyFile: options.historyFile,
      remembers: this.memory.isUsable,
      storeExceptions: options.keeping?.storeExceptions ?? null,
      notices,
    };
  }

  /** Returns true if a new thread can continue where this one was. */
  private mayReplace({ lanes, plan }: WorkerTask, error: unknown): boolean {
    const { logFolder } = this;
    if (
      logFolder === null ||
      this.isForced ||
      this.shared.control.isCut ||
      error instanceof CannotStart ||
      plan.rowSelection !== 'owned'
    )
      return false;
    const nowMs = performance.now();
    this.deaths.push(nowMs);
    if (this.deaths.filter((atMs) => nowMs - atMs < WITHIN_MS).length > MOST_DEATHS) return false;
    return lanes.every((lane) => new LaneFiles(logFolder, lane).isWhole);
  }

  private prepareNext(task: WorkerTask, message: string): void {
    const text = `worker thread ${task.worker} died (${message}); a new thread continues its lanes where they were`;
    this.options.notice({ kind: 'server', text });
    this.mend(task).set('lanesEnded', 0);
  }

  /** Stops the run; the other threads finish what they have in flight. */
  private async giveUp(task: WorkerTask, message: string): Promise<CrewEnd> {
    this.shared.control.stop();
    this.mend(task);
    await settleLostLanes(this.options, task, this.shared.counters).catch((failure: Error) =>
      this.options.notice({
        kind: 'server',
        text: `the outcome of the operations that worker thread ${task.worker} had in flight is unknown: ${failure.message}`,
      }),
    );
    return { kind: 'crashed', message: `worker thread ${task.worker} died: ${message}` };
  }

  /** Cleans up after a dead thread: marks its lanes as disconnected and undoes counts that they had not completed. */
  private mend({ lanes, worker }: WorkerTask): CounterBlock {
    const { control } = this.shared;
    const block = this.blockOf(worker);
    for (let lane = this.totals.scalarOf(worker, 'lanesAnswered'); lane > 0; lane--) control.down();
    for (const scalar of ['lanesAnswered', 'lanesConnected', 'lanesStalled'] as const) block.set(scalar, 0);
    for (const lane of lanes) {
      block.takeBack(lane);
      // Their outages end with the thread.
      this.options.notice({ kind: 'connected', lane });
    }
    return block;
  }
}
