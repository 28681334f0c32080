import type pg from 'pg';
import type { Entry } from '../bulk/journal.js';
import type { StoredNotesSettings } from '../bulk/notes.js';
import { introspect } from '../catalog/introspect.js';
import { fingerprint } from '../config/fingerprint.js';
import type { Config } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import { lanesOf, type Shard } from '../config/shard.js';
import { VERSION } from '../package.js';
import type { Plan } from '../plan/plan.js';
import { connectCoordinator } from '../prepare/connect.js';
import { configurationFingerprint } from '../prepare/decided.js';
import type { Prepared } from '../prepare/examine.js';
import type { Progress } from '../report/progress.js';
import { batchNotes, readBatches } from '../shards/batches.js';
import { Fence } from '../shards/fence.js';
import { lockOf } from '../shards/lock.js';
import { forgetCourse, forgetProgress, type LeftBehind, ProgressKeeper, readLeftBehind } from '../shards/progress.js';
import { begunAgain } from '../shards/restart.js';
import { startTogether } from '../shards/start.js';
import {
  layOutShards,
  noteBegun,
  noteFinished,
  notePaused,
  pausedBecause,
  publishedBy,
  type RunStore,
  readShards,
  sharedPlan,
  startsIn,
} from '../shards/store.js';
import type { Keeping } from '../traffic/coordinator.js';
import type { Past } from '../traffic/lane-progress.js';
import { applicationName } from '../traffic/message.js';
import { EXIT } from './exit.js';
import type { StopSignals } from './stop-signals.js';

/* Between looks at the other shards; and how long those that were stopped as well may take. */
const LOOK_MS = 200;
const STOPPED_MS = 15_000;

/** Options of `run --shard` and `load --shard`. */
export interface ShardOptions {
  readonly shard: Shard;
  readonly runId: string;
  readonly startTimeoutMs: number;
  /** Null: two seconds after the last shard is ready. */
  readonly startAt: Date | null;
  /** True if lanes may begin again when the earlier process had given up their log (`--resume inexact`). */
  readonly mayBeInexact: boolean;
}

/** The values of `--shard` and related options. */
export interface ShardRequest extends Pick<ShardOptions, 'startTimeoutMs' | 'startAt' | 'mayBeInexact'> {
  /** `i/n`, or `auto`. */
  readonly text: string;
  readonly runId: string | undefined;
}

/** What two processes must have in common, beside the configuration, to be shards of one run or load. */
type Job = string | { readonly rows: number };

/** A share of the lanes of a run or a load: what this process has in common with the others. */
class Sharded {
  readonly options: ShardOptions;
  protected readonly config: Config;
  protected readonly progress: Progress;
  private readonly schema: string;
  private readonly job: Job;
  private shared: RunStore | null = null;
  private raised: Fence | null = null;

  /** @throws SetupError if the configuration cannot be used with shards. */
  constructor(options: ShardOptions, config: Config, progress: Progress, job: Job) {
    const { shard } = options;
    this.options = options;
    this.config = config;
    this.progress = progress;
    this.job = job;
    this.schema = config.replication?.schema ?? DEFAULT_SCHEMA;
    const { connections } = config.generator;
    if (config.embedded)
      throw SetupError.of(
        '--shard',
        'cannot be used with an embedded database, which is private to its process; shards need a shared one',
      );
    if (connections < shard.of)
      throw SetupError.of(
        '--shard',
        `${shard.of} shards need at least as many lanes, but generator.connections, the total over all shards, is ${connections}; raise it, or start fewer shards`,
      );
  }

  get shard(): Shard {
    return this.options.shard;
  }

  /** The lanes of this shard. */
  get lanes(): readonly number[] {
    return lanesOf(this.shard, this.config.generator.connections);
  }

  /** True for the shard that does what is done once: probes, indexes, traps, comparisons. */
  get isFirst(): boolean {
    return this.shard.index === 1;
  }

  protected get store(): RunStore {
    return this.shared!;
  }

  protected get fence(): Fence {
    return this.raised!;
  }

