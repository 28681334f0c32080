import type { Plan } from '../plan/plan.js';
import type { CounterTotals } from '../traffic/counters.js';

/** What is known of the rows of a table when a run has ended. */
interface RowCounts {
  /** Rows that the run's own operations, and cascades of them, brought less those that they took. */
  readonly net: number;
  /** The same of triggers; null where it cannot be told. */
  readonly byTrigger: number | null;
  /** Rows that the table must hold; null where nobody can tell. */
  readonly expected: number | null;
}

interface Source {
  readonly plan: Plan;
  readonly totals: CounterTotals;
  readonly rowsAtStart: readonly (number | null)[];
  readonly rowsAtEnd: ReadonlyMap<number, number | null>;
  /** True where operations in flight were left as they were. */
  readonly isCutShort: boolean;
  /** Labels of tables that others have dropped. */
  readonly gone: ReadonlySet<string>;
}

/** Relations in which triggers make or delete rows, as far as the rehearsal has seen. */
export function triggeredRelations(plan: Plan): number[] {
  return [...new Set(plan.triggered.map(({ relation }) => relation))];
}

/**
 * Counts of one table. What triggers did is predicted from what they did in the rehearsal; it counts only where the
 * table holds just as many rows at the end.
 */
export function rowCountsOf(source: Source, relation: number): RowCounts {
  const { plan, totals, rowsAtStart, rowsAtEnd } = source;
  const net =
    totals.table(relation, 'insert', 'rows') -
    totals.table(relation, 'delete', 'rows') -
    totals.table(relation, 'delete', 'cascaded');
  const start = rowsAtStart[relation] ?? null;
  const isUncertain =
    source.isCutShort ||
    source.gone.has(plan.relations[relation]!.label) ||
    UNCERTAIN.some((scalar) => totals.scalar(scalar) > 0) ||
    mayHaveVanished(plan, totals, relation);
  const entries = plan.triggered.filter((entry) => entry.relation === relation);
  if (entries.length === 0) return { net, byTrigger: 0, expected: start === null || isUncertain ? null : start + net };
  const predicted = entries.reduce<number | null>((sum, { of, kind, perRow }) => {
    const rows = totals.table(of, kind, 'rows') + (kind === 'insert' ? 0 : totals.table(of, kind, 'cascaded'));
    if (rows === 0) return sum;
    return sum === null || perRow === null ? null : sum + perRow * rows;
  }, 0);
  // Where it cannot be foretold, triggers may have changed rows and made none.
  const byTrigger = predicted ?? 0;
  const isRight = start !== null && rowsAtEnd.get(relation) === start + net + byTrigger;
  return isRight && !isUncertain
    ? { net, byTrigger, expected: start + net + byTrigger }
    : { net, byTrigger: null, expected: null };
}

/* Where one of these was counted nobody can tell how many rows any table has. */
const UNCERTAIN = ['inDoubtUnknown', 'lostCommits', 'lanesBegunAgain'] as const;

/** True where rows of the table were gone from outside, or of one whose rows take those of this one along. */
function mayHaveVanished(plan: Plan, totals: CounterTotals, relation: number, passed = new Set<number>()): boolean {
  if (passed.has(relation)) return false;
  passed.add(relation);
  if ((['update', 'delete'] as const).some((kind) => totals.table(relation, kind, 'vanished') > 0)) return true;
  return plan.relations[relation]!.foreignKeys.some(
    ({ parent, follows }) => follows === 'delete' && mayHaveVanished(plan, totals, parent, passed),
  );
}
