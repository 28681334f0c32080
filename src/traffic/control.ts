import { performance } from 'node:perf_hooks';

/* Words of the shared control memory. */
const STOP = 0;
const PERMITS = 1;
const PAUSE_UNTIL_WORD = 1; // of the BigInt64Array over the same memory: bytes 8 … 15
const EPOCH_WORD = 2; // in microseconds, bytes 16 … 23
const CONNECTED = 6;
const ANSWERED = 7;
const FIRST_WORD = 4; // when the first lane was connected, in microseconds, bytes 32 … 39
const NONE_SINCE_WORD = 5; // since when no lane has been answered, in microseconds, bytes 40 … 47
const HELD = 12;
const BYTES = 56;

/* A schedule does not wait longer for lanes that cannot connect. */
const START_GRACE_MS = 2000;

/* How soon a lane that is held looks again. */
const HELD_MS = 20;

/* What STOP holds. */
const GOING_ON = 0;
const STOPPED = 1;
const CUT = 2;

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
    Atomics.store(this.pauses, NONE_SINCE_WORD, micros());
  }

  /** No operation is begun any more; those in flight finish. */
  stop(): void {
    Atomics.compareExchange(this.words, STOP, GOING_ON, STOPPED);
  }

  get stopped(): boolean {
    return Atomics.load(this.words, STOP) !== GOING_ON;
  }

  /** Those in flight have had their time: what comes to nothing is not sent again. */
  cut(): void {
    Atomics.store(this.words, STOP, CUT);
  }

  get isCut(): boolean {
    return Atomics.load(this.words, STOP) === CUT;
  }

  /** Takes note of an operation that was sent; the one that uses up the count starts the pause. */
  operationSent(): void {
    if (this.waitAfter === 0) return;
    if (Atomics.sub(this.words, PERMITS, 1) !== 1) return;
    Atomics.store(this.pauses, PAUSE_UNTIL_WORD, BigInt(Math.ceil(now() + this.waitMs)));
    Atomics.store(this.words, PERMITS, this.waitAfter);
  }

  /** A lane has its first connection; the last one of all starts the clock of the schedule, if it comes soon enough. */
  connected(lanes: number): void {
    Atomics.compareExchange(this.pauses, FIRST_WORD, 0n, micros());
    if (Atomics.add(this.words, CONNECTED, 1) === lanes - 1) this.begin();
  }

  /** The clock of the schedule starts at a moment, as `performance.now()` of this process tells it. */
  beginAt(ms: number): void {
    Atomics.store(this.pauses, EPOCH_WORD, BigInt(Math.round((performance.timeOrigin + ms) * 1000)));
  }

  private begin(): void {
    Atomics.compareExchange(this.pauses, EPOCH_WORD, 0n, micros());
  }

  /** Milliseconds since the clock of the schedule was started; negative before. */
  elapsedMs(): number {
    const first = Number(Atomics.load(this.pauses, FIRST_WORD));
    if (first > 0 && now() - first / 1000 > START_GRACE_MS) this.begin();
    const epoch = Number(Atomics.load(this.pauses, EPOCH_WORD));
    return epoch === 0 ? -1 : now() - epoch / 1000;
  }

  /** A lane is answered on its connection. */
  up(): void {
    Atomics.add(this.words, ANSWERED, 1);
  }

  /** A lane that was answered has lost its connection. */
  down(): void {
    if (Atomics.sub(this.words, ANSWERED, 1) === 1) Atomics.store(this.pauses, NONE_SINCE_WORD, micros());
  }

  /** Milliseconds for which no lane has been answered; 0 while one is. */
  outageMs(): number {
    return Atomics.load(this.words, ANSWERED) > 0
      ? 0
      : now() - Number(Atomics.load(this.pauses, NONE_SINCE_WORD)) / 1000;
  }

  /** No operation is begun until `release`, once for each `hold`; those in flight finish. */
  hold(): void {
    Atomics.add(this.words, HELD, 1);
  }

  release(): void {
    Atomics.sub(this.words, HELD, 1);
  }

  /** Milliseconds until operations may go on; 0: now. */
  pauseMs(): number {
    if (Atomics.load(this.words, HELD) !== 0) return HELD_MS;
    if (this.waitAfter === 0) return 0;
    return Math.max(0, Number(Atomics.load(this.pauses, PAUSE_UNTIL_WORD)) - now());
  }
}

function micros(): bigint {
  return BigInt(Math.round(now() * 1000));
}

/** Milliseconds on the one clock that all threads share. */
function now(): number {
  return performance.timeOrigin + performance.now();
}
