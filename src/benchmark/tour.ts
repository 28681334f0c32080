import { type CurveResult, lagCurve } from './curve.js';
import { type DrainResult, drain } from './drain.js';
import type { Load } from './load.js';
import { highestRate, type MaxResult } from './max.js';

/** A short look at what the benchmarks tell. */
export interface TourResult {
  readonly kind: 'tour';
  readonly interrupted: string | null;
  readonly parts: readonly (CurveResult | MaxResult | DrainResult)[];
}

const SHARES = [0.25, 0.5, 0.75, 1];
const LIMIT = { text: 'p99 < 2s', percentile: 'p99', seconds: 2 } as const;

/** Curve, maximum and drain, each as short as it can be: for a first impression, not for figures to rely on. */
export async function tour(load: Load, holdMs: number): Promise<TourResult> {
  const parts: TourResult['parts'][number][] = [];
  const steps = [
    () => lagCurve(load, { shares: SHARES, holdMs }),
    () => drain(load, { burstMs: holdMs * 2, mostMs: holdMs * 10 }),
    () => highestRate(load, { limit: LIMIT, holdMs: holdMs / 2 }),
  ];
  for (const step of steps) {
    const part = await step();
    parts.push(part);
    if (part.interrupted !== null) return { kind: 'tour', interrupted: part.interrupted, parts };
  }
  return { kind: 'tour', interrupted: null, parts };
}
