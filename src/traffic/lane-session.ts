import pg from 'pg';
import { BindSink } from '../datum/sink.js';
import { beginBind, endBind, endSync, nameOffset, STATEMENT_NAME_LENGTH } from '../lane/bind.js';
import type { Effect, Outcome } from '../lane/outcome.js';
import type { Shape } from '../lane/shape.js';
import type { Execution, Transaction } from '../lane/transaction.js';

/** The wire, as pg's client hands it to a query that it submits. */
interface Wire {
  query(text: string): void;
  readonly stream: { write(bytes: Buffer): boolean; cork(): void; uncork(): void; destroy(): void };
  parse(query: { name: string; text: string; types: number[] }): void;
  close(message: { type: 'S'; name: string }): void;
  sync(): void;
}

interface DataRow {
  readonly fields: (string | null)[];
}

/* Our own queries come as `severity`-bearing DatabaseErrors; anything else is the connection's end. */
function isServerError(error: Error): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && error.severity !== 'FATAL' && error.severity !== 'PANIC';
}

/**
 * A pipelined connection that carries one lane's transactions. Statements are prepared by name on first use and
 * closed again, the longest unused first, beyond `maxPrepared`: each costs the server some 20 kB.
 */
export class LaneSession {
  readonly client: pg.Client;
  /** Shape → name; in order of last use. */
  private readonly names = new Map<number, string>();
  private readonly prepareErrors = new Map<number, pg.DatabaseError>();
  /** Names whose preparation is not answered yet. */
  private readonly preparing = new Map<string, number>();
  private readonly maxPrepared: number;
  private nextName = 1;
  private lost = false;
  private readonly onLost: (reason: string) => void;
  /** Prepared statements that are not used any more, to be closed. */
  private readonly outdated: string[] = [];

  constructor(client: pg.Client, maxPrepared: number, onLost: (reason: string) => void) {
    this.client = client;
    this.maxPrepared = maxPrepared;
    this.onLost = onLost;
    client.on('error', (error) => this.lose(error.message));
    client.on('end', () => this.lose('the server closed it'));
  }

  get processId(): number {
    return (this.client as unknown as { processID: number }).processID;
  }

  private get wire(): Wire {
    return (this.client as unknown as { connection: Wire }).connection;
  }

  cork(): void {
    this.wire.stream.cork();
  }

  uncork(): void {
    this.wire.stream.uncork();
  }

  /** Sends a transaction; `settled` is called once with its outcome, or never where the connection is lost. */
  send(transaction: Transaction, settled: (outcome: Outcome) => void): void {
    const executions = transaction.isBlock ? transaction.executions() : null;
    const bytes = executions === null ? this.aloneBytes(transaction) : this.blockBytes(transaction, executions);
    const query = new TransactionQuery(bytes, transaction.members.length, executions, (error) => {
      if (error === null) settled({ kind: 'committed', effects: query.effects });
      else if (!isServerError(error)) this.lose(error.message);
      else if (executions === null) settled(refusedBy(this.causeOf(transaction, error), 0));
      else if (error.code === IN_FAILED_TRANSACTION && query.executed === 0) {
        // A block before this one has failed and its ROLLBACK is under way: nothing of this one was executed.
        this.send(transaction, settled);
      } else {
        // A refused BEGIN opens nothing, a refused COMMIT leaves nothing open.
        if (query.executed > 0 && query.executed < executions.length - 1) this.rollBack();
        settled(refusedBy(this.causeOf(transaction, error), executions[query.executed]?.member ?? -1));
      }
    });
    this.client.query(query as unknown as pg.Submittable);
    // Behind it: a transaction of many statements may have needed one and made room for another.
    for (const name of this.outdated.splice(0)) this.closePrepared(name);
  }

  /** An operation's own messages and its Sync. */
  private aloneBytes({ members }: Transaction): Buffer {
    const { bytes, statements } = members[0]!.operation;
    for (const { shape, from } of statements) this.name(bytes, from, shape);
    return bytes;
  }

  /** The messages of a block, from BEGIN to its end, in one piece. */
  private blockBytes({ members }: Transaction, executions: readonly Execution[]): Buffer {
    const pieces = executions.map(({ shape, member, statement }) => {
      const piece =
        statement === null
          ? Buffer.from(BARE)
          : members[member]!.operation.bytes.subarray(statement.from, statement.to);
      this.name(piece, 0, shape);
      return piece;
    });
    return Buffer.concat([...pieces, SYNC]);
  }

  private name(bytes: Buffer, from: number, shape: Shape): void {
    bytes.write(this.nameOf(shape), nameOffset(from), STATEMENT_NAME_LENGTH, 'latin1');
  }

  /** Ends a block that has failed. What was to be prepared behind it is not: whoever needs it is sent again. */
  private rollBack(): void {
    for (const [name, shape] of this.preparing) if (this.names.get(shape) === name) this.names.delete(shape);
    const query = new ControlQuery(
      (wire) => wire.query('ROLLBACK'),
      () => undefined,
    );
    this.client.query(query as unknown as pg.Submittable);
  }

  /** Ends the connection without waiting for anything that is under way. */
  destroy(): void {
    this.wire.stream.destroy();
  }

  async close(): Promise<void> {
    this.lost = true;
    await this.client.end().catch(() => undefined);
  }

  private lose(reason: string): void {
    if (this.lost) return;
    this.lost = true;
    this.onLost(reason);
  }

