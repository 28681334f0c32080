import { type Choice, OPERATION_KINDS, type OperationKind } from '../plan/plan.js';
import { type CompiledPlan, type OperationSeeds, operationSeeds } from './compiled.js';
import type { Grouping } from './grouping.js';
import type { Mix } from './mix.js';
import { Operation } from './operation.js';
import type { Rows } from './rows.js';

/* Other choices that are drawn before all are tried in order. */
const REDRAWS = 16;

/** What an operation is chosen among: the transaction that is being put together, and what is in flight. */
export interface Surroundings {
  readonly grouping: Grouping;
  /** True where rows may come back soon: then one that must be this one is worth waiting for. */
  readonly mayWait: boolean;
  /** True where something in flight touches the relation. */
  isUnderWay(relation: number): boolean;
}

/**
 * Decides which operation comes next: what the mix draws, or what it becomes where that is not possible. What was drawn
 * and not done is owed, and made up for by a later draw on the same table.
 */
export class Chooser {
  private readonly compiled: CompiledPlan;
  private readonly rows: Rows;
  private readonly mix: Mix;
  private readonly seeds: OperationSeeds;
  /** Relation × 3 + kind of every choice. */
  private readonly chosen: ReadonlySet<number>;
  /** By relation and kind: operations drawn where they were not possible, to be made up for. */
  private readonly owed: Record<OperationKind, number>[];
  /** By relation and kind: refusals in a row. */
  private readonly refusals: Record<OperationKind, number>[];
  /** The operation that was tried last wants a row that is in flight. */
  private isBusy = false;

  constructor(compiled: CompiledPlan, rows: Rows, mix: Mix, seeds: OperationSeeds) {
    const { relations } = compiled.plan;
    this.compiled = compiled;
    this.rows = rows;
    this.mix = mix;
    this.seeds = seeds;
    this.chosen = new Set(mix.all.map(({ relation, operation }) => relation * 3 + OPERATION_KINDS.indexOf(operation)));
    this.owed = relations.map(() => ({ insert: 0, update: 0, delete: 0 }));
    this.refusals = relations.map(() => ({ insert: 0, update: 0, delete: 0 }));
  }

  /** The operation of a number, written; `wait` where it wants rows that are in flight, null where none is possible. */
  choose(number: number, surroundings: Surroundings): Operation | 'wait' | null {
    const { grouping, mayWait } = surroundings;
    const second = this.redeem(number);
    if (second !== null) return second;
    const drawn = this.mix.draw(number);
    if (mayWait && this.comesSoon(drawn, surroundings)) return 'wait';
    for (let attempt = 0; attempt <= REDRAWS; attempt++) {
      const choice = attempt === 0 ? drawn : this.mix.redraw(number, attempt);
      const operation = this.tryChoice(number, choice, grouping);
      if (operation !== null) return operation;
      if (this.isBusy && mayWait) return 'wait';
    }
    for (const choice of this.mix.all) {
      const operation = this.tryChoice(number, choice, grouping);
      if (operation !== null) return operation;
    }
    return null;
  }

  /** An operation that nothing can be done for; it was drawn as this. */
  nothing(number: number): Operation {
    const { relation, operation } = this.mix.draw(number);
    return new Operation(number, relation, operation, operation);
  }

  succeeded({ relation, kind }: Operation): void {
    this.refusals[relation]![kind] = 0;
  }

  /** Returns true where the operation's kind is set aside on its table from now on. */
  refused({ relation, kind }: Operation): boolean {
    return ++this.refusals[relation]![kind] === this.compiled.plan.quarantineAfter;
  }

  /** It was sent, and turned out to have no row. */
  owe({ relation, kind }: Operation): void {
    this.owed[relation]![kind]++;
  }

  mayInsert(relation: number): boolean {
    return this.isChosen(relation, 'insert') && !this.isSetAside(relation, 'insert');
  }

  /** True where an UPDATE or DELETE has no row yet, but something in flight on its table may bring or free one. */
  private comesSoon({ relation, operation }: Choice, { isUnderWay }: Surroundings): boolean {
    if (operation === 'insert' || this.isSetAside(relation, operation)) return false;
    return !this.rows.possible(relation, operation) && isUnderWay(relation);
  }

