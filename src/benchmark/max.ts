import { Interrupted, type Load } from './load.js';
import { settle } from './settle.js';
import { slowestStage } from './slowest.js';
import { measure, type Step, type TargetStep, warmUpOf } from './step.js';

/** A lag that must not be exceeded. */
export interface LagLimit {
  /** As it was asked for, for people. */
  readonly text: string;
  readonly percentile: 'p50' | 'p90' | 'p95' | 'p99' | 'p999' | 'max';
  readonly seconds: number;
}

export interface MaxOptions {
  readonly limit: LagLimit;
  readonly holdMs: number;
}

/** A rate that was tried, and whether the targets kept up with it. */
interface Trial extends Step {
  readonly sustained: boolean;
  /** Why not; null where they did. */
  readonly because: string | null;
}

/** The highest rate that the targets sustain, in operations per second. */
export interface MaxResult {
  readonly kind: 'max';
  readonly interrupted: string | null;
  readonly limit: string;
  /** The highest rate that was sustained, three times over; null where there was none. */
  readonly sustained: number | null;
  /** The lowest that was not; null where none was found: the source or the generator was the limit. */
  readonly exceeded: number | null;
  /** What bounds the rate. */
  readonly because: string | null;
  readonly confirmations: number;
  readonly trials: readonly Trial[];
}

/* The first rate that is tried, in operations per second; then so many times as much. */
const FIRST_RATE = 50;
const RISE = 3;
/* The search stops when the ends of the interval differ by this factor. */
const NARROW = 1.08;
export const CONFIRMATIONS = 3;
/* A backlog that grows by more seconds a second than this, and by more than chance, is not sustained. */
const GROWING = 0.01;
const SURE = 3;
/* Growth below this over a whole window is within what single heartbeats scatter. */
const NOTICED_SECONDS = 0.1;
/* Where the source did not reach a rate, this share of what it did is asked of it next, so many times. */
const REACHABLE = 0.95;
const MOST_REDUCTIONS = 3;
/* A machine on which nothing can be seen three times over is given up. */
const MOST_TRIALS = 60;
const CATCH_UP_MS = 60_000;
/* A process that uses so much of a core has none left. */
const BUSY = 0.9;

/** A geometric ramp, then bisection, then the highest rate three times over. */
export async function highestRate(load: Load, { limit, holdMs }: MaxOptions): Promise<MaxResult> {
  const search = new Search(load, limit, holdMs);
  try {
    await search.run();
    return search.result(null);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    return search.result(error.message);
  }
}

class Search {
  private readonly load: Load;
  private readonly limit: LagLimit;
  private readonly holdMs: number;
  private readonly trials: Trial[] = [];
  private low = 0;
  private high: number | null = null;
  private confirmations = 0;
  /** Why no higher rate could be tried; null while one can. */
  private ceiling: string | null = null;

  constructor(load: Load, limit: LagLimit, holdMs: number) {
    this.load = load;
    this.limit = limit;
    this.holdMs = holdMs;
  }

  async run(): Promise<void> {
    await this.ramp();
    while (this.confirmations < CONFIRMATIONS && this.trials.length < MOST_TRIALS) {
      await this.narrow();
      if (this.low === 0) return;
      await this.attempt(this.low);
    }
  }

  result(interrupted: string | null): MaxResult {
    const failed = this.trials.filter(({ sustained }) => !sustained);
    const nearest = failed.findLast(({ rate }) => rate !== null && rate === this.high);
    return {
      kind: 'max',
      interrupted,
      limit: this.limit.text,
      sustained: this.low === 0 ? null : Number(this.low.toPrecision(4)),
      exceeded: this.high,
      because: nearest?.because ?? this.ceiling,
      confirmations: this.confirmations,
      trials: this.trials,
    };
  }

  /** Raises the rate until the targets, or the source, take no more. */
  private async ramp(): Promise<void> {
    let reductions = 0;
    for (let rate = FIRST_RATE; this.high === null; ) {
      const step = await this.attemptTwice(rate);
      if (step.void === null) {
        if (this.ceiling !== null) return;
        rate *= RISE;
      } else {
        if (++reductions > MOST_REDUCTIONS || step.operations_per_second <= this.low * NARROW) return;
        rate = step.operations_per_second * REACHABLE;
      }
    }
  }

