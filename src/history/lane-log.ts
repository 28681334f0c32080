import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { isTogether, type Operation } from '../lane/messages/operation.js';
import type { Effect, Outcome } from '../lane/messages/outcome.js';
import type { Transaction } from '../lane/messages/transaction.js';

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

/**
 * A lane's exceptions, in a file: with them its course can be repeated without a database. They are written before the
 * lane is told, so that the file is never behind it.
 */
export class LaneLog {
  /** Null where no file can be written. */
  private readonly descriptor: number | null;
  private readonly file: string | null;
  private lines: string[] = [];
  private bytes = 0;
  private isOver: boolean;
  private readonly history: LaneHistory | null;

  /** `file`: null where there is no place for one. `history`: where the exceptions go for good; null where nobody asks for them. */
  constructor(file: string | null, history: LaneHistory | null = null) {
    this.file = file;
    this.descriptor = file === null ? null : opened(file);
    this.isOver = this.descriptor === null;
    this.history = history;
  }

  add(exception: Exception): void {
    if (!this.isOver || this.history !== null) this.lines.push(JSON.stringify(exception));
  }

  /** Writes down what was added. */
  flush(): void {
    if (this.lines.length === 0) return;
    const lines = this.lines;
    this.lines = [];
    this.history?.write(lines);
    const { descriptor } = this;
    if (this.isOver || descriptor === null) return;
    const text = `${lines.join('\n')}\n`;
    this.bytes += text.length;
    try {
      if (this.bytes > MOST_BYTES) this.giveUp();
      // A disk that is nearly full takes a part.
      else if (writeSync(descriptor, text) < Buffer.byteLength(text)) this.giveUp();
    } catch {
      this.giveUp();
    }
  }

  /** Begins anew with these exceptions: what came after them has not happened. */
  restart(exceptions: readonly Exception[]): void {
    if (this.isOver || this.file === null) return;
    try {
      beginLog(this.file, exceptions);
    } catch {
      this.giveUp();
    }
  }

  close(): void {
    if (this.descriptor !== null) closeSync(this.descriptor);
  }

  /* The disk is full, or the log too large: a part of it is of no use, and one that is not there is not taken for an empty one. */
  private giveUp(): void {
    this.isOver = true;
    if (this.file !== null) rmSync(this.file, { force: true });
  }
}

/** Takes a lane's exceptions as JSON. */
export interface LaneHistory {
  write(exceptions: readonly string[]): void;
}

/* Where it cannot be made it is not there, as one that was given up. */
function opened(file: string): number | null {
  try {
    return openSync(file, 'a');
  } catch {
    return null;
  }
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
  /** False where not everything was written down. */
  readonly isWhole: boolean;
  /** So many operations had been begun when the lane was told to stop; null where it was not. */
  readonly end: number | null;
  private readonly outcomes = new Map<string, Outcome>();
  private readonly receipts = new Map<string, { readonly xid: string; readonly effects: readonly Effect[] }>();
  private readonly skipped = new Set<string>();
  private readonly exceptions: readonly Exception[];

  private constructor(exceptions: readonly Exception[] | null) {
    this.isWhole = exceptions !== null;
    this.exceptions = exceptions ?? [];
    let end: number | null = null;
    for (const exception of exceptions ?? []) {
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

  /** Reads a log. */
  static read(file: string): LanePast {
    return new LanePast(readExceptions(file));
  }

  /** Returns the exceptions of transactions below a number. */
  below(end: number): readonly Exception[] {
    return this.exceptions.filter((exception) => exception[0] !== 'e' && exception[1] < end);
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

/** The exceptions in a log, without a last line that was torn; null where the log cannot be read. */
export function readExceptions(file: string): Exception[] | null {
  try {
    const text = readFileSync(file, 'utf8');
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Exception);
  } catch {
    return null;
  }
}

/** Begins a lane's log with what is known of its course. @throws Error where the file cannot be written. */
export function beginLog(file: string, exceptions: readonly Exception[]): void {
  writeFileSync(file, exceptions.map((exception) => `${JSON.stringify(exception)}\n`).join(''));
}

const REFUSED = {
  kind: 'refused',
  message: '',
  constraint: null,
  detail: null,
  table: null,
} as const;
