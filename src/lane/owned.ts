import { BindSink } from '../datum/sink.js';
import type { ForeignKeyPlan, OperationKind } from '../plan/plan.js';
import { split } from '../random/seed.js';
import { Stream } from '../random/stream.js';
import { type ClaimSet, type Claims, PINNED } from './claims.js';
import type { CompiledPlan, CompiledRelation, OperationSeeds } from './compiled.js';
import { Keyspace, NO_PARENT, PINNED_BASE } from './keyspace.js';
import type { Rows } from './rows.js';
import { maxRowsPerInsert } from './shape.js';
import { beginBind, endBind, endTransaction, type Statement, type Transaction } from './transaction.js';
import { ValueIndex } from './value-index.js';

/* How often a row is drawn anew when its tuple of a tracked key is taken. */
const TUPLE_TRIES = 16;
const NESTED_PARENTS = 16;
/* Draws of one row's further tries are numbered from here, far beyond any row of an operation. */
const TRY_STRIDE = 0x10_0000;

/** Texts that a row must carry in some columns, because a child needs a parent of just these. */
type Required = ReadonlyMap<number, string>;

interface RowDraft {
  readonly slot: number;
  readonly ordinal: number;
  /** Number of the draw: row + try × TRY_STRIDE. */
  draw: number;
  readonly parents: number[];
}

/** Rows that the lane owns, in one keyspace per relation, and pinned ones that any lane may reference. */
export class OwnedRows implements Rows {
  private readonly compiled: CompiledPlan;
  private readonly lane: number;
  private readonly lanes: number;
  private readonly claims: ClaimSet;
  private readonly keyspaces: readonly Keyspace[];
  /** By relation: indexes of pinned claims that this lane may reference. */
  private readonly pinned: readonly Int32Array[];
  private readonly nextOrdinal: number[];
  private readonly tuplesInUse: readonly Set<string>[];
  /** By relation: indexes over named columns, for parents that must agree with others. */
  private readonly indexes: readonly ValueIndex[][];
  private readonly sink = new BindSink();
  private readonly scratch = new BindSink();
  private readonly stream = new Stream();

