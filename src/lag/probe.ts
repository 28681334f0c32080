import type pg from 'pg';
import type { ConnectionSettings } from '../config/connection.js';
import { describeConnection } from '../config/connection.js';
import { type Problem, SetupError } from '../config/problem.js';
import type { ReplicationConfig, ReplicationTarget } from '../config/replication.js';
import type { HistogramTotals } from '../traffic/counters.js';
import { type Percentiles, percentiles } from '../traffic/histogram.js';
import { connectHeartbeat, destroy, Heartbeat, type SlotReading } from './heartbeat.js';
import { logicalPositions } from './positions.js';
import { clearHeartbeat, heartbeatDefinition, heartbeatTable, layOutHeartbeat } from './table.js';
import { connectTarget, Target, type TargetReading } from './target.js';

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
}

/** How a target did over a run. Where `unseen` is above 0 its figures are lower bounds: unseen heartbeats count with their age. */
interface ReplicationSummary {
  readonly lag_seconds: Percentiles | null;
  readonly heartbeats: number;
  readonly unseen: number;
  /** Null where none is unseen. */
  readonly unseen_at_least_seconds: number | null;
  readonly poll_floor_seconds: number | null;
  /** Log that it had still to receive, replay or confirm: at the end and at most. */
  readonly bytes_behind: Readonly<Record<string, { readonly end: number; readonly max: number }>>;
}

/** What a run has found out about replication. */
export interface ReplicationOutcome {
  readonly targets: Readonly<Record<string, ReplicationSummary>>;
  /** Log that the server kept for each slot, in bytes: at the end and at most. */
  readonly slots: Readonly<Record<string, { readonly end: number; readonly max: number }>>;
  /** Moments of the schedule at which no heartbeat could be written: the server was away, or this process was held up. */
  readonly missed: number;
}

const ARRIVAL_TIMEOUT_MS = 10_000;
const LAST_HEARTBEATS_MS = 5000;

/** Measures how far targets are behind, by heartbeats and by positions in the log. */
export class ReplicationProbe {
  private readonly heartbeat: Heartbeat;
  private readonly targets: readonly Target[];
  private readonly names: readonly string[];
  private watching: Promise<unknown> = Promise.resolve();
  /** How it stood at the end; null before. */
  private last: ReplicationReading | null = null;
  private lags: readonly HistogramTotals[] | null = null;
  private readonly sessions: { readonly heartbeat: pg.Client; readonly targets: readonly pg.Client[] };

  private constructor(options: ProbeOptions, sessions: ReplicationProbe['sessions']) {
    const { replication, runId, connectTimeoutMs, report } = options;
    const now = () => performance.now();
    const place = { runId, schema: replication.schema };
    this.sessions = sessions;
    this.names = replication.targets.map(({ name }) => name);
    this.targets = replication.targets.map(
      (target) => new Target({ ...place, target, connectTimeoutMs, report, now, heartbeat: () => this.heartbeat }),
    );
    this.heartbeat = new Heartbeat({
      ...place,
      connection: options.connection,
      intervalMs: replication.intervalMs,
      connectTimeoutMs,
      listeners: this.targets,
      now,
    });
  }

  /**
   * Lays out the heartbeats' table and looks whether they arrive at every target.
   * @throws SetupError for each target that cannot show them, with what to do there.
   */
  static async open(options: ProbeOptions): Promise<ReplicationProbe> {
    const { replication, runId } = options;
    const place = { runId, schema: replication.schema };
    const heartbeat = await connectHeartbeat({ ...options, ...place }).catch((error: Error) => {
      throw SetupError.of(
        'replication.heartbeat',
        `no session on ${describeConnection(options.connection)}: ${error.message}`,
      );
    });
    const opened: pg.Client[] = [heartbeat];
    try {
      await layOutHeartbeat(heartbeat, place);
      const problems: Problem[] = [];
      const targets = await Promise.all(
        replication.targets.map(async (target) => {
          try {
            const client = await connectTarget({ ...options, target });
            opened.push(client);
            await expectHeartbeat(client, target, options);
            return client;
          } catch (error) {
            problems.push(
              ...(error instanceof SetupError
                ? error.problems
                : [
                    {
                      place: `replication target ${target.name}`,
                      key: '',
                      message: `${describeConnection(target.connection)} cannot be read: ${(error as Error).message}`,
                    },
                  ]),
            );
            return heartbeat;
          }
        }),
      );
      if (problems.length > 0) throw new SetupError(problems);
      return new ReplicationProbe(options, { heartbeat, targets });
    } catch (error) {
      await clearHeartbeat(heartbeat, place).catch(() => undefined);
      for (const client of opened) destroy(client);
      throw error;
    }
  }

