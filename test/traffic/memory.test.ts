import { expect, it } from 'vitest';
import { Memory } from '../../src/traffic/memory.js';

/** A copy of a worker's counts that shows when it was taken. */
const at = (second: number) => new Float64Array([second]);

it('remembers what is recent closely and what is old roughly, for each worker', () => {
  const memory = new Memory(2, true, ([second]) => second!);
  for (let second = 0; second < 10_000; second++) memory.add(0, at(second));
  expect(memory.newest(0)).toEqual(at(9999));
  expect(memory.newest(1)).toBeNull();
  // Steps of 1, 2, 4, 8, 16 and 32.
  const seconds = Array.from({ length: 6 }, () => memory.older(0)?.[0] ?? null);
  expect(seconds).toEqual([9998, 9996, 9992, 9978, 9932, null]);
});

it('goes back in growing steps, and to the beginning in the end', () => {
  const memory = new Memory(1, true, ([second]) => second!);
  for (let second = 0; second < 20; second++) memory.add(0, at(second));
  expect(Array.from({ length: 6 }, () => memory.older(0)?.[0] ?? null)).toEqual([18, 16, 12, 4, null, null]);
  memory.add(0, at(30));
  expect([memory.newest(0)?.[0], memory.older(0)]).toEqual([30, null]);
});

it('keeps one of several moments between which nothing was done, and gives the latest that is old enough', () => {
  const memory = new Memory(1, true, ([second]) => Math.min(second!, 10));
  for (let second = 0; second < 100; second++) memory.add(0, at(second));
  expect(memory.newest(0)?.[0]).toBe(10);
  expect(memory.newestOf(0, ([second]) => second! <= 7)?.[0]).toBe(7);
  expect(memory.newest(0)?.[0]).toBe(7);
  expect(memory.newestOf(0, () => false)).toBeNull();
});
