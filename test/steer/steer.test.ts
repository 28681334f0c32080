import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { ReplicationReading } from '../../src/lag/probe.js';
import { NO_WISH, readControlFile } from '../../src/steer/control-file.js';
import { Fuse } from '../../src/steer/fuse.js';
import { LagHolder } from '../../src/steer/lag-holder.js';

const folder = mkdtempSync(path.join(tmpdir(), 'steer-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a lag that is held', () => {
  /* A source that takes so much, and a replica that applies so much per second and shows everything after its place in the queue. */
  const simulate = (wanted: number, { source, replica }: { source: number; replica: (second: number) => number }) => {
    const holder = new LagHolder(wanted);
    let rate = holder.next({ seconds: 1, lag: 0, achieved: 0 }, Number.POSITIVE_INFINITY);
    const written: { count: number; second: number }[] = [];
    let [total, applied] = [0, 0];
    const lags: number[] = [];
    for (let second = 1; second <= 400; second++) {
      const achieved = Math.min(rate, source);
      total += achieved;
      written.push({ count: total, second });
      applied = Math.min(total, applied + replica(second));
      // Within a second rows are written evenly.
      const at = written.findIndex(({ count }) => count > applied);
      const before = written[at - 1]?.count ?? 0;
      const share = at < 0 ? 0 : (applied - before) / (written[at]!.count - before);
      const lag = at < 0 ? 0 : second - (written[at]!.second - 1 + share);
      lags.push(lag);
      rate = holder.next({ seconds: 1, lag, achieved }, Number.POSITIVE_INFINITY);
    }
    return lags;
  };
  const mean = (values: readonly number[]) => values.reduce((sum, each) => sum + each, 0) / values.length;

  it.each([5, 20])('comes to %d seconds and stays there', (wanted) => {
    const lags = simulate(wanted, { source: 20_000, replica: () => 3000 });
    const late = lags.slice(200);
    expect(mean(late)).toBeGreaterThan(wanted * 0.7);
    expect(mean(late)).toBeLessThan(wanted * 1.3);
    expect(Math.max(...late)).toBeLessThan(wanted * 2);
  });

  it('follows a replica that becomes slower', () => {
    const lags = simulate(5, { source: 20_000, replica: (second) => (second < 150 ? 3000 : 1000) });
    const late = lags.slice(300);
    expect(mean(late)).toBeGreaterThan(3);
    expect(mean(late)).toBeLessThan(8);
  });

  it('does not ask for more than the source gives, nor than it may', () => {
    expect(Math.max(...simulate(5, { source: 500, replica: () => 3000 }))).toBeLessThan(2);
    const holder = new LagHolder(5);
    for (let at = 0; at < 50; at++)
      expect(holder.next({ seconds: 1, lag: 0, achieved: 1e9 }, 700)).toBeLessThanOrEqual(700);
  });
});

describe('the fuse', () => {
  const reading = (retainedBytes: number, { lagMs = 0, safeBytes = null as number | null } = {}) =>
    ({
      targets: [{ target: 'warehouse', oldestUnseenMs: lagMs }],
      slots: [{ slot: 'debezium', retainedBytes, safeBytes }],
    }) as unknown as ReplicationReading;
  const limits = { retainedBytes: 100e6, slots: null, safeBytes: 50e6, lagMs: 60_000 };

  it('blows at its limit and is whole again below 80 % of it', () => {
    const fuse = new Fuse(limits);
    expect(fuse.look(reading(99e6))).toBeNull();
    expect(fuse.look(reading(100e6))).toBe('slot debezium makes the server keep 95 MB of WAL (limit 95 MB)');
    expect(fuse.look(reading(85e6))).not.toBeNull();
    expect(fuse.look(reading(79e6))).toBeNull();
    expect(fuse.look(reading(85e6))).toBeNull();
  });

  it('counts what is left before a slot is lost, and a lag', () => {
    expect(new Fuse(limits).look(reading(0, { safeBytes: 49e6 }))).toContain(
      'slot debezium will be lost after another 47 MB of WAL',
    );
    expect(new Fuse(limits).look(reading(0, { lagMs: 61_000 }))).toBe(
      'target warehouse is 61.0 s behind (limit 60.0 s)',
    );
  });

  it('looks at the slots that are named alone, where they are', () => {
    expect(new Fuse({ ...limits, slots: new Set(['another']) }).look(reading(1e9))).toBeNull();
  });
});

describe('the control file', () => {
  const file = path.join(folder, 'control.yaml');
  const said = (text: string) => {
    writeFileSync(file, text);
    return readControlFile(file);
  };

  it('says a rate, a pause, or nothing', () => {
    expect(readControlFile(path.join(folder, 'nowhere'))).toEqual(NO_WISH);
    expect(said('')).toEqual(NO_WISH);
    expect(said('rate: 500')).toEqual({ rate: 500, pause: false });
    expect(said('{ "pause": true }')).toEqual({ rate: null, pause: true });
  });

  it.each(['rate: -1', 'rate: fast', 'speed: 3', '- 1', 'rate: [', '5'])('says what is wrong with %j', (text) => {
    expect(() => said(text)).toThrow(file);
  });
});
