import type { Stage } from '../lag/ladder.js';
import type { TargetStep } from './step.js';

/** The stage at which most of a target's lag came about, and the share of it; null where nothing is known. */
export function slowestStage({ stage_seconds: stages }: Pick<TargetStep, 'stage_seconds'>): {
  readonly stage: Stage;
  readonly share: number;
} | null {
  const entries = Object.entries(stages) as [Stage, number][];
  const sum = entries.reduce((total, [, seconds]) => total + seconds, 0);
  if (sum === 0) return null;
  const [stage, seconds] = entries.reduce((worst, each) => (each[1] > worst[1] ? each : worst));
  return { stage, share: seconds / sum };
}
