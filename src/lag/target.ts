import type { ReplicationTarget } from '../config/replication.js';
import type { HistogramTotals } from '../traffic/counters.js';
import type { Eye, Standing } from './eyes/eye.js';
import type { HeartbeatListener } from './heartbeat.js';
import { rungsOf, type Stage } from './ladder.js';
import { LagHistogram } from './lag-histogram.js';
import type { ServerLags, Source } from './source.js';
import { Unseen } from './unseen.js';
import { bytesBetween, type Lsn } from './wal.js';

export interface TargetOptions {
  readonly target: ReplicationTarget;
  /** The server of the traffic. */
  readonly source: Source;
  /** Opens another eye where the one before has failed. */
  readonly open: () => Promise<Eye>;
  readonly report: (level: 'info' | 'warn', text: string) => void;
  readonly now: () => number;
}

/** How much of the log lies before a target, by how far it got with it. */
export interface PositionReading {
  readonly position: string;
  readonly lsn: Lsn;
  readonly bytes: number;
  readonly mostBytes: number;
}

/** What is known of a target at one moment. */
export interface TargetReading {
  readonly target: string;
  readonly kind: ReplicationTarget['kind'];
  readonly connected: boolean;
  /** Of heartbeats that it has shown, in milliseconds. */
  readonly lag: HistogramTotals;
  readonly unseen: number;
  /** When the newest heartbeat that it has shown was committed; null before the first one. */
  readonly newestShownMs: number | null;
  /** Age of the oldest heartbeat that it has not shown; 0 where it has shown all. */
  readonly oldestUnseenMs: number;
  /** What it still has to receive, replay or confirm, now and at most so far. */
  readonly behind: readonly PositionReading[];
  /** The median of a look: no lag below it can be told. */
  readonly pollFloorMs: number | null;
  /** Where the lag came from so far. */
  readonly stages: StageTotals;
  /** The stage at which most of its lag came about at the last look; null where it had none. */
  readonly waiting: Stage | null;
  /** Why it does not go on, in words; null where it does, or where nobody knows. */
  readonly reason: string | null;
  /** Its lags in the source's own statistics; null if they had none. They do not change while nothing is written. */
  readonly serverLags: ServerLags | null;
  /** Processes that bring it the changes; null where they are not known. */
  readonly processes: { readonly sender: number | null; readonly applier: number | null };
}

/** Seconds of the log that waited at each stage, summed over so many looks. */
interface StageTotals {
  readonly looks: number;
  readonly seconds: Readonly<Partial<Record<Stage, number>>>;
}

const IDLE_MS = 1000;
/* A heartbeat that is unseen for so long is no longer delayed by another question. */
const LAGGING_MS = 200;
/* After so long a target's own figures are old, and what the server has written since then is added. */
const FRESH_MS = 3000;
const RETRY_MS = 500;
/* While a target lags it is asked less often, since questions cost it time: the error stays below some hundredths of the lag. */
const PATIENCE = 0.05;
const LONGEST_PAUSE_MS = 100;
/*
 * A server that is slow to answer has no time for questions: a look takes at most this part of the time. What that adds to a lag
 * stays below the error that is promised.
 */
const REST = 20;
const LONGEST_REST_MS = 20;
const STALLED_MS = 10_000;

/** Asks a target again and again which heartbeat it shows, from the same process and by the same clock that they are written by. */
export class Target implements HeartbeatListener {
  private readonly options: TargetOptions;
  private readonly unseen = new Unseen();
  private readonly lag = new LagHistogram();
  private readonly floor = new LagHistogram();
  private readonly mostBytes = new Map<string, number>();
  private readonly stageSeconds = new Map<Stage, number>();
  private stageLooks = 0;
  private waiting: Stage | null = null;
  private standing: Standing | null = null;
  private serverLags: ServerLags | null = null;
  private seen = 0;
  private newestShownMs: number | null = null;
  /** Where the source was when the target's standing was read. */
  private pairedLsn: Lsn | null = null;
  /** True if the source has been read since the target's standing was last read. */
  private isLocated = false;
  private standingAtMs = Number.NEGATIVE_INFINITY;
  /** Why the last eye has failed. */
  private failure: string | null = null;
  private connected = false;
  private stalled = false;
  private stopping = false;
  /** How long the target is left alone after a look. */
  private restMs = 0;
  private wake: () => void = () => undefined;
  private interrupt: () => void = () => undefined;
  private eye: Eye | null = null;

