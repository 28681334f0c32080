import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seedOf } from '../../src/random/seed.js';
import { Stream } from '../../src/random/stream.js';
import { Pacer, type Pacing } from '../../src/traffic/pacer.js';
import { type RateShape, Schedule } from '../../src/traffic/schedule.js';

const FOREVER = Number.POSITIVE_INFINITY;
const constant = (rate: number, end = FOREVER): RateShape => ({
  stages: [{ rate, duration: FOREVER, ramp: false }],
  spikes: [],
  end,
});

const shapes = fc.record({
  stages: fc.array(
    fc.record({
      rate: fc.double({ min: 0.1, max: 5000, noNaN: true }),
      duration: fc.double({ min: 0.1, max: 500, noNaN: true }),
      ramp: fc.boolean(),
    }),
    { minLength: 1, maxLength: 5 },
  ),
  spikes: fc.array(
    fc.record({
      rate: fc.double({ min: 0.1, max: 5000, noNaN: true }),
      duration: fc.double({ min: 0.1, max: 5, noNaN: true }),
      every: fc.double({ min: 5, max: 100, noNaN: true }),
      offset: fc.double({ min: 0, max: 50, noNaN: true }),
      replaces: fc.boolean(),
    }),
    { maxLength: 2 },
  ),
  end: fc.constantFrom(FOREVER, 30, 200),
});

describe('a schedule', () => {
  it('of a constant rate has arrival k at k / rate', () => {
    const schedule = new Schedule(constant(250));
    for (const arrival of [0, 1, 2, 999, 1_000_000]) expect(schedule.timeOf(arrival)).toBeCloseTo(arrival / 250, 6);
    expect(schedule.arrivals(10)).toBeCloseTo(2500, 6);
    expect(schedule.rateAt(1e6)).toBe(250);
  });

  it('ramps from one rate to the next, and ends with its stages', () => {
    const schedule = new Schedule({
      stages: [
        { rate: 100, duration: 10, ramp: true },
        { rate: 100, duration: 10, ramp: false },
        { rate: 300, duration: 10, ramp: true },
      ],
      spikes: [],
      end: FOREVER,
    });
    expect([0, 5, 10, 15, 25, 30].map((at) => schedule.rateAt(at))).toEqual([0, 50, 100, 100, 200, 0]);
    expect(schedule.arrivals(10)).toBeCloseTo(500, 6);
    expect(schedule.arrivals(100)).toBeCloseTo(500 + 1000 + 2000, 6);
    expect(schedule.timeOf(3499)).toBeLessThan(30);
    expect(schedule.timeOf(3501)).toBe(FOREVER);
  });

  it('has spikes on top of its rate, again and again', () => {
    const spike = { rate: 1000, duration: 2, every: 10, offset: 3 };
    const schedule = new Schedule({ ...constant(100), spikes: [spike] });
    expect([2.9, 3, 4.9, 5, 12.9, 13, 1_000_003.5].map((at) => schedule.rateAt(at))).toEqual([
      100, 1100, 1100, 100, 100, 1100, 1100,
    ]);
    expect(schedule.arrivals(20)).toBeCloseTo(2000 + 4000, 5);
    const once = new Schedule({ ...constant(100), spikes: [{ ...spike, every: FOREVER }] });
    expect(once.arrivals(20)).toBeCloseTo(2000 + 2000, 5);
    const instead = new Schedule({ ...constant(100), spikes: [{ ...spike, replaces: true }] });
    expect([2.9, 3, 4.9, 5].map((at) => instead.rateAt(at))).toEqual([100, 1000, 1000, 100]);
    expect(instead.arrivals(20)).toBeCloseTo(1600 + 4000, 5);
  });

  it('has spikes whose rates scatter, the same for the same seed', () => {
    const spike = { rate: 1000, duration: 2, every: 10, offset: 3 };
    const rates = (hi: number) => {
      const jitter = { share: 0.2, seed: { hi, lo: 2 } };
      const schedule = new Schedule({ ...constant(100), spikes: [{ ...spike, jitter }] });
      return Array.from({ length: 50 }, (_, occurrence) => schedule.rateAt(10 * occurrence + 4) - 100);
    };
    expect(rates(1)).toEqual(rates(1));
    expect(rates(1)).not.toEqual(rates(3));
    expect(Math.min(...rates(1))).toBeGreaterThanOrEqual(800);
    expect(Math.max(...rates(1))).toBeLessThanOrEqual(1200);
    expect(Math.max(...rates(1)) - Math.min(...rates(1))).toBeGreaterThan(300);
  });

  it('is one function and its inverse, and never runs backwards', () => {
    fc.assert(
      fc.property(shapes, fc.double({ min: 0, max: 1, noNaN: true }), (shape, part) => {
        const schedule = new Schedule(shape);
        const all = schedule.arrivals(1000);
        const time = schedule.timeOf(all * part * 0.999);
        expect(time).toBeLessThanOrEqual(schedule.end);
        expect(Math.abs(schedule.arrivals(time) - all * part * 0.999)).toBeLessThan(1e-6 * (1 + all));
        expect(new Schedule(shape).arrivals(schedule.end / 3)).toBeCloseTo(schedule.arrivals(schedule.end / 3), 4);
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});

describe('a pacer', () => {
  const pacing = (change: Partial<Pacing> = {}): Pacing => ({
    shape: constant(1000, 60),
    arrival: 'constant',
    unit: 'operations',
    backlogSeconds: FOREVER,
    steering: null,
    ...change,
  });
  const pacer = (change: Partial<Pacing>, lane: number, lanes = 4) =>
    new Pacer(pacing(change), lane, lanes, Stream.of(seedOf(BigInt(lane))));
  const dues = (each: Pacer, events = 1) => {
    const found: number[] = [];
    for (let due = each.due(0); due < FOREVER; due = each.due(0)) {
      found.push(due);
      each.take(events);
    }
    return found;
  };

  it('shares the arrivals out: together the lanes have each of them once', () => {
    const all = [0, 1, 2, 3].flatMap((lane) => dues(pacer({}, lane))).sort((a, b) => a - b);
    expect(all).toHaveLength(60_000);
    for (const [index, due] of all.entries()) expect(due).toBeCloseTo(index / 1000, 6);
  });

  it('of Poisson arrivals keeps the rate, with gaps as they are there', () => {
    const all = [0, 1, 2, 3].flatMap((lane) => dues(pacer({ arrival: 'poisson' }, lane))).sort((a, b) => a - b);
    expect(Math.abs(all.length - 60_000)).toBeLessThan(4 * Math.sqrt(60_000));
    const gaps = all.slice(1).map((due, index) => due - all[index]!);
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length;
    expect(Math.sqrt(variance) / mean).toBeGreaterThan(0.97);
    expect(Math.sqrt(variance) / mean).toBeLessThan(1.03);
  });

  it('counts events where the rate is one of events', () => {
    expect([0, 1, 2, 3].flatMap((lane) => dues(pacer({ unit: 'events' }, lane), 4))).toHaveLength(15_000);
  });

  it('gives up no more than the backlog leaves out, and numbers nothing anew', () => {
    const late = pacer({ backlogSeconds: 1 }, 0);
    expect(late.giveUp(0.9)).toBe(0);
    expect(late.giveUp(3)).toBe(500);
    expect(late.due(0)).toBeCloseTo(2, 6);
    expect(late.giveUp(3)).toBe(0);
    expect(pacer({}, 0).giveUp(50)).toBe(0);
  });
});
