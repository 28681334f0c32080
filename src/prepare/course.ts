import type { Catalog, Relation } from '../catalog/model.js';
import { readTriggerText } from '../catalog/trigger-text.js';
import type { Finding, Plan } from '../plan/plan.js';
import type { Stage } from './stage.js';
import { tryOperation } from './trial.js';

/* The number of the first draw of a row that is inserted for the row that a trigger makes with it. */
const COMPANION_FROM = 7000;

/** The state of a rehearsal: the plan with what was learned so far, its rows, and the tables that can get none. */
export class Course {
  plan: Plan;
  readonly stage: Stage;
  readonly relations: readonly Relation[];
  readonly catalog: Catalog;
  readonly findings: Finding[] = [];
  /** Relations whose INSERT was rejected, so that they can get no rows. */
  readonly refused = new Set<number>();

  constructor(stage: Stage, plan: Plan, relations: readonly Relation[], catalog: Catalog) {
    this.stage = stage;
    this.plan = plan;
    this.relations = relations;
    this.catalog = catalog;
  }

  /** Returns true if rows of the relation can be referenced. */
  hasRows(relation: number): boolean {
    const { store } = this.stage;
    return store.keyspaces[relation]!.live.size + store.pinned[relation]!.length > 0;
  }

  /** Inserts rows into the tables that a table references, if this transaction has none yet. */
  async provideParents(relation: number, passed: Set<number>): Promise<void> {
    passed.add(relation);
    for (const { parent, nullable, makesParent } of this.plan.relations[relation]!.foreignKeys)
      if (!nullable && !makesParent) await this.provide(parent, passed);
  }

  /** Inserts rows of a relation and of what it references, unless it has some. `passed`: relations under way. */
  async provide(relation: number, passed: Set<number>): Promise<void> {
    const { targeted, operations } = this.plan.relations[relation]!;
    if (passed.has(relation) || !targeted || this.refused.has(relation) || this.hasRows(relation)) return;
    if (!operations.insert) {
      // Its rows come with those of another table.
      const base = this.plan.relations.findIndex(({ companions }) =>
        companions.some((companion) => companion.relation === relation),
      );
      if (base < 0 || passed.has(base) || !this.plan.relations[base]!.operations.insert) return;
      await this.provideParents(base, passed);
      await tryOperation(this.stage, { relation: base, kind: 'insert', keeps: true, first: COMPANION_FROM });
      return;
    }
    await this.provideParents(relation, passed);
    await tryOperation(this.stage, { relation, kind: 'insert', keeps: true });
  }

  /** Continues with another plan, on an empty stage with the parents of a relation. */
  async use(plan: Plan, relation: number): Promise<void> {
    this.plan = plan;
    await this.stage.use(plan);
    await this.stage.begin();
    await this.provideParents(relation, new Set());
  }

  /** Returns the tables of the plan that triggers of a table read or write. */
  readTables(relation: number): number[] {
    const names = new Set(
      this.relations[relation]!.triggers.filter(({ events }) => events.insert).flatMap(
        ({ source }) => readTriggerText(source).tables,
      ),
    );
    return [...this.relations.keys()].filter((index) => index !== relation && names.has(this.relations[index]!.name));
  }
}
