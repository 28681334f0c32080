import { BindSink, type TupleSink } from '../datum/sink.js';
import type { ForeignKeyPlan } from '../plan/plan.js';
import { partOf, split } from '../random/seed.js';
import type { Circle } from './circle.js';
import { tupleOf } from './claims.js';
import type { CompiledPlan, CompiledRelation } from './compiled.js';
import type { InsertContext, RowDraft } from './draft.js';
import { KEPT_NULL, NO_PARENT } from './keyspace.js';
import type { Parents } from './parents.js';
import { lastText, type Required, type RowStore } from './row-store.js';

/* How often a row is drawn anew when its tuple of a tracked key is taken; in bulk, where most of them may be. */
const TUPLE_TRIES = 16;
const BULK_TRIES = 1024;
/* Draws of one row's further tries are numbered from here, far beyond any row of an operation. */
const TRY_STRIDE = 0x10_0000;

/** A parent that a row lacks. */
export interface WantedParent {
  readonly foreignKey: ForeignKeyPlan;
  readonly required: Required;
  readonly isNeeded: boolean;
  /** Only a new one will do, whose tuples nobody can hold yet. */
  readonly fresh: boolean;
}

/** Where parents come from that are not there. */
export interface ParentSource {
  /** One that is on its way already. */
  inFlight(wanted: WantedParent, context: InsertContext): number | null;
  /** One that is inserted for the purpose. */
  insert(wanted: WantedParent, context: InsertContext): number | null;
}

/** Drafts rows that the lane will own (parents, tuples of groups and keys, conditions) and writes what was drafted. */
export class Drafts {
  private readonly compiled: CompiledPlan;
  private readonly store: RowStore;
  private readonly parents: Parents;
  private readonly circle: Circle;
  /** Null in bulk: all parents are there beforehand. */
  private readonly missing: ParentSource | null;
  private readonly scratch = new BindSink();
  /** By relation: combinations of parents tried one after the other, where chance meets taken ones too often. */
  private readonly turns: number[];

  constructor(
    compiled: CompiledPlan,
    { store, parents, circle }: { store: RowStore; parents: Parents; circle: Circle },
    missing: ParentSource | null,
  ) {
    this.compiled = compiled;
    this.store = store;
    this.parents = parents;
    this.circle = circle;
    this.missing = missing;
    this.turns = compiled.relations.map(() => 0);
  }

