import { describe, expect, it } from 'vitest';
import { seedOf } from '../../src/random/seed.js';
import { Stream } from '../../src/random/stream.js';
import { Pacer } from '../../src/traffic/pacer.js';
import { SteeredSchedule } from '../../src/traffic/steering.js';

const FOREVER = Number.POSITIVE_INFINITY;

describe('a schedule that is steered', () => {
  it('numbers arrivals on through every change of the rate', () => {
    const steering = new SteeredSchedule(FOREVER);
    const reader = new SteeredSchedule(FOREVER, steering.memory);
    steering.steer(0, 100);
    steering.steer(10, 50);
    steering.steer(20, 0);
    steering.steer(30, 200);
    expect([0, 5, 10, 15, 25, 30, 31].map((each) => reader.arrivals(each))).toEqual([
      0, 500, 1000, 1250, 1500, 1500, 1700,
    ]);
    for (const position of [0, 250, 999, 1100, 1499, 1600]) {
      const due = reader.timeOf(position);
      expect(reader.arrivals(due)).toBeCloseTo(position, 6);
    }
    expect([5, 15, 25, 40].map((each) => reader.rateAt(each))).toEqual([100, 50, 0, 200]);
  });

  it('has no arrivals while nothing limits the load, and goes on with their numbers', () => {
    const steering = new SteeredSchedule(FOREVER);
    steering.steer(0, FOREVER);
    expect(steering.isUnlimited).toBe(true);
    expect(steering.arrivals(100)).toBe(0);
    steering.steer(100, 10);
    expect(steering.isUnlimited).toBe(false);
    expect(steering.timeOf(5)).toBeCloseTo(100.5, 9);
  });

  it('is over at its end, and only then', () => {
    const steering = new SteeredSchedule(60);
    steering.steer(0, 0);
    expect(steering.timeOf(0)).toBeLessThan(FOREVER);
    steering.steer(1, 10);
    expect(steering.arrivals(1000)).toBe(590);
    const pacing = { shape: { stages: [], spikes: [], end: 60 }, unit: 'operations', backlogSeconds: 1 } as const;
    const pacer = new Pacer({ ...pacing, arrival: 'constant', steering: steering.memory }, 0, 1, Stream.of(seedOf(1n)));
    for (let arrival = 0; arrival < 590; arrival++) pacer.take(1);
    // The rate may still be raised.
    expect(pacer.due(59)).toBeLessThan(FOREVER);
    expect(pacer.due(60)).toBe(FOREVER);
  });

  it('is known to a reader that has slept through more changes than are kept', () => {
    const steering = new SteeredSchedule(FOREVER);
    const reader = new SteeredSchedule(FOREVER, steering.memory);
    for (let second = 0; second < 1000; second++) steering.steer(second, 100 + (second % 7));
    expect(reader.arrivals(2000)).toBeCloseTo(steering.arrivals(2000), 6);
    expect(reader.timeOf(99_900)).toBeCloseTo(steering.timeOf(99_900), 6);
    expect(reader.timeOf(0)).toBeGreaterThan(700);
  });

  it('is dealt out to lanes without one that is lost or doubled', () => {
    const steering = new SteeredSchedule(FOREVER);
    steering.steer(0, 40);
    const lanes = [0, 1, 2].map(
      (lane) =>
        new Pacer(
          {
            shape: { stages: [], spikes: [], end: FOREVER },
            arrival: 'constant',
            unit: 'operations',
            backlogSeconds: FOREVER,
            steering: steering.memory,
          },
          lane,
          3,
          Stream.of(seedOf(BigInt(lane))),
        ),
    );
    let sent = 0;
    for (let now = 0; now < 30; now += 0.01) {
      if (Math.abs(now - 10) < 0.005) steering.steer(now, 200);
      if (Math.abs(now - 20) < 0.005) steering.steer(now, 5);
      for (const lane of lanes)
        while (lane.due(now) <= now) {
          lane.take(1);
          sent++;
        }
    }
    expect(Math.abs(sent - (400 + 2000 + 50))).toBeLessThanOrEqual(3);
  });
});
