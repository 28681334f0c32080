import { OPERATION_KINDS, type OperationKind } from '../plan/plan.js';
import { split } from '../random/seed.js';
import { BUCKETS, bucketOf } from './histogram.js';

/*
 * All counts of a run lie in one SharedArrayBuffer, a block per worker with that worker as its only writer (10 ns a
 * count). The coordinator adds blocks up when asked, so that counts are exact also after a thread's death. Doubles
 * count exactly to 2⁵³ and are written whole on every machine that Node runs on.
 */

/** Counts per table and operation. `rows` are those of the table that a statement changed, parents included; `cascaded` those that the server changed with a deleted row; `moved` those of `rows` that an UPDATE took to another partition; `vanished` rows of the lane's that an UPDATE or DELETE did not find. */
const TABLE_FIELDS = [
  'committed',
  'rejected',
  'failed',
  'skipped',
  'rolledBack',
  'rows',
  'retriesValues',
  'retriesTransient',
  'retriesVacant',
  'substituted',
  'cascaded',
  'moved',
  'vanished',
] as const;
export type TableField = (typeof TABLE_FIELDS)[number];

/** The possible outcomes of an operation. */
export const OUTCOMES = ['committed', 'rolledBack', 'rejected', 'failed', 'skipped'] as const;

const EXCEPTIONS: readonly TableField[] = [
  'rejected',
  'failed',
  'skipped',
  'retriesValues',
  'retriesTransient',
  'retriesVacant',
];

const SCALARS = [
  'reconnects',
  'transactionsCommitted',
  'transactionsRolledBack',
  'transactionsIntended',
  'inDoubtCommitted',
  'inDoubtReplayed',
  'inDoubtUnknown',
  'refusals',
  'lostCommits',
  'lanesBegunAgain',
  'historyLost',
  'late',
  'dropped',
  'conflicts',
  'lanesConnected',
  'lanesEnded',
  'lanesAnswered',
  'lanesStalled',
  'quarantined',
  'eventLoopDelayMs',
  'eventLoopDelayMsMax',
  'busyMs',
  'threadMs',
  'inFlightMs',
  'pausedMs',
  'laneMs',
] as const;
export type Scalar = (typeof SCALARS)[number];

/* Operations of the warm-up are counted separately: the summary leaves them out, the metrics include them. */
const LATENCIES = ['response', 'service', 'warmUpResponse', 'warmUpService'] as const;
export type Latency = (typeof LATENCIES)[number];
const HISTOGRAM = BUCKETS + 2; // buckets, sum in ms, maximum in ms

/* The most counts that the end of one operation changes: a few, and two of each table in a cascade. */
const FEW_NOTES = 16;
const MOST_NOTES = 256;

const ERROR_SLOTS = 512;
const ERROR_WIDTH = 3; // SQLSTATE as a number in base 36 plus one, relation, count

interface Layout {
  readonly relations: number;
  readonly lanes: number;
  readonly size: number;
  readonly histograms: number;
  readonly errors: number;
  readonly scalars: number;
  readonly laneApplied: number;
  readonly laneSent: number;
  /** How many reports a lane has made to its ledger. */
  readonly laneTold: number;
  /** Per lane: the number of the report being made, the count of noted old values, and these with their places. */
  readonly laneUndo: number;
  readonly mostNotes: number;
  readonly undoWidth: number;
  /** Two per lane: the position of its pacer, and the number of random gaps that it has drawn. */
  readonly lanePace: number;
  /** Two halves per lane: a digest of its exceptions. */
  readonly laneDigest: number;
  /** Two per lane: of its last receipt, the number of the transaction's first operation plus one, and the transaction's id. */
  readonly laneReceipt: number;
}

function layoutOf(relations: number, lanes: number): Layout {
  const histograms = relations * OPERATION_KINDS.length * TABLE_FIELDS.length;
  const errors = histograms + LATENCIES.length * OPERATION_KINDS.length * HISTOGRAM;
  const scalars = errors + ERROR_SLOTS * ERROR_WIDTH;
  const laneApplied = scalars + SCALARS.length;
  const laneSent = laneApplied + lanes;
  const laneTold = laneSent + lanes;
  const lanePace = laneTold + lanes;
  const laneDigest = lanePace + 2 * lanes;
  const laneReceipt = laneDigest + 2 * lanes;
  const laneUndo = laneReceipt + 2 * lanes;
  const mostNotes = Math.min(MOST_NOTES, FEW_NOTES + 2 * relations);
  const undoWidth = 2 + 2 * mostNotes;
  const size = laneUndo + undoWidth * lanes;
  return {
    relations,
    lanes,
    size,
    histograms,
    errors,
    scalars,
    laneApplied,
    laneSent,
    laneTold,
    laneUndo,
    mostNotes,
    undoWidth,
    lanePace,
    laneDigest,
    laneReceipt,
  };
}