  /** Locks this shard against other processes, and gets the common plan, which the first shard to come makes. */
  async prepare(client: pg.Client, prepare: () => Promise<Prepared>, isOver: () => boolean): Promise<Prepared> {
    const { config, schema, options, progress, lanes } = this;
    const { shard, runId } = options;
    const { generator } = config;
    const store = { schema, runId, lock: await lockOf(client, schema) };
    this.shared = store;
    await layOutShards(client, schema, store.lock);
    const published = await publishedBy(client);
    if (published.names.length > 0 && this.isFirst)
      progress.message(
        'warn',
        `${published.names.join(', ')} publishes all tables, including the tables that the shards share. A subscriber that lacks them stops; create them there: ${published.sql(store.schema)};`,
      );
    // Of an attempt whose connection was lost.
    await this.raised?.end();
    this.raised = await Fence.raise({
      store,
      shard: shard.index,
      connect: () => connectCoordinator(config.connection, config, `${runId}/shard-${shard.index}`),
      sessions: lanes.map((lane) => applicationName(runId, lane)),
      connectTimeoutMs: generator.timeouts.connect,
      patienceMs: options.startTimeoutMs,
      maxOutageMs: generator.max_outage_seconds * 1000,
      isOver,
      say: (level, text) => progress.message(level, text),
    });
    if (this.fence.isResumed) {
      await this.readPast(client);
      progress.message('info', `shard ${shard.index} of run ${runId} continues where its previous process stopped`);
    }
    progress.step('waiting for the plan of the run');
    const deadline = performance.now() + options.startTimeoutMs;
    const configuration = configurationFingerprint(config);
    const identity = {
      version: VERSION,
      shards: shard.of,
      configuration: typeof this.job === 'string' ? configuration : fingerprint([configuration, this.job]),
    };
    return sharedPlan(client, store, identity, {
      prepare,
      look: () => introspect(client, config.schemas),
      isOver: () => isOver() || performance.now() > deadline,
    });
  }

  /** Reads what the process before has left behind of this shard. */
  protected readPast(_client: pg.Client): Promise<void> {
    return Promise.resolve();
  }

  /**
   * Waits for the others.
   * @returns when all start, on this process's clock; null if a signal came before.
   * @throws Missing if some did not come in time.
   */
  async start(stops: StopSignals): Promise<number | null> {
    const { progress, store, options, fence } = this;
    const { shard, startTimeoutMs: timeoutMs, startAt } = options;
    if (fence.isResumed || fence.incarnation > 1) {
      const ms = await startsIn(fence.session, store);
      // The process before was ready, so that the others have started with it.
      if (fence.isResumed || (ms !== null && ms < 0)) {
        this.resumed();
        await noteBegun(fence.session, store, shard.index);
        return performance.now() + (ms ?? 0);
      }
    }
    const startAtMs = await startTogether(() => fence.session, store, {
      shard: shard.index,
      of: shard.of,
      startAt,
      timeoutMs,
      isOver: () => stops.signal !== null,
      step: (text) => progress.step(text),
    });
    progress.stop();
    if (startAtMs !== null) await noteBegun(fence.session, store, shard.index);
    return startAtMs;
  }

  /** Called before the lanes of another process are continued. */
  protected resumed(): void {}

  /** Sets what happens to the lanes when this process may no longer run the shard. */
  guard(lanes: Parameters<Fence['guard']>[0]): void {
    this.raised?.guard(lanes);
  }

  /** Leaves the summary for the others. Returns true where all shards have finished now. */
  async finish(summary: { readonly exit: { readonly code: number } }): Promise<boolean> {
    const { store, shard, progress, lanes } = this;
    const { session, incarnation } = this.fence;
    const { code } = summary.exit;
    const isFinal = !RESUMABLE.includes(code);
    try {
      await this.settle();
      const { isOurs, isLast } = await noteFinished(session, store, {
        shard: shard.index,
        of: shard.of,
        incarnation,
        exitCode: code,
        isFinal,
        summary: JSON.stringify(summary),
      });
      if (isFinal && isOurs) await forgetProgress(session, store, shard.index, lanes);
      return isLast;
    } catch (error) {
      progress.message(
        'warn',
        `the summary of shard ${shard.index} could not be stored in the database (${(error as Error).message}); give merge the files of --summary instead`,
      );
      return false;
    }
  }

  /**
   * Waits until the other shards have finished, whatever time they take. Returns why they have not: one has no process, the
   * database does not answer, or this process was stopped and they were not; null if they have.
   */
  async othersFinished(stops: StopSignals): Promise<string | null> {
    let stoppedMs: number | null = null;
    try {
      for (;;) {
        const shards = await readShards(this.fence.session, this.store);
        const running = shards.filter(({ shard, isFinished }) => shard !== this.shard.index && !isFinished);
        const [first] = running;
        if (first === undefined) return null;
        const gone = running.find(({ isReady }) => !isReady);
        if (gone !== undefined) return `shard ${gone.shard} has not finished, and no process runs it`;
        if (stops.signal !== null) stoppedMs ??= performance.now();
        if (stoppedMs !== null && performance.now() - stoppedMs > STOPPED_MS)
          return `this shard was stopped, and shard ${first.shard} was still running`;
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
    } catch (error) {
      return `it is not known whether the other shards have finished: ${(error as Error).message}`;
    }
  }

  /** Resolves when what is kept for another process is written. */
  protected settle(): Promise<void> {
    return Promise.resolve();
  }

  async end(): Promise<void> {
    await this.raised?.end();
  }
}

/** A shard of a run. */
export class ShardedRun extends Sharded {
  private keeper: ProgressKeeper | null = null;
  /** What the process before has left behind; null where this is the first one. */
  private left: LeftBehind | null = null;

