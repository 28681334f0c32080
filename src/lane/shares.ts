import type { Choice, Plan } from '../plan/plan.js';
import { type ClaimSet, PINNED } from './claims.js';

/**
 * What a lane draws from. A table with room for fewer rows than there are lanes belongs to some of them: these draw it
 * so much more often, and the rest so much less, that over all lanes the mix follows the weights. Empty: the lane owns
 * none of the tables.
 */
export function choicesOf(plan: Plan, claims: ClaimSet, lane: number): readonly Choice[] {
  const lanes = plan.quotas.length;
  const owners = new Map<number, ReadonlySet<number>>();
  for (const { relation } of plan.choices) {
    if (plan.relations[relation]!.capacity < lanes && !owners.has(relation))
      owners.set(relation, ownersOf(plan, claims, relation));
  }
  if (owners.size === 0 || plan.rowSelection === 'system_rows') return plan.choices;
  const total = plan.choices.reduce((sum, { weight }) => sum + weight, 0);
  let own = 0;
  let everybodys = 0;
  const weightHere = ({ relation, weight }: Choice): number => {
    const few = owners.get(relation)!;
    return few.has(lane) ? ((weight / total) * lanes) / few.size : 0;
  };
  for (const choice of plan.choices) {
    if (owners.has(choice.relation)) own += weightHere(choice);
    else everybodys += choice.weight;
  }
  // A share beyond all that the lane does cannot be had; then the lane does nothing else.
  const scale = own > 1 ? 1 / own : 1;
  const rest = everybodys === 0 ? 0 : Math.max(0, 1 - own) / everybodys;
  return plan.choices
    .map((choice) => ({
      ...choice,
      weight: owners.has(choice.relation) ? weightHere(choice) * scale : choice.weight * rest,
    }))
    .filter(({ weight }) => weight > 0);
}

/** Lanes that can ever hold a row of a table of few rows. */
function ownersOf(plan: Plan, claims: ClaimSet, relation: number): ReadonlySet<number> {
  const owners = new Set<number>();
  for (let ordinal = 0; ordinal < plan.relations[relation]!.capacity; ordinal++) owners.add(ordinal);
  for (const lane of claims[relation]!.lanes) if (lane !== PINNED) owners.add(lane);
  return owners;
}
