import type { ColumnDifference, EventClass } from './chain.js';
import type { EventDifference, EventVerdict } from './events.js';

/** The answer to one verification: plain data, for people and scripts. */
export interface Verdict {
  readonly verdict: 'equal' | 'different' | 'undecided';
  /** In one sentence. */
  readonly headline: string;
  /** Counts by table. The names of the figures are the same for all tables. */
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

/* So many characters of a value are shown. */
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

/** The names of the figures that count differences. */
const FAULTS = ['lost', 'doubled', 'reordered', 'wrong_kind', 'wrong_value', 'unknown_key', 'unknown_change'] as const;

export interface EventRules {
  /** True if a different representation of the same value counts as a difference. */
  readonly isStrict: boolean;
  /** True for changes that the source need not know of: others may have made them, or triggers. */
  readonly isForeign: (table: string, found: EventClass) => boolean;
  /** Transactions were asked to be compared. */
  readonly needsTransactions: boolean;
  /** Columns of the source may be missing. */
  readonly allowsMissingColumns: boolean;
}

/** The verdict over the changes that a consumer has seen. */
export function eventVerdict(found: EventVerdict, rules: EventRules, undecided: readonly string[]): Verdict {
  const sums = sumsOf(found, rules);
  const faults = faultsOf(found, rules, sums);
  const open = [...undecided, ...openQuestions(found, rules, sums)];
  const verdict = faults.length > 0 ? 'different' : open.length > 0 ? 'undecided' : 'equal';
  const headlines = {
    different: `Different: ${faults.join(', ')}, of ${sums.source === 1 ? '1 change' : `${sums.source} changes`}.`,
    undecided: `Not decided: ${open.join('; ')}.`,
    equal:
      sums.source === 1
        ? 'Equal: the only change arrived as it was made.'
        : `Equal: all ${sums.source} changes arrived as they were made.`,
  };
  const { torn, reordered } = found.transactions;
  return {
    verdict,
    headline: headlines[verdict],
    tables: found.tables,
    differences: [
      ...found.differences.map(differenceOf),
      ...torn.map((name) => transactionDifference('torn', name)),
      ...reordered.map((name) => transactionDifference('reordered', name)),
    ],
    difference_count: found.count,
    undecided: open,
    not_compared: found.notCompared.map(({ table, column, reason }) => `${table}.${column}: ${reason}`),
    notes: notesOn(found, rules, sums),
  };
}

/** Counts over all tables. Foreign changes are counted apart from faults. */
interface Sums {
  source: number;
  target: number;
  representation: number;
  unjudged: number;
  foreign: number;
  readonly faults: Record<(typeof FAULTS)[number], number>;
}

function sumsOf({ tables }: EventVerdict, { isForeign }: EventRules): Sums {
  const faults = Object.fromEntries(FAULTS.map((fault) => [fault, 0])) as Sums['faults'];
  const sums: Sums = { source: 0, target: 0, representation: 0, unjudged: 0, foreign: 0, faults };
  for (const [table, counts] of Object.entries(tables)) {
    for (const figure of ['source', 'target', 'representation', 'unjudged'] as const) sums[figure] += counts[figure];
    for (const fault of FAULTS) {
      if (isForeign(table, fault)) sums.foreign += counts[fault];
      else faults[fault] += counts[fault];
    }
  }
  return sums;
}

/** What is wrong, each kind with its count. */
function faultsOf({ transactions }: EventVerdict, { isStrict }: EventRules, sums: Sums): string[] {
  const { torn, reordered, isAtLeast } = transactions;
  return [
    ...FAULTS.filter((fault) => sums.faults[fault] > 0).map(
      (fault) => `${sums.faults[fault]} ${fault.replace('_', ' ')}`,
    ),
    ...(torn.length > 0 ? [`${atLeast(isAtLeast)}${transactionsOf(torn.length)} torn`] : []),
    ...(reordered.length > 0 ? [`${atLeast(isAtLeast)}${transactionsOf(reordered.length)} reordered`] : []),
    ...(isStrict && sums.representation > 0 ? [`${sums.representation} in another representation`] : []),
  ];
}

/* Columns that are named in one sentence. */
const MOST_NAMED = 5;

/** The reasons why it cannot be said that everything arrived, although no difference was found. */
function openQuestions(
  { notCompared, openTruncates, underOldKey, openRows, transactions }: EventVerdict,
  { needsTransactions, allowsMissingColumns }: EventRules,
  { source, target }: Sums,
): string[] {
  const open: string[] = [];
  if (source === 0 && target === 0) open.push('neither file contains a change');
  const missing = allowsMissingColumns ? [] : notCompared.filter(({ isMissing }) => isMissing);
  if (missing.length > 0) {
    const names = missing.slice(0, MOST_NAMED).map(({ table, column }) => `${table}.${column}`);
    const more = missing.length > MOST_NAMED ? ' and others' : '';
    open.push(`the consumer does not have ${names.join(', ')}${more} (--allow missing-columns accepts this)`);
  }
  if (openTruncates.length > 0)
    open.push(`the consumer reports more TRUNCATEs of ${openTruncates.join(', ')} than were executed`);
  for (const [table, count] of Object.entries(openRows))
    open.push(
      `${table}, which has no key, contains ${count === 1 ? '1 row' : `${count} rows`} more like those of the run than the run left; nobody can tell who wrote them`,
    );
  if (underOldKey > 0)
    open.push(
      `${underOldKey === 1 ? '1 value that did not change with its' : `${underOldKey} values that did not change with their`} row’s key could not be compared, because the source’s log has it only under the key before`,
    );
  if ((needsTransactions || transactions.isOpen) && transactions.notCompared !== null)
    open.push(`the order of transactions could not be compared: ${transactions.notCompared}`);
  return open;
}

function notesOn(
  { transactions: { notCompared }, foreign }: EventVerdict,
  { isStrict, needsTransactions }: EventRules,
  sums: Sums,
): string[] {
  return [
    ...(notCompared === null || needsTransactions ? [] : [`transactions were not compared: ${notCompared}`]),
    ...(sums.representation > 0 && !isStrict
      ? [`${sums.representation} changes have values in another representation (--strict counts them as differences)`]
      : []),
    ...(sums.unjudged > 0
      ? [
          `${sums.unjudged} values could not be compared, because one side has them neither in the event nor in an earlier one`,
        ]
      : []),
    ...(sums.foreign > 0 ? [`${sums.foreign} changes that the run did not make (foreign)`] : []),
    ...Object.entries(foreign).map(([table, count]) => `${count} changes of ${table}, which is not in the source`),
  ];
}

function atLeast(isAtLeast: boolean): string {
  return isAtLeast ? 'at least ' : '';
}

function transactionsOf(count: number): string {
  return count === 1 ? '1 transaction' : `${count} transactions`;
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