  /** A statement is not there, or its block is aborted, because preparing it failed: then that failure is the reason. */
  private causeOf({ members }: Transaction, error: pg.DatabaseError): pg.DatabaseError {
    if (error.code !== '26000' && error.code !== IN_FAILED_TRANSACTION) return error;
    for (const { operation } of members) {
      for (const { shape } of operation.statements) {
        const cause = this.prepareErrors.get(shape.id);
        this.names.delete(shape.id);
        this.prepareErrors.delete(shape.id);
        if (cause !== undefined) return cause;
      }
    }
    return error;
  }

  private nameOf(shape: Shape): string {
    let name = this.names.get(shape.id);
    if (name !== undefined) {
      // Only where something may have to go is the order of last use worth its price.
      if (this.names.size >= this.maxPrepared) {
        this.names.delete(shape.id);
        this.names.set(shape.id, name);
      }
      return name;
    }
    if (this.names.size >= this.maxPrepared) this.forgetOldest();
    // A name is never used twice: one that is closed in the pipeline's past could meet its own successor.
    name = String(this.nextName++).padStart(STATEMENT_NAME_LENGTH, 's');
    this.names.set(shape.id, name);
    // Its own Sync: a refusal of the transaction before it must not swallow it.
    const prepare = new ControlQuery(
      (wire) => {
        wire.parse({ name: name, text: shape.sql, types: [] });
        wire.sync();
      },
      (error) => {
        this.preparing.delete(name);
        if (error !== null && isServerError(error) && error.code !== IN_FAILED_TRANSACTION)
          this.prepareErrors.set(shape.id, error);
      },
    );
    this.preparing.set(name, shape.id);
    this.client.query(prepare as unknown as pg.Submittable);
    return name;
  }

  private forgetOldest(): void {
    const [oldest, name] = this.names.entries().next().value!;
    this.names.delete(oldest);
    this.outdated.push(name);
  }

  private closePrepared(name: string): void {
    const close = new ControlQuery(
      (wire) => {
        wire.close({ type: 'S', name });
        wire.sync();
      },
      () => undefined,
    );
    this.client.query(close as unknown as pg.Submittable);
  }
}

/** `member`: which member of the transaction was refused, −1 for its end. */
export function refusedBy(error: pg.DatabaseError, member: number): Outcome {
  return {
    kind: 'refused',
    sqlstate: error.code ?? 'XX000',
    message: error.message,
    constraint: error.constraint ?? null,
    member,
  };
}

const IN_FAILED_TRANSACTION = '25P02';

/** The messages of a statement without parameters, and a Sync. */
const BARE = written((sink) => endBind(sink, beginBind(sink, 0)));
const SYNC = written(endSync);

function written(write: (sink: BindSink) => void): Buffer {
  const sink = new BindSink();
  write(sink);
  return Buffer.from(sink.bytes.subarray(0, sink.offset));
}

type Done = (error: Error | null) => void;

/* pg types its Query as opaque; this is what its client calls on one that it has submitted. */
const QueryBase = pg.Query as unknown as new (
  text: string,
) => {
  callback: unknown;
};

/** A message that ends with its own ReadyForQuery and returns nothing. */
class ControlQuery extends QueryBase {
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
    // Of a ROLLBACK.
  }

  handleError(error: Error): void {
    this.failed = true;
    this.done(error);
  }

  handleReadyForQuery(): void {
    if (!this.failed) this.done(null);
  }
}

/** A whole transaction in one Sync: its bytes are ready, and nothing is built from its answer but row counts. */
class TransactionQuery extends QueryBase {
  /** By member. */
  readonly effects: readonly Collected[];
  /** How many statements were carried out; where one is refused, its index. */
  executed = 0;
  private readonly bytes: Buffer;
  /** Null for an operation that commits alone. */
  private readonly executions: readonly Execution[] | null;
  private readonly done: Done;
  private failed = false;

  constructor(bytes: Buffer, members: number, executions: readonly Execution[] | null, done: Done) {
    super('');
    this.bytes = bytes;
    const effects: Collected[] = [];
    for (let member = 0; member < members; member++) effects.push({ rows: [], returned: [] });
    this.effects = effects;
    this.executions = executions;
    this.done = done;
  }

  submit(wire: Wire): null {
    wire.stream.write(this.bytes);
    return null;
  }

  handleRowDescription(): void {
    // Not asked for.
  }

  handleDataRow(message: DataRow): void {
    const effect = this.effectNow();
    if (effect === null) return;
    const index = effect.rows.length;
    effect.returned[index] ??= [];
    effect.returned[index].push(message.fields);
  }

  handleCommandComplete(message: { readonly text: string }): void {
    const effect = this.effectNow();
    this.executed++;
    if (effect === null) return;
    const index = effect.rows.length;
    effect.returned[index] ??= null;
    effect.rows.push(Number(message.text.slice(message.text.lastIndexOf(' ') + 1)));
  }

  /** Where the answer to the statement under way belongs; null for one of the transaction's own. */
  private effectNow(): Collected | null {
    if (this.executions === null) return this.effects[0]!;
    const execution = this.executions[this.executed];
    return execution?.statement == null ? null : this.effects[execution.member]!;
  }

  handlePortalSuspended(): void {
    // Execute asks for all rows.
  }

  handleEmptyQuery(): void {
    // Statements are never empty.
  }

  handleError(error: Error): void {
    if (this.failed) return;
    this.failed = true;
    this.done(error);
  }

  handleReadyForQuery(): void {
    if (!this.failed) this.done(null);
  }
}

interface Collected extends Effect {
  readonly rows: number[];
  readonly returned: ((string | null)[][] | null)[];
}
