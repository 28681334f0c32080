import { expect, it } from 'vitest';
import { reproducibleShare, storm } from './storm.js';

it('three rounds of faults leave true counts, and the rows of a run in peace', async () => {
  const told: string[] = [];
  const outcomes = await storm({ seed: 3, minutes: 4, most: 3, operations: 2500, animal: null, fault: null }, (text) =>
    told.push(text),
  );
  const text = told.join('\n');
  expect(outcomes.length, text).toBe(3);
  expect(
    outcomes.flatMap(({ wrong }) => wrong),
    text,
  ).toEqual([]);
  expect(
    outcomes.flatMap(({ struck }) => struck),
    text,
  ).not.toEqual([]);
  expect(reproducibleShare(outcomes), text).toBeGreaterThanOrEqual(0.8);
}, 360_000);
