import { performance } from 'node:perf_hooks';

/* Words of the shared control memory. */
const STOP = 0;
const PERMITS = 1;
const PAUSE_UNTIL_WORD = 1; // of the BigInt64Array over the same memory: bytes 8 … 15
const EPOCH_WORD = 2; // in microseconds, bytes 16 … 23
const CONNECTED = 6;
const BYTES = 32;

/** How all lanes of a run stop and pause together, over threads: `wait_after_operations` counts operations of all. */
export class Control {
  readonly memory: SharedArrayBuffer;
  private readonly words: Int32Array;
  private readonly pauses: BigInt64Array;
  private readonly waitAfter: number;
  private readonly waitMs: number;

  constructor(waitAfterOperations: number, waitMs: number, memory = new SharedArrayBuffer(BYTES)) {
    this.memory = memory;
    this.words = new Int32Array(memory);
    this.pauses = new BigInt64Array(memory);
    this.waitAfter = waitMs > 0 ? waitAfterOperations : 0;
    this.waitMs = waitMs;
  }

  /** Called once, before the workers start. */
  reset(): void {
    Atomics.store(this.words, PERMITS, this.waitAfter);
  }

  stop(): void {
    Atomics.store(this.words, STOP, 1);
  }

  get stopped(): boolean {
    return Atomics.load(this.words, STOP) === 1;
  }

  /** Takes note of an operation that was sent; the one that uses up the count starts the pause. */
  operationSent(): void {
    if (this.waitAfter === 0) return;
    if (Atomics.sub(this.words, PERMITS, 1) !== 1) return;
    Atomics.store(this.pauses, PAUSE_UNTIL_WORD, BigInt(Math.ceil(now() + this.waitMs)));
    Atomics.store(this.words, PERMITS, this.waitAfter);
  }

  /** A lane has its first connection; the last one of all starts the clock of the schedule. */
  connected(lanes: number): void {
    if (Atomics.add(this.words, CONNECTED, 1) === lanes - 1)
      Atomics.store(this.pauses, EPOCH_WORD, BigInt(Math.round(now() * 1000)));
  }

  /** Milliseconds since all lanes were connected; negative while they are not. */
  elapsedMs(): number {
    const epoch = Number(Atomics.load(this.pauses, EPOCH_WORD));
    return epoch === 0 ? -1 : now() - epoch / 1000;
  }

  /** Milliseconds until operations may go on; 0: now. */
  pauseMs(): number {
    if (this.waitAfter === 0) return 0;
    return Math.max(0, Number(Atomics.load(this.pauses, PAUSE_UNTIL_WORD)) - now());
  }
}

/** Milliseconds on the one clock that all threads share. */
function now(): number {
  return performance.timeOrigin + performance.now();
}
