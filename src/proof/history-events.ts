import type { ChangeEvent, Row } from '../changes/event.js';
import type { History, HistoryTable } from '../history/history-file.js';
import type { LanePast } from '../history/lane-log.js';
import { barrierOf, outcomeOf } from '../history/replay.js';
import { Lane, type Ledger, type Result } from '../lane/lane.js';
import { parametersOf } from '../lane/messages/bind.js';
import type { Operation, RowRef, Statement } from '../lane/messages/operation.js';
import { isTogether } from '../lane/messages/operation.js';
import type { Effect } from '../lane/messages/outcome.js';
import type { Transaction } from '../lane/messages/transaction.js';
import { SILENT } from '../lane/play.js';
import { CompiledPlan } from '../lane/rows/compiled.js';
import type { RelationPlan } from '../plan/plan.js';
import { storedText } from './stored.js';
import type { TableFacts, ToldEvent } from './told.js';

/**
 * The changes that a run has made, from its history alone: each lane is played again without a database. Changes of one key
 * are in their order, since one lane makes all of them; between lanes there is none.
 */
export function* historyEvents(history: History): Generator<ToldEvent> {
  const compiled = new CompiledPlan(history.plan);
  let position = 0;
  for (const [lane, operations] of history.operations.entries())
    for (const { event, operation, isMove } of new LaneReplay(history, compiled, lane).events(operations))
      yield { event, position: ++position, origin: `${lane}:${operation}`, isMove };
}

/** Keys and types by table, as changes are compared with those of a history. */
export function historyFacts({ header, plan }: History): Map<string, TableFacts> {
  return new Map(
    header.tables.map(({ schema, table, columns, incomparable }, index) => {
      const { key, columns: planned } = plan.relations[index]!;
      const names = key.length === 0 ? null : key.map((column) => planned[column]!.name);
      return [`${schema}.${table}`, { key: names, columns, incomparable }];
    }),
  );
}

interface Made {
  readonly event: ChangeEvent;
  readonly operation: number;
  readonly isMove: boolean;
}

type Values = Record<string, string | null>;

/** One lane, played again. */
class LaneReplay implements Ledger {
  private readonly history: History;
  private readonly compiled: CompiledPlan;
  private readonly lane: Lane;
  private readonly past: LanePast;
  /** Rows of tables without a key, by relation and slot: their changes are told as whole rows. */
  private readonly rows = new Map<string, Values>();
  /** Keys of rows that a pending DELETE takes along. */
  private readonly followers = new Map<Statement, readonly (readonly (string | null)[])[]>();
  private made: Made[] = [];
  /** Operations whose outcome is known, but not returned yet. */
  private left = 0;
  readonly retried = SILENT.retried;
  readonly transactionEnded = SILENT.transactionEnded;
  readonly quarantined = SILENT.quarantined;

  constructor(history: History, compiled: CompiledPlan, number: number) {
    this.history = history;
    this.compiled = compiled;
    this.past = history.pasts[number]!;
    this.lane = new Lane(compiled, number, history.claims, this, barrierOf(this.past));
  }

  /** The changes of the first so many operations. */
  *events(operations: number): Generator<Made> {
    const { lane, past } = this;
    this.left = operations;
    while (this.left > 0) {
      if (past.end !== null && lane.begun >= past.end) lane.stop();
      const step = lane.next();
      if (step.kind === 'send') this.settle(step.transaction);
      yield* this.made;
      this.made = [];
      if (step.kind === 'done' || step.kind === 'wait') break;
    }
  }

  private settle(transaction: Transaction): void {
    for (const { operation } of transaction.members)
      for (const statement of operation.statements) this.noteFollowers(statement);
    this.lane.settle(transaction, outcomeOf(transaction, this.past));
  }

  /* When the outcome is applied their rows are forgotten. */
  private noteFollowers(statement: Statement): void {
    const { cascade } = statement;
    if (cascade === null || cascade.deleted.length + cascade.nulled.length === 0) return;
    this.followers.set(
      statement,
      [...cascade.deleted, ...cascade.nulled].map((row) => this.lane.keyOf(row)),
    );
  }

