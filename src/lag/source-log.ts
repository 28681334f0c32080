import type { Lsn } from './wal.js';

/** A heartbeat on the source: its commit record stands behind `lsn`. */
interface Entry {
  readonly sequence: number;
  readonly lsn: Lsn;
  readonly ms: number;
}

/** So many are kept; two and a half hours of heartbeats every 50 ms. */
const CAPACITY = 200_000;

/**
 * When the source's log reached which position, by the heartbeats: what turns bytes into seconds, and a position into the newest
 * heartbeat before it. Bounded: where it is full every second entry goes.
 */
export class SourceLog {
  private entries: Entry[] = [];

  /** Heartbeats come in the order of their sequence; one that does not is of a session that was given up. */
  add(sequence: number, lsn: Lsn, ms: number): void {
    const last = this.entries[this.entries.length - 1];
    if (last !== undefined && (sequence <= last.sequence || lsn < last.lsn)) return;
    this.entries.push({ sequence, lsn, ms });
    if (this.entries.length > CAPACITY) this.entries = this.entries.filter((_, index) => index % 2 === 0);
  }

  /** The newest heartbeat whose commit lies before a position; 0 where there is none. */
  sequenceBefore(lsn: Lsn): number {
    return this.entries[this.before(lsn)]?.sequence ?? 0;
  }

  /**
   * How long ago the source wrote what stands at a position, in milliseconds: 0 where that is the newest it has written. Null
   * where it was written before the first heartbeat.
   */
  ageOf(lsn: Lsn, nowMs: number): number | null {
    const last = this.entries[this.entries.length - 1];
    if (last === undefined) return null;
    if (lsn > last.lsn) return 0;
    const at = this.before(lsn);
    const [earlier, later] = [this.entries[at], this.entries[at + 1]];
    if (earlier === undefined || later === undefined) return earlier === undefined ? null : nowMs - earlier.ms;
    // Between two heartbeats the log is taken to grow evenly.
    const share = later.lsn === earlier.lsn ? 1 : Number(lsn - earlier.lsn) / Number(later.lsn - earlier.lsn);
    return nowMs - (earlier.ms + share * (later.ms - earlier.ms));
  }

  /** The last entry whose position lies before this one; -1 where there is none. */
  private before(lsn: Lsn): number {
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.entries[middle]!.lsn < lsn) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
