import type { BindSink } from '../datum/sink.js';
import type { OperationKind } from '../plan/plan.js';
import type { Outcome } from './outcome.js';
import type { Shape } from './shape.js';

/** A row by its relation and slot. */
export interface RowRef {
  readonly relation: number;
  readonly slot: number;
}

/** Rows that the server changes because a row that they reference is deleted. */
export interface Cascade {
  /** Deleted with it, beside the row itself. */
  readonly deleted: readonly RowRef[];
  /** Their foreign key at `position` becomes NULL. */
  readonly nulled: readonly (RowRef & { readonly position: number })[];
}

/** One statement within a transaction's bytes. */
export interface Statement {
  readonly shape: Shape;
  readonly relation: number;
  readonly kind: OperationKind;
  /** Rows that it means to change. */
  readonly rows: number;
  /** Slots of those rows, in the keyspace of the relation; empty where rows are sampled. */
  readonly slots: readonly number[];
  /** True for the operation's own statements, false for parents inserted on the way. */
  readonly own: boolean;
  /** Rows of other tables that the same INSERT inserts, because they and its own reference each other. */
  readonly also: readonly { readonly relation: number; readonly slots: readonly number[] }[];
  /** Slot of what the row becomes where an UPDATE gives it another key; −1 elsewhere. */
  readonly successor: number;
  /** What a DELETE takes along; null elsewhere. */
  readonly cascade: Cascade | null;
  /** Where its Bind message begins and ends in the transaction's bytes. */
  readonly from: number;
  readonly to: number;
}

/* A block beyond this is left to the garbage collector: one large row must not make all of them large. */
const LARGEST_BLOCK = 1 << 16;

/**
 * Blocks of bytes that transactions are copied into, used again and again: a lane at full speed would otherwise leave
 * megabytes of them behind every second.
 */
export class Blocks {
  private readonly free: Buffer[] = [];

  /** Gives the transaction a copy of what the sink holds. */
  fill(transaction: Transaction, sink: BindSink): void {
    const length = sink.offset;
    let block = transaction.block ?? this.free.pop() ?? null;
    if (block === null || block.length < length) block = Buffer.allocUnsafeSlow(Math.max(1024, length * 2));
    sink.bytes.copy(block, 0, 0, length);
    transaction.block = block;
    transaction.bytes = block.subarray(0, length);
  }

  /** The transaction is final: its bytes are not looked at any more. */
  release(transaction: Transaction): void {
    if (transaction.block !== null && transaction.block.length <= LARGEST_BLOCK) this.free.push(transaction.block);
    transaction.block = null;
    transaction.bytes = EMPTY;
  }
}

/** A change of a foreign key that an UPDATE means: the row's new parent, as `Keyspace.parents` writes it. */
export interface Relink {
  readonly relation: number;
  readonly slot: number;
  readonly foreignKey: number;
  readonly parent: number;
}

/**
 * Consecutive operations of a lane that commit together; here one. Its bytes are whole Bind and Execute messages, kept
 * until the outcome is final so that it can be replayed without being generated again.
 */
export class Transaction {
  /** The operation's number within its lane, from 0. */
  readonly number: number;
  readonly relation: number;
  /** What is carried out, and what the mix drew: they differ where an operation is owed. */
  readonly kind: OperationKind;
  readonly drawn: OperationKind;
  attempt = 0;
  replays = 0;
  statements: Statement[] = [];
  relinks: Relink[] = [];
  bytes: Buffer = EMPTY;
  /** Where `bytes` lies, to be used again when the outcome is final. */
  block: Buffer | null = null;
  outcome: Outcome | null = null;
  scheduledMs = 0;
  sentMs = 0;

  constructor(number: number, relation: number, kind: OperationKind, drawn: OperationKind) {
    this.number = number;
    this.relation = relation;
    this.kind = kind;
    this.drawn = drawn;
  }

  /** Adds a statement; what it does not mention it does not do. */
  add(statement: Pick<Statement, 'shape' | 'relation' | 'kind' | 'rows' | 'from' | 'to'> & Partial<Statement>): void {
    this.statements.push({ ...PLAIN, ...statement });
  }

  /** Forgets the last attempt's statements, before another is generated. */
  reset(): void {
    this.statements = [];
    this.relinks = [];
    this.bytes = EMPTY;
    this.outcome = null;
  }
}

const PLAIN = { slots: [], own: true, also: [], successor: -1, cascade: null } as const;

const EMPTY = Buffer.alloc(0);

/** Statement names have a fixed length, so that a session can write its own over them. */
export const STATEMENT_NAME_LENGTH = 8;
const NAME_OFFSET = 6;
const UNNAMED = '00000000';
const EXECUTE = [0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0];

/** Where a session writes the statement's name into a Bind message that begins at `from`. */
export function nameOffset(from: number): number {
  return from + NAME_OFFSET;
}

/** Begins a Bind message (PostgreSQL's protocol 3.0, all parameters and results as text); parameters follow. */
export function beginBind(sink: BindSink, parameters: number): number {
  sink.reserve(256);
  const from = sink.offset;
  sink.byte(0x42);
  sink.offset += 4;
  sink.byte(0);
  sink.ascii(UNNAMED);
  sink.byte(0);
  sink.int16(0);
  sink.int16(parameters);
  return from;
}

/** Ends the Bind message that began at `from` and appends its Execute. */
export function endBind(sink: BindSink, from: number): void {
  sink.reserve(64);
  sink.int16(0);
  sink.writeInt32(from + 1, sink.offset - from - 1);
  for (const byte of EXECUTE) sink.byte(byte);
}

/** Ends a transaction's bytes with Sync: everything since the last one commits, or is undone, together. */
export function endTransaction(sink: BindSink): void {
  sink.reserve(64);
  for (const byte of SYNC) sink.byte(byte);
}

const SYNC = [0x53, 0, 0, 0, 4];

/** The parameters of a statement as texts, null for NULL: what --dry-run, golden transcripts and recovery read. */
export function parametersOf(bytes: Buffer, statement: Statement): (string | null)[] {
  let at = statement.from + NAME_OFFSET + STATEMENT_NAME_LENGTH + 1 + 2;
  const count = bytes.readUInt16BE(at);
  at += 2;
  const values: (string | null)[] = [];
  for (let i = 0; i < count; i++) {
    const length = bytes.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? null : bytes.toString('utf8', at, at + length));
    if (length > 0) at += length;
  }
  return values;
}
