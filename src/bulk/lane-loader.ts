import type pg from 'pg';
import type { Filling, Piece } from '../lane/filling.js';
import { parametersOf } from '../lane/messages/bind.js';
import type { Operation } from '../lane/messages/operation.js';
import { type Effect, reactionTo } from '../lane/messages/outcome.js';
import type { CompiledPlan } from '../lane/rows/compiled.js';
import type { LoadPlan, Stage } from '../plan/stages.js';
import type { Control } from '../traffic/control.js';
import type { CounterBlock } from '../traffic/counters.js';
import type { Refusal } from '../traffic/ledger.js';
import { copyIn, linesOf } from './copying.js';
import { Ended, type LoadEnd, TableRefused } from './ends.js';
import type { Entry } from './journal.js';
import { type Done, idsInSavepoint, isRefusal, type LoaderSettings, LoadSession } from './load-session.js';
import type { Notes } from './notes.js';
import { closeSql, copySql } from './statements.js';

interface Surroundings {
  readonly control: Control;
  readonly counters: CounterBlock;
  readonly notes: Notes;
  readonly notice: (refusal: Refusal) => void;
}

/* Rows and bytes of one transaction: what is sent again when a connection is lost, and written down when it is done. */
const BATCH_ROWS = 50_000;
const BATCH_BYTES = 16 << 20;
/* Of the first one, each next one being twice as large: what a table refuses shows soon, and rows can reference those before them. */
const FIRST_BATCH_ROWS = 512;
const FIRST_BATCH_OF_SELF_REFERENCES = 16;
/* Rows whose foreign key one UPDATE closes. */
const CLOSE_ROWS = 2000;

/** Loads one lane's share on one connection at a time, a transaction per batch. */
export class LaneLoader {
  private readonly filling: Filling;
  private readonly compiled: CompiledPlan;
  private readonly load: LoadPlan;
  private readonly lane: number;
  private readonly session: LoadSession;
  private readonly control: Control;
  private readonly counters: CounterBlock;
  private readonly notice: (refusal: Refusal) => void;
  /** What a former load has done, the oldest first. */
  private past: readonly Entry[] = [];
  private refusedInARow = 0;
  private lastRefusal: string | null = null;

  constructor(
    { filling, compiled, load, lane }: { filling: Filling; compiled: CompiledPlan; load: LoadPlan; lane: number },
    settings: LoaderSettings,
    { control, counters, notes, notice }: Surroundings,
  ) {
    this.filling = filling;
    this.compiled = compiled;
    this.load = load;
    this.lane = lane;
    this.session = new LoadSession(lane, settings, notes, () => counters.add('reconnects', 1));
    this.control = control;
    this.counters = counters;
    this.notice = notice;
  }

  /** Runs all stages, after those parts that `past` says are done. */
  async run(past: readonly Entry[]): Promise<LoadEnd> {
    this.past = past;
    try {
      for (const [index, stage] of this.load.stages.entries()) {
        if (this.control.stopped) return { kind: 'stopped' };
        await this.carryOut(index, stage);
      }
      return { kind: this.control.stopped ? 'stopped' : 'finished' };
    } catch (error) {
      if (error instanceof Ended) return error.end;
      throw error;
    } finally {
      await this.session.close();
    }
  }

  private async carryOut(index: number, stage: Stage): Promise<void> {
    const relation = stage.kind === 'insert' ? stage.relations[0]! : stage.relation;
    try {
      if (stage.kind === 'copy') await this.copyAll(index, stage.relation);
      else if (stage.kind === 'insert') await this.insertAll(index, stage.relations);
      else await this.closeAll(index, stage.relation, stage.foreignKey);
    } catch (error) {
      if (!(error instanceof TableRefused)) throw error;
      this.notice({ kind: 'quarantine', sqlstate: '', relation, text: error.message });
    }
  }

  private async copyAll(stage: number, relation: number): Promise<void> {
    const quota = this.load.quotas[relation]![this.lane]!;
    this.refusedInARow = 0;
    let rows = 0;
    for (let batchRows = this.firstBatch(relation); rows < quota && !this.control.stopped; batchRows *= 2) {
      const most = Math.min(quota - rows, batchRows, BATCH_ROWS);
      const done = this.takePast(stage);
      const before = done === null ? null : this.replayPieces(relation, done, most);
      const batch = before ?? (await this.copyBatch(stage, relation, most));
      const refused = new Set(batch.refused);
      const sent = batch.pieces.reduce((sum, piece) => sum + piece.rows, 0) - refused.size;
      let at = 0;
      for (const piece of batch.pieces) {
        const from = at;
        at += piece.rows;
        const ofPiece = new Set([...refused].filter((row) => row >= from && row < at).map((row) => row - from));
        // Which rows a trigger has kept back is not known: none of the batch can be a parent.
        if (batch.taken < sent) this.filling.unknown(piece);
        else this.filling.committed(piece, refused.size === 0 ? NONE : ofPiece);
      }
      // None can be had with the parents that are there: the rest brings its own along.
      if (at === 0) return await this.insertRows(this.restOf(stage), relation, quota, new Map([[relation, rows]]));
      rows += batch.taken;
      this.count(relation, batch.taken, refused.size);
      this.refusedInARow = batch.taken === 0 ? this.refusedInARow + at : 0;
      if (this.refusedInARow >= this.compiled.plan.quarantineAfter)
        throw new TableRefused(this.lastRefusal ?? 'a trigger or a rule discards every row');
    }
  }

