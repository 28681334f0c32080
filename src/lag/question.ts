import type pg from 'pg';
import { BindSink } from '../datum/sink.js';
import { beginBind, endBind, endSync, nameOffset, STATEMENT_NAME_LENGTH } from '../lane/messages/bind.js';
import { QueryBase, type Wire } from '../traffic/queries.js';

const SMALL = 1024;

/**
 * A statement that a session is asked many times a second. It is prepared once; then each time is one write, and no more is read
 * of the answer than its first column. The same through pg's own queries takes several times the CPU, which the traffic needs.
 */
export class Question {
  private readonly client: pg.Client;
  private readonly name: string;
  private readonly text: string;
  private readonly sink = new BindSink(SMALL);
  private isPrepared = false;

  /** `name`: of the prepared statement; no other one of the session has it. */
  constructor(client: pg.Client, name: string, text: string) {
    this.client = client;
    this.name = name.slice(0, STATEMENT_NAME_LENGTH).padEnd(STATEMENT_NAME_LENGTH, '_');
    this.text = text;
  }

  /**
   * Returns the first column of the last row; null where there is no row, or it is NULL.
   * @throws pg.DatabaseError if the server refuses it; Error if the connection is lost.
   */
  ask(values: readonly string[]): Promise<string | null> {
    const preparation = this.isPrepared ? null : { name: this.name, text: this.text };
    this.isPrepared = true;
    const bytes = this.bind(values);
    return new Promise((resolve, reject) => {
      this.client.query(new Asked({ preparation, bytes, resolve, reject }) as unknown as pg.Submittable);
    });
  }

  private bind(values: readonly string[]): Buffer {
    const { sink } = this;
    sink.clear();
    const from = beginBind(sink, values.length);
    for (const value of values) sink.value(value);
    endBind(sink, from);
    endSync(sink);
    sink.bytes.write(this.name, nameOffset(from), 'latin1');
    // The socket may hold it for longer than until the next question.
    return Buffer.from(sink.bytes.subarray(0, sink.offset));
  }
}

interface AskedParts {
  readonly preparation: { readonly name: string; readonly text: string } | null;
  readonly bytes: Buffer;
  readonly resolve: (answer: string | null) => void;
  readonly reject: (error: Error) => void;
}

/** One time that a question is asked. */
class Asked extends QueryBase {
  private readonly parts: AskedParts;
  private answer: string | null = null;
  private hasFailed = false;

  constructor(parts: AskedParts) {
    super('');
    this.parts = parts;
  }

  submit(wire: Wire): null {
    const { preparation, bytes } = this.parts;
    if (preparation !== null) wire.parse({ ...preparation, types: [] });
    wire.stream.write(bytes);
    return null;
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    this.answer = fields[0]!;
  }

  handleCommandComplete(): void {
    // The rows say it.
  }

  handleError(error: Error): void {
    this.hasFailed = true;
    this.parts.reject(error);
  }

  handleReadyForQuery(): void {
    if (!this.hasFailed) this.parts.resolve(this.answer);
  }
}
