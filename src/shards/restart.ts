import { type ClaimSet, NOBODY } from '../lane/rows/claims.js';
import type { Plan } from '../plan/plan.js';
import { appliedIn } from '../traffic/counters.js';
import type { LeftBehind } from './progress.js';

/**
 * Returns the plan and the claims of lanes whose course is not known: they draw other values than before, behind the keys that they
 * may have used. Nothing tells which of their rows are there, so that they leave them alone. They carry out the operations that were
 * left when their progress was told.
 */
export function begunAgain(
  { plan, claims }: { readonly plan: Plan; readonly claims: ClaimSet },
  lanes: readonly number[],
  { counters, places }: LeftBehind,
  incarnation: number,
): { readonly plan: Plan; readonly claims: ClaimSet } {
  const size = { relations: plan.relations.length, lanes: plan.quotas.length };
  const leftOf = (quota: number, lane: number) =>
    Math.max(0, quota - counters.reduce((sum, block) => sum + appliedIn(block, size, lane), 0));
  const quotas = plan.quotas.map((quota, lane) => (quota < 0 || !lanes.includes(lane) ? quota : leftOf(quota, lane)));
  return {
    plan: { ...plan, quotas, restart: { streams: incarnation, places } },
    claims: claims.map((claim) => {
      const left = claim.lanes.map((lane) => (lanes.includes(lane) ? NOBODY : lane));
      const disowned = left.filter((lane) => lane === NOBODY).length;
      return { ...claim, lanes: left, unowned: claim.unowned + disowned };
    }),
  };
}
