import { describe, expect, it } from 'vitest';
import { seedOf } from '../../src/random/seed.js';
import { Stream } from '../../src/random/stream.js';
import { exp, ln, Zipf } from '../../src/random/zipf.js';

describe('the law of Zipf', () => {
  it.each([
    [0.5, 10],
    [0.99, 1000],
    [1, 50],
    [1.00001, 300],
    [1.5, 100],
    [3, 20],
    [20, 1000],
    [1, 1],
  ])('with exponent %d over %i ranks', (exponent, count) => {
    const zipf = new Zipf(exponent);
    const stream = Stream.of(seedOf(7n));
    const draws = 200_000;
    const seen = new Float64Array(count + 1);
    for (let draw = 0; draw < draws; draw++) seen[zipf.draw(stream, count)]!++;
    const weights = Array.from({ length: count }, (_, index) => (index + 1) ** -exponent);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (const [index, weight] of weights.entries()) {
      const expected = (draws * weight) / total;
      // Six standard deviations.
      expect(Math.abs(seen[index + 1]! - expected), `rank ${index + 1}`).toBeLessThan(6 * Math.sqrt(expected) + 1);
    }
  });

  it('follows a count that grows and shrinks', () => {
    const zipf = new Zipf(1);
    const stream = Stream.of(seedOf(1n));
    for (const count of [1, 2, 1_000_000, 3, 1]) {
      for (let draw = 0; draw < 1000; draw++) {
        const rank = zipf.draw(stream, count);
        expect(rank >= 1 && rank <= count).toBe(true);
      }
    }
  });

  it('computes logarithms and powers without the engine', () => {
    for (let x = 1e-6; x < 1e9; x *= 1.37) {
      expect(Math.abs(ln(x) - Math.log(x))).toBeLessThan(1e-13 * Math.max(1, Math.abs(Math.log(x))));
      const power = Math.log(x);
      expect(Math.abs(exp(power) / Math.exp(power) - 1)).toBeLessThan(1e-12);
    }
  });
});
