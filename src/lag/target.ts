import type pg from 'pg';
import type { ReplicationTarget } from '../config/replication.js';
import type { HistogramTotals } from '../traffic/counters.js';
import { BUCKETS, bucketOf, percentiles } from '../traffic/histogram.js';
import { connect } from '../traffic/session.js';
import { destroy, type Heartbeat, type HeartbeatListener } from './heartbeat.js';
import { logicalPositions, physicalPositions } from './positions.js';
import { heartbeatTable, type Place } from './table.js';
import { Unseen } from './unseen.js';
import { bytesBetween, type Lsn, parseLsn } from './wal.js';

export interface TargetOptions extends Place {
  readonly target: ReplicationTarget;
  readonly heartbeat: () => Heartbeat;
  readonly connectTimeoutMs: number;
  readonly report: (level: 'info' | 'warn', text: string) => void;
  readonly now: () => number;
}

/** How much of the log lies before a target, by how far it got with it. */
export interface PositionReading {
  readonly position: string;
  readonly bytes: number;
  readonly mostBytes: number;
}

/** What is known of a target at one moment. */
export interface TargetReading {
  readonly target: string;
  readonly connected: boolean;
  /** Of heartbeats that it has shown, in milliseconds. */
  readonly lag: HistogramTotals;
  readonly unseen: number;
  /** Age of the oldest heartbeat that it has not shown; 0 where it has shown all. */
  readonly oldestUnseenMs: number;
  /** What it still has to receive, replay or confirm, now and at most so far. */
  readonly behind: readonly PositionReading[];
  /** The median of a question's round trip: no lag below it can be told. */
  readonly pollFloorMs: number | null;
}

const IDLE_MS = 1000;
/* A heartbeat that is unseen for so long is no longer delayed by another question. */
const LAGGING_MS = 200;
/* After so long a target's own figures are old, and what the server has written since then is added. */
const FRESH_MS = 3000;
const QUERY_TIMEOUT_MS = 5000;
const RETRY_MS = 500;
/* While a target lags it is asked less often: the error stays below a hundredth of the lag. */
const PATIENCE = 0.01;
const LONGEST_PAUSE_MS = 100;
const STALLED_MS = 10_000;

/** Asks a target again and again which heartbeat it shows, from the same process and by the same clock that they are written by. */
export class Target implements HeartbeatListener {
  private readonly options: TargetOptions;
  private readonly unseen = new Unseen();
  private readonly lag = new LagHistogram();
  private readonly floor = new LagHistogram();
  private readonly positions = new Map<string, Lsn>();
  private readonly mostBytes = new Map<string, number>();
  private seen = 0;
  /** Where the server was when the target's positions were read, and where it is now that they are to be read again. */
  private pairedLsn: Lsn | null = null;
  private locatedLsn: Lsn | null = null;
  private positionsAtMs = Number.NEGATIVE_INFINITY;
  private slot: string | null = null;
  private connected = false;
  private stalled = false;
  private stopping = false;
  private wake: () => void = () => undefined;
  private client: pg.Client | null = null;

  constructor(options: TargetOptions) {
    this.options = options;
  }

  located(lsn: Lsn): void {
    this.locatedLsn = lsn;
    this.wake();
  }

  committed(sequence: number, ms: number): void {
    // Nobody asks any more whether the target shows it.
    if (this.stopping) return;
    if (sequence <= this.seen) this.lag.observe(0, 1);
    else this.unseen.add(sequence, ms);
    this.wake();
  }

  /** Asks until it is stopped; reconnects as often as it has to. `client`: a session to begin with. */
  async watch(client: pg.Client): Promise<void> {
    let session: pg.Client | null = client;
    let lostMs: number | null = null;
    while (!this.stopping) {
      try {
        session ??= await connectTarget(this.options);
        this.client = session;
        this.connected = true;
        if (lostMs !== null) this.say('info', `is back after ${seconds(this.options.now() - lostMs)}`);
        lostMs = null;
        await this.poll(session);
      } catch (error) {
        if (!this.stopping && lostMs === null)
          this.say('warn', `${(error as Error).message}; heartbeats are kept, and the target is tried again`);
        lostMs ??= this.options.now();
      } finally {
        this.connected = false;
        if (session !== null) destroy(session);
        session = null;
        this.client = null;
      }
      if (!this.stopping) await this.sleep(RETRY_MS);
    }
  }

