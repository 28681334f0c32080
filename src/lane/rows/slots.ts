type Slots = Int32Array<ArrayBuffer>;

/* Arrays start empty, because a plan of thousands of tables has many arrays and uses few. */
const NO_SLOTS: Slots = new Int32Array(0);

/** A set of small whole numbers with constant-time insert, remove and choice by position. Its order is part of reproducibility. */
export class DenseSet {
  size = 0;
  private items = NO_SLOTS;
  private positions = NO_SLOTS;

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

  /** Removes a value. The last item takes its place. */
  remove(value: number): void {
    if (!this.has(value)) return;
    const position = this.positions[value]!;
    const last = this.items[--this.size]!;
    this.items[position] = last;
    this.positions[last] = position;
    this.positions[value] = -1;
  }

  save(): Slots {
    return this.items.slice(0, this.size);
  }

  restore(items: Slots): void {
    this.size = items.length;
    this.items = items;
    this.positions = new Int32Array(items.reduce((most, item) => Math.max(most, item + 1), 0)).fill(-1);
    for (const [position, item] of items.entries()) this.positions[item] = position;
  }
}

const NONE = -1;

/** Slots in the order in which they were touched; a list through two typed arrays. */
export class AgeList {
  private newer = NO_SLOTS;
  private older = NO_SLOTS;
  private oldestSlot = NONE;
  private newestSlot = NONE;

  /** The least recently used slot; −1 if there is none. */
  get oldest(): number {
    return this.oldestSlot;
  }

  /** Makes a slot the most recently used one. */
  touch(slot: number): void {
    if (this.newestSlot === slot) return;
    this.remove(slot);
    if (slot >= this.newer.length) {
      this.newer = grown(this.newer, slot, NONE);
      this.older = grown(this.older, slot, NONE);
    }
    this.older[slot] = this.newestSlot;
    if (this.newestSlot === NONE) this.oldestSlot = slot;
    else this.newer[this.newestSlot] = slot;
    this.newestSlot = slot;
  }

  remove(slot: number): void {
    if (slot >= this.newer.length) return;
    const newer = this.newer[slot]!;
    const older = this.older[slot]!;
    if (newer !== NONE) this.older[newer] = older;
    else if (this.newestSlot === slot) this.newestSlot = older;
    else return;
    if (older !== NONE) this.newer[older] = newer;
    else this.oldestSlot = newer;
    this.newer[slot] = NONE;
    this.older[slot] = NONE;
  }

  save(): SavedAges {
    const { newer, older, oldestSlot, newestSlot } = this;
    return { newer, older, oldestSlot, newestSlot };
  }

  restore({ newer, older, oldestSlot, newestSlot }: SavedAges): void {
    this.newer = newer;
    this.older = older;
    this.oldestSlot = oldestSlot;
    this.newestSlot = newestSlot;
  }
}

interface SavedAges {
  readonly newer: Slots;
  readonly older: Slots;
  readonly oldestSlot: number;
  readonly newestSlot: number;
}

/**
 * Which rows reference which, by one foreign key: for every parent's slot its children's slots, newest first. Lists run
 * through typed arrays, so that a link costs twelve bytes.
 */
export class ChildLists {
  private first = NO_SLOTS;
  private next = NO_SLOTS;
  private previous = NO_SLOTS;

  /** Returns the newest child of a parent; −1 if there is none. */
  firstOf(parent: number): number {
    return parent < this.first.length ? this.first[parent]! : NONE;
  }

  /** Returns the next child after this one. */
  after(child: number): number {
    return this.next[child]!;
  }

  add(parent: number, child: number): void {
    if (parent >= this.first.length) this.first = grown(this.first, parent, NONE);
    if (child >= this.next.length) {
      this.next = grown(this.next, child, NONE);
      this.previous = grown(this.previous, child, NONE);
    }
    const head = this.first[parent]!;
    this.next[child] = head;
    this.previous[child] = NONE;
    if (head !== NONE) this.previous[head] = child;
    this.first[parent] = child;
  }

  remove(parent: number, child: number): void {
    const next = this.next[child]!;
    const previous = this.previous[child]!;
    if (next !== NONE) this.previous[next] = previous;
    if (previous !== NONE) this.next[previous] = next;
    else this.first[parent] = next;
    this.next[child] = NONE;
    this.previous[child] = NONE;
  }

  save(): SavedLists {
    const { first, next, previous } = this;
    return { first, next, previous };
  }

  restore({ first, next, previous }: SavedLists): void {
    this.first = first;
    this.next = next;
    this.previous = previous;
  }
}

interface SavedLists {
  readonly first: Slots;
  readonly next: Slots;
  readonly previous: Slots;
}

const FEWEST = 16;

/** Returns the array, or a larger copy with room for `index` whose new places hold `fill`. */
export function grown(array: Slots, index: number, fill: number): Slots {
  const larger = new Int32Array(Math.max(array.length * 2, index + 1, FEWEST)).fill(fill);
  larger.set(array);
  return larger;
}
