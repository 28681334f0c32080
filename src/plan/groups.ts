import type { Draft } from './build.js';
import type { ValueGroup } from './plan.js';
import { groupOf, type Search } from './search.js';

/**
 * The draft with the groups that searches have found; `accepted`: by search, positions of the tuples that the server
 * takes. A table for whose conditions none was found takes no INSERT, and has a finding that says so.
 */
export function applySearches(draft: Draft, accepted: readonly (readonly number[])[]): Draft {
  const findings = [...draft.findings];
  const groups = draft.plan.relations.map((): ValueGroup[] => []);
  const barred = new Set<number>();
  for (const [index, search] of draft.searches.entries()) {
    const group = groupOf(search, accepted[index]!);
    if (group !== undefined) {
      groups[search.relation]!.push(group);
      continue;
    }
    barred.add(search.relation);
    findings.push({
      relation: search.label,
      column: null,
      prevents: ['insert'],
      reason: `no values were found that meet ${[...new Set(search.conditions)].join(', ')} (${search.candidates.length} were tried)`,
      remedy: `generator.column_overrides for ${search.columns.map((column) => draft.plan.relations[search.relation]!.columns[column]!.name).join(', ')}`,
    });
  }
  const relations = draft.plan.relations.map((relation, index) => ({
    ...relation,
    groups: groups[index]!,
    operations: barred.has(index) ? { ...relation.operations, insert: false } : relation.operations,
    updateSets: barred.has(index)
      ? relation.updateSets.filter((set) => !isTied(set, draft.searches, index))
      : relation.updateSets,
  }));
  const choices = draft.plan.choices.filter(
    ({ relation, operation }) => operation !== 'insert' || !barred.has(relation),
  );
  return { ...draft, findings, plan: { ...draft.plan, relations, choices } };
}

function isTied(set: readonly number[], searches: readonly Search[], relation: number): boolean {
  return searches.some(
    (search) => search.relation === relation && search.columns.some((column) => set.includes(column)),
  );
}
