import { expect, it } from 'vitest';
import { Unseen } from '../../src/lag/unseen.js';
import { bytesBetween, parseLsn } from '../../src/lag/wal.js';

it('hands out heartbeats in order, with the moment each was committed', () => {
  const unseen = new Unseen();
  for (let sequence = 1; sequence <= 5000; sequence++) unseen.add(sequence, sequence * 10);
  const seen: number[] = [];
  unseen.takeUpTo(3000, (ms) => seen.push(ms));
  expect(seen).toEqual(Array.from({ length: 3000 }, (_, index) => (index + 1) * 10));
  expect(unseen.size).toBe(2000);
  expect(unseen.oldestMs).toBe(30_010);
  unseen.takeUpTo(2000, () => expect.unreachable());
});

it('stays small when a target is away for days, and forgets none', () => {
  const unseen = new Unseen();
  const count = 5_184_000; // three days of a heartbeat every 50 ms
  for (let sequence = 1; sequence <= count; sequence++) unseen.add(sequence, sequence * 50);
  expect(unseen.size).toBe(count);
  expect(unseen.oldestMs).toBe(50);
  let groups = 0;
  let heartbeats = 0;
  let before = 0;
  let inOrder = true;
  unseen.takeUpTo(Number.POSITIVE_INFINITY, (ms, many) => {
    inOrder &&= ms > before;
    before = ms;
    groups++;
    heartbeats += many;
  });
  expect(inOrder).toBe(true);
  expect(heartbeats).toBe(count);
  expect(groups).toBeLessThanOrEqual(200_000);
  expect(unseen.size).toBe(0);
  expect(unseen.oldestMs).toBeNull();
});

it('reads positions in the log', () => {
  expect(parseLsn('16/B374D848')).toBe(0x16b374d848n);
  expect(bytesBetween(parseLsn('0/FFFFFFFF'), parseLsn('1/0'))).toBe(1);
  expect(bytesBetween(parseLsn('1/0'), parseLsn('0/1'))).toBe(0);
});
