import type pg from 'pg';
import { SetupError } from '../config/problem.js';
import { endBackend, endBackends } from '../traffic/recovery.js';
import { destroy, processIdOf } from '../traffic/session.js';
import { nextIncarnation, type RunStore, readShards } from './store.js';

/** The shard has finished: the summary that its process has left is not to be written over. */
export class Taken extends SetupError {
  constructor(message: string) {
    super([{ place: '--shard', key: '', message }]);
  }
}

/** `application_name` of the session that holds a shard's lock. */
function sessionName({ runId }: RunStore, shard: number): string {
  return `eventgen/${runId}/shard-${shard}/coordinator`;
}

export interface FenceOptions {
  readonly store: RunStore;
  readonly shard: number;
  readonly connect: () => Promise<pg.Client>;
  /** `application_name` of the sessions of the shard's lanes. */
  readonly sessions: readonly string[];
  readonly connectTimeoutMs: number;
  /** How long another process may hold the shard. */
  readonly patienceMs: number;
  readonly maxOutageMs: number;
  /** True where the process is asked to stop. */
  readonly isOver: () => boolean;
  readonly say: (level: 'info' | 'warn', text: string) => void;
}

const LOOK_MS = 200;

/**
 * Keeps two processes from carrying one shard: a lock that the server holds for a session. The lock goes with its connection while
 * lanes may go on writing, so who loses it stops its lanes, and who gains it ends the sessions of those before.
 */
export class Fence {
  private readonly options: FenceOptions;
  private client: pg.Client;
  /** Which process carries the shard, from 1. */
  incarnation = 0;
  /** True where another process has carried the shard's lanes before. */
  isResumed = false;
  private isOver = false;
  /** True while there is no session. */
  private isLost = false;
  private lanes: Lanes | null = null;
  /** What the lanes are told as soon as there are some: to wait, or to stop and why. */
  private holds = false;
  private stopped: string | null = null;

  private constructor(options: FenceOptions, client: pg.Client) {
    this.options = options;
    this.client = client;
  }

  /** @throws SetupError where the shard has finished, or another process carries it for too long. */
  static async raise(options: FenceOptions): Promise<Fence> {
    const { store, shard, say, patienceMs } = options;
    const fence = new Fence(options, await options.connect());
    try {
      const deadline = performance.now() + patienceMs;
      for (let isTold = false; !(await fence.waitForLock()); isTold = true) {
        if (!isTold)
          say('info', `another process is running shard ${shard} of run ${store.runId}; waiting until it ends`);
        if (performance.now() > deadline || options.isOver())
          throw SetupError.of('--shard', `another process is still running shard ${shard} of run ${store.runId}`);
        await pause(LOOK_MS);
      }
      const before = (await readShards(fence.client, store)).find((each) => each.shard === shard);
      if (before?.isFinished === true)
        throw new Taken(`shard ${shard} of run ${store.runId} has finished; a new run needs another --run-id`);
      fence.isResumed = before?.hasBegun === true;
      // First of all: what the process before still writes about the shard counts no longer.
      fence.incarnation = await nextIncarnation(fence.client, store, shard);
      await endBackends(fence.client, options.sessions, options.connectTimeoutMs).catch((error: Error) => {
        throw SetupError.of('--shard', `${error.message}; they belong to the process that ran the shard before`);
      });
      fence.watch();
      return fence;
    } catch (error) {
      await fence.end();
      throw error;
    }
  }

  /** What is done when the lock is lost: lanes are held until it is held again, or stopped. */
  guard(lanes: Lanes): void {
    this.lanes = lanes;
    // It may have been lost before there were any.
    if (this.holds) lanes.hold();
    if (this.stopped !== null) lanes.stop(this.stopped);
  }

  async end(): Promise<void> {
    this.isOver = true;
    const { lock } = this.options.store;
    if (lock.renewMs !== null) await lock.release(this.client, this.name).catch(() => undefined);
    await this.client.end().catch(() => undefined);
  }

  /** A session for what the shard tells the others. */
  get session(): pg.Client {
    return this.client;
  }

  /** While another process has the lock a connection that is lost is no harm. */
  private async waitForLock(): Promise<boolean> {
    try {
      return await this.tryLock();
    } catch {
      this.client = await this.options.connect();
      return false;
    }
  }

  private async tryLock(): Promise<boolean> {
    const { store } = this.options;
    return await store.lock.take(this.client, this.name);
  }

  private watch(): void {
    const { client } = this;
    const { renewMs } = this.options.store.lock;
    const renewal = renewMs === null ? undefined : setInterval(() => void this.renew(client), renewMs);
    client.once('end', () => {
      clearInterval(renewal);
      if (!this.isOver && this.client === client) void this.regain();
    });
  }

  /* A lease that cannot be renewed is lost like a connection, long before it expires. */
  private async renew(client: pg.Client): Promise<void> {
    const late = setTimeout(() => destroy(client), this.options.store.lock.renewMs!);
    try {
      if (!(await this.tryLock())) destroy(client);
    } catch {
      destroy(client);
    } finally {
      clearTimeout(late);
    }
  }

  private get name(): string {
    return `${this.options.store.runId}/${this.options.shard}`;
  }

  private async regain(): Promise<void> {
    const { store, shard, say, maxOutageMs, connect } = this.options;
    this.isLost = true;
    this.hold();
    say('warn', `the connection that holds the lock of shard ${shard} was lost; the lanes of this shard are paused`);
    const deadline = performance.now() + maxOutageMs;
    const before = processIdOf(this.client);
    for (let isOthers = false; !isOthers && !this.isOver && performance.now() < deadline; await pause(LOOK_MS)) {
      try {
        if (this.isLost) this.client = await connect();
        this.isLost = false;
        const isOurs = await this.tryLock();
        const now = (await readShards(this.client, store)).find((each) => each.shard === shard);
        isOthers = now?.incarnation !== this.incarnation;
        if (isOthers) break;
        if (isOurs) {
          this.watch();
          say('info', `the lock of shard ${shard} was acquired again; the lanes of this shard continue`);
          this.release();
          return;
        }
        // The server may not know yet that the connection is gone, and keep the lock for it.
        await endBackend(this.client, before, sessionName(store, shard), this.options.connectTimeoutMs);
      } catch {
        await this.client.end().catch(() => undefined);
        this.isLost = true;
      }
    }
    if (!this.isOver)
      this.stop(
        `another process took over shard ${shard} of run ${store.runId}, or its lock could not be acquired again`,
      );
  }

  private hold(): void {
    if (this.holds) return;
    this.holds = true;
    this.lanes?.hold();
  }

  private release(): void {
    this.holds = false;
    this.lanes?.release();
  }

  private stop(reason: string): void {
    this.stopped = reason;
    this.lanes?.stop(reason);
  }
}

/** What the fence does with the lanes of its shard. */
interface Lanes {
  readonly hold: () => void;
  readonly release: () => void;
  readonly stop: (reason: string) => void;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
