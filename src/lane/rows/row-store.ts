import { BindSink, type TupleSink } from '../../datum/sink.js';
import type { ForeignKeyPlan, LanePlace } from '../../plan/plan.js';
import { type ClaimSet, type Claims, NULL_TEXT, PINNED, tupleOf } from './claims.js';
import type { CompiledPlan } from './compiled.js';
import { KEPT_NULL, Keyspace, NO_PARENT, PINNED_BASE, refill } from './keyspace.js';
import { ChildLists, DenseSet } from './slots.js';
import { ValueIndex } from './value-index.js';

/** Texts that a row must have in some columns, because a child needs a parent with these values. */
export type Required = ReadonlyMap<number, string>;

/* Tables of at most so many possible rows (a smallint, an enum) reuse keys; others always take new ones. */
const REUSED_CAPACITY = 100_000;

/* Number of rows that are examined to find one to forget, each time a row is added. */
const FORGET_TRIES = 8;
/* Limit, per tracked row, for tuples of rows that are no longer tracked. */
const TUPLES_PER_ROW = 4;

/* How far the ordinals of a lane may be from those that were noted last, if it writes evenly and they are noted once a second. */
const FEWEST_AHEAD = 1000;
const SHARE_AHEAD = 0.25;

/** A foreign key seen from the table that it references. */
export interface IncomingKey {
  readonly relation: number;
  readonly position: number;
  readonly onDelete: ForeignKeyPlan['follows'];
  readonly children: ChildLists;
}

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
  /** By relation: tuples of tracked keys that live rows or rows in flight use. */
  readonly tuplesInUse: readonly Set<string>[];
  /** By relation: the foreign keys that reference it. */
  readonly incoming: readonly IncomingKey[][];
  /** By relation and foreign key: own rows that are not referenced yet, if each may be only once; null otherwise. */
  readonly unused: readonly (readonly (DenseSet | null)[])[];
  /** By relation: changes whenever rows come or go, so that operations that lacked rows are tried again. */
  readonly versions: Float64Array;
  private readonly compiled: CompiledPlan;
  private readonly claims: ClaimSet;
  /** By relation and foreign key: which rows reference which. */
  private readonly children: readonly (readonly ChildLists[])[];
  /** By relation: the next ordinal for an INSERT, and the next one for an UPDATE of a unique column. */
  private readonly nextOrdinal: number[];
  private readonly nextUpdateOrdinal: number[];
  /** By relation: ordinals of deleted rows, if the relation has few ordinals. */
  private readonly freed: readonly number[][];
  private readonly closed = new Set<number>();
  /** By relation: number of rows that the lane inserted and no longer tracks. */
  private readonly disowned: number[];
  /** By relation: the lane's share of table_rows, the least and the most rows that it keeps. */
  private readonly bounds: readonly { readonly min: number; readonly max: number }[];
  /** The lane's shares of max_tracked_rows and max_tracked_rows_total, and the number of rows tracked now. */
  private readonly mostPerRelation: number;
  private readonly mostInAll: number;
  private tracked = 0;
  /** By relation: indexes over named columns, to find parents that must agree with others. */
  private readonly indexes: readonly ValueIndex[][];
  private readonly scratch = new BindSink();

  constructor(compiled: CompiledPlan, lane: number, claims: ClaimSet) {
    this.compiled = compiled;
    this.lane = lane;
    this.lanes = compiled.plan.quotas.length;
    this.claims = claims;
    this.keyspaces = compiled.relations.map(({ plan }) => new Keyspace(plan.foreignKeys.length));
    this.children = compiled.relations.map(({ plan }) => plan.foreignKeys.map(() => new ChildLists()));
    this.incoming = compiled.relations.map(() => []);
    this.unused = compiled.relations.map(({ soleKeys }) => soleKeys.map((key) => (key < 0 ? null : new DenseSet())));
    this.versions = new Float64Array(compiled.relations.length);
    for (const [relation, { plan }] of compiled.relations.entries()) {
      for (const [position, { parent, follows }] of plan.foreignKeys.entries()) {
        const children = this.children[relation]![position]!;
        this.incoming[parent]!.push({ relation, position, onDelete: follows, children });
      }
    }
    const place = compiled.plan.restart?.places.get(lane);
    this.nextOrdinal = compiled.relations.map(({ plan }, relation) =>
      // The only row that there is room for exists already.
      plan.isSingle && (claims[relation]!.count > 0 || claims[relation]!.unowned > 0)
        ? plan.capacity
        : (place?.inserts[relation] ?? lane),
    );
    this.nextUpdateOrdinal = compiled.relations.map((_, relation) => place?.updates[relation] ?? lane + this.lanes);
    this.freed = compiled.relations.map(() => []);
    const { tableRows, maxTrackedRows, maxTrackedRowsTotal } = compiled.plan;
    this.disowned = compiled.relations.map(() => 0);
    this.bounds = claims.map(({ unowned }) => ({
      min: Math.max(0, Math.ceil((tableRows.min - unowned) / this.lanes)),
      max:
        tableRows.max === 0 ? Number.MAX_SAFE_INTEGER : Math.max(0, Math.floor((tableRows.max - unowned) / this.lanes)),
    }));
    this.mostPerRelation = Math.max(1, Math.floor(maxTrackedRows / this.lanes));
    this.mostInAll = Math.max(1, Math.floor(maxTrackedRowsTotal / this.lanes));
    this.indexes = compiled.relations.map(() => []);
    this.tuplesInUse = claims.map(({ standing }) => new Set<string>(standing));
    const slots = claims.map((claim) => new Int32Array(claim.count).fill(NO_PARENT));
    this.pinned = claims.map((claim) => Int32Array.from(indexesOf(claim, PINNED)));
    for (const [relation, claim] of claims.entries()) {
      for (const index of indexesOf(claim, lane))
        slots[relation]![index] = this.keyspaces[relation]!.allocate(-1 - index);
    }
    for (const [relation, claim] of claims.entries()) this.adopt(relation, claim, slots);
    // Only now is it known which of them are unreferenced by a key that allows each parent once.
    for (const [relation, { live }] of this.keyspaces.entries())
      for (const { relation: child, position } of this.incoming[relation]!)
        if (this.unused[child]![position] !== null)
          for (let at = 0; at < live.size; at++) this.reuse(child, position, live.at(at));
  }

  private adopt(relation: number, claim: Claims, slots: readonly Int32Array[]): void {
    const keyspace = this.keyspaces[relation]!;
    const { foreignKeys, key, trackedKeys } = this.compiled.relations[relation]!.plan;
    for (const index of indexesOf(claim, this.lane)) {
      const slot = slots[relation]![index]!;
      for (const [position, foreignKey] of foreignKeys.entries()) {
        // References that the rehearsal has learned follow those that the claims contain.
        const parentIndex = claim.parents[position]?.[index] ?? NO_PARENT;
        if (parentIndex < 0) continue;
        const parentClaims = this.claims[foreignKey.parent]!;
        if (parentClaims.lanes[parentIndex] === PINNED) keyspace.setParent(position, slot, PINNED_BASE - parentIndex);
        else if (parentClaims.lanes[parentIndex] === this.lane) {
          const parent = slots[foreignKey.parent]![parentIndex]!;
          this.link(relation, position, slot, parent);
          // It is already counted among the references to the parent.
          this.keyspaces[foreignKey.parent]!.addObstacles(parent, -1);
        }
      }
      // They may include rows that the lane does not own; then the count stays above zero and the row is never deleted.
      keyspace.addObstacles(slot, claim.references[index]!);
      if (key.length === 0) keyspace.kept[slot] = [0, 1].map((column) => Buffer.from(textOf(claim, index, column)));
      keyspace.enter(slot);
      this.tracked++;
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

  save() {
    const { keyspaces, children, unused, versions, nextOrdinal, nextUpdateOrdinal, freed, closed, disowned } = this;
    return {
      keyspaces: keyspaces.map((keyspace) => keyspace.save()),
      children: children.map((lists) => lists.map((list) => list.save())),
      unused: unused.map((sets) => sets.map((set) => set?.save() ?? null)),
      tuplesInUse: this.tuplesInUse,
      indexes: this.indexes.map((indexes) => indexes.map((index) => index.save())),
      versions,
      nextOrdinal,
      nextUpdateOrdinal,
      freed,
      closed,
      disowned,
      tracked: this.tracked,
    };
  }

  restore(saved: SavedRows): void {
    const { compiled } = this;
    for (const relation of compiled.relations.keys()) {
      this.keyspaces[relation]!.restore(saved.keyspaces[relation]!);
      for (const [position, children] of this.children[relation]!.entries())
        children.restore(saved.children[relation]![position]!);
      for (const [position, unused] of this.unused[relation]!.entries())
        unused?.restore(saved.unused[relation]![position]!);
      const tuples = this.tuplesInUse[relation]!;
      tuples.clear();
      for (const tuple of saved.tuplesInUse[relation]!) tuples.add(tuple);
      refill(this.indexes[relation]!, saved.indexes[relation]!.map(ValueIndex.of));
      this.versions[relation] = saved.versions[relation]!;
      this.nextOrdinal[relation] = saved.nextOrdinal[relation]!;
      this.nextUpdateOrdinal[relation] = saved.nextUpdateOrdinal[relation]!;
      refill(this.freed[relation]!, saved.freed[relation]!);
      this.disowned[relation] = saved.disowned[relation]!;
    }
    this.closed.clear();
    for (const relation of saved.closed) this.closed.add(relation);
    this.tracked = saved.tracked;
  }

  /**
   * Returns where the lane begins again if its course is forgotten in the next seconds: behind the ordinals that it has used, and will
   * have used by then. Where few are left, half of them remain.
   */
  get placeAhead(): LanePlace {
    const { lane, lanes, compiled } = this;
    const ahead = (next: number, relation: number, step: number) => {
      const used = (next - lane) / step;
      const left = Math.max(0, (compiled.relations[relation]!.plan.capacity - next) / step);
      return next + step * Math.floor(Math.min(Math.max(FEWEST_AHEAD, used * SHARE_AHEAD), left / 2));
    };
    const { relations } = compiled;
    return {
      inserts: this.nextOrdinal.map((next, at) => ahead(next, at, lanes * (relations[at]!.updatesApart ? 2 : 1))),
      updates: this.nextUpdateOrdinal.map((next, at) => ahead(next, at, lanes * 2)),
    };
  }

  /** Returns true if another row of the relation can be tracked without dropping one. */
  maySee(relation: number): boolean {
    return this.keyspaces[relation]!.live.size < this.mostPerRelation && this.tracked < this.mostInAll;
  }

  /** Returns true if the lane may add so many rows to the relation within its share of `table_rows.max`. */
  mayGain(relation: number, count: number): boolean {
    const { max } = this.bounds[relation]!;
    return this.keyspaces[relation]!.size + this.disowned[relation]! + Math.min(count, Math.max(1, max)) <= max;
  }

  /** Returns true if the lane may delete so many rows of the relation within its share of `table_rows.min`. */
  mayLose(relation: number, count = 1): boolean {
    const { min } = this.bounds[relation]!;
    return min === 0 || this.keyspaces[relation]!.live.size + this.disowned[relation]! - count >= min;
  }

  /** Returns true if the lane knows rows of the relation, its own or pinned ones. */
  hasRows(relation: number): boolean {
    return this.keyspaces[relation]!.live.size + this.pinned[relation]!.length > 0;
  }

  /** Returns true if the relation has ordinals left. */
  hasRoom(relation: number): boolean {
    return (
      this.nextOrdinal[relation]! < this.compiled.relations[relation]!.plan.capacity || this.freed[relation]!.length > 0
    );
  }

  /** Returns the next ordinal; on a small table whose ordinals are all used, one of a deleted row. */
  takeOrdinal(relation: number): number {
    const { plan, updatesApart } = this.compiled.relations[relation]!;
    const ordinal = this.nextOrdinal[relation]!;
    if (ordinal >= plan.capacity) return this.freed[relation]!.pop()!;
    this.nextOrdinal[relation] = ordinal + this.lanes * (updatesApart ? 2 : 1);
    return ordinal;
  }

  /**
   * An ordinal for a unique column that an UPDATE writes. Every other one, so that keys of inserted rows do not depend on
   * which columns updates choose; where ordinals are few, both draw from the same.
   */
  takeUpdateOrdinal(relation: number): number {
    if (!this.compiled.relations[relation]!.updatesApart) return this.takeOrdinal(relation);
    const ordinal = this.nextUpdateOrdinal[relation]!;
    this.nextUpdateOrdinal[relation] = ordinal + this.lanes * 2;
    return ordinal;
  }

  /** Returns true if there are ordinals left for an UPDATE. */
  hasUpdateRoom(relation: number): boolean {
    const { plan, updatesApart } = this.compiled.relations[relation]!;
    return updatesApart ? this.nextUpdateOrdinal[relation]! < plan.capacity : this.hasRoom(relation);
  }

  /** Frees an ordinal that no statement has sent. */
  giveBack(relation: number, ordinal: number): void {
    const { plan, updatesApart } = this.compiled.relations[relation]!;
    const stride = this.lanes * (updatesApart ? 2 : 1);
    if (this.nextOrdinal[relation] === ordinal + stride) this.nextOrdinal[relation] = ordinal;
    else if (plan.capacity <= REUSED_CAPACITY) this.freed[relation]!.push(ordinal);
  }

  /** Marks a parent as used, if a foreign key may reference it only once. */
  use(relation: number, position: number, parent: number): void {
    if (parent >= 0) this.unused[relation]![position]?.remove(parent);
  }

  /** Returns true if a row that the lane knows references the parent by this key. */
  isReferenced(relation: number, position: number, parent: number): boolean {
    return this.children[relation]![position]!.firstOf(parent) >= 0;
  }

  /** Records that INSERTs of the relation are no longer tried: no operation inserts its rows as parents any more. */
  close(relation: number): void {
    this.closed.add(relation);
  }

  isClosed(relation: number): boolean {
    return this.closed.has(relation);
  }

  /** Frees a parent again, if it exists and nothing references it by this key. */
  private reuse(relation: number, position: number, parent: number): void {
    const unused = this.unused[relation]![position];
    if (!unused || parent < 0) return;
    const parentRelation = this.compiled.relations[relation]!.plan.foreignKeys[position]!.parent;
    if (!this.isReferenced(relation, position, parent) && this.keyspaces[parentRelation]!.live.has(parent))
      unused.add(parent);
  }

  /** Returns the index over some named columns of a relation. It is filled on first use and kept up to date. */
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

  /** Lets a row be referenced. If too many rows are tracked, the least recently used ones are dropped. */
  enter(relation: number, slot: number): void {
    const { live, age } = this.keyspaces[relation]!;
    this.keyspaces[relation]!.enter(slot);
    this.tracked++;
    this.versions[relation]!++;
    for (const { relation: child, position } of this.incoming[relation]!) this.reuse(child, position, slot);
    for (const index of this.indexes[relation]!) index.add(this.indexKey(relation, slot, index.columns), slot);
    const { mostPerRelation, mostInAll } = this;
    for (let tries = 0; tries < FORGET_TRIES; tries++) {
      if (live.size <= mostPerRelation && (this.tracked <= mostInAll || live.size <= 1)) return;
      const { oldest } = age;
      // Rows that something in flight touches count as just used.
      if (oldest !== slot && this.keyspaces[relation]!.mayForget(oldest)) this.disown(relation, oldest);
      else age.touch(oldest);
    }
  }

  /** Adds an inserted row, and the rows that triggers made for it. */
  arrive(relation: number, slot: number): void {
    this.enter(relation, slot);
    this.bringOthers(relation, slot);
  }

  /** Adds the rows that triggers make with a row: the one that it references, and one with its key per companion. */
  bringOthers(relation: number, slot: number): void {
    const { foreignKeys, companions } = this.compiled.relations[relation]!.plan;
    for (const [position, { makesParent, parent }] of foreignKeys.entries()) {
      if (!makesParent) continue;
      const made = this.keyspaces[relation]!.parent(position, slot);
      // Rows that its own triggers make come with it.
      if (made >= 0) this.arrive(parent, made);
    }
    for (const { relation: companion, position } of companions) {
      const { foreignKeys: keys, named } = this.compiled.relations[companion]!.plan;
      const { columns, parentColumns } = keys[position]!;
      const row = this.keyspaces[companion]!.allocate(0);
      this.keyspaces[companion]!.kept[row] = named.map((column) =>
        Buffer.from(this.namedText(relation, slot, parentColumns[columns.indexOf(column)]!)),
      );
      this.link(companion, position, row, slot);
      this.enter(companion, row);
    }
  }

  /** Forgets which parents a row of a bulk load has; `isThere` false: they may be referenced again. */
  letGoOfParents(relation: number, slot: number, isThere: boolean): void {
    const { foreignKeys } = this.compiled.relations[relation]!.plan;
    for (const [position, { makesParent }] of foreignKeys.entries()) {
      if (makesParent && !isThere) continue;
      const parent = this.keyspaces[relation]!.parent(position, slot);
      this.keyspaces[relation]!.setParent(position, slot, NO_PARENT);
      if (!isThere) this.reuse(relation, position, parent);
    }
  }

  /** Removes a row whose INSERT failed, with the rows of its triggers. `reusable`: its ordinal may be used again. */
  failToArrive(relation: number, slot: number, reusable: boolean): void {
    const giveUp = (of: number, row: number) => (reusable ? this.retire(of, row) : this.drop(of, row));
    const { foreignKeys } = this.compiled.relations[relation]!.plan;
    const made = foreignKeys.flatMap(({ makesParent, parent }, position) =>
      makesParent ? { of: parent, row: this.keyspaces[relation]!.parent(position, slot) } : [],
    );
    giveUp(relation, slot);
    for (const { of, row } of made) if (row >= 0) this.failToArrive(of, row, reusable);
  }

  /** Lets a row no longer be referenced. */
  leave(relation: number, slot: number): void {
    for (const index of this.indexes[relation]!) index.remove(this.indexKey(relation, slot, index.columns), slot);
    this.keyspaces[relation]!.leave(slot);
    this.tracked--;
    this.versions[relation]!++;
    for (const { relation: child, position } of this.incoming[relation]!) this.use(child, position, slot);
  }

  /** Frees the ordinal of a deleted row, if ordinals are few. */
  retire(relation: number, slot: number): void {
    const handle = this.keyspaces[relation]!.handle(slot);
    const { plan, listedColumn } = this.compiled.relations[relation]!;
    if (handle >= 0 && plan.capacity <= REUSED_CAPACITY) this.freed[relation]!.push(handle);
    else if (handle < 0 && plan.isSingle) this.freed[relation]!.push(0);
    else if (handle < 0 && listedColumn >= 0) {
      const ordinal = this.listedOrdinal(relation, slot, listedColumn);
      if (ordinal >= 0) this.freed[relation]!.push(ordinal);
    }
    this.drop(relation, slot);
  }

  /** Returns the ordinal of the value that an existing row has in a column of listed values. */
  private listedOrdinal(relation: number, slot: number, column: number): number {
    const { recipe } = this.compiled.relations[relation]!.plan.columns[column]!;
    if (recipe.kind !== 'sequence' || recipe.form.kind !== 'labels') return -1;
    return recipe.form.values.indexOf(this.namedText(relation, slot, column));
  }

  /** Removes a row that no longer exists: its parents lose a reference, its tuples become free. */
  drop(relation: number, slot: number): void {
    const keyspace = this.keyspaces[relation]!;
    const { foreignKeys } = this.compiled.relations[relation]!.plan;
    for (let position = 0; position < foreignKeys.length; position++) this.unlink(relation, position, slot);
    for (const { relation: child, position, children } of this.incoming[relation]!) {
      for (let row = children.firstOf(slot); row >= 0; row = children.firstOf(slot)) {
        children.remove(slot, row);
        this.keyspaces[child]!.setParent(position, row, NO_PARENT);
      }
    }
    for (const tuple of keyspace.tuples[slot] ?? []) this.tuplesInUse[relation]!.delete(tuple);
    // It is still live if another session deleted it: indexes must drop it before its texts are forgotten.
    if (keyspace.live.has(slot)) this.leave(relation, slot);
    keyspace.forget(slot);
  }

  /** Stops tracking a row that still exists. What it references can never be deleted. */
  disown(relation: number, slot: number): void {
    const { foreignKeys } = this.compiled.relations[relation]!.plan;
    const parents = foreignKeys.map((_, position) => this.keyspaces[relation]!.parent(position, slot));
    for (const [position, { parent }] of foreignKeys.entries()) {
      const row = parents[position]!;
      if (row >= 0 && !(parent === relation && row === slot)) this.keyspaces[parent]!.addObstacles(row, 1);
    }
    this.disowned[relation]!++;
    // Its tuples stay in use, because the row stays in the table; only the memory for them is bounded.
    if (this.tuplesInUse[relation]!.size < this.mostPerRelation * TUPLES_PER_ROW)
      this.keyspaces[relation]!.tuples[slot] = undefined;
    this.drop(relation, slot);
    // It still references them.
    for (const [position, parent] of parents.entries()) this.use(relation, position, parent);
  }

  /** Ties a row to its parent by the foreign key at a position. */
  link(relation: number, position: number, slot: number, parent: number): void {
    this.keyspaces[relation]!.setParent(position, slot, parent);
    this.count(relation, position, slot, parent, 1);
    this.use(relation, position, parent);
  }

  /** Unties a row from its parent. */
  unlink(relation: number, position: number, slot: number): void {
    const parent = this.keyspaces[relation]!.parent(position, slot);
    this.count(relation, position, slot, parent, -1);
    this.keyspaces[relation]!.setParent(position, slot, NO_PARENT);
    this.reuse(relation, position, parent);
  }

  /** Keeps a parent that a transaction in flight ties a row to, until the outcome is known. */
  hold(relation: number, position: number, slot: number, parent: number, amount: 1 | -1): void {
    const parentRelation = this.compiled.relations[relation]!.plan.foreignKeys[position]!.parent;
    if (parent >= 0 && !(parentRelation === relation && parent === slot))
      this.keyspaces[parentRelation]!.hold(parent, amount);
  }

  /* A row that references itself can still be deleted. */
  private count(relation: number, position: number, slot: number, parent: number, amount: 1 | -1): void {
    const { parent: parentRelation, follows } = this.compiled.relations[relation]!.plan.foreignKeys[position]!;
    if (parent < 0 || (parentRelation === relation && parent === slot)) return;
    const children = this.children[relation]![position]!;
    if (amount === 1) children.add(parent, slot);
    else children.remove(parent, slot);
    if (follows === 'nothing') this.keyspaces[parentRelation]!.addObstacles(parent, amount);
    else this.keyspaces[parentRelation]!.addFollowers(parent, amount);
  }

  matches(relation: number, row: number, required: Required): boolean {
    for (const [column, text] of required) if (this.namedText(relation, row, column) !== text) return false;
    return true;
  }

  /** Writes a named column of a row: computed from its ordinal, copied from the claims, or from the kept texts. */
  writeNamed(relation: number, row: number, column: number, sink: TupleSink): void {
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
      if (bytes === KEPT_NULL) {
        sink.null();
        return;
      }
      const mark = sink.open();
      sink.put(bytes, 0, bytes.length);
      sink.close(mark);
    }
  }

  /** Returns true if a row is NULL in a column that a key references: such a row cannot be a parent. */
  lacks(relation: number, row: number, columns: readonly number[]): boolean {
    const keyspace = this.keyspaces[relation]!;
    if (row >= 0 && keyspace.handle(row) >= 0) {
      const kept = keyspace.kept[row];
      const { namedIndex } = this.compiled.relations[relation]!;
      return kept !== undefined && columns.some((column) => kept[namedIndex[column]!] === KEPT_NULL);
    }
    return columns.some((column) => this.namedText(relation, row, column) === NULL_TEXT);
  }

  /** Returns false for a drafted row of a circle whose column is determined only when the row is written. */
  knows(relation: number, row: number, column: number): boolean {
    const keyspace = this.keyspaces[relation]!;
    const isDerived = this.compiled.relations[relation]!.plan.columns[column]!.source === 'ordinal';
    return row < 0 || keyspace.handle(row) < 0 || isDerived || keyspace.kept[row] !== undefined;
  }

  namedText(relation: number, row: number, column: number): string {
    this.scratch.clear();
    this.writeNamed(relation, row, column, this.scratch);
    return lastText(this.scratch) ?? '';
  }

  /** Writes what identifies a row in WHERE: its key, or its place and hash. */
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

export type SavedRows = ReturnType<RowStore['save']>;

/** Returns the key of an index entry. */
export function keyOf(texts: readonly string[]): string {
  return texts.join('\u0000');
}

/** Returns the text of the single value in a sink, null for NULL. */
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
