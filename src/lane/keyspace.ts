/** A set of small whole numbers with constant-time insert, remove and choice by position. Its order is part of reproducibility. */
export class DenseSet {
  size = 0;
  private items = new Int32Array(16);
  private positions = new Int32Array(16).fill(-1);

  has(value: number): boolean {
    return value < this.positions.length && this.positions[value]! >= 0;
  }

  at(position: number): number {
    return this.items[position]!;
  }

  add(value: number): void {
    if (value >= this.positions.length) this.positions = grown(this.positions, value, -1);
    if (this.positions[value]! >= 0) return;
    if (this.size >= this.items.length) this.items = grown(this.items, this.size, 0);
    this.items[this.size] = value;
    this.positions[value] = this.size++;
  }

  /** The last item takes the removed one's place. */
  remove(value: number): void {
    if (!this.has(value)) return;
    const position = this.positions[value]!;
    const last = this.items[--this.size]!;
    this.items[position] = last;
    this.positions[last] = position;
    this.positions[value] = -1;
  }
}

function grown(array: Int32Array<ArrayBuffer>, index: number, fill: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(array.length * 2, index + 1)).fill(fill);
  larger.set(array);
  return larger;
}

/** No parent: NULL, or a row that the lane does not know. */
export const NO_PARENT = -1;
/** A pinned row is written as PINNED_BASE − its index among the claims. */
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
  /** By slot: the row's ordinal, or −1 − its index among the claims. */
  private handles = new Float64Array(16);
  private references = new Int32Array(16);
  /** By foreign key, by slot: the parent's slot, NO_PARENT, or a pinned row. */
  private readonly parents: Int32Array<ArrayBuffer>[];
  /** By slot: texts of kept columns, and tuples of tracked keys; undefined where the relation has none. */
  readonly kept: (readonly (Buffer | undefined)[] | undefined)[] = [];
  readonly tuples: (readonly string[] | undefined)[] = [];
  private readonly free: number[] = [];
  private slots = 0;

  constructor(foreignKeys: number) {
    this.parents = Array.from({ length: foreignKeys }, () => new Int32Array(16).fill(NO_PARENT));
  }

  /** A slot for a row that is about to be inserted: in no choice yet. */
  allocate(handle: number): number {
    const slot = this.free.pop() ?? this.slots++;
    if (slot >= this.handles.length) this.grow();
    this.handles[slot] = handle;
    this.references[slot] = 0;
    for (const parents of this.parents) parents[slot] = NO_PARENT;
    return slot;
  }

  handle(slot: number): number {
    return this.handles[slot]!;
  }

  /** The row exists: it may be referenced and written. */
  enter(slot: number): void {
    this.live.add(slot);
    this.release(slot);
  }

  /** A transaction writes the row: nothing else may, until it is released. */
  take(slot: number): void {
    this.idle.remove(slot);
    this.removable.remove(slot);
  }

  release(slot: number): void {
    if (!this.live.has(slot)) return;
    this.idle.add(slot);
    if (this.references[slot] === 0) this.removable.add(slot);
  }

  /** The row is to be deleted: it leaves every choice; `enter` brings it back if the DELETE is refused. */
  leave(slot: number): void {
    this.live.remove(slot);
    this.take(slot);
  }

  /** The row is gone, or was never inserted: its slot is used again. */
  forget(slot: number): void {
    this.leave(slot);
    this.kept[slot] = undefined;
    this.tuples[slot] = undefined;
    this.free.push(slot);
  }

  referenceCount(slot: number): number {
    return this.references[slot]!;
  }

  addReferences(slot: number, count: number): void {
    this.references[slot] = this.references[slot]! + count;
    if (this.references[slot] > 0) this.removable.remove(slot);
    else if (this.idle.has(slot)) this.removable.add(slot);
  }

  parent(foreignKey: number, slot: number): number {
    return this.parents[foreignKey]![slot]!;
  }

  setParent(foreignKey: number, slot: number, parent: number): void {
    this.parents[foreignKey]![slot] = parent;
  }

  private grow(): void {
    const handles = new Float64Array(this.handles.length * 2);
    handles.set(this.handles);
    this.handles = handles;
    this.references = grown(this.references, this.slots, 0);
    for (let i = 0; i < this.parents.length; i++) this.parents[i] = grown(this.parents[i]!, this.slots, NO_PARENT);
  }
}
