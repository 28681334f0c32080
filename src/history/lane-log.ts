import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';
import { isTogether, type Operation } from '../lane/messages/operation.js';
import type { Effect, Outcome } from '../lane/messages/outcome.js';
import type { Transaction } from '../lane/messages/transaction.js';
import type { LaneFiles, SavedCheckpoint } from './lane-files.js';

/**
 * What did not go as intended in a lane, or could not be known beforehand. A transaction is named by its number and by how
 * many outcomes it had before.
 */
export type Exception =
  /** Refused: SQLSTATE, which member was, and whether a function said so. */
  | readonly ['r', transaction: number, outcomes: number, sqlstate: string, member: number, isCalled: boolean]
  /** Carried out with other row counts than intended, or with texts that the server told. */
  | readonly ['t', transaction: number, outcomes: number, effects: readonly Effect[]]
  /** About to be committed: its id, and what it did. */
  | readonly ['q', transaction: number, outcomes: number, xid: string, effects: readonly Effect[]]
  /** An operation that was skipped; −1 outcomes: before it was sent. */
  | readonly ['s', operation: number, outcomes: number]
  /** What became of it could not be found out; it was taken for what comes next in the log, or for not done. */
  | readonly ['u', transaction: number, outcomes: number]
  /** No operation was begun any more when so many had been. */
  | readonly ['e', begun: number];

/* A lane whose every operation is an exception, since the server makes all its keys, fills this in an hour or more. */
const MOST_BYTES = 64 << 20;
const LARGE_BYTES = MOST_BYTES / 4;
/* The earlier of the two is for a lane that is taken back beyond the later one. */
const MOST_CHECKPOINTS = 2;

/**
 * A lane's exceptions, in files: with them its course can be repeated without a database. They are written before the lane is
 * told, so that the log is never behind it. It has parts, one for each checkpoint.
 */
export class LaneLog {
  /** Null where there is no place for files. */
  private readonly files: LaneFiles | null;
  private readonly history: LaneHistory | null;
  /** Of the last part; null where it could not be opened, or was given up. */
  private descriptor: number | null = null;
  private parts: { readonly from: number; bytes: number }[] = [];
  private lines: string[] = [];

  /** `history`: the file that keeps the exceptions after the run; null if there is none. */
  constructor(files: LaneFiles | null, history: LaneHistory | null = null) {
    this.files = files;
    this.history = history;
    if (files !== null) this.open(files.latest);
  }

  private open(from: number): void {
    if (this.descriptor !== null) closeSync(this.descriptor);
    try {
      this.descriptor = openSync(this.files!.log(from), 'a');
      this.parts.push({ from, bytes: fstatSync(this.descriptor).size });
    } catch {
      // A file that cannot be opened counts as a log that was given up.
      this.descriptor = null;
    }
  }

  add(exception: Exception): void {
    if (this.descriptor !== null || this.history !== null) this.lines.push(JSON.stringify(exception));
  }

  /** Writes down what was added. */
  flush(): void {
    if (this.lines.length === 0) return;
    const lines = this.lines;
    this.lines = [];
    this.history?.write(lines);
    if (this.descriptor === null) return;
    const text = `${lines.join('\n')}\n`;
    const last = this.parts.at(-1)!;
    last.bytes += text.length;
    try {
      if (last.bytes > MOST_BYTES) this.giveUp();
      // A disk that is nearly full takes a part.
      else if (writeSync(this.descriptor, text) < Buffer.byteLength(text)) this.giveUp();
      else this.forget();
    } catch {
      this.giveUp();
    }
  }

  /** True if the lane should save its state when it can: the last part of the log becomes large. */
  get isLarge(): boolean {
    return (this.parts.at(-1)?.bytes ?? 0) > LARGE_BYTES;
  }

  /** Drops the oldest parts of a log that is too large. */
  private forget(): void {
    const total = () => this.parts.reduce((sum, { bytes }) => sum + bytes, 0);
    while (this.parts.length > 1 && total() > MOST_BYTES) {
      const { from } = this.parts.shift()!;
      this.files!.remove('log', (each) => each === from);
    }
  }

  /**
   * Saves a checkpoint, and begins a new part of the log. Resolves when the file is written, or could not be because the disk is full: then
   * the lane can still continue from the checkpoint before.
   */
  async checkpoint(saved: SavedCheckpoint): Promise<void> {
    const { files } = this;
    if (files === null) return;
    this.flush();
    try {
      files.begin(saved.operations, []);
      this.open(saved.operations);
      await files.save(saved);
      const [earliest] = files.checkpoints().slice(-MOST_CHECKPOINTS);
      files.remove('state', (at) => at < earliest!);
    } catch {
      files.remove('part', (at) => at === saved.operations);
    }
  }

