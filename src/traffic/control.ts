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

/* The longest time that a schedule waits for lanes that cannot connect. */
const START_GRACE_MS = 2000;

/* Interval at which a held lane checks whether it may continue. */
const HELD_MS = 20;

/* Values of the word STOP. */
const GOING_ON = 0;
const STOPPED = 1;
const CUT = 2;
const TAKEN_BACK = 3;

/** Stops and pauses all lanes of a run together, across threads. `wait_after_operations` counts over all lanes. */
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

  /** Sets all words to their initial values. Called once, before the workers start. */
  reset(): void {
    Atomics.store(this.words, PERMITS, this.waitAfter);
    Atomics.store(this.pauses, NONE_SINCE_WORD, micros());
  }

  /** Lets no further operation begin; operations in flight finish. */
  stop(): void {
    Atomics.compareExchange(this.words, STOP, GOING_ON, STOPPED);
    Atomics.compareExchange(this.words, STOP, TAKEN_BACK, STOPPED);
  }

  /** As `stop`, for lanes that are then taken back and go on from there. */
  takeBack(): void {
    Atomics.compareExchange(this.words, STOP, GOING_ON, TAKEN_BACK);
  }

  get isTakenBack(): boolean {
    return Atomics.load(this.words, STOP) === TAKEN_BACK;
  }

  /** Takes a stop back, after all have stopped. */
  goOn(): void {
    for (const stopped of [STOPPED, TAKEN_BACK]) Atomics.compareExchange(this.words, STOP, stopped, GOING_ON);
  }

  get stopped(): boolean {
    return Atomics.load(this.words, STOP) !== GOING_ON;
  }

  /** Ends the time for operations in flight: whatever fails from now on is not sent again. */
  cut(): void {
    Atomics.store(this.words, STOP, CUT);
  }

  get isCut(): boolean {
    return Atomics.load(this.words, STOP) === CUT;
  }

  /** Counts an operation that was sent. The one that completes the count starts the pause. */
  operationSent(): void {
    if (this.waitAfter === 0) return;
    if (Atomics.sub(this.words, PERMITS, 1) !== 1) return;
    Atomics.store(this.pauses, PAUSE_UNTIL_WORD, BigInt(Math.ceil(now() + this.waitMs)));
    Atomics.store(this.words, PERMITS, this.waitAfter);
  }

  /** Records a lane's first connection. The last of all lanes starts the clock of the schedule, if it is not late. */
  connected(lanes: number): void {
    Atomics.compareExchange(this.pauses, FIRST_WORD, 0n, micros());
    if (Atomics.add(this.words, CONNECTED, 1) === lanes - 1) this.begin();
  }

  /** Sets the time at which the clock of the schedule starts, in terms of `performance.now()` of this process. */
  beginAt(ms: number): void {
    Atomics.store(this.pauses, EPOCH_WORD, BigInt(Math.round((performance.timeOrigin + ms) * 1000)));
  }

  private begin(): void {
    Atomics.compareExchange(this.pauses, EPOCH_WORD, 0n, micros());
  }

  /** Returns the milliseconds since the clock of the schedule started; negative before. */
  elapsedMs(): number {
    const first = Number(Atomics.load(this.pauses, FIRST_WORD));
    if (first > 0 && now() - first / 1000 > START_GRACE_MS) this.begin();
    const epoch = Number(Atomics.load(this.pauses, EPOCH_WORD));
    return epoch === 0 ? -1 : now() - epoch / 1000;
  }

  /** Records that a lane gets answers on its connection. */
  up(): void {
    Atomics.add(this.words, ANSWERED, 1);
  }

  /** Records that a lane which got answers has lost its connection. */
  down(): void {
    if (Atomics.sub(this.words, ANSWERED, 1) === 1) Atomics.store(this.pauses, NONE_SINCE_WORD, micros());
  }

  /** Returns the milliseconds since the last lane got an answer; 0 while at least one lane gets answers. */
  outageMs(): number {
    return Atomics.load(this.words, ANSWERED) > 0
      ? 0
      : now() - Number(Atomics.load(this.pauses, NONE_SINCE_WORD)) / 1000;
  }

  /** Lets no operation begin until `release` is called once for each `hold`; operations in flight finish. */
  hold(): void {
    Atomics.add(this.words, HELD, 1);
  }

  release(): void {
    Atomics.sub(this.words, HELD, 1);
  }

  get isHeld(): boolean {
    return Atomics.load(this.words, HELD) !== 0;
  }

  /** Returns the milliseconds until operations may continue; 0: now. */
  pauseMs(): number {
    if (Atomics.load(this.words, HELD) !== 0) return HELD_MS;
    if (this.waitAfter === 0) return 0;
    return Math.max(0, Number(Atomics.load(this.pauses, PAUSE_UNTIL_WORD)) - now());
  }
}

function micros(): bigint {
  return BigInt(Math.round(now() * 1000));
}

/** Returns milliseconds of the clock that all threads share. */
function now(): number {
  return performance.timeOrigin + performance.now();
}
