import type { Relation } from '../catalog/model.js';
import { OPERATION_KINDS, type Plan, type TriggeredRows } from '../plan/plan.js';

/**
 * Returns the plan with all tables that triggers may write according to their functions' texts. A table that did not
 * change in the rehearsal may still be written in a run, so its rows are counted at the end.
 */
export function withWrittenTables(plan: Plan, relations: readonly Relation[]): Plan {
  const known = new Set(plan.triggered.map(({ relation, of, kind }) => `${relation}/${of}/${kind}`));
  const byName = new Map<string, number[]>();
  for (const [index, { name }] of relations.entries()) byName.set(name, [...(byName.get(name) ?? []), index]);
  const more: TriggeredRows[] = [];
  for (const [of, { triggers }] of relations.entries()) {
    if (!plan.relations[of]!.targeted) continue;
    for (const { events, writes } of triggers) {
      const written = writes === null ? [...relations.keys()] : writes.flatMap((name) => byName.get(name) ?? []);
      for (const relation of written) {
        for (const kind of OPERATION_KINDS) {
          const name = `${relation}/${of}/${kind}`;
          if (!events[kind] || known.has(name)) continue;
          known.add(name);
          more.push({ relation, of, kind, perRow: null });
        }
      }
    }
  }
  return more.length === 0 ? plan : { ...plan, triggered: [...plan.triggered, ...more] };
}
