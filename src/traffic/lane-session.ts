import pg from 'pg';
import type { Outcome } from '../lane/outcome.js';
import type { Shape } from '../lane/shape.js';
import { nameOffset, STATEMENT_NAME_LENGTH, type Transaction } from '../lane/transaction.js';

/** The wire, as pg's client hands it to a query that it submits. */
interface Wire {
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
  private readonly prepareErrors = new Map<number, Outcome>();
  private readonly maxPrepared: number;
  private nextName = 1;
  private lost = false;
  private readonly onLost: (reason: string) => void;

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
    for (const { shape, from } of transaction.statements) {
      transaction.bytes.write(this.nameOf(shape), nameOffset(from), STATEMENT_NAME_LENGTH, 'latin1');
    }
    const query = new TransactionQuery(transaction, (error) => {
      if (error === null) settled({ kind: 'committed', rows: query.affected, returned: query.returned });
      else if (isServerError(error)) settled(this.refusal(transaction, error));
      else this.lose(error.message);
    });
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

  private refusal(transaction: Transaction, error: pg.DatabaseError): Outcome {
    if (error.code === '26000' || error.code === '25P02') {
      // The statement is not there, or its block is aborted, because preparing it failed: that failure is the reason.
      for (const { shape } of transaction.statements) {
        const cause = this.prepareErrors.get(shape.id);
        this.names.delete(shape.id);
        this.prepareErrors.delete(shape.id);
        if (cause !== undefined) return cause;
      }
    }
    return refusedBy(error);
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
    if (this.names.size >= this.maxPrepared) this.closeOldest();
    // A name is never used twice: one that is closed in the pipeline's past could meet its own successor.
    name = String(this.nextName++).padStart(STATEMENT_NAME_LENGTH, 's');
    this.names.set(shape.id, name);
    // Its own Sync: a refusal of the transaction before it must not swallow it.
    const prepare = new ControlQuery(
      (wire) => wire.parse({ name: name, text: shape.sql, types: [] }),
      (error) => {
        if (error !== null && isServerError(error)) this.prepareErrors.set(shape.id, refusedBy(error));
      },
    );
    this.client.query(prepare as unknown as pg.Submittable);
    return name;
  }

  private closeOldest(): void {
    const [oldest, name] = this.names.entries().next().value!;
    this.names.delete(oldest);
    const close = new ControlQuery(
      (wire) => wire.close({ type: 'S', name }),
      () => undefined,
    );
    this.client.query(close as unknown as pg.Submittable);
  }
}

export function refusedBy(error: pg.DatabaseError): Outcome {
  return {
    kind: 'refused',
    sqlstate: error.code ?? 'XX000',
    message: error.message,
    constraint: error.constraint ?? null,
  };
}

type Done = (error: Error | null) => void;

/* pg types its Query as opaque; this is what its client calls on one that it has submitted. */
const QueryBase = pg.Query as unknown as new (
  text: string,
) => {
  callback: unknown;
};

/** A message and its Sync: Parse or Close. */
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
    wire.sync();
    return null;
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
  // Not "rows": pg takes that for an option.
  readonly affected: number[] = [];
  readonly returned: ((string | null)[][] | null)[] = [];
  private readonly transaction: Transaction;
  private readonly done: Done;
  private failed = false;

  constructor(transaction: Transaction, done: Done) {
    super('');
    this.transaction = transaction;
    this.done = done;
  }

  submit(wire: Wire): null {
    wire.stream.write(this.transaction.bytes);
    return null;
  }

  handleRowDescription(): void {
    // Not asked for.
  }

  handleDataRow(message: DataRow): void {
    const index = this.affected.length;
    this.returned[index] ??= [];
    this.returned[index].push(message.fields);
  }

  handleCommandComplete(message: { readonly text: string }): void {
    const index = this.affected.length;
    this.returned[index] ??= null;
    this.affected.push(Number(message.text.slice(message.text.lastIndexOf(' ') + 1)));
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
