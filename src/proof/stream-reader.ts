import { type ChangeEvent, positionOf, type Row, tableName } from '../changes/event.js';
import { SetupError } from '../config/problem.js';
import type { Link } from './chain.js';
import type { Partitions } from './partitions.js';
import type { TableFacts, ToldEvent } from './told.js';
import { hashOf, TransactionRuns } from './transactions.js';
import { canonicalOf } from './values.js';

type Side = 0 | 1;

/** A change in a partition file. */
export type Line = readonly [
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

export const HALF = 1;
export const MOVE = 2;
/** A table without a key: its rows are a multiset. */
export const KEYLESS = 4;
/** The first of the two links of one change. */
export const UNCOUNTED = 8;

/** Turns the events of a stream into links of the chains of their keys. */
export class LinkReader {
  readonly side: Side;
  readonly truncates = new Map<string, number>();
  private readonly facts: ReadonlyMap<string, TableFacts>;
  private readonly passOn: (chain: string, line: Line) => void;

  /** `passOn` gets each link, with the name of its chain. An update of a key is a link of two chains. */
  constructor(side: Side, facts: ReadonlyMap<string, TableFacts>, passOn: (chain: string, line: Line) => void) {
    this.side = side;
    this.facts = facts;
    this.passOn = passOn;
  }

  take(given: ToldEvent): void {
    const told = withOldValues(given);
    const { event } = told;
    const table = tableName(event);
    if (event.op === 'truncate') {
      this.truncates.set(table, (this.truncates.get(table) ?? 0) + 1);
      return;
    }
    const facts = this.facts.get(table);
    if (facts !== undefined ? facts.key === null : event.key === null) this.takeKeyless(table, told);
    else this.takeKeyed(table, told);
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
        // A change that looks like changes of other rows must not be compared with them.
        if (value === undefined)
          throw SetupError.of(
            `${this.side === 0 ? 'source' : 'consumer'}:${position}`,
            `a change of ${table} has no value for its key column ${name}`,
          );
        return value === null ? null : canonicalOf(facts?.columns[name] ?? '', value);
      }),
    );
  }

  private rowText(table: string, row: Row): string {
    const facts = this.facts.get(table);
    // A missing column and NULL are the same here, because images of old rows leave NULLs out.
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
    this.passOn(table + chain, line);
  }
}

/** Reads one of the two streams into the partitions. */
export class StreamReader {
  /** By table: columns that its changes carry. */
  readonly tables = new Map<string, Set<string>>();
  readonly runs: TransactionRuns;
  /** True if every change so far has the position of its commit, and the number of its transaction. */
  hasCommits = true;
  hasNumbers = true;
  hasSomeCommits = false;
  hasSomeNumbers = false;
  readonly numbers: TransactionRuns;
  /** The tables that count when transactions are checked for being whole; null: all. */
  carried: ReadonlyMap<string, unknown> | null = null;
  private readonly links: LinkReader;
  private readonly facts: ReadonlyMap<string, TableFacts>;
  /** True if the event that was taken last counts for its transaction. */
  private isCounted = false;

  constructor(side: Side, partitions: Partitions, facts: ReadonlyMap<string, TableFacts>) {
    this.facts = facts;
    this.links = new LinkReader(side, facts, (chain, line) => {
      this.noteOrder(chain, line);
      partitions.add(chain, JSON.stringify(line));
    });
    this.runs = new TransactionRuns(partitions.beside(`commits-${side}`));
    this.numbers = new TransactionRuns(partitions.beside(`numbers-${side}`));
  }

  get truncates(): ReadonlyMap<string, number> {
    return this.links.truncates;
  }

  take(told: ToldEvent): void {
    this.note(tableName(told.event), told.event);
    this.links.take(told);
  }

  finish(): void {
    this.runs.finish();
    this.numbers.finish();
  }

  close(): void {
    this.runs.close();
    this.numbers.close();
  }

  /* A row without a key has no name that both streams have in common. */
  private noteOrder(chain: string, [, , , , kind, flags]: Line): void {
    if (!this.isCounted || (flags & KEYLESS) !== 0) return;
    const hash = hashOf(`${kind} ${chain}`);
    if (this.hasCommits) this.runs.note(hash);
    if (this.hasNumbers) this.numbers.note(hash);
  }

  private note(table: string, { new: row, unchanged, commit, xid }: ChangeEvent): void {
    let columns = this.tables.get(table);
    if (columns === undefined) {
      columns = new Set();
      this.tables.set(table, columns);
    }
    if (row !== null) for (const column of Object.keys(row)) columns.add(column);
    for (const column of unchanged) columns.add(column);
    this.isCounted = (this.carried?.has(table) ?? true) && (this.facts.size === 0 || this.facts.has(table));
    if (!this.isCounted) return;
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
}

/**
 * An event with its unchanged values in the row, where the row before the change tells them. They stay named as unchanged: the
 * stream did not carry them.
 */
function withOldValues(told: ToldEvent): ToldEvent {
  const { old, new: row, unchanged } = told.event;
  if (unchanged.length === 0 || old === null || row === null) return told;
  const known = unchanged.filter((column) => typeof old[column] === 'string');
  if (known.length === 0) return told;
  const filled = { ...row, ...Object.fromEntries(known.map((column) => [column, old[column]!])) };
  return { ...told, event: { ...told.event, new: filled } };
}
