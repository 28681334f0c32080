import { expect, it } from 'vitest';
import { reproducibleShare, storm } from './storm.js';

it('half a minute of faults leaves true counts, and the rows of a run in peace', async () => {
  const told: string[] = [];
  const outcomes = await storm(
    { seed: 3, minutes: 0.5, most: 100, operations: 4000, animal: null, fault: null },
    (text) => told.push(text),
  );
  const text = told.join('\n');
  expect(outcomes.length, text).toBeGreaterThan(1);
  expect(
    outcomes.flatMap(({ wrong }) => wrong),
    text,
  ).toEqual([]);
  expect(
    outcomes.flatMap(({ struck }) => struck),
    text,
  ).not.toEqual([]);
  expect(reproducibleShare(outcomes), text).toBeGreaterThanOrEqual(0.8);
}, 240_000);