  /** Halves the interval until it is narrow. */
  private async narrow(): Promise<void> {
    while (this.high !== null && this.high > this.low * NARROW && this.trials.length < MOST_TRIALS) {
      // Below the lowest that was tried there is no other bound than nothing.
      const rate = this.low === 0 ? this.high / RISE : Math.sqrt(this.low * this.high);
      if (rate < 1) return;
      await this.attempt(rate);
    }
  }

  /** A machine that stood still for a moment is no limit of the source. */
  private async attemptTwice(rate: number): Promise<Step> {
    const step = await this.attempt(rate);
    if (step.void === null) return step;
    const again = await this.attempt(rate);
    if (again.void === null) this.ceiling = null;
    return again;
  }

  private async attempt(rate: number): Promise<Step> {
    const { load, holdMs } = this;
    const between = this.high === null ? '' : `, between ${Math.round(this.low)} and ${Math.round(this.high)}`;
    load.tell(`waiting for targets to catch up before ${Math.round(rate)} operations/s`, this.secondsLeft());
    await settle(load, Math.max(CATCH_UP_MS, holdMs * 2));
    load.tell(`${Math.round(rate)} operations/s${between}`, this.secondsLeft());
    const step = await measure(load, rate, warmUpOf(holdMs), holdMs);
    if (step.void !== null) {
      // What was reached instead is as high as this source goes.
      this.ceiling = step.void;
      this.trials.push({ ...step, sustained: false, because: step.void });
      load.say(`${Math.round(rate)} operations/s: ${step.void}`);
      return step;
    }
    const because = exceededBy(step, this.limit);
    this.trials.push({ ...step, sustained: because === null, because });
    load.say(`${Math.round(rate)} operations/s: ${because ?? 'sustained'}`);
    if (because === null) {
      this.confirmations = rate === this.low ? this.confirmations + 1 : 1;
      this.low = rate;
    } else {
      this.high = step.rate!;
      if (rate <= this.low) {
        // It was by chance that it held before: a lower rate is looked for.
        this.low = Math.max(
          0,
          ...this.trials.filter((each) => each.sustained && each.rate! < rate).map((each) => each.rate!),
        );
        this.confirmations = 0;
      }
    }
    return step;
  }

  private secondsLeft(trials = 8): number {
    const done = Math.min(trials - 1, this.trials.length);
    return ((trials - done) * (this.holdMs + warmUpOf(this.holdMs))) / 1000;
  }
}

/** Why a rate is not sustained, told of the target for which that holds first; null where it is. */
function exceededBy(step: Step, limit: LagLimit): string | null {
  for (const [name, target] of Object.entries(step.targets)) {
    const lag = target.lag_seconds?.[limit.percentile];
    const { backlog_slope: slope, backlog_slope_error: error } = target;
    const isGrowing = slope > GROWING && slope > SURE * error && slope * step.seconds > NOTICED_SECONDS;
    const culprit = culpritOf(target);
    if (lag === undefined) return `no heartbeat arrived at ${name}${culprit}`;
    if (lag >= limit.seconds) return `${name}: ${limit.percentile} was ${lag.toPrecision(3)} s${culprit}`;
    if (isGrowing) return `${name}: the lag grew by ${slope.toPrecision(2)} s per second${culprit}`;
  }
  return null;
}

/** What held a target up, as far as that is known. */
function culpritOf(target: TargetStep): string {
  if (target.reason !== null) return `: ${target.reason}`;
  const slowest = slowestStage(target);
  if (slowest === null) return '';
  const isSender = slowest.stage === 'walsender';
  const cpu = isSender ? target.sender_cpu : target.applier_cpu;
  const busy = cpu !== null && cpu >= BUSY ? ` at ${Math.round(cpu * 100)} % of a core` : '';
  return `, ${Math.round(slowest.share * 100)} % of the lag at the ${slowest.stage}${busy}`;
}
