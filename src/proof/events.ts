import type { ChangeEvent, Row } from '../changes/event.js';
import { positionOf, tableName } from '../changes/event.js';
import { SetupError } from '../config/problem.js';
import {
  type ColumnDifference,
  type ColumnTypes,
  compareChains,
  compareFinal,
  EVENT_CLASSES,
  type EventClass,
  type Link,
  type LinkDifference,
  type Promised,
} from './chain.js';
import { Partitions } from './partitions.js';
import { compareTransactions, TransactionRuns } from './transactions.js';
import { canonicalOf } from './values.js';

/** A change with what its stream knows beyond the event itself. */
export interface ToldEvent {
  readonly event: ChangeEvent;
  /** Its line in the file, or its number. */
  readonly position: number;
  /** Who made it: `lane:operation`; null where that is not known. */
  readonly origin: string | null;
  /** True for an update that moved its row to another partition. */
  readonly isMove: boolean;
}

/** What is known of a table: its key, and types by column. */
export interface TableFacts {
  readonly key: readonly string[] | null;
  readonly columns: Readonly<Record<string, string>>;
  /** Columns whose values cannot be compared, with the reason. */
  readonly incomparable?: Readonly<Record<string, string>>;
}

export interface EventComparison extends Promised {
  readonly source: AsyncIterable<ToldEvent> | Iterable<ToldEvent>;
  readonly target: AsyncIterable<ToldEvent> | Iterable<ToldEvent>;
  readonly facts: ReadonlyMap<string, TableFacts>;
  /** Bytes of both streams, roughly. */
  readonly size: number;
  /** True for changes that the source need not know of: they are counted, and not listed. */
  readonly isForeign: (table: string, found: EventClass) => boolean;
  /** True where the target tells of the rows that are there in the end, each as an insert. */
  readonly isFinal?: boolean;
  /** `transaction`: where both streams tell of them. */
  readonly order: 'transaction' | 'key' | 'none';
  /** Where there is room for what does not fit in memory. */
  readonly folder: string;
  readonly report?: (text: string) => void;
}

/** A difference as it is told. */
export interface EventDifference {
  readonly class: EventClass | 'torn' | 'truncate';
  readonly table: string;
  readonly key: string | null;
  readonly columns: readonly ColumnDifference[];
  readonly source: { readonly op: string; readonly position: number; readonly origin: string | null } | null;
  readonly target: { readonly op: string; readonly position: number } | null;
}

/** Changes of one table, by how they compare. */
type TableCounts = Record<EventClass | 'source' | 'target' | 'matched' | 'representation' | 'unjudged', number>;

export interface EventVerdict {
  readonly tables: Readonly<Record<string, TableCounts>>;
  readonly transactions: {
    /** Null where they could be compared. */
    readonly notCompared: string | null;
    /** True where that itself is a sign that something is wrong. */
    readonly isOpen: boolean;
    readonly compared: number;
    readonly torn: readonly string[];
    readonly reordered: readonly string[];
    readonly isAtLeast: boolean;
  };
  /** How many there are, without foreign ones, and the first of them. */
  readonly count: number;
  readonly differences: readonly EventDifference[];
  /** Columns that were not compared, by table, with the reason. */
  readonly notCompared: readonly {
    readonly table: string;
    readonly column: string;
    readonly reason: string;
    /** True for a column that the source tells of and the consumer never does. */
    readonly isMissing: boolean;
  }[];
  /** Tables of the target that the source does not cover, with their changes. */
  readonly foreign: Readonly<Record<string, number>>;
  /** Tables whose truncates were told more often than they were made, where that may be a repeat. */
  readonly openTruncates: readonly string[];
}

const MISSING = 'the consumer does not carry it';
/* A partition of this size is compared in memory; its objects take several times as much. */
const PARTITION_BYTES = 24 << 20;
const MOST_PARTITIONS = 4000;
const MOST_DIFFERENCES = 1000;
const MOST_HALVES = 1_000_000;

type Side = 0 | 1;

/** A change in a partition file. */
type Line = readonly [
  side: Side,
  table: string,
  chain: string,
  position: number,
  kind: Link['kind'],
  flags: number,
  row: Row | null,
  unchanged: readonly string[],
  origin: string | null,
  epoch: number,
];

const HALF = 1;
const MOVE = 2;
/** A table without a key: its rows are a multiset. */
const KEYLESS = 4;
/** The first of two links that stand for one change. */
const UNCOUNTED = 8;

