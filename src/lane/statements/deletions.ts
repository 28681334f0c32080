import type { BindSink } from '../../datum/sink.js';
import { split } from '../../random/seed.js';
import { Stream } from '../../random/stream.js';
import { beginBind, endBind } from '../messages/bind.js';
import { type Cascade, NO_CASCADE, type Operation, type RowRef } from '../messages/operation.js';
import type { CompiledPlan, OperationSeeds } from '../rows/compiled.js';
import type { RowStore } from '../rows/row-store.js';
import { type BatchOf, RowBatch } from './row-batch.js';

/* The share of deletions that choose a row with a cascade although rows without one are available. */
const CASCADE_SHARE = 0.25;
/* The most rows that one DELETE may change by cascade, and the most picks before another way is tried. */
const MOST_FOLLOWERS = 256;
const PICKS = 8;

/** Writes DELETEs of rows that the lane owns, and follows the cascades that the server carries out. */
export class Deletions {
  private readonly compiled: CompiledPlan;
  private readonly store: RowStore;
  private readonly sink: BindSink;
  private readonly batch = new RowBatch();
  /** By relation: what its rows have in common; null where each has a statement of its own. */
  private readonly batches: readonly (BatchOf | null)[];
  private readonly stream = new Stream();

  constructor(compiled: CompiledPlan, store: RowStore, sink: BindSink) {
    this.compiled = compiled;
    this.store = store;
    this.sink = sink;
    this.batches = compiled.relations.map((_, relation) => batchOf(compiled, relation));
  }

  /** Cheap answer to "is there a row that may be deleted?". */
  possible(relation: number): boolean {
    const { removable, cascading } = this.store.keyspaces[relation]!;
    return (removable.size > 0 || cascading.size > 0) && this.store.mayLose(relation);
  }

  /** Writes the statements of so many rows; returns false if no row can be deleted. */
  write(operation: Operation, count: number, seeds: OperationSeeds): boolean {
    const { relation } = operation;
    for (let row = 0; row < count && this.possible(relation); row++) {
      this.stream.restart(seeds.random, DELETE_LABEL, row);
      const picked = this.pick(relation);
      if (picked === null) break;
      const { slot, cascade } = picked;
      const batch = count > 1 ? this.batches[relation]! : null;
      // The rows of its cascade are counted with it.
      if (batch === null || cascade !== NO_CASCADE) this.writeRow(operation, slot, cascade);
      else this.addRow(operation, batch, slot);
    }
    this.batch.flush(operation, this.sink);
    return operation.statements.length > 0;
  }

  /** Writes the statement of the newest row that nothing references; returns false if there is none. */
  writeNewest(operation: Operation): boolean {
    const { removable } = this.store.keyspaces[operation.relation]!;
    if (removable.size === 0) return false;
    this.writeRow(operation, removable.at(removable.size - 1));
    return true;
  }

  /** Writes the statement of one row whose references all belong to its cascade. */
  writeRow(operation: Operation, slot: number, cascade: Cascade = NO_CASCADE): void {
    const { relation } = operation;
    this.store.leave(relation, slot);
    for (const row of cascade.deleted) this.store.leave(row.relation, row.slot);
    for (const row of cascade.nulled) this.store.keyspaces[row.relation]!.take(row.slot);
    const shape = this.compiled.shapes.delete(relation);
    const from = beginBind(this.sink, shape.parameters);
    this.store.writeRowName(relation, slot, this.sink);
    endBind(this.sink, from);
    operation.add({
      shape,
      relation,
      kind: 'delete',
      rows: 1,
      slots: [slot],
      cascade,
      from,
      to: this.sink.offset,
    });
  }

  private addRow(operation: Operation, batch: BatchOf, slot: number): void {
    const { relation } = operation;
    this.store.leave(relation, slot);
    this.batch.begin(operation, batch, this.sink);
    this.store.writeRowName(relation, slot, this.batch.cells);
    this.batch.end(slot);
  }