  finished(operation: Operation, result: Result): void {
    // What was in flight when the run was ended by force is not known.
    if (this.left === 0) return;
    this.left--;
    if (result.kind !== 'committed') return;
    for (const [index, statement] of operation.statements.entries())
      this.tell(operation, statement, result.effect, index);
  }

  private tell(operation: Operation, statement: Statement, effect: Effect, index: number): void {
    const texts = parametersOf(operation.bytes, statement);
    const rows = effect.rows[index]!;
    const returned = effect.returned[index] ?? null;
    const told = { operation: operation.number, texts, returned };
    if (rows === 0) return;
    if (statement.kind === 'insert') this.tellInsert(statement, told);
    else if (statement.kind === 'delete') this.tellDelete(statement, told);
    else this.tellUpdate(statement, rows, told);
  }

  private tellInsert(statement: Statement, { operation, texts, returned }: Told): void {
    let at = 0;
    for (const { relation, slots } of statement.also) {
      const { insertColumns } = this.planOf(relation);
      for (const slot of slots) {
        const values = this.valuesOf(relation, insertColumns, texts.slice(at, at + insertColumns.length));
        at += insertColumns.length;
        this.insert({ relation, slot }, values, operation);
      }
    }
    const { relation, written } = statement;
    const plan = this.planOf(relation);
    for (const [row, slot] of statement.slots.entries()) {
      const values = this.valuesOf(relation, written, texts.slice(at, at + written.length));
      at += written.length;
      const answer = returned?.[row];
      // A trigger has swallowed the row.
      if (statement.shape.returned > 0 && answer === undefined) continue;
      if (plan.key.length > 0)
        for (const [place, column] of plan.returned.entries())
          values[plan.columns[column]!.name] = answer?.[place] ?? null;
      this.insert({ relation, slot }, values, operation);
    }
  }

  /** A new row, and the rows that triggers make with it, of which only the key is known. */
  private insert(row: RowRef, values: Values, operation: number): void {
    const plan = this.planOf(row.relation);
    const valueAt = (column: number) => values[plan.columns[column]!.name] ?? null;
    for (const { makesParent, parent, columns, parentColumns, copied } of plan.foreignKeys) {
      if (!makesParent) continue;
      const places = [...columns.map((column, at) => [column, parentColumns[at]!] as const), ...copied];
      const named = this.named(
        parent,
        places.map(([, parentColumn]) => parentColumn),
        places.map(([column]) => valueAt(column)),
      );
      this.add(parent, 'insert', named, operation);
    }
    if (plan.key.length === 0) this.rows.set(nameOf(row), values);
    this.add(row.relation, 'insert', values, operation);
    for (const { relation, position } of plan.companions) {
      const { columns, parentColumns } = this.planOf(relation).foreignKeys[position]!;
      this.add(relation, 'insert', this.named(relation, columns, parentColumns.map(valueAt)), operation);
    }
  }

  private tellUpdate(statement: Statement, rows: number, { operation, texts, returned }: Told): void {
    const { relation, written, slots, shape, successor } = statement;
    const { key } = this.planOf(relation);
    // Of an UPDATE of several rows the answer names those that are there, where some are not.
    const isShort = isTogether(statement) && rows !== statement.rows;
    const there = isShort ? new Set(returned?.map(([row]) => Number(row))) : null;
    const isMove = shape.reportsMove && returned?.[0]?.at(-1) === 'true';
    const width = written.length + (key.length === 0 ? 2 : key.length);
    for (const [row, slot] of slots.entries()) {
      if (there !== null && !there.has(row)) continue;
      const own = texts.slice(row * width, (row + 1) * width);
      const values = this.valuesOf(relation, written, own);
      if (key.length > 0) {
        const before = this.valuesOf(relation, key, own.slice(written.length));
        this.add(relation, 'update', { ...before, ...values }, operation, before, isMove);
        continue;
      }
      const old = this.rows.get(nameOf({ relation, slot }));
      this.rows.delete(nameOf({ relation, slot }));
      if (old === undefined) continue;
      const after = { ...old, ...values };
      this.rows.set(nameOf({ relation, slot: successor >= 0 ? successor : slot }), after);
      this.add(relation, 'update', after, operation, old, isMove);
    }
  }

