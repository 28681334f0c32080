import { describe, expect, it } from 'vitest';
import { drain } from '../../src/benchmark/drain.js';
import { Interrupted, type Load, type Look, type Stand } from '../../src/benchmark/load.js';
import { highestRate } from '../../src/benchmark/max.js';
import { settle } from '../../src/benchmark/settle.js';
import { slopeOf } from '../../src/benchmark/slope.js';
import { measure } from '../../src/benchmark/step.js';
import { LagHistogram } from '../../src/lag/lag-histogram.js';

const STEP_MS = 10;

/** A source and one target that applies so much per second, on a clock of their own. */
class Simulated implements Load {
  readonly connections = 1;
  readonly workers = 1;
  private ms = 0;
  private rate = 0;
  private operations = 0;
  private applied = 0;
  private readonly written: { ms: number; operations: number }[] = [];
  private shown = 0;
  private newestShownMs: number | null = null;
  private readonly lag = new LagHistogram();
  private readonly options: { source: number; target: number; heartbeatMs?: number; budgetMs?: number };
  pausedBecause: string | null = null;

  constructor(options: { source: number; target: number; heartbeatMs?: number; budgetMs?: number }) {
    this.options = options;
  }

  steer(rate: number): void {
    this.rate = rate;
  }

  look(): Look {
    const oldest = this.written[this.shown];
    const target = {
      target: 'replica',
      kind: 'logical',
      oldestUnseenMs: oldest === undefined ? 0 : this.ms - oldest.ms,
      newestShownMs: this.newestShownMs,
      lag: this.lag.totals(),
      behind: [],
      stages: { looks: 0, seconds: {} },
      reason: null,
      processes: { sender: null, applier: null },
    };
    return {
      ms: this.ms,
      operations: Math.floor(this.operations),
      replication: { targets: [target], slots: [], source: null },
    } as unknown as Look;
  }

  read(): Stand {
    const all = this.lag.copy();
    for (const { ms } of this.written.slice(this.shown)) all.observe(this.ms - ms, 1);
    const usage = {
      seconds: this.ms / 1000,
      cpuSeconds: 0,
      workers: [],
      laneMs: 0,
      inFlightMs: 0,
      pausedMs: 0,
      missed: 0,
    };
    return {
      ...this.look(),
      rows: this.operations,
      dropped: 0,
      reconnects: 0,
      pauses: 0,
      pausedBecause: this.pausedBecause,
      response: new LagHistogram().totals(),
      usage,
      lags: [all.totals()],
    };
  }

  async wait(ms: number): Promise<void> {
    for (const end = this.ms + ms; this.ms < end; ) {
      this.tick();
      if (this.ms > (this.options.budgetMs ?? 1e9)) throw new Interrupted('the budget is used up');
    }
    await Promise.resolve();
  }

  private tick(): void {
    const { source, target, heartbeatMs = 50 } = this.options;
    const before = this.ms;
    this.ms += STEP_MS;
    this.operations += (Math.min(this.rate, source) * STEP_MS) / 1000;
    this.applied = Math.min(this.operations, this.applied + (target * STEP_MS) / 1000);
    if (Math.floor(before / heartbeatMs) !== Math.floor(this.ms / heartbeatMs))
      this.written.push({ ms: this.ms, operations: this.operations });
    for (
      let next = this.written[this.shown];
      next !== undefined && next.operations <= this.applied;
      next = this.written[this.shown]
    ) {
      this.lag.observe(this.ms - next.ms, 1);
      this.newestShownMs = next.ms;
      this.shown++;
    }
  }

  tell(): void {}
  say(): void {}
  cpuSeconds(): null {
    return null;
  }
}

const LIMIT = { text: 'p99 < 1s', percentile: 'p99', seconds: 1 } as const;

describe('the highest rate', () => {
  it.each([90, 700, 12_345])('of a target that takes %d is found within 10 %', async (target) => {
    const { sustained, exceeded, interrupted, confirmations } = await highestRate(
      new Simulated({ source: 50_000, target }),
      { limit: LIMIT, holdMs: 20_000 },
    );
    expect(interrupted).toBeNull();
    expect(confirmations).toBe(3);
    expect(sustained).toBeGreaterThan(target * 0.9);
    expect(sustained).toBeLessThan(target * 1.05);
    expect(exceeded).toBeGreaterThan(target * 0.98);
    expect(exceeded! / sustained!).toBeLessThan(1.1);
  });

  it('is bounded from below alone where the source takes less than the target', async () => {
    const { sustained, exceeded, because } = await highestRate(new Simulated({ source: 2000, target: 9000 }), {
      limit: LIMIT,
      holdMs: 20_000,
    });
    expect(exceeded).toBeNull();
    expect(sustained).toBeGreaterThan(1600);
    expect(sustained).toBeLessThanOrEqual(2000);
    expect(because).toContain('operations/s were reached');
  });

  it('tells what is known where its time is up', async () => {
    const { interrupted, trials } = await highestRate(new Simulated({ source: 5000, target: 500, budgetMs: 60_000 }), {
      limit: LIMIT,
      holdMs: 20_000,
    });
    expect(interrupted).toBe('the budget is used up');
    expect(trials.length).toBeGreaterThan(0);
  });
});

describe('a drain', () => {
  it('takes as long as what stands in the queue needs', async () => {
    // 10 s at 1,000 a second, of which 600 are applied: 4,000 are left.
    const { targets } = await drain(new Simulated({ source: 1000, target: 600 }), { burstMs: 10_000, mostMs: 60_000 });
    const { seconds, rows_per_second: rows, headroom } = targets['replica']!;
    expect(seconds! / (4000 / 600)).toBeGreaterThan(0.97);
    expect(seconds! / (4000 / 600)).toBeLessThan(1.05);
    expect(rows! / 600).toBeGreaterThan(0.93);
    expect(rows! / 600).toBeLessThan(1.05);
    expect(headroom).toBeCloseTo(0.6, 1);
  });

  it('that does not end in time says so', async () => {
    const { targets } = await drain(new Simulated({ source: 1000, target: 10 }), { burstMs: 5000, mostMs: 3000 });
    expect(targets['replica']!.seconds).toBeNull();
  });

  it('is not over before a heartbeat was seen that came after the load', async () => {
    const load = new Simulated({ source: 1000, target: 1e9, heartbeatMs: 4000 });
    load.steer(100);
    await load.wait(500);
    const caughtUp = await settle(load, 10_000);
    expect(caughtUp.get('replica')).toBeGreaterThan(3000);
  });
});

describe('a step', () => {
  it('is void where the load was paused, or the source did not reach the rate', async () => {
    const load = new Simulated({ source: 100, target: 1e9 });
    expect((await measure(load, 500, 100, 2000)).void).toContain('of 500 operations/s were reached');
    expect((await measure(load, 50, 100, 2000)).void).toBeNull();
    load.pausedBecause = 'replication.fuse';
    expect((await measure(load, 50, 100, 2000)).void).toBe(
      'the load was paused during the measurement: replication.fuse',
    );
  });

  it('tells a slope, and how sure it is', () => {
    const line = Array.from({ length: 50 }, (_, at) => ({ seconds: at, value: 3 + at / 2 }));
    expect(slopeOf(line)).toEqual({ perSecond: 0.5, error: 0 });
    const noisy = line.map(({ seconds }, at) => ({ seconds, value: at % 2 }));
    const { perSecond, error } = slopeOf(noisy);
    expect(Math.abs(perSecond)).toBeLessThan(3 * error);
    expect(slopeOf(line.slice(0, 2)).error).toBe(Number.POSITIVE_INFINITY);
  });
});
