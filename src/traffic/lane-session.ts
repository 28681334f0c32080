import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { nameOffset, STATEMENT_NAME_LENGTH } from '../lane/messages/bind.js';
import type { Outcome } from '../lane/messages/outcome.js';
import type { Shape } from '../lane/messages/shape.js';
import type { Execution, Transaction } from '../lane/messages/transaction.js';
import {
  BARE,
  ControlQuery,
  FLUSH,
  isServerError,
  type Parts,
  type QueryBase,
  SYNC,
  TransactionQuery,
  type Wire,
} from './queries.js';
import { isPooled, processIdOf } from './session.js';

/**
 * A statement that the server has prepared. Its plan is made for the table as it is at the time, and kept although the
 * table grows: one that finds rows is prepared again after 8 uses, 16, 32 and so on, so that no plan is much older than
 * half of the statement's uses.
 */
interface Prepared {
  readonly name: string;
  readonly uses: number;
  usesLeft: number;
}

const FIRST_USES = 8;

/** A query that looks something up. */
interface Question {
  readonly text: string;
  readonly values: readonly (string | null)[];
}

/**
 * A pipelined connection that carries one lane's transactions. Statements are prepared by name on first use and
 * closed again, the longest unused first, beyond `maxPrepared`: each costs the server some 20 kB.
 */
export class LaneSession {
  readonly client: pg.Client;
  /** Prepared statements by shape, in order of last use. */
  private readonly prepared = new Map<number, Prepared>();
  private readonly prepareErrors = new Map<number, pg.DatabaseError>();
  /** Names of statements whose preparation has not been answered yet. */
  private readonly preparing = new Map<string, number>();
  private readonly maxPrepared: number;
  /* Unique to this session: behind a pooler that shares sessions, a name could refer to another session's statement. */
  private readonly namePrefix = randomBytes(5).toString('hex');
  private nextName = 1;
  private lost = false;
  private readonly onLost: (reason: string) => void;
  private readonly onReceipt: (transaction: Transaction) => void;
  /** Prepared statements that are no longer used and must be closed. */
  private readonly outdated: string[] = [];
  /** Messages that must wait to be sent; null if nothing waits. */
  private held: (() => void)[] | null = null;
  /** True while a transaction waits for its receipt: anything else sent now would become part of it. */
  private awaitsReceipt = false;
  /** Number of unanswered blocks: if one fails, ROLLBACK must be sent. */
  private blocks = 0;

  /** `onReceipt` receives a receipt before the end of its transaction is sent. */
  constructor(
    client: pg.Client,
    maxPrepared: number,
    { onLost, onReceipt }: { onLost: (reason: string) => void; onReceipt: (transaction: Transaction) => void },
  ) {
    this.client = client;
    this.maxPrepared = maxPrepared;
    this.onLost = onLost;
    this.onReceipt = onReceipt;
    client.on('error', (error) => this.lose(error.message));
    client.on('end', () => this.lose('the server closed the connection'));
  }

  get processId(): number {
    return processIdOf(this.client);
  }