/**
 * Compares the changes that a consumer has seen with those that were made. Memory is bounded: changes are dealt out to files
 * by their key.
 */
export async function compareEvents(comparison: EventComparison): Promise<EventVerdict> {
  const count = Math.min(MOST_PARTITIONS, Math.max(1, Math.ceil(comparison.size / PARTITION_BYTES)));
  const partitions = new Partitions(count, comparison.folder);
  try {
    const source = new StreamReader(0, partitions, comparison.facts);
    const target = new StreamReader(1, partitions, comparison.facts);
    // The target first: of tables that it does not carry no transaction is expected to be whole.
    for await (const told of comparison.target) target.take(told);
    target.finish();
    source.carried = target.tables;
    for await (const told of comparison.source) source.take(told);
    source.finish();
    partitions.finish();
    const verdict = new Judge(comparison, partitions, source, target).verdict();
    for (const reader of [source, target]) reader.close();
    return verdict;
  } finally {
    partitions.remove();
  }
}

/** Reads one of the two streams into the partitions. */
class StreamReader {
  readonly side: Side;
  /** By table: columns that its changes carry. */
  readonly tables = new Map<string, Set<string>>();
  readonly truncates = new Map<string, number>();
  readonly runs: TransactionRuns;
  /** True where every change so far tells its commit's position; and its transaction's number. */
  hasCommits = true;
  hasNumbers = true;
  hasSomeCommits = false;
  hasSomeNumbers = false;
  readonly numbers: TransactionRuns;
  /** Tables whose changes count for the wholeness of transactions; null: all. */
  carried: ReadonlyMap<string, unknown> | null = null;
  private readonly partitions: Partitions;
  private readonly facts: ReadonlyMap<string, TableFacts>;

  constructor(side: Side, partitions: Partitions, facts: ReadonlyMap<string, TableFacts>) {
    this.side = side;
    this.partitions = partitions;
    this.facts = facts;
    this.runs = new TransactionRuns(partitions.beside(`commits-${side}`));
    this.numbers = new TransactionRuns(partitions.beside(`numbers-${side}`));
  }

  take(given: ToldEvent): void {
    const told = withOldValues(given);
    const { event } = told;
    const table = tableName(event);
    this.note(table, event);
    if (event.op === 'truncate') {
      this.truncates.set(table, (this.truncates.get(table) ?? 0) + 1);
      return;
    }
    const { key } = event;
    const facts = this.facts.get(table);
    if (facts !== undefined ? facts.key === null : key === null) this.takeKeyless(table, told);
    else this.takeKeyed(table, told);
  }

  finish(): void {
    this.runs.finish();
    this.numbers.finish();
  }

  close(): void {
    this.runs.close();
    this.numbers.close();
  }

  private note(table: string, { new: row, unchanged, commit, xid }: ChangeEvent): void {
    let columns = this.tables.get(table);
    if (columns === undefined) {
      columns = new Set();
      this.tables.set(table, columns);
    }
    if (row !== null) for (const column of Object.keys(row)) columns.add(column);
    for (const column of unchanged) columns.add(column);
    if (this.carried !== null && !this.carried.has(table)) return;
    if (this.facts.size > 0 && !this.facts.has(table)) return;
    const position = commit === null ? null : positionOf(commit);
    if (position === null) this.hasCommits = false;
    else {
      this.hasSomeCommits = true;
      this.runs.add(Number(position));
    }
    if (xid === null || !/^\d+$/.test(xid)) this.hasNumbers = false;
    else {
      this.hasSomeNumbers = true;
      this.numbers.add(Number(xid));
    }
  }

  private takeKeyed(table: string, told: ToldEvent): void {
    const { op, new: row, unchanged } = told.event;
    const key = told.event.key ?? told.event.old ?? row ?? {};
    const before = this.chainOf(table, key, row, told.position);
    const flags = told.isMove ? MOVE : 0;
    if (op !== 'update') {
      this.add(table, before, told, { kind: op as Link['kind'], flags, row: op === 'delete' ? null : row, unchanged });
      return;
    }
    const after = this.chainOf(table, row ?? {}, key, told.position);
    if (after === before) {
      this.add(table, before, told, { kind: 'update', flags, row, unchanged });
      return;
    }
    this.add(table, before, told, { kind: 'delete', flags: flags | HALF | UNCOUNTED, row: null, unchanged: [] });
    this.add(table, after, told, { kind: 'insert', flags: flags | HALF, row, unchanged });
  }

