/** Heartbeats that belong together: all of them were committed at about the same moment. */
interface Group {
  /** The highest sequence in it. */
  last: number;
  /** When the oldest was committed. */
  committedMs: number;
  heartbeats: number;
}

/** So many groups are kept apart; two and a half hours of heartbeats every 50 ms. */
const CAPACITY = 200_000;

/**
 * Committed heartbeats that a target has not shown yet, oldest first. Bounded: when a target stays away for hours neighbours
 * are joined, which makes their lag look longer by at most the time between them; none is forgotten.
 */
export class Unseen {
  private groups: Group[] = [];
  private first = 0;
  private heartbeats = 0;

  add(sequence: number, committedMs: number): void {
    this.groups.push({ last: sequence, committedMs, heartbeats: 1 });
    this.heartbeats++;
    if (this.groups.length - this.first > CAPACITY) this.join();
  }

  /** Takes out everything up to a sequence; `each` gets the moment of commit and how many heartbeats had it. */
  takeUpTo(sequence: number, each: (committedMs: number, heartbeats: number) => void): void {
    while (this.first < this.groups.length && this.groups[this.first]!.last <= sequence) {
      const { committedMs, heartbeats } = this.groups[this.first++]!;
      this.heartbeats -= heartbeats;
      each(committedMs, heartbeats);
    }
    // Amortised: the front is cut off once it is the larger part.
    if (this.first > 1000 && this.first * 2 > this.groups.length) {
      this.groups = this.groups.slice(this.first);
      this.first = 0;
    }
  }

  each(visit: (committedMs: number, heartbeats: number) => void): void {
    for (let at = this.first; at < this.groups.length; at++) {
      const { committedMs, heartbeats } = this.groups[at]!;
      visit(committedMs, heartbeats);
    }
  }

  /** How many there are. */
  get size(): number {
    return this.heartbeats;
  }

  /** When the oldest was committed; null where there is none. */
  get oldestMs(): number | null {
    return this.groups[this.first]?.committedMs ?? null;
  }

  private join(): void {
    const joined: Group[] = [];
    for (let at = this.first; at < this.groups.length; at += 2) {
      const group = this.groups[at]!;
      const next = this.groups[at + 1];
      joined.push(
        next === undefined
          ? group
          : { last: next.last, committedMs: group.committedMs, heartbeats: group.heartbeats + next.heartbeats },
      );
    }
    this.groups = joined;
    this.first = 0;
  }
}
