import { expect, it } from 'vitest';
import { mergePhases, PhaseLog } from '../../src/report/phases.js';
import { Schedule } from '../../src/traffic/schedule.js';

const NEVER = Number.POSITIVE_INFINITY;

it('names the phases of a schedule', () => {
  const stage = { duration: 10, rate: 5, ramp: false };
  const spike = { rate: 50, duration: 2, every: 5, offset: 1 };
  const stages = new Schedule({ stages: [stage, stage], spikes: [], end: NEVER });
  expect([-1, 0, 9.9, 10, 19, 20].map((at) => stages.phaseAt(at))).toEqual([
    null,
    'stage 1',
    'stage 1',
    'stage 2',
    'stage 2',
    null,
  ]);
  const spikes = new Schedule({ stages: [{ ...stage, duration: NEVER }], spikes: [spike], end: 20 });
  expect([0, 1, 2.9, 3, 6].map((at) => spikes.phaseAt(at))).toEqual([
    'the time between spikes',
    'the spikes',
    'the spikes',
    'the time between spikes',
    'the spikes',
  ]);
  const steady = new Schedule({ stages: [{ ...stage, duration: NEVER }], spikes: [], end: 20 });
  expect(steady.phaseAt(3)).toBeNull();
});

it('adds up what limited the run in each phase, and over shards', () => {
  const log = new PhaseLog();
  for (const limit of ['rate-bound', 'rate-bound', 'server-bound'] as const) log.add('stage 1', limit, 1);
  log.add('the spikes', 'server-bound', 0.96);
  const [stage, spikes] = log.verdicts();
  expect(stage).toEqual({
    phase: 'stage 1',
    seconds: 3,
    limits: { 'rate-bound': 2, 'server-bound': 1, 'generator-bound': 0 },
  });
  expect(spikes!.seconds).toBe(1);
  const other = { ...stage!, limits: { ...stage!.limits, 'generator-bound': 3, 'rate-bound': 0 } };
  expect(mergePhases([[stage!, spikes!], [other]])).toEqual([
    { ...stage, limits: { 'rate-bound': 2, 'server-bound': 1, 'generator-bound': 3 } },
    spikes,
  ]);
});