  /** An update of a row without a key takes one row away and brings another. */
  private takeKeyless(table: string, told: ToldEvent): void {
    const { op, new: row, old, key, unchanged } = told.event;
    const before = old ?? key;
    if (op !== 'insert' && before !== null)
      this.add(table, this.rowText(table, before), told, {
        kind: 'delete',
        flags: KEYLESS | (op === 'update' ? UNCOUNTED : 0),
        row: null,
        unchanged: [],
      });
    if (op !== 'delete' && row !== null)
      this.add(table, this.rowText(table, row), told, { kind: 'insert', flags: KEYLESS, row, unchanged });
  }

  /** The name of the chain of changes that a row belongs to; what the row does not tell stands in `other`. */
  private chainOf(table: string, row: Row, other: Row | null, position: number): string {
    const facts = this.facts.get(table);
    const names = facts?.key ?? Object.keys(row).sort();
    return JSON.stringify(
      names.map((name) => {
        const value = row[name] ?? other?.[name];
        // A change that cannot be told from those of other rows must not be compared with them.
        if (value === undefined)
          throw SetupError.of(
            `${this.side === 0 ? 'source' : 'consumer'}:${position}`,
            `a change of ${table} does not tell its key column ${name}`,
          );
        return value === null ? null : canonicalOf(facts?.columns[name] ?? '', value);
      }),
    );
  }

  private rowText(table: string, row: Row): string {
    const facts = this.facts.get(table);
    // A column that is not told and one that is NULL are alike: images of old rows leave NULLs out.
    const names = Object.keys(row)
      .filter((name) => row[name] !== null)
      .filter((name) => facts === undefined || (name in facts.columns && facts.incomparable?.[name] === undefined))
      .sort();
    return JSON.stringify(names.map((name) => [name, canonicalOf(facts?.columns[name] ?? '', row[name]!)]));
  }

  private add(
    table: string,
    chain: string,
    { position, origin }: ToldEvent,
    link: { kind: Link['kind']; flags: number; row: Row | null; unchanged: readonly string[] },
  ): void {
    const epoch = this.truncates.get(table) ?? 0;
    const line: Line = [
      this.side,
      table,
      chain,
      position,
      link.kind,
      link.flags,
      link.row,
      link.unchanged,
      origin,
      epoch,
    ];
    this.partitions.add(table + chain, JSON.stringify(line));
  }
}

/** An event whose unchanged values are taken from the row before the change, where that is told as a whole. */
function withOldValues(told: ToldEvent): ToldEvent {
  const { old, new: row, unchanged } = told.event;
  if (unchanged.length === 0 || old === null || row === null) return told;
  const known = unchanged.filter((column) => typeof old[column] === 'string');
  if (known.length === 0) return told;
  const filled = { ...row, ...Object.fromEntries(known.map((column) => [column, old[column]!])) };
  const rest = unchanged.filter((column) => !known.includes(column));
  return { ...told, event: { ...told.event, new: filled, unchanged: rest } };
}

interface Chain {
  readonly table: string;
  readonly key: string;
  readonly links: readonly [Link[], Link[]];
  isKeyless: boolean;
}

/** Compares what the partitions hold. */
class Judge {
  private readonly comparison: EventComparison;
  private readonly partitions: Partitions;
  private readonly source: StreamReader;
  private readonly target: StreamReader;
  private readonly counts = new Map<string, TableCounts>();
  private readonly types = new Map<string, ColumnTypes>();
  private readonly notCompared: { table: string; column: string; reason: string; isMissing: boolean }[] = [];
  private readonly foreign: Record<string, number> = {};
  private readonly halves = new Set<string>();
  private readonly openTruncates: string[] = [];
  private differences: EventDifference[] = [];
  private count = 0;

  constructor(comparison: EventComparison, partitions: Partitions, source: StreamReader, target: StreamReader) {
    this.comparison = comparison;
    this.partitions = partitions;
    this.source = source;
    this.target = target;
  }

  verdict(): EventVerdict {
    for (const table of [...this.source.tables.keys(), ...this.target.tables.keys()]) this.typesOf(table);
    for (let index = 0; index < this.partitions.count; index++) {
      for (const chain of this.chainsOf(index)) this.judge(chain);
      this.trim();
    }
    this.judgeTruncates();
    const transactions = this.judgeTransactions();
    this.trim(true);
    return {
      tables: Object.fromEntries([...this.counts].sort(([a], [b]) => (a < b ? -1 : 1))),
      transactions,
      count: this.count,
      differences: this.differences,
      notCompared: this.notCompared,
      foreign: this.foreign,
      openTruncates: this.openTruncates,
    };
  }

