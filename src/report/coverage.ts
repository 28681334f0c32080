import { causeOf, type Finding, OPERATION_KINDS, type OperationKind, type Plan } from '../plan/plan.js';
import type { CounterTotals } from '../traffic/counters.js';

/** How much of what was asked for a run does, as the summary tells it. */
export interface CoverageSummary {
  /** Tables that are targeted, without those whose weight is 0. */
  readonly tables: number;
  /** Of these, tables that take every operation that is asked for. */
  readonly complete: number;
  /** Why others do not, and which ones: the cause with the most tables first. */
  readonly left_out: readonly { readonly cause: string; readonly tables: readonly string[] }[];
}

/* With fewer refusals the values may have been unlucky. */
const FEWEST_REFUSALS = 3;

/** Returns the tables on which an operation was refused each time that it was tried, and the reason. */
export function refusedAlways(plan: Plan, totals: CounterTotals): Map<string, string> {
  const found = new Map<string, string>();
  for (const [relation, { label, targeted }] of plan.relations.entries()) {
    if (!targeted) continue;
    for (const kind of OPERATION_KINDS) {
      const refused = totals.table(relation, kind, 'rejected');
      if (refused < FEWEST_REFUSALS || totals.table(relation, kind, 'committed') > 0) continue;
      found.set(label, `the server refused each of ${refused} ${kind.toUpperCase()}s`);
      break;
    }
  }
  return found;
}

/** `quarantined`: tables on which an operation was set aside, or refused each time, while the run was on, and why. */
export function coverageOf(
  plan: Plan,
  findings: readonly Finding[],
  wanted: (label: string) => readonly OperationKind[],
  quarantined: ReadonlyMap<string, string> = new Map(),
): CoverageSummary {
  const targeted = plan.relations.filter(({ targeted, label }) => targeted && wanted(label).length > 0);
  const incomplete = new Set(
    targeted
      .filter(({ operations, label }) => quarantined.has(label) || !wanted(label).every((kind) => operations[kind]))
      .map(({ label }) => label),
  );
  const causes = new Map<string, Set<string>>();
  const explained = new Set<string>();
  const words = new Map<string, string>();
  for (const finding of findings) {
    const { relation, column, prevents, reason, behind = [] } = finding;
    if (!prevents.some((kind) => wanted(relation).includes(kind))) continue;
    // Messages of the server that differ only by the name of the table are one cause, told by the first.
    const like = behind.length > 0 ? `${relation}: ${reason}` : `${column ?? ''} ${causeOf(finding)}`;
    const told = behind.length > 0 ? `${relation}: ${reason}` : `${column === null ? '' : `${column}: `}${reason}`;
    const cause = words.get(like) ?? told;
    words.set(like, cause);
    const tables = causes.get(cause) ?? new Set();
    for (const table of [relation, ...behind]) {
      if (!incomplete.has(table)) continue;
      tables.add(table);
      explained.add(table);
    }
    if (tables.size > 0) causes.set(cause, tables);
  }
  for (const [label, reason] of quarantined) {
    if (!incomplete.has(label)) continue;
    causes.set(reason, (causes.get(reason) ?? new Set()).add(label));
    explained.add(label);
  }
  const rest = [...incomplete].filter((table) => !explained.has(table));
  if (rest.length > 0) causes.set('not known; see the warnings of the run', new Set(rest));
  return {
    tables: targeted.length,
    complete: targeted.length - incomplete.size,
    left_out: [...causes]
      .map(([cause, tables]) => ({ cause, tables: [...tables] }))
      .sort((a, b) => b.tables.length - a.tables.length),
  };
}

const MOST_CAUSES = 3;

/** Returns how many tables are complete (`are` ends that sentence), and what the others lack: first the number, then the causes. */
export function coverageTexts(
  { tables, complete, left_out: causes }: CoverageSummary,
  are = 'take every operation',
): string[] {
  if (complete === tables)
    return [
      tables === 1
        ? `the only table ${are.replace('take', 'takes').replace('have all their', 'has all its')}`
        : `all ${tables} tables ${are}`,
    ];
  const more = causes.length - MOST_CAUSES;
  return [
    `${complete} of ${tables} tables ${are}; the rest:`,
    ...causes
      .slice(0, MOST_CAUSES)
      .map(({ cause, tables: names }) => `${names.length === 1 ? names[0]! : `${names.length} tables`}: ${cause}`),
    ...(more > 0 ? [`… ${more} more causes in the summary file`] : []),
  ];
}

/** The share of tables that take every operation; 1 where there are none. */
export function coverageShare({ tables, complete }: CoverageSummary): number {
  return tables === 0 ? 1 : complete / tables;
}
