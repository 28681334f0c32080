import pg from 'pg';
import { BindSink } from '../datum/sink.js';
import { beginBind, endBind, endSync } from '../lane/messages/bind.js';
import type { Effect } from '../lane/messages/outcome.js';
import { CONTROL } from '../lane/messages/shape.js';
import type { Execution } from '../lane/messages/transaction.js';

/** The connection as pg's client passes it to a submitted query. */
export interface Wire {
  query(text: string): void;
  readonly stream: { write(bytes: Buffer): boolean; cork(): void; uncork(): void; destroy(): void };
  parse(query: { name: string; text: string; types: number[] }): void;
  close(message: { type: 'S'; name: string }): void;
  sync(): void;
}

interface DataRow {
  readonly fields: (string | null)[];
}

/* The server became a standby or was set to read-only: nothing can be written, as in an outage. */
const READ_ONLY = '25006';

/** Returns true for an error of a statement. After any other error the connection is unusable. */
export function isServerError(error: Error): error is pg.DatabaseError {
  return (
    error instanceof pg.DatabaseError &&
    error.severity !== 'FATAL' &&
    error.severity !== 'PANIC' &&
    error.code !== READ_ONLY
  );
}

/** The messages of a statement without parameters, and a Sync. */
export const BARE = written((sink) => endBind(sink, beginBind(sink, 0)));
export const SYNC = written(endSync);
/** A Flush message: requests the answers so far without ending the transaction. */
export const FLUSH = Buffer.from([0x48, 0, 0, 0, 4]);

function written(write: (sink: BindSink) => void): Buffer {
  const sink = new BindSink();
  write(sink);
  return Buffer.from(sink.bytes.subarray(0, sink.offset));
}

type Done = (error: Error | null) => void;

/* pg types its Query as opaque; this is what its client calls on one that it has submitted. */
export interface QueryBase {
  callback: unknown;
}
export const QueryBase = pg.Query as unknown as new (text: string) => QueryBase;

/** A message that ends with its own ReadyForQuery and returns nothing. */
export class ControlQuery extends QueryBase {
  private readonly message: (wire: Wire) => void;
  private readonly done: Done;
  private failed = false;

  constructor(message: (wire: Wire) => void, done: Done) {
    super('');
    this.message = message;
    this.done = done;
  }

  submit(wire: Wire): null {
    this.message(wire);
    return null;
  }

  handleCommandComplete(): void {
    // The result of a ROLLBACK.
  }

  handleError(error: Error): void {
    this.failed = true;
    this.done(error);
  }

  handleReadyForQuery(): void {
    if (!this.failed) this.done(null);
  }
}

/** The parts of a transaction's query. */
export interface Parts {
  readonly bytes: Buffer;
  readonly members: number;
  /** Null for a single operation that commits by itself, without a receipt. */
  readonly executions: readonly Execution[] | null;
  readonly receipt: ReceiptParts | null;
}

interface ReceiptParts {
  /** The bytes to send after the receipt was taken. */
  readonly rest: Buffer;
  readonly taken: (xid: string) => void;
  /** Called when the end of the transaction was sent. */
  readonly endSent: () => void;
}

/** Sends a whole transaction with one Sync. Its bytes are ready, and only row counts are read from the answer. */
export class TransactionQuery extends QueryBase {
  /** By member. */
  readonly effects: readonly Collected[];
  /** The number of executed statements; if one is rejected, its index. */
  executed = 0;
  private readonly bytes: Buffer;
  private readonly executions: readonly Execution[] | null;
  /** Null if no receipt is requested, or none is awaited any more. */
  private receipt: ReceiptParts | null;
  private xid = '';
  private wire: Wire | undefined;
  private readonly done: Done;
  private failed = false;

  constructor({ bytes, members, executions, receipt }: Parts, done: Done) {
    super('');
    this.bytes = bytes;
    const effects: Collected[] = [];
    for (let member = 0; member < members; member++) effects.push({ rows: [], returned: [] });
    this.effects = effects;
    this.executions = executions;
    this.receipt = receipt;
    this.done = done;
  }

  submit(wire: Wire): null {
    this.wire = wire;
    wire.stream.write(this.bytes);
    return null;
  }

  handleRowDescription(): void {
    // Not requested.
  }

  handleDataRow(message: DataRow): void {
    const effect = this.effectNow();
    if (effect === null) {
      this.xid = message.fields[0]!;
      return;
    }
    const index = effect.rows.length;
    effect.returned[index] ??= [];
    effect.returned[index].push(message.fields);
  }

  handleCommandComplete(message: { readonly text: string }): void {
    const effect = this.effectNow();
    const shape = this.executions?.[this.executed]?.shape;
    this.executed++;
    if (effect !== null) {
      const index = effect.rows.length;
      effect.returned[index] ??= null;
      effect.rows.push(Number(message.text.slice(message.text.lastIndexOf(' ') + 1)));
    } else if (shape === CONTROL.receipt) {
      this.receipt!.taken(this.xid);
      this.finish(this.receipt!.rest);
    }
  }

  /** Where the answer to the current statement belongs; null for a statement of the transaction itself. */
  private effectNow(): Collected | null {
    if (this.executions === null) return this.effects[0]!;
    const execution = this.executions[this.executed];
    return execution?.statement == null ? null : this.effects[execution.member]!;
  }

  handlePortalSuspended(): void {
    // Execute requests all rows, so no portal is suspended.
  }

  handleEmptyQuery(): void {
    // Statements are never empty.
  }

  handleError(error: Error): void {
    if (this.failed) return;
    this.failed = true;
    // The server continues at the next Sync.
    const isWaiting = this.receipt !== null && isServerError(error);
    if (isWaiting) this.wire!.stream.write(SYNC);
    this.done(error);
    if (isWaiting) this.finish(null);
  }

  handleReadyForQuery(): void {
    if (!this.failed) this.done(null);
  }

  private finish(rest: Buffer | null): void {
    const { endSent } = this.receipt!;
    this.receipt = null;
    const { stream } = this.wire!;
    // Messages that waited are sent in the same write.
    stream.cork();
    if (rest !== null) stream.write(rest);
    endSent();
    stream.uncork();
  }
}

interface Collected extends Effect {
  readonly rows: number[];
  readonly returned: ((string | null)[][] | null)[];
}