/** Returns memory for the counts of a run: one block for each writer. */
export function allocateCounters(relations: number, lanes: number, blocks: number): SharedArrayBuffer {
  return new SharedArrayBuffer(layoutOf(relations, lanes).size * blocks * Float64Array.BYTES_PER_ELEMENT);
}

/** Returns the rows of a table in a copy of a block. */
export function rowsIn(block: Float64Array<ArrayBuffer>, relation: number, kind: OperationKind): number {
  return block[tableIndex(relation, kind, 'rows')]!;
}

/** Returns the operations of a lane whose outcomes are applied, in a copy of a block. `size`: of the run. */
export function appliedIn(
  block: Float64Array<ArrayBuffer>,
  { relations, lanes }: { readonly relations: number; readonly lanes: number },
  lane: number,
): number {
  return block[layoutOf(relations, lanes).laneApplied + lane]!;
}

/* State of the running process, which means nothing to the process that replaces it. */
const MOMENTARY: readonly Scalar[] = [
  'lanesConnected',
  'lanesEnded',
  'lanesAnswered',
  'lanesStalled',
  'eventLoopDelayMs',
];

/* Of these the largest counts, not the sum. */
const MAXIMA: readonly Scalar[] = ['eventLoopDelayMsMax'];

/**
 * Puts the counts of an earlier process where a run goes on counting. `saved`: its blocks. Together they fill the last block of the
 * memory; what belongs to a lane moves to the block of the worker that carries the lane from now on. `begins`: lanes begin again,
 * so that they keep only their place in the schedule, and what they had in flight is in doubt.
 * @throws RangeError where the blocks are those of another plan.
 */
export function restoreCounters(
  memory: SharedArrayBuffer,
  { relations, lanes }: { readonly relations: number; readonly lanes: number },
  saved: readonly Float64Array[],
  { workerOf, begins }: { readonly workerOf: (lane: number) => number | undefined; readonly begins: boolean },
): void {
  if (saved.length === 0) return;
  const layout = layoutOf(relations, lanes);
  if (saved.some(({ length }) => length !== layout.size)) throw new RangeError('these counts belong to another plan');
  const values = new Float64Array(memory);
  const last = values.length / layout.size - 1;
  const whole = values.subarray(last * layout.size);
  addUp(layout, saved, whole);
  const block = new CounterBlock(memory, relations, lanes, last);
  for (const scalar of MOMENTARY) block.set(scalar, 0);
  for (const each of saved)
    for (const { sqlstate, relation, count } of errorsIn(each, layout)) block.addError(sqlstate, relation, count);
  for (let lane = 0; lane < lanes; lane++) {
    const worker = workerOf(lane);
    if (worker !== undefined && begins)
      block.add('inDoubtUnknown', whole[layout.laneSent + lane]! - whole[layout.laneApplied + lane]!);
    for (const [place, width] of placesOfLane(layout, lane)) {
      const isKept = worker !== undefined && (!begins || place === layout.lanePace + 2 * lane);
      for (let word = place; word < place + width; word++) {
        if (isKept) values[worker * layout.size + word]! += whole[word]!;
        whole[word] = 0;
      }
    }
  }
}

/** Adds blocks up, except their errors, which have places of their own in each. */
function addUp(layout: Layout, blocks: readonly Float64Array[], whole: Float64Array): void {
  const maxima = [
    ...MAXIMA.map((scalar) => layout.scalars + SCALAR_AT[scalar]),
    ...LATENCIES.flatMap((latency) =>
      OPERATION_KINDS.map((kind) => histogramIndex(layout, latency, kind) + BUCKETS + 1),
    ),
  ];
  for (const block of blocks) for (let word = 0; word < layout.laneUndo; word++) whole[word]! += block[word]!;
  for (const word of maxima) whole[word] = Math.max(...blocks.map((block) => block[word]!));
  whole.fill(0, layout.errors, layout.scalars);
}

function* errorsIn(block: Float64Array, { errors }: Layout) {
  for (let slot = 0; slot < ERROR_SLOTS; slot++) {
    const at = errors + slot * ERROR_WIDTH;
    if (block[at] === 0) return;
    const sqlstate = (block[at]! - 1).toString(36).toUpperCase().padStart(5, '0');
    yield { sqlstate, relation: block[at + 1]!, count: block[at + 2]! };
  }
}

