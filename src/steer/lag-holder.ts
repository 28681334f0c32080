/** What the load was like since the last decision. */
interface LoadReading {
  /** Seconds since then. */
  readonly seconds: number;
  /** The lag of the target that is furthest behind, in seconds. */
  readonly lag: number;
  /** What was carried out per second. */
  readonly achieved: number;
}

/** How much had been carried out at a moment, and what the targets had shown of it. */
interface Mark {
  readonly second: number;
  readonly done: number;
  readonly shown: number;
}

/* While no target has ever been behind, each decision raises the rate by so much; later by less. */
const FIRST_RISE = 1.5;
const LATER_RISE = 1.1;
const START_RATE = 100;
/* A share of the wanted lag from which on a target is taken to be at its limit. */
const AT_LIMIT = 0.25;
/* What a target takes is told over so many seconds; a lag jumps where a target shows things in batches. */
const TOLD_SECONDS = 5;
/* The rate is changed by at most so much at once, in both directions. */
const MOST_CHANGE = 2;
/* What is too much, or too little, is made up for over so many seconds. */
const CORRECTION_SECONDS = 8;
const KEPT_SECONDS = 60;

/**
 * Chooses the rate at which a target stays a wanted time behind. What stands in the queue before it is what was carried out since
 * the moment that it shows just now; what it takes per second is how fast that moment moves through what was carried out. The lag
 * that is seen tells of a rate that is long past, so it is the queue that is regulated: its length divided by what the target takes.
 */
export class LagHolder {
  private readonly wanted: number;
  private rate = START_RATE;
  private second = 0;
  private marks: Mark[] = [{ second: 0, done: 0, shown: 0 }];
  private wasAtLimit = false;

  /** `wanted`: in seconds. */
  constructor(wanted: number) {
    this.wanted = wanted;
  }

  /** The rate until the next reading, at most `limit`. */
  next({ seconds, lag, achieved }: LoadReading, limit: number): number {
    this.second += seconds;
    const done = this.marks[this.marks.length - 1]!.done + achieved * seconds;
    this.marks.push({ second: this.second, done, shown: 0 });
    const shown = this.doneBy(this.second - lag);
    this.marks[this.marks.length - 1] = { second: this.second, done, shown };
    const oldest = this.second - lag - KEPT_SECONDS;
    if (this.marks[1]!.second < oldest) this.marks = this.marks.filter(({ second }) => second >= oldest);
    const expected = this.expectedLag(done - shown);
    if (expected !== null && Math.max(lag, expected) >= this.wanted * AT_LIMIT) {
      this.wasAtLimit = true;
      const correction = (this.wanted - expected) / CORRECTION_SECONDS;
      const aimed = this.taken() * (1 + correction);
      this.rate = Math.min(this.rate * MOST_CHANGE, Math.max(this.rate / MOST_CHANGE, aimed, 1));
    } else if (achieved > this.rate * 0.8) {
      // Where the source itself takes no more a higher rate would be a backlog of its own.
      this.rate *= this.wasAtLimit ? LATER_RISE : FIRST_RISE;
    }
    this.rate = Math.min(this.rate, limit);
    return this.rate;
  }

  /** Seconds until what is carried out now will be shown; null where that cannot be told. */
  private expectedLag(queue: number): number | null {
    const taken = this.taken();
    return taken > 0 ? queue / taken : queue > 0 ? Number.POSITIVE_INFINITY : null;
  }

  /** Rate at which the targets have caught up recently, per second. */
  private taken(): number {
    const last = this.marks[this.marks.length - 1]!;
    const first = this.marks.findLast(({ second }) => second <= last.second - TOLD_SECONDS) ?? this.marks[0]!;
    return last.second === first.second ? 0 : Math.max(0, last.shown - first.shown) / (last.second - first.second);
  }

  /** How much had been carried out at a moment. */
  private doneBy(second: number): number {
    const after = this.marks.findIndex((mark) => mark.second >= second);
    const [earlier, later] = [this.marks[after - 1], this.marks[after]];
    if (later === undefined) return this.marks[this.marks.length - 1]!.done;
    if (earlier === undefined) return later.done;
    const share = (second - earlier.second) / (later.second - earlier.second);
    return earlier.done + share * (later.done - earlier.done);
  }
}
