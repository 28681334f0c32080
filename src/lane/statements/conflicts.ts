import type { ConflictPlan, OperationKind } from '../../plan/plan.js';
import { split } from '../../random/seed.js';
import { Stream } from '../../random/stream.js';
import { parametersOf } from '../messages/bind.js';
import type { Operation, Statement } from '../messages/operation.js';
import type { CompiledPlan, OperationSeeds } from '../rows/compiled.js';
import type { RowStore } from '../rows/row-store.js';
import type { DenseSet } from '../rows/slots.js';
import type { Deletions } from './deletions.js';
import type { Inserts } from './inserts.js';
import type { Updates } from './updates.js';

/** How a unique value moves from one row to another. */
export interface ConflictForm {
  readonly free: 'delete' | 'update';
  readonly take: 'insert' | 'update';
  /** In one operation, in two consecutive ones, or by two rows that exchange their values. */
  readonly how: 'together' | 'apart' | 'swapped';
  /** Index among the relation's conflict keys; −1: its primary key. */
  readonly key: number;
}

/** A value that one operation has freed and the next one takes. */
interface Freed {
  readonly relation: number;
  readonly form: ConflictForm;
  readonly texts: Texts;
  readonly handle: number;
  readonly by: Operation;
}

/** Column → text; null for NULL. */
type Texts = ReadonlyMap<number, string | null>;

interface Known {
  /** The handle of the row that was in the slot. */
  readonly handle: number;
  readonly texts: Map<number, string | null>;
}

/* Number of rows per relation whose unique values are remembered: those written last. */
const MOST_KNOWN = 512;
const PICKS = 16;

/**
 * Frees a unique value on one row and lets another row take it right after. This breaks appliers that do not keep to
 * the source's order. Both rows are the lane's own, so the source never refuses it.
 */
export class Conflicts {
  private readonly compiled: CompiledPlan;
  private readonly plan: ConflictPlan;
  private readonly store: RowStore;
  private readonly writers: { readonly inserts: Inserts; readonly updates: Updates; readonly deletions: Deletions };
  private readonly known: readonly Map<number, Known>[];
  private readonly stream = new Stream();
  private freed: Freed | null = null;

  constructor(compiled: CompiledPlan, plan: ConflictPlan, store: RowStore, writers: Conflicts['writers']) {
    this.compiled = compiled;
    this.plan = plan;
    this.store = store;
    this.writers = writers;
    this.known = compiled.relations.map(() => new Map());
  }

  /** Returns a random form for this relation; null if none is possible now. */
  formFor(relation: number, seeds: OperationSeeds, mayPart: boolean): ConflictForm | null {
    const { conflictKeys, reusesKey, operations } = this.compiled.relations[relation]!.plan;
    const forms: ConflictForm[] = [];
    for (const free of this.plan.free) {
      // Operations that the rehearsal found impossible are not tried here either, and table_rows applies.
      if (!operations[free] || (free === 'delete' && !this.store.mayLose(relation))) continue;
      for (const take of this.plan.take) {
        if (!operations[take]) continue;
        const hows: ConflictForm['how'][] = mayPart ? ['together', 'apart'] : ['together'];
        if (free === 'update' && take === 'update') hows.push('swapped');
        for (const how of hows) {
          for (const key of conflictKeys.keys()) forms.push({ free, take, how, key });
          if (reusesKey && free === 'delete' && take === 'insert') forms.push({ free, take, how, key: -1 });
        }
      }
    }
    if (forms.length === 0) return null;
    this.stream.restart(seeds.random, FORM, 0);
    return forms[this.stream.below(forms.length)]!;
  }

  /** Writes the operation that frees a value, and takes it if one operation does both. False if no row is available. */
  write(operation: Operation, form: ConflictForm, seeds: OperationSeeds): boolean {
    const { relation } = operation;
    this.stream.restart(seeds.random, ROWS, 0);
    const { idle, removable } = this.store.keyspaces[relation]!;
    const slot = this.pick(relation, form, form.free === 'delete' ? removable : idle, -1);
    if (slot < 0) return false;
    const handle = this.store.keyspaces[relation]!.handle(slot);
    const texts = this.textsOf(relation, slot, form)!;
    operation.isConflict = form.how !== 'apart';
    if (form.how === 'swapped') {
      const other = this.pick(relation, form, idle, slot);
      if (other < 0) return false;
      const others = this.textsOf(relation, other, form)!;
      return (
        this.update(operation, slot, form, 0, seeds) &&
        this.update(operation, other, form, 1, seeds, texts) &&
        this.update(operation, slot, form, 2, seeds, others)
      );
    }
    if (form.free === 'delete') this.writers.deletions.writeRow(operation, slot);
    else if (!this.update(operation, slot, form, 0, seeds)) return false;
    const freed = { relation, form, texts, handle, by: operation };
    if (form.how === 'together') return this.take(operation, freed, seeds);
    this.freed = freed;
    return true;
  }

