import type pg from 'pg';
import { introspect } from '../catalog/introspect.js';
import type { Config } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import { lanesOf, type Shard } from '../config/shard.js';
import { VERSION } from '../package.js';
import { connectCoordinator } from '../prepare/connect.js';
import { configurationFingerprint } from '../prepare/decided.js';
import type { Prepared } from '../prepare/examine.js';
import type { Progress } from '../report/progress.js';
import type { Summary } from '../report/summary.js';
import { Fence } from '../shards/fence.js';
import { forgetProgress, ProgressKeeper, readPast } from '../shards/progress.js';
import { startTogether } from '../shards/start.js';
import {
  layOutShards,
  noteBegun,
  noteFinished,
  notePaused,
  pausedBecause,
  publishedBy,
  type RunStore,
  sharedPlan,
  startsIn,
} from '../shards/store.js';
import type { Keeping } from '../traffic/coordinator.js';
import type { Past } from '../traffic/lane-progress.js';
import { applicationName } from '../traffic/message.js';
import { EXIT } from './exit.js';
import type { StopSignals } from './stop-signals.js';

/** Options of `run --shard`. */
export interface ShardOptions {
  readonly shard: Shard;
  readonly runId: string;
  readonly startTimeoutMs: number;
  /** Null: two seconds after the last shard is ready. */
  readonly startAt: Date | null;
}

/** A shard of a run: what it shares with the others, and what it does for them. */
export class ShardedRun {
  readonly options: ShardOptions;
  private readonly config: Config;
  private readonly progress: Progress;
  private readonly store: RunStore;
  private fence: Fence | null = null;
  private keeper: ProgressKeeper | null = null;
  /** What the process before has left behind; null where this is the first one. */
  past: Past | null = null;

  /** @throws SetupError if the configuration cannot be used with shards. */
  constructor(options: ShardOptions, config: Config, progress: Progress) {
    const { shard, runId } = options;
    this.options = options;
    this.config = config;
    this.progress = progress;
    this.store = { schema: config.replication?.schema ?? DEFAULT_SCHEMA, runId };
    const { connections, row_selection: selection } = config.generator;
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
    const alone = ALONE.find(([, isSet]) => isSet(config));
    if (alone !== undefined)
      throw SetupError.of(
        '--shard',
        `${alone[0]} needs the whole load, but each shard knows only its own part; remove the key, or run without --shard`,
      );
    if (selection === 'system_rows')
      throw SetupError.of('--shard', 'needs row_selection: owned; remove row_selection, or set it to owned');
  }

  get shard(): Shard {
    return this.options.shard;
  }

  get laneCount(): number {
    return lanesOf(this.shard, this.config.generator.connections).length;
  }

  /** Returns the lanes of this shard. */
  lanes(prepared: Prepared): readonly number[] {
    return lanesOf(this.shard, prepared.plan.quotas.length);
  }

  /** True for the shard that does what is done once per run: probes, indexes, traps, comparisons. */
  get isFirst(): boolean {
    return this.shard.index === 1;
  }

  /** Locks this shard against other processes, and gets the common plan, which the first shard to come makes. */
  async prepare(client: pg.Client, prepare: () => Promise<Prepared>, isOver: () => boolean): Promise<Prepared> {
    const { config, store, options, progress } = this;
    const { shard, runId } = options;
    const { generator } = config;
    await layOutShards(client, store.schema);
    const published = await publishedBy(client);
    if (published.names.length > 0 && this.isFirst)
      progress.message(
        'warn',
        `${published.names.join(', ')} publishes all tables, including the tables that the shards share. A subscriber that lacks them stops; create them there: ${published.sql(store.schema)};`,
      );
    this.fence = await Fence.raise({
      store,
      shard: shard.index,
      connect: () => connectCoordinator(config.connection, config, `${runId}/shard-${shard.index}`),
      sessions: lanesOf(shard, generator.connections).map((lane) => applicationName(runId, lane)),
      connectTimeoutMs: generator.timeouts.connect,
      patienceMs: options.startTimeoutMs,
      maxOutageMs: generator.max_outage_seconds * 1000,
      isOver,
      say: (level, text) => progress.message(level, text),
    });
    const lanes = lanesOf(shard, generator.connections);
    if (this.fence.isResumed) {
      this.past = await readPast(client, store, shard.index, lanes);
      progress.message('info', `shard ${shard.index} of run ${runId} continues where its previous process stopped`);
    }
    this.keeper = new ProgressKeeper(() => this.fence!.session, store, shard.index, this.fence.incarnation);
    progress.step('waiting for the plan of the run');
    const deadline = performance.now() + options.startTimeoutMs;
    const identity = { version: VERSION, shards: shard.of, configuration: configurationFingerprint(config) };
    return sharedPlan(client, store, identity, {
      prepare,
      look: () => introspect(client, config.schemas),
      isOver: () => isOver() || performance.now() > deadline,
    });
  }

  /**
   * Waits for the others.
   * @returns when all start, on this process's clock; null if a signal came before.
   * @throws Missing if some did not come in time.
   */
  async start(stops: StopSignals): Promise<number | null> {
    const { progress, store, options } = this;
    const { shard, startTimeoutMs: timeoutMs, startAt } = options;
    const fence = this.fence!;
    if (fence.isResumed || fence.incarnation > 1) {
      const ms = await startsIn(fence.session, store);
      // The process before was ready, so that the others have started with it.
      if (fence.isResumed || (ms !== null && ms < 0)) {
        if (this.isFirst) this.tellPaused(null);
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

  /** Sets what happens to the lanes when this process may no longer run the shard. */
  guard(lanes: Parameters<Fence['guard']>[0]): void {
    this.fence?.guard(lanes);
  }

  /** Tells the other shards that the fuse has paused the load, or that it continues. Shard 1 calls this. */
  tellPaused(reason: string | null): void {
    notePaused(this.fence!.session, this.store, reason).catch((error: Error) =>
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
      pausedBecause(this.fence!.session, this.store)
        .then(hold)
        .catch(() => undefined)
        .finally(() => (isAsking = false));
    }, FOLLOW_MS);
    return timer.unref();
  }

  /** Where the lanes' progress is kept. */
  get keeping(): Keeping {
    return this.keeper!;
  }

  /** Leaves the summary for the others. Returns true where all shards have finished now. */
  async finish(summary: Summary): Promise<boolean> {
    const { store, shard, progress } = this;
    const { session, incarnation } = this.fence!;
    const { code } = summary.exit;
    const isFinal = !RESUMABLE.includes(code);
    try {
      await this.keeper!.settle();
      const { isOurs, isLast } = await noteFinished(session, store, {
        shard: shard.index,
        of: shard.of,
        incarnation,
        exitCode: code,
        isFinal,
        summary: JSON.stringify(summary),
      });
      if (isFinal && isOurs)
        await forgetProgress(session, store, shard.index, lanesOf(shard, this.config.generator.connections));
      return isLast;
    } catch (error) {
      progress.message(
        'warn',
        `the summary of shard ${shard.index} could not be stored in the database (${(error as Error).message}); give merge the files of --summary instead`,
      );
      return false;
    }
  }

  async end(): Promise<void> {
    await this.fence?.end();
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
