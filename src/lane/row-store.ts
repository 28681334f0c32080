import { BindSink } from '../datum/sink.js';
import { type ClaimSet, type Claims, PINNED } from './claims.js';
import type { CompiledPlan } from './compiled.js';
import { Keyspace, NO_PARENT, PINNED_BASE } from './keyspace.js';
import { ValueIndex } from './value-index.js';

/** Texts that a row must carry in some columns, because a child needs a parent of just these. */
export type Required = ReadonlyMap<number, string>;

/* Tables of at most so many possible rows (a smallint, an enum) use keys again; others count on. */
const REUSED_CAPACITY = 100_000;

/**
 * What a lane knows of rows: its own, in one keyspace per relation, and pinned ones that any lane may reference. Names
 * them, ties children to parents, and keeps tuples and indexes true as rows come and go.
 */
export class RowStore {
  readonly lane: number;
  readonly lanes: number;
  readonly keyspaces: readonly Keyspace[];
  /** By relation: indexes of pinned claims. */
  readonly pinned: readonly Int32Array[];
  /** By relation: tuples of tracked keys that live rows hold, or rows in flight. */
  readonly tuplesInUse: readonly Set<string>[];
  private readonly compiled: CompiledPlan;
  private readonly claims: ClaimSet;
  private readonly nextOrdinal: number[];
  /** By relation: ordinals of deleted rows, where the relation's are few. */
  private readonly freed: readonly number[][];
  /** By relation: indexes over named columns, for parents that must agree with others. */
  private readonly indexes: readonly ValueIndex[][];
  private readonly scratch = new BindSink();

  constructor(compiled: CompiledPlan, lane: number, claims: ClaimSet) {
    this.compiled = compiled;
    this.lane = lane;
    this.lanes = compiled.plan.quotas.length;
    this.claims = claims;
    this.keyspaces = compiled.relations.map(({ plan }) => new Keyspace(plan.foreignKeys.length));
    this.nextOrdinal = compiled.relations.map(() => lane);
    this.freed = compiled.relations.map(() => []);
    this.indexes = compiled.relations.map(() => []);
    this.tuplesInUse = compiled.relations.map(() => new Set<string>());
    const slots = claims.map((claim) => new Int32Array(claim.count).fill(NO_PARENT));
    this.pinned = claims.map((claim) => Int32Array.from(indexesOf(claim, PINNED)));
    for (const [relation, claim] of claims.entries()) {
      for (const index of indexesOf(claim, lane))
        slots[relation]![index] = this.keyspaces[relation]!.allocate(-1 - index);
    }
    for (const [relation, claim] of claims.entries()) this.adopt(relation, claim, slots);
  }

  private adopt(relation: number, claim: Claims, slots: readonly Int32Array[]): void {
    const keyspace = this.keyspaces[relation]!;
    const { foreignKeys, key, trackedKeys } = this.compiled.relations[relation]!.plan;
    for (const index of indexesOf(claim, this.lane)) {
      const slot = slots[relation]![index]!;
      for (const [position, foreignKey] of foreignKeys.entries()) {
        const parentIndex = claim.parents[position]![index]!;
        if (parentIndex < 0) continue;
        const parentClaims = this.claims[foreignKey.parent]!;
        if (parentClaims.lanes[parentIndex] === PINNED) keyspace.setParent(position, slot, PINNED_BASE - parentIndex);
        else if (parentClaims.lanes[parentIndex] === this.lane)
          keyspace.setParent(position, slot, slots[foreignKey.parent]![parentIndex]!);
      }
      // Rows outside the lane's own may be among them; then the count never falls to zero and the row is never deleted.
      keyspace.addReferences(slot, claim.references[index]!);
      if (key.length === 0) keyspace.kept[slot] = [0, 1].map((column) => Buffer.from(textOf(claim, index, column)));
      keyspace.enter(slot);
      if (trackedKeys.length > 0) this.trackClaimed(relation, slot);
    }
  }

  private trackClaimed(relation: number, slot: number): void {
    const { plan, namedIndex } = this.compiled.relations[relation]!;
    const known = plan.trackedKeys.filter((key) => key.every((column) => namedIndex[column]! >= 0));
    const tuples = known.map((key) =>
      tupleOf(
        plan.trackedKeys.indexOf(key),
        key.map((column) => this.namedText(relation, slot, column)),
      ),
    );
    this.keyspaces[relation]!.tuples[slot] = tuples;
    for (const tuple of tuples) this.tuplesInUse[relation]!.add(tuple);
  }

  /** True while the relation has ordinals left. */
  hasRoom(relation: number): boolean {
    return (
      this.nextOrdinal[relation]! < this.compiled.relations[relation]!.plan.capacity || this.freed[relation]!.length > 0
    );
  }

  /** The next ordinal; on a table of small capacity one that a deleted row has given back, when all have been used. */
  takeOrdinal(relation: number): number {
    const ordinal = this.nextOrdinal[relation]!;
    if (ordinal >= this.compiled.relations[relation]!.plan.capacity) return this.freed[relation]!.pop()!;
    this.nextOrdinal[relation] = ordinal + this.lanes;
    return ordinal;
  }

  /** The index over some named columns of a relation; filled when it is first asked for, kept from then on. */
  indexFor(relation: number, columns: readonly number[]): ValueIndex {
    let index = this.indexes[relation]!.find((candidate) => candidate.columns.join() === columns.join());
    if (index === undefined) {
      index = new ValueIndex(columns);
      const { live } = this.keyspaces[relation]!;
      for (let at = 0; at < live.size; at++) index.add(this.indexKey(relation, live.at(at), columns), live.at(at));
      for (const claim of this.pinned[relation]!)
        index.add(this.indexKey(relation, PINNED_BASE - claim, columns), PINNED_BASE - claim);
      this.indexes[relation]!.push(index);
    }
    return index;
  }

