import { setTimeout as wait } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Control } from '../../src/traffic/control.js';

it('tells an outage of all lanes from that of one', async () => {
  const control = new Control(0, 0);
  control.reset();
  await wait(5);
  expect(control.outageMs()).toBeGreaterThan(0);
  control.up();
  control.up();
  expect(control.outageMs()).toBe(0);
  control.down();
  expect(control.outageMs()).toBe(0);
  control.down();
  await wait(5);
  const outageMs = control.outageMs();
  expect(outageMs).toBeGreaterThan(0);
  // It began when the last one went, not when the run did.
  expect(outageMs).toBeLessThan(1000);
});

it('starts the clock of a schedule when all lanes are connected, or soon without the last one', async () => {
  const all = new Control(0, 0);
  all.connected(2);
  expect(all.elapsedMs()).toBeLessThan(0);
  all.connected(2);
  expect(all.elapsedMs()).toBeGreaterThanOrEqual(0);
  const one = new Control(0, 0);
  one.connected(2);
  let isStarted = false;
  for (let look = 0; look < 200 && !isStarted; look++) {
    await wait(50);
    isStarted = one.elapsedMs() >= 0;
  }
  expect(isStarted).toBe(true);
});

it('a stop stays a stop, a cut a cut', () => {
  const control = new Control(0, 0);
  expect([control.stopped, control.isCut]).toEqual([false, false]);
  control.stop();
  expect([control.stopped, control.isCut]).toEqual([true, false]);
  control.cut();
  control.stop();
  expect([control.stopped, control.isCut]).toEqual([true, true]);
});
