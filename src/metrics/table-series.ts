import { OPERATION_KINDS, type OperationKind, type Plan } from '../plan/plan.js';
import type { CounterTotals, TableField } from '../traffic/counters.js';

export type Labels = Readonly<Record<string, string | number>>;

/** A series' value at a scrape. */
export interface Value {
  readonly labels: Labels;
  readonly value: number;
  readonly metricName?: string;
}

/** A count per table and operation, with further labels. */
interface Variant {
  readonly labels: Readonly<Record<string, string>>;
  readonly field: TableField;
  /** All of them where it is left out. */
  readonly operations?: readonly OperationKind[];
}

interface Cell {
  readonly labels: Readonly<Record<string, string>>;
  readonly operation: OperationKind;
  readonly field: TableField;
  /** Tables that share the label. */
  readonly relations: readonly number[];
}

/** Series with the table label, from a closed set: the first tables by name, `other` for the rest. */
export class TableSeries {
  private readonly names: readonly string[];
  private readonly totals: CounterTotals;

  constructor(plan: Plan, limit: number, totals: CounterTotals) {
    this.names = plan.relations.map((relation, index) => (index < limit ? relation.label : 'other'));
    this.totals = totals;
  }

  label(relation: number): string {
    return this.names[relation] ?? 'other';
  }

  /** What reads the values of all tables; its label objects stay the same from scrape to scrape. */
  of(variants: readonly Variant[]): () => Value[] {
    const cells = this.cells(variants);
    return () =>
      cells.map(({ labels, operation, field, relations }) => {
        let value = 0;
        for (const relation of relations) value += this.totals.table(relation, operation, field);
        return { labels, value };
      });
  }

  private cells(variants: readonly Variant[]): Cell[] {
    const relationsOf = new Map<string, number[]>();
    for (const [relation, name] of this.names.entries()) {
      const relations = relationsOf.get(name);
      if (relations === undefined) relationsOf.set(name, [relation]);
      else relations.push(relation);
    }
    return [...relationsOf].flatMap(([table, relations]) =>
      OPERATION_KINDS.flatMap((operation) =>
        variants
          .filter(({ operations }) => operations === undefined || operations.includes(operation))
          .map(({ labels, field }): Cell => ({ labels: { operation, ...labels, table }, operation, field, relations })),
      ),
    );
  }
}
