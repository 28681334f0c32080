import type pg from 'pg';
import type { ConnectionSettings } from '../config/connection.js';
import { describeConnection } from '../config/connection.js';
import { type Problem, SetupError } from '../config/problem.js';
import { isServer, type ReplicationConfig, type ReplicationTarget } from '../config/replication.js';
import { settledWithin } from '../patience.js';
import type { HistogramTotals } from '../traffic/counters.js';
import { type Percentiles, percentiles } from '../traffic/histogram.js';
import type { Eye } from './eyes/eye.js';
import { expectTarget, openEye, watchedIn } from './eyes/open.js';
import { failoverWarnings } from './failover-slots.js';
import { connectHeartbeat, destroy, Heartbeat } from './heartbeat.js';
import type { Stage } from './ladder.js';
import { type ServerLags, type SlotReading, Source, type SourceReading } from './source.js';
import { clearHeartbeat, layOutHeartbeat, type Place } from './table.js';
import { Target, type TargetReading } from './target.js';

export interface ProbeOptions {
  readonly replication: ReplicationConfig;
  /** The server that the traffic goes to. */
  readonly connection: ConnectionSettings;
  readonly runId: string;
  readonly connectTimeoutMs: number;
  readonly report: (level: 'info' | 'warn', text: string) => void;
}

/** What is known of replication at one moment. */
export interface ReplicationReading {
  readonly targets: readonly TargetReading[];
  readonly slots: readonly SlotReading[];
  /** The server of the traffic as it was read last; null where it was not, or is no PostgreSQL. */
  readonly source: SourceReading | null;
}

/** How a target did over a run. Where `unseen` is above 0 its figures are lower bounds: unseen heartbeats count with their age. */
interface ReplicationSummary {
  readonly kind: TargetReading['kind'];
  readonly lag_seconds: Percentiles | null;
  readonly heartbeats: number;
  readonly unseen: number;
  /** Null where none is unseen. */
  readonly unseen_at_least_seconds: number | null;
  readonly poll_floor_seconds: number | null;
  /** Bytes of log that the target had not yet received, replayed or confirmed: at the end, and the maximum. */
  readonly bytes_behind: Readonly<Record<string, { readonly end: number; readonly max: number }>>;
  /** Where the lag came from: seconds that the log waited at each stage, on average over the run's looks. */
  readonly stage_seconds: Readonly<Partial<Record<Stage, number>>>;
  /** For comparison: the last lags in the source's `pg_stat_replication`, which do not change on an idle server; null if it has none. */
  readonly server_lag_seconds: ServerLags | null;
  /** Why it did not go on at the end; null where it did, or where that is not known. */
  readonly reason: string | null;
}

/** What a run has found out about replication. */
export interface ReplicationOutcome {
  readonly targets: Readonly<Record<string, ReplicationSummary>>;
  /** Log that the server kept for each slot, in bytes: at the end and at most. */
  readonly slots: Readonly<Record<string, { readonly end: number; readonly max: number }>>;
  /** Moments of the schedule at which no heartbeat could be written: the server was away, or this process was held up. */
  readonly missed: number;
}

const LAST_HEARTBEATS_MS = 5000;
const FAREWELL_MS = 1000;

/** Measures how far targets are behind, by heartbeats and by positions in the log. */
export class ReplicationProbe {
  private readonly heartbeat: Heartbeat;
  private readonly targets: readonly Target[];
  private readonly names: readonly string[];
  private watching: Promise<unknown> = Promise.resolve();
  /** How it stood at the end; null before. */
  private last: ReplicationReading | null = null;
  private lags: readonly HistogramTotals[] | null = null;
  private readonly source: Source;
  private readonly sessions: { readonly heartbeat: pg.Client; readonly eyes: readonly Eye[] };
  private readonly place: Place;
  private isStarted = false;

  private constructor(options: ProbeOptions, source: Source, sessions: ReplicationProbe['sessions']) {
    const { replication, runId, report } = options;
    this.place = placeOf(options);
    const now = () => performance.now();
    this.source = source;
    this.sessions = sessions;
    const watched = watchedIn(replication);
    this.names = watched.map(({ target }) => target.name);
    this.targets = watched.map(
      (each) => new Target({ target: each.target, report, now, source, open: () => openEye(each, source, options) }),
    );
    this.heartbeat = new Heartbeat({
      runId,
      schema: replication.schema,
      tables: replication.tables,
      connection: options.connection,
      intervalMs: replication.intervalMs,
      connectTimeoutMs: options.connectTimeoutMs,
      source,
      listeners: this.targets,
      now,
    });
  }