  private copySql(relation: number): string {
    return copySql(this.compiled.relations[relation]!.plan);
  }

  private firstBatch(relation: number): number {
    const { foreignKeys } = this.compiled.relations[relation]!.plan;
    return foreignKeys.some(({ parent }) => parent === relation) ? FIRST_BATCH_OF_SELF_REFERENCES : FIRST_BATCH_ROWS;
  }

  private replayPieces(relation: number, { pieces: count, refused, taken }: Entry, most: number): Batch {
    this.filling.beginBatch();
    const pieces: Piece[] = [];
    let rows = 0;
    while (pieces.length < count) {
      const piece = this.filling.next(relation, most - rows);
      if (piece === null) break;
      pieces.push(piece);
      rows += piece.rows;
    }
    return { pieces, refused, taken };
  }

  /** Sends rows as they are made; where one is refused, all of the batch again, halved until it stands alone. */
  private async copyBatch(stage: number, relation: number, limit: number): Promise<Batch> {
    this.filling.beginBatch();
    const pieces: Piece[] = [];
    const size = { rows: 0, bytes: 0 };
    const draw = function* (this: LaneLoader): Generator<Buffer> {
      for (const { bytes } of pieces) yield bytes;
      while (size.rows < limit && size.bytes < BATCH_BYTES) {
        const piece = this.filling.next(relation, limit - size.rows);
        if (piece === null) return;
        pieces.push(piece);
        size.rows += piece.rows;
        size.bytes += piece.bytes.length;
        yield piece.bytes;
      }
    }.bind(this);
    let refused: number[] = [];
    let taken = 0;
    let isHalved = false;
    let savepointIds: readonly string[] | undefined;
    await this.transaction(
      stage,
      async (client) => {
        refused = [];
        if (isHalved) ({ refused, taken, savepointIds } = await this.copyHalved(client, relation, pieces));
        else taken = await copyIn(client, this.copySql(relation), draw());
        const wrote = taken === 0 ? null : this.compiled.relations[relation]!.plan.rows;
        const done = { pieces: pieces.length, refused, taken, effect: null, wrote, savepointIds };
        return size.rows === 0 ? null : done;
      },
      (error) => {
        if (isHalved) return false;
        // The rest of the batch must be known before it can be halved; the server takes nothing more of it.
        for (const _ of draw());
        this.note(relation, error);
        isHalved = true;
        return true;
      },
    );
    return { pieces, refused, taken };
  }

  /** Returns the rows that are refused for themselves. */
  private async copyHalved(
    client: pg.Client,
    relation: number,
    pieces: readonly Piece[],
  ): Promise<Pick<Batch, 'taken'> & { refused: number[]; savepointIds: string[] }> {
    const lines = pieces.flatMap(({ bytes }) => linesOf(bytes));
    const refused: number[] = [];
    const savepointIds: string[] = [];
    let taken = 0;
    const open: (readonly [number, number])[] = [[0, lines.length]];
    for (let part = open.pop(); part !== undefined; part = open.pop()) {
      const [from, to] = part;
      await client.query('SAVEPOINT part');
      try {
        const count = await copyIn(client, this.copySql(relation), [Buffer.concat(lines.slice(from, to))]);
        await client.query('SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED');
        // Rows of one part are enough to find the transaction by.
        if (count > 0 && savepointIds.length === 0 && this.session.usesIds)
          savepointIds.push(...(await idsInSavepoint(client)));
        await client.query('RELEASE SAVEPOINT part');
        taken += count;
      } catch (error) {
        if (!isRefusal(error) || reactionTo(error.code!, 'insert') !== 'redraw') throw error;
        await client.query('ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part');
        if (to - from === 1) {
          refused.push(from);
          this.note(relation, error);
          this.counters.addError(error.code!, relation);
        } else {
          const middle = (from + to) >> 1;
          open.push([middle, to], [from, middle]);
        }
      }
      // One after the other without a row in between: the table takes nothing.
      if (refused.length >= this.compiled.plan.quarantineAfter && refused[refused.length - 1] === refused.length - 1)
        throw new TableRefused(this.lastRefusal ?? 'refused');
    }
    return { refused, taken, savepointIds };
  }

  private async insertAll(stage: number, relations: readonly number[]): Promise<void> {
    const rows = new Map(relations.map((relation) => [relation, 0]));
    for (const relation of relations)
      await this.insertRows(stage, relation, this.load.quotas[relation]![this.lane]!, rows);
  }

