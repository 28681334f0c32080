import type { RelationPlan } from '../../plan/plan.js';
import type { CompiledPlan } from '../rows/compiled.js';
import { KEPT_NULL } from '../rows/keyspace.js';
import type { RowStore } from '../rows/row-store.js';

/** The row whose INSERT makes triggers insert others. */
interface CopiedRow {
  readonly text: (column: number) => string | null;
  /** The parent that it references by a foreign key. */
  readonly parent: (key: number) => number;
}

/** Rows that triggers insert for the foreign keys of a new row: the bases of subtypes, and bases of these. */
export class MadeRows {
  private readonly compiled: CompiledPlan;
  private readonly store: RowStore;
  /** False in bulk loads, where rows are not tied to their parents permanently. */
  private readonly isLinked: boolean;

  constructor(compiled: CompiledPlan, store: RowStore, isLinked: boolean) {
    this.compiled = compiled;
    this.store = store;
    this.isLinked = isLinked;
  }

  /** Takes an ordinal for a row that a trigger will insert, and for those that its own triggers will. */
  make(relation: number): number | null {
    const { plan, namedIndex } = this.compiled.relations[relation]!;
    const keyspace = this.store.keyspaces[relation]!;
    if (!this.store.hasRoom(relation)) return null;
    const slot = keyspace.allocate(this.store.takeOrdinal(relation));
    for (const [position, { makesParent, parent, columns, parentColumns }] of plan.foreignKeys.entries()) {
      if (!makesParent) continue;
      const base = this.make(parent);
      if (base === null) {
        this.unmake(relation, slot);
        return null;
      }
      keyspace.setParent(position, slot, base);
      const texts = [...(keyspace.kept[slot] ?? new Array<Buffer | undefined>(plan.named.length))];
      for (const [at, column] of columns.entries())
        if (namedIndex[column]! >= 0)
          texts[namedIndex[column]!] = Buffer.from(this.store.namedText(parent, base, parentColumns[at]!));
      keyspace.kept[slot] = texts;
    }
    return slot;
  }

  /** Gives the ordinals of such rows back. */
  unmake(relation: number, slot: number): void {
    const keyspace = this.store.keyspaces[relation]!;
    for (const [position, { makesParent, parent }] of this.compiled.relations[relation]!.plan.foreignKeys.entries()) {
      const base = keyspace.parent(position, slot);
      if (makesParent && base >= 0) this.unmake(parent, base);
    }
    const ordinal = keyspace.handle(slot);
    keyspace.forget(slot);
    this.store.giveBack(relation, ordinal);
  }

  /** Records what triggers copied from a row into the parent row that they inserted, and from there into its own parent row. */
  copy(relation: number, position: number, slot: number, row: CopiedRow): void {
    const compiled = this.compiled.relations[relation]!;
    const { parent, copied } = compiled.plan.foreignKeys[position]!;
    const base = this.compiled.relations[parent]!;
    const keyspace = this.store.keyspaces[parent]!;
    const keyOn = ({ foreignKeys }: RelationPlan, column: number) =>
      foreignKeys.findIndex(({ columns }) => columns.length === 1 && columns[0] === column);
    const texts = [...(keyspace.kept[slot] ?? new Array<Buffer | undefined>(base.plan.named.length))];
    for (const [column, parentColumn] of copied) {
      const text = row.text(column);
      const named = base.namedIndex[parentColumn]!;
      if (named >= 0) texts[named] = text === null ? KEPT_NULL : Buffer.from(text);
      // The parent references what the row references, and so keeps it from being deleted.
      const own = keyOn(compiled.plan, column);
      const above = keyOn(base.plan, parentColumn);
      if (own >= 0 && above >= 0 && this.isLinked) this.store.link(parent, above, slot, row.parent(own));
    }
    if (base.plan.kept.length > 0) keyspace.kept[slot] = texts;
    for (const [key, { makesParent }] of base.plan.foreignKeys.entries()) {
      if (!makesParent) continue;
      if (this.isLinked) this.store.link(parent, key, slot, keyspace.parent(key, slot));
      const copiedTo = new Map(copied.map(([column, parentColumn]) => [parentColumn, column]));
      this.copy(parent, key, keyspace.parent(key, slot), {
        text: (column) => (copiedTo.has(column) ? row.text(copiedTo.get(column)!) : null),
        parent: (at) => keyspace.parent(at, slot),
      });
    }
  }
}