  constructor(compiled: CompiledPlan, lane: number, claims: ClaimSet) {
    this.compiled = compiled;
    this.lane = lane;
    this.lanes = compiled.plan.quotas.length;
    this.claims = claims;
    this.keyspaces = compiled.relations.map(({ plan }) => new Keyspace(plan.foreignKeys.length));
    this.nextOrdinal = compiled.relations.map(() => lane);
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
      this.tuple(
        plan.trackedKeys.indexOf(key),
        key.map((column) => this.namedText(relation, slot, column)),
      ),
    );
    this.keyspaces[relation]!.tuples[slot] = tuples;
    for (const tuple of tuples) this.tuplesInUse[relation]!.add(tuple);
  }

  possible(relation: number, kind: OperationKind): boolean {
    const keyspace = this.keyspaces[relation]!;
    switch (kind) {
      case 'insert':
        return this.hasRoom(relation) && this.compiled.relations[relation]!.plan.operations.insert;
      case 'update':
        return keyspace.idle.size > 0;
      case 'delete':
        return keyspace.removable.size > 0;
    }
  }

  private hasRoom(relation: number): boolean {
    return this.nextOrdinal[relation]! < this.compiled.relations[relation]!.plan.capacity;
  }

  generate(transaction: Transaction, seeds: OperationSeeds): boolean {
    transaction.reset();
    this.sink.clear();
    const done = this.generateKind(transaction, seeds);
    if (!done) {
      this.undone(transaction);
      return false;
    }
    endTransaction(this.sink);
    transaction.bytes = this.sink.copyFrom(0);
    return true;
  }

  private generateKind(transaction: Transaction, seeds: OperationSeeds): boolean {
    const { plan } = this.compiled;
    switch (transaction.kind) {
      case 'insert':
        return (
          this.insert(transaction, transaction.relation, plan.rowsPerOperation.insert, {
            seeds,
            own: true,
            depth: 0,
            required: NOTHING_REQUIRED,
          }).length > 0
        );
      case 'update':
        return this.update(transaction, seeds);
      case 'delete':
        return this.delete(transaction, seeds);
    }
  }

  /* ---- INSERT ---- */

  /** Inserts rows of a relation, parents that are missing before them. Returns their slots, none where it is impossible. */
  private insert(transaction: Transaction, relation: number, count: number, context: InsertContext): number[] {
    const compiled = this.compiled.relations[relation]!;
    if (!compiled.plan.operations.insert) return [];
    const rows: RowDraft[] = [];
    for (let row = 0; row < count && this.hasRoom(relation); row++) {
      const draft = this.draftRow(transaction, relation, row, context);
      if (draft !== null) rows.push(draft);
    }
    const most = maxRowsPerInsert(compiled.plan);
    for (let from = 0; from < rows.length; from += most)
      this.writeInsert(transaction, relation, rows.slice(from, from + most), context);
    return rows.map((row) => row.slot);
  }

  private draftRow(transaction: Transaction, relation: number, row: number, context: InsertContext): RowDraft | null {
    const { plan } = this.compiled.relations[relation]!;
    const keyspace = this.keyspaces[relation]!;
    const ordinal = this.nextOrdinal[relation]!;
    this.nextOrdinal[relation] = ordinal + this.lanes;
    const draft: RowDraft = { slot: keyspace.allocate(ordinal), ordinal, draw: row, parents: [] };
    for (let attempt = 0; attempt <= TUPLE_TRIES; attempt++) {
      draft.draw = row + attempt * TRY_STRIDE;
      // The last try inserts new parents, whose tuples nobody can hold yet.
      const fresh = attempt === TUPLE_TRIES && plan.trackedKeys.length > 0;
      if (!this.chooseParents(transaction, relation, draft, fresh, context)) break;
      if (plan.trackedKeys.length === 0 || this.track(relation, draft, context)) {
        for (const [position, parent] of draft.parents.entries()) this.link(relation, position, draft.slot, parent);
        return draft;
      }
    }
    keyspace.forget(draft.slot);
    return null;
  }

  private chooseParents(
    transaction: Transaction,
    relation: number,
    draft: RowDraft,
    fresh: boolean,
    context: InsertContext,
  ): boolean {
    const compiled = this.compiled.relations[relation]!;
    draft.parents.length = 0;
    for (const [position, foreignKey] of compiled.plan.foreignKeys.entries()) {
      const required = this.requiredOf(compiled, foreignKey, draft.parents, context.required);
      const choice = { relation, foreignKey, position, draw: draft.draw, slot: draft.slot, required };
      let parent = fresh && !foreignKey.nullable ? null : this.chooseParent(choice, context.seeds);
      if (parent === null && !fresh && !foreignKey.nullable)
        parent = this.parentInFlight(transaction, foreignKey, required);
      if (parent === null && (fresh || !foreignKey.nullable))
        parent = this.insertParent(transaction, foreignKey, required, context);
      if (parent === null && foreignKey.parent === relation && required.size === 0) parent = draft.slot;
      if (parent === null && !foreignKey.nullable) return false;
      draft.parents.push(parent ?? NO_PARENT);
    }
    return true;
  }

  /** Columns of the parent whose values are settled already: by an overlapping foreign key, or by a child that needs them. */
  private requiredOf(
    compiled: CompiledRelation,
    foreignKey: ForeignKeyPlan,
    chosen: readonly number[],
    fromChild: Required,
  ): Required {
    let required: Map<number, string> | undefined;
    for (const [index, column] of foreignKey.columns.entries()) {
      const wanted = fromChild.get(column) ?? this.textFromParents(compiled, column, chosen);
      if (wanted !== undefined) {
        required ??= new Map();
        required.set(foreignKey.parentColumns[index]!, wanted);
      }
    }
    return required ?? NOTHING_REQUIRED;
  }

  private textFromParents(compiled: CompiledRelation, column: number, chosen: readonly number[]): string | undefined {
    for (const position of compiled.foreignKeysOf[column]!) {
      const parent = chosen[position];
      if (parent === undefined || parent === NO_PARENT) continue;
      const foreignKey = compiled.plan.foreignKeys[position]!;
      return this.namedText(foreignKey.parent, parent, foreignKey.parentColumns[foreignKey.columns.indexOf(column)]!);
    }
    return undefined;
  }

  private chooseParent(choice: ParentChoice, seeds: OperationSeeds): number | null {
    const { foreignKey, required } = choice;
    const { live } = this.keyspaces[foreignKey.parent]!;
    const pinned = this.pinned[foreignKey.parent]!;
    const total = live.size + pinned.length;
    if (total === 0) return null;
    this.stream.restart(seeds.random, this.foreignKeySeed(choice), choice.draw);
    if (foreignKey.nullable && this.stream.chance(this.nullRatioOf(choice.relation, foreignKey))) return null;
    if (required.size > 0) {
      const found = this.indexFor(foreignKey.parent, [...required.keys()]).find(keyOf([...required.values()]));
      return found.length === 0 ? null : found[this.stream.below(found.length)]!;
    }
    const index = this.stream.below(total);
    return index < live.size ? live.at(index) : PINNED_BASE - pinned[index - live.size]!;
  }

  /** The index over some named columns of a relation; filled when it is first asked for, kept from then on. */
  private indexFor(relation: number, columns: readonly number[]): ValueIndex {
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
  private enter(relation: number, slot: number): void {
    this.keyspaces[relation]!.enter(slot);
    for (const index of this.indexes[relation]!) index.add(this.indexKey(relation, slot, index.columns), slot);
  }

  /** The row may not be referenced any more. */
  private leave(relation: number, slot: number): void {
    for (const index of this.indexes[relation]!) index.remove(this.indexKey(relation, slot, index.columns), slot);
    this.keyspaces[relation]!.leave(slot);
  }

  private readonly foreignKeySeeds = new Map<ForeignKeyPlan, ReturnType<typeof split>>();

  private foreignKeySeed({ relation, foreignKey }: ParentChoice): ReturnType<typeof split> {
    let seed = this.foreignKeySeeds.get(foreignKey);
    if (seed === undefined) {
      seed = split(split({ hi: 0, lo: 0 }, this.compiled.relations[relation]!.plan.label), foreignKey.name);
      this.foreignKeySeeds.set(foreignKey, seed);
    }
    return seed;
  }

  private nullRatioOf(relation: number, foreignKey: ForeignKeyPlan): number {
    return this.compiled.relations[relation]!.plan.columns[foreignKey.nullableColumns[0]!]!.nullRatio;
  }

  private matches(relation: number, row: number, required: Required): boolean {
    for (const [column, text] of required) if (this.namedText(relation, row, column) !== text) return false;
    return true;
  }

  /** A parent that this very transaction inserts: its other rows need no second one. */
  private parentInFlight(transaction: Transaction, foreignKey: ForeignKeyPlan, required: Required): number | null {
    for (const statement of transaction.statements) {
      if (statement.relation !== foreignKey.parent || statement.kind !== 'insert') continue;
      const slot = statement.slots.find((candidate) => this.matches(foreignKey.parent, candidate, required));
      if (slot !== undefined) return slot;
    }
    return null;
  }

  private insertParent(
    transaction: Transaction,
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
    // RETURNING answers too late for a statement of the same transaction.
    if (foreignKey.parentColumns.some((column) => parent.plan.columns[column]!.source === 'server')) return null;
    const nested = {
      seeds: nestedSeeds(context.seeds, transaction.statements.length),
      own: false,
      depth: context.depth + 1,
      required,
    };
    return this.insert(transaction, foreignKey.parent, 1, nested)[0] ?? null;
  }

  /** Reserves the row's tuples of tracked keys; false where one of them is taken. */
  private track(relation: number, draft: RowDraft, context: InsertContext): boolean {
    const compiled = this.compiled.relations[relation]!;
    const { plan } = compiled;
    const inUse = this.tuplesInUse[relation]!;
    const tuples: string[] = [];
    for (const [index, key] of plan.trackedKeys.entries()) {
      const texts = key.map((column) => this.columnText(compiled, column, draft, context));
      if (texts.includes(null)) continue;
      const tuple = this.tuple(index, texts as string[]);
      if (inUse.has(tuple)) return false;
      // Where no part of the tuple is the lane's own, lanes share the tuples out by their hash.
      const owned = key.some((column) =>
        compiled.foreignKeysOf[column]!.some((position) => draft.parents[position]! >= 0),
      );
      if (!owned && this.lanes > 1 && split({ hi: 0, lo: 0 }, tuple).lo % this.lanes !== this.lane) return false;
      tuples.push(tuple);
    }
    for (const tuple of tuples) inUse.add(tuple);
    this.keyspaces[relation]!.tuples[draft.slot] = tuples;
    return true;
  }

  private tuple(key: number, texts: readonly string[]): string {
    return `${key}\u0000${texts.join('\u0000')}`;
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

  private link(relation: number, position: number, slot: number, parent: number): void {
    this.keyspaces[relation]!.setParent(position, slot, parent);
    const parentRelation = this.compiled.relations[relation]!.plan.foreignKeys[position]!.parent;
    // A row that references itself can still be deleted.
    if (parent >= 0 && !(parentRelation === relation && parent === slot))
      this.keyspaces[parentRelation]!.addReferences(parent, 1);
  }

  private unlink(relation: number, position: number, slot: number, parent: number): void {
    const parentRelation = this.compiled.relations[relation]!.plan.foreignKeys[position]!.parent;
    if (parent >= 0 && !(parentRelation === relation && parent === slot))
      this.keyspaces[parentRelation]!.addReferences(parent, -1);
  }

  private writeInsert(
    transaction: Transaction,
    relation: number,
    rows: readonly RowDraft[],
    context: InsertContext,
  ): void {
    const compiled = this.compiled.relations[relation]!;
    const { plan } = compiled;
    const keyspace = this.keyspaces[relation]!;
    const shape = this.compiled.shapes.insert(relation, rows.length);
    const from = beginBind(this.sink, shape.parameters);
    for (const draft of rows) {
      const texts: (Buffer | undefined)[] | undefined = plan.kept.length > 0 ? new Array(plan.named.length) : undefined;
      for (const column of plan.insertColumns) {
        const mark = this.sink.offset;
        this.writeColumn(compiled, column, draft, context, this.sink);
        if (texts !== undefined && compiled.namedIndex[column]! >= 0 && plan.columns[column]!.source !== 'ordinal') {
          texts[compiled.namedIndex[column]!] = this.sink.copyFrom(mark + 4);
        }
      }
      keyspace.kept[draft.slot] = texts;
    }
    endBind(this.sink, from);
    transaction.statements.push({
      shape,
      relation,
      kind: 'insert',
      rows: rows.length,
      slots: rows.map((row) => row.slot),
      own: context.own,
      from,
      to: this.sink.offset,
    });
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
      const mark = sink.open();
      sink.text(required);
      sink.close(mark);
      return;
    }
    switch (column.plan.source) {
      case 'ordinal':
        column.writeOrdinal(draft.ordinal, sink);
        return;
      case 'foreign':
        this.writeForeign(
          compiled,
          index,
          draft.parents,
          () => column.writeDrawn(context.seeds, draft.draw, draft.ordinal, sink),
          sink,
        );
        return;
      case 'drawn':
      case 'server':
        column.writeDrawn(context.seeds, draft.draw, draft.ordinal, sink);
    }
  }

  /** The first parent that covers the column gives its value; without one it is NULL, or free where NULL is not allowed. */
  private writeForeign(
    compiled: CompiledRelation,
    column: number,
    parents: readonly number[],
    free: () => void,
    sink: BindSink,
  ): void {
    let nullable = false;
    for (const position of compiled.foreignKeysOf[column]!) {
      const foreignKey = compiled.plan.foreignKeys[position]!;
      const parent = parents[position] ?? NO_PARENT;
      if (parent !== NO_PARENT) {
        this.writeNamed(foreignKey.parent, parent, foreignKey.parentColumns[foreignKey.columns.indexOf(column)]!, sink);
        return;
      }
      nullable ||= foreignKey.nullableColumns.includes(column);
    }
    if (nullable) sink.null();
    else free();
  }

  /* ---- names of rows ---- */

  /** Writes a named column of a row: derived from its ordinal, copied from the claims, or kept. */
  private writeNamed(relation: number, row: number, column: number, sink: BindSink): void {
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

  private namedText(relation: number, row: number, column: number): string {
    this.scratch.clear();
    this.writeNamed(relation, row, column, this.scratch);
    return lastText(this.scratch) ?? '';
  }

  private writeRowName(relation: number, slot: number): void {
    const { plan } = this.compiled.relations[relation]!;
    if (plan.key.length > 0) {
      for (const column of plan.key) this.writeNamed(relation, slot, column, this.sink);
      return;
    }
    for (const bytes of this.keyspaces[relation]!.kept[slot]!) {
      const mark = this.sink.open();
      this.sink.put(bytes!, 0, bytes!.length);
      this.sink.close(mark);
    }
  }

  /* ---- UPDATE and DELETE ---- */

  private update(transaction: Transaction, seeds: OperationSeeds): boolean {
    const { relation } = transaction;
    const { plan } = this.compiled.relations[relation]!;
    const keyspace = this.keyspaces[relation]!;
    this.stream.restart(seeds.random, UPDATE_LABEL, 0);
    const drawn = this.stream.below(plan.updateSets.length);
    const picks = Math.min(this.compiled.plan.rowsPerOperation.update, keyspace.idle.size);
    for (let row = 0; row < picks; row++) {
      this.stream.restart(seeds.random, UPDATE_LABEL, 1 + row);
      const slot = keyspace.idle.at(this.stream.below(keyspace.idle.size));
      for (let step = 0; step < plan.updateSets.length; step++) {
        if (this.updateRow(transaction, slot, (drawn + step) % plan.updateSets.length, row, seeds)) break;
      }
    }
    return transaction.statements.length > 0;
  }

  private updateRow(
    transaction: Transaction,
    slot: number,
    setIndex: number,
    row: number,
    seeds: OperationSeeds,
  ): boolean {
    const { relation } = transaction;
    const compiled = this.compiled.relations[relation]!;
    const { plan } = compiled;
    const set = plan.updateSets[setIndex]!;
    const parents: number[] = [];
    const changed: number[] = [];
    for (const [position, foreignKey] of plan.foreignKeys.entries()) {
      if (!set.includes(foreignKey.columns[0]!)) continue;
      const required = this.requiredOf(compiled, foreignKey, parents, NOTHING_REQUIRED);
      const choice = { relation, foreignKey, position, draw: row, slot, required };
      let parent = this.chooseParent(choice, seeds) ?? NO_PARENT;
      if (parent === NO_PARENT && !foreignKey.nullable) parent = this.keyspaces[relation]!.parent(position, slot);
      if (parent === NO_PARENT && !foreignKey.nullable) return false;
      parents[position] = parent;
      changed.push(position);
    }
    const usesOrdinal = set.some((column) => plan.columns[column]!.source === 'ordinal');
    if (usesOrdinal && !this.hasRoom(relation)) return false;
    const ordinal = this.nextOrdinal[relation]!;
    if (usesOrdinal) this.nextOrdinal[relation] = ordinal + this.lanes;

    const keyspace = this.keyspaces[relation]!;
    keyspace.take(slot);
    for (const position of changed) {
      transaction.relinks.push({ relation, slot, foreignKey: position, parent: parents[position]! });
      const parentRelation = plan.foreignKeys[position]!.parent;
      if (parents[position]! >= 0 && !(parentRelation === relation && parents[position] === slot)) {
        this.keyspaces[parentRelation]!.addReferences(parents[position]!, 1);
      }
    }
    const shape = this.compiled.shapes.update(relation, setIndex);
    const from = beginBind(this.sink, shape.parameters);
    for (const index of set) {
      const column = compiled.columns[index]!;
      if (column.plan.source === 'ordinal') column.writeOrdinal(ordinal, this.sink);
      else if (column.plan.source === 'foreign') {
        this.writeForeign(compiled, index, parents, () => column.writeDrawn(seeds, row, ordinal, this.sink), this.sink);
      } else column.writeDrawn(seeds, row, ordinal, this.sink);
    }
    this.writeRowName(relation, slot);
    endBind(this.sink, from);
    transaction.statements.push({
      shape,
      relation,
      kind: 'update',
      rows: 1,
      slots: [slot],
      own: true,
      from,
      to: this.sink.offset,
    });
    return true;
  }

  private delete(transaction: Transaction, seeds: OperationSeeds): boolean {
    const { relation } = transaction;
    const keyspace = this.keyspaces[relation]!;
    const picks = Math.min(this.compiled.plan.rowsPerOperation.delete, keyspace.removable.size);
    for (let row = 0; row < picks; row++) {
      this.stream.restart(seeds.random, DELETE_LABEL, row);
      const slot = keyspace.removable.at(this.stream.below(keyspace.removable.size));
      this.leave(relation, slot);
      const shape = this.compiled.shapes.delete(relation);
      const from = beginBind(this.sink, shape.parameters);
      this.writeRowName(relation, slot);
      endBind(this.sink, from);
      transaction.statements.push({
        shape,
        relation,
        kind: 'delete',
        rows: 1,
        slots: [slot],
        own: true,
        from,
        to: this.sink.offset,
      });
    }
    return picks > 0;
  }

  /* ---- outcomes ---- */

  applied(transaction: Transaction): void {
    const outcome = transaction.outcome!;
    if (outcome.kind !== 'committed') throw new Error('only a committed transaction is applied');
    for (const [index, statement] of transaction.statements.entries()) {
      const rows = outcome.rows[index]!;
      const returned = outcome.returned[index] ?? null;
      if (statement.kind === 'insert') this.inserted(statement, returned);
      else if (statement.kind === 'delete') this.drop(statement.relation, statement.slots[0]!);
      else this.updated(transaction, statement, rows, returned);
    }
  }

  private inserted(statement: Statement, returned: Returned): void {
    const { plan, namedIndex } = this.compiled.relations[statement.relation]!;
    const keyspace = this.keyspaces[statement.relation]!;
    for (const [row, slot] of statement.slots.entries()) {
      if (statement.shape.returnsRows) {
        const values = returned?.[row];
        // A trigger or rule swallowed the row: it is not there.
        if (values === undefined) {
          this.drop(statement.relation, slot);
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
      this.enter(statement.relation, slot);
    }
  }

  private updated(transaction: Transaction, statement: Statement, rows: number, returned: Returned): void {
    const slot = statement.slots[0]!;
    const keyspace = this.keyspaces[statement.relation]!;
    for (const relink of transaction.relinks) {
      if (relink.slot !== slot || relink.relation !== statement.relation) continue;
      const before = keyspace.parent(relink.foreignKey, slot);
      keyspace.setParent(relink.foreignKey, slot, relink.parent);
      this.unlink(statement.relation, relink.foreignKey, slot, before);
    }
    if (rows === 0) {
      this.drop(statement.relation, slot);
      return;
    }
    if (returned?.[0] !== undefined) keyspace.kept[slot] = returned[0].map((value) => Buffer.from(value ?? ''));
    keyspace.release(slot);
  }

  undone(transaction: Transaction): void {
    for (const relink of transaction.relinks)
      this.unlink(relink.relation, relink.foreignKey, relink.slot, relink.parent);
    for (const { kind, relation, slots } of transaction.statements) {
      const keyspace = this.keyspaces[relation]!;
      for (const slot of slots) {
        if (kind === 'insert') this.drop(relation, slot);
        else if (kind === 'update') keyspace.release(slot);
        else this.enter(relation, slot);
      }
    }
  }

  /** The row is not there: parents lose a reference, tuples become free. */
  private drop(relation: number, slot: number): void {
    const keyspace = this.keyspaces[relation]!;
    const { foreignKeys } = this.compiled.relations[relation]!.plan;
    for (let position = 0; position < foreignKeys.length; position++)
      this.unlink(relation, position, slot, keyspace.parent(position, slot));
    for (const tuple of keyspace.tuples[slot] ?? []) this.tuplesInUse[relation]!.delete(tuple);
    // Still live where it vanished from outside: indexes must let go of it before its texts are forgotten.
    if (keyspace.live.has(slot)) this.leave(relation, slot);
    keyspace.forget(slot);
  }
}

interface InsertContext {
  readonly seeds: OperationSeeds;
  /** False for parents inserted on the way. */
  readonly own: boolean;
  readonly depth: number;
  readonly required: Required;
}

interface ParentChoice {
  readonly relation: number;
  readonly foreignKey: ForeignKeyPlan;
  readonly position: number;
  readonly draw: number;
  readonly slot: number;
  readonly required: Required;
}

type Returned = readonly (readonly (string | null)[])[] | null;

const NOTHING_REQUIRED: Required = new Map();

function keyOf(texts: readonly string[]): string {
  return texts.join('\u0000');
}
const UPDATE_LABEL = split({ hi: 0, lo: 0 }, 'update rows');
const DELETE_LABEL = split({ hi: 0, lo: 0 }, 'delete rows');

/** Parents draw from streams of their own, so that they do not repeat the operation's draws. */
function nestedSeeds(seeds: OperationSeeds, statement: number): OperationSeeds {
  return { random: split(seeds.random, `parent/${statement}`), faker: split(seeds.faker, `parent/${statement}`) };
}

function* indexesOf(claims: Claims, lane: number): Generator<number> {
  for (let index = 0; index < claims.count; index++) if (claims.lanes[index] === lane) yield index;
}

function textOf(claims: Claims, index: number, column: number): string {
  const at = index * claims.width + column;
  return Buffer.from(claims.bytes.subarray(claims.offsets[at], claims.offsets[at + 1])).toString('utf8');
}

/** The text of the single value that stands in a sink, null for NULL. */
function lastText(sink: BindSink): string | null {
  return sink.bytes.readInt32BE(0) < 0 ? null : sink.bytes.toString('utf8', 4, sink.offset);
}