  get isPooled(): boolean {
    return isPooled(this.client);
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

  /** Sends a transaction. `settled` is called once with its outcome, or never if the connection is lost. */
  send(transaction: Transaction, settled: (outcome: Outcome) => void): void {
    const again = () => this.send(transaction, settled);
    if (this.held !== null) this.held.push(again);
    else if (transaction.needsReceipt && this.blocks > 0) this.held = [again];
    else if (transaction.needsReceipt) this.sendForReceipt(transaction, settled);
    else if (transaction.isBlock) this.sendBlock(transaction, settled);
    else this.sendAlone(transaction, settled);
  }

  /** Runs a query beside the transactions. `answered` receives null if the server rejects it. */
  ask(question: Question, answered: (rows: string[][] | null) => void): void {
    if (this.held !== null) {
      this.held.push(() => this.ask(question, answered));
      return;
    }
    const { text, values } = question;
    this.client.query({ text, values: [...values], rowMode: 'array' }).then(
      ({ rows }) => answered(rows as unknown as string[][]),
      (error: Error) => {
        if (!isServerError(error)) this.lose(error.message);
        // An earlier block has failed, and its ROLLBACK follows this query.
        else if (error.code === IN_FAILED_TRANSACTION) this.ask(question, answered);
        else answered(null);
      },
    );
  }

  /** Sends a single operation as it is: it commits by itself, or belongs to a transaction that the caller has begun. */
  sendAlone(transaction: Transaction, settled: (outcome: Outcome) => void): void {
    const { bytes, statements } = transaction.members[0]!.operation;
    for (const { shape, from } of statements) this.name(bytes, from, shape);
    const query = new TransactionQuery({ bytes, members: 1, executions: null, receipt: null }, (error) => {
      if (error === null) settled({ kind: 'committed', effects: query.effects });
      else if (!isServerError(error)) this.lose(error.message);
      else settled(refusedBy(this.causeOf(transaction, error), 0));
    });
    this.submitTransaction(query);
  }

  /** Sends a block, from BEGIN to its end, in one write. */
  private sendBlock(transaction: Transaction, settled: (outcome: Outcome) => void): void {
    const executions = transaction.executions();
    const bytes = Buffer.concat([...this.messagesOf(transaction, executions), SYNC]);
    this.blocks++;
    const query = this.carry(transaction, { bytes, executions, receipt: null }, settled, () => {
      this.blocks--;
      if (this.blocks === 0 && !this.awaitsReceipt) this.release();
    });
    this.submitTransaction(query);
  }

  /**
   * Sends a transaction without its COMMIT. The COMMIT follows when the server has returned the transaction's id and
   * what it did.
   */
  private sendForReceipt(transaction: Transaction, settled: (outcome: Outcome) => void): void {
    transaction.receipt = null;
    const executions = transaction.executions();
    const messages = this.messagesOf(transaction, executions);
    const end = transaction.isBlock ? messages.splice(-1) : [];
    const receipt = {
      rest: Buffer.concat([...end, SYNC]),
      taken: (xid: string) => {
        transaction.receipt = { xid, effects: query.effects };
        this.onReceipt(transaction);
      },
      endSent: () => {
        this.awaitsReceipt = false;
        this.closeOutdated();
        this.release();
      },
    };
    const bytes = Buffer.concat([...messages, FLUSH]);
    const query = this.carry(transaction, { bytes, executions, receipt }, settled, () => undefined);
    this.awaitsReceipt = true;
    this.held = [];
    this.submit(query);
  }

  /** Sends what had to wait. */
  private release(): void {
    const held = this.held ?? [];
    this.held = null;
    for (const send of held) send();
  }

  /** Returns a query that executes a transaction step by step and handles its end. */
  private carry(
    transaction: Transaction,
    parts: Pick<Parts, 'bytes' | 'receipt'> & { readonly executions: readonly Execution[] },
    settled: (outcome: Outcome) => void,
    answered: () => void,
  ): TransactionQuery {
    const { executions } = parts;
    const { isBlock } = transaction;
    const query = new TransactionQuery({ ...parts, members: transaction.members.length }, (error) => {
      if (error === null) settled({ kind: 'committed', effects: query.effects });
      else if (!isServerError(error)) this.lose(error.message);
      else if (isBlock && error.code === IN_FAILED_TRANSACTION && query.executed === 0) {
        // An earlier block has failed and its ROLLBACK is in flight, so nothing of this block was executed.
        if (this.held === null) this.send(transaction, settled);
        else this.held.unshift(() => this.send(transaction, settled));
      } else {
        // A rejected BEGIN opens no block, and a rejected COMMIT leaves none open.
        if (isBlock && query.executed > 0 && query.executed < executions.length - 1) this.rollBack();
        settled(refusedBy(this.causeOf(transaction, error), executions[query.executed]?.member ?? -1));
      }
      answered();
    });
    return query;
  }

  private submitTransaction(query: TransactionQuery): void {
    this.submit(query);
    // After the transaction, because its own statements may have used the ones that are closed.
    this.closeOutdated();
  }

  private closeOutdated(): void {
    for (const name of this.outdated.splice(0)) this.closePrepared(name);
  }

  private submit(query: QueryBase): void {
    this.client.query(query as unknown as pg.Submittable);
  }

  private messagesOf({ members }: Transaction, executions: readonly Execution[]): Buffer[] {
    return executions.map(({ shape, member, statement }) => {
      const piece =
        statement === null
          ? Buffer.from(BARE)
          : members[member]!.operation.bytes.subarray(statement.from, statement.to);
      this.name(piece, 0, shape);
      return piece;
    });
  }

  private name(bytes: Buffer, from: number, shape: Shape): void {
    bytes.write(this.nameOf(shape), nameOffset(from), STATEMENT_NAME_LENGTH, 'latin1');
  }

  /** Ends a failed block. Statements prepared after it do not exist; transactions that need them are sent again. */
  private rollBack(): void {
    for (const [name, shape] of this.preparing)
      if (this.prepared.get(shape)?.name === name) this.prepared.delete(shape);
    this.submit(
      new ControlQuery(
        (wire) => wire.query('ROLLBACK'),
        () => undefined,
      ),
    );
  }

  /** Ends the connection without waiting for anything in flight. */
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
    // The connection may work, but it cannot be used.
    this.destroy();
    this.onLost(reason);
  }