/* Counts of single lanes: their offset, and their width in words. */
function placesOfLane(layout: Layout, lane: number): readonly (readonly [place: number, width: number])[] {
  return [
    [layout.laneApplied + lane, 1],
    [layout.laneSent + lane, 1],
    [layout.laneTold + lane, 1],
    [layout.lanePace + 2 * lane, 2],
    [layout.laneDigest + 2 * lane, 2],
    [layout.laneReceipt + 2 * lane, 2],
  ];
}

/** The counts of one worker, for writing. */
export class CounterBlock {
  private readonly values: Float64Array;
  private readonly layout: Layout;
  /** Where old values are noted at the moment; −1: nowhere. */
  private undo = -1;

  constructor(memory: SharedArrayBuffer, relations: number, lanes: number, worker: number) {
    this.layout = layoutOf(relations, lanes);
    this.values = new Float64Array(
      memory,
      worker * this.layout.size * Float64Array.BYTES_PER_ELEMENT,
      this.layout.size,
    );
  }

  /**
   * Begins what a lane tells at once. Until `commit` each count's old value is noted, so that a thread's death leaves all of
   * it or nothing.
   */
  begin(lane: number): void {
    const at = this.layout.laneUndo + lane * this.layout.undoWidth;
    // In this order, because a note is valid only for the report whose number is set.
    this.values[at + 1] = 0;
    this.values[at] = this.values[this.layout.laneTold + lane]! + 1;
    this.undo = at;
  }

  commit(lane: number): void {
    this.values[this.layout.laneTold + lane]!++;
    this.undo = -1;
  }

  /** Returns a copy of the block. Between two ticks of its thread it is whole: no lane is in the middle of telling something. */
  snapshot(): Float64Array<ArrayBuffer> {
    return this.values.slice();
  }

  /** Puts a copy of the block in its place; null: nothing was counted. What holds at a moment only begins anew. */
  restore(counters: Float64Array<ArrayBuffer> | null): void {
    if (counters === null) this.values.fill(0);
    else this.values.set(counters);
    for (const scalar of MOMENTARY) this.set(scalar, 0);
  }

  /** Takes back what a lane was telling when its thread died. */
  takeBack(lane: number): void {
    const at = this.layout.laneUndo + lane * this.layout.undoWidth;
    if (this.values[at] !== this.values[this.layout.laneTold + lane]! + 1) return;
    for (let note = this.values[at + 1]! - 1; note >= 0; note--)
      this.values[this.values[at + 2 + 2 * note]!] = this.values[at + 3 + 2 * note]!;
    this.values[at + 1] = 0;
  }

  private change(index: number, value: number): void {
    const at = this.undo;
    if (at >= 0) {
      const notes = this.values[at + 1]!;
      // The first few may be noted twice. Beyond them it is checked, because a cascade changes the same counters again and again.
      if (notes < this.layout.mostNotes && (notes < FEW_NOTES || !this.isNoted(at, notes, index))) {
        this.values[at + 2 + 2 * notes] = index;
        this.values[at + 3 + 2 * notes] = this.values[index]!;
        this.values[at + 1] = notes + 1;
      }
    }
    this.values[index] = value;
  }

  private isNoted(at: number, notes: number, index: number): boolean {
    for (let note = 0; note < notes; note++) if (this.values[at + 2 + 2 * note] === index) return true;
    return false;
  }

  addTable(relation: number, kind: OperationKind, field: TableField, amount: number): void {
    const index = tableIndex(relation, kind, field);
    this.change(index, this.values[index]! + amount);
  }

  add(scalar: Scalar, amount: number): void {
    const index = this.layout.scalars + SCALAR_AT[scalar];
    this.change(index, this.values[index]! + amount);
  }

  set(scalar: Scalar, value: number): void {
    this.values[this.layout.scalars + SCALAR_AT[scalar]] = value;
  }

  raise(scalar: Scalar, value: number): void {
    const index = this.layout.scalars + SCALAR_AT[scalar];
    if (value > this.values[index]!) this.values[index] = value;
  }

  observe(latency: Latency, kind: OperationKind, ms: number): void {
    const base = histogramIndex(this.layout, latency, kind);
    this.values[base + bucketOf(ms)]!++;
    this.values[base + BUCKETS]! += ms;
    if (ms > this.values[base + BUCKETS + 1]!) this.values[base + BUCKETS + 1] = ms;
  }

