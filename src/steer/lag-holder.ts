/** What the load was like since the last decision. */
export interface LoadReading {
  /** Seconds since then. */
  readonly seconds: number;
  /** The lag of the target that is furthest behind, in seconds. */
  readonly lag: number;
  /** What was carried out per second. */
  readonly achieved: number;
}

/* While no target has ever been behind, each decision raises the rate by so much; later by less. */
const FIRST_RISE = 1.5;
const LATER_RISE = 1.1;
const START_RATE = 100;
/* A share of the wanted lag from which on a target is taken to be at its limit. */
const AT_LIMIT = 0.25;
/* How much of a new estimate counts. */
const TRUST = 0.3;
/* The rate is changed by at most so much at once, in both directions. */
const MOST_CHANGE = 2;
const SHORTEST_CORRECTION_SECONDS = 5;

/**
 * Chooses the rate at which a target stays a wanted time behind. What a target can take is seen only while it is behind: there
 * the lag grows by 1 − capacity / rate seconds a second. A change shows after the lag itself has passed, so that corrections
 * are spread over a multiple of it.
 */
export class LagHolder {
  private readonly wanted: number;
  private rate = START_RATE;
  private capacity: number | null = null;
  private before: number | null = null;

  /** `wanted`: in seconds. */
  constructor(wanted: number) {
    this.wanted = wanted;
  }

  /** The rate until the next reading, at most `limit`. */
  next({ seconds, lag, achieved }: LoadReading, limit: number): number {
    const growth = this.before === null ? 0 : (lag - this.before) / seconds;
    this.before = lag;
    if (lag >= this.wanted * AT_LIMIT) {
      const seen = Math.max(0.01, 1 - growth) * achieved;
      this.capacity = this.capacity === null ? seen : this.capacity + TRUST * (seen - this.capacity);
      const correction = (this.wanted - lag) / Math.max(SHORTEST_CORRECTION_SECONDS, 3 * this.wanted);
      const aimed = this.capacity * (1 + correction);
      this.rate = Math.min(this.rate * MOST_CHANGE, Math.max(this.rate / MOST_CHANGE, aimed, 1));
    } else if (achieved > this.rate * 0.8) {
      // Where the source itself takes no more a higher rate would be a backlog of its own.
      this.rate *= this.capacity === null ? FIRST_RISE : LATER_RISE;
    }
    this.rate = Math.min(this.rate, limit);
    return this.rate;
  }
}
