import { BindSink } from '../datum/sink.js';
import type { ForeignKeyPlan } from '../plan/plan.js';
import { partOf, split } from '../random/seed.js';
import { beginBind, endBind } from './bind.js';
import { Circle } from './circle.js';
import { tupleOf } from './claims.js';
import type { CompiledPlan, CompiledRelation, OperationSeeds } from './compiled.js';
import type { InsertContext, RowDraft } from './draft.js';
import { NO_PARENT } from './keyspace.js';
import type { Operation } from './operation.js';
import { NOTHING_REQUIRED, type Parents } from './parents.js';
import { lastText, type Required, type RowStore } from './row-store.js';
import { maxRowsPerInsert } from './shape.js';

/* How often a row is drawn anew when its tuple of a tracked key is taken. */
const TUPLE_TRIES = 16;
const NESTED_PARENTS = 16;
/* Draws of one row's further tries are numbered from here, far beyond any row of an operation. */
const TRY_STRIDE = 0x10_0000;

/** Writes INSERTs of rows that the lane will own, and of parents that they lack before them. */
export class Inserts {
  private readonly compiled: CompiledPlan;
  private readonly store: RowStore;
  private readonly parents: Parents;
  private readonly sink: BindSink;
  private readonly scratch = new BindSink();
  private readonly circle: Circle;

  constructor(compiled: CompiledPlan, store: RowStore, parents: Parents, sink: BindSink) {
    this.compiled = compiled;
    this.store = store;
    this.parents = parents;
    this.sink = sink;
    this.circle = new Circle(compiled, store);
  }

  /** Writes the rows of an operation; false where it is impossible. */
  write(operation: Operation, count: number, seeds: OperationSeeds): boolean {
    const context = { seeds, own: true, depth: 0, required: NOTHING_REQUIRED };
    return this.insert(operation, operation.relation, count, context).length > 0;
  }

  /** Writes an UPDATE that makes a row another one, key and all, as an INSERT would have made it; false where it is impossible. */
  writeSuccessor(operation: Operation, relation: number, slot: number, row: number, seeds: OperationSeeds): boolean {
    if (!this.store.hasRoom(relation)) return false;
    // Its key goes: nothing may reference it from now on, the new row least of all.
    this.store.leave(relation, slot);
    const context: InsertContext = { seeds, own: true, depth: 0, required: NOTHING_REQUIRED };
    const draft = this.draftRow(operation, relation, row, context);
    // An UPDATE takes no rows of a circle along.
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
    for (const column of plan.rekeyed) this.writeKept(compiled, column, draft, context, texts);
    keyspace.kept[draft.slot] = texts;
    this.store.writeRowName(relation, slot, this.sink);
    endBind(this.sink, from);
    operation.add({
      shape,
      relation,
      kind: 'update',
      rows: 1,
      slots: [slot],
      successor: draft.slot,
      from,
      to: this.sink.offset,
    });
    return true;
  }

  /** Inserts rows of a relation, parents that are missing before them. Returns their slots, none where it is impossible. */
  private insert(operation: Operation, relation: number, count: number, context: InsertContext): number[] {
    const compiled = this.compiled.relations[relation]!;
    if (!compiled.plan.operations.insert) return [];
    const rows: RowDraft[] = [];
    for (let row = 0; row < count && this.store.hasRoom(relation); row++) {
      if (context.own && !this.store.mayGain(relation, 1)) break;
      const draft = this.draftRow(operation, relation, row, context);
      if (draft !== null) rows.push(draft);
    }
    const most = maxRowsPerInsert(compiled.plan);
    if (!this.circle.wait(relation, rows, context)) {
      for (let from = 0; from < rows.length; from += most)
        this.writeInsert(operation, relation, rows.slice(from, from + most), context);
    }
    return rows.map((row) => row.slot);
  }

  private draftRow(operation: Operation, relation: number, row: number, context: InsertContext): RowDraft | null {
    const { plan } = this.compiled.relations[relation]!;
    const keyspace = this.store.keyspaces[relation]!;
    const ordinal = this.store.takeOrdinal(relation);
    const draft: RowDraft = { slot: keyspace.allocate(ordinal), ordinal, draw: row, parents: [], picks: [] };
    const mark = this.circle.begin(context.depth, relation, draft);
    for (let attempt = 0; attempt <= TUPLE_TRIES; attempt++) {
      draft.draw = row + attempt * TRY_STRIDE;
      // The last try inserts new parents, whose tuples nobody can hold yet.
      const fresh = attempt === TUPLE_TRIES && (plan.trackedKeys.length > 0 || plan.guards.length > 0);
      if (!this.chooseParents(operation, relation, draft, fresh, context)) {
        // Another tuple of the groups may do without.
        if (plan.groups.length > 0) continue;
        break;
      }
      if (!this.meetsGuards(relation, draft, context)) continue;
      if (plan.trackedKeys.length === 0 || this.track(relation, draft, context)) {
        for (const [position, parent] of draft.parents.entries())
          this.store.link(relation, position, draft.slot, parent);
        return draft;
      }
    }
    this.circle.dropSince(mark);
    keyspace.forget(draft.slot);
    return null;
  }

