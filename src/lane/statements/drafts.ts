import { BindSink, type TupleSink } from '../../datum/sink.js';
import type { ForeignKeyPlan } from '../../plan/plan.js';
import { partOf, split } from '../../random/seed.js';
import { tupleOf } from '../rows/claims.js';
import type { CompiledPlan, CompiledRelation } from '../rows/compiled.js';
import { KEPT_NULL, NO_PARENT } from '../rows/keyspace.js';
import type { Parents } from '../rows/parents.js';
import { lastText, type Required, type RowStore } from '../rows/row-store.js';
import type { Circle } from './circle.js';
import type { InsertContext, RowDraft } from './draft.js';
import { MadeRows } from './made-rows.js';

/* Tries of one row: at random, then all combinations of parents in turn; more in bulk, where most may be used. */
const CHANCE_TRIES = 16;
const TURN_TRIES = 64;
const BULK_TURN_TRIES = 1024;
/* The most new parents that are tried for one row, one at a time. */
const NEW_TRIES = 3;
/* Distance between the draw numbers of a row's tries, far beyond the number of rows of an operation. */
const TRY_STRIDE = 0x10_0000;

/** A parent that a row lacks. */
export interface WantedParent {
  readonly relation: number;
  readonly position: number;
  readonly foreignKey: ForeignKeyPlan;
  readonly required: Required;
}

/** Provides parents that do not exist yet. */
export interface ParentSource {
  /** Returns a parent that the operation has already inserted. */
  inFlight(wanted: WantedParent, context: InsertContext): number | null;
  /** Inserts a parent for the purpose. */
  insert(wanted: WantedParent, context: InsertContext): number | null;
}

/** How one try chooses parents. */
interface Way {
  /** The number of the combination of existing rows; null: a random one. */
  readonly turn: number | null;
  /** The foreign key whose parent the operation inserts or has inserted; −1: none in particular. */
  readonly position: number;
  readonly parent: 'there' | 'in flight' | 'new';
}

const BY_CHANCE: Way = { turn: null, position: -1, parent: 'there' };
/* Random parents; missing ones are inserted. */
const WITH_MISSING: Way = { turn: null, position: -1, parent: 'new' };

/** The result of a try: drafted, a parent is missing, or a tuple is taken or forbidden by a condition. */
type Try = 'drafted' | 'no parent' | 'taken';

