import { statfs } from 'node:fs/promises';
import { isLoopback, placesIn } from '../config/connection.js';
import type { Config } from '../config/load.js';
import type { ReplicationProbe } from '../lag/probe.js';
import { connectCoordinator } from '../prepare/connect.js';
import type { PauseRecord, RateChange } from '../report/summary.js';
import { NO_WISH, readControlFile, type Wish } from '../steer/control-file.js';
import { Fuse, type FuseLimits } from '../steer/fuse.js';
import { LagHolder } from '../steer/lag-holder.js';
import type { Traffic } from '../traffic/coordinator.js';
import type { Timetable } from '../traffic/schedule.js';
import type { SteeredSchedule } from '../traffic/steering.js';

export interface LoadControlOptions {
  readonly config: Config;
  readonly runId: string;
  readonly traffic: Traffic;
  readonly probe: ReplicationProbe | null;
  /** The schedule of the configuration; null if there is none. */
  readonly planned: Timetable | null;
  /** The schedule to steer; null if the rate is fixed beforehand. */
  readonly steered: SteeredSchedule | null;
  /** When the traffic begins, in terms of `performance.now()`. */
  readonly startMs: number;
  readonly say: (level: 'info' | 'warn', text: string) => void;
  /** Ends the traffic early. */
  readonly stop: (reason: string) => void;
  /** Called with the reason when the fuse pauses the load, and with null when it continues. */
  readonly tell: (reason: string | null) => void;
}

const INTERVAL_MS = 1000;
/* What was due when a pause began is carried out within this time, unless the server has fallen behind. */
const LAST_ARRIVALS_MS = 250;

/** Changes the load during a run: the fuse, the control file, and `hold_lag`. */
export class LoadControl {
  /** The periods in which the load was paused. */
  readonly pauses: PauseRecord[] = [];
  /** The rates that the control file has set. */
  readonly rateChanges: RateChange[] = [];
  private readonly options: LoadControlOptions;
  private readonly holder: LagHolder | null;
  private fuse: Fuse | null = null;
  private readonly timer: NodeJS.Timeout;
  private lookedMs: number | null = null;
  private operations = 0;
  private rate: number | null = null;
  private wish: Wish = NO_WISH;
  private complaint: string | null = null;
  /** Why the load is paused, by the cause. */
  private readonly held = new Map<'fuse' | 'file', { readonly reason: string; readonly fromMs: number }>();
  /** Until the lanes are held because of the control file; undefined once they are, and where nothing is to hold them. */
  private holding: NodeJS.Timeout | undefined;

  constructor(options: LoadControlOptions) {
    this.options = options;
    const { hold_lag: holdMs } = options.config.traffic;
    this.holder = holdMs > 0 ? new LagHolder(holdMs / 1000) : null;
    this.timer = setInterval(() => this.look(), INTERVAL_MS);
    this.timer.unref();
    if (options.probe !== null) void this.setFuse();
    this.look();
  }

  /** Why the load is paused now; null if it is not. */
  get pausedBecause(): string | null {
    return [...this.held.values()][0]?.reason ?? null;
  }

  /** Pauses or continues the load as another process says, which watches the targets. */
  follow(reason: string | null): void {
    this.hold('fuse', reason);
  }

  /** Stops controlling; a paused load stays paused. */
  end(): void {
    clearInterval(this.timer);
    clearTimeout(this.holding);
    const nowMs = performance.now();
    for (const [by, pause] of this.held) this.note(by, pause, nowMs);
    this.held.clear();
    this.pauses.sort((a, b) => a.after_seconds - b.after_seconds);
  }

  private look(): void {
    this.readWish();
    this.hold('file', this.wish.pause ? 'the control file says pause: true' : null);
    const { probe, config } = this.options;
    const reading = probe?.read() ?? null;
    const danger = reading === null || this.fuse === null ? null : this.fuse.look(reading);
    if (danger !== null && config.replication!.fuse.action === 'stop') {
      this.options.stop(`replication.fuse: ${danger}`);
      return;
    }
    // If this process watches nothing, another process decides.
    if (probe !== null) this.hold('fuse', danger === null ? null : `replication.fuse: ${danger}`);
    this.steer(
      reading === null ? 0 : Math.max(0, ...reading.targets.map(({ oldestUnseenMs }) => oldestUnseenMs / 1000)),
    );
  }

  private steer(lag: number): void {
    const { steered, planned, traffic, config } = this.options;
    if (steered === null) return;
    // Before the start as well: the first arrivals must not wait for the next look.
    const seconds = Math.max(0, traffic.elapsedMs() / 1000);
    const nowMs = performance.now();
    const passed = this.lookedMs === null ? INTERVAL_MS / 1000 : (nowMs - this.lookedMs) / 1000;
    const done = config.traffic.rate_unit === 'events' ? traffic.totals.total('rows') : traffic.totals.operations();
    const achieved = (done - this.operations) / passed;
    this.lookedMs = nowMs;
    this.operations = done;
    // The arrivals due until the next look, so that planned ramps and spikes are kept.
    const ahead = INTERVAL_MS / 1000;
    const limit =
      this.wish.rate ??
      (planned === null
        ? Number.POSITIVE_INFINITY
        : (planned.arrivals(seconds + ahead) - planned.arrivals(seconds)) / ahead);
    const isHeld = this.held.size > 0;
    // Operations that fall due while the load is paused would be missed.
    const rate = isHeld ? 0 : (this.holder?.next({ seconds: passed, lag, achieved }, limit) ?? limit);
    if (rate === this.rate) return;
    // Operations due before the first look count as well.
    const from = this.rate === null ? 0 : seconds;
    this.rate = rate;
    steered.steer(from, rate);
  }

