import { describe, expect, it } from 'vitest';
import type { Standing } from '../../src/lag/eyes/eye.js';
import { rungsOf } from '../../src/lag/ladder.js';
import { Source } from '../../src/lag/source.js';
import { parseLsn } from '../../src/lag/wal.js';

/* A source that has written a megabyte a second for a hundred seconds, a heartbeat each second. */
function source(): Source {
  const found = new Source();
  for (let second = 0; second <= 100; second++) found.log.add(second + 1, BigInt(second) * 1_000_000n, second * 1000);
  return found;
}

const NOW = 100_000;
const at = (second: number) => BigInt(second * 1_000_000);

function standing(change: Partial<Standing>): Standing {
  return { positions: [], reason: null, isApplying: null, processId: null, senderId: 7, ...change };
}

describe('when the source has written which position', () => {
  it('is told to the moment between two heartbeats', () => {
    const { log } = source();
    expect(log.ageOf(at(90.5), NOW)).toBeCloseTo(9500, 6);
    expect(log.ageOf(at(100) + 1n, NOW)).toBe(0);
    expect(log.sequenceBefore(at(50))).toBe(50);
    expect(log.sequenceBefore(at(50) + 1n)).toBe(51);
    expect(log.sequenceBefore(0n)).toBe(0);
    expect(new Source().log.ageOf(5n, NOW)).toBeNull();
  });

  it('forgets nothing but detail in days', () => {
    const { log } = new Source();
    for (let beat = 1; beat <= 500_000; beat++) log.add(beat, BigInt(beat) * 10n, beat * 50);
    expect(log.ageOf(10n * 250_000n, 500_000 * 50)).toBeCloseTo(250_000 * 50, -3);
    expect(500_000 - log.sequenceBefore(parseLsn('0/FFFFFFFF'))).toBeLessThan(8);
  });
});

describe('the stages of a lag', () => {
  const positions = (seconds: Readonly<Record<string, number>>) =>
    Object.entries(seconds).map(([position, second]) => ({ position, lsn: at(second) }));
  const stages = (
    ...[kind, given, oldestMs, isBlocked = false]: [Parameters<typeof rungsOf>[0], Partial<Standing>, number, boolean?]
  ) => {
    const from = source();
    from.reading = {
      atMs: NOW,
      lsn: at(100),
      slots: [],
      senders: [{ processId: 7, isBlocked } as (typeof from.reading & object)['senders'][number]],
    };
    return Object.fromEntries(
      [...rungsOf(kind, standing(given), from, oldestMs, NOW)].map(([stage, value]) => [stage, Math.round(value)]),
    );
  };

  it('of a standby add up to the whole', () => {
    const given = { positions: positions({ sent: 99, written: 97, received: 96, replayed: 80 }) };
    expect(stages('physical', given, 21_000)).toEqual({ walsender: 1, network: 2, disk: 1, replay: 17 });
  });

  it('of a subscriber: what lies in the network’s buffers while its worker is busy belongs to the worker', () => {
    const given = { positions: positions({ sent: 95, received: 85 }) };
    expect(stages('logical', { ...given, isApplying: false }, 16_000)).toEqual({
      walsender: 5,
      network: 10,
      'apply worker': 1,
    });
    expect(stages('logical', { ...given, isApplying: true }, 16_000)).toEqual({ walsender: 5, 'apply worker': 11 });
    expect(stages('logical', { ...given, isApplying: true }, 16_000, true)).toEqual({ 'apply worker': 16 });
    expect(stages('logical', { ...given, isApplying: false }, 16_000, true)).toEqual({
      network: 15,
      'apply worker': 1,
    });
  });

  it('of a slot: a sender that waits for its consumer is not what is slow', () => {
    const given = { positions: positions({ sent: 90, confirmed: 70 }) };
    expect(stages('slot', given, 30_000)).toEqual({ walsender: 10, consumer: 20 });
    expect(stages('slot', given, 30_000, true)).toEqual({ consumer: 30 });
  });

  it('of what tells no positions: it is all the consumer’s', () => {
    expect(stages('command', {}, 5000)).toEqual({ consumer: 5 });
  });
});
