import { BindSink } from '../../datum/sink.js';
import { split } from '../../random/seed.js';
import { Stream } from '../../random/stream.js';
import { Zipf } from '../../random/zipf.js';
import { beginBind, endBind } from '../messages/bind.js';
import type { Operation } from '../messages/operation.js';
import type { Shape } from '../messages/shape.js';
import type { CompiledPlan, CompiledRelation, OperationSeeds } from '../rows/compiled.js';
import { NO_PARENT } from '../rows/keyspace.js';
import { NOTHING_REQUIRED, type Parents } from '../rows/parents.js';
import { lastText, type RowStore } from '../rows/row-store.js';
import type { Inserts } from './inserts.js';
import { type BatchOf, RowBatch } from './row-batch.js';

/** A row to update, and its new values. */
export interface RowUpdate {
  readonly slot: number;
  readonly columns: readonly number[];
  readonly shape: Shape;
  /** Number of the draw within the operation. */
  readonly row: number;
  /** Given texts; other columns draw theirs. */
  readonly texts: ReadonlyMap<number, string | null>;
  /** The batch of the row; null if it has a statement of its own. */
  readonly batch: BatchOf | null;
}

/* Draws of a row that must meet conditions between its columns, and the distance between their numbers. */
const GUARDED_DRAWS = 24;
const DRAW_STRIDE = 0x10_0000;

/** Writes UPDATEs of rows that the lane owns. */
export class Updates {
  /** True if the last write needed a row in flight, which comes back with an outcome. */
  isBusy = false;
  private readonly compiled: CompiledPlan;
  private readonly store: RowStore;
  private readonly parents: Parents;
  private readonly inserts: Inserts;
  private readonly sink: BindSink;
  private readonly scratch = new BindSink();
  private readonly batch = new RowBatch();
  /** By relation and set: what its rows have in common; null where each has a statement of its own. */
  private readonly batches: readonly (readonly (BatchOf | null)[])[];
  private readonly stream = new Stream();
  /** Null: all rows are chosen with equal probability. */
  private readonly zipf: Zipf | null;

  constructor(
    compiled: CompiledPlan,
    { store, parents, inserts }: { store: RowStore; parents: Parents; inserts: Inserts },
    sink: BindSink,
  ) {
    this.compiled = compiled;
    this.store = store;
    this.parents = parents;
    this.inserts = inserts;
    this.sink = sink;
    const { skew } = compiled.plan;
    this.zipf = skew === null ? null : new Zipf(skew);
    this.batches = compiled.relations.map(({ plan }, relation) =>
      plan.updateSets.map((_, set) => batchOf(compiled, relation, set)),
    );
  }

  /** Writes the statements of so many rows; returns false if none can be updated, or `isBusy`. */
  write(operation: Operation, most: number, seeds: OperationSeeds): boolean {
    this.isBusy = false;
    const { relation } = operation;
    const { plan } = this.compiled.relations[relation]!;
    const keyspace = this.store.keyspaces[relation]!;
    if (plan.updateSets.length === 0) return this.rekey(operation, most, seeds);
    this.stream.restart(seeds.random, UPDATE_LABEL, 0);
    if (plan.rekeyed.length > 0 && this.stream.chance(REKEYED) && this.rekey(operation, most, seeds)) return true;
    const drawn = this.stream.below(plan.updateSets.length);
    const picks = Math.min(most, keyspace.idle.size);
    for (let row = 0; row < picks; row++) {
      this.stream.restart(seeds.random, UPDATE_LABEL, 1 + row);
      const slot =
        this.zipf === null ? keyspace.idle.at(this.stream.below(keyspace.idle.size)) : this.hotRow(operation);
      if (this.isBusy || slot < 0) break;
      for (let step = 0; step < plan.updateSets.length; step++) {
        const set = (drawn + step) % plan.updateSets.length;
        const shape = this.compiled.shapes.update(relation, set);
        const columns = plan.updateSets[set]!;
        const batch = most > 1 ? this.batches[relation]![set]! : null;
        if (this.writeRow(operation, { slot, columns, shape, row, texts: NO_TEXTS, batch }, seeds)) break;
      }
    }
    // Even if it is busy, so that what was taken is returned statement by statement.
    this.batch.flush(operation, this.sink);
    return !this.isBusy && operation.statements.length > 0;
  }