  /** If a statement is missing or its block aborted because preparing it failed, returns that failure as the cause. */
  private causeOf({ members }: Transaction, error: pg.DatabaseError): pg.DatabaseError {
    if (error.code !== '26000' && error.code !== IN_FAILED_TRANSACTION) return error;
    for (const { operation } of members) {
      for (const { shape } of operation.statements) {
        const cause = this.prepareErrors.get(shape.id);
        this.prepared.delete(shape.id);
        if (cause !== undefined) return cause;
      }
    }
    return error;
  }

  private nameOf(shape: Shape): string {
    const prepared = this.prepared.get(shape.id);
    if (prepared === undefined) return this.prepare(shape, FIRST_USES);
    if (shape.finds && --prepared.usesLeft === 0) {
      this.outdated.push(prepared.name);
      return this.prepare(shape, prepared.uses * 2);
    }
    // Keeping the order of last use costs time, so it is done only if statements may have to be closed.
    if (this.prepared.size >= this.maxPrepared) {
      this.prepared.delete(shape.id);
      this.prepared.set(shape.id, prepared);
    }
    return prepared.name;
  }

  /** `uses`: after so many it is prepared again. */
  private prepare(shape: Shape, uses: number): string {
    this.prepared.delete(shape.id);
    if (this.prepared.size >= this.maxPrepared) this.forgetOldest();
    // A name is never used twice: the Close of an old statement could otherwise meet its successor in the pipeline.
    const name =
      this.namePrefix + (this.nextName++).toString(36).padStart(STATEMENT_NAME_LENGTH - this.namePrefix.length, '0');
    this.prepared.set(shape.id, { name, uses, usesLeft: uses });
    // With its own Sync, so that a failure of the transaction before it does not skip it.
    const prepare = new ControlQuery(
      (wire) => {
        wire.parse({ name: name, text: shape.sql, types: [] });
        wire.sync();
      },
      (error) => {
        this.preparing.delete(name);
        // Until then it is the cause for all executions that were sent under the missing name.
        if (error === null) this.prepareErrors.delete(shape.id);
        if (error !== null && isServerError(error) && error.code !== IN_FAILED_TRANSACTION)
          this.prepareErrors.set(shape.id, error);
      },
    );
    this.preparing.set(name, shape.id);
    this.submit(prepare);
    return name;
  }

  private forgetOldest(): void {
    const [oldest, { name }] = this.prepared.entries().next().value!;
    this.prepared.delete(oldest);
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
    this.submit(close);
  }
}

/* Messages are cut, because they may repeat a whole value. */
const MOST_CHARACTERS = 500;

function shortened(text: string): string {
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS - 1)}…`;
}

/** `member`: which member of the transaction was refused, −1 for its end. */
export function refusedBy(error: pg.DatabaseError, member: number): Outcome {
  return {
    kind: 'refused',
    sqlstate: error.code ?? 'XX000',
    message: shortened(error.message),
    constraint: error.constraint ?? null,
    detail: error.detail ?? null,
    table: error.table ?? null,
    context: error.where ?? null,
    member,
  };
}

const IN_FAILED_TRANSACTION = '25P02';