  start(): void {
    this.watching = Promise.all(this.targets.map((target, index) => target.watch(this.sessions.targets[index]!)));
    this.heartbeat.start(this.sessions.heartbeat);
  }

  read(): ReplicationReading {
    return this.last ?? { targets: this.targets.map((target) => target.read()), slots: this.heartbeat.slots };
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

function summaryOf(
  { unseen, oldestUnseenMs, pollFloorMs, behind }: TargetReading,
  // Read after the rest: a lag that is at least the age is never below it.
  { counts, maxMs }: HistogramTotals,
): ReplicationSummary {
  return {
    lag_seconds: percentiles(counts, maxMs),
    heartbeats: counts.reduce((sum, count) => sum + count, 0),
    unseen,
    unseen_at_least_seconds: unseen === 0 ? null : Math.floor(oldestUnseenMs) / 1000,
    poll_floor_seconds: pollFloorMs === null ? null : Number((pollFloorMs / 1000).toPrecision(3)),
    bytes_behind: Object.fromEntries(
      behind.map(({ position, bytes, mostBytes }) => [position, { end: bytes, max: mostBytes }]),
    ),
  };
}

/** A target must have the table; that its row has not arrived yet may be the very lag that is to be measured. */
async function expectHeartbeat(client: pg.Client, target: ReplicationTarget, options: ProbeOptions): Promise<void> {
  const { replication, runId, report } = options;
  const { schema } = replication;
  const fail = (message: string) => SetupError.of(`replication target ${target.name}`, message);
  await expectKind(client, target, schema, fail);
  const deadline = performance.now() + ARRIVAL_TIMEOUT_MS;
  let missing = '';
  for (;;) {
    try {
      const { rowCount } = await client.query(`SELECT FROM ${heartbeatTable(schema)} WHERE run = $1`, [runId]);
      if (rowCount === 1) return;
      missing = 'the row of this run';
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (code !== '42P01' && code !== '3F000') throw fail(`${heartbeatTable(schema)} cannot be read: ${message}`);
      missing = `the table ${heartbeatTable(schema)}`;
    }
    if (performance.now() > deadline) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const text = `${missing} has not arrived there within ${ARRIVAL_TIMEOUT_MS / 1000} s`;
  if (target.kind === 'heartbeat' && missing.startsWith('the table'))
    throw fail(`${text}: let what replicates bring it along, or create it: ${heartbeatDefinition(schema)}`);
  report('warn', `replication target ${target.name}: ${text}; its lag counts from now on`);
}

/** What the kind promises, asked of the target itself. */
async function expectKind(
  client: pg.Client,
  { kind }: ReplicationTarget,
  schema: string,
  fail: (message: string) => SetupError,
): Promise<void> {
  if (kind === 'physical') {
    const { rows } = await client.query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby');
    if (!rows[0]!.standby)
      throw fail('is no standby (pg_is_in_recovery() is false); use kind: logical, or kind: heartbeat');
  }
  if (kind === 'logical') {
    const { rows } = await client.query<{ found: string | null }>('SELECT to_regclass($1)::text AS found', [
      heartbeatTable(schema),
    ]);
    const { slot } = await logicalPositions(client, schema);
    if (rows[0]!.found !== null && slot !== null) return;
    const create = rows[0]!.found === null ? `${heartbeatDefinition(schema)} ` : '';
    throw fail(
      `no subscription brings ${heartbeatTable(schema)} there. On the server of the traffic, unless its publication is FOR ALL TABLES: ` +
        `ALTER PUBLICATION name ADD TABLE ${heartbeatTable(schema)}; on the target: ${create}ALTER SUBSCRIPTION name REFRESH PUBLICATION;`,
    );
  }
}
