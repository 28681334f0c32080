import type { BindSink } from '../../datum/sink.js';
import { split } from '../../random/seed.js';
import { beginBind, endBind } from '../messages/bind.js';
import type { Operation } from '../messages/operation.js';
import { maxRowsPerInsert } from '../messages/shape.js';
import type { CompiledPlan, OperationSeeds } from '../rows/compiled.js';
import { NOTHING_REQUIRED, type Parents } from '../rows/parents.js';
import type { RowStore } from '../rows/row-store.js';
import { Circle } from './circle.js';
import type { InsertContext, RowDraft } from './draft.js';
import { Drafts, type ParentSource, type WantedParent } from './drafts.js';

/* The most parents that one operation inserts, and how many levels deep. */
const MOST_BROUGHT = 64;
const NESTED_PARENTS = 64;
/* The most rows of one operation that may fail before the rest is given up. */
const MOST_FAILED = 2;

/** Writes INSERTs of rows that the lane will own, preceded by INSERTs of missing parents. */
export class Inserts implements ParentSource {
  private readonly compiled: CompiledPlan;
  private readonly store: RowStore;
  private readonly sink: BindSink;
  private readonly circle: Circle;
  private readonly drafts: Drafts;

  constructor(compiled: CompiledPlan, store: RowStore, parents: Parents, sink: BindSink) {
    this.compiled = compiled;
    this.store = store;
    this.sink = sink;
    this.circle = new Circle(compiled, store);
    this.drafts = new Drafts(compiled, { store, parents, circle: this.circle }, this);
  }

  /** After a failed `write`: the relation of which another row would help; −1 if no single one would. */
  get lacking(): number {
    return this.drafts.lacking;
  }

  save(): readonly number[] {
    return this.drafts.turns;
  }

  restore(turns: readonly number[]): void {
    this.drafts.turns.splice(0, this.drafts.turns.length, ...turns);
  }

  /** Writes the rows of an operation; returns false if impossible, or if it lacks parents and may insert none. */
  write(operation: Operation, count: number, seeds: OperationSeeds): boolean {
    const needed = this.compiled.relations[operation.relation]!.plan.needs.find((need) => !this.store.hasRows(need));
    this.drafts.lacking = needed ?? -1;
    if (needed !== undefined) return false;
    const context = { operation, seeds, own: true, depth: 0, required: NOTHING_REQUIRED };
    const { length } = this.insertRows(operation.relation, count, context);
    return length > 0 && (operation.mayBring || length === count || this.drafts.lacking < 0);
  }

  /** Writes a row with given texts, optionally with the ordinal of another row; returns false if impossible. */
  writeWith(
    operation: Operation,
    texts: ReadonlyMap<number, string | null>,
    seeds: OperationSeeds,
    handle: number | null,
  ): boolean {
    const context: InsertContext = {
      operation,
      seeds,
      own: true,
      depth: 0,
      required: NOTHING_REQUIRED,
      given: texts,
      handle,
    };
    return this.insertRows(operation.relation, 1, context).length > 0;
  }

  /** Writes an UPDATE that gives a row a new key and new values, as an INSERT would; returns false if impossible. */
  writeSuccessor(operation: Operation, relation: number, slot: number, row: number, seeds: OperationSeeds): boolean {
    if (!this.store.hasRoom(relation)) return false;
    // Its key disappears, so nothing may reference it from now on, least of all the new row.
    this.store.leave(relation, slot);
    const context: InsertContext = { operation, seeds, own: true, depth: 0, required: NOTHING_REQUIRED };
    const draft = this.drafts.draftRow(relation, row, context);
    // An UPDATE cannot insert rows of a circle.
    const takesOthers = this.circle.dropSince(0);
    if (draft === null || takesOthers) {
      if (draft !== null) this.store.drop(relation, draft.slot);
      this.store.enter(relation, slot);
      return false;
    }
    const compiled = this.compiled.relations[relation]!;
    const { plan } = compiled;
    const keyspace = this.store.keyspaces[relation]!;
    const shape = this.compiled.shapes.rekey(relation);
    const from = beginBind(this.sink, shape.parameters);
    const before = keyspace.kept[slot];
    const texts = plan.kept.length > 0 ? plan.named.map((_, index) => before?.[index]) : undefined;
    for (const column of plan.rekeyed)
      this.drafts.writeKept(compiled, column, { draft, context, sink: this.sink, texts });
    keyspace.kept[draft.slot] = texts;
    this.store.writeRowName(relation, slot, this.sink);
    endBind(this.sink, from);
    operation.add({
      shape,
      relation,
      kind: 'update',
      rows: 1,
      slots: [slot],
      written: plan.rekeyed,
      successor: draft.slot,
      from,
      to: this.sink.offset,
    });
    return true;
  }