  /**
   * Lays out the heartbeats' table and looks whether they arrive at every target.
   * @throws SetupError for each target that cannot show them, with what to do there.
   */
  static async open(options: ProbeOptions): Promise<ReplicationProbe> {
    const { replication } = options;
    const place = placeOf(options);
    const heartbeat = await connectHeartbeat({ ...options, ...place }).catch((error: Error) => {
      throw SetupError.of(
        'replication.heartbeat',
        `cannot open a session on ${describeConnection(options.connection)}: ${error.message}`,
      );
    });
    const source = new Source();
    const watched = watchedIn(replication);
    const eyes: Eye[] = [];
    try {
      await layOutHeartbeat(heartbeat, place);
      const opened = await Promise.allSettled(
        watched.map(async (each) => {
          const eye = await openEye(each, source, options);
          eyes.push(eye);
          await expectTarget(eye, each, options);
          return eye;
        }),
      );
      const problems = opened.flatMap((each, index): readonly Problem[] =>
        each.status === 'fulfilled' ? [] : problemsOf(each.reason as Error, watched[index]!.target),
      );
      if (problems.length > 0) throw new SetupError(problems);
      const inOrder = opened.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
      for (const warning of await failoverWarnings(heartbeat, watched, inOrder)) options.report('warn', warning);
      return new ReplicationProbe(options, source, { heartbeat, eyes: inOrder });
    } catch (error) {
      await clearHeartbeat(heartbeat, place).catch(() => undefined);
      destroy(heartbeat);
      for (const eye of eyes) eye.close();
      throw error;
    }
  }

  start(): void {
    this.isStarted = true;
    this.watching = Promise.all(this.targets.map((target, index) => target.watch(this.sessions.eyes[index]!)));
    this.heartbeat.start(this.sessions.heartbeat);
  }

  /** Ends a probe that was never started, and deletes its rows; does nothing to another one. */
  async discard(): Promise<void> {
    if (this.isStarted) return;
    const { heartbeat, eyes } = this.sessions;
    await settledWithin(
      clearHeartbeat(heartbeat, this.place).catch(() => undefined),
      FAREWELL_MS,
    );
    destroy(heartbeat);
    for (const eye of eyes) eye.close();
  }

  read(): ReplicationReading {
    const { reading } = this.source;
    return (
      this.last ?? {
        targets: this.targets.map((target) => target.read()),
        slots: reading?.slots ?? [],
        source: reading,
      }
    );
  }

  /** Per target, its lags with those of unseen heartbeats as lower bounds. */
  lagAtLeast(): readonly HistogramTotals[] {
    return this.lags ?? this.targets.map((target) => target.lagAtLeast());
  }

  /** Stops, after the last heartbeats had time to arrive. */
  async end(): Promise<ReplicationOutcome> {
    await this.heartbeat.stop();
    await Promise.all(this.targets.map((target) => target.settle(LAST_HEARTBEATS_MS)));
    // Before the sessions end: afterwards every target would seem to be down.
    const last = this.read();
    const lags = this.lagAtLeast();
    this.last = last;
    this.lags = lags;
    for (const target of this.targets) target.end();
    await this.watching;
    await this.heartbeat.end();
    return {
      targets: Object.fromEntries(
        last.targets.map((reading, index) => [this.names[index]!, summaryOf(reading, lags[index]!)]),
      ),
      slots: Object.fromEntries(
        last.slots.map(({ slot, retainedBytes, mostRetainedBytes }) => [
          slot,
          { end: retainedBytes, max: mostRetainedBytes },
        ]),
      ),
      missed: this.heartbeat.missed,
    };
  }
}

function placeOf({ replication, runId }: ProbeOptions): Place {
  return { runId, schema: replication.schema, tables: replication.tables };
}

function summaryOf(
  { kind, unseen, oldestUnseenMs, pollFloorMs, behind, stages, serverLags, reason }: TargetReading,
  // Read after the rest: a lag that is at least the age is never below it.
  { counts, maxMs }: HistogramTotals,
): ReplicationSummary {
  return {
    kind,
    lag_seconds: percentiles(counts, maxMs),
    heartbeats: counts.reduce((sum, count) => sum + count, 0),
    unseen,
    unseen_at_least_seconds: unseen === 0 ? null : Math.floor(oldestUnseenMs) / 1000,
    poll_floor_seconds: pollFloorMs === null ? null : Number((pollFloorMs / 1000).toPrecision(3)),
    bytes_behind: Object.fromEntries(
      behind.map(({ position, bytes, mostBytes }) => [position, { end: bytes, max: mostBytes }]),
    ),
    stage_seconds: Object.fromEntries(
      Object.entries(stages.seconds).map(([stage, seconds]) => [
        stage,
        Number((seconds / stages.looks).toPrecision(3)),
      ]),
    ),
    server_lag_seconds: serverLags,
    reason,
  };
}

function problemsOf(error: Error, target: ReplicationTarget): readonly Problem[] {
  if (error instanceof SetupError) return error.problems;
  const what = isServer(target)
    ? `${describeConnection(target.connection)} cannot be read: ${error.message}`
    : error.message;
  return [{ place: `replication target ${target.name}`, key: '', message: what }];
}
