import { type Seed, splitNumber } from '../random/seed.js';
import { Stream } from '../random/stream.js';

/** A load that comes for a while: it lasts `duration` from `offset` on, and repeats every `every` (Infinity: once). */
interface Spike {
  readonly rate: number;
  readonly duration: number;
  readonly every: number;
  readonly offset: number;
  /** True if it takes the place of the stages' rate instead of being added to it. */
  readonly replaces?: boolean;
  /** Each occurrence has a rate of its own, which differs from `rate` by up to this share; drawn from `seed`. */
  readonly jitter?: { readonly share: number; readonly seed: Seed };
}

/** The target load of the `traffic` section; times in seconds. */
export interface RateShape {
  readonly stages: readonly {
    /** Infinity: until the end of the run. */
    readonly duration: number;
    readonly rate: number;
    /** True if the rate changes linearly from the previous one (0 at the start) instead of at once. */
    readonly ramp: boolean;
  }[];
  readonly spikes: readonly Spike[];
  /** No arrivals from here on; Infinity: until stopped. */
  readonly end: number;
}

/** Says when arrivals are due, in seconds since the start of the traffic. */
export interface Timetable {
  /** No arrivals from here on. */
  readonly end: number;
  /** True while nothing is scheduled, so that each operation follows as soon as an earlier one is answered. */
  readonly isUnlimited: boolean;
  /** Arrivals per second. */
  rateAt(seconds: number): number;
  /** Returns the number of arrivals that are due before a moment. */
  arrivals(seconds: number): number;
  /** Returns when so many arrivals have been due; Infinity if never. */
  timeOf(position: number): number;
  /** Returns the name of the phase that a moment lies in; null outside, and if the schedule has only one phase. */
  phaseAt(seconds: number): string | null;
}

/** Returns the part of a schedule that a share of the lanes has to carry out. Its arrivals are due when those of the whole are. */
export function partOf(whole: Timetable, share: number): Timetable {
  if (share === 1) return whole;
  return {
    get end() {
      return whole.end;
    },
    get isUnlimited() {
      return whole.isUnlimited;
    },
    rateAt: (seconds) => whole.rateAt(seconds) * share,
    arrivals: (seconds) => whole.arrivals(seconds) * share,
    timeOf: (position) => whole.timeOf(position / share),
    phaseAt: (seconds) => whole.phaseAt(seconds),
  };
}

/** A period in which the rate is linear. */
interface Segment {
  readonly from: number;
  readonly rate: number;
  readonly slope: number;
  /** Number of arrivals before it. */
  readonly before: number;
}

/**
 * When arrivals are due: the integral of the rate over time and its inverse, a pure function of elapsed seconds. Arrival k
 * (from 0) is due when the integral reaches k, so that whole seconds of a constant rate hold exactly as many as it says.
 */
export class Schedule implements Timetable {
  readonly end: number;
  readonly isUnlimited = false;
  private readonly shape: RateShape;
  /** The segments computed so far; the last one ends at `reached`. */
  private readonly segments: Segment[] = [];
  private reached = 0;
  private total = 0;

  constructor(shape: RateShape) {
    this.shape = shape;
    const stages = shape.stages.reduce((sum, { duration }) => sum + duration, 0);
    this.end = Math.min(shape.end, stages);
  }

  rateAt(seconds: number): number {
    if (seconds >= this.end) return 0;
    const { rate, slope, from } = this.lineAt(seconds);
    return rate + slope * (seconds - from);
  }

  arrivals(seconds: number): number {
    const until = Math.min(Math.max(0, seconds), this.end);
    while (this.reached < until) this.extend();
    const segment = this.segments[this.last((each) => each.from <= until)];
    return segment === undefined ? 0 : segment.before + within(segment, until - segment.from);
  }