  private pick(relation: number): { slot: number; cascade: Cascade } | null {
    const { removable, cascading } = this.store.keyspaces[relation]!;
    const { stream } = this;
    if (cascading.size > 0 && (removable.size === 0 || stream.chance(CASCADE_SHARE))) {
      for (let pick = 0; pick < PICKS; pick++) {
        const slot = cascading.at(stream.below(cascading.size));
        const cascade = this.followers({ relation, slot });
        if (cascade !== null) return { slot, cascade };
      }
    }
    if (removable.size === 0) return null;
    return { slot: removable.at(stream.below(removable.size)), cascade: NO_CASCADE };
  }

  /** Returns the cascade of a row's deletion; null if something prevents it, now or permanently. */
  private followers(root: RowRef): Cascade | null {
    const seen = new Set([nameOf(root)]);
    const doomed: RowRef[] = [root];
    const nulled: (RowRef & { position: number })[] = [];
    for (let at = 0; at < doomed.length; at++) {
      const { relation, slot } = doomed[at]!;
      const keyspace = this.store.keyspaces[relation]!;
      if (!keyspace.idle.has(slot) || keyspace.hasObstacles(slot)) return null;
      for (const { relation: child, position, onDelete, children } of this.store.incoming[relation]!) {
        for (let row = children.firstOf(slot); row >= 0; row = children.after(row)) {
          const follower = { relation: child, slot: row };
          if (onDelete === 'null') nulled.push({ ...follower, position });
          else if (!seen.has(nameOf(follower))) {
            seen.add(nameOf(follower));
            doomed.push(follower);
          }
          if (doomed.length + nulled.length > MOST_FOLLOWERS) return null;
        }
      }
    }
    // For a row that is both deleted and set to NULL, the server's order decides whether there are one or two events.
    const isUnclear = (row: RowRef) => seen.has(nameOf(row)) || !this.store.keyspaces[row.relation]!.idle.has(row.slot);
    if (nulled.some(isUnclear)) return null;
    const deleted = doomed.slice(1);
    return this.keepsEnough(deleted) ? { deleted, nulled } : null;
  }

  private keepsEnough(deleted: readonly RowRef[]): boolean {
    const counts = new Map<number, number>();
    for (const { relation } of deleted) counts.set(relation, (counts.get(relation) ?? 0) + 1);
    for (const [relation, count] of counts) if (!this.store.mayLose(relation, count)) return false;
    return true;
  }

  /** Removes a row that the server has deleted, with its cascade. */
  applied(relation: number, slot: number, cascade: Cascade): void {
    for (const row of cascade.nulled) {
      this.store.unlink(row.relation, row.position, row.slot);
      // If a row is identified by place and content, both have changed.
      if (this.compiled.relations[row.relation]!.plan.key.length === 0) this.store.disown(row.relation, row.slot);
      else this.store.keyspaces[row.relation]!.release(row.slot);
    }
    for (const row of cascade.deleted) this.store.retire(row.relation, row.slot);
    this.store.retire(relation, slot);
  }

  /** Restores a row that was not deleted, with its cascade. */
  undone(relation: number, slot: number, cascade: Cascade): void {
    this.store.enter(relation, slot);
    for (const row of cascade.deleted) this.store.enter(row.relation, row.slot);
    for (const row of cascade.nulled) this.store.keyspaces[row.relation]!.release(row.slot);
  }
}

function batchOf(compiled: CompiledPlan, relation: number): BatchOf | null {
  const { shapes } = compiled;
  const { plan } = compiled.relations[relation]!;
  if (!plan.changesTogether) return null;
  return {
    relation,
    kind: 'delete',
    written: [],
    width: plan.key.length,
    isDrawn: true,
    usual: compiled.rowsPer(relation, 'delete'),
    shape: (rows) => (rows === 1 ? shapes.delete(relation) : shapes.deleteTogether(relation, rows)),
  };
}

function nameOf({ relation, slot }: RowRef): number {
  return relation * 0x1_0000_0000 + slot;
}

const DELETE_LABEL = split({ hi: 0, lo: 0 }, 'delete rows');
