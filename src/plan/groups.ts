import type { Draft } from './build.js';
import { searchNotes } from './constraint-notes.js';
import type { RelationPlan, ValueGroup } from './plan.js';
import { formOf, groupOf, isUnneeded, keysOf, NULL_SHARE, type Search } from './search.js';
import { listed, type UniqueRecipe } from './unique-recipe.js';

/** A search, and the positions (from 1) of the candidates that the server accepts. */
export interface Proof {
  readonly search: Search;
  readonly accepted: readonly number[];
  /** Of these, the ones with which the conditions are true, not only unknown because of a NULL. */
  readonly certain: readonly number[];
}

/**
 * The draft with the groups that searches have found. A table for whose conditions none was found takes no INSERT, and has a finding that says so.
 */
export function applySearches(draft: Draft, proofs: readonly Proof[]): Draft {
  const findings = [...draft.findings];
  const notes = [...draft.notes];
  const groups = draft.plan.relations.map((): ValueGroup[] => []);
  const barred = new Set<number>();
  const uniques = new Map<string, UniqueRecipe>();
  const plain = new Set<string>();
  const loose = new Set<string>();
  const strict = new Set<string>();
  for (const { search, accepted, certain } of proofs) {
    notes.push(...searchNotes(search, accepted));
    if (isUnneeded(search, accepted)) {
      // Boundary values were not among the candidates.
      if (!search.isKey && !search.isComputed)
        for (const column of search.columns) plain.add(`${search.relation}/${column}`);
      continue;
    }
    if (search.isKey) {
      const form = formOf(search, accepted);
      if (form !== undefined) {
        uniques.set(`${search.relation}/${search.columns[0]!}`, form);
        continue;
      }
      const values = keysOf(search, accepted);
      if (values.length > 0) {
        uniques.set(`${search.relation}/${search.columns[0]!}`, listed(values));
        continue;
      }
    } else {
      // What is only unknown to a condition about a parent is seldom what the application means.
      const { trackedKeys } = draft.plan.relations[search.relation]!;
      const isTracked = trackedKeys.some((key) => key.some((column) => search.columns.includes(column)));
      const group = groupOf(search, search.isGuarded && certain.length > 0 ? certain : accepted, isTracked);
      if (group !== undefined) {
        groups[search.relation]!.push(group);
        if (search.isGuarded && certain.length > 0)
          for (const name of search.conditions) strict.add(`${search.relation}/${name}`);
        continue;
      }
    }
    if (search.isGuarded) {
      for (const column of search.columns) loose.add(`${search.relation}/${column}`);
      continue;
    }
    barred.add(search.relation);
    const all = draft.plan.relations[search.relation]!.columns;
    const columns = search.columns.map((column) => all[column]!.name);
    findings.push({
      relation: search.label,
      column: null,
      columns,
      prevents: ['insert'],
      reason: `found no values that satisfy ${[...new Set(search.conditions)].join(', ')} (tried ${search.candidates.length})`,
      remedy: `set generator.column_overrides for ${columns.join(', ')}`,
    });
  }
  const relations = draft.plan.relations.map((relation, index) => ({
    ...relation,
    columns: relation.columns.map((column, position) => {
      const unique = uniques.get(`${index}/${position}`);
      if (plain.has(`${index}/${position}`)) return { ...column, edges: [] };
      // Often enough for a row that is drawn again to meet a condition that wants NULL.
      if (loose.has(`${index}/${position}`) && column.nullRatio > 0)
        return { ...column, nullRatio: Math.max(column.nullRatio, NULL_SHARE) };
      // The tuples decide where a unique column is NULL.
      if (column.source === 'ordinal' && groups[index]!.some((group) => group.columns.includes(position)))
        return { ...column, nullRatio: 0 };
      return unique === undefined ? column : { ...column, recipe: unique.recipe };
    }),
    groups: groups[index]!,
    capacity: Math.min(relation.capacity, ...groups[index]!.flatMap((group) => roomIn(group, relation.trackedKeys))),
    guards: relation.guards.map((guard) =>
      strict.has(`${index}/${guard.name}`) ? { ...guard, isStrict: true } : guard,
    ),
    operations: barred.has(index) ? { ...relation.operations, insert: false } : relation.operations,
    updateSets: barred.has(index)
      ? relation.updateSets.filter((set) => !isTied(set, draft.searches, index))
      : relation.updateSets,
  }));
  const choices = draft.plan.choices.filter(
    ({ relation, operation }) => operation !== 'insert' || !barred.has(relation),
  );
  const ordinals = draft.ordinals.map((ordinal) => {
    const unique = uniques.get(`${ordinal.relation}/${ordinal.column}`);
    return unique === undefined ? ordinal : { ...ordinal, unique };
  });
  return { ...draft, findings, notes, ordinals, plan: { ...draft.plan, relations, choices } };
}

/** Returns the number of rows for which the tuples of a group suffice, by unique key whose columns are all in it. */
function roomIn({ columns, own, tuples }: ValueGroup, keys: RelationPlan['trackedKeys']): number[] {
  return (
    keys
      .map((key) => key.map((column) => columns.indexOf(column)))
      .filter((places) => places.every((at) => at >= 0 && !own[at]!))
      // Of tuples with a NULL there may be any number.
      .filter((places) => !tuples.some((tuple) => places.some((at) => tuple[at] === null)))
      .map((places) => new Set(tuples.map((tuple) => JSON.stringify(places.map((at) => tuple[at])))).size)
  );
}

function isTied(set: readonly number[], searches: readonly Search[], relation: number): boolean {
  return searches.some(
    (search) => search.relation === relation && search.columns.some((column) => set.includes(column)),
  );
}
