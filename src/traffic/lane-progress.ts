import type { SavedCheckpoint } from '../history/lane-files.js';
import type { Exception, LaneLog } from '../history/lane-log.js';
import type { Lane } from '../lane/lane.js';
import type { LanePlace } from '../plan/plan.js';
import type { StoredLog } from './stored-log.js';

/**
 * What the lanes of a worker have done, at one moment: with their exceptions it is enough for another process to repeat
 * their course up to there. The worker's thread takes it between two of its ticks.
 */
export interface LaneProgress {
  readonly kind: 'progress';
  /** Number of the block, and how many blocks there are. */
  readonly block: number;
  readonly of: number;
  /** The worker's block of counters. */
  readonly counters: Float64Array<ArrayBuffer>;
  /** By lane of the worker: where it begins again, should its exceptions have been given up. */
  readonly places: ReadonlyMap<number, LanePlace>;
}

/** A checkpoint of a lane: another process can continue it from there, if its progress says that it came so far. */
export interface LaneCheckpoint extends SavedCheckpoint {
  readonly kind: 'checkpoint';
  readonly lane: number;
}

/** The counts of a worker whose lanes have been taken back to what their server has kept. */
export interface TakenBack {
  readonly kind: 'taken back';
  readonly counters: Float64Array<ArrayBuffer>;
}

/** What a process has left behind that carried the lanes before. */
export interface Past {
  /** Its blocks of counters; none where it ended before it had told anything. */
  readonly counters: readonly Float64Array<ArrayBuffer>[];
  /** Null where its lanes had given up their exceptions: then they begin again, by the `restart` of the plan. */
  readonly course: Course | null;
}

/** What is needed to repeat the course of lanes. */
export interface Course {
  /** By lane. */
  readonly exceptions: ReadonlyMap<number, readonly Exception[]>;
  /** By lane: its last checkpoints. Exceptions before the first of them may be missing. */
  readonly checkpoints: ReadonlyMap<number, readonly SavedCheckpoint[]>;
}

const EVERY_MS = 1000;
const LOOK_MS = 50;

interface Told {
  readonly lane: Lane;
  readonly log: LaneLog;
  readonly stored: StoredLog;
}

type Progress = Pick<LaneProgress, 'counters' | 'places'>;

/**
 * Tells a worker's progress once a second. Progress is told when the exceptions before it are in the database: it must never
 * be ahead of them, unless they have been given up.
 */
export class ProgressTeller {
  private readonly lanes: readonly Told[];
  private readonly snapshot: () => Float64Array<ArrayBuffer>;
  private readonly post: (progress: Progress) => void;
  private readonly timer: NodeJS.Timeout;
  private takenMs = 0;
  /** Taken and not told yet, with what must be confirmed of each lane before. */
  private taken: (Progress & { readonly needed: readonly number[] }) | null = null;

  constructor(lanes: readonly Told[], snapshot: () => Float64Array<ArrayBuffer>, post: (progress: Progress) => void) {
    this.lanes = lanes;
    this.snapshot = snapshot;
    this.post = post;
    this.timer = setInterval(() => this.look(), LOOK_MS);
  }

  /** What the lanes did last is not told: whoever carries them on takes up their course before they were brought to an end. */
  end(): void {
    clearInterval(this.timer);
  }

  private look(): void {
    if (this.taken === null && performance.now() - this.takenMs >= EVERY_MS) this.take();
    this.tell();
  }

  private take(): void {
    this.takenMs = performance.now();
    for (const { log } of this.lanes) log.flush();
    this.taken = {
      counters: this.snapshot(),
      places: new Map(
        this.lanes.flatMap(({ lane: { number, placeAhead } }) => (placeAhead === null ? [] : [[number, placeAhead]])),
      ),
      needed: this.lanes.map(({ stored }) => stored.counts.written),
    };
  }

  private tell(): void {
    const { taken, lanes } = this;
    if (taken === null) return;
    const isBehind = ({ stored }: Told, lane: number) =>
      stored.isWhole && stored.counts.confirmed < taken.needed[lane]!;
    if (lanes.some(isBehind)) return;
    this.post(taken);
    this.taken = null;
  }
}
