import { BindSink } from '../datum/sink.js';
import type { OperationKind } from '../plan/plan.js';
import { split } from '../random/seed.js';
import { Stream } from '../random/stream.js';
import { Zipf } from '../random/zipf.js';
import { beginBind, endBind, endSync } from './bind.js';
import type { CompiledPlan, OperationSeeds } from './compiled.js';
import { Deletions } from './deletions.js';
import { Inserts } from './inserts.js';
import { NO_PARENT } from './keyspace.js';
import { Blocks, type Operation, type Statement } from './operation.js';
import type { Effect } from './outcome.js';
import { NOTHING_REQUIRED, Parents } from './parents.js';
import { lastText, type RowStore } from './row-store.js';
import type { Generated, Rows } from './rows.js';

/** Rows that the lane owns: it alone changes them, so it knows the effect of its operations before the server answers. */
export class OwnedRows implements Rows {
  private readonly compiled: CompiledPlan;
  private readonly store: RowStore;
  private readonly parents: Parents;
  private readonly inserts: Inserts;
  private readonly deletions: Deletions;
  private readonly sink = new BindSink();
  private readonly scratch = new BindSink();
  private readonly blocks = new Blocks();
  private readonly stream = new Stream();
  /** Null: rows are chosen with the same chance. */
  private readonly zipf: Zipf | null;
  private isBusy = false;

  constructor(compiled: CompiledPlan, store: RowStore) {
    this.compiled = compiled;
    this.store = store;
    const { skew } = compiled.plan;
    this.zipf = skew === null ? null : new Zipf(skew);
    this.parents = new Parents(compiled, this.store);
    this.inserts = new Inserts(compiled, this.store, this.parents, this.sink);
    this.deletions = new Deletions(compiled, this.store, this.sink);
  }

  possible(relation: number, kind: OperationKind): boolean {
    const keyspace = this.store.keyspaces[relation]!;
    switch (kind) {
      case 'insert':
        return (
          this.compiled.relations[relation]!.plan.operations.insert &&
          this.store.hasRoom(relation) &&
          this.store.mayGain(relation, this.compiled.rowsPer(relation, 'insert'))
        );
      case 'update':
        return this.compiled.relations[relation]!.plan.updateSets.length === 0
          ? keyspace.removable.size > 0 && this.store.hasRoom(relation)
          : keyspace.idle.size > 0;
      case 'delete':
        return this.deletions.possible(relation);
    }
  }

  generate(operation: Operation, seeds: OperationSeeds): Generated {
    this.isBusy = false;
    if (this.write(operation, () => this.generateKind(operation, seeds))) return 'written';
    return this.isBusy ? 'busy' : 'impossible';
  }

  private write(operation: Operation, statements: () => boolean): boolean {
    operation.reset();
    this.sink.clear();
    if (!statements()) {
      this.undone(operation, false);
      return false;
    }
    endSync(this.sink);
    this.blocks.fill(operation, this.sink);
    return true;
  }

  /** Writes an INSERT of so many rows; false where it turned out to be impossible. */
  insert(operation: Operation, rows: number, seeds: OperationSeeds): boolean {
    return this.write(operation, () => this.inserts.write(operation, rows, seeds));
  }

  private generateKind(operation: Operation, seeds: OperationSeeds): boolean {
    const rows = this.compiled.rowsPer(operation.relation, operation.kind);
    switch (operation.kind) {
      case 'insert':
        return this.inserts.write(operation, rows, seeds);
      case 'update':
        return this.update(operation, rows, seeds);
      case 'delete':
        return this.deletions.write(operation, rows, seeds);
    }
  }

