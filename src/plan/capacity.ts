import type { Finding, Plan, RelationPlan } from './plan.js';

/* A table with room for fewer rows gets a finding. */
const AMPLE_ROOM = 10_000;

/** Returns findings for tables that have room for few rows, with the number and the cause. */
export function capacityFindings(plan: Plan): Finding[] {
  return plan.relations.flatMap((relation): Finding[] => {
    const { label, targeted, operations, capacity } = relation;
    if (!targeted || !operations.insert || capacity >= AMPLE_ROOM) return [];
    return [
      {
        relation: label,
        column: null,
        prevents: [],
        reason: `${capacity === 0 ? 'is full' : `has room for only ${capacity} more ${capacity === 1 ? 'row' : 'rows'}`}: ${causeOf(relation)}`,
        remedy:
          'nothing to do: when the table is full, each INSERT is replaced by a DELETE or UPDATE and counted as substituted',
      },
    ];
  });
}

function causeOf({ isSingle, columns, groups, trackedKeys }: RelationPlan): string {
  if (isSingle) return 'a unique index allows only one row';
  const searched = new Set(groups.flatMap((group) => group.columns));
  const scarce = trackedKeys.flatMap((key) => (key.every((column) => searched.has(column)) ? key : []));
  const names = columns
    .filter(({ source }, at) => (scarce.length > 0 ? scarce.includes(at) : source === 'ordinal'))
    .map(({ name }) => name);
  return `${names.join(', ')} can take only a few unique values`;
}