  private chooseParents(
    operation: Operation,
    relation: number,
    draft: RowDraft,
    fresh: boolean,
    context: InsertContext,
  ): boolean {
    const compiled = this.compiled.relations[relation]!;
    draft.parents.length = 0;
    draft.picks = compiled.pickTuples(context.seeds, draft.draw);
    for (const foreignKey of compiled.plan.foreignKeys) {
      const presence = compiled.presenceOf(foreignKey, draft.picks);
      if (presence === 'null' && foreignKey.nullable) {
        draft.parents.push(NO_PARENT);
        continue;
      }
      const isNeeded = !foreignKey.nullable || presence === 'present';
      const required = this.parents.requiredOf(compiled, foreignKey, draft.parents, context.required);
      const choice = { relation, foreignKey, isNeeded, draw: draft.draw, required };
      let parent = fresh && isNeeded ? null : this.parents.chooseParent(choice, context.seeds);
      if (parent === null && !fresh && isNeeded) parent = this.parentInFlight(operation, foreignKey, required);
      if (parent === null && isNeeded) parent = this.circle.parentFor(foreignKey, required, context.depth);
      if (parent === null && (fresh || isNeeded)) parent = this.insertParent(operation, foreignKey, required, context);
      if (parent === null && isNeeded) return false;
      draft.parents.push(parent ?? NO_PARENT);
    }
    return true;
  }

  /** A parent that this very operation inserts: its other rows need no second one. */
  private parentInFlight(operation: Operation, foreignKey: ForeignKeyPlan, required: Required): number | null {
    for (const statement of operation.statements) {
      if (statement.relation !== foreignKey.parent || statement.kind !== 'insert') continue;
      const slot = statement.slots.find((candidate) => this.store.matches(foreignKey.parent, candidate, required));
      if (slot !== undefined) return slot;
    }
    return null;
  }

  private insertParent(
    operation: Operation,
    foreignKey: ForeignKeyPlan,
    required: Required,
    context: InsertContext,
  ): number | null {
    if (context.depth >= NESTED_PARENTS) return null;
    const parent = this.compiled.relations[foreignKey.parent]!;
    // An ordinal's text cannot be chosen, nor can a server's.
    for (const column of required.keys()) {
      const { source } = parent.plan.columns[column]!;
      if (source === 'ordinal' || source === 'server') return null;
    }
    // RETURNING answers too late for a statement of the same operation.
    if (foreignKey.parentColumns.some((column) => parent.plan.columns[column]!.source === 'server')) return null;
    const nested = {
      seeds: nestedSeeds(context.seeds, operation.statements.length),
      own: false,
      depth: context.depth + 1,
      required,
    };
    return this.insert(operation, foreignKey.parent, 1, nested)[0] ?? null;
  }

  private meetsGuards(relation: number, draft: RowDraft, context: InsertContext): boolean {
    const compiled = this.compiled.relations[relation]!;
    const { guards } = compiled.plan;
    if (guards.length === 0) return true;
    return compiled.meetsGuards(guards, (column) => this.columnText(compiled, column, draft, context));
  }

  /** Reserves the row's tuples of tracked keys; false where one of them is taken. */
  private track(relation: number, draft: RowDraft, context: InsertContext): boolean {
    const compiled = this.compiled.relations[relation]!;
    const { plan } = compiled;
    const inUse = this.store.tuplesInUse[relation]!;
    const tuples: string[] = [];
    for (const [index, key] of plan.trackedKeys.entries()) {
      const texts = key.map((column) => this.columnText(compiled, column, draft, context));
      if (texts.includes(null)) continue;
      const tuple = tupleOf(index, texts as string[]);
      if (inUse.has(tuple)) return false;
      // Where no part of the tuple is the lane's own, lanes share the tuples out by their hash.
      const owned = key.some((column) =>
        compiled.foreignKeysOf[column]!.some((position) => draft.parents[position]! >= 0),
      );
      if (
        !owned &&
        this.store.lanes > 1 &&
        partOf(split({ hi: 0, lo: 0 }, tuple), this.store.lanes) !== this.store.lane
      )
        return false;
      tuples.push(tuple);
    }
    for (const tuple of tuples) inUse.add(tuple);
    this.store.keyspaces[relation]!.tuples[draft.slot] = tuples;
    return true;
  }