  private tellDelete(statement: Statement, { operation, texts }: Told): void {
    const { relation, slots, cascade } = statement;
    const { key } = this.planOf(relation);
    const width = key.length === 0 ? 2 : key.length;
    for (const [row, slot] of slots.entries()) {
      const own = texts.slice(row * width, (row + 1) * width);
      this.remove({ relation, slot }, this.valuesOf(relation, key, own), operation);
    }
    if (cascade === null) return;
    const keys = this.followers.get(statement) ?? [];
    this.followers.delete(statement);
    for (const [index, row] of cascade.deleted.entries()) {
      const { key: names } = this.planOf(row.relation);
      this.remove(row, this.named(row.relation, names, keys[index] ?? []), operation);
    }
    for (const [index, row] of cascade.nulled.entries()) {
      const { key: names, foreignKeys } = this.planOf(row.relation);
      const before = this.named(row.relation, names, keys[cascade.deleted.length + index] ?? []);
      const { nullableColumns } = foreignKeys[row.position]!;
      const nulled = this.named(row.relation, nullableColumns, []);
      if (names.length > 0) this.add(row.relation, 'update', { ...before, ...nulled }, operation, before);
    }
  }

  private remove(row: RowRef, key: Values, operation: number): void {
    const isKeyless = this.planOf(row.relation).key.length === 0;
    const before = isKeyless ? this.rows.get(nameOf(row)) : key;
    this.rows.delete(nameOf(row));
    if (before !== undefined) this.add(row.relation, 'delete', null, operation, before);
  }

  private add(
    relation: number,
    op: 'insert' | 'update' | 'delete',
    after: Row | null,
    operation: number,
    before: Row | null = null,
    isMove = false,
  ): void {
    const { key, columns } = this.planOf(relation);
    const { schema, table } = this.tableOf(relation);
    const keyed = before ?? after!;
    const named = Object.fromEntries(
      key.map((column) => [columns[column]!.name, keyed[columns[column]!.name] ?? null]),
    );
    const isKeyless = key.length === 0;
    const event: ChangeEvent = {
      op,
      schema,
      table,
      key: isKeyless ? null : named,
      new: after,
      old: isKeyless ? before : null,
      unchanged: [],
      xid: null,
      commit: null,
    };
    this.made.push({ event, operation, isMove });
  }

  /** Values by column, as the table stores them. */
  private valuesOf(relation: number, columns: readonly number[], texts: readonly (string | null)[]): Values {
    const planned = this.planOf(relation).columns;
    const types = this.tableOf(relation).columns;
    return Object.fromEntries(
      columns.map((column, index) => {
        const { name } = planned[column]!;
        const text = texts[index] ?? null;
        return [name, text === null ? null : storedText(types[name] ?? '', text)];
      }),
    );
  }

  private named(relation: number, columns: readonly number[], texts: readonly (string | null)[]): Values {
    const planned = this.planOf(relation).columns;
    return Object.fromEntries(columns.map((column, index) => [planned[column]!.name, texts[index] ?? null]));
  }

  private planOf(relation: number): RelationPlan {
    return this.compiled.relations[relation]!.plan;
  }

  private tableOf(relation: number): HistoryTable {
    return this.history.header.tables[relation]!;
  }
}

/** What is known of a statement that was carried out. */
interface Told {
  readonly operation: number;
  readonly texts: readonly (string | null)[];
  readonly returned: Effect['returned'][number];
}

function nameOf({ relation, slot }: RowRef): string {
  return `${relation}/${slot}`;
}
