import { type Choice, OPERATION_KINDS, type OperationKind } from '../../plan/plan.js';
import { Operation } from '../messages/operation.js';
import { type CompiledPlan, type OperationSeeds, operationSeeds } from '../rows/compiled.js';
import type { Rows } from '../statements/rows.js';
import { Ahead } from './ahead.js';
import type { Grouping } from './grouping.js';
import type { Mix } from './mix.js';

/* How many other choices are drawn at random before all are tried in order. */
const REDRAWS = 16;
/* The most tables between one that lacks parents and one that a row can be inserted into now. */
const MOST_GENERATIONS = 64;

/* What replaces an INSERT on a full table, an INSERT that lacks parents for now, and other kinds on an empty table. */
const WITHOUT_ROOM: readonly OperationKind[] = ['delete', 'update'];
const MEANWHILE: readonly OperationKind[] = ['update', 'delete'];
const WITHOUT_ROWS: readonly OperationKind[] = ['insert'];

/*
 * After so many operations in a row that were finally rejected, further ones of their kind have few attempts, and only
 * some of their draws are executed: trying the impossible costs the time of what is possible.
 */
const WEARY_AFTER = 3;
const WEARY_ATTEMPTS = 4;
const MOST_PASSED_OVER = 16;

/** The circumstances of a choice: the transaction that is being built, and what is in flight. */
export interface Surroundings {
  readonly grouping: Grouping;
  /** True if rows in flight may come back soon, so that an operation that needs a certain row should wait. */
  readonly mayWait: boolean;
  /** Returns true if something in flight touches the relation. */
  isUnderWay(relation: number): boolean;
  /** Returns true if something in flight inserts rows of the relation. */
  isComing(relation: number): boolean;
}

/**
 * Decides which operation comes next: what the mix draws, or a replacement if that is not possible. What was drawn
 * and not done is owed, and made up for by a later draw on the same table.
 */
export class Chooser {
  private readonly compiled: CompiledPlan;
  private readonly rows: Rows;
  private readonly mix: Mix;
  private readonly seeds: OperationSeeds;
  /** Relation × 3 + kind of every choice. */
  private readonly chosen: ReadonlySet<number>;
  /** By relation and kind: number of operations that were drawn but not possible, to be made up for. */
  private readonly owed: Record<OperationKind, number>[];
  /** By relation and kind: rejections in a row, and draws that were passed over because of them. */
  private readonly refusals: Record<OperationKind, number>[];
  private readonly passing: Record<OperationKind, number>[];
  private readonly ahead: Ahead;
  /** By relation: the one whose rows an INSERT without further rows lacked, −1 where it lacked none, and when that was. */
  private readonly lacked: Int32Array;
  private readonly lackedAt: Float64Array;
  /** True if the operation that was tried last needs a row that is in flight. */
  private isBusy = false;

  /** `quota`: the lane's operations, −1 where there is no limit. */
  constructor(compiled: CompiledPlan, rows: Rows, mix: Mix, seeds: OperationSeeds, quota: number) {
    const { relations } = compiled.plan;
    this.compiled = compiled;
    this.rows = rows;
    this.mix = mix;
    this.seeds = seeds;
    this.chosen = new Set(mix.all.map(({ relation, operation }) => relation * 3 + OPERATION_KINDS.indexOf(operation)));
    this.owed = relations.map(() => ({ insert: 0, update: 0, delete: 0 }));
    this.refusals = relations.map(() => ({ insert: 0, update: 0, delete: 0 }));
    this.passing = relations.map(() => ({ insert: 0, update: 0, delete: 0 }));
    this.ahead = new Ahead(relations.length, quota);
    this.lacked = new Int32Array(relations.length).fill(-1);
    this.lackedAt = new Float64Array(relations.length);
  }

