import type { LaneHistory } from '../history/lane-log.js';
import type { LaneSession } from './lane-session.js';

/* Of one lane, since the checkpoint before the last one. Beyond this its log is given up: a database under test is not the place for it. */
const MOST_BYTES = 64 << 20;
/* The server may refuse for a while, for example while its disk is full; after so many refusals in a row the log is given up. */
const MOST_REFUSALS = 60;
const RETRY_MS = 1000;
const SETTLE_MS = 2000;

/** Marks a log that was given up, for a process that wants to continue the lane. */
export const GIVEN_UP = '["g"]';

/**
 * A lane's exceptions on their way into the database. They travel on the lane's own connection, which executes in order: what
 * follows from an exception is never there without it.
 */
export class StoredLog implements LaneHistory {
  private readonly insert: string;
  private readonly runId: string;
  private readonly lane: number;
  private waiting: string[] = [];
  /** In the order in which they were sent; their answers may come in another one. */
  private readonly underWay = new Set<readonly string[]>();
  private bytes = 0;
  private bytesBefore = 0;
  private refusals = 0;
  private notBeforeMs = 0;
  private written = 0;
  private confirmed = 0;
  private isGivenUp: boolean;

  /** `insert`: a statement that stores `$3`, lines of lane `$2` of run `$1`. `isGivenUp`: nobody can go on with this lane's log. */
  constructor(insert: string, runId: string, lane: number, isGivenUp = false) {
    this.insert = insert;
    this.runId = runId;
    this.lane = lane;
    this.isGivenUp = isGivenUp;
  }

  /** False where the log has been given up, so that nobody can go on with it. */
  get isWhole(): boolean {
    return !this.isGivenUp;
  }

  /** Exceptions that were written, and those of them that the server has confirmed. */
  get counts(): { readonly written: number; readonly confirmed: number } {
    return { written: this.written, confirmed: this.confirmed };
  }

  write(exceptions: readonly string[]): void {
    if (!this.isWhole) return;
    this.add(exceptions);
    for (const { length } of exceptions) this.bytes += length;
    if (this.bytesBefore + this.bytes > MOST_BYTES) this.giveUp();
  }

  /** Writes lines again that another thread may not have sent; most of them are stored already. */
  repeat(exceptions: readonly string[]): void {
    if (this.isWhole) this.add(exceptions);
  }

  private add(exceptions: readonly string[]): void {
    this.written += exceptions.length;
    for (const exception of exceptions) this.waiting.push(exception);
  }

  /* That it was given up must be known before anything is executed whose exceptions are missing. */
  private giveUp(): void {
    this.isGivenUp = true;
    this.waiting = [GIVEN_UP];
  }

  /** Records that the lane's state is stored as well: what came before the state before is not needed any more. */
  checkpoint(): void {
    if (!this.isWhole) return;
    this.bytesBefore = this.bytes;
    this.bytes = 0;
  }

  /** Sends what waits, in front of whatever is sent next. */
  send(session: LaneSession): void {
    if (this.waiting.length === 0 || performance.now() < this.notBeforeMs) return;
    const lines = this.waiting;
    this.waiting = [];
    this.underWay.add(lines);
    const values = [this.runId, String(this.lane), lines.join('\n')];
    session.ask({ text: this.insert, values }, (rows) => {
      // The answer may arrive after the connection was lost, when the lines wait to be sent again.
      if (!this.underWay.delete(lines)) return;
      if (rows !== null) {
        this.confirmed += lines.length;
        this.refusals = 0;
        return;
      }
      this.refusals++;
      this.notBeforeMs = performance.now() + RETRY_MS;
      if (this.isGivenUp || this.refusals > MOST_REFUSALS) this.giveUp();
      else this.waiting = [...lines, ...this.waiting];
    });
  }

  /** Waits for what is under way, for a while: without a server nothing will be confirmed. */
  async settle(): Promise<void> {
    for (const startMs = performance.now(); this.underWay.size > 0 && performance.now() - startMs < SETTLE_MS; )
      await new Promise((resolve) => setTimeout(resolve, 5));
  }

  /** The connection is lost: what was under way is sent again. An exception that is stored twice does no harm. */
  lost(): void {
    const underWay = [...this.underWay].flat();
    this.underWay.clear();
    if (this.isGivenUp && underWay.length > 0) this.giveUp();
    else this.waiting = [...underWay, ...this.waiting];
  }
}
