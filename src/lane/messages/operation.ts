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
  /** Deleted with it, beside the row itself. */
  readonly deleted: readonly RowRef[];
  /** Their foreign key at `position` becomes NULL. */
  readonly nulled: readonly (RowRef & { readonly position: number })[];
}

/** Of a row that takes none along. */
export const NO_CASCADE: Cascade = { deleted: [], nulled: [] };

/** One statement within an operation's bytes. */
export interface Statement {
  readonly shape: Shape;
  readonly relation: number;
  readonly kind: OperationKind;
  /** Rows that it means to change. */
  readonly rows: number;
  /** Columns that it gives values to, in the order of its parameters, for each row; empty where rows are sampled. */
  readonly written: readonly number[];
  /** Slots of those rows, in the keyspace of the relation; empty where rows are sampled. */
  readonly slots: readonly number[];
  /** True for the operation's own statements, false for parents inserted on the way. */
  readonly own: boolean;
  /** Rows of other tables that the same INSERT inserts, because they and its own reference each other. */
  readonly also: readonly { readonly relation: number; readonly slots: readonly number[] }[];
  /** Relations that get a row with each of its rows, by triggers. */
  readonly brings: readonly number[];
  /** Slot of what the row becomes where an UPDATE gives it another key; −1 elsewhere. */
  readonly successor: number;
  /** True for an INSERT of a row whose key another row has had before. */
  readonly reusesKey: boolean;
  /** What a DELETE takes along; null elsewhere. */
  readonly cascade: Cascade | null;
  /** Where its messages begin and end in the operation's bytes. */
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

  /** The operation is final: its bytes are not looked at any more. */
  release(operation: Operation): void {
    if (operation.block !== null && operation.block.length <= LARGEST_BLOCK) this.free.push(operation.block);
    operation.block = null;
    operation.bytes = EMPTY;
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
 * One intent of a lane: its statements, as whole Bind and Execute messages kept until the outcome is final, so that they
 * can be replayed without being generated again.
 */
export class Operation {
  /** Its number within its lane, from 0. */
  readonly number: number;
  readonly relation: number;
  /** What is carried out, and what the mix drew: they differ where an operation is owed. */
  readonly kind: OperationKind;
  readonly drawn: OperationKind;
  attempt = 0;
  /** The operation whose unique value this one takes; null where it takes none, or has seen how that one ended. */
  after: Operation | null = null;
  /** The one that inserts a row with the key that this one frees. */
  takenBy: Operation | null = null;
  /** False while it is to do with the parents that are there; where it may bring some along, it is bounded in how many. */
  mayBring = true;
  /** Rows of other tables that it has brought along, and tables that turned out to have none to bring. */
  brought = 0;
  readonly unavailable = new Set<number>();
  /** True where it completes a conflict. */
  isConflict = false;
  statements: Statement[] = [];
  relinks: Relink[] = [];
  /** The statements' messages, and a Sync at the end. */
  bytes: Buffer = EMPTY;
  /** Where `bytes` lies, to be used again when the outcome is final. */
  block: Buffer | null = null;

  /** Operations of the same transaction that were generated before it. */
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

  /** Adds a statement; what it does not mention it does not do. */
  add(statement: Pick<Statement, 'shape' | 'relation' | 'kind' | 'rows' | 'from' | 'to'> & Partial<Statement>): void {
    // Each property by name: two spreads took a sixth of a thread at full speed.
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

  /** Forgets the last attempt's statements, before another is generated. */
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
