import { BindSink } from '../datum/sink.js';
import type { LanePlace, OperationKind } from '../plan/plan.js';
import { endSync } from './messages/bind.js';
import { Blocks, isTogether, type Operation, type RowRef, type Statement } from './messages/operation.js';
import type { Effect } from './messages/outcome.js';
import type { CompiledPlan, OperationSeeds } from './rows/compiled.js';
import { Parents } from './rows/parents.js';
import type { RowStore } from './rows/row-store.js';
import { type ConflictForm, Conflicts } from './statements/conflicts.js';
import { Deletions } from './statements/deletions.js';
import { Inserts } from './statements/inserts.js';
import type { Generated, Rows } from './statements/rows.js';
import { Updates } from './statements/updates.js';

/** The rows that a lane owns. No other connection changes them, so the lane knows effects before the server answers. */
export class OwnedRows implements Rows {
  private readonly compiled: CompiledPlan;
  private readonly store: RowStore;
  private readonly inserts: Inserts;
  private readonly updates: Updates;
  private readonly deletions: Deletions;
  /** Null if no conflicts are configured. */
  private readonly conflicts: Conflicts | null;
  private readonly sink = new BindSink();
  private readonly blocks = new Blocks();

  constructor(compiled: CompiledPlan, store: RowStore) {
    this.compiled = compiled;
    this.store = store;
    const parents = new Parents(compiled, store);
    this.inserts = new Inserts(compiled, store, parents, this.sink);
    this.updates = new Updates(compiled, { store, parents, inserts: this.inserts }, this.sink);
    this.deletions = new Deletions(compiled, this.store, this.sink);
    const { inserts, updates, deletions } = this;
    const { conflicts } = compiled.plan;
    this.conflicts = conflicts && new Conflicts(compiled, conflicts, store, { inserts, updates, deletions });
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

  get lacking(): number {
    return this.inserts.lacking;
  }

  version(relation: number): number {
    return this.store.versions[relation]!;
  }

  close(relation: number): void {
    this.store.close(relation);
  }

  generate(operation: Operation, seeds: OperationSeeds): Generated {
    if (this.write(operation, () => this.generateKind(operation, seeds))) return 'written';
    return operation.kind === 'update' && this.updates.isBusy ? 'busy' : 'impossible';
  }

  private write(operation: Operation, statements: () => boolean): boolean {
    operation.reset();
    this.sink.clear();
    if (!statements()) {
      // Nothing was sent, so its ordinals can be used again.
      this.undone(operation, true);
      return false;
    }
    endSync(this.sink);
    this.blocks.fill(operation, this.sink);
    return true;
  }

  conflictFor(relation: number, seeds: OperationSeeds, mayPart: boolean): ConflictForm | null {
    return this.conflicts?.formFor(relation, seeds, mayPart) ?? null;
  }

  conflict(operation: Operation, form: ConflictForm, seeds: OperationSeeds): boolean {
    return this.write(operation, () => this.conflicts!.write(operation, form, seeds));
  }

  /** Where the lane begins again if its course is forgotten. */
  get placeAhead(): LanePlace {
    return this.store.placeAhead;
  }

  get promised(): { readonly relation: number; readonly kind: OperationKind } | null {
    return this.conflicts?.promised ?? null;
  }

  redeem(operation: Operation, seeds: OperationSeeds): boolean {
    return this.write(operation, () => this.conflicts!.redeem(operation, seeds));
  }

  /** Writes an INSERT of so many rows; returns false if that is impossible. */
  insert(operation: Operation, rows: number, seeds: OperationSeeds): boolean {
    return this.write(operation, () => this.inserts.write(operation, rows, seeds));
  }

  /** Writes an INSERT of one row with some given texts; returns false if that is impossible. */
  insertWith(operation: Operation, texts: ReadonlyMap<number, string | null>, seeds: OperationSeeds): boolean {
    return this.write(operation, () => this.inserts.writeWith(operation, texts, seeds, null));
  }

  /** Writes a DELETE of the newest row that nothing references; returns false if there is none. */
  deleteNewest(operation: Operation): boolean {
    return this.write(operation, () => this.deletions.writeNewest(operation));
  }

  /** Writes an UPDATE of one row that changes only these columns; returns false if that is impossible. */
  update(operation: Operation, columns: readonly number[], seeds: OperationSeeds): boolean {
    return this.write(operation, () => this.updates.writeColumns(operation, columns, seeds));
  }

  private generateKind(operation: Operation, seeds: OperationSeeds): boolean {
    const rows = this.compiled.rowsFor(operation.relation, operation.kind, seeds);
    switch (operation.kind) {
      case 'insert':
        return this.inserts.write(operation, rows, seeds);
      case 'update':
        return this.updates.write(operation, rows, seeds);
      case 'delete':
        return this.deletions.write(operation, rows, seeds);
    }
  }

  applied(operation: Operation, effect: Effect): void {
    for (const { relation, foreignKey, slot, parent } of operation.relinks) {
      this.store.hold(relation, foreignKey, slot, parent, -1);
      this.store.unlink(relation, foreignKey, slot);
      this.store.link(relation, foreignKey, slot, parent);
    }
    for (const [index, statement] of operation.statements.entries()) {
      const rows = effect.rows[index]!;
      const returned = effect.returned[index] ?? null;
      if (statement.kind === 'insert') {
        for (const { relation, slots } of statement.also) for (const slot of slots) this.store.arrive(relation, slot);
        this.inserted(statement, returned);
      } else if (statement.kind === 'delete')
        for (const slot of statement.slots) this.deletions.applied(statement.relation, slot, statement.cascade!);
      else if (isTogether(statement)) this.updatedTogether(statement, rows, returned);
      else this.updated(statement, rows, returned);
      this.conflicts?.learn(statement, operation.bytes);
    }
  }

  private inserted(statement: Statement, returned: Returned): void {
    const { plan, namedIndex } = this.compiled.relations[statement.relation]!;
    const keyspace = this.store.keyspaces[statement.relation]!;
    for (const [row, slot] of statement.slots.entries()) {
      if (statement.shape.returned > 0) {
        const values = returned?.[row];
        // A trigger or rule suppressed the row, so it does not exist.
        if (values === undefined) {
          this.store.failToArrive(statement.relation, slot, false);
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
      this.store.arrive(statement.relation, slot);
    }
  }

  /** `returned`: if rows vanished, the numbers of those that exist; null if that is unknown. */
  private updatedTogether({ relation, slots, rows: meant }: Statement, rows: number, returned: Returned): void {
    const there = rows === meant ? null : new Set(returned?.map(([row]) => Number(row)));
    for (const [row, slot] of slots.entries()) {
      if (there === null || there.has(row)) this.store.keyspaces[relation]!.release(slot);
      else if (returned === null) this.store.disown(relation, slot);
      else this.store.drop(relation, slot);
    }
  }

  private updated(statement: Statement, rows: number, returned: Returned): void {
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
    if (rows === 0) {
      this.store.drop(statement.relation, slot);
      return;
    }
    if (name !== undefined) keyspace.kept[slot] = name.map((value) => Buffer.from(value ?? ''));
    keyspace.release(slot);
  }

  keyOf({ relation, slot }: RowRef): readonly (string | null)[] {
    const { key } = this.compiled.relations[relation]!.plan;
    return key.map((column) => this.store.namedText(relation, slot, column));
  }

  finished(operation: Operation): void {
    this.blocks.release(operation);
  }

  save() {
    return { store: this.store.save(), turns: this.inserts.save(), known: this.conflicts?.save() ?? null };
  }

  restore({ store, turns, known }: SavedOwnedRows): void {
    this.store.restore(store);
    this.inserts.restore(turns);
    if (known !== null) this.conflicts?.restore(known);
  }

  spare({ statements }: Operation): void {
    // Of several rows, it is not known which one was refused.
    const [statement, ...others] = statements;
    if (others.length > 0 || statement?.kind !== 'delete' || statement.slots.length !== 1) return;
    this.store.keyspaces[statement.relation]!.addObstacles(statement.slots[0]!, 1);
  }

  undone(operation: Operation, reusable: boolean): void {
    for (const relink of operation.relinks)
      this.store.hold(relink.relation, relink.foreignKey, relink.slot, relink.parent, -1);
    for (const { kind, relation, slots, also, successor, cascade } of operation.statements) {
      const giveBack = (from: number, slot: number) =>
        reusable ? this.store.retire(from, slot) : this.store.drop(from, slot);
      for (const rows of also) for (const slot of rows.slots) this.store.failToArrive(rows.relation, slot, reusable);
      if (successor >= 0) giveBack(relation, successor);
      const keyspace = this.store.keyspaces[relation]!;
      for (const slot of slots) {
        if (kind === 'insert') this.store.failToArrive(relation, slot, reusable);
        else if (successor >= 0) this.store.enter(relation, slot);
        else if (kind === 'update') keyspace.release(slot);
        else this.deletions.undone(relation, slot, cascade!);
      }
    }
  }
}

export type SavedOwnedRows = ReturnType<OwnedRows['save']>;

type Returned = readonly (readonly (string | null)[])[] | null;
