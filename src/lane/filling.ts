import { CopySink } from '../datum/sink.js';
import { split, splitNumber } from '../random/seed.js';
import { Stream } from '../random/stream.js';
import { Operation } from './messages/operation.js';
import type { Effect } from './messages/outcome.js';
import { OwnedRows } from './owned.js';
import type { ClaimSet } from './rows/claims.js';
import type { CompiledPlan, OperationSeeds } from './rows/compiled.js';
import { NOTHING_REQUIRED, Parents } from './rows/parents.js';
import { RowStore } from './rows/row-store.js';
import { Circle } from './statements/circle.js';
import type { InsertContext } from './statements/draft.js';
import { Drafts } from './statements/drafts.js';

/** Rows of one relation in COPY's text format. */
export interface Piece {
  readonly relation: number;
  /** The bytes of the rows, valid until the next batch begins. */
  readonly bytes: Buffer;
  readonly rows: number;
  /** Slots by row; none for a relation whose rows are forgotten at once. */
  readonly slots: readonly number[];
}

/* A piece is written while the previous one is sent. The first ones of a batch are small, so the server waits less. */
const FIRST_PIECE_BYTES = 1 << 14;
const PIECE_BYTES = 1 << 17;
/* Number of rows whose draws share one seed. */
const BLOCK = 4096;
/* Rows of one INSERT, if COPY is not possible. */
const INSERT_ROWS = 50;

/**
 * The rows that one lane loads, relation by relation, parents first: a pure function of plan, claims and of the rows that
 * were refused. Rows that nothing will reference are forgotten as soon as they are there; of others as many are
 * remembered as `max_tracked_rows` allows, each with the same chance.
 */
export class Filling {
  private readonly compiled: CompiledPlan;
  private readonly store: RowStore;
  private readonly parents: Parents;
  private readonly drafts: Drafts;
  private readonly rows: OwnedRows;
  private readonly isRemembered: boolean[];
  /** By relation: true if a row needs no draft, because nothing is chosen, looked up or remembered for it. */
  private readonly isWrittenAtOnce: readonly boolean[];
  private readonly seeds: OperationSeeds;
  private readonly stream = new Stream();
  private readonly sink = new CopySink();
  /** By relation: number of rows drawn, and of rows that were candidates to be remembered. */
  private readonly drawn: number[];
  private readonly seen: number[];

  /** `closing`: relations with foreign keys that are set when all rows exist. */
  constructor(compiled: CompiledPlan, lane: number, claims: ClaimSet, closing: ReadonlySet<number>) {
    this.isRemembered = compiled.relations.map((_, relation) => closing.has(relation));
    this.compiled = compiled;
    this.store = new RowStore(compiled, lane, claims);
    for (const [relation, incoming] of this.store.incoming.entries())
      if (incoming.length > 0) this.isRemembered[relation] = true;
    this.isWrittenAtOnce = compiled.relations.map(
      ({ isIndependent, plan }, relation) =>
        isIndependent && !this.isRemembered[relation]! && plan.trackedKeys.length === 0 && plan.guards.length === 0,
    );
    this.parents = new Parents(compiled, this.store);
    const circle = new Circle(compiled, this.store);
    this.drafts = new Drafts(compiled, { store: this.store, parents: this.parents, circle }, null);
    this.rows = new OwnedRows(compiled, this.store);
    const lanes = compiled.laneSeeds(lane);
    this.seeds = { random: split(lanes.random, 'load'), faker: split(lanes.faker, 'load') };
    this.drawn = compiled.relations.map(() => 0);
    this.seen = compiled.relations.map(() => 0);
  }

  /** Starts a batch: its pieces overwrite those of the previous one. */
  beginBatch(): void {
    this.sink.clear();
  }

  /** Returns the next rows of a relation, at most so many; null if no more are possible. */
  next(relation: number, most: number): Piece | null {
    const { sink } = this;
    const mark = sink.offset;
    const enough = mark + Math.min(PIECE_BYTES, Math.max(FIRST_PIECE_BYTES, mark));
    const compiled = this.compiled.relations[relation]!;
    const columns = compiled.plan.insertColumns;
    const atOnce = this.isWrittenAtOnce[relation]!;
    const slots: number[] = [];
    let rows = 0;
    let context: InsertContext | null = null;
    for (; rows < most && sink.offset < enough && this.store.hasRoom(relation); rows++) {
      const row = this.drawn[relation]!++;
      if (context === null || row % BLOCK === 0) context = this.contextFor(relation, Math.floor(row / BLOCK));
      if (atOnce) compiled.writeRow(columns, context.seeds, row % BLOCK, this.store.takeOrdinal(relation), sink);
      else {
        const draft = this.drafts.draftRow(relation, row % BLOCK, context);
        if (draft === null) break;
        this.drafts.write(relation, draft, columns, context, sink);
        slots.push(draft.slot);
      }
      sink.endRow(columns.length);
    }
    return rows === 0 ? null : { relation, bytes: sink.bytes.subarray(mark, sink.offset), rows, slots };
  }

