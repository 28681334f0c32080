import type { LaneLog, LanePast } from '../history/lane-log.js';
import type { Barrier } from '../lane/lane.js';
import type { Operation } from '../lane/messages/operation.js';

/* Words of the shared memory: number of blocked tables, whether our sessions wait for others, a word per relation. */
const COUNT = 0;
const WAITING = 1;
const RELATIONS = 2;

/** What keeps a table from being written to. */
export type Hindrance = 'lock' | 'room';

const MARKS: Readonly<Record<Hindrance, number>> = { lock: 1, room: 2 };

/** The tables that cannot be written to at the moment, shared by all threads. Operations on them are skipped. */
export class BlockedTables {
  readonly memory: SharedArrayBuffer;
  private readonly words: Int32Array;

  constructor(
    relations: number,
    memory = new SharedArrayBuffer((RELATIONS + relations) * Int32Array.BYTES_PER_ELEMENT),
  ) {
    this.memory = memory;
    this.words = new Int32Array(memory);
  }

  get any(): boolean {
    return Atomics.load(this.words, COUNT) > 0;
  }

  has(relation: number): boolean {
    return Atomics.load(this.words, RELATIONS + relation) !== 0;
  }

  /** Returns the relations that are blocked by a hindrance. */
  by(hindrance: Hindrance): number[] {
    const found: number[] = [];
    for (let at = RELATIONS; at < this.words.length; at++)
      if (Atomics.load(this.words, at) === MARKS[hindrance]) found.push(at - RELATIONS);
    return found;
  }

  block(relation: number, hindrance: Hindrance): void {
    if (Atomics.compareExchange(this.words, RELATIONS + relation, 0, MARKS[hindrance]) === 0)
      Atomics.add(this.words, COUNT, 1);
  }

  open(relation: number): void {
    if (Atomics.exchange(this.words, RELATIONS + relation, 0) !== 0) Atomics.sub(this.words, COUNT, 1);
  }

  /** True while sessions of ours have been seen waiting for a table that others have locked. */
  get isWaiting(): boolean {
    return Atomics.load(this.words, WAITING) !== 0;
  }

  set isWaiting(value: boolean) {
    Atomics.store(this.words, WAITING, value ? 1 : 0);
  }
}

/**
 * Skips a lane's operations on blocked tables and records which. A lane that repeats its course skips the operations
 * that it skipped the first time.
 */
export class LaneBarrier implements Barrier {
  /** The course to repeat; null once the lane has caught up with it. */
  past: LanePast | null = null;
  private readonly blocked: BlockedTables;
  private readonly log: LaneLog;

  constructor(blocked: BlockedTables, log: LaneLog) {
    this.blocked = blocked;
    this.log = log;
  }

  bars(operation: Operation, outcomes: number): boolean {
    if (this.past !== null) return this.past.skips(operation, outcomes);
    if (!this.blocked.any || !operation.statements.some(({ relation }) => this.blocked.has(relation))) return false;
    this.log.add(['s', operation.number, outcomes]);
    this.log.flush();
    return true;
  }
}
