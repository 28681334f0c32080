import { Interrupted, type Load } from './load.js';
import { settle } from './settle.js';
import { measure, type Step, warmUpOf } from './step.js';

export interface CurveOptions {
  /** Shares of the source's own maximum, ascending. */
  readonly shares: readonly number[];
  readonly holdMs: number;
}

/** How the lag grows with the load. */
export interface CurveResult {
  readonly kind: 'curve';
  /** Why not all of it was measured; null where it was. */
  readonly interrupted: string | null;
  /** What the source takes as fast as it goes; null where that was not measured. */
  readonly source: Step | null;
  readonly steps: readonly CurveStep[];
}

interface CurveStep extends Step {
  /** Of the source's maximum. */
  readonly share: number;
  /** Targets that had not caught up with the step before when this one began. */
  readonly not_caught_up: readonly string[];
}

/* The source's own maximum is looked for in a shorter time. */
const MOST_MAXIMUM_MS = 15_000;
/* A target that lags has so many times the step to catch up. */
const PATIENCE = 2;

/** What the source takes when nothing holds the load back. */
function sourceMaximum(load: Load, holdMs: number): Promise<Step> {
  const ms = Math.min(MOST_MAXIMUM_MS, holdMs);
  return measure(load, null, warmUpOf(ms), ms);
}

/** The source's maximum first, then a step at each share of it. */
export async function lagCurve(load: Load, { shares, holdMs }: CurveOptions): Promise<CurveResult> {
  const steps: CurveStep[] = [];
  let source: Step | null = null;
  const stepMs = holdMs + warmUpOf(holdMs);
  const left = (done: number) => ((shares.length - done) * stepMs) / 1000;
  try {
    load.tell('measuring the maximum rate of the source', left(0) + Math.min(MOST_MAXIMUM_MS, holdMs) / 1000);
    source = await sourceMaximum(load, holdMs);
    load.say(`at full speed the source reaches ${Math.round(source.operations_per_second)} operations/s`);
    for (const [index, share] of shares.entries()) {
      load.tell(`waiting for targets to catch up before step ${index + 1} of ${shares.length}`, left(index));
      const behind = [...(await settle(load, holdMs * PATIENCE))].flatMap(([target, ms]) =>
        ms === null ? target : [],
      );
      const rate = source.operations_per_second * share;
      load.tell(`step ${index + 1} of ${shares.length}: ${Math.round(rate)} operations/s`, left(index));
      steps.push({ share, not_caught_up: behind, ...(await measure(load, rate, warmUpOf(holdMs), holdMs)) });
    }
    return { kind: 'curve', interrupted: null, source, steps };
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    return { kind: 'curve', interrupted: error.message, source, steps };
  }
}
