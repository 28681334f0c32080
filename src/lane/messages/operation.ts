import type { BindSink } from '../../datum/sink.js';
import type { OperationKind } from '../../plan/plan.js';
import type { Shape } from './shape.js';

/** A row by its relation and slot. */
export interface RowRef {
  readonly relation: number;
  readonly slot: number;
}

/** Rows that the server changes because a row that they reference is deleted. */
export interface Cascade {
  /** Rows that are deleted with it, without the row itself. */
  readonly deleted: readonly RowRef[];
  /** Rows whose foreign key at `position` becomes NULL. */
  readonly nulled: readonly (RowRef & { readonly position: number })[];
}

/** The cascade of a row that changes no others. */
export const NO_CASCADE: Cascade = { deleted: [], nulled: [] };

/** One statement within an operation's bytes. */
export interface Statement {
  readonly shape: Shape;
  readonly relation: number;
  readonly kind: OperationKind;
  /** The number of rows that it is meant to change. */
  readonly rows: number;
  /** Columns that it writes, in the order of its parameters, for each row; empty if rows are sampled. */
  readonly written: readonly number[];
  /** Slots of those rows in the keyspace of the relation; empty if rows are sampled. */
  readonly slots: readonly number[];
  /** True for the operation's own statements, false for parents inserted on the way. */
  readonly own: boolean;
  /** Rows of other tables that the same INSERT inserts, because they and its rows reference each other. */
  readonly also: readonly { readonly relation: number; readonly slots: readonly number[] }[];
  /** Relations in which triggers insert a row for each of its rows. */
  readonly brings: readonly number[];
  /** Slot of the new row if an UPDATE changes the key; −1 otherwise. */
  readonly successor: number;
  /** True for an INSERT of a key that another row had before. */
  readonly reusesKey: boolean;
  /** Rows that a DELETE changes by cascade; null for other kinds. */
  readonly cascade: Cascade | null;
  /** Where its messages begin in the operation's bytes, and where they end. */
  readonly from: number;
  readonly to: number;
}

/** True for an UPDATE of several rows. */
export function isTogether({ kind, slots }: Statement): boolean {
  return kind === 'update' && slots.length > 1;
}

/** Rows that an operation means to change. */
export function eventsOf({ statements }: Operation): number {
  return statements.reduce((sum, { rows }) => sum + rows, 0);
}

/* A block beyond this is left to the garbage collector: one large row must not make all of them large. */
const LARGEST_BLOCK = 1 << 16;

/**
 * Blocks of bytes that operations are copied into, used again and again: a lane at full speed would otherwise leave
 * megabytes of them behind every second.
 */
export class Blocks {
  private readonly free: Buffer[] = [];

  /** Gives the operation a copy of what the sink holds. */
  fill(operation: Operation, sink: BindSink): void {
    const length = sink.offset;
    let block = operation.block ?? this.free.pop() ?? null;
    if (block === null || block.length < length) block = Buffer.allocUnsafeSlow(Math.max(1024, length * 2));
    sink.bytes.copy(block, 0, 0, length);
    operation.block = block;
    operation.bytes = block.subarray(0, length);
  }

  /** Takes back the block of a final operation, whose bytes are no longer read. */
  release(operation: Operation): void {
    if (operation.block !== null && operation.block.length <= LARGEST_BLOCK) this.free.push(operation.block);
    operation.block = null;
    operation.bytes = EMPTY;
  }
}

/** A change of a foreign key by an UPDATE: the row's new parent, in the form of `Keyspace.parents`. */
export interface Relink {
  readonly relation: number;
  readonly slot: number;
  readonly foreignKey: number;
  readonly parent: number;
}

/**
 * One intent of a lane: its statements, as whole Bind and Execute messages kept until the outcome is final, so that they
 * can be replayed without being generated again.
 */
export class Operation {
  /** Its number within its lane, from 0. */
  readonly number: number;
  readonly relation: number;
  /** The kind that is executed, and the kind that the mix drew: they differ if an operation is owed. */
  readonly kind: OperationKind;
  readonly drawn: OperationKind;
  attempt = 0;
  /** The operation whose unique value this one takes; null if it takes none, or that one's outcome is applied. */
  after: Operation | null = null;
  /** The operation that inserts a row with the key that this one frees. */
  takenBy: Operation | null = null;
  /** True if it may insert missing parents, up to a bound; false if it must use existing ones. */
  mayBring = true;
  /** Number of parents that it has inserted, and the tables in which it could not insert any. */
  brought = 0;
  readonly unavailable = new Set<number>();
  /** True if it completes a conflict. */
  isConflict = false;
  statements: Statement[] = [];
  relinks: Relink[] = [];
  /** The statements' messages, and a Sync at the end. */
  bytes: Buffer = EMPTY;
  /** The block that holds `bytes`, reused when the outcome is final. */
  block: Buffer | null = null;

  /** Earlier operations of the same transaction. */
  readonly beside: readonly Operation[];

  constructor(
    number: number,
    relation: number,
    kind: OperationKind,
    drawn: OperationKind,
    beside: readonly Operation[] = NOBODY,
  ) {
    this.beside = beside;
    this.number = number;
    this.relation = relation;
    this.kind = kind;
    this.drawn = drawn;
  }

  /** Adds a statement; members that are left out have no effect. */
  add(statement: Pick<Statement, 'shape' | 'relation' | 'kind' | 'rows' | 'from' | 'to'> & Partial<Statement>): void {
    // Each property is named, because two spreads took a sixth of a thread's time at full speed.
    this.statements.push({
      shape: statement.shape,
      relation: statement.relation,
      kind: statement.kind,
      rows: statement.rows,
      written: statement.written ?? NOTHING,
      slots: statement.slots ?? NOTHING,
      own: statement.own ?? true,
      also: statement.also ?? NOTHING,
      brings: statement.brings ?? NOTHING,
      successor: statement.successor ?? -1,
      reusesKey: statement.reusesKey ?? false,
      cascade: statement.cascade ?? null,
      from: statement.from,
      to: statement.to,
    });
  }

  /** Removes the statements of the last attempt, before the next one is generated. */
  reset(): void {
    this.statements = [];
    this.relinks = [];
    this.isConflict = false;
    this.brought = 0;
    if (this.unavailable.size > 0) this.unavailable.clear();
    this.bytes = EMPTY;
  }
}

const NOBODY: readonly Operation[] = [];

const NOTHING: readonly never[] = [];

const EMPTY = Buffer.alloc(0);
