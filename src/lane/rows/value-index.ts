/**
 * Rows of one relation by the texts of some of their named columns: where a parent must agree with another one in a
 * shared column, it is looked up instead of searched for. Rows of equal texts keep an order that depends on nothing
 * but the lane's own course.
 */
export class ValueIndex {
  readonly columns: readonly number[];
  private readonly rows = new Map<string, number[]>();

  constructor(columns: readonly number[]) {
    this.columns = columns;
  }

  add(key: string, row: number): void {
    const found = this.rows.get(key);
    if (found === undefined) this.rows.set(key, [row]);
    else found.push(row);
  }

  remove(key: string, row: number): void {
    const found = this.rows.get(key);
    const at = found?.indexOf(row) ?? -1;
    if (found === undefined || at < 0) return;
    const last = found.pop()!;
    if (at < found.length) found[at] = last;
    if (found.length === 0) this.rows.delete(key);
  }

  find(key: string): readonly number[] {
    return this.rows.get(key) ?? NONE;
  }

  save(): SavedIndex {
    return { columns: this.columns, rows: this.rows };
  }

  static of({ columns, rows }: SavedIndex): ValueIndex {
    const index = new ValueIndex(columns);
    for (const [key, found] of rows) index.rows.set(key, found);
    return index;
  }
}

interface SavedIndex {
  readonly columns: readonly number[];
  readonly rows: ReadonlyMap<string, number[]>;
}

const NONE: readonly number[] = [];