  /** What the next operation must take; null if nothing was freed for it. */
  get promised(): { readonly relation: number; readonly kind: OperationKind } | null {
    return this.freed === null ? null : { relation: this.freed.relation, kind: this.freed.form.take };
  }

  /** Writes the operation that takes the value which the previous one freed. */
  redeem(operation: Operation, seeds: OperationSeeds): boolean {
    const freed = this.freed!;
    this.freed = null;
    this.stream.restart(seeds.random, ROWS, 1);
    if (!this.take(operation, freed, seeds)) return false;
    operation.isConflict = true;
    operation.after = freed.by;
    if (freed.form.key < 0) freed.by.takenBy = operation;
    return true;
  }

  private take(operation: Operation, { relation, form, texts, handle }: Freed, seeds: OperationSeeds): boolean {
    if (form.take === 'insert')
      return this.writers.inserts.writeWith(operation, texts, seeds, form.key < 0 ? handle : null);
    const slot = this.pick(relation, form, this.store.keyspaces[relation]!.idle, -1);
    return slot >= 0 && this.update(operation, slot, form, 1, seeds, texts);
  }

  private update(
    operation: Operation,
    slot: number,
    { key }: ConflictForm,
    row: number,
    seeds: OperationSeeds,
    texts?: Texts,
  ): boolean {
    const columns = this.compiled.relations[operation.relation]!.plan.conflictKeys[key]!.written;
    const shape = this.compiled.shapes.set(operation.relation, columns);
    return this.writers.updates.writeRow(
      operation,
      { slot, columns, shape, row, texts: texts ?? NOTHING, batch: null },
      seeds,
    );
  }

  /** Returns an idle row whose value is known, or one that could take a value; −1 if there is none. */
  private pick(relation: number, form: ConflictForm, from: DenseSet, other: number): number {
    for (let pick = 0; pick < PICKS && from.size > 0; pick++) {
      const slot = from.at(this.stream.below(from.size));
      if (slot !== other && this.textsOf(relation, slot, form) !== null) return slot;
    }
    return -1;
  }

  /** Returns the values that would conflict with this row in the index; null if unknown, or if it has a NULL. */
  private textsOf(relation: number, slot: number, { key }: ConflictForm): Texts | null {
    const { plan } = this.compiled.relations[relation]!;
    if (key < 0) {
      if (this.store.keyspaces[relation]!.handle(slot) < 0) return null;
      return new Map(plan.key.map((column) => [column, this.store.namedText(relation, slot, column)]));
    }
    const known = this.known[relation]!.get(slot);
    if (known === undefined || known.handle !== this.store.keyspaces[relation]!.handle(slot)) return null;
    const texts = new Map<number, string | null>();
    const { written, indexed } = plan.conflictKeys[key]!;
    for (const column of written) {
      const text = known.texts.get(column);
      if (text === undefined || (text === null && indexed.includes(column))) return null;
      texts.set(column, text);
    }
    return texts;
  }

  /** Returns what `restore` needs, while no value is promised to the next operation. */
  save() {
    return this.known;
  }

  restore(known: ReturnType<Conflicts['save']>): void {
    for (const [relation, rows] of this.known.entries()) {
      rows.clear();
      for (const [slot, row] of known[relation]!) rows.set(slot, row);
    }
  }

  /** Remembers the values that a statement has written. */
  learn(statement: Statement, bytes: Buffer): void {
    const { conflictKeys } = this.compiled.relations[statement.relation]!.plan;
    if (conflictKeys.length === 0 || statement.kind === 'delete' || statement.also.length > 0) return;
    const { written } = statement;
    const { key } = this.compiled.relations[statement.relation]!.plan;
    // In an UPDATE the parameters that identify rows follow those that are written.
    const width = written.length + (statement.kind === 'update' ? key.length : 0);
    if (!written.some((column) => conflictKeys.some((key) => key.written.includes(column)))) return;
    const values = parametersOf(bytes, statement);
    const slots = statement.successor >= 0 ? [statement.successor] : statement.slots;
    for (const [row, slot] of slots.entries()) {
      const handle = this.store.keyspaces[statement.relation]!.handle(slot);
      const known = this.known[statement.relation]!;
      const before = known.get(slot);
      const isNew = statement.kind === 'insert' || before?.handle !== handle;
      const texts = isNew ? new Map<number, string | null>() : before.texts;
      for (const [index, column] of written.entries()) texts.set(column, values[row * width + index]!);
      known.delete(slot);
      known.set(slot, { handle, texts });
      if (known.size > MOST_KNOWN) known.delete(known.keys().next().value!);
    }
  }
}

const NOTHING: Texts = new Map();
const FORM = split({ hi: 0, lo: 0 }, 'conflict form');
const ROWS = split({ hi: 0, lo: 0 }, 'conflict rows');
