import { AgeList, DenseSet, grown } from './slots.js';

const NO_HANDLES = new Float64Array(0);
const NO_COUNTS = new Int32Array(0);

/** Stands for NULL among the kept texts of a row. */
export const KEPT_NULL = Buffer.alloc(0);

/** The key has no known parent: it is NULL, or references a row that the lane does not know. */
export const NO_PARENT = -1;
/** A pinned row is represented by PINNED_BASE − its index among the claims. */
export const PINNED_BASE = -2;

/**
 * The rows of one relation that one lane owns, a slot each. A slot is taken when an INSERT is generated and given to
 * the choice when its outcome is applied; a row that a transaction in flight writes is out of the choice until then,
 * so that transactions in flight never depend on each other's order.
 */
export class Keyspace {
  /** Rows that may be referenced. */
  readonly live = new DenseSet();
  /** Rows that may be written: live, and in no transaction in flight. */
  readonly idle = new DenseSet();
  /** Idle rows that nothing references. */
  readonly removable = new DenseSet();
  /** Idle rows whose references all follow a DELETE: by CASCADE or SET NULL. */
  readonly cascading = new DenseSet();
  /** Live rows, least recently used first. */
  readonly age = new AgeList();
  /** By slot: the row's ordinal, or −1 − its index among the claims. */
  private handles: Float64Array<ArrayBuffer> = NO_HANDLES;
  /** By slot: number of references that prevent the row's deletion. */
  private obstacles: Int32Array<ArrayBuffer> = NO_COUNTS;
  /** By slot: number of references that follow the row's deletion by CASCADE or SET NULL. */
  private followers: Int32Array<ArrayBuffer> = NO_COUNTS;
  /** By slot: number of UPDATEs in flight that will reference the row. */
  private holds: Int32Array<ArrayBuffer> = NO_COUNTS;
  /** By foreign key, by slot: the parent's slot, NO_PARENT, or a pinned row. */
  private readonly parents: Int32Array<ArrayBuffer>[];
  /** By slot: texts of kept columns and tuples of tracked keys; undefined if the relation has none. */
  readonly kept: (readonly (Buffer | undefined)[] | undefined)[] = [];
  readonly tuples: (readonly string[] | undefined)[] = [];
  private readonly free: number[] = [];
  private slots = 0;

  constructor(foreignKeys: number) {
    this.parents = Array.from({ length: foreignKeys }, () => NO_COUNTS);
  }

  /** Returns a slot for a row that is about to be inserted. The row cannot be chosen yet. */
  allocate(handle: number): number {
    const slot = this.free.pop() ?? this.slots++;
    if (slot >= this.handles.length) this.grow();
    this.handles[slot] = handle;
    this.obstacles[slot] = 0;
    this.followers[slot] = 0;
    this.holds[slot] = 0;
    for (const parents of this.parents) parents[slot] = NO_PARENT;
    return slot;
  }

  /** The number of rows that exist, are being inserted or are being deleted. */
  get size(): number {
    return this.slots - this.free.length;
  }

  /** The number of slots that were ever used. A row's slot is its rank for its whole life. */
  get span(): number {
    return this.slots;
  }

  handle(slot: number): number {
    return this.handles[slot]!;
  }

  /** Records that a row exists: it may be referenced and written. */
  enter(slot: number): void {
    this.live.add(slot);
    this.release(slot);
  }

  /** Reserves a row for a transaction that writes it, until `release`. */
  take(slot: number): void {
    this.idle.remove(slot);
    this.classify(slot);
  }

  /** Ends the reservation of a row and makes it the most recently used one. */
  release(slot: number): void {
    if (!this.live.has(slot)) return;
    this.age.touch(slot);
    this.idle.add(slot);
    this.classify(slot);
  }

  /** Removes a row that is about to be deleted from every choice. `enter` restores it if the DELETE is rejected. */
  leave(slot: number): void {
    this.live.remove(slot);
    this.age.remove(slot);
    this.take(slot);
  }

  /** Frees the slot of a row that was deleted or never inserted. */
  forget(slot: number): void {
    this.leave(slot);
    this.kept[slot] = undefined;
    this.tuples[slot] = undefined;
    this.free.push(slot);
  }

  /** Adds (or removes) references that prevent the row's deletion. */
  addObstacles(slot: number, count: number): void {
    this.obstacles[slot] = this.obstacles[slot]! + count;
    this.classify(slot);
  }

  /** Adds (or removes) references that follow the row's deletion. */
  addFollowers(slot: number, count: number): void {
    this.followers[slot] = this.followers[slot]! + count;
    this.classify(slot);
  }

  /** Adds (or removes) an UPDATE in flight that will reference the row. Until then it is not deleted or forgotten. */
  hold(slot: number, amount: 1 | -1): void {
    this.holds[slot] = this.holds[slot]! + amount;
    this.addObstacles(slot, amount);
  }

