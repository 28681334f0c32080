import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cumulate, indexAt, permute } from '../../src/random/choice.js';
import { seedOf, split, splitNumber } from '../../src/random/seed.js';
import { Stream } from '../../src/random/stream.js';

const bigSeed = fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n });

describe('streams', () => {
  it('are frozen: a seed gives these numbers in every version', () => {
    const stream = Stream.of(split(seedOf(12345n), 'lane/0'));
    expect(Array.from({ length: 4 }, () => stream.next())).toEqual([2401245773, 381033935, 220021953, 3326717478]);
  });

  it('repeat from an equal seed and label, whatever was drawn before', () => {
    fc.assert(
      fc.property(bigSeed, fc.string(), fc.nat(), (number, label, index) => {
        const seed = seedOf(number);
        const one = new Stream();
        const two = new Stream();
        for (let i = 0; i < index % 7; i++) two.next();
        one.restart(seed, split(seed, label), index);
        two.restart(seed, split(seed, label), index);
        for (let i = 0; i < 8; i++) expect(one.next()).toBe(two.next());
      }),
    );
  });

  it('of neighbouring seeds, labels and indexes share nothing', () => {
    const seen = new Set<string>();
    let streams = 0;
    const start = (stream: Stream) => `${stream.next()},${stream.next()}`;
    for (let n = 0; n < 3000; n++) {
      const seed = seedOf(BigInt(n));
      seen.add(start(Stream.of(seed)));
      seen.add(start(Stream.of(split(seedOf(1n), `lane/${n}`))));
      seen.add(start(Stream.of(splitNumber(seedOf(2n), n))));
      const stream = new Stream();
      stream.restart(seedOf(3n), seedOf(4n), n);
      seen.add(start(stream));
      streams += 4;
    }
    expect(seen.size).toBe(streams);
  });

  it('differ already in the first number, for neighbouring indexes and labels', () => {
    const stream = new Stream();
    const first = (seed: number, label: number, index: number) => {
      stream.restart(seedOf(BigInt(seed)), seedOf(BigInt(label)), index);
      return stream.next();
    };
    for (const vary of [(n: number) => first(n, 1, 1), (n: number) => first(1, n, 1), (n: number) => first(1, 1, n)]) {
      const numbers = new Set(Array.from({ length: 5000 }, (_, n) => vary(n)));
      // A few of 5,000 draws out of 2³² may meet by chance.
      expect(numbers.size).toBeGreaterThan(4995);
    }
  });

  it('of neighbouring seeds are uncorrelated, bit by bit', () => {
    const pairs = 20_000;
    const equal = new Array<number>(32).fill(0);
    for (let n = 0; n < pairs; n++) {
      const same = ~(Stream.of(seedOf(BigInt(n))).next() ^ Stream.of(seedOf(BigInt(n + 1))).next());
      for (let bit = 0; bit < 32; bit++) equal[bit]! += (same >>> bit) & 1;
    }
    // Five standard deviations of a fair coin.
    for (const count of equal) expect(Math.abs(count - pairs / 2)).toBeLessThan((5 * Math.sqrt(pairs)) / 2);
  });

  it('keep within their bounds and reach both ends', () => {
    fc.assert(
      fc.property(bigSeed, fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (number, bound) => {
        const stream = Stream.of(seedOf(number));
        for (let i = 0; i < 20; i++) {
          const value = stream.below(bound);
          expect(Number.isSafeInteger(value) && value >= 0 && value < bound).toBe(true);
        }
      }),
    );
    const stream = Stream.of(seedOf(9n));
    const counts = [0, 0, 0, 0, 0];
    for (let i = 0; i < 50_000; i++) counts[stream.below(5)]!++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });

  it('spread fractions evenly', () => {
    const stream = Stream.of(seedOf(77n));
    let sum = 0;
    for (let i = 0; i < 100_000; i++) sum += stream.fraction();
    expect(Math.abs(sum / 100_000 - 0.5)).toBeLessThan(0.005);
  });
});

describe('choice', () => {
  it('shares the unit interval out by weight and never picks a weight of 0', () => {
    const cumulative = cumulate([0, 3, 0, 1, 0]);
    expect(indexAt(cumulative, 0)).toBe(1);
    expect(indexAt(cumulative, 0.7499)).toBe(1);
    expect(indexAt(cumulative, 0.75)).toBe(3);
    expect(indexAt(cumulative, 0.9999)).toBe(3);
  });

  it('permutes without losing anything', () => {
    const order = new Uint16Array(128);
    permute(Stream.of(seedOf(5n)), order);
    expect([...order].sort((a, b) => a - b)).toEqual([...order.keys()]);
  });
});
