import { closeSync, fdatasync, ftruncateSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { SetupError } from '../config/problem.js';
import { CHANGE_KINDS, type ChangeKind } from './event.js';

/* Text is written in pieces of this size, in characters. */
const BLOCK = 1 << 18;

/** What is known of a change only when its transaction commits. */
export interface Commit {
  readonly xid: string;
  readonly commit: string;
  readonly at: string;
}

/** Changes by table and kind. */
export type ChangeCounts = Record<string, Record<ChangeKind, number>>;

/** An event by the members of its JSON object, without those of its commit. */
export interface EventBody {
  readonly table: string;
  readonly op: ChangeKind;
  readonly body: string;
}

/**
 * A file of change events that holds whole transactions only. What was written of one that did not arrive whole can be
 * taken back.
 */
export class ChangeFile {
  private readonly descriptor: number;
  private text = '';
  /** Bytes in the file, and with those that wait to be written; the latter where the last whole transaction ended. */
  private written = 0;
  private size = 0;
  private whole = 0;
  private commit: Commit | null = null;
  private sequence = 0;
  /** The transaction's last event: whether it is the last one is known when the next comes. */
  private held: string | null = null;
  /** Of whole transactions, and of the one that is under way. */
  readonly counts: ChangeCounts = {};
  private uncounted: ChangeCounts = {};

  /** @throws SetupError where the file cannot be written. */
  constructor(file: string) {
    try {
      this.descriptor = openSync(file, 'w');
    } catch (error) {
      throw SetupError.of(file, `cannot be written (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`);
    }
  }

  /** True between the beginning and the end of a transaction. */
  get isWithin(): boolean {
    return this.commit !== null;
  }

  begin(commit: Commit): void {
    this.commit = commit;
    this.sequence = 0;
  }

  add({ table, op, body }: EventBody): void {
    this.release(false);
    this.held = body;
    countOf(this.uncounted, table)[op]++;
  }

  end(): void {
    this.release(true);
    this.commit = null;
    this.whole = this.size;
    for (const [table, counted] of Object.entries(this.uncounted))
      for (const kind of CHANGE_KINDS) countOf(this.counts, table)[kind] += counted[kind];
    this.uncounted = {};
  }

  /** Takes back what belongs to a transaction that did not end. */
  undo(): void {
    this.held = null;
    this.commit = null;
    this.uncounted = {};
    this.flush();
    ftruncateSync(this.descriptor, this.whole);
    this.written = this.size = this.whole;
  }

  /** Makes durable what was written so far. */
  async sync(): Promise<void> {
    this.flush();
    await new Promise<void>((resolve, reject) =>
      fdatasync(this.descriptor, (error) => (error === null ? resolve() : reject(error))),
    );
  }

  close(): void {
    closeSync(this.descriptor);
  }

  private release(isLast: boolean): void {
    if (this.held === null) return;
    const { xid, commit, at } = this.commit!;
    this.sequence++;
    const line = `{${this.held},"xid":"${xid}","commit":"${commit}","seq":${this.sequence},"last":${isLast},"at":"${at}"}\n`;
    this.held = null;
    this.text += line;
    this.size += Buffer.byteLength(line);
    if (this.text.length >= BLOCK) this.flush();
  }

  private flush(): void {
    const bytes = Buffer.from(this.text);
    this.text = '';
    // A write may take a part; at an offset of its own, since a transaction may have been taken back.
    for (let at = 0; at < bytes.length; )
      at += writeSync(this.descriptor, bytes, at, bytes.length - at, this.written + at);
    this.written += bytes.length;
  }
}

function countOf(counts: ChangeCounts, table: string): Record<ChangeKind, number> {
  counts[table] ??= { insert: 0, update: 0, delete: 0, truncate: 0 };
  return counts[table];
}

/**
 * The events of a transaction that the server streams before its end, in a file: it may be of any size, and it may be rolled
 * back as a whole or in parts.
 */
export class Spool {
  private readonly file: string;
  private readonly descriptor: number;
  private text = '';
  private size = 0;
  private written = 0;
  /** Where the events of each subtransaction begin, in their order. */
  private readonly begins = new Map<number, number>();

  constructor(file: string) {
    this.file = file;
    this.descriptor = openSync(file, 'w+');
  }

  add(subxid: number, { table, op, body }: EventBody): void {
    if (!this.begins.has(subxid)) this.begins.set(subxid, this.size);
    // JSON has no line breaks of its own.
    const line = `${JSON.stringify([table, op, body])}\n`;
    this.text += line;
    this.size += Buffer.byteLength(line);
    if (this.text.length >= BLOCK) this.flush();
  }

  /** A subtransaction was rolled back, with those that began within it. */
  rollBack(subxid: number): void {
    const from = this.begins.get(subxid);
    if (from === undefined) return;
    this.flush();
    for (const [other, begin] of this.begins) if (begin >= from) this.begins.delete(other);
    ftruncateSync(this.descriptor, from);
    this.size = this.written = from;
  }

  /** What was added and not rolled back, in order. */
  *events(): Generator<EventBody> {
    this.flush();
    const block = Buffer.allocUnsafe(BLOCK);
    let rest = Buffer.alloc(0);
    for (let at = 0; at < this.size; ) {
      const read = readSync(this.descriptor, block, 0, block.length, at);
      if (read === 0) break;
      at += read;
      const bytes = Buffer.concat([rest, block.subarray(0, read)]);
      let from = 0;
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
        const [table, op, body] = JSON.parse(bytes.toString('utf8', from, end)) as [string, ChangeKind, string];
        yield { table, op, body };
        from = end + 1;
      }
      rest = bytes.subarray(from);
    }
  }

  remove(): void {
    closeSync(this.descriptor);
    rmSync(this.file, { force: true });
  }

  private flush(): void {
    const bytes = Buffer.from(this.text);
    this.text = '';
    for (let at = 0; at < bytes.length; )
      at += writeSync(this.descriptor, bytes, at, bytes.length - at, this.written + at);
    this.written += bytes.length;
  }
}