  /** Records that the piece is committed, except for the rejected rows, given by index. */
  committed({ relation, slots }: Piece, refused: ReadonlySet<number>): void {
    for (const [row, slot] of slots.entries()) {
      if (refused.has(row)) {
        this.store.letGoOfParents(relation, slot, false);
        this.store.failToArrive(relation, slot, false);
      } else {
        this.store.bringOthers(relation, slot);
        this.store.letGoOfParents(relation, slot, true);
        this.remember(relation, slot);
      }
    }
  }

  /** Records that an unknown part of the piece is missing: none of its rows is remembered. */
  unknown({ relation, slots }: Piece): void {
    const keyspace = this.store.keyspaces[relation]!;
    for (const slot of slots) keyspace.forget(slot);
  }

  /** Returns an INSERT of more rows of a relation, with the rows that they need; null if no more are possible. */
  insert(relation: number, most: number): Operation | null {
    const number = this.drawn[relation]!++;
    const operation = new Operation(number, relation, 'insert', 'insert');
    const seeds = this.seedsFor(relation, number);
    const rows = this.compiled.relations[relation]!.plan.oneByOne ? 1 : Math.min(most, INSERT_ROWS);
    return this.rows.insert(operation, rows, seeds) ? operation : null;
  }

  inserted(operation: Operation, effect: Effect | null): void {
    if (effect === null) this.rows.undone(operation, false);
    else this.rows.applied(operation, effect);
    this.rows.finished(operation);
  }

  /** Returns the number of remembered rows of a relation: those whose keys can be set later. */
  remembered(relation: number): number {
    return this.store.keyspaces[relation]!.live.size;
  }

  /**
   * What gives rows from … to (in the order in which they are remembered) a parent by a foreign key that was left NULL:
   * per column of the key, then per column of the row's own key, a text for each row. Some stay NULL, by chance.
   */
  closing(relation: number, foreignKey: number, from: number, to: number): string[][] {
    const { plan } = this.compiled.relations[relation]!;
    const key = plan.foreignKeys[foreignKey]!;
    const { live } = this.store.keyspaces[relation]!;
    const seeds = this.seedsFor(relation, from, `close/${key.name}`);
    const columns: string[][] = [...key.columns, ...plan.key].map(() => []);
    const unused = this.store.unused[relation]![foreignKey] ?? null;
    for (let at = from; at < Math.min(to, live.size); at++) {
      const draw = at - from;
      // A unique key takes each parent once: own rows leave the choice, pinned ones are taken in order.
      if (unused !== null && unused.size === 0 && at >= this.parents.countFor(relation, foreignKey)) break;
      const turn = unused !== null && unused.size === 0 ? at : null;
      const choice = {
        relation,
        position: foreignKey,
        foreignKey: key,
        isNeeded: false,
        draw,
        required: NOTHING_REQUIRED,
        turn,
      };
      const parent = this.parents.chooseParent(choice, seeds);
      if (parent === null) continue;
      this.store.use(relation, foreignKey, parent);
      for (const [index, column] of key.parentColumns.entries())
        columns[index]!.push(this.store.namedText(key.parent, parent, column));
      for (const [index, column] of plan.key.entries())
        columns[key.columns.length + index]!.push(this.store.namedText(relation, live.at(at), column));
    }
    return columns;
  }

  private contextFor(relation: number, block: number): InsertContext {
    const seeds = this.seedsFor(relation, block);
    return { operation: null, seeds, own: true, depth: 0, required: NOTHING_REQUIRED };
  }

  private seedsFor(relation: number, block: number, what = ''): OperationSeeds {
    const { label } = this.compiled.relations[relation]!.plan;
    return {
      random: splitNumber(split(this.seeds.random, label + what), block),
      faker: splitNumber(split(this.seeds.faker, label + what), block),
    };
  }

  /** Reservoir sampling (algorithm R, Vitter 1985): row n takes the place of one of m remembered with a chance of m / n. */
  private remember(relation: number, slot: number): void {
    const { store } = this;
    const keyspace = store.keyspaces[relation]!;
    // Its tuples stay in use, whether the row is remembered or not.
    keyspace.tuples[slot] = undefined;
    if (!this.isRemembered[relation]!) {
      keyspace.forget(slot);
      return;
    }
    const { live } = keyspace;
    const number = this.seen[relation]!++;
    if (store.maySee(relation)) {
      store.enter(relation, slot);
      return;
    }
    this.stream.restart(this.seeds.random, REMEMBER, number);
    const place = this.stream.below(number + 1);
    if (place >= live.size) keyspace.forget(slot);
    else {
      store.drop(relation, live.at(place));
      store.enter(relation, slot);
    }
  }
}

const REMEMBER = split({ hi: 0, lo: 0 }, 'remembered rows');
