import { BindSink } from '../../datum/sink.js';
import { beginBind, endBind } from '../messages/bind.js';
import { NO_CASCADE, type Operation } from '../messages/operation.js';
import { maxRowsTogether, type Shape } from '../messages/shape.js';

/** What the rows of a batch have in common. */
export interface BatchOf {
  readonly relation: number;
  readonly kind: 'update' | 'delete';
  /** Columns that are written; none where rows are deleted. */
  readonly written: readonly number[];
  /** Parameters of each row. */
  readonly width: number;
  /** True if only the draws of each column determine what is written. */
  readonly isDrawn: boolean;
  /** The usual number of rows of an operation. */
  readonly usual: number;
  /** Returns the statement for so many rows, from 1. */
  readonly shape: (rows: number) => Shape;
}

/* Must be a power of two. */
const MOST_ROWS = 128;

/* A larger message takes twice its size of server memory, and keeps other lanes waiting. */
const MOST_BYTES = 8 << 20;

/**
 * Rows of one operation that statements change together. Their parameters are gathered first, since only at the end it
 * is known how many there are.
 */
export class RowBatch {
  /** Where the next row's parameters are written. */
  readonly cells = new BindSink();
  private readonly slots: number[] = [];
  /** Where each row's parameters end. */
  private readonly ends: number[] = [];
  private of: BatchOf | null = null;

  /** Begins a row. Rows with something else in common are written first. */
  begin(operation: Operation, of: BatchOf, sink: BindSink): void {
    if (this.of !== null && this.of !== of) this.flush(operation, sink);
    this.of = of;
  }

  /** Completes the row that was begun. */
  end(slot: number): void {
    this.slots.push(slot);
    this.ends.push(this.cells.offset);
  }

  has(slot: number): boolean {
    return this.slots.includes(slot);
  }

  /** Writes the gathered rows. */
  flush(operation: Operation, sink: BindSink): void {
    const { of, slots, cells } = this;
    if (of === null) return;
    const most = maxRowsTogether(of.width);
    for (let at = 0; at < slots.length; ) {
      const rows = this.rowsFrom(at, most, of.usual);
      this.write(operation, of, { at, rows }, sink);
      at += rows;
    }
    this.of = null;
    slots.length = 0;
    this.ends.length = 0;
    cells.clear();
  }

  /**
   * How many rows the next statement has: the most, or what an operation leaves beyond those as a rule; else a power of
   * two, since each number of rows is a statement to prepare.
   */
  private rowsFrom(at: number, most: number, usual: number): number {
    const left = this.slots.length - at;
    const fits = (rows: number) => rows <= left && this.bytesOf(at, rows) <= MOST_BYTES;
    if (fits(most)) return most;
    if (left === usual % most && fits(left)) return left;
    let rows = MOST_ROWS;
    while (rows > 1 && (rows > most || !fits(rows))) rows /= 2;
    return rows;
  }

  private bytesOf(at: number, rows: number): number {
    return this.ends[at + rows - 1]! - this.startOf(at);
  }

  private startOf(at: number): number {
    return at === 0 ? 0 : this.ends[at - 1]!;
  }

  private write(operation: Operation, of: BatchOf, { at, rows }: { at: number; rows: number }, sink: BindSink): void {
    const shape = of.shape(rows);
    const from = beginBind(sink, shape.parameters);
    sink.put(this.cells.bytes, this.startOf(at), this.ends[at + rows - 1]!);
    endBind(sink, from);
    operation.add({
      shape,
      relation: of.relation,
      kind: of.kind,
      rows,
      slots: this.slots.slice(at, at + rows),
      written: of.written,
      cascade: of.kind === 'delete' ? NO_CASCADE : null,
      from,
      to: sink.offset,
    });
  }
}
