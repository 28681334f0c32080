import type { Choice, Finding, Plan } from '../plan/plan.js';
import { type Refusal, type Rehearsing, tryAll } from './trial.js';

/* Columns that are tried one by one where sets of them are refused. */
const MOST_SUSPECTS = 40;

interface Updates {
  readonly plan: Plan;
  /** UPDATEs of which no set of columns passes. */
  readonly refused: readonly Refusal[];
  readonly findings: readonly Finding[];
  /** True for a choice that has been tried here. */
  isTried(choice: Choice): boolean;
}

/** The plan without columns that triggers do not let change: each set is tried, then each group of those that are refused. */
export async function withPossibleUpdates(
  rehearsing: Rehearsing,
  plan: Plan,
  among: readonly number[],
): Promise<Updates> {
  const chosen = new Set(plan.choices.flatMap(({ relation, operation }) => (operation === 'update' ? relation : [])));
  const asked = among.filter((index) => chosen.has(index) && plan.relations[index]!.updateSets.length > 0);
  // A row must be there to be updated.
  const choices = plan.choices.filter(({ operation }) => operation !== 'delete');
  const trySets = async (setsOf: (relation: number) => readonly (readonly number[])[]) => {
    const failures = new Map<number, { readonly set: readonly number[]; readonly refusal: Refusal }[]>();
    for (let position = 0; asked.some((index) => setsOf(index).length > position); position++) {
      const relations = plan.relations.map((relation, index) => ({
        ...relation,
        updateSets: setsOf(index).slice(position, position + 1),
      }));
      const present = asked.filter((index) => setsOf(index).length > position);
      for (const refusal of await tryAll(rehearsing, { ...plan, relations, choices }, present)) {
        if (refusal.kind !== 'update') continue;
        const set = setsOf(refusal.relation)[position]!;
        failures.set(refusal.relation, [...(failures.get(refusal.relation) ?? []), { set, refusal }]);
      }
    }
    return failures;
  };
  const failedSets = await trySets((index) => plan.relations[index]!.updateSets);
  const suspects = (index: number): readonly (readonly number[])[] => {
    const failed = failedSets.get(index)?.map(({ set }) => set) ?? [];
    if (failed.length === 0) return [];
    const { updateSets, updateGroups } = plan.relations[index]!;
    const passed = new Set(updateSets.filter((set) => !failed.includes(set)).flat());
    return updateGroups.filter((group) => group.some((column) => !passed.has(column))).slice(0, MOST_SUSPECTS);
  };
  const failedGroups = await trySets(suspects);
  const refused: Refusal[] = [];
  const findings: Finding[] = [];
  const relations = plan.relations.map((relation, index) => {
    const failures = failedSets.get(index);
    if (failures === undefined) return relation;
    const groups = failedGroups.get(index) ?? [];
    // Where each group passes by itself, only the sets that were refused are left out.
    const fixed = new Set(groups.flatMap(({ set }) => set));
    const sets = relation.updateSets
      .filter((set) => fixed.size > 0 || !failures.some((failure) => failure.set === set))
      .map((set) => set.filter((column) => !fixed.has(column)));
    const left = [...new Map(sets.filter((set) => set.length > 0).map((set) => [set.join(), set])).values()];
    if (left.length === 0) {
      refused.push(failures[0]!.refusal);
      return relation;
    }
    for (const { set, refusal } of groups)
      findings.push({
        relation: relation.label,
        column: set.map((column) => relation.columns[column]!.name).join(', '),
        prevents: [],
        reason: `${refusal.reason}, so an UPDATE leaves it as it is`,
        remedy: 'nothing to do: other columns are updated',
      });
    return { ...relation, updateSets: left };
  });
  return {
    plan: { ...plan, relations },
    refused,
    findings,
    isTried: ({ relation, operation }) => operation === 'update' && asked.includes(relation),
  };
}