  /** Writes a statement that changes only these columns of a random row; returns false if that is impossible. */
  writeColumns(operation: Operation, columns: readonly number[], seeds: OperationSeeds): boolean {
    const { relation } = operation;
    const { idle } = this.store.keyspaces[relation]!;
    if (idle.size === 0) return false;
    this.stream.restart(seeds.random, UPDATE_LABEL, 1);
    const slot = idle.at(this.stream.below(idle.size));
    const shape = this.compiled.shapes.set(relation, columns);
    return this.writeRow(operation, { slot, columns, shape, row: 0, texts: NO_TEXTS, batch: null }, seeds);
  }

  /**
   * A row by its rank; −1 where there is none but those that its transaction has taken. One that is in flight is waited
   * for, so that hot rows stay as hot as the law wants them.
   */
  private hotRow(operation: Operation): number {
    const { live, idle, span } = this.store.keyspaces[operation.relation]!;
    for (let pick = 0; pick < RANKED_PICKS; pick++) {
      const slot = this.zipf!.draw(this.stream, span) - 1;
      if (!live.has(slot)) continue;
      if (idle.has(slot)) return slot;
      if (this.batch.has(slot) || isTaken(operation, slot) || operation.attempt > 0) continue;
      this.isBusy = true;
      return slot;
    }
    return idle.size > 0 ? idle.at(this.stream.below(idle.size)) : -1;
  }

  /** Gives unreferenced rows a new key, if all columns are keys, or a key determines the partition. */
  private rekey(operation: Operation, most: number, seeds: OperationSeeds): boolean {
    const { relation } = operation;
    const { removable } = this.store.keyspaces[relation]!;
    let done = false;
    for (let row = 0; row < most && removable.size > 0; row++) {
      this.stream.restart(seeds.random, UPDATE_LABEL, 1 + row);
      const slot = removable.at(this.stream.below(removable.size));
      if (!this.inserts.writeSuccessor(operation, relation, slot, row, seeds)) break;
      done = true;
    }
    return done;
  }

  /**
   * Writes one row's statement or adds it to a batch; returns false and reserves nothing if a column has no value, or if
   * no draw meets the conditions between columns.
   */
  writeRow(operation: Operation, update: RowUpdate, seeds: OperationSeeds): boolean {
    const { guards } = this.compiled.relations[operation.relation]!.plan;
    if (guards.length === 0) return this.drawRow(operation, update, seeds);
    const isGuarded = guards.some(({ columns }) => update.columns.includes(columns[0]!));
    for (let draw = 0; draw < (isGuarded ? GUARDED_DRAWS : 1); draw++)
      if (this.drawRow(operation, { ...update, row: update.row + draw * DRAW_STRIDE }, seeds)) return true;
    return false;
  }