  /** Returns the written operation of a number; `wait` if it needs rows in flight, null if none is possible. */
  choose(number: number, surroundings: Surroundings): Operation | 'wait' | null {
    const { mayWait } = surroundings;
    const second = this.redeem(number);
    if (second !== null) return second;
    const drawn = this.mix.draw(number);
    if (mayWait && this.comesSoon(drawn, surroundings)) return 'wait';
    const repaid = drawn.operation === 'insert' ? this.repay(number, drawn, surroundings) : null;
    if (repaid !== null) return repaid;
    const isPassedOver = this.passesOver(drawn);
    for (let attempt = isPassedOver ? 1 : 0; attempt <= REDRAWS; attempt++) {
      const choice = attempt === 0 ? drawn : this.mix.redraw(number, attempt);
      if (attempt > 0 && this.rests(choice)) continue;
      const operation = this.tryChoice(
        number,
        choice,
        attempt === 0 ? surroundings : { ...surroundings, mayWait: false },
      );
      if (operation !== null) return operation;
      if (this.isBusy && mayWait) return 'wait';
    }
    for (const choice of this.mix.all) {
      const operation = this.tryChoice(number, choice, { ...surroundings, mayWait: false });
      if (operation !== null) return operation;
    }
    return null;
  }

  /** Returns an empty operation for a draw that nothing can be done for. */
  nothing(number: number): Operation {
    const { relation, operation } = this.mix.draw(number);
    return new Operation(number, relation, operation, operation);
  }

  succeeded({ relation, kind }: Operation): void {
    this.refusals[relation]![kind] = 0;
    this.passing[relation]![kind] = 0;
  }

  /** Returns how many attempts an operation has: few if the ones before it on the same table failed. */
  attemptsFor({ relation, kind }: Operation): number {
    const most = this.compiled.plan.maxRetries[kind];
    return this.refusals[relation]![kind] >= WEARY_AFTER ? Math.min(most, WEARY_ATTEMPTS) : most;
  }

  private rests({ relation, operation }: Choice): boolean {
    return this.passing[relation]![operation] > 0;
  }

  /** Returns true if a draw is passed over, because the last operations of its kind were all rejected. */
  private passesOver(choice: Choice): boolean {
    if (!this.rests(choice)) return false;
    this.passing[choice.relation]![choice.operation]--;
    return true;
  }

  /** Returns true if this kind of operation is no longer tried on its table. `isFinal`: another try would not help. */
  refused({ relation, kind }: Operation, isFinal: boolean): boolean {
    const { quarantineAfter } = this.compiled.plan;
    const refusals = this.refusals[relation]!;
    const before = refusals[kind];
    refusals[kind] = isFinal ? Math.max(before + 1, quarantineAfter) : before + 1;
    const isLast = before < quarantineAfter && refusals[kind] >= quarantineAfter;
    const weariness = this.refusals[relation]![kind] - WEARY_AFTER;
    if (weariness >= 0) this.passing[relation]![kind] = Math.min(MOST_PASSED_OVER, 1 << Math.min(weariness, 10));
    if (isLast && kind === 'insert') this.rows.close(relation);
    if (isLast) this.ahead.giveUp(relation, kind);
    return isLast;
  }

  /** Records that an operation was sent and found no row. */
  owe({ relation, kind }: Operation): void {
    this.owed[relation]![kind]++;
  }

  mayInsert(relation: number): boolean {
    return this.isChosen(relation, 'insert') && !this.isSetAside(relation, 'insert');
  }

  /** Returns true if an UPDATE or DELETE has no row yet, but something in flight on its table may bring or free one. */
  private comesSoon({ relation, operation }: Choice, { isUnderWay }: Surroundings): boolean {
    if (operation === 'insert' || this.isSetAside(relation, operation)) return false;
    return !this.rows.possible(relation, operation) && isUnderWay(relation);
  }

  /** Returns the second half of a conflict; null if none is due, or its row is gone. */
  private redeem(number: number): Operation | null {
    const { promised } = this.rows;
    if (promised === null) return null;
    const { relation, kind } = promised;
    const operation = new Operation(number, relation, kind, kind);
    return this.rows.redeem(operation, this.seedsOf(operation)) ? operation : null;
  }