  timeOf(position: number): number {
    while (this.total <= position) {
      if (this.reached >= this.end) return Number.POSITIVE_INFINITY;
      this.extend();
    }
    const { from, rate, slope, before } = this.segments[this.last((each) => each.before <= position)]!;
    const missing = position - before;
    // The root of the quadratic, in the form that loses no digits and is valid for a slope of 0.
    const root = Math.sqrt(Math.max(0, rate * rate + 2 * slope * missing));
    return missing < TINY ? from : from + (2 * missing) / (rate + root);
  }

  phaseAt(seconds: number): string | null {
    const { stages, spikes } = this.shape;
    if (stages.length + spikes.length < 2 || seconds < 0 || seconds >= this.end) return null;
    if (spikes.some((spike) => isOn(spike, seconds))) return 'the spikes';
    if (stages.length === 1) return 'the time between spikes';
    let end = 0;
    const stage = stages.findIndex(({ duration }) => {
      end += duration;
      return seconds < end;
    });
    return stage < 0 ? null : `stage ${stage + 1}`;
  }

  private last(holds: (segment: Segment) => boolean): number {
    let low = 0;
    let high = this.segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (holds(this.segments[middle]!)) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  private extend(): void {
    const segment = { ...this.lineAt(this.reached), before: this.total };
    const end = Math.min(this.end, this.nextBreak(this.reached), this.reached + LONGEST_SEGMENT);
    this.segments.push(segment);
    this.total += within(segment, end - segment.from);
    this.reached = end;
  }

  /** Returns the linear rate that applies from a moment on. */
  private lineAt(seconds: number): { from: number; rate: number; slope: number } {
    let began = 0;
    let before = 0;
    let line = { rate: 0, slope: 0 };
    for (const { duration, rate, ramp } of this.shape.stages) {
      if (seconds < began + duration) {
        const slope = ramp ? (rate - before) / duration : 0;
        line = ramp ? { rate: before + slope * (seconds - began), slope } : { rate, slope: 0 };
        break;
      }
      began += duration;
      before = rate;
    }
    const spikes = this.shape.spikes.filter((spike) => isOn(spike, seconds));
    const added = spikes.reduce((sum, spike) => sum + rateOf(spike, seconds), 0);
    return spikes.some(({ replaces }) => replaces)
      ? { from: seconds, rate: added, slope: 0 }
      : { from: seconds, rate: line.rate + added, slope: line.slope };
  }

  /** Returns the next moment at which the linear rate changes. */
  private nextBreak(seconds: number): number {
    const breaks: number[] = [];
    let began = 0;
    for (const { duration } of this.shape.stages) {
      began += duration;
      breaks.push(began);
    }
    for (const { duration, every, offset } of this.shape.spikes) {
      const period = Number.isFinite(every) ? Math.max(0, Math.floor((seconds - offset) / every + TINY)) : 0;
      const start = offset + (Number.isFinite(every) ? period * every : 0);
      breaks.push(start, start + duration);
      if (Number.isFinite(every)) breaks.push(start + every);
    }
    return Math.min(...breaks.filter((each) => each > seconds + TINY));
  }
}

/* Moments (in seconds), or arrivals, that differ by less are equal, because sums of durations are not exact. */
const TINY = 1e-9;
/* A rate without end is divided into segments of this length. */
const LONGEST_SEGMENT = 86_400;

function within({ rate, slope }: Segment, seconds: number): number {
  return rate * seconds + (slope * seconds * seconds) / 2;
}

function isOn({ duration, every, offset }: Spike, seconds: number): boolean {
  if (seconds < offset) return false;
  return (Number.isFinite(every) ? (seconds - offset) % every : seconds - offset) < duration - TINY;
}

/* The rate of the occurrence that a moment lies in. */
function rateOf({ rate, every, offset, jitter }: Spike, seconds: number): number {
  if (jitter === undefined) return rate;
  const occurrence = Number.isFinite(every) ? Math.floor((seconds - offset) / every + TINY) : 0;
  const draw = Stream.of(splitNumber(jitter.seed, occurrence)).fraction();
  return rate * (1 + jitter.share * (2 * draw - 1));
}
