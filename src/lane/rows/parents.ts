import type { TupleSink } from '../../datum/sink.js';
import type { ForeignKeyPlan } from '../../plan/plan.js';
import { split } from '../../random/seed.js';
import { Stream } from '../../random/stream.js';
import type { CompiledPlan, CompiledRelation, OperationSeeds } from './compiled.js';
import { NO_PARENT, PINNED_BASE } from './keyspace.js';
import { keyOf, type Required, type RowStore } from './row-store.js';

/** A foreign key that a row needs a parent for. */
export interface ParentChoice {
  readonly relation: number;
  /** Position of the foreign key among the relation's. */
  readonly position: number;
  readonly foreignKey: ForeignKeyPlan;
  /** True if the key must have a parent. */
  readonly isNeeded: boolean;
  /** Number of the draw within the operation. */
  readonly draw: number;
  readonly required: Required;
  /** Takes the n-th of all candidates, cyclically; null: a random one. */
  readonly turn: number | null;
}

/* Tries to pick a parent, because a claimed row may be NULL in a referenced column. */
const PICKS = 16;

export const NOTHING_REQUIRED: Required = new Map();

/** Chooses the rows that foreign keys reference, among the lane's own and pinned ones. */
export class Parents {
  private readonly compiled: CompiledPlan;
  private readonly store: RowStore;
  private readonly stream = new Stream();
  private readonly seeds = new Map<ForeignKeyPlan, ReturnType<typeof split>>();

  constructor(compiled: CompiledPlan, store: RowStore) {
    this.compiled = compiled;
    this.store = store;
  }

