import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { SetupError } from '../config/problem.js';
import type { Effect } from '../lane/messages/outcome.js';

/** A transaction of one lane, written down before its COMMIT is sent: whether that came through the server knows. */
export interface Entry {
  readonly lane: number;
  readonly stage: number;
  /** Null where nothing was to be committed: all of it was refused. */
  readonly xid: string | null;
  /** Of a COPY: the pieces sent, and the rows that were refused, by their number within the transaction. */
  readonly pieces: number;
  readonly refused: readonly number[];
  /** Rows that the table took: a trigger may have kept back some that were not refused. */
  readonly taken: number;
  /** Of an INSERT. */
  readonly effect: Effect | null;
}

/**
 * What a load has done so far, in a file: a first line with all that was decided before the first write, then a line per
 * transaction, appended by the thread that is about to commit it.
 */
export class Journal {
  readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  get exists(): boolean {
    return existsSync(this.file);
  }

  /** @throws SetupError where the file cannot be written. */
  begin(header: unknown): void {
    try {
      writeFileSync(this.file, `${JSON.stringify(header)}\n`);
    } catch (error) {
      throw SetupError.of(
        this.file,
        `cannot be written, so the load cannot keep its journal there (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`,
      );
    }
  }

  /** @throws SetupError where the file cannot be written any more. */
  add(entry: Entry): void {
    try {
      appendFileSync(this.file, `${JSON.stringify(entry)}\n`);
    } catch (error) {
      throw SetupError.of(
        this.file,
        `can no longer be written, so the load cannot keep its journal (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`,
      );
    }
  }

  /** @throws SetupError where it is no journal. */
  read(): { readonly header: unknown; readonly entries: readonly Entry[] } {
    // A last line that was cut off was never followed by a COMMIT.
    const lines = readFileSync(this.file, 'utf8').split('\n').slice(0, -1);
    try {
      const [header, ...entries] = lines.map((line) => JSON.parse(line) as unknown);
      if (header === undefined) throw new Error('the file is empty');
      return { header, entries: entries as Entry[] };
    } catch (error) {
      throw SetupError.of(
        this.file,
        `is not the journal of a load (${(error as Error).message}); remove it to start over`,
      );
    }
  }

  remove(): void {
    rmSync(this.file, { force: true });
  }
}
