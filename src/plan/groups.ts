import type { Draft } from './build.js';
import { searchNotes } from './constraint-notes.js';
import type { ValueGroup } from './plan.js';
import { formOf, groupOf, isUnneeded, keysOf, type Search } from './search.js';
import type { UniqueRecipe } from './sequence-for.js';

/** A search, and the positions (from 1) of the candidates that the server accepts. */
export interface Proof {
  readonly search: Search;
  readonly accepted: readonly number[];
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
  for (const { search, accepted } of proofs) {
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
        uniques.set(`${search.relation}/${search.columns[0]!}`, oneOf(values));
        continue;
      }
    } else {
      const group = groupOf(search, accepted);
      if (group !== undefined) {
        groups[search.relation]!.push(group);
        continue;
      }
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
      return unique === undefined ? column : { ...column, recipe: unique.recipe };
    }),
    groups: groups[index]!,
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

function oneOf(values: readonly string[]): UniqueRecipe {
  return {
    recipe: { kind: 'sequence', form: { kind: 'labels', values }, start: 0 },
    capacity: values.length,
    watermark: { kind: 'taken' },
  };
}

function isTied(set: readonly number[], searches: readonly Search[], relation: number): boolean {
  return searches.some(
    (search) => search.relation === relation && search.columns.some((column) => set.includes(column)),
  );
}