  /** @throws SetupError if the configuration cannot be used with shards. */
  constructor(options: ShardOptions, config: Config, progress: Progress) {
    super(options, config, progress, 'run');
    const alone = ALONE.find(([, isSet]) => isSet(config));
    if (alone !== undefined)
      throw SetupError.of(
        '--shard',
        `${alone[0]} needs the whole load, but each shard knows only its own part; remove the key, or run without --shard`,
      );
    if (config.generator.row_selection === 'system_rows')
      throw SetupError.of('--shard', 'needs row_selection: owned; remove row_selection, or set it to owned');
  }

  /** @throws SetupError where the log of a lane was given up, and the user has not allowed to begin it again. */
  protected override async readPast(client: pg.Client): Promise<void> {
    const { store, shard, lanes, progress } = this;
    this.left = await readLeftBehind(client, store, shard.index, lanes);
    if (this.left.course !== null) return;
    if (!this.options.mayBeInexact)
      throw SetupError.of(
        '--shard',
        `shard ${shard.index} of run ${store.runId} had more refused statements and server-made keys than its log holds (64 MB per lane), so it is not known exactly where its lanes were; ` +
          'add --resume inexact to continue with other random values, in a run that is not reproducible; or end the other shards, and begin a new run with another --run-id',
      );
    await forgetCourse(client, store, lanes);
    progress.message(
      'warn',
      `the lanes of shard ${shard.index} begin again with other random values (--resume inexact): the run is not reproducible, and what they did in the last seconds before is not counted`,
    );
  }

  /** What an earlier process of the shard has stored for the traffic. */
  get past(): Past | null {
    return this.left;
  }

  /** Returns the plan and the claims that the lanes of this process begin with. */
  begins(prepared: Prepared): Pick<Prepared, 'plan' | 'claims'> {
    const { left, lanes, fence } = this;
    return left === null || left.course !== null ? prepared : begunAgain(prepared, lanes, left, fence.incarnation);
  }

  protected override resumed(): void {
    if (this.isFirst) this.tellPaused(null);
  }

  /** Tells the other shards that the fuse has paused the load, or that it continues. Shard 1 calls this. */
  tellPaused(reason: string | null): void {
    notePaused(this.fence.session, this.store, reason).catch((error: Error) =>
      this.progress.message(
        'warn',
        `could not tell the other shards about the state of replication.fuse: ${error.message}`,
      ),
    );
  }

  /** Calls `hold` once a second with what shard 1 says. While that cannot be read, the last value applies. */
  followFuse(hold: (reason: string | null) => void): NodeJS.Timeout | undefined {
    if (this.isFirst) return undefined;
    let isAsking = false;
    const timer = setInterval(() => {
      if (isAsking) return;
      isAsking = true;
      pausedBecause(this.fence.session, this.store)
        .then(hold)
        .catch(() => undefined)
        .finally(() => (isAsking = false));
    }, FOLLOW_MS);
    return timer.unref();
  }

  /** Where the lanes' progress is kept. */
  keepingOf({ relations: { length: relations } }: Plan): Keeping {
    const { fence, store, shard } = this;
    this.keeper ??= new ProgressKeeper(() => fence.session, store, {
      shard: shard.index,
      incarnation: fence.incarnation,
      size: { relations, lanes: this.config.generator.connections },
    });
    return this.keeper;
  }

  protected override async settle(): Promise<void> {
    await this.keeper?.settle();
  }
}

/** A shard of a load. */
export class ShardedLoad extends Sharded {
  /** What the process before has committed. */
  past: readonly Entry[] = [];

  /** @throws SetupError if the configuration cannot be used with shards. */
  constructor(options: ShardOptions, config: Config, progress: Progress, rows: number) {
    super(options, config, progress, { rows });
  }

  protected override async readPast(client: pg.Client): Promise<void> {
    this.past = await readBatches(client, this.store, this.lanes);
  }

  /** Returns what is there of the shard after a crash of the server. */
  readAgain(client: pg.Client): Promise<readonly Entry[]> {
    return readBatches(client, this.store, this.lanes);
  }

  /** Where the lanes note their transactions. */
  get notes(): StoredNotesSettings {
    return batchNotes(this.store, this.shard.index, this.fence.incarnation);
  }
}

const DEFAULT_SCHEMA = 'event_generator';
const FOLLOW_MS = 1000;
/* A shard that was stopped, or that lost the server, is not through: whoever starts it again means to go on. */
const RESUMABLE: readonly number[] = [EXIT.endedEarly, EXIT.outage];

/* Keys that need the whole load in one process. */
const ALONE: readonly (readonly [key: string, isSet: (config: Config) => boolean])[] = [
  ['traffic.hold_lag', ({ traffic }) => traffic.hold_lag > 0],
  ['traffic.control_file', ({ traffic }) => traffic.control_file !== undefined],
  ['verify.every', ({ verification }) => verification !== null],
  ['generator.wait_after_operations', ({ generator }) => generator.wait_after_operations > 0],
];
