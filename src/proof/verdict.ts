import type { ColumnDifference, EventClass } from './chain.js';
import type { EventDifference, EventVerdict } from './events.js';

/** The answer to one verification: plain data, for people and scripts. */
export interface Verdict {
  readonly verdict: 'equal' | 'different' | 'undecided';
  /** In one sentence. */
  readonly headline: string;
  /** By table: what was counted. The names of the figures are the same for all tables. */
  readonly tables: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly differences: readonly VerdictDifference[];
  /** How many differences there are. */
  readonly difference_count: number;
  /** What could not be decided or was not compared, and why. */
  readonly undecided: readonly string[];
  readonly not_compared: readonly string[];
  /** What else there is to know. */
  readonly notes: readonly string[];
}

/** One difference. */
export interface VerdictDifference {
  readonly class: string;
  readonly table: string;
  /** The row's key as JSON; null where there is none. */
  readonly key: string | null;
  /** The operation, such as update; null where rows are compared. */
  readonly op: string | null;
  /** `lane:operation` that made the row or the change, for --explain. */
  readonly origin: string | null;
  /** Lines, or numbers of changes, in the two files. */
  readonly source_position: number | null;
  readonly target_position: number | null;
  readonly columns: readonly {
    readonly column: string;
    readonly class: string;
    readonly source: string | null;
    readonly target: string | null;
  }[];
}

/* Of each value so much is told. */
const MOST_CHARACTERS = 200;

export function columnsOf(columns: readonly ColumnDifference[]): VerdictDifference['columns'] {
  return columns.map(({ column, class: found, source, target }) => ({
    column,
    class: found,
    source: cut(source ?? null),
    target: cut(target ?? null),
  }));
}

function cut(value: string | null): string | null {
  return value === null || value.length <= MOST_CHARACTERS
    ? value
    : `${value.slice(0, MOST_CHARACTERS)}… (${value.length} characters)`;
}

/** The names of figures that count what is wrong. */
const FAULTS = ['lost', 'doubled', 'reordered', 'wrong_kind', 'wrong_value', 'unknown_key', 'unknown_change'] as const;

export interface EventRules {
  /** Values in other words are differences as well. */
  readonly isStrict: boolean;
  /** True for changes that the source need not know of: others may have made them, or triggers. */
  readonly isForeign: (table: string, found: EventClass) => boolean;
  /** Transactions were asked to be compared. */
  readonly needsTransactions: boolean;
  /** Columns that the source tells of may be missing. */
  readonly allowsMissingColumns: boolean;
}

/** The verdict over the changes that a consumer has seen. */
export function eventVerdict(
  found: EventVerdict,
  { isStrict, isForeign, needsTransactions, allowsMissingColumns }: EventRules,
  undecided: readonly string[],
): Verdict {
  const sums: Record<string, number> = {};
  let total = 0;
  let arrived = 0;
  let foreign = 0;
  let unjudged = 0;
  for (const [table, counts] of Object.entries(found.tables)) {
    total += counts.source;
    arrived += counts.target;
    for (const fault of FAULTS) {
      if (isForeign(table, fault)) foreign += counts[fault];
      else sums[fault] = (sums[fault] ?? 0) + counts[fault];
    }
    unjudged += counts.unjudged;
    sums['representation'] = (sums['representation'] ?? 0) + counts.representation;
  }
  const { torn, reordered, notCompared, isAtLeast } = found.transactions;
  const faults = FAULTS.filter((fault) => (sums[fault] ?? 0) > 0);
  const words = [
    ...faults.map((fault) => `${sums[fault]} ${fault.replace('_', ' ')}`),
    ...(torn.length > 0 ? [`${atLeast(isAtLeast)}${torn.length} transactions torn`] : []),
    ...(reordered.length > 0 ? [`${atLeast(isAtLeast)}${reordered.length} transactions reordered`] : []),
    ...(isStrict && sums['representation']! > 0 ? [`${sums['representation']} in another representation`] : []),
  ];
  const open = [...undecided];
  if (total === 0 && arrived === 0) open.push('neither file tells of a change');
  const missing = allowsMissingColumns ? [] : found.notCompared.filter(({ isMissing }) => isMissing);
  if (missing.length > 0)
    open.push(
      `the consumer does not carry ${missing
        .map(({ table, column }) => `${table}.${column}`)
        .slice(0, 5)
        .join(', ')}${missing.length > 5 ? ' and others' : ''} (--allow missing-columns)`,
    );
  if (found.openTruncates.length > 0)
    open.push(`truncates of ${found.openTruncates.join(', ')} were told more often than they were made`);
  if ((needsTransactions || found.transactions.isOpen) && notCompared !== null)
    open.push(`the order of transactions: ${notCompared}`);
  const isDifferent = words.length > 0;
  const verdict = isDifferent ? 'different' : open.length > 0 ? 'undecided' : 'equal';
  const headlines = {
    different: `Different: ${words.join(', ')}, of ${total} changes.`,
    undecided: `Not decided: ${open.join('; ')}.`,
    equal: `Equal: all ${total} changes arrived as they were made.`,
  };
  const transactions = [
    ...torn.map((name) => transactionDifference('torn', name)),
    ...reordered.map((name) => transactionDifference('reordered', name)),
  ];
  const differences = found.differences.map(differenceOf);
  return {
    verdict,
    headline: headlines[verdict],
    tables: found.tables,
    differences: [...differences, ...transactions],
    difference_count: found.count,
    undecided: open,
    not_compared: found.notCompared.map(({ table, column, reason }) => `${table}.${column}: ${reason}`),
    notes: [
      ...(notCompared === null || needsTransactions ? [] : [`transactions were not compared: ${notCompared}`]),
      ...(sums['representation']! > 0 && !isStrict
        ? [`${sums['representation']} changes have values in another representation (--strict makes them differences)`]
        : []),
      ...(unjudged > 0
        ? [`${unjudged} values could not be compared: one side did not carry them, and had not told them before`]
        : []),
      ...(foreign > 0 ? [`${foreign} changes that the run did not make (foreign)`] : []),
      ...Object.entries(found.foreign).map(
        ([table, count]) => `${count} changes of ${table}, which the source does not cover`,
      ),
    ],
  };
}

function atLeast(isAtLeast: boolean): string {
  return isAtLeast ? 'at least ' : '';
}

function transactionDifference(found: string, name: string): VerdictDifference {
  return {
    class: found,
    table: '',
    key: name,
    op: 'transaction',
    origin: null,
    source_position: null,
    target_position: null,
    columns: [],
  };
}

function differenceOf({ class: found, table, key, columns, source, target }: EventDifference): VerdictDifference {
  return {
    class: found,
    table,
    key,
    op: source?.op ?? target?.op ?? null,
    origin: source?.origin ?? null,
    source_position: source?.position ?? null,
    target_position: target?.position ?? null,
    columns: columnsOf(columns),
  };
}
