import { expect, it } from 'vitest';
import { verdictOf } from '../../src/traffic/verdict.js';

const RUN = { workers: 2, connections: 4, elapsedSeconds: 60, missed: 0 };

it('names the server while the generator has time left', () => {
  const { limit, advice } = verdictOf({ worker: 0.4, worker_cpu: 0.35, connections: 0.99, waiting: 0 }, RUN);
  expect(limit).toBe('server-bound');
  expect(advice).toContain('99 %');
});

it('names the generator where a thread is at its limit and on a core, and what to change', () => {
  const busy = { worker: 0.97, worker_cpu: 0.9, connections: 0.99, waiting: 0 };
  expect(verdictOf(busy, RUN)).toEqual({
    limit: 'generator-bound',
    advice: 'a worker thread was busy 97 % of the time; raise generator.workers (now 2)',
  });
  expect(verdictOf(busy, { ...RUN, workers: 4 }).advice).toContain('more machines');
  // A loop that runs on while its thread waits for a core says that the cores are taken, not that the generator is slow.
  expect(verdictOf({ ...busy, worker_cpu: 0.3 }, RUN).limit).toBe('server-bound');
});

it('names the configuration where it makes connections wait', () => {
  expect(verdictOf({ worker: 0.1, worker_cpu: 0.1, connections: 0.2, waiting: 0.8 }, RUN).limit).toBe('rate-bound');
});

it('does not name the configuration where its rate was not kept', () => {
  const waiting = { worker: 0.1, worker_cpu: 0.1, connections: 0.2, waiting: 0.8 };
  const { limit, advice } = verdictOf(waiting, { ...RUN, missed: 12 });
  expect(limit).toBe('server-bound');
  expect(advice).toContain('12 operations of the schedule were dropped or late');
});

it('says so where a run was too short to tell', () => {
  const short = verdictOf(
    { worker: 0.97, worker_cpu: 0.9, connections: 0.99, waiting: 0 },
    { ...RUN, elapsedSeconds: 1 },
  );
  expect(short).toEqual({
    limit: null,
    advice: 'the run was too short to tell what limited it: most of it was startup',
  });
});