  /** Waits until the target has shown all heartbeats, for so long at most. */
  async settle(patienceMs: number): Promise<void> {
    const { now } = this.options;
    const deadline = now() + patienceMs;
    while (this.unseen.size > 0 && now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  /** Asks no more. */
  end(): void {
    this.stopping = true;
    this.wake();
    if (this.client !== null) destroy(this.client);
  }

  read(): TargetReading {
    const { now, target } = this.options;
    const oldest = this.unseen.oldestMs;
    return {
      target: target.name,
      connected: this.connected,
      lag: this.lag.totals(),
      unseen: this.unseen.size,
      oldestUnseenMs: oldest === null ? 0 : now() - oldest,
      behind: this.behind(),
      pollFloorMs: this.floor.median(),
    };
  }

  /** Lags with those of unseen heartbeats among them, each with the age that it has now: it will be at least that. */
  lagAtLeast(): HistogramTotals {
    const all = this.lag.copy();
    const nowMs = this.options.now();
    this.unseen.each((committedMs, heartbeats) => all.observe(nowMs - committedMs, heartbeats));
    return all.totals();
  }

  private behind(): PositionReading[] {
    const { now, heartbeat } = this.options;
    const { lsn: current, slots } = heartbeat();
    // Figures that are old are compared with where the server is now: what stalls falls behind.
    const isFresh = this.connected && now() - this.positionsAtMs < FRESH_MS;
    const positions = [...this.positions].map(([position, at]) => ({
      position,
      at,
      of: isFresh ? this.pairedLsn : current,
    }));
    const confirmed = slots.find(({ slot }) => slot === this.slot)?.confirmed ?? null;
    if (confirmed !== null) positions.push({ position: 'confirmed', at: confirmed.lsn, of: confirmed.of });
    return positions.flatMap(({ position, at, of }) => {
      if (of === null) return [];
      const bytes = bytesBetween(at, of);
      const mostBytes = Math.max(bytes, this.mostBytes.get(position) ?? 0);
      this.mostBytes.set(position, mostBytes);
      return [{ position, bytes, mostBytes }];
    });
  }

  private async poll(client: pg.Client): Promise<void> {
    const { now, runId, schema } = this.options;
    const text = `SELECT sequence FROM ${heartbeatTable(schema)} WHERE run = $1`;
    while (!this.stopping) {
      this.watchForStall();
      // A heartbeat is looked for first: time that other questions take is none of its lag.
      const oldestMs = this.unseen.oldestMs;
      if (this.locatedLsn !== null && (oldestMs === null || now() - oldestMs > LAGGING_MS)) {
        await this.readPositions(client, this.locatedLsn);
        // For the highest value, also where nobody looks.
        this.behind();
      }
      if (this.unseen.size === 0) {
        await this.sleep(IDLE_MS);
        continue;
      }
      const askedMs = now();
      const { rows } = await answered(client.query<{ sequence: string }>(text, [runId]));
      const answeredMs = now();
      this.floor.observe(answeredMs - askedMs, 1);
      this.saw(Number(rows[0]?.sequence ?? 0), answeredMs);
      const pauseMs = Math.min(LONGEST_PAUSE_MS, (answeredMs - (this.unseen.oldestMs ?? answeredMs)) * PATIENCE);
      if (pauseMs >= 1) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  private saw(sequence: number, ms: number): void {
    if (sequence <= this.seen) return;
    this.seen = sequence;
    this.unseen.takeUpTo(sequence, (committedMs, heartbeats) => this.lag.observe(ms - committedMs, heartbeats));
  }

  private watchForStall(): void {
    const oldest = this.unseen.oldestMs;
    const ageMs = oldest === null ? 0 : this.options.now() - oldest;
    if (!this.stalled && ageMs > STALLED_MS) this.say('warn', `has shown no heartbeat for ${seconds(ageMs)}`);
    if (this.stalled && ageMs < STALLED_MS / 10) this.say('info', 'shows heartbeats again');
    if (ageMs > STALLED_MS) this.stalled = true;
    else if (ageMs < STALLED_MS / 10) this.stalled = false;
  }

  /* Right after the server was asked: what it writes between the two questions is not taken for lag. */
  private async readPositions(client: pg.Client, lsn: Lsn): Promise<void> {
    const { target, now, schema } = this.options;
    this.locatedLsn = null;
    if (target.kind === 'heartbeat') return;
    const positions = await answered(
      target.kind === 'physical' ? physicalPositions(client) : logicalPositions(client, schema),
    );
    this.positionsAtMs = now();
    this.pairedLsn = lsn;
    this.slot = positions.slot ?? this.slot;
    for (const [position, at] of Object.entries(positions.at))
      if (at !== null) this.positions.set(position, parseLsn(at));
  }

  private say(level: 'info' | 'warn', text: string): void {
    this.options.report(level, `replication target ${this.options.target.name}: ${text}`);
  }

  /** Until a heartbeat is committed, at most for so long. */
  private async sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.wake = () => undefined;
  }
}

/** A session on a target. Only what every server that speaks PostgreSQL's protocol takes is asked of it. */
export async function connectTarget({
  target,
  runId,
  connectTimeoutMs,
}: Pick<TargetOptions, 'target' | 'runId' | 'connectTimeoutMs'>): Promise<pg.Client> {
  const client = await connect(target.connection, {
    applicationName: `eventgen/${runId}/lag`,
    connectTimeoutMs,
    statementTimeoutMs: 0,
    lockTimeoutMs: 0,
    pipeline: false,
    plain: true,
  });
  // A backend that is given up must not go on waiting: others follow it. Not every make knows the setting.
  await answered(client.query(`SET statement_timeout = ${QUERY_TIMEOUT_MS}`)).catch(() => undefined);
  return client;
}

/** An answer, or an error where none comes in time: a server that is stopped or cut off keeps its connections open. */
async function answered<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${QUERY_TIMEOUT_MS / 1000} s`)), QUERY_TIMEOUT_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
    answer.catch(() => undefined);
  }
}

class LagHistogram {
  private counts = new Float64Array(BUCKETS);
  private sumMs = 0;
  private maxMs = 0;

  observe(ms: number, times: number): void {
    this.counts[bucketOf(ms)]! += times;
    this.sumMs += ms * times;
    this.maxMs = Math.max(this.maxMs, ms);
  }

  copy(): LagHistogram {
    const copy = new LagHistogram();
    copy.counts = this.counts.slice();
    copy.sumMs = this.sumMs;
    copy.maxMs = this.maxMs;
    return copy;
  }

  totals(): HistogramTotals {
    return { counts: this.counts.slice(), sumMs: this.sumMs, maxMs: this.maxMs };
  }

  /** In milliseconds; null without observations. */
  median(): number | null {
    const found = percentiles(this.counts, this.maxMs);
    return found === null ? null : found.p50 * 1000;
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
