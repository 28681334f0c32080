import type { Timetable } from './schedule.js';

/** A period with one rate, and the number of arrivals before it. */
interface Stretch {
  readonly from: number;
  /** Arrivals per second; Infinity: as fast as possible, without scheduled arrivals. */
  readonly rate: number;
  readonly before: number;
}

/* Layout of the memory: the number of periods so far, then the last of them, three doubles each. */
const HEADER_BYTES = 8;
const FIELDS = 3;
/* Enough, because a backlog spans only a few changes. */
const KEPT = 256;

/**
 * A schedule whose rate is decided while the traffic is on: one thread steers, all lanes read. Arrivals are numbered on
 * through every change, so that no change of the rate loses one or makes one.
 */
export class SteeredSchedule implements Timetable {
  readonly memory: SharedArrayBuffer;
  readonly end: number;
  private readonly count: Int32Array;
  private readonly fields: Float64Array;
  private stretches: Stretch[] = [];
  private known = 0;

  /** `end`: seconds after which there are no arrivals. `memory`: shared with the thread that steers. */
  constructor(end: number, memory = new SharedArrayBuffer(HEADER_BYTES + KEPT * FIELDS * 8)) {
    this.end = end;
    this.memory = memory;
    this.count = new Int32Array(memory, 0, 1);
    this.fields = new Float64Array(memory, HEADER_BYTES);
  }

  /** Sets the arrivals per second from `seconds` on; Infinity: as fast as possible, 0: none. One thread calls it. */
  steer(seconds: number, rate: number): void {
    const from = Math.max(seconds, this.last?.from ?? 0);
    const stretch: Stretch = { from, rate, before: this.arrivals(from) };
    this.fields.set([stretch.from, stretch.rate, stretch.before], (this.known % KEPT) * FIELDS);
    Atomics.add(this.count, 0, 1);
    this.refresh();
  }

  /** True if the rate has changed since this was last read. */
  get hasChanged(): boolean {
    return this.refresh();
  }

  get isUnlimited(): boolean {
    this.refresh();
    return this.last?.rate === Number.POSITIVE_INFINITY;
  }

  /** A rate that is steered has no phases. */
  phaseAt(): null {
    return null;
  }

  rateAt(seconds: number): number {
    this.refresh();
    if (seconds >= this.end) return 0;
    return this.stretches.findLast(({ from }) => from <= seconds)?.rate ?? 0;
  }

  arrivals(seconds: number): number {
    this.refresh();
    const until = Math.min(seconds, this.end);
    const at = this.stretches.findLastIndex(({ from }) => from <= until);
    const stretch = this.stretches[at];
    if (stretch === undefined) return this.stretches[0]?.before ?? 0;
    const { from, rate, before } = stretch;
    return rate === Number.POSITIVE_INFINITY ? before : before + rate * (until - from);
  }

  /** Returns FAR for an arrival that the current rate does not reach before the end: the rate may still change. */
  timeOf(position: number): number {
    this.refresh();
    const { last } = this;
    if (last === undefined) return FAR;
    if (this.stretches[0]!.before > position) return this.stretches[0]!.from;
    const stretch = this.stretches.findLast(({ before }) => before <= position)!;
    const { from, rate, before } = stretch;
    if (rate === Number.POSITIVE_INFINITY) return from;
    return rate > 0 ? Math.min(FAR, from + (position - before) / rate) : FAR;
  }

  private get last(): Stretch | undefined {
    return this.stretches[this.stretches.length - 1];
  }

  /* A period is written before it is counted, so counted ones are readable. Overwritten ones are too old to matter. */
  private refresh(): boolean {
    const count = Atomics.load(this.count, 0);
    if (count === this.known) return false;
    for (let at = Math.max(this.known, count - KEPT); at < count; at++) {
      const [from, rate, before] = this.fields.subarray((at % KEPT) * FIELDS) as unknown as [number, number, number];
      this.stretches.push({ from, rate, before });
    }
    this.stretches = this.stretches.slice(-KEPT);
    this.known = count;
    return true;
  }
}

/* A century, in seconds. */
const FAR = 3e9;
