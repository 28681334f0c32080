import type { ForeignKeyPlan } from '../../plan/plan.js';
import type { CompiledPlan } from '../rows/compiled.js';
import type { Required, RowStore } from '../rows/row-store.js';
import type { InsertContext, RowDraft } from './draft.js';

/** Rows that reference a row which is still being drafted further out; one statement inserts all of them. */
interface Waiting {
  readonly relation: number;
  readonly rows: readonly RowDraft[];
  readonly context: InsertContext;
  /** The depth of the outermost draft that they reference. */
  readonly until: number;
}

/**
 * Rows of an operation that are not written yet. Where foreign keys that must not be NULL lead in a circle (a table that
 * must reference itself is the smallest one) the rows of the circle reference each other and are written together.
 */
export class Circle {
  private readonly compiled: CompiledPlan;
  private readonly store: RowStore;
  /** The row being drafted at each depth. */
  private readonly drafts: { relation: number; draft: RowDraft }[] = [];
  private readonly waiting: Waiting[] = [];

  constructor(compiled: CompiledPlan, store: RowStore) {
    this.compiled = compiled;
    this.store = store;
  }

  /** Records the row being drafted at a depth. Returns a mark for `dropSince`. */
  begin(depth: number, relation: number, draft: RowDraft): number {
    // Setting the length would cost more than everything else here.
    if (this.drafts.length > depth + 1) this.drafts.length = depth + 1;
    this.drafts[depth] = { relation, draft };
    return this.waiting.length;
  }

  /** Returns an unwritten row to reference; null if there is none whose key is known beforehand. */
  parentFor(foreignKey: ForeignKeyPlan, required: Required, depth: number): number | null {
    const { columns } = this.compiled.relations[foreignKey.parent]!.plan;
    if (required.size > 0) return null;
    for (const { relation, rows } of this.waiting) if (relation === foreignKey.parent) return rows[0]!.slot;
    for (let at = depth; at >= 0; at--) {
      const { relation, draft } = this.drafts[at]!;
      if (relation !== foreignKey.parent) continue;
      // A row that is its own parent repeats the value of another column.
      const isKnown = (column: number) =>
        columns[column]!.source === 'ordinal' ||
        (at === depth &&
          (columns[column]!.source === 'drawn' ||
            (columns[column]!.source === 'foreign' && !foreignKey.columns.includes(column))));
      return foreignKey.parentColumns.every(isKnown) ? draft.slot : null;
    }
    return null;
  }

  /** Defers rows that reference a draft further out, directly or through other deferred rows. False if none does. */
  wait(relation: number, rows: readonly RowDraft[], context: InsertContext): boolean {
    const until = this.neededDepth(relation, rows);
    if (until >= context.depth) return false;
    this.waiting.push({ relation, rows, context, until });
    return true;
  }

  private neededDepth(relation: number, rows: readonly RowDraft[]): number {
    const { foreignKeys } = this.compiled.relations[relation]!.plan;
    let needed = Number.MAX_SAFE_INTEGER;
    for (const { parents } of rows) {
      for (const [position, parent] of parents.entries()) {
        if (parent < 0) continue;
        const parentRelation = foreignKeys[position]!.parent;
        const depth = this.drafts.findIndex((each) => each.relation === parentRelation && each.draft.slot === parent);
        if (depth >= 0) needed = Math.min(needed, depth);
        const waiting = this.waiting.find(
          (each) => each.relation === parentRelation && each.rows.some(({ slot }) => slot === parent),
        );
        if (waiting !== undefined) needed = Math.min(needed, waiting.until);
      }
    }
    return needed;
  }

  /** Returns all deferred rows, to be written now. */
  take(): readonly Waiting[] {
    return this.waiting.splice(0);
  }

  /** Drops rows deferred since a mark, because the row that they need will not come. Returns true if there were any. */
  dropSince(mark: number): boolean {
    const dropped = this.waiting.splice(mark);
    for (const { relation, rows } of dropped) for (const { slot } of rows) this.store.drop(relation, slot);
    return dropped.length > 0;
  }
}
