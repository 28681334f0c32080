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
import { HALF, KEYLESS, type Line, MOVE, StreamReader, UNCOUNTED } from './stream-reader.js';
import type { TableFacts, ToldEvent } from './told.js';
import { compareTransactions, MOST_ANOMALIES } from './transactions.js';

export interface EventComparison extends Promised {
  readonly source: AsyncIterable<ToldEvent> | Iterable<ToldEvent>;
  readonly target: AsyncIterable<ToldEvent> | Iterable<ToldEvent>;
  readonly facts: ReadonlyMap<string, TableFacts>;
  /** Bytes of both streams, roughly. */
  readonly size: number;
  /** True for changes that the source need not know of: they are counted, and not listed. */
  readonly isForeign: (table: string, found: EventClass) => boolean;
  /** True if the target contains the rows at the end, each as an insert. */
  readonly isFinal?: boolean;
  /** `transaction` if both streams contain transactions. */
  readonly order: 'transaction' | 'key' | 'none';
  /** Where there is room for what does not fit in memory. */
  readonly folder: string;
  readonly report?: (text: string) => void;
}

/** A difference as it is reported. */
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
    /** True for a column that the source contains and the consumer never does. */
    readonly isMissing: boolean;
  }[];
  /** Tables of the target that the source does not cover, with their changes. */
  readonly foreign: Readonly<Record<string, number>>;
  /** Tables with more truncates than were made, where some may be repeats. */
  readonly openTruncates: readonly string[];
  /** Values that did not change with their row's key, and that only the consumer's stream carries. */
  readonly underOldKey: number;
  /** Tables without a key with more rows like the source's than it has left. */
  readonly openRows: Readonly<Record<string, number>>;
}

const MISSING = 'the consumer does not have it';
/* A partition of this size is compared in memory; its objects take several times as much. */
const PARTITION_BYTES = 24 << 20;
const MOST_PARTITIONS = 4000;
const MOST_DIFFERENCES = 1000;
const MOST_HALVES = 1_000_000;

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
  private underOldKey = 0;
  private readonly openRows: Record<string, number> = {};

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
      underOldKey: this.underOldKey,
      openRows: this.openRows,
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

  /** False for tables that the source does not know: what happened to them is no difference. */
  private covers(table: string): boolean {
    return this.source.tables.has(table) || this.source.truncates.has(table) || this.comparison.facts.has(table);
  }

  private judge({ table, key, links, isKeyless }: Chain): void {
    if (!this.covers(table)) {
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
    this.underOldKey += result.underOldKey;
    if (result.surplus > 0) this.openRows[table] = (this.openRows[table] ?? 0) + result.surplus;
    if (result.differences.length === 0) return;
    // A row tells its key in the words of the source, which people can look up.
    const { row = null } = [...links[0], ...links[1]].find((link) => link.row !== null) ?? {};
    for (const difference of result.differences) {
      if (this.isToldAlready(difference)) continue;
      counts[difference.class]++;
      if (!this.comparison.isForeign(table, difference.class))
        this.add(told(table, this.keyText(table, key, row), difference));
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
  private keyText(table: string, chain: string, row: Link['row']): string {
    const names = this.comparison.facts.get(table)?.key;
    const values = JSON.parse(chain) as unknown[];
    if (names === undefined) return chain;
    return JSON.stringify(
      Object.fromEntries(
        names === null
          ? (values as [string, unknown][])
          : names.map((name, at) => [name, row !== null && Object.hasOwn(row, name) ? row[name] : values[at]]),
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
    // If nothing arrived of a table, its columns are not missing one by one.
    if (source === undefined || target === undefined || source.size === 0 || target.size === 0) return undefined;
    if (!target.has(column)) return MISSING;
    return source.has(column) ? undefined : 'the source does not have it';
  }

  private judgeTruncates(): void {
    for (const table of new Set([...this.source.truncates.keys(), ...this.target.truncates.keys()])) {
      const [wanted, found] = [this.source.truncates.get(table) ?? 0, this.target.truncates.get(table) ?? 0];
      if (!this.covers(table)) {
        this.foreign[table] = (this.foreign[table] ?? 0) + found;
        continue;
      }
      const counts = this.countsOf(table);
      counts.source += wanted;
      counts.target += found;
      counts.matched += Math.min(wanted, found);
      // A consumer that goes back repeats truncates, and no key shows whether it repeated everything after them.
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
    // A stream that has them in some events only has lost the others on the way.
    const isPartial = (target.hasSomeCommits && !target.hasCommits) || (target.hasSomeNumbers && !target.hasNumbers);
    if (!byCommit && isPartial)
      return {
        ...nothing,
        isOpen: true,
        notCompared: 'some events of the consumer have commit or xid, and others do not',
      };
    if (!byCommit && !(source.hasNumbers && target.hasNumbers))
      return { ...nothing, notCompared: 'not every event of both files has commit or xid' };
    const [made, arrived] = byCommit ? [source.runs, target.runs] : [source.numbers, target.numbers];
    const result = compareTransactions(made, arrived, { mayRepeat: this.isRepeat, isSorted: byCommit });
    const name = (id: number) => (byCommit ? positionName(id) : `transaction ${id}`);
    if (result.compared === 0 && arrived.count > 0)
      return {
        ...nothing,
        isOpen: true,
        notCompared: 'none of the consumer’s transactions is known to the source',
      };
    const { reordered } = result;
    // Wrong changes are reported by their keys. Where there are none, right ones have come in the wrong transaction.
    const torn = this.count === 0 && !this.mayMixKinds ? [...new Set([...result.torn, ...result.mixed])] : result.torn;
    this.count += torn.length + reordered.length;
    const { compared } = result;
    const isAtLeast = result.isAtLeast || torn.length >= MOST_ANOMALIES;
    return {
      compared,
      isAtLeast,
      torn: torn.map(name),
      reordered: reordered.map(name),
      isOpen: false,
      notCompared: null,
    };
  }

  /** True where a change may come as several of other kinds, so that transactions do not hold the same. */
  private get mayMixKinds(): boolean {
    const { allowsKeyPairs, allowsMovePairs, allowsCompaction } = this.comparison;
    return allowsKeyPairs || allowsMovePairs || allowsCompaction;
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