  /** Returns an operation that frees a unique value, and also takes it unless the next operation does. */
  private tryConflict(number: number, { relation }: Choice, grouping: Grouping): Operation | null {
    const seeds = operationSeeds(this.seeds, number, 0);
    const form = this.rows.conflictFor(relation, seeds, grouping.isSingle);
    if (form === null) return null;
    const kind = form.how === 'apart' ? form.free : form.take;
    if (this.isSetAside(relation, kind)) return null;
    const operation = new Operation(number, relation, kind, kind, grouping.open);
    return this.rows.conflict(operation, form, seeds) ? operation : null;
  }

  private tryChoice(number: number, choice: Choice, surroundings: Surroundings): Operation | 'wait' | null {
    const { grouping } = surroundings;
    this.isBusy = false;
    if (choice.isConflict === true) {
      const operation = this.tryConflict(number, choice, grouping);
      if (operation !== null) return operation;
    }
    const kind = this.kindFor(choice);
    if (kind === null) return null;
    const operation = this.carryOut(number, choice, kind, grouping);
    if (operation !== null) return operation;
    if (this.isBusy) return null;
    if (kind === 'insert') {
      const parents = this.insertAhead(number, choice, surroundings);
      if (parents !== null) return parents;
      // The rows that it lacks come from separate INSERTs; until then the operation is owed.
      const lacked = this.lacked[choice.relation]!;
      const meanwhile =
        lacked >= 0 && this.mayInsert(lacked) ? this.tryInstead(number, choice, MEANWHILE, grouping) : null;
      if (meanwhile !== null) return meanwhile;
      const bringing = this.generate(new Operation(number, choice.relation, kind, choice.operation, grouping.open));
      if (bringing !== null) {
        this.account(choice, kind);
        return bringing;
      }
    }
    return this.tryInstead(number, choice, kind === 'insert' ? WITHOUT_ROOM : WITHOUT_ROWS, grouping);
  }

  /** Returns the operation with existing rows; null if impossible. If an INSERT lacks parents, `lacked` says so. */
  private carryOut(number: number, choice: Choice, kind: OperationKind, grouping: Grouping): Operation | null {
    const { relation } = choice;
    if (kind === 'insert' && this.stillLacks(relation)) return null;
    const operation = new Operation(number, relation, kind, choice.operation, grouping.open);
    operation.mayBring = false;
    const written = this.generate(operation);
    if (written !== null) this.account(choice, kind);
    else if (kind === 'insert') this.noteLack(relation);
    return written;
  }

  private generate(operation: Operation): Operation | null {
    const generated = this.rows.generate(operation, this.seedsOf(operation));
    this.isBusy = generated === 'busy';
    return generated === 'written' ? operation : null;
  }

  private noteLack(relation: number): void {
    const { lacking } = this.rows;
    this.lacked[relation] = lacking;
    if (lacking >= 0) this.lackedAt[relation] = this.rows.version(relation) + this.rows.version(lacking);
  }

  /** Returns true if no row has come since an INSERT of the relation lacked parents. */
  private stillLacks(relation: number): boolean {
    const lacking = this.lacked[relation]!;
    return lacking >= 0 && this.lackedAt[relation] === this.rows.version(relation) + this.rows.version(lacking);
  }

  /**
   * Returns an INSERT that makes the drawn operation possible: of the parent that it lacks, or of that one's parent,
   * and so on. `wait` if such rows are in flight; null if there is none, or if too many were done ahead of their turn.
   */
  private insertAhead(number: number, choice: Choice, surroundings: Surroundings): Operation | 'wait' | null {
    if (!this.ahead.hasRoom) return null;
    const found = this.ancestor(number, choice.relation, surroundings);
    if (found !== null && found !== 'wait') this.ahead.lend(choice, found.relation);
    return found;
  }

  private ancestor(number: number, from: number, surroundings: Surroundings): Operation | 'wait' | null {
    const { grouping, mayWait, isComing } = surroundings;
    const passed = new Set([from]);
    for (let relation = this.lacked[from]!; relation >= 0 && !passed.has(relation); relation = this.lacked[relation]!) {
      if (!this.mayInsert(relation) || passed.size > MOST_GENERATIONS) return null;
      if (isComing(relation)) return mayWait ? 'wait' : null;
      if (!this.rows.possible(relation, 'insert')) return null;
      passed.add(relation);
      if (this.stillLacks(relation)) continue;
      const operation = new Operation(number, relation, 'insert', 'insert', grouping.open);
      operation.mayBring = false;
      if (this.generate(operation) !== null) return operation;
      this.noteLack(relation);
    }
    return null;
  }