  private hold(by: 'fuse' | 'file', reason: string | null): void {
    const { say } = this.options;
    const current = this.held.get(by);
    if (reason !== null && current === undefined) {
      this.held.set(by, { reason, fromMs: performance.now() });
      this.holdLanes(by);
      if (by === 'fuse') this.options.tell(reason);
      say(by === 'fuse' ? 'warn' : 'info', `the load is paused: ${reason}`);
    } else if (reason === null && current !== undefined) {
      const nowMs = performance.now();
      this.held.delete(by);
      this.note(by, current, nowMs);
      this.releaseLanes(by);
      if (by === 'fuse') this.options.tell(null);
      say('info', `the load continues after a pause of ${((nowMs - current.fromMs) / 1000).toFixed(1)} s`);
    }
  }

  /* A schedule that is steered has no arrivals during a pause. What was due just before would be late after it. */
  private holdLanes(by: 'fuse' | 'file'): void {
    const { traffic, steered } = this.options;
    if (by === 'fuse' || steered === null) {
      traffic.hold();
      return;
    }
    this.holding = setTimeout(() => {
      this.holding = undefined;
      traffic.hold();
    }, LAST_ARRIVALS_MS);
    this.holding.unref();
  }

  private releaseLanes(by: 'fuse' | 'file'): void {
    if (by === 'file' && this.holding !== undefined) {
      clearTimeout(this.holding);
      this.holding = undefined;
    } else this.options.traffic.release();
  }

  private note(
    by: 'fuse' | 'file',
    { reason, fromMs }: { readonly reason: string; readonly fromMs: number },
    nowMs: number,
  ): void {
    const seconds = (ms: number) => Number((ms / 1000).toFixed(3));
    this.pauses.push({
      after_seconds: seconds(Math.max(0, fromMs - this.options.startMs)),
      seconds: seconds(nowMs - fromMs),
      reason,
      by,
    });
  }

  private readWish(): void {
    const { config, say } = this.options;
    const { control_file: file } = config.traffic;
    if (file === undefined) return;
    try {
      const wish = readControlFile(file);
      if (wish.rate !== this.wish.rate) {
        const after = (performance.now() - this.options.startMs) / 1000;
        this.rateChanges.push({ after_seconds: Number(Math.max(0, after).toFixed(3)), rate: wish.rate });
        say('info', `control file: ${wish.rate === null ? 'back to the configured rate' : `rate set to ${wish.rate}`}`);
      }
      this.wish = wish;
      this.complaint = null;
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.complaint) say('warn', `control file: ${message}; the previous settings stay in force`);
      this.complaint = message;
    }
  }

  private async setFuse(): Promise<void> {
    const { config, runId, say } = this.options;
    const limits = await fuseLimits(config, runId).catch((error: Error) => {
      say('warn', `replication.fuse: ${error.message}`);
      return null;
    });
    if (limits !== null) this.fuse = new Fuse(limits);
  }
}

const DEFAULT_RETAINED = 10 * 1024 ** 3;

/**
 * The fuse that the configuration asks for. `retained: auto` counts where a slot is named: half of what the server keeps for a slot
 * at most; where that is unlimited 10 GB, or half of the disk that is free where the server is on this machine.
 */
async function fuseLimits(config: Config, runId: string): Promise<FuseLimits | null> {
  const { fuse, targets } = config.replication!;
  const { safeBytes, lagMs } = fuse;
  const named = new Set(targets.flatMap((target) => (target.kind === 'slot' ? target.slot : [])));
  if (fuse.retainedBytes !== 'auto') return { ...fuse, retainedBytes: fuse.retainedBytes, slots: null };
  const retainedBytes = named.size === 0 ? null : await mostRetained(config, runId);
  return retainedBytes === null && safeBytes === null && lagMs === null
    ? null
    : { retainedBytes, slots: named, safeBytes, lagMs };
}

async function mostRetained(config: Config, runId: string): Promise<number> {
  const client = await connectCoordinator(config.connection, config, runId);
  try {
    const { rows } = await client.query<{ kept: string; folder: string | null }>(
      `SELECT (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size') AS kept,
              (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'data_directory') AS folder`,
    );
    const { kept, folder } = rows[0]!;
    if (Number(kept) > 0) return (Number(kept) * 1024 ** 2) / 2;
    const isHere = placesIn(config.connection).every(({ host }) => isLoopback(host));
    if (!isHere || folder === null) return DEFAULT_RETAINED;
    // The folder may belong to another user or to a container.
    const disk = await statfs(folder).catch(() => null);
    return disk === null ? DEFAULT_RETAINED : Math.min(DEFAULT_RETAINED, (disk.bavail * disk.bsize) / 2);
  } finally {
    await client.end();
  }
}