  private chainsOf(index: number): Iterable<Chain> {
    const chains = new Map<string, Chain>();
    for (const text of this.partitions.lines(index)) {
      const [side, table, key, position, kind, flags, row, unchanged, origin, epoch] = JSON.parse(text) as Line;
      const name = `${table}\0${key}`;
      let chain = chains.get(name);
      if (chain === undefined) {
        chain = { table, key, links: [[], []], isKeyless: (flags & KEYLESS) !== 0 };
        chains.set(name, chain);
      }
      const agrees = this.source.truncates.get(table) === this.target.truncates.get(table);
      chain.links[side].push({
        position,
        kind,
        isHalf: (flags & HALF) !== 0,
        isCounted: (flags & UNCOUNTED) === 0,
        isMove: (flags & MOVE) !== 0,
        row,
        unchanged,
        origin,
        epoch: agrees ? epoch : 0,
      });
    }
    return chains.values();
  }

  private judge({ table, key, links, isKeyless }: Chain): void {
    if (!this.source.tables.has(table) && !this.comparison.facts.has(table)) {
      this.foreign[table] = (this.foreign[table] ?? 0) + links[1].length;
      return;
    }
    const counts = this.countsOf(table);
    for (const link of links[0]) if (link.isCounted) counts.source++;
    for (const link of links[1]) if (link.isCounted) counts.target++;
    const { delivery, isOrdered, allowsCompaction, allowsKeyPairs, allowsMovePairs } = this.comparison;
    // Rows that look alike are in no order.
    const promised = {
      delivery,
      isOrdered: isOrdered && !isKeyless,
      allowsCompaction,
      allowsKeyPairs,
      allowsMovePairs,
    };
    const types = this.typesOf(table);
    const result =
      this.comparison.isFinal === true
        ? compareFinal(links[0], links[1], types, isKeyless)
        : compareChains(links[0], links[1], types, promised);
    counts.matched += result.matched;
    counts.representation += result.representation;
    counts.unjudged += result.unjudged;
    for (const difference of result.differences) {
      if (this.isToldAlready(difference)) continue;
      counts[difference.class]++;
      if (!this.comparison.isForeign(table, difference.class))
        this.add(told(table, this.keyText(table, key), difference));
    }
  }

  /** True for the second link of one change, where both are wrong in the same way. */
  private isToldAlready({ class: found, source, target }: LinkDifference): boolean {
    const link = source ?? target!;
    if (!link.isHalf && link.isCounted) return false;
    const name = `${found}/${source === null ? 'target' : 'source'}/${link.position}`;
    if (this.halves.has(name)) return true;
    if (this.halves.size < MOST_HALVES) this.halves.add(name);
    return false;
  }

  /** A chain's key as people know it; of a table without one, the row. */
  private keyText(table: string, chain: string): string {
    const names = this.comparison.facts.get(table)?.key;
    const values = JSON.parse(chain) as unknown[];
    if (names === undefined) return chain;
    return JSON.stringify(
      Object.fromEntries(
        names === null ? (values as [string, unknown][]) : names.map((name, at) => [name, values[at]]),
      ),
    );
  }

  private countsOf(table: string): TableCounts {
    let counts = this.counts.get(table);
    if (counts === undefined) {
      counts = { source: 0, target: 0, matched: 0, representation: 0, unjudged: 0, ...zeroes() };
      this.counts.set(table, counts);
    }
    return counts;
  }

  /** Columns that both streams carry and that can be compared. */
  private typesOf(table: string): ColumnTypes {
    let types = this.types.get(table);
    if (types !== undefined) return types;
    const facts = this.comparison.facts.get(table);
    const [inSource, inTarget] = [this.source.tables.get(table), this.target.tables.get(table)];
    const names = [...new Set([...(inSource ?? []), ...(inTarget ?? [])])];
    types = new Map(
      names.flatMap((column) => {
        const other = facts?.incomparable?.[column];
        const reason = this.whyNot(column, inSource, inTarget) ?? other;
        if (reason === undefined) return [[column, facts?.columns[column] ?? '']];
        this.notCompared.push({ table, column, reason, isMissing: reason === MISSING && other === undefined });
        return [];
      }),
    );
    this.types.set(table, types);
    return types;
  }