  constructor(options: TargetOptions) {
    this.options = options;
  }

  located(): void {
    this.isLocated = true;
    this.wake();
  }

  committed(sequence: number, ms: number): void {
    // Nobody asks any more whether the target shows it.
    if (this.stopping) return;
    if (sequence <= this.seen) {
      this.lag.observe(0, 1);
      this.newestShownMs = ms;
    } else this.unseen.add(sequence, ms);
    this.wake();
  }

  /** Looks until it is stopped; opens another eye as often as it has to. `eye`: to begin with. */
  async watch(eye: Eye): Promise<void> {
    let current: Eye | null = eye;
    let lostMs: number | null = null;
    let retryMs = RETRY_MS;
    while (!this.stopping) {
      try {
        current ??= await this.options.open();
        this.eye = current;
        this.connected = true;
        await this.look(current, () => {
          if (lostMs !== null) this.say('info', `is reachable again after ${seconds(this.options.now() - lostMs)}`);
          lostMs = null;
          this.failure = null;
        });
      } catch (error) {
        this.failure = (error as Error).message;
        if (!this.stopping && lostMs === null)
          this.say('warn', `${this.failure}; connecting again, and its lag keeps counting`);
        lostMs ??= this.options.now();
      } finally {
        this.connected = false;
        retryMs = Math.max(RETRY_MS, current?.leastPauseMs ?? 0);
        current?.close();
        current = null;
        this.eye = null;
      }
      await this.pause(retryMs);
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
    this.interrupt();
    this.eye?.close();
  }

  read(): TargetReading {
    const { now, target } = this.options;
    const oldest = this.unseen.oldestMs;
    return {
      target: target.name,
      kind: target.kind,
      connected: this.connected,
      lag: this.lag.totals(),
      unseen: this.unseen.size,
      newestShownMs: this.newestShownMs,
      oldestUnseenMs: oldest === null ? 0 : now() - oldest,
      behind: this.behind(),
      pollFloorMs: this.floor.median(),
      stages: { looks: this.stageLooks, seconds: Object.fromEntries(this.stageSeconds) },
      waiting: this.waiting,
      reason: this.failure ?? this.standing?.reason ?? null,
      serverLags: this.serverLags,
      processes: { sender: this.standing?.senderId ?? null, applier: this.standing?.processId ?? null },
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
    const { now, source } = this.options;
    const current = source.reading?.lsn ?? null;
    // Figures that are old are compared with where the server is now: what stalls falls behind.
    const isFresh = this.connected && now() - this.standingAtMs < FRESH_MS;
    const of = isFresh ? this.pairedLsn : current;
    if (of === null) return [];
    return (this.standing?.positions ?? []).map(({ position, lsn }) => {
      const bytes = bytesBetween(lsn, of);
      const mostBytes = Math.max(bytes, this.mostBytes.get(position) ?? 0);
      this.mostBytes.set(position, mostBytes);
      return { position, lsn, bytes, mostBytes };
    });
  }

  /** `answered`: told of each look that has succeeded. */
  private async look(eye: Eye, answered: () => void): Promise<void> {
    const { now } = this.options;
    let lookedAtMs = Number.NEGATIVE_INFINITY;
    while (!this.stopping) {
      this.watchForStall();
      // A heartbeat is looked for first: time that other questions take is none of its lag.
      const oldestMs = this.unseen.oldestMs;
      if (this.isLocated && (oldestMs === null || now() - oldestMs > LAGGING_MS)) await this.takeStanding(eye);
      if (this.unseen.size === 0) {
        await this.sleep(IDLE_MS);
        // After half of the rest, so that one look is enough for most heartbeats.
        const restMs = Math.min(this.restMs, LONGEST_REST_MS) / 2;
        const leastMs = eye.leastPauseMs - (now() - lookedAtMs);
        if (this.unseen.size > 0) await this.pause(Math.max(restMs, leastMs));
        continue;
      }
      const askedMs = now();
      const newest = await eye.newest();
      const { sent } = this.options.source;
      if (newest > sent)
        throw new Error(
          `returned heartbeat ${newest}, but this run has written only ${sent}; read only the rows of this run`,
        );
      const answeredMs = now();
      lookedAtMs = answeredMs;
      this.floor.observe(answeredMs - askedMs, 1);
      answered();
      this.saw(newest, answeredMs);
      const patienceMs = Math.min(LONGEST_PAUSE_MS, (answeredMs - (this.unseen.oldestMs ?? answeredMs)) * PATIENCE);
      this.restMs = Math.max(eye.leastPauseMs, Math.min(LONGEST_REST_MS, (answeredMs - askedMs) * REST));
      if (this.unseen.size > 0) await this.pause(Math.max(this.restMs, patienceMs));
    }
  }

  private saw(sequence: number, ms: number): void {
    if (sequence <= this.seen) return;
    this.seen = sequence;
    this.unseen.takeUpTo(sequence, (committedMs, heartbeats) => {
      this.lag.observe(ms - committedMs, heartbeats);
      this.newestShownMs = committedMs;
    });
  }

  private watchForStall(): void {
    const oldest = this.unseen.oldestMs;
    const ageMs = oldest === null ? 0 : this.options.now() - oldest;
    const reason = this.standing?.reason ?? null;
    if (!this.stalled && ageMs > STALLED_MS)
      this.say('warn', `has shown no heartbeat for ${seconds(ageMs)}${reason === null ? '' : `: ${reason}`}`);
    if (this.stalled && ageMs < STALLED_MS / 10) this.say('info', 'shows heartbeats again');
    if (ageMs > STALLED_MS) this.stalled = true;
    else if (ageMs < STALLED_MS / 10) this.stalled = false;
  }

  /* Right after the source was read: what it writes between the two questions is not taken for lag. */
  private async takeStanding(eye: Eye): Promise<void> {
    const { target, now, source } = this.options;
    this.isLocated = false;
    const standing = await eye.standing();
    if (standing === null) return;
    const nowMs = now();
    this.standing = standing;
    this.standingAtMs = nowMs;
    this.pairedLsn = source.reading?.lsn ?? null;
    const sender = source.reading?.senders.find(({ processId }) => processId === standing.senderId);
    // On an idle server they become NULL.
    if (sender !== undefined && Object.values(sender.lags).some((lag) => lag !== null)) this.serverLags = sender.lags;
    // For the highest value, also where nobody looks.
    this.behind();
    const oldestMs = this.unseen.oldestMs;
    const rungs = rungsOf(target.kind, standing, source, oldestMs === null ? 0 : nowMs - oldestMs, nowMs);
    this.stageLooks++;
    this.waiting = null;
    for (const [stage, seconds] of rungs) {
      this.stageSeconds.set(stage, (this.stageSeconds.get(stage) ?? 0) + seconds);
      if (seconds > 0 && (this.waiting === null || seconds > rungs.get(this.waiting)!)) this.waiting = stage;
    }
  }

  private say(level: 'info' | 'warn', text: string): void {
    this.options.report(level, `replication target ${this.options.target.name}: ${text}`);
  }

  /** So long, whatever heartbeats come, or until the end. */
  private async pause(ms: number): Promise<void> {
    if (this.stopping) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.interrupt = () => {
        clearTimeout(timer);
        resolve();
      };
    });
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

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
