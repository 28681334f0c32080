import type { Finding, Plan, RelationPlan } from './plan.js';

/* A table with room for fewer rows than this is announced. */
const AMPLE_ROOM = 10_000;

/** Tables that cannot take many rows, with the number and the cause. */
export function capacityFindings(plan: Plan): Finding[] {
  return plan.relations.flatMap((relation): Finding[] => {
    const { label, targeted, operations, capacity } = relation;
    if (!targeted || !operations.insert || capacity >= AMPLE_ROOM) return [];
    return [
      {
        relation: label,
        column: null,
        prevents: [],
        reason: `has room for ${capacity} more ${capacity === 1 ? 'row' : 'rows'}: ${causeOf(relation)}`,
        remedy: 'when it is full, an INSERT becomes a DELETE or UPDATE, which is counted as substituted',
      },
    ];
  });
}

function causeOf({ isSingle, columns }: RelationPlan): string {
  if (isSingle) return 'a unique index has the same value for every row';
  const names = columns.filter(({ source }) => source === 'ordinal').map(({ name }) => name);
  return `unique values of ${names.join(', ')} are few`;
}
