import fc from 'fast-check';
import { expect, it } from 'vitest';
import { shareOut } from '../../src/plan/build.js';
import { updateSets } from '../../src/plan/update-sets.js';
import { seedOf } from '../../src/random/seed.js';

it('quotas add up and differ by one at most', () => {
  fc.assert(
    fc.property(fc.nat(1_000_000), fc.integer({ min: 1, max: 200 }), (total, lanes) => {
      const quotas = shareOut(total, lanes);
      expect(quotas).toHaveLength(lanes);
      expect(quotas.reduce((sum, quota) => sum + quota, 0)).toBe(total);
      expect(Math.max(...quotas) - Math.min(...quotas)).toBeLessThanOrEqual(1);
    }),
  );
  expect(shareOut(-1, 3)).toEqual([-1, -1, -1]);
});

it('update sets hold whole groups, every group in one of them, no more than asked for', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }),
      fc.bigInt({ min: 0n, max: 1n << 60n }),
      fc.integer({ min: 1, max: 4 }),
      (count, seed, most) => {
        const groups = Array.from({ length: count }, (_, index) => [index * 2, index * 2 + 1]);
        const sets = updateSets(seedOf(seed), 'public.t', groups, most);
        expect(sets.length).toBeLessThanOrEqual(most);
        expect(new Set(sets.flat()).size).toBe(count * 2);
        for (const set of sets) for (const column of set) expect(set).toContain(column ^ 1);
      },
    ),
  );
});
