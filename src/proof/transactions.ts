import { closeSync, openSync, readSync, writeSync } from 'node:fs';

const RECORD = 20;
const WINDOW = 4096 * RECORD;

/** A run of changes of one transaction. */
interface Run {
  /** The position of its commit in the log, or its number. */
  readonly id: number;
  readonly changes: number;
  /** Hashes of which keys it changes, and in which order it does so. */
  readonly content: number;
  readonly order: number;
}

/** The runs of a stream in their order, in a file. */
export class TransactionRuns {
  private readonly descriptor: number;
  private readonly waiting = Buffer.alloc(WINDOW);
  private filled = 0;
  private written = 0;
  private current: number | null = null;
  private changes = 0;
  private content = 0;
  private order = 0;
  private readonly window = Buffer.alloc(WINDOW);
  private windowFrom = -1;

  constructor(file: string) {
    this.descriptor = openSync(file, 'w+');
  }

  /** Adds a change of a transaction. */
  add(id: number): void {
    if (this.current !== id) {
      this.end();
      this.current = id;
    }
    this.changes++;
  }

  /** Adds a hash of the last change, made from its kind and its key. */
  note(hash: number): void {
    this.content = (this.content + hash) | 0;
    this.order = (Math.imul(this.order, PRIME) ^ hash) | 0;
  }

  /** Adds the last run. Only then runs can be read. */
  finish(): void {
    this.end();
    this.flush();
  }

  get count(): number {
    return this.written / RECORD;
  }

  at(index: number): Run {
    const from = Math.floor((index * RECORD) / WINDOW) * WINDOW;
    if (from !== this.windowFrom) {
      readSync(this.descriptor, this.window, 0, WINDOW, from);
      this.windowFrom = from;
    }
    const offset = index * RECORD - from;
    return {
      id: this.window.readDoubleBE(offset),
      changes: this.window.readUInt32BE(offset + 8),
      content: this.window.readInt32BE(offset + 12),
      order: this.window.readInt32BE(offset + 16),
    };
  }

  close(): void {
    closeSync(this.descriptor);
  }

  private end(): void {
    if (this.current === null) return;
    this.waiting.writeDoubleBE(this.current, this.filled);
    this.waiting.writeUInt32BE(this.changes, this.filled + 8);
    this.waiting.writeInt32BE(this.content, this.filled + 12);
    this.waiting.writeInt32BE(this.order, this.filled + 16);
    this.filled += RECORD;
    this.changes = this.content = this.order = 0;
    this.current = null;
    if (this.filled === this.waiting.length) this.flush();
  }

  private flush(): void {
    for (let at = 0; at < this.filled; )
      at += writeSync(this.descriptor, this.waiting, at, this.filled - at, this.written + at);
    this.written += this.filled;
    this.filled = 0;
  }
}

/* The hash of Fowler, Noll and Vo, with 32 bits. */
const PRIME = 0x01000193;
const BASIS = 0x811c9dc5 | 0;

/** Returns a hash of a text for `note`. */
export function hashOf(text: string): number {
  let hash = BASIS;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), PRIME);
  return hash;
}

/** How transactions arrived. */
export interface TransactionResult {
  /** Runs of the target that were found in the source. */
  readonly compared: number;
  /** Arrived in part, or in several pieces. */
  readonly torn: readonly number[];
  /** Arrived behind a transaction that was committed later, or with its changes in another order. */
  readonly reordered: readonly number[];
  /** Arrived whole, but with changes of other transactions, or without some of its own. */
  readonly mixed: readonly number[];
  /** True where more are torn or reordered than are listed. */
  readonly isAtLeast: boolean;
}

/* Transactions out of order that are looked at. */
export const MOST_ANOMALIES = 1000;

/**
 * Compares the order of transactions, and of the changes within each, with that of `source`, which is the order of commits.
 * A transaction of which nothing arrived is no matter of order: its changes are lost. `mayRepeat`: a consumer may go back,
 * and tell everything since then again. `isSorted`: the ids of the source grow.
 */
export function compareTransactions(
  source: TransactionRuns,
  target: TransactionRuns,
  { mayRepeat, isSorted }: { readonly mayRepeat: boolean; readonly isSorted: boolean },
): TransactionResult {
  const torn = new Set<number>();
  const reordered = new Set<number>();
  const mixed = new Set<number>();
  const skipped: (readonly [from: number, to: number])[] = [];
  let compared = 0;
  let expected = 0;
  let highest = 0;
  for (let at = 0; at < target.count; at++) {
    if (torn.size + reordered.size >= MOST_ANOMALIES) break;
    const { id, changes, content, order } = target.at(at);
    const place = isSorted ? sortedPlaceOf(source, id, expected) : placeOf(source, id, expected);
    if (place === null) {
      // The source has no such transaction: it was invented, or its name was lost.
      torn.add(id);
      continue;
    }
    compared++;
    const made = source.at(place);
    const isWhole = changes >= made.changes;
    if (!mayRepeat && content !== made.content && mixed.size < MOST_ANOMALIES) mixed.add(id);
    if (changes === made.changes && content === made.content && order !== made.order) reordered.add(id);
    if (place < expected && skipped.some(([from, to]) => place >= from && place < to)) {
      reordered.add(id);
      continue;
    }
    if (place < expected && !mayRepeat) {
      // The rest of it comes late, or it is a repeat: its changes count as doubled.
      if (!torn.has(id)) reordered.add(id);
      continue;
    }
    if (place >= expected) {
      // Who goes over known ground again leaves nothing out.
      for (let missing = expected; missing < Math.min(place, highest); missing++) reordered.add(source.at(missing).id);
      if (place > highest) skipped.push([highest, place]);
      if (!isWhole) torn.add(id);
    }
    // A consumer that was interrupted within a transaction, and repeats it as a whole.
    if (isWhole) torn.delete(id);
    expected = place + 1;
    highest = Math.max(highest, expected);
  }
  const isAtLeast = torn.size + reordered.size >= MOST_ANOMALIES;
  return { compared, torn: [...torn], reordered: [...reordered], mixed: [...mixed], isAtLeast };
}

function sortedPlaceOf(source: TransactionRuns, id: number, expected: number): number | null {
  if (expected < source.count && source.at(expected).id === id) return expected;
  let [low, high] = [0, source.count];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (source.at(middle).id < id) low = middle + 1;
    else high = middle;
  }
  return low < source.count && source.at(low).id === id ? low : null;
}

/* Numbers of transactions are in no order: they are looked for so far to both sides. */
const FARTHEST = 100_000;

/** The place of a transaction in the source; null if it is not there. */
function placeOf(source: TransactionRuns, id: number, expected: number): number | null {
  const { count } = source;
  for (let distance = 0; distance <= FARTHEST; distance++) {
    const [after, before] = [expected + distance, expected - distance];
    if (after >= count && before < 0) return null;
    if (after < count && source.at(after).id === id) return after;
    if (before >= 0 && before < count && source.at(before).id === id) return before;
  }
  return null;
}
