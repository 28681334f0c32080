import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Dealer } from '../../src/datum/bands.js';

/** Bands behind each other, with gaps. */
const bands = fc
  .array(fc.record({ gap: fc.integer({ min: 0, max: 5 }), count: fc.integer({ min: 1, max: 40 }) }), {
    minLength: 1,
    maxLength: 12,
  })
  .map((sizes) => {
    let next = -20;
    return sizes.map(({ gap, count }) => {
      const first = next + gap;
      next = first + count;
      return { first, count };
    });
  });

it('every ordinal has a number of its own, and all numbers of all bands are dealt out', () => {
  fc.assert(
    fc.property(bands, (given) => {
      const dealer = new Dealer(given);
      const all = given.flatMap(({ first, count }) => Array.from({ length: count }, (_, at) => first + at));
      expect(dealer.capacity).toBe(all.length);
      const dealt = all.map((_, ordinal) => dealer.numberOf(ordinal));
      expect(dealt.toSorted((a, b) => a - b)).toEqual(all);
      expect(dealer.numberOf(all.length)).toBe(dealer.numberOf(0));
    }),
  );
});

it('bands fill up evenly, also for lanes that take every n-th ordinal', () => {
  const given = [0, 1000, 2000, 3000].map((first) => ({ first, count: 500 }));
  const dealer = new Dealer(given);
  for (const lanes of [1, 2, 4, 8]) {
    for (let lane = 0; lane < lanes; lane++) {
      const counts = [0, 0, 0, 0];
      for (let at = 0; at < 160; at++) counts[Math.floor(dealer.numberOf(at * lanes + lane) / 1000)]!++;
      for (const count of counts) expect(Math.abs(count - 40)).toBeLessThan(10);
    }
  }
});