  private columnText(
    compiled: CompiledRelation,
    column: number,
    draft: RowDraft,
    context: InsertContext,
  ): string | null {
    this.scratch.clear();
    this.writeColumn(compiled, column, draft, context, this.scratch);
    return lastText(this.scratch);
  }

  private writeInsert(operation: Operation, relation: number, rows: readonly RowDraft[], context: InsertContext): void {
    const waiting = this.circle.take();
    const counts = waiting.map((each) => ({ relation: each.relation, rows: each.rows.length }));
    const shape =
      waiting.length === 0
        ? this.compiled.shapes.insert(relation, rows.length)
        : this.compiled.shapes.insertTogether(counts, relation, rows.length);
    const from = beginBind(this.sink, shape.parameters);
    for (const each of waiting) this.writeRows(each.relation, each.rows, each.context);
    this.writeRows(relation, rows, context);
    endBind(this.sink, from);
    operation.add({
      shape,
      relation,
      kind: 'insert',
      rows: rows.length,
      slots: rows.map((row) => row.slot),
      own: context.own,
      also: waiting.map((each) => ({ relation: each.relation, slots: each.rows.map(({ slot }) => slot) })),
      from,
      to: this.sink.offset,
    });
  }

  private writeRows(relation: number, rows: readonly RowDraft[], context: InsertContext): void {
    const compiled = this.compiled.relations[relation]!;
    const { plan } = compiled;
    for (const draft of rows) {
      const texts: (Buffer | undefined)[] | undefined = plan.kept.length > 0 ? new Array(plan.named.length) : undefined;
      for (const column of plan.insertColumns) this.writeKept(compiled, column, draft, context, texts);
      this.store.keyspaces[relation]!.kept[draft.slot] = texts;
    }
  }

  /** Writes a column, and keeps its text where the row must be named by it. */
  private writeKept(
    compiled: CompiledRelation,
    column: number,
    draft: RowDraft,
    context: InsertContext,
    texts: (Buffer | undefined)[] | undefined,
  ): void {
    const mark = this.sink.offset;
    this.writeColumn(compiled, column, draft, context, this.sink);
    const named = compiled.namedIndex[column]!;
    if (texts !== undefined && named >= 0 && compiled.plan.columns[column]!.source !== 'ordinal')
      texts[named] = this.sink.copyFrom(mark + 4);
  }

  /** The row's own column that a referencing one repeats, where the row is its own parent; −1 elsewhere. */
  private ownColumn(compiled: CompiledRelation, column: number, draft: RowDraft): number {
    for (const position of compiled.foreignKeysOf[column]!) {
      const { parent, columns, parentColumns } = compiled.plan.foreignKeys[position]!;
      const isItself = this.compiled.relations[parent] === compiled && draft.parents[position] === draft.slot;
      if (isItself) return parentColumns[columns.indexOf(column)]!;
    }
    return -1;
  }

  private writeColumn(
    compiled: CompiledRelation,
    index: number,
    draft: RowDraft,
    context: InsertContext,
    sink: BindSink,
  ): void {
    const column = compiled.columns[index]!;
    const required = context.required.get(index);
    if (required !== undefined) {
      sink.value(required);
      return;
    }
    const cell = compiled.cellOf(index, draft.picks);
    if (cell !== undefined) {
      sink.value(cell);
      return;
    }
    switch (column.plan.source) {
      case 'ordinal':
        column.writeOrdinal(draft.ordinal, sink);
        return;
      case 'foreign': {
        const own = this.ownColumn(compiled, index, draft);
        if (own >= 0) this.writeColumn(compiled, own, draft, context, sink);
        else {
          const free = () => column.writeDrawn(context.seeds, draft.draw, draft.ordinal, sink);
          this.parents.writeForeign(compiled, index, draft.parents, free, sink);
        }
        return;
      }
      case 'drawn':
      case 'server':
        column.writeDrawn(context.seeds, draft.draw, draft.ordinal, sink);
    }
  }
}

/** Parents draw from streams of their own, so that they do not repeat the operation's draws. */
function nestedSeeds(seeds: OperationSeeds, statement: number): OperationSeeds {
  return { random: split(seeds.random, `parent/${statement}`), faker: split(seeds.faker, `parent/${statement}`) };
}