  /** Returns the parent's columns whose values are already fixed, by an overlapping foreign key or by a child. */
  requiredOf(
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

  /** Returns the required values, and one that a CHECK demands of the parent, chosen at random among existing ones. */
  private wanted({ foreignKey, required }: ParentChoice): Required | null {
    const { only, parent } = foreignKey;
    if (only === null) return required;
    const settled = required.get(only.parentColumn);
    if (settled !== undefined) return only.values.includes(settled) ? required : null;
    const columns = [...required.keys(), only.parentColumn];
    const index = this.store.indexFor(parent, columns);
    const present = only.values.filter((value) => index.find(keyOf([...required.values(), value])).length > 0);
    if (present.length === 0) return null;
    return new Map([...required, [only.parentColumn, present[this.stream.below(present.length)]!]]);
  }

  private textFromParents(compiled: CompiledRelation, column: number, chosen: readonly number[]): string | undefined {
    for (const position of compiled.foreignKeysOf[column]!) {
      const parent = chosen[position];
      if (parent === undefined || parent === NO_PARENT) continue;
      const foreignKey = compiled.plan.foreignKeys[position]!;
      const parentColumn = foreignKey.parentColumns[foreignKey.columns.indexOf(column)]!;
      if (this.store.knows(foreignKey.parent, parent, parentColumn))
        return this.store.namedText(foreignKey.parent, parent, parentColumn);
    }
    return undefined;
  }

  /** Returns a row to reference; null if none fits, or if the key is left NULL. */
  chooseParent(choice: ParentChoice, seeds: OperationSeeds): number | null {
    const { foreignKey } = choice;
    const live = this.store.unused[choice.relation]![choice.position] ?? this.store.keyspaces[foreignKey.parent]!.live;
    const pinned = this.store.pinned[foreignKey.parent]!;
    const total = live.size + pinned.length;
    if (total === 0) return null;
    this.stream.restart(seeds.random, this.seedOf(choice), choice.draw);
    if (!choice.isNeeded && this.stream.chance(this.nullRatioOf(choice.relation, foreignKey))) return null;
    const required = this.wanted(choice);
    if (required === null) return null;
    if (required.size > 0) {
      const found = this.store.indexFor(foreignKey.parent, [...required.keys()]).find(keyOf([...required.values()]));
      return found.length === 0 ? null : found[this.placeAmong(found.length, choice)]!;
    }
    let last: number | null = null;
    for (let pick = 0; pick < PICKS; pick++) {
      const index = this.placeAmong(total, choice);
      const row = index < live.size ? live.at(index) : PINNED_BASE - pinned[index - live.size]!;
      if (this.store.lacks(foreignKey.parent, row, foreignKey.parentColumns)) continue;
      if (total === 1 || !this.isLastRemovable(foreignKey.parent, row)) return row;
      last = row;
    }
    return last;
  }

  /**
   * Returns the parent of an earlier foreign key, where a condition asks whether the two are equal. The earlier keys and a
   * parent of its own are taken in turn, each equally often. Null: the caller chooses one.
   */
  mateFor(
    { relation, position, foreignKey, draw, required }: ParentChoice,
    chosen: readonly number[],
    seeds: OperationSeeds,
  ): number | null {
    const mates = this.compiled.relations[relation]!.mates[position]!;
    if (mates.length === 0 || required.size > 0) return null;
    const isUnique = this.store.unused[relation]![position] != null;
    if (isUnique || foreignKey.only !== null) return null;
    this.stream.restart(seeds.random, split(this.seedOf({ relation, foreignKey }), 'mate'), draw);
    const pick = this.stream.below(mates.length + 1);
    const parent = pick === mates.length ? NO_PARENT : (chosen[mates[pick]!] ?? NO_PARENT);
    return parent === NO_PARENT ? null : parent;
  }

  /** Returns the row with which the tuple of the row's group was accepted, if there is one; null: choose one. */
  parentOfTuple({ foreignKey, required }: ParentChoice, text: string | undefined): number | null {
    const { parent, parentColumns, only } = foreignKey;
    if (text === undefined || required.size > 0 || (only !== null && !only.values.includes(text))) return null;
    return this.store.indexFor(parent, parentColumns).find(keyOf([text]))[0] ?? null;
  }

  private placeAmong(count: number, { turn }: ParentChoice): number {
    return turn === null ? this.stream.below(count) : turn % count;
  }

  /** Returns the number of rows that a relation's foreign key may reference, at least 1. */
  countFor(relation: number, position: number): number {
    const { parent } = this.compiled.relations[relation]!.plan.foreignKeys[position]!;
    const live = this.store.unused[relation]![position] ?? this.store.keyspaces[parent]!.live;
    return Math.max(1, live.size + this.store.pinned[parent]!.length);
  }

  /** Returns true for the last row that a DELETE on the parent's table could use; others are referenced instead. */
  private isLastRemovable(relation: number, row: number): boolean {
    const { removable } = this.store.keyspaces[relation]!;
    return removable.size === 1 && removable.at(0) === row && this.compiled.relations[relation]!.plan.operations.delete;
  }

  private seedOf({ relation, foreignKey }: Pick<ParentChoice, 'relation' | 'foreignKey'>): ReturnType<typeof split> {
    let seed = this.seeds.get(foreignKey);
    if (seed === undefined) {
      seed = split(split({ hi: 0, lo: 0 }, this.compiled.relations[relation]!.plan.label), foreignKey.name);
      this.seeds.set(foreignKey, seed);
    }
    return seed;
  }

  private nullRatioOf(relation: number, foreignKey: ForeignKeyPlan): number {
    return this.compiled.relations[relation]!.plan.columns[foreignKey.nullableColumns[0]!]!.nullRatio;
  }

  /** Writes a column from the first parent that covers it; without one, NULL, or any value if NULL is not allowed. */
  writeForeign(
    compiled: CompiledRelation,
    column: number,
    parents: readonly number[],
    free: () => void,
    sink: TupleSink,
  ): void {
    let nullable = false;
    for (const position of compiled.foreignKeysOf[column]!) {
      const foreignKey = compiled.plan.foreignKeys[position]!;
      const parent = parents[position] ?? NO_PARENT;
      if (parent !== NO_PARENT) {
        this.store.writeNamed(
          foreignKey.parent,
          parent,
          foreignKey.parentColumns[foreignKey.columns.indexOf(column)]!,
          sink,
        );
        return;
      }
      nullable ||= foreignKey.nullableColumns.includes(column);
    }
    if (nullable) sink.null();
    else free();
  }
}