  /** The second half of a conflict; null where there is none to come, or no row for it any more. */
  private redeem(number: number): Operation | null {
    const { promised } = this.rows;
    if (promised === null) return null;
    const { relation, kind } = promised;
    const operation = new Operation(number, relation, kind, kind);
    return this.rows.redeem(operation, this.seedsOf(operation)) ? operation : null;
  }

  /** An operation that frees a unique value, and takes it where it does not leave that to the next one. */
  private tryConflict(number: number, { relation }: Choice, grouping: Grouping): Operation | null {
    const seeds = operationSeeds(this.seeds, number, 0);
    const form = this.rows.conflictFor(relation, seeds, grouping.isSingle);
    if (form === null) return null;
    const kind = form.how === 'apart' ? form.free : form.take;
    if (this.isSetAside(relation, kind)) return null;
    const operation = new Operation(number, relation, kind, kind, grouping.open);
    return this.rows.conflict(operation, form, seeds) ? operation : null;
  }

  private tryChoice(number: number, choice: Choice, grouping: Grouping): Operation | null {
    this.isBusy = false;
    if (choice.isConflict === true) {
      const operation = this.tryConflict(number, choice, grouping);
      if (operation !== null) return operation;
    }
    const kind = this.kindFor(choice);
    if (kind === null) return null;
    const operation = new Operation(number, choice.relation, kind, choice.operation, grouping.open);
    const generated = this.rows.generate(operation, this.seedsOf(operation));
    this.isBusy = generated === 'busy';
    if (generated !== 'written') return this.isBusy ? null : this.tryInstead(number, choice, kind);
    this.account(choice, kind);
    return operation;
  }

  /** What was possible at a glance and was not: an INSERT on a table without room becomes what there are rows for, others an INSERT. */
  private tryInstead(number: number, choice: Choice, failed: OperationKind): Operation | null {
    for (const kind of failed === 'insert' ? (['delete', 'update'] as const) : (['insert'] as const)) {
      const { relation } = choice;
      if (!this.isChosen(relation, kind) || this.isSetAside(relation, kind) || !this.rows.possible(relation, kind))
        continue;
      const operation = new Operation(number, relation, kind, choice.operation);
      if (this.rows.generate(operation, this.seedsOf(operation)) !== 'written') continue;
      this.account(choice, kind);
      return operation;
    }
    return null;
  }

  /**
   * What a draw becomes: an INSERT drawn makes up for an operation that is owed; an UPDATE or DELETE without a row
   * becomes an INSERT; an INSERT without room becomes what there are rows for.
   */
  private kindFor(choice: Choice): OperationKind | null {
    const { relation, operation } = choice;
    if (this.isSetAside(relation, operation)) return null;
    const owed = this.owed[relation]!;
    const can = (kind: OperationKind) => !this.isSetAside(relation, kind) && this.rows.possible(relation, kind);
    if (operation === 'insert') {
      const makeUp = OPERATION_KINDS.find((kind) => kind !== 'insert' && owed[kind] > 0 && can(kind));
      if (makeUp !== undefined) return makeUp;
      if (can('insert')) return 'insert';
      return (['delete', 'update'] as const).find((kind) => this.isChosen(relation, kind) && can(kind)) ?? null;
    }
    if (owed.insert > 0 && can('insert')) return 'insert';
    if (can(operation)) return operation;
    return this.mayInsert(relation) && can('insert') ? 'insert' : null;
  }

  /** Keeps the books of what was drawn and not done, and of what was made up for. */
  private account(choice: Choice, kind: OperationKind): void {
    if (kind === choice.operation) return;
    const owed = this.owed[choice.relation]!;
    if (owed[kind] > 0) owed[kind]--;
    else owed[choice.operation]++;
  }

  private isChosen(relation: number, kind: OperationKind): boolean {
    return this.chosen.has(relation * 3 + OPERATION_KINDS.indexOf(kind));
  }

  private isSetAside(relation: number, kind: OperationKind): boolean {
    return this.refusals[relation]![kind] >= this.compiled.plan.quarantineAfter;
  }

  private seedsOf({ number, attempt }: Operation): OperationSeeds {
    return operationSeeds(this.seeds, number, attempt);
  }
}