  private drawRow(operation: Operation, update: RowUpdate, seeds: OperationSeeds): boolean {
    const { slot, columns: set, shape, row, texts, batch } = update;
    const { relation } = operation;
    if (batch?.isDrawn) {
      this.addDrawn(operation, batch, update, seeds);
      return true;
    }
    const compiled = this.compiled.relations[relation]!;
    const { plan } = compiled;
    const picks = compiled.pickTuples(seeds, row);
    const parents: number[] = [];
    const changed: number[] = [];
    for (const [position, foreignKey] of plan.foreignKeys.entries()) {
      if (!set.includes(foreignKey.columns[0]!)) continue;
      const required = this.parents.requiredOf(compiled, foreignKey, parents, NOTHING_REQUIRED);
      const presence = compiled.presenceOf(foreignKey, picks);
      const isNeeded = !foreignKey.nullable || presence === 'present';
      const choice = { relation, position, foreignKey, isNeeded, draw: row, required, turn: null };
      let parent =
        presence === 'null' && foreignKey.nullable
          ? NO_PARENT
          : (this.parents.mateFor(choice, parents, seeds) ??
            this.parents.parentOfTuple(choice, compiled.textFor(foreignKey, picks)) ??
            this.parents.chooseParent(choice, seeds) ??
            NO_PARENT);
      if (parent === NO_PARENT && isNeeded) parent = this.store.keyspaces[relation]!.parent(position, slot);
      if (parent === NO_PARENT && isNeeded) return false;
      parents[position] = parent;
      changed.push(position);
    }
    const usesOrdinal = set.some(
      (column) =>
        !texts.has(column) &&
        (plan.columns[column]!.source === 'ordinal' || plan.columns[column]!.recipe.kind === 'template'),
    );
    if (usesOrdinal && !this.store.hasUpdateRoom(relation)) return false;
    const ordinal = usesOrdinal ? this.store.takeUpdateOrdinal(relation) : 0;
    const write = (index: number, sink: BindSink) => {
      const column = compiled.columns[index]!;
      const text = texts.get(index);
      if (text !== undefined) {
        sink.value(text);
        return;
      }
      const cell = compiled.cellOf(index, picks);
      if (cell !== undefined) sink.value(cell);
      else if (column.plan.source === 'ordinal') column.writeOrdinal(ordinal, sink);
      else if (column.plan.source === 'foreign') {
        const free = () => column.writeDrawn(seeds, row, ordinal, sink);
        this.parents.writeForeign(compiled, index, parents, free, sink);
      } else column.writeDrawn(seeds, row, ordinal, sink);
    };
    if (plan.guards.length > 0) {
      // Columns of a guard are in one group, so all of them are written or none.
      const guards = plan.guards.filter(({ columns }) => set.includes(columns[0]!));
      const read = (index: number) => {
        this.scratch.clear();
        write(index, this.scratch);
        return lastText(this.scratch);
      };
      if (!compiled.meetsGuards(guards, read)) return false;
    }

    const keyspace = this.store.keyspaces[relation]!;
    keyspace.take(slot);
    for (const position of changed) {
      operation.relinks.push({ relation, slot, foreignKey: position, parent: parents[position]! });
      this.store.hold(relation, position, slot, parents[position]!, 1);
    }
    if (batch !== null) {
      this.batch.begin(operation, batch, this.sink);
      for (const index of set) write(index, this.batch.cells);
      this.store.writeRowName(relation, slot, this.batch.cells);
      this.batch.end(slot);
      return true;
    }
    const from = beginBind(this.sink, shape.parameters);
    for (const index of set) write(index, this.sink);
    this.store.writeRowName(relation, slot, this.sink);
    endBind(this.sink, from);
    operation.add({
      shape,
      relation,
      kind: 'update',
      rows: 1,
      slots: [slot],
      written: set,
      from,
      to: this.sink.offset,
    });
    return true;
  }

  /** Adds a row whose values are only drawn, the fast path of most updates. */
  private addDrawn(operation: Operation, batch: BatchOf, { slot, row }: RowUpdate, seeds: OperationSeeds): void {
    const { relation, written } = batch;
    const { columns } = this.compiled.relations[relation]!;
    const { cells } = this.batch;
    this.store.keyspaces[relation]!.take(slot);
    this.batch.begin(operation, batch, this.sink);
    for (let at = 0; at < written.length; at++) columns[written[at]!]!.writeDrawn(seeds, row, 0, cells);
    this.store.writeRowName(relation, slot, cells);
    this.batch.end(slot);
  }
}

/* A row that may move to another partition needs a statement of its own, which reports the move. */
function batchOf(compiled: CompiledPlan, relation: number, set: number): BatchOf | null {
  const { shapes } = compiled;
  const { plan } = compiled.relations[relation]!;
  const written = plan.updateSets[set]!;
  if (!plan.changesTogether || written.some((column) => plan.partitionedBy.includes(column))) return null;
  if (written.some((column) => plan.columns[column]!.bareType === null)) return null;
  return {
    relation,
    kind: 'update',
    written,
    width: written.length + plan.key.length,
    isDrawn: isDrawn(compiled.relations[relation]!, written),
    usual: compiled.rowsPer(relation, 'update'),
    shape: (rows) => (rows === 1 ? shapes.update(relation, set) : shapes.updateTogether(relation, set, rows)),
  };
}

function isDrawn({ plan }: CompiledRelation, written: readonly number[]): boolean {
  const grouped = [...plan.groups, ...plan.guards].flatMap(({ columns }) => columns);
  return written.every((column) => {
    const { source, recipe } = plan.columns[column]!;
    return source === 'drawn' && recipe.kind !== 'template' && !grouped.includes(column);
  });
}

const NO_TEXTS: RowUpdate['texts'] = new Map();

/** Returns true for a row that the operation or its transaction has already taken. */
function isTaken(operation: Operation, slot: number): boolean {
  return [operation, ...operation.beside].some(({ statements }) =>
    statements.some((statement) => statement.relation === operation.relation && statement.slots.includes(slot)),
  );
}

/* The most ranks drawn to find a live row, because many may have been deleted. */
const RANKED_PICKS = 64;

/* The share of UPDATEs that change the key, on a table that also has ordinary ones. */
const REKEYED = 0.125;

const UPDATE_LABEL = split({ hi: 0, lo: 0 }, 'update rows');
