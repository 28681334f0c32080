import { expect, it } from 'vitest';
import { Mix } from '../../../src/lane/choice/mix.js';
import type { Choice } from '../../../src/plan/plan.js';
import { seedOf, split } from '../../../src/random/seed.js';

const LANES = 8;

function drawn(choices: readonly Choice[], perLane: number, seed: bigint): number[] {
  const counts = choices.map(() => 0);
  for (let lane = 0; lane < LANES; lane++) {
    const root = seedOf(seed);
    const mix = new Mix({ common: choices, own: [], ownPart: 0 }, split(root, `lane/${lane}`), {
      seed: root,
      lane,
      lanes: LANES,
    });
    for (let number = 0; number < perLane; number++) counts[choices.indexOf(mix.draw(number))]!++;
  }
  return counts;
}

/* Three operations on each of many tables, as weights 3 : 2 : 1 have them. */
const CHOICES: readonly Choice[] = Array.from({ length: 200 }, (_, relation) => relation).flatMap((relation) =>
  (['insert', 'update', 'delete'] as const).map((operation, index) => ({ relation, operation, weight: 3 - index })),
);

it.each([1n, 2n, 3n, 4n, 5n])('no choice of hundreds is left out of a short run over all lanes (seed %s)', (seed) => {
  // 30 operations per table: 5 deletes each are meant.
  const counts = drawn(CHOICES, (30 * 200) / LANES, seed);
  const deletes = counts.filter((_, index) => CHOICES[index]!.operation === 'delete');
  expect(Math.min(...deletes)).toBeGreaterThanOrEqual(2);
  expect(Math.max(...deletes)).toBeLessThanOrEqual(9);
});

it('follows the weights within a percent over 20,000 operations, and other seeds draw in another order', () => {
  const few: readonly Choice[] = [
    { relation: 0, operation: 'insert', weight: 5 },
    { relation: 0, operation: 'update', weight: 3 },
    { relation: 0, operation: 'delete', weight: 2 },
  ];
  const counts = drawn(few, 20_000 / LANES, 7n);
  for (const [index, { weight }] of few.entries())
    expect(Math.abs(counts[index]! / 20_000 - weight / 10)).toBeLessThan(0.01);
  const first = (seed: bigint) => {
    const root = seedOf(seed);
    const mix = new Mix({ common: CHOICES, own: [], ownPart: 0 }, split(root, 'lane/0'), {
      seed: root,
      lane: 0,
      lanes: LANES,
    });
    return Array.from({ length: 100 }, (_, number) => CHOICES.indexOf(mix.draw(number)));
  };
  const [one, other] = [first(7n), first(8n)];
  expect(one.filter((choice, index) => choice === other[index]).length).toBeLessThan(5);
});