  /** Inserts rows of a relation after their missing parents. Returns their slots, none if that is impossible. */
  private insertRows(relation: number, count: number, context: InsertContext): number[] {
    const compiled = this.compiled.relations[relation]!;
    if (!compiled.plan.operations.insert) return [];
    const rows: RowDraft[] = [];
    let failed = 0;
    for (let row = 0; row < count && failed < MOST_FAILED && this.store.hasRoom(relation); row++) {
      if (context.own && !this.store.mayGain(relation, 1)) break;
      const draft = this.drafts.draftRow(relation, row, context);
      if (draft !== null) rows.push(draft);
      else failed++;
    }
    if (!context.own) context.operation!.brought += rows.length;
    const most = maxRowsPerInsert(compiled.plan);
    if (!this.circle.wait(relation, rows, context)) {
      for (let from = 0; from < rows.length; from += most)
        this.writeInsert(relation, rows.slice(from, from + most), context);
    }
    for (const row of rows) this.insertChildren(relation, row.slot, context);
    return rows.map((row) => row.slot);
  }

  /** Inserts the rows without which a deferred trigger would refuse a row. */
  private insertChildren(relation: number, slot: number, context: InsertContext): void {
    const operation = context.operation!;
    const { bears } = this.compiled.relations[relation]!.plan;
    for (const { relation: child, position } of bears) {
      const { columns, parentColumns } = this.compiled.relations[child]!.plan.foreignKeys[position]!;
      const texts = parentColumns.map((column) => this.store.namedText(relation, slot, column));
      this.insertRows(child, 1, {
        operation,
        seeds: nestedSeeds(context.seeds, operation.statements.length),
        own: false,
        // The row is written, so the circle need not know of it.
        depth: context.depth,
        required: new Map(columns.map((column, at) => [column, texts[at]!])),
      });
    }
  }

  /** Returns a parent that this operation has inserted, the newest first, so that its rows share one. */
  inFlight({ relation, position, foreignKey, required }: WantedParent, { operation }: InsertContext): number | null {
    const { statements } = operation!;
    const takesEachOnce = this.store.unused[relation]![position] !== null;
    for (let at = statements.length - 1; at >= 0; at--) {
      const statement = statements[at]!;
      if (statement.relation !== foreignKey.parent || statement.kind !== 'insert') continue;
      const slot = statement.slots.find(
        (candidate) =>
          this.store.matches(foreignKey.parent, candidate, required) &&
          !(takesEachOnce && this.store.isReferenced(relation, position, candidate)),
      );
      if (slot !== undefined) return slot;
    }
    return null;
  }

  /** Inserts a new parent, with its own missing parents; null if that is impossible within the bounds. */
  insert({ foreignKey, required }: WantedParent, context: InsertContext): number | null {
    const operation = context.operation!;
    if (context.depth >= NESTED_PARENTS || operation.brought >= MOST_BROUGHT) return null;
    const { parent } = foreignKey;
    if (this.store.isClosed(parent) || (required.size === 0 && operation.unavailable.has(parent))) return null;
    const { columns, foreignKeys } = this.compiled.relations[parent]!.plan;
    // The text of an ordinal, or of the server, cannot be chosen, nor the key of a row that a trigger makes.
    for (const column of required.keys()) {
      const { source } = columns[column]!;
      if (source === 'ordinal' || source === 'server') return null;
      if (foreignKeys.some((key) => key.makesParent && key.columns.includes(column))) return null;
    }
    // The answer of RETURNING comes too late for a statement of the same operation.
    if (foreignKey.parentColumns.some((column) => columns[column]!.source === 'server')) return null;
    const nested = {
      operation,
      seeds: nestedSeeds(context.seeds, operation.statements.length),
      own: false,
      depth: context.depth + 1,
      required,
    };
    const slot = this.insertRows(parent, 1, nested)[0] ?? null;
    if (slot === null && required.size === 0) operation.unavailable.add(parent);
    return slot;
  }

  private writeInsert(relation: number, rows: readonly RowDraft[], context: InsertContext): void {
    const waiting = this.circle.take();
    const counts = waiting.map((each) => ({ relation: each.relation, rows: each.rows.length }));
    const compiled = this.compiled.relations[relation]!;
    const isPlain = waiting.length === 0 && context.own && context.given === undefined;
    const written = isPlain ? compiled.insertedColumns(context.seeds) : compiled.plan.insertColumns;
    const shape =
      waiting.length === 0
        ? this.compiled.shapes.insert(relation, rows.length, written)
        : this.compiled.shapes.insertTogether(counts, relation, rows.length);
    const from = beginBind(this.sink, shape.parameters);
    for (const each of waiting) {
      const { insertColumns } = this.compiled.relations[each.relation]!.plan;
      for (const draft of each.rows) this.drafts.write(each.relation, draft, insertColumns, each.context, this.sink);
    }
    for (const draft of rows) this.drafts.write(relation, draft, written, context, this.sink);
    endBind(this.sink, from);
    context.operation!.add({
      shape,
      relation,
      kind: 'insert',
      rows: rows.length,
      slots: rows.map((row) => row.slot),
      own: context.own,
      written,
      reusesKey: context.handle !== undefined && context.handle !== null,
      brings: compiled.brings,
      also: waiting.map((each) => ({ relation: each.relation, slots: each.rows.map(({ slot }) => slot) })),
      from,
      to: this.sink.offset,
    });
  }
}

/** Returns separate seeds for parents, so that they do not repeat the operation's draws. */
function nestedSeeds(seeds: OperationSeeds, statement: number): OperationSeeds {
  return { random: split(seeds.random, `parent/${statement}`), faker: split(seeds.faker, `parent/${statement}`) };
}