  /** Counts errors. Beyond 512 different pairs of SQLSTATE and table, the last slot counts the rest. */
  addError(sqlstate: string, relation: number, count = 1): void {
    const code = Number.parseInt(sqlstate, 36) + 1;
    for (let slot = 0; slot < ERROR_SLOTS; slot++) {
      const at = this.layout.errors + slot * ERROR_WIDTH;
      if (this.values[at] === 0 || slot === ERROR_SLOTS - 1) {
        this.change(at, code);
        this.change(at + 1, relation);
      }
      if (this.values[at] === code && this.values[at + 1] === relation) {
        this.change(at + 2, this.values[at + 2]! + count);
        return;
      }
    }
  }

  laneApplied(lane: number): void {
    const index = this.layout.laneApplied + lane;
    this.change(index, this.values[index]! + 1);
  }

  laneSent(lane: number): void {
    this.values[this.layout.laneSent + lane]!++;
  }

  /** Sets how many operations had been sent, if the death of a thread left that open. */
  setLaneSent(lane: number, operations: number): void {
    this.values[this.layout.laneSent + lane] = operations;
  }

  lanePace(lane: number, position: number, gaps: number): void {
    const at = this.layout.lanePace + 2 * lane;
    this.values[at] = position;
    this.values[at + 1] = gaps;
  }

  /** Records the id of a transaction, so that its outcome can be looked up after the death of the thread. */
  laneReceipt(lane: number, operation: number, xid: string): void {
    const at = this.layout.laneReceipt + 2 * lane;
    // Ids are below 2⁵³ for centuries.
    this.values[at + 1] = Number(xid);
    this.values[at] = operation + 1;
  }

  /** Adds an exception to the digest of a lane. Lanes with equal digests had the same exceptions in the same order. */
  laneException(lane: number, description: string): void {
    const at = this.layout.laneDigest + 2 * lane;
    const { hi, lo } = split({ hi: this.values[at]!, lo: this.values[at + 1]! }, description);
    this.change(at, hi);
    this.change(at + 1, lo);
  }
}

/* Computed once, because every count needs them. */
const KIND_AT = placesOf(OPERATION_KINDS);
const FIELD_AT = placesOf(TABLE_FIELDS);
const SCALAR_AT = placesOf(SCALARS);
const LATENCY_AT = placesOf(LATENCIES);

function placesOf<Name extends string>(names: readonly Name[]): Readonly<Record<Name, number>> {
  return Object.fromEntries(names.map((name, index) => [name, index])) as Record<Name, number>;
}

function tableIndex(relation: number, kind: OperationKind, field: TableField): number {
  return (relation * OPERATION_KINDS.length + KIND_AT[kind]) * TABLE_FIELDS.length + FIELD_AT[field];
}

function histogramIndex(layout: Layout, latency: Latency, kind: OperationKind): number {
  return layout.histograms + (LATENCY_AT[latency] * OPERATION_KINDS.length + KIND_AT[kind]) * HISTOGRAM;
}

export interface HistogramTotals {
  readonly counts: Float64Array;
  readonly sumMs: number;
  readonly maxMs: number;
}

/** The reading side: sums over all blocks, computed on request. */
export class CounterTotals {
  private readonly blocks: readonly Float64Array[];
  private readonly layout: Layout;

  constructor(memory: SharedArrayBuffer, relations: number, lanes: number) {
    this.layout = layoutOf(relations, lanes);
    const blockBytes = this.layout.size * Float64Array.BYTES_PER_ELEMENT;
    this.blocks = Array.from(
      { length: memory.byteLength / blockBytes },
      (_, block) => new Float64Array(memory, block * blockBytes, this.layout.size),
    );
  }

  get blockCount(): number {
    return this.blocks.length;
  }

  table(relation: number, kind: OperationKind, field: TableField): number {
    return this.sum(tableIndex(relation, kind, field));
  }

  /** Returns the sum over all tables and operations. */
  total(field: TableField): number {
    let total = 0;
    for (let relation = 0; relation < this.layout.relations; relation++) {
      for (const kind of OPERATION_KINDS) total += this.table(relation, kind, field);
    }
    return total;
  }

  /** Returns every field of an operation over all tables, in one pass, for readers that ask once a second. */
  totals(kind: OperationKind): Readonly<Record<TableField, number>> {
    const width = TABLE_FIELDS.length;
    const sums = new Float64Array(width);
    const first = KIND_AT[kind] * width;
    for (const block of this.blocks) {
      for (let at = first; at < this.layout.histograms; at += OPERATION_KINDS.length * width)
        for (let field = 0; field < width; field++) sums[field]! += block[at + field]!;
    }
    return Object.fromEntries(TABLE_FIELDS.map((field, index) => [field, sums[index]!])) as Record<TableField, number>;
  }