  /** Returns true if nothing in flight touches the row, so that it can be forgotten. */
  mayForget(slot: number): boolean {
    return this.idle.has(slot) && this.holds[slot] === 0;
  }

  hasObstacles(slot: number): boolean {
    return this.obstacles[slot]! > 0;
  }

  parent(foreignKey: number, slot: number): number {
    return this.parents[foreignKey]![slot]!;
  }

  setParent(foreignKey: number, slot: number, parent: number): void {
    this.parents[foreignKey]![slot] = parent;
  }

  private classify(slot: number): void {
    const free = this.idle.has(slot) && this.obstacles[slot] === 0;
    const followed = this.followers[slot]! > 0;
    if (free && !followed) this.removable.add(slot);
    else this.removable.remove(slot);
    if (free && followed) this.cascading.add(slot);
    else this.cascading.remove(slot);
  }

  save() {
    const { live, idle, removable, cascading, age, handles, obstacles, followers, holds, parents, free, slots } = this;
    return {
      live: live.save(),
      idle: idle.save(),
      removable: removable.save(),
      cascading: cascading.save(),
      age: age.save(),
      handles,
      obstacles,
      followers,
      holds,
      parents,
      kept: packed(this.kept),
      tuples: this.tuples,
      free,
      slots,
    };
  }

  restore(saved: SavedKeyspace): void {
    for (const set of ['live', 'idle', 'removable', 'cascading'] as const) this[set].restore(saved[set]);
    this.age.restore(saved.age);
    this.handles = saved.handles;
    this.obstacles = saved.obstacles;
    this.followers = saved.followers;
    this.holds = saved.holds;
    this.parents.splice(0, this.parents.length, ...saved.parents);
    refill(this.kept, unpacked(saved.kept));
    refill(this.tuples, saved.tuples);
    refill(this.free, saved.free);
    this.slots = saved.slots;
  }

  private grow(): void {
    const handles = new Float64Array(Math.max(16, this.handles.length * 2));
    handles.set(this.handles);
    this.handles = handles;
    this.obstacles = grown(this.obstacles, this.slots, 0);
    this.followers = grown(this.followers, this.slots, 0);
    this.holds = grown(this.holds, this.slots, 0);
    for (let i = 0; i < this.parents.length; i++) this.parents[i] = grown(this.parents[i]!, this.slots, NO_PARENT);
  }
}

export type SavedKeyspace = ReturnType<Keyspace['save']>;

type Kept = readonly (Buffer | undefined)[] | undefined;

/** Kept texts in one piece: millions of small buffers would take seconds to serialize. */
interface Packed {
  /** For each slot the number of its texts, −1 for none; then the length of each text, or one of the marks. */
  readonly lengths: Int32Array;
  readonly bytes: Uint8Array;
}

const UNKNOWN = -1;
const NULL_MARK = -2;

function packed(kept: readonly Kept[]): Packed {
  let [texts, size] = [0, 0];
  // Slots that were never used are holes.
  for (let slot = 0; slot < kept.length; slot++)
    for (const bytes of kept[slot] ?? []) {
      texts++;
      size += bytes?.length ?? 0;
    }
  const lengths = new Int32Array(kept.length + texts);
  const bytes = Buffer.allocUnsafe(size);
  let [at, offset] = [0, 0];
  for (let slot = 0; slot < kept.length; slot++) {
    const row = kept[slot];
    lengths[at++] = row === undefined ? UNKNOWN : row.length;
    for (const text of row ?? []) {
      lengths[at++] = text === undefined ? UNKNOWN : text === KEPT_NULL ? NULL_MARK : text.length;
      if (text !== undefined) offset += text.copy(bytes, offset);
    }
  }
  return { lengths, bytes };
}

function* unpacked({ lengths, bytes }: Packed): Generator<Kept> {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 0;
  for (let at = 0; at < lengths.length; ) {
    const count = lengths[at++]!;
    if (count === UNKNOWN) {
      yield undefined;
      continue;
    }
    const row = new Array<Buffer | undefined>(count);
    for (let text = 0; text < count; text++) {
      const length = lengths[at++]!;
      if (length === UNKNOWN) row[text] = undefined;
      else if (length === NULL_MARK) row[text] = KEPT_NULL;
      // A view of all texts would keep them in memory as long as one of them.
      else {
        row[text] = Buffer.from(all.subarray(offset, offset + length));
        offset += length;
      }
    }
    yield row;
  }
}

/** Replaces all items of an array. There may be too many of them for the arguments of a call. */
export function refill<Item>(array: Item[], items: Iterable<Item>): void {
  array.length = 0;
  for (const item of items) array.push(item);
}
