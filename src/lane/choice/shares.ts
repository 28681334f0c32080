import type { Choice, Plan } from '../../plan/plan.js';
import { type ClaimSet, PINNED } from '../rows/claims.js';

/** What a lane draws from. */
export interface Share {
  /** Choices that every lane has, with the same weights among themselves. */
  readonly common: readonly Choice[];
  /** Choices on tables of few rows of which the lane owns some, and the share of its draws that they get. */
  readonly own: readonly Choice[];
  readonly ownPart: number;
}

const MOST_OWN = 0.9;

/** Returns both kinds of choices; empty if the lane owns none of the tables. */
export function choicesOf({ common, own }: Share): readonly Choice[] {
  return [...common, ...own];
}

/**
 * Returns what a lane draws from. A table with room for fewer rows than there are lanes belongs to some of them. These
 * draw it more often and the others less, so that over all lanes the mix follows the weights.
 */
export function shareOf(plan: Plan, claims: ClaimSet, lane: number): Share {
  const lanes = plan.quotas.length;
  const owners = ownersOfFew(plan, claims);
  if (owners.size === 0 || plan.rowSelection === 'system_rows') return { common: plan.choices, own: [], ownPart: 0 };
  const total = plan.choices.reduce((sum, { weight }) => sum + weight, 0);
  const weightHere = ({ relation, weight }: Choice): number => {
    const few = owners.get(relation)!;
    return few.has(lane) ? ((weight / total) * lanes) / few.size : 0;
  };
  const common = plan.choices.filter(({ relation }) => !owners.has(relation));
  const own = plan.choices
    .filter(({ relation }) => owners.has(relation))
    .map((choice) => ({ ...choice, weight: weightHere(choice) }))
    .filter(({ weight }) => weight > 0);
  const part = own.reduce((sum, { weight }) => sum + weight, 0);
  // The share is bounded by all that the lane does, less something for other tables whose rows may be needed.
  return { common, own, ownPart: common.length === 0 && own.length > 0 ? 1 : Math.min(part, MOST_OWN) };
}

/** By relation: the lanes that can own its rows, if not all can: tables of few rows, and tables that reference them. */
function ownersOfFew(plan: Plan, claims: ClaimSet): Map<number, ReadonlySet<number>> {
  const lanes = plan.quotas.length;
  const owners = new Map<number, ReadonlySet<number>>();
  for (const [relation, { capacity, targeted }] of plan.relations.entries()) {
    if (!targeted) continue;
    const few = capacity < lanes ? ownersOf(plan, claims, relation) : ownersByDemand(plan, claims, relation);
    if (few !== null) owners.set(relation, few);
  }
  if (owners.size === 0) return owners;
  for (let changed = true; changed; ) {
    changed = false;
    for (const [relation, { foreignKeys, targeted }] of plan.relations.entries()) {
      // Existing rows may be changed by the lanes that own them.
      if (!targeted || claims[relation]!.count > 0) continue;
      for (const { parent, nullable, makesParent } of foreignKeys) {
        const few = owners.get(parent);
        if (
          few === undefined ||
          nullable ||
          makesParent ||
          parent === relation ||
          claims[parent]!.lanes.includes(PINNED)
        )
          continue;
        const before = owners.get(relation);
        const both = before === undefined ? few : new Set([...before].filter((lane) => few.has(lane)));
        if (before !== undefined && both.size === before.size) continue;
        owners.set(relation, both);
        changed = true;
      }
    }
  }
  return owners;
}

/**
 * Lanes that can insert the parents which a condition of the table demands by their keys; null where it demands none, or
 * where they are there for every lane.
 */
function ownersByDemand(plan: Plan, claims: ClaimSet, relation: number): ReadonlySet<number> | null {
  const lanes = plan.quotas.length;
  for (const { only, nullable, parent } of plan.relations[relation]!.foreignKeys) {
    const recipe = only === null ? undefined : plan.relations[parent]!.columns[only.parentColumn]!.recipe;
    if (nullable || recipe?.kind !== 'sequence' || recipe.form.kind !== 'demanded' || claims[parent]!.count > 0)
      continue;
    const { values } = recipe.form;
    return new Set(only!.values.map((value) => values.indexOf(value) % lanes));
  }
  return null;
}

/** Returns the lanes that can ever own a row of a table of few rows. */
function ownersOf(plan: Plan, claims: ClaimSet, relation: number): ReadonlySet<number> {
  const owners = new Set<number>();
  for (let ordinal = 0; ordinal < plan.relations[relation]!.capacity; ordinal++) owners.add(ordinal);
  for (const lane of claims[relation]!.lanes) if (lane !== PINNED) owners.add(lane);
  return owners;
}