  /** A row of the relation, not written yet; null where it is impossible. */
  draftRow(relation: number, row: number, context: InsertContext): RowDraft | null {
    const { plan } = this.compiled.relations[relation]!;
    const keyspace = this.store.keyspaces[relation]!;
    const ordinal = this.store.takeOrdinal(relation);
    const draft: RowDraft = {
      slot: keyspace.allocate(context.handle ?? ordinal),
      ordinal,
      draw: row,
      parents: [],
      picks: [],
    };
    const mark = this.circle.begin(context.depth, relation, draft);
    const tries = this.missing === null ? BULK_TRIES : TUPLE_TRIES;
    for (let attempt = 0; attempt <= tries; attempt++) {
      draft.draw = row + attempt * TRY_STRIDE;
      // The last try inserts new parents, whose tuples nobody can hold yet.
      const fresh =
        this.missing !== null && attempt === TUPLE_TRIES && (plan.trackedKeys.length > 0 || plan.guards.length > 0);
      const turn = attempt > TUPLE_TRIES ? this.turns[relation]!++ : null;
      if (!this.chooseParents(relation, draft, { fresh, turn }, context)) {
        // Another tuple of the groups may do without.
        if (plan.groups.length > 0) continue;
        break;
      }
      if (!this.meetsGuards(relation, draft, context)) continue;
      if (plan.trackedKeys.length === 0 || this.track(relation, draft, context)) {
        if (this.missing !== null)
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
    relation: number,
    draft: RowDraft,
    { fresh, turn }: { fresh: boolean; turn: number | null },
    context: InsertContext,
  ): boolean {
    let combination = turn;
    const compiled = this.compiled.relations[relation]!;
    if (draft.parents.length > 0) draft.parents.length = 0;
    draft.picks = compiled.pickTuples(context.seeds, draft.draw);
    for (const foreignKey of compiled.plan.foreignKeys) {
      const presence = compiled.presenceOf(foreignKey, draft.picks);
      if (presence === 'null' && foreignKey.nullable) {
        draft.parents.push(NO_PARENT);
        continue;
      }
      const isNeeded =
        !foreignKey.nullable || presence === 'present' || this.isSettled(compiled, foreignKey, draft.parents);
      const required = this.parents.requiredOf(compiled, foreignKey, draft.parents, context.required);
      const choice = { relation, foreignKey, isNeeded, draw: draft.draw, required, turn: combination };
      if (combination !== null) combination = Math.floor(combination / this.parents.countFor(foreignKey));
      let parent = fresh && isNeeded ? null : this.parents.chooseParent(choice, context.seeds);
      if (parent === null && (fresh || isNeeded))
        parent = this.parentNotThere({ foreignKey, required, isNeeded, fresh }, context);
      if (parent === null && isNeeded) return false;
      draft.parents.push(parent ?? NO_PARENT);
    }
    return true;
  }

  /** True where parents chosen before give values to all columns that could be left NULL. */
  private isSettled(
    compiled: CompiledRelation,
    { nullableColumns }: ForeignKeyPlan,
    chosen: readonly number[],
  ): boolean {
    return nullableColumns.every((column) =>
      compiled.foreignKeysOf[column]!.some((position) => (chosen[position] ?? NO_PARENT) !== NO_PARENT),
    );
  }

  private parentNotThere(wanted: WantedParent, context: InsertContext): number | null {
    const { foreignKey, required, isNeeded, fresh } = wanted;
    const underWay =
      (isNeeded && !fresh ? this.missing?.inFlight(wanted, context) : null) ??
      (isNeeded ? this.circle.parentFor(foreignKey, required, context.depth) : null);
    return underWay ?? this.missing?.insert(wanted, context) ?? null;
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
      // Where no part of the tuple names a row that is the lane's own, lanes share the tuples out by their hash.
      const owned = plan.foreignKeys.some(
        ({ columns }, position) => draft.parents[position]! >= 0 && columns.every((column) => key.includes(column)),
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

  /** Writes columns of the row, in the order in which an INSERT gives them. */
  write(relation: number, draft: RowDraft, columns: readonly number[], context: InsertContext, sink: TupleSink): void {
    const compiled = this.compiled.relations[relation]!;
    const { plan } = compiled;
    const texts: (Buffer | undefined)[] | undefined = plan.kept.length > 0 ? new Array(plan.named.length) : undefined;
    if (texts === undefined) {
      if (compiled.isIndependent && context.given === undefined && context.required.size === 0)
        compiled.writeRow(columns, context.seeds, draft.draw, draft.ordinal, sink);
      else for (const column of columns) this.writeColumn(compiled, column, draft, context, sink);
      return;
    }
    for (const column of columns) this.writeKept(compiled, column, { draft, context, sink, texts });
    this.store.keyspaces[relation]!.kept[draft.slot] = texts;
  }

  /** Writes a column, and keeps its text where the row must be named by it. */
  writeKept(compiled: CompiledRelation, column: number, { draft, context, sink, texts }: Writing): void {
    const named = compiled.namedIndex[column]!;
    if (texts === undefined || named < 0 || compiled.plan.columns[column]!.source === 'ordinal') {
      this.writeColumn(compiled, column, draft, context, sink);
      return;
    }
    const text = this.columnText(compiled, column, draft, context);
    sink.value(text);
    texts[named] = text === null ? KEPT_NULL : Buffer.from(text);
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
    sink: TupleSink,
  ): void {
    const column = compiled.columns[index]!;
    if (context.given !== undefined || context.required.size > 0) {
      const given = context.given?.get(index);
      const text = given === undefined ? context.required.get(index) : given;
      if (text !== undefined) {
        sink.value(text);
        return;
      }
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

/** What a column of a row is written with. */
export interface Writing {
  readonly draft: RowDraft;
  readonly context: InsertContext;
  readonly sink: TupleSink;
  /** Texts that the row is named by, by their place among the named columns; undefined where it needs none. */
  readonly texts: (Buffer | undefined)[] | undefined;
}