  /** Goes back to a place, with what is known of the course from there: what came after that has not happened. */
  backTo(from: number, exceptions: readonly Exception[]): void {
    const { files } = this;
    if (this.descriptor === null || files === null) return;
    files.remove('state', (at) => at > from);
    files.remove('log', (at) => at > from);
    this.parts = this.parts.filter((part) => part.from < from);
    try {
      files.begin(from, exceptions);
      this.open(from);
    } catch {
      this.giveUp();
    }
  }

  close(): void {
    if (this.descriptor !== null) closeSync(this.descriptor);
  }

  /* A part of a log is of no use, and one that is not there is not taken for an empty one. */
  private giveUp(): void {
    if (this.descriptor !== null) closeSync(this.descriptor);
    this.descriptor = null;
    this.parts = [];
    this.files!.remove('log', () => true);
  }
}

/** Takes a lane's exceptions as JSON. */
export interface LaneHistory {
  write(exceptions: readonly string[]): void;
}

/** How an outcome differs from what the transaction means to do; null where it does not. */
export function exceptionOf(transaction: Transaction, outcome: Outcome): Exception | null {
  const { number, outcomes, members, receipt } = transaction;
  if (outcome.kind === 'refused')
    return ['r', number, outcomes, outcome.sqlstate, outcome.member, outcome.context !== null];
  // Of these the receipt has told.
  const isReceived = receipt !== null && receipt.xid !== null;
  for (const [index, { operation }] of members.entries()) {
    const { rows } = outcome.effects[index]!;
    for (const [at, statement] of operation.statements.entries()) {
      const { shape } = statement;
      const isOther = rows[at] !== statement.rows;
      // Which rows vanished was asked behind the receipt.
      const isTold = isReceived ? isOther && isTogether(statement) : isOther || shape.returned > 0 || shape.reportsMove;
      if (isTold) return ['t', number, outcomes, outcome.effects];
    }
  }
  return null;
}

/** What a lane's log says, for its course to be repeated. */
export class LanePast {
  /** So many operations had been begun when the lane was told to stop; null where it was not. */
  readonly end: number | null;
  private readonly outcomes = new Map<string, Outcome>();
  private readonly receipts = new Map<string, { readonly xid: string; readonly effects: readonly Effect[] }>();
  private readonly skipped = new Set<string>();
  private readonly exceptions: readonly Exception[];

  private constructor(exceptions: readonly Exception[]) {
    this.exceptions = exceptions;
    let end: number | null = null;
    for (const exception of exceptions) {
      const [kind] = exception;
      if (kind === 'r') {
        const [, number, outcomes, sqlstate, member, isCalled] = exception;
        this.outcomes.set(`${number}/${outcomes}`, { ...REFUSED, sqlstate, member, context: isCalled ? '' : null });
      } else if (kind === 't') {
        const [, number, outcomes, effects] = exception;
        this.outcomes.set(`${number}/${outcomes}`, { kind: 'committed', effects });
      } else if (kind === 'q') {
        const [, number, outcomes, xid, effects] = exception;
        this.receipts.set(`${number}/${outcomes}`, { xid, effects });
      } else if (kind === 's') this.skipped.add(`${exception[1]}/${exception[2]}`);
      else if (kind === 'e') end = exception[1];
    }
    this.end = end;
  }

  /** Of exceptions that are known. */
  static of(exceptions: readonly Exception[]): LanePast {
    return new LanePast(exceptions);
  }

  /** Returns the exceptions of transactions below a number, and where the lane's course ends. */
  below(end: number): readonly Exception[] {
    return this.exceptions.filter((exception) => exception[0] === 'e' || exception[1] < end);
  }

  /** The transaction's next outcome, where it was an exception. */
  outcomeOf({ number, outcomes }: Transaction): Outcome | null {
    return this.outcomes.get(`${number}/${outcomes}`) ?? null;
  }

  /** What the server said of a transaction before it was committed. */
  receiptOf({ number, outcomes }: Transaction): { readonly xid: string; readonly effects: readonly Effect[] } | null {
    return this.receipts.get(`${number}/${outcomes}`) ?? null;
  }

  skips({ number }: Operation, outcomes: number): boolean {
    return this.skipped.has(`${number}/${outcomes}`);
  }
}

const REFUSED = {
  kind: 'refused',
  message: '',
  constraint: null,
  detail: null,
  table: null,
} as const;
