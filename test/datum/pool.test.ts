import { describe, expect, it } from 'vitest';
import { MEANINGS } from '../../src/datum/meaning.js';
import { type Pool, Pools } from '../../src/datum/pool.js';
import { seedOf } from '../../src/random/seed.js';

function read(pool: Pool, index: number): string {
  const start = pool.startOf(index);
  return pool.bytes.toString('utf8', start, pool.endOf(index));
}

const EVERY = Array.from({ length: 1024 }, (_, index) => index);
const SOME = EVERY.slice(0, 200);

describe('pools', () => {
  it('have the same values whatever was asked for before', () => {
    const forwards = new Pools(seedOf(5n));
    const backwards = new Pools(seedOf(5n));
    for (const meaning of MEANINGS) {
      const before = EVERY.map((index) => read(forwards.text(meaning, null), index));
      const after = EVERY.toReversed().map((index) => read(backwards.text(meaning, null), index));
      expect(after.toReversed()).toEqual(before);
      // Read again, and after the buffer has grown.
      expect(EVERY.map((index) => read(forwards.text(meaning, null), index))).toEqual(before);
    }
  });

  it('differ by seed and by meaning', () => {
    const values = (seed: bigint, meaning: 'email' | 'fullName') =>
      EVERY.map((index) => read(new Pools(seedOf(seed)).text(meaning, null), index)).join();
    expect(values(5n, 'email')).not.toBe(values(6n, 'email'));
    const email = new Pools(seedOf(5n)).text('email', null);
    expect(new Set(EVERY.map((index) => read(email, index))).size).toBeGreaterThan(900);
  });

  it.each([3, 12, 40])('hold texts of at most %i characters, whole ones where some are short enough', (max) => {
    const pools = new Pools(seedOf(7n));
    for (const meaning of MEANINGS) {
      const free = new Set(SOME.map((index) => read(pools.text(meaning, null), index)));
      const values = SOME.map((index) => read(pools.text(meaning, max), index));
      for (const value of values) {
        expect([...value].length).toBeLessThanOrEqual(max);
        expect(value).not.toBe('');
      }
      const short = [...free].filter((value) => [...value].length <= max).length / free.size;
      if (short > 0.5) expect(values.filter((value) => free.has(value)).length).toBeGreaterThan(SOME.length / 4);
    }
  });

  it('hold nothing that COPY would have to escape', () => {
    const pools = new Pools(seedOf(9n));
    for (const pool of [...MEANINGS.map((meaning) => pools.text(meaning, null)), pools.jsonTail()])
      for (const index of EVERY) expect(read(pool, index)).not.toMatch(/[\\\p{Cc}]/u);
    for (const index of EVERY) expect(() => JSON.parse(`{${read(pools.jsonTail(), index)}`)).not.toThrow();
  });
});
