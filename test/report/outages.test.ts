import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Outages } from '../../src/report/outages.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function recording() {
  const said: string[] = [];
  return { said, outages: new Outages(4, performance.now(), (text) => said.push(text)) };
}

it('tells when an outage begins and when all lanes are connected again, and lists it', () => {
  const { said, outages } = recording();
  vi.advanceTimersByTime(2000);
  outages.lost(1, 'the server closed the connection');
  outages.lost(2, 'reset');
  vi.advanceTimersByTime(1500);
  outages.connected(1);
  outages.connected(3);
  expect(outages.spans()).toEqual([{ from: 2, to: 3.5 }]);
  outages.connected(2);
  expect(said).toEqual([
    '1 of 4 lanes lost the connection to the database and reconnect: the server closed the connection',
    'all lanes are connected again after 1.5 s; 2 had lost their connection',
  ]);
  expect(outages.list()).toMatchObject([{ seconds: 1.5, lanes: 2, reason: 'the server closed the connection' }]);
});

it('tells of outages that come one after the other once in ten seconds, with their number', () => {
  const { said, outages } = recording();
  for (let cut = 0; cut < 50; cut++) {
    outages.lost(0, 'cut');
    vi.advanceTimersByTime(20);
    outages.connected(0);
    vi.advanceTimersByTime(180);
  }
  outages.lost(0, 'cut again');
  expect(said).toEqual([
    '1 of 4 lanes lost the connection to the database and reconnect: cut',
    'all lanes are connected again after 0.0 s; 1 had lost their connection',
    '1 of 4 lanes lost the connection to the database and reconnect: cut again (49 short outages before this one were not reported)',
  ]);
  expect(outages.list()).toHaveLength(51);
});

it('tells later of one that lasts, and keeps the newest thousand', () => {
  const { said, outages } = recording();
  outages.lost(0, 'first');
  outages.connected(0);
  outages.lost(0, 'second');
  expect(said).toHaveLength(2);
  vi.advanceTimersByTime(10_000);
  expect(said[2]).toContain('second');
  outages.end();
  for (let each = 0; each < 1100; each++) {
    outages.lost(0, String(each));
    outages.connected(0);
  }
  expect(outages.list()).toHaveLength(1000);
  expect(outages.list().at(-1)!.reason).toBe('1099');
});