/** Drafts rows that the lane will own (parents, tuples of groups and keys, conditions), and writes the drafts. */
export class Drafts {
  /**
   * After a draft that came to nothing: the relation of which a further row would help; −1 where no single one would, or
   * it would have to hold certain values.
   */
  lacking = -1;
  private readonly compiled: CompiledPlan;
  private readonly store: RowStore;
  private readonly parents: Parents;
  private readonly circle: Circle;
  /** Null in bulk loads, where all parents exist beforehand. */
  private readonly missing: ParentSource | null;
  private readonly made: MadeRows;
  private readonly scratch = new BindSink();
  /** By relation: the next combination of parents, tried in turn if random ones are used too often. */
  readonly turns: number[];
  /** By relation: foreign keys whose parent determines a tracked key or a condition. */
  private readonly deciding: readonly (readonly number[])[];
  /** By relation, by tracked key: foreign keys whose parent alone makes the tuple one of the lane's own. */
  private readonly telling: readonly (readonly (readonly number[])[])[];

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
    this.made = new MadeRows(compiled, store, missing !== null);
    this.turns = compiled.relations.map(() => 0);
    this.deciding = compiled.relations.map(({ plan: { foreignKeys, trackedKeys, guards } }) => {
      const decisive = new Set([...trackedKeys.flat(), ...guards.flatMap(({ columns }) => columns)]);
      return [...foreignKeys.keys()].filter((at) => foreignKeys[at]!.columns.some((column) => decisive.has(column)));
    });
    this.telling = compiled.relations.map(({ plan: { foreignKeys, trackedKeys } }) =>
      trackedKeys.map((key) =>
        [...foreignKeys.keys()].filter((at) => {
          const { columns, parent, parentColumns } = foreignKeys[at]!;
          const isIn = (column: number) => key.includes(column);
          const ofParent = compiled.relations[parent]!.plan;
          // No other row of the parent's table has its value of a column that is unique by itself.
          const isUnique = (column: number) =>
            [ofParent.key, ...ofParent.trackedKeys].some((unique) => unique.length === 1 && unique[0] === column);
          const tells = (column: number, place: number) => isIn(column) && isUnique(parentColumns[place]!);
          return columns.every(isIn) || columns.some(tells);
        }),
      ),
    );
  }

  /** Returns an unwritten row of the relation; null if impossible, and then `lacking` says what would help. */
  draftRow(relation: number, row: number, context: InsertContext): RowDraft | null {
    const keyspace = this.store.keyspaces[relation]!;
    const ordinal = this.store.takeOrdinal(relation);
    const draft: RowDraft = {
      slot: keyspace.allocate(context.handle ?? ordinal),
      ordinal,
      draw: row,
      parents: [],
      made: [],
      picks: [],
    };
    const mark = this.circle.begin(context.depth, relation, draft);
    const end = this.fill(relation, draft, context);
    if (end === 'drafted') {
      for (const position of draft.made) this.copyToMade(relation, position, draft, context);
      for (const [position, parent] of draft.parents.entries()) {
        if (this.missing !== null) this.store.link(relation, position, draft.slot, parent);
        else {
          this.store.use(relation, position, parent);
          // Tied until the row exists or is rejected; in bulk loads rows are not tied to their parents permanently.
          if (this.store.unused[relation]![position] || draft.made.includes(position))
            keyspace.setParent(position, draft.slot, parent);
        }
      }
      return draft;
    }
    this.circle.dropSince(mark);
    this.unmake(relation, draft);
    keyspace.forget(draft.slot);
    // If only the ordinal determines a tuple that is taken, the next ordinal gives another one.
    const isParentsFault = this.deciding[relation]!.length > 0 && !this.isDecidedByOrdinal(relation);
    if (end === 'no parent' || isParentsFault) this.store.giveBack(relation, ordinal);
    return null;
  }

  /**
   * Finds parents and a tuple that is free: by chance, then by going through the combinations of rows that are there, and
   * only then, where the operation may bring rows along, with new parents, one at a time.
   */
  private fill(relation: number, draft: RowDraft, context: InsertContext): Try {
    const row = draft.draw;
    let attempt = 0;
    const tryNext = (way: Way): Try => {
      draft.draw = row + attempt++ * TRY_STRIDE;
      return this.tryWay(relation, draft, way, context);
    };
    const { plan } = this.compiled.relations[relation]!;
    let last: Try = 'taken';
    for (let tries = 0; tries < CHANCE_TRIES; tries++) {
      last = tryNext(BY_CHANCE);
      if (last === 'drafted') return last;
      // Another tuple of the groups may not need the parent, or other parents may agree with each other.
      if (last === 'no parent' && this.lacking >= 0 && plan.groups.length === 0) break;
    }
    if (last === 'taken' || this.lacking < 0) {
      const most = this.missing === null ? BULK_TURN_TRIES : TURN_TRIES;
      const areParentsDecisive = this.deciding[relation]!.length > 0;
      const tries = areParentsDecisive ? Math.min(most, this.combinations(relation)) : most;
      for (let tried = 0; tried < tries; tried++) {
        const turn = areParentsDecisive ? this.turns[relation]!++ : null;
        last = tryNext({ turn, position: -1, parent: 'there' });
        if (last === 'drafted') return last;
      }
    }
    if (this.missing !== null && context.operation!.mayBring) {
      if (last === 'no parent') last = tryNext(WITH_MISSING);
      for (const way of last === 'taken' ? this.waysWithNew(relation) : []) {
        last = tryNext(way);
        if (last === 'drafted') return last;
      }
    }
    if (last === 'taken') this.lacking = this.scarcest(relation);
    return last;
  }

  private tryWay(relation: number, draft: RowDraft, way: Way, context: InsertContext): Try {
    if (!this.chooseParents(relation, draft, way, context)) return 'no parent';
    if (!this.meetsGuards(relation, draft, context)) return 'taken';
    const { trackedKeys } = this.compiled.relations[relation]!.plan;
    return trackedKeys.length === 0 || this.track(relation, draft, context) ? 'drafted' : 'taken';
  }

  private isDecidedByOrdinal(relation: number): boolean {
    const { trackedKeys, columns } = this.compiled.relations[relation]!.plan;
    return trackedKeys.some((key) => key.some((column) => columns[column]!.recipe.kind === 'template'));
  }

  /** Returns the number of combinations of existing parents. */
  private combinations(relation: number): number {
    const { foreignKeys } = this.compiled.relations[relation]!.plan;
    const limit = BULK_TURN_TRIES;
    return foreignKeys.reduce((product, _, at) => Math.min(limit, product * this.parents.countFor(relation, at)), 1);
  }

  /** Returns the foreign keys that determine tuples, those with the fewest possible parents first. */
  private byScarcity(relation: number): number[] {
    const count = (position: number) => this.parents.countFor(relation, position);
    return [...this.deciding[relation]!].sort((a, b) => count(a) - count(b) || a - b);
  }

  /** Returns the ways with rows that the operation has inserted, then with new ones, one foreign key at a time. */
  private waysWithNew(relation: number): Way[] {
    const keys = this.byScarcity(relation);
    return [
      ...keys.map((position): Way => ({ turn: null, position, parent: 'in flight' })),
      ...keys.slice(0, NEW_TRIES).map((position): Way => ({ turn: null, position, parent: 'new' })),
    ];
  }

  private scarcest(relation: number): number {
    const position = this.byScarcity(relation)[0];
    return position === undefined ? -1 : this.compiled.relations[relation]!.plan.foreignKeys[position]!.parent;
  }

  private chooseParents(relation: number, draft: RowDraft, way: Way, context: InsertContext): boolean {
    let combination = way.turn;
    const compiled = this.compiled.relations[relation]!;
    if (draft.made.length > 0) this.unmake(relation, draft);
    if (draft.parents.length > 0) draft.parents.length = 0;
    draft.picks = compiled.pickTuples(context.seeds, draft.draw);
    for (const [position, foreignKey] of compiled.plan.foreignKeys.entries()) {
      const presence = compiled.presenceOf(foreignKey, draft.picks);
      if (presence === 'null' && foreignKey.nullable) {
        draft.parents.push(NO_PARENT);
        continue;
      }
      if (foreignKey.makesParent && !this.make(foreignKey, position, draft)) return false;
      if (foreignKey.makesParent) continue;
      const isNeeded =
        !foreignKey.nullable || presence === 'present' || this.isSettled(compiled, foreignKey, draft.parents);
      const required = this.parents.requiredOf(compiled, foreignKey, draft.parents, context.required);
      const choice = { relation, position, foreignKey, isNeeded, draw: draft.draw, required, turn: combination };
      if (combination !== null) combination = Math.floor(combination / this.parents.countFor(relation, position));
      const isGiven = way.position === position;
      let parent = isGiven
        ? null
        : (this.parents.mateFor(choice, draft.parents, context.seeds) ??
          this.parents.parentOfTuple(choice, compiled.textFor(foreignKey, draft.picks)) ??
          this.parents.chooseParent(choice, context.seeds));
      if (parent === null && (isNeeded || isGiven)) {
        const wanted = withOnly(required, foreignKey, draft.draw);
        parent = this.parentNotThere({ relation, position, foreignKey, required: wanted }, way, context);
      }
      if (parent === null && isNeeded) {
        const isAny = required.size === 0 && (foreignKey.only === null || !this.store.hasRows(foreignKey.parent));
        this.lacking = isAny ? foreignKey.parent : -1;
        return false;
      }
      draft.parents.push(parent ?? NO_PARENT);
    }
    return true;
  }

  /** Takes an ordinal for the parent that a trigger will insert; returns false if none is left. */
  private make({ parent }: ForeignKeyPlan, position: number, draft: RowDraft): boolean {
    this.lacking = -1;
    const slot = this.made.make(parent);
    if (slot === null) return false;
    draft.parents.push(slot);
    draft.made.push(position);
    return true;
  }

  /** Records what a trigger copies from the row into the parent that it inserts, and so on. */
  private copyToMade(relation: number, position: number, draft: RowDraft, context: InsertContext): void {
    const compiled = this.compiled.relations[relation]!;
    this.made.copy(relation, position, draft.parents[position]!, {
      text: (column) => this.columnText(compiled, column, draft, context),
      parent: (key) => draft.parents[key] ?? NO_PARENT,
    });
  }

  private unmake(relation: number, draft: RowDraft): void {
    for (const position of draft.made.splice(0)) {
      const { parent } = this.compiled.relations[relation]!.plan.foreignKeys[position]!;
      this.made.unmake(parent, draft.parents[position]!);
    }
  }

  /** Returns true if parents chosen earlier determine all columns that could be left NULL. */
  private isSettled(
    compiled: CompiledRelation,
    { nullableColumns }: ForeignKeyPlan,
    chosen: readonly number[],
  ): boolean {
    return nullableColumns.every((column) =>
      compiled.foreignKeysOf[column]!.some((position) => (chosen[position] ?? NO_PARENT) !== NO_PARENT),
    );
  }

  private parentNotThere(wanted: WantedParent, way: Way, context: InsertContext): number | null {
    const { foreignKey, required, position } = wanted;
    if (way.parent !== 'new' || way.position !== position) {
      const underWay =
        this.missing?.inFlight(wanted, context) ?? this.circle.parentFor(foreignKey, required, context.depth);
      if (underWay !== null) return underWay;
    }
    return way.parent === 'new' ? (this.missing?.insert(wanted, context) ?? null) : null;
  }

  private meetsGuards(relation: number, draft: RowDraft, context: InsertContext): boolean {
    const compiled = this.compiled.relations[relation]!;
    const { guards } = compiled.plan;
    if (guards.length === 0) return true;
    return compiled.meetsGuards(guards, (column) => this.columnText(compiled, column, draft, context));
  }

  /** Reserves the row's tuples of tracked keys; returns false if one of them is taken. */
  private track(relation: number, draft: RowDraft, context: InsertContext): boolean {
    const compiled = this.compiled.relations[relation]!;
    const { plan } = compiled;
    const inUse = this.store.tuplesInUse[relation]!;
    const tuples: string[] = [];
    for (const [index, key] of plan.trackedKeys.entries()) {
      const texts = key.map((column) => this.columnText(compiled, column, draft, context));
      if (texts.includes(null)) continue;
      const tuple = tupleOf(index, texts as string[]);
      if (inUse.has(tuple)) {
        // A row that the lane does not know has it, so the parent would be offered again and again.
        for (const [position, parent] of draft.parents.entries()) {
          if (compiled.soleKeys[position] === index) this.store.use(relation, position, parent);
        }
        return false;
      }
      // If no part of the tuple refers to a row of the lane's own, lanes divide the tuples by their hash.
      const owned = this.telling[relation]![index]!.some((position) => draft.parents[position]! >= 0);
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

  /** Writes a column, and keeps its text if it identifies the row. */
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

  /** Returns the column that a referencing one repeats, if the row is its own parent; −1 otherwise. */
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

/** Returns the requirements on a parent, with one of the values that a condition of the child allows. */
function withOnly(required: Required, { only }: ForeignKeyPlan, draw: number): Required {
  if (only === null || required.has(only.parentColumn)) return required;
  return new Map([...required, [only.parentColumn, only.values[draw % only.values.length]!]]);
}

/** What is needed to write a column of a row. */
export interface Writing {
  readonly draft: RowDraft;
  readonly context: InsertContext;
  readonly sink: TupleSink;
  /** Texts that identify the row, by position among the named columns; undefined if it needs none. */
  readonly texts: (Buffer | undefined)[] | undefined;
}