  private whyNot(
    column: string,
    source: ReadonlySet<string> | undefined,
    target: ReadonlySet<string> | undefined,
  ): string | undefined {
    // Of a table of which nothing arrived there is nothing to say about columns.
    if (source === undefined || target === undefined || source.size === 0 || target.size === 0) return undefined;
    if (!target.has(column)) return MISSING;
    return source.has(column) ? undefined : 'the source does not tell it';
  }

  private judgeTruncates(): void {
    for (const table of new Set([...this.source.truncates.keys(), ...this.target.truncates.keys()])) {
      const [wanted, found] = [this.source.truncates.get(table) ?? 0, this.target.truncates.get(table) ?? 0];
      const counts = this.countsOf(table);
      counts.source += wanted;
      counts.target += found;
      counts.matched += Math.min(wanted, found);
      // A consumer that goes back tells truncates again, and whether it told everything behind them no key can say.
      if (found > wanted && this.isRepeat) this.openTruncates.push(table);
      const difference = wanted > found ? 'lost' : this.isRepeat ? null : 'doubled';
      if (wanted === found || difference === null) continue;
      counts[difference] += Math.abs(wanted - found);
      const one = { op: 'truncate', position: 0, origin: null };
      for (let times = Math.abs(wanted - found); times > 0; times--)
        this.add({
          class: difference,
          table,
          key: null,
          columns: [],
          source: difference === 'lost' ? one : null,
          target: difference === 'lost' ? null : one,
        });
    }
  }

  private get isRepeat(): boolean {
    return this.comparison.delivery === 'at-least-once';
  }

  private judgeTransactions(): EventVerdict['transactions'] {
    const nothing = { compared: 0, torn: [], reordered: [], isAtLeast: false, isOpen: false };
    if (this.comparison.order !== 'transaction') return { ...nothing, notCompared: `--order ${this.comparison.order}` };
    const { source, target } = this;
    const byCommit = source.hasCommits && target.hasCommits;
    // A stream that tells of some and not of others has lost them on the way.
    const isPartial = (target.hasSomeCommits && !target.hasCommits) || (target.hasSomeNumbers && !target.hasNumbers);
    if (!byCommit && isPartial)
      return {
        ...nothing,
        isOpen: true,
        notCompared: 'some events of the consumer tell commit or xid, and others do not',
      };
    if (!byCommit && !(source.hasNumbers && target.hasNumbers))
      return { ...nothing, notCompared: 'one of the files does not tell commit or xid of every event' };
    const [made, arrived] = byCommit ? [source.runs, target.runs] : [source.numbers, target.numbers];
    const result = compareTransactions(made, arrived, { mayRepeat: this.isRepeat, isSorted: byCommit });
    const name = (id: number) => (byCommit ? positionName(id) : `transaction ${id}`);
    if (result.compared === 0 && arrived.count > 0)
      return {
        ...nothing,
        isOpen: true,
        notCompared: 'the consumer tells of transactions that the source does not have',
      };
    const { torn, reordered } = result;
    this.count += torn.length + reordered.length;
    return { ...result, torn: torn.map(name), reordered: reordered.map(name), isOpen: false, notCompared: null };
  }

  private add(difference: EventDifference): void {
    this.count++;
    this.differences.push(difference);
  }

  /** Keeps the first ones by their place in the source. */
  private trim(isLast = false): void {
    if (!isLast && this.differences.length < 4 * MOST_DIFFERENCES) return;
    const place = ({ source, target }: EventDifference) => source?.position ?? target?.position ?? 0;
    this.differences.sort((a, b) => place(a) - place(b));
    this.differences = this.differences.slice(0, MOST_DIFFERENCES);
  }
}

function zeroes(): Record<EventClass, number> {
  return Object.fromEntries(EVENT_CLASSES.map((each) => [each, 0])) as Record<EventClass, number>;
}

function positionName(id: number): string {
  return `${Math.floor(id / 2 ** 32)
    .toString(16)
    .toUpperCase()}/${(id % 2 ** 32).toString(16).toUpperCase()}`;
}

function told(table: string, key: string, { class: found, source, target, columns }: LinkDifference): EventDifference {
  return {
    class: found,
    table,
    key,
    columns,
    source: source === null ? null : { op: opOf(source), position: source.position, origin: source.origin },
    target: target === null ? null : { op: opOf(target), position: target.position },
  };
}

function opOf({ kind, isHalf }: Link): string {
  return isHalf ? 'update of the key' : kind;
}