  /** In the journal, INSERTs that follow the COPY of a stage. */
  private restOf(stage: number): number {
    return this.load.stages.length + stage;
  }

  /** INSERTs until there are `quota` rows of a relation; `rows` counts them, and those of others that come along. */
  private async insertRows(stage: number, relation: number, quota: number, rows: Map<number, number>): Promise<void> {
    let refusals = 0;
    while (rows.get(relation)! < quota && !this.control.stopped) {
      const operation = this.filling.insert(relation, quota - rows.get(relation)!);
      if (operation === null) return;
      const { effect } = this.takePast(stage) ?? (await this.insertOne(stage, operation));
      this.filling.inserted(operation, effect);
      if (effect === null) {
        this.count(relation, 0, 1);
        if (++refusals > this.compiled.plan.maxRetries.insert) throw new TableRefused(this.lastRefusal ?? 'refused');
        continue;
      }
      refusals = 0;
      for (const [index, statement] of operation.statements.entries()) {
        const all = [
          { relation: statement.relation, count: effect.rows[index]! },
          ...statement.also.map((each) => ({ relation: each.relation, count: each.slots.length })),
        ];
        for (const each of all) {
          rows.set(each.relation, (rows.get(each.relation) ?? 0) + each.count);
          this.count(each.relation, each.count, 0);
        }
      }
    }
  }

  /** The operation's effect; null where its values are refused. */
  private async insertOne(stage: number, operation: Operation): Promise<{ readonly effect: Effect | null }> {
    let effect: Effect | null = null;
    let isRefused = false;
    await this.transaction(
      stage,
      async (client) => {
        if (isRefused) return null;
        const rows: number[] = [];
        const returned: ((string | null)[][] | null)[] = [];
        for (const statement of operation.statements) {
          const values = parametersOf(operation.bytes, statement);
          const result = await client.query<(string | null)[]>({ text: statement.shape.sql, values, rowMode: 'array' });
          rows.push(result.rowCount ?? 0);
          returned.push(statement.shape.returned > 0 ? result.rows : null);
        }
        effect = { rows, returned };
        const at = rows.findIndex((count) => count > 0);
        const wrote = at < 0 ? null : this.compiled.relations[operation.statements[at]!.relation]!.plan.rows;
        return { pieces: 0, refused: [], taken: 0, effect, wrote };
      },
      (error) => {
        this.note(operation.relation, error);
        this.counters.addError(error.code!, operation.relation);
        effect = null;
        isRefused = true;
        return true;
      },
    );
    if (isRefused) await this.session.nothing(stage);
    return { effect };
  }

  private async closeAll(stage: number, relation: number, foreignKey: number): Promise<void> {
    const { plan } = this.compiled.relations[relation]!;
    const key = plan.foreignKeys[foreignKey]!;
    const text = closeSql(plan, key.columns);
    const count = this.filling.remembered(relation);
    for (let from = 0; from < count && !this.control.stopped; from += CLOSE_ROWS) {
      const columns = this.filling.closing(relation, foreignKey, from, from + CLOSE_ROWS);
      if (columns[0]!.length === 0 || this.takePast(stage) !== null) continue;
      await this.transaction(
        stage,
        async (client) => {
          const { rowCount } = await client.query({ text, values: columns });
          const wrote = rowCount === 0 ? null : plan.rows;
          return { pieces: 0, refused: [], taken: columns[0]!.length, effect: null, wrote };
        },
        () => false,
      );
      this.counters.addTable(relation, 'update', 'rows', columns[0]!.length);
    }
  }

  /** Carries out a transaction, as soon as the lanes may write. */
  private async transaction(
    stage: number,
    work: (client: pg.Client) => Promise<Done>,
    refused: (error: pg.DatabaseError) => boolean,
  ): Promise<void> {
    for (let ms = this.control.pauseMs(); ms > 0 && !this.control.stopped; ms = this.control.pauseMs())
      await new Promise((resolve) => setTimeout(resolve, ms));
    await this.session.transaction(stage, work, refused);
  }

  private takePast(stage: number): Entry | null {
    if (this.past[0]?.stage !== stage) return null;
    const [first, ...rest] = this.past;
    this.past = rest;
    return first;
  }

  private count(relation: number, rows: number, refused: number): void {
    for (const each of [relation, ...this.compiled.relations[relation]!.brings])
      this.counters.addTable(each, 'insert', 'rows', rows);
    this.counters.addTable(relation, 'insert', 'rejected', refused);
  }

  private note(relation: number, error: pg.DatabaseError): void {
    this.lastRefusal = `${error.message} (${error.code})`;
    this.notice({ kind: 'error', sqlstate: error.code!, relation, text: error.message });
  }
}

interface Batch {
  readonly pieces: readonly Piece[];
  /** Rows, by their number within the batch. */
  readonly refused: readonly number[];
  /** Rows that the table took. */
  readonly taken: number;
}

const NONE: ReadonlySet<number> = new Set();