  private update(operation: Operation, most: number, seeds: OperationSeeds): boolean {
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
      if (this.isBusy) return false;
      if (slot < 0) break;
      for (let step = 0; step < plan.updateSets.length; step++) {
        if (this.updateRow(operation, slot, (drawn + step) % plan.updateSets.length, row, seeds)) break;
      }
    }
    return operation.statements.length > 0;
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
      if (isTaken(operation, slot) || operation.attempt > 0) continue;
      this.isBusy = true;
      return slot;
    }
    return idle.size > 0 ? idle.at(this.stream.below(idle.size)) : -1;
  }

  /** Rows that nothing references become others: where all columns are keys, or a key decides on the partition. */
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

  private updateRow(operation: Operation, slot: number, setIndex: number, row: number, seeds: OperationSeeds): boolean {
    const { relation } = operation;
    const compiled = this.compiled.relations[relation]!;
    const { plan } = compiled;
    const set = plan.updateSets[setIndex]!;
    const picks = compiled.pickTuples(seeds, row);
    const parents: number[] = [];
    const changed: number[] = [];
    for (const [position, foreignKey] of plan.foreignKeys.entries()) {
      if (!set.includes(foreignKey.columns[0]!)) continue;
      const required = this.parents.requiredOf(compiled, foreignKey, parents, NOTHING_REQUIRED);
      const presence = compiled.presenceOf(foreignKey, picks);
      const isNeeded = !foreignKey.nullable || presence === 'present';
      const choice = { relation, foreignKey, isNeeded, draw: row, required, turn: null };
      let parent =
        presence === 'null' && foreignKey.nullable
          ? NO_PARENT
          : (this.parents.chooseParent(choice, seeds) ?? NO_PARENT);
      if (parent === NO_PARENT && isNeeded) parent = this.store.keyspaces[relation]!.parent(position, slot);
      if (parent === NO_PARENT && isNeeded) return false;
      parents[position] = parent;
      changed.push(position);
    }
    const usesOrdinal = set.some(
      (column) => plan.columns[column]!.source === 'ordinal' || plan.columns[column]!.recipe.kind === 'template',
    );
    if (usesOrdinal && !this.store.hasUpdateRoom(relation)) return false;
    const ordinal = usesOrdinal ? this.store.takeUpdateOrdinal(relation) : 0;
    const write = (index: number, sink: BindSink) => {
      const column = compiled.columns[index]!;
      const cell = compiled.cellOf(index, picks);
      if (cell !== undefined) sink.value(cell);
      else if (column.plan.source === 'ordinal') column.writeOrdinal(ordinal, sink);
      else if (column.plan.source === 'foreign') {
        const free = () => column.writeDrawn(seeds, row, ordinal, sink);
        this.parents.writeForeign(compiled, index, parents, free, sink);
      } else column.writeDrawn(seeds, row, ordinal, sink);
    };
    if (plan.guards.length > 0) {
      // Columns of a guard are in one group, so that all of them are written or none.
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
    const shape = this.compiled.shapes.update(relation, setIndex);
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
      from,
      to: this.sink.offset,
    });
    return true;
  }

  applied(operation: Operation, effect: Effect): void {
    for (const [index, statement] of operation.statements.entries()) {
      const rows = effect.rows[index]!;
      const returned = effect.returned[index] ?? null;
      if (statement.kind === 'insert') {
        for (const { relation, slots } of statement.also) for (const slot of slots) this.store.enter(relation, slot);
        this.inserted(statement, returned);
      } else if (statement.kind === 'delete')
        this.deletions.applied(statement.relation, statement.slots[0]!, statement.cascade!);
      else this.updated(operation, statement, rows, returned);
    }
  }

  private inserted(statement: Statement, returned: Returned): void {
    const { plan, namedIndex } = this.compiled.relations[statement.relation]!;
    const keyspace = this.store.keyspaces[statement.relation]!;
    for (const [row, slot] of statement.slots.entries()) {
      if (statement.shape.returnsRows) {
        const values = returned?.[row];
        // A trigger or rule swallowed the row: it is not there.
        if (values === undefined) {
          this.store.drop(statement.relation, slot);
          continue;
        }
        if (plan.key.length === 0) keyspace.kept[slot] = values.map((value) => Buffer.from(value ?? ''));
        else {
          const texts = [...(keyspace.kept[slot] ?? new Array<Buffer | undefined>(plan.named.length))];
          for (const [index, column] of plan.returned.entries())
            texts[namedIndex[column]!] = Buffer.from(values[index] ?? '');
          keyspace.kept[slot] = texts;
        }
      }
      this.store.enter(statement.relation, slot);
    }
  }

  private updated(operation: Operation, statement: Statement, rows: number, returned: Returned): void {
    const slot = statement.slots[0]!;
    const keyspace = this.store.keyspaces[statement.relation]!;
    const name =
      this.compiled.relations[statement.relation]!.plan.key.length === 0 ? returned?.[0]?.slice(0, 2) : undefined;
    if (statement.successor >= 0) {
      this.store.retire(statement.relation, slot);
      if (rows > 0 && name !== undefined)
        keyspace.kept[statement.successor] = name.map((value) => Buffer.from(value ?? ''));
      if (rows > 0) this.store.enter(statement.relation, statement.successor);
      else this.store.drop(statement.relation, statement.successor);
      return;
    }
    for (const relink of operation.relinks) {
      if (relink.slot !== slot || relink.relation !== statement.relation) continue;
      this.store.hold(relink.relation, relink.foreignKey, slot, relink.parent, -1);
      this.store.unlink(relink.relation, relink.foreignKey, slot);
      this.store.link(relink.relation, relink.foreignKey, slot, relink.parent);
    }
    if (rows === 0) {
      this.store.drop(statement.relation, slot);
      return;
    }
    if (name !== undefined) keyspace.kept[slot] = name.map((value) => Buffer.from(value ?? ''));
    keyspace.release(slot);
  }

  finished(operation: Operation): void {
    this.blocks.release(operation);
  }

  undone(operation: Operation, reusable: boolean): void {
    for (const relink of operation.relinks)
      this.store.hold(relink.relation, relink.foreignKey, relink.slot, relink.parent, -1);
    for (const { kind, relation, slots, also, successor, cascade } of operation.statements) {
      const giveBack = (from: number, slot: number) =>
        reusable ? this.store.retire(from, slot) : this.store.drop(from, slot);
      for (const rows of also) for (const slot of rows.slots) giveBack(rows.relation, slot);
      if (successor >= 0) giveBack(relation, successor);
      const keyspace = this.store.keyspaces[relation]!;
      for (const slot of slots) {
        if (kind === 'insert') giveBack(relation, slot);
        else if (successor >= 0) this.store.enter(relation, slot);
        else if (kind === 'update') keyspace.release(slot);
        else this.deletions.undone(relation, slot, cascade!);
      }
    }
  }
}

/** True for a row that the operation or its transaction has taken already. */
function isTaken(operation: Operation, slot: number): boolean {
  return [operation, ...operation.beside].some(({ statements }) =>
    statements.some((statement) => statement.relation === operation.relation && statement.slots.includes(slot)),
  );
}

type Returned = readonly (readonly (string | null)[])[] | null;

/* Ranks drawn to find a row that lives: many may have been deleted. */
const RANKED_PICKS = 64;

/* Of the UPDATEs on a table where rows can be re-keyed beside ordinary changes. */
const REKEYED = 0.125;

const UPDATE_LABEL = split({ hi: 0, lo: 0 }, 'update rows');