  private indexKey(relation: number, row: number, columns: readonly number[]): string {
    return keyOf(columns.map((column) => this.namedText(relation, row, column)));
  }

  /** The row may be referenced from now on. */
  enter(relation: number, slot: number): void {
    this.keyspaces[relation]!.enter(slot);
    for (const index of this.indexes[relation]!) index.add(this.indexKey(relation, slot, index.columns), slot);
  }

  /** The row may not be referenced any more. */
  leave(relation: number, slot: number): void {
    for (const index of this.indexes[relation]!) index.remove(this.indexKey(relation, slot, index.columns), slot);
    this.keyspaces[relation]!.leave(slot);
  }

  /** The row was deleted: where ordinals are few, its own can be used again. */
  retire(relation: number, slot: number): void {
    const handle = this.keyspaces[relation]!.handle(slot);
    if (handle >= 0 && this.compiled.relations[relation]!.plan.capacity <= REUSED_CAPACITY)
      this.freed[relation]!.push(handle);
    this.drop(relation, slot);
  }

  /** The row is not there: parents lose a reference, tuples become free. */
  drop(relation: number, slot: number): void {
    const keyspace = this.keyspaces[relation]!;
    const { foreignKeys } = this.compiled.relations[relation]!.plan;
    for (let position = 0; position < foreignKeys.length; position++)
      this.countReference(relation, position, slot, keyspace.parent(position, slot), -1);
    for (const tuple of keyspace.tuples[slot] ?? []) this.tuplesInUse[relation]!.delete(tuple);
    // Still live where it vanished from outside: indexes must let go of it before its texts are forgotten.
    if (keyspace.live.has(slot)) this.leave(relation, slot);
    keyspace.forget(slot);
  }

  /** Ties a row to its parent by the foreign key at a position. */
  link(relation: number, position: number, slot: number, parent: number): void {
    this.keyspaces[relation]!.setParent(position, slot, parent);
    this.countReference(relation, position, slot, parent, 1);
  }

  /** A row references a parent, or (amount −1) does so no more. A row that references itself can still be deleted. */
  countReference(relation: number, position: number, slot: number, parent: number, amount: 1 | -1): void {
    const parentRelation = this.compiled.relations[relation]!.plan.foreignKeys[position]!.parent;
    if (parent < 0 || (parentRelation === relation && parent === slot)) return;
    this.keyspaces[parentRelation]!.addReferences(parent, amount);
  }

  matches(relation: number, row: number, required: Required): boolean {
    for (const [column, text] of required) if (this.namedText(relation, row, column) !== text) return false;
    return true;
  }

  /** Writes a named column of a row: derived from its ordinal, copied from the claims, or kept. */
  writeNamed(relation: number, row: number, column: number, sink: BindSink): void {
    const compiled = this.compiled.relations[relation]!;
    const handle = row <= PINNED_BASE ? -1 - (PINNED_BASE - row) : this.keyspaces[relation]!.handle(row);
    const named = compiled.namedIndex[column]!;
    if (handle < 0) {
      const claims = this.claims[relation]!;
      const at = (-1 - handle) * claims.width + named;
      const mark = sink.open();
      sink.put(claims.bytes, claims.offsets[at]!, claims.offsets[at + 1]!);
      sink.close(mark);
    } else if (compiled.plan.columns[column]!.source === 'ordinal')
      compiled.columns[column]!.writeOrdinal(handle, sink);
    else {
      const bytes = this.keyspaces[relation]!.kept[row]![named]!;
      const mark = sink.open();
      sink.put(bytes, 0, bytes.length);
      sink.close(mark);
    }
  }

  namedText(relation: number, row: number, column: number): string {
    this.scratch.clear();
    this.writeNamed(relation, row, column, this.scratch);
    return lastText(this.scratch) ?? '';
  }

  /** Writes what names a row in WHERE: its key, or its place and hash. */
  writeRowName(relation: number, slot: number, sink: BindSink): void {
    const { plan } = this.compiled.relations[relation]!;
    if (plan.key.length > 0) {
      for (const column of plan.key) this.writeNamed(relation, slot, column, sink);
      return;
    }
    for (const bytes of this.keyspaces[relation]!.kept[slot]!) {
      const mark = sink.open();
      sink.put(bytes!, 0, bytes!.length);
      sink.close(mark);
    }
  }
}

/** A tuple of a tracked key, told apart from those of the relation's other keys. */
export function tupleOf(key: number, texts: readonly string[]): string {
  return `${key}\u0000${texts.join('\u0000')}`;
}

/** The key of an index. */
export function keyOf(texts: readonly string[]): string {
  return texts.join('\u0000');
}

/** The text of the single value that stands in a sink, null for NULL. */
export function lastText(sink: BindSink): string | null {
  return sink.bytes.readInt32BE(0) < 0 ? null : sink.bytes.toString('utf8', 4, sink.offset);
}

function* indexesOf(claims: Claims, lane: number): Generator<number> {
  for (let index = 0; index < claims.count; index++) if (claims.lanes[index] === lane) yield index;
}

function textOf(claims: Claims, index: number, column: number): string {
  const at = index * claims.width + column;
  return Buffer.from(claims.bytes.subarray(claims.offsets[at], claims.offsets[at + 1])).toString('utf8');
}