  /** Returns the number of operations that have ended, with any outcome. */
  operations(): number {
    return OUTCOMES.reduce((sum, outcome) => sum + this.total(outcome), 0);
  }

  scalar(scalar: Scalar): number {
    return this.sum(this.layout.scalars + SCALAR_AT[scalar]);
  }

  scalarOf(worker: number, scalar: Scalar): number {
    return this.blocks[worker]![this.layout.scalars + SCALAR_AT[scalar]]!;
  }

  histogram(latency: Latency, kind: OperationKind): HistogramTotals {
    const base = histogramIndex(this.layout, latency, kind);
    const counts = new Float64Array(BUCKETS);
    let maxMs = 0;
    for (const block of this.blocks) {
      for (let bucket = 0; bucket < BUCKETS; bucket++) counts[bucket]! += block[base + bucket]!;
      maxMs = Math.max(maxMs, block[base + BUCKETS + 1]!);
    }
    return { counts, sumMs: this.sum(base + BUCKETS), maxMs };
  }

  /** Returns several histograms as one: their counts are added, never their percentiles averaged. */
  merged(latencies: readonly Latency[], kinds: readonly OperationKind[] = OPERATION_KINDS): HistogramTotals {
    const all = latencies.flatMap((latency) => kinds.map((kind) => this.histogram(latency, kind)));
    const counts = new Float64Array(BUCKETS);
    for (const { counts: each } of all)
      for (let bucket = 0; bucket < BUCKETS; bucket++) counts[bucket]! += each[bucket]!;
    return {
      counts,
      sumMs: all.reduce((sum, { sumMs }) => sum + sumMs, 0),
      maxMs: Math.max(...all.map(({ maxMs }) => maxMs)),
    };
  }

  errors(): { sqlstate: string; relation: number; count: number }[] {
    const found = new Map<string, { sqlstate: string; relation: number; count: number }>();
    for (const block of this.blocks) {
      for (const { sqlstate, relation, count } of errorsIn(block, this.layout)) {
        const key = `${sqlstate}/${relation}`;
        const entry = found.get(key) ?? { sqlstate, relation, count: 0 };
        entry.count += count;
        found.set(key, entry);
      }
    }
    return [...found.values()].sort((a, b) =>
      a.sqlstate < b.sqlstate ? -1 : a.sqlstate > b.sqlstate ? 1 : a.relation - b.relation,
    );
  }

  laneApplied(lane: number): number {
    return this.sum(this.layout.laneApplied + lane);
  }

  laneSent(lane: number): number {
    return this.sum(this.layout.laneSent + lane);
  }

  laneTold(lane: number): number {
    return this.sum(this.layout.laneTold + lane);
  }

  lanePace(lane: number): { readonly position: number; readonly gaps: number } {
    const at = this.layout.lanePace + 2 * lane;
    return { position: this.sum(at), gaps: this.sum(at + 1) };
  }

  /** Returns the last receipt of a lane; null if it has none. */
  laneReceipt(lane: number): { readonly operation: number; readonly xid: string } | null {
    const at = this.layout.laneReceipt + 2 * lane;
    const number = this.sum(at);
    return number === 0 ? null : { operation: number - 1, xid: String(this.sum(at + 1)) };
  }

  /** Returns sixteen hexadecimal digits: zeros if every operation of the lane was committed at its first attempt. */
  laneDigest(lane: number): string {
    const half = (offset: number) =>
      (this.sum(this.layout.laneDigest + 2 * lane + offset) >>> 0).toString(16).padStart(8, '0');
    return half(0) + half(1);
  }

  /** Returns true if some operation of a worker was not committed at its first attempt. */
  hasExceptions(worker: number): boolean {
    const block = this.blocks[worker]!;
    // Operations whose outcome is not yet applied are in no other count.
    if (this.scalarOf(worker, 'refusals') > 0) return true;
    for (let at = 0; at < this.layout.histograms; at += TABLE_FIELDS.length) {
      for (const field of EXCEPTIONS) if (block[at + FIELD_AT[field]]! > 0) return true;
    }
    return false;
  }

  private sum(index: number): number {
    let sum = 0;
    for (const block of this.blocks) sum += block[index]!;
    return sum;
  }
}