  /** Lets a waiting draw take the turn of an INSERT that was done ahead of it; null if none can. */
  private repay(number: number, { relation }: Choice, surroundings: Surroundings): Operation | null {
    for (const choice of this.ahead.candidates(relation)) {
      const kind = this.kindFor(choice);
      const operation = kind === null ? null : this.carryOut(number, choice, kind, surroundings.grouping);
      if (operation !== null) {
        this.ahead.repay(choice, relation);
        return operation;
      }
      if (kind !== 'insert') continue;
      const nearer = this.ancestor(number, choice.relation, { ...surroundings, mayWait: false });
      if (nearer === null || nearer === 'wait') continue;
      this.ahead.pass(relation, nearer.relation);
      return nearer;
    }
    return null;
  }

  /** Returns another kind of operation on the same table: the first that is possible. */
  private tryInstead(
    number: number,
    choice: Choice,
    kinds: readonly OperationKind[],
    grouping: Grouping,
  ): Operation | null {
    const { relation } = choice;
    for (const kind of kinds) {
      if (!this.isChosen(relation, kind) || this.isSetAside(relation, kind) || !this.rows.possible(relation, kind))
        continue;
      const operation = this.carryOut(number, choice, kind, grouping);
      if (operation !== null) return operation;
    }
    return null;
  }

  /**
   * Returns the kind that a draw becomes. An INSERT makes up for an operation that is owed. An UPDATE or DELETE without
   * a row becomes an INSERT. An INSERT without room becomes a kind that there are rows for.
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
      return WITHOUT_ROOM.find((kind) => this.isChosen(relation, kind) && can(kind)) ?? null;
    }
    if (owed.insert > 0 && can('insert')) return 'insert';
    if (can(operation)) return operation;
    return this.mayInsert(relation) && can('insert') ? 'insert' : null;
  }

  /** Records draws that were not executed, and those that were made up for. */
  private account(choice: Choice, kind: OperationKind): void {
    if (kind === choice.operation) return;
    const owed = this.owed[choice.relation]!;
    if (owed[kind] > 0) owed[kind]--;
    else owed[choice.operation]++;
  }

  private isChosen(relation: number, kind: OperationKind): boolean {
    return this.chosen.has(relation * 3 + OPERATION_KINDS.indexOf(kind));
  }

  /** If nothing is possible: true if that is permanent, because no operation that would bring rows is tried. */
  get isSpent(): boolean {
    const { all } = this.mix;
    const isAside = ({ relation, operation }: Choice) => this.isSetAside(relation, operation);
    return all.some(isAside) && all.every((choice) => choice.operation !== 'insert' || isAside(choice));
  }

  save() {
    const { owed, refusals, passing, lacked, lackedAt } = this;
    return { owed, refusals, passing, lacked, lackedAt, ahead: this.ahead.save() };
  }

  restore(saved: SavedChoices): void {
    for (const relation of this.owed.keys()) {
      Object.assign(this.owed[relation]!, saved.owed[relation]);
      Object.assign(this.refusals[relation]!, saved.refusals[relation]);
      Object.assign(this.passing[relation]!, saved.passing[relation]);
    }
    this.lacked.set(saved.lacked);
    this.lackedAt.set(saved.lackedAt);
    this.ahead.restore(saved.ahead);
  }

  private isSetAside(relation: number, kind: OperationKind): boolean {
    return this.refusals[relation]![kind] >= this.compiled.plan.quarantineAfter;
  }

  private seedsOf({ number, attempt }: Operation): OperationSeeds {
    return operationSeeds(this.seeds, number, attempt);
  }
}

export type SavedChoices = ReturnType<Chooser['save']>;
