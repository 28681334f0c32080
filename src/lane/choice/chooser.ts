import { type Choice, OPERATION_KINDS, type OperationKind } from '../../plan/plan.js';
import { Operation } from '../messages/operation.js';
import { type CompiledPlan, type OperationSeeds, operationSeeds } from '../rows/compiled.js';
import type { Rows } from '../statements/rows.js';
import { Ahead } from './ahead.js';
import type { Grouping } from './grouping.js';
import type { Mix } from './mix.js';

/* Other choices that are drawn before all are tried in order. */
const REDRAWS = 16;
/* Tables on the way from one that lacks parents to one that a row can be inserted into now. */
const MOST_GENERATIONS = 64;

/* What becomes of an INSERT on a table without room, and of one that lacks parents for now; of others on a table without rows. */
const WITHOUT_ROOM: readonly OperationKind[] = ['delete', 'update'];
const MEANWHILE: readonly OperationKind[] = ['update', 'delete'];
const WITHOUT_ROWS: readonly OperationKind[] = ['insert'];

/*
 * After so many operations in a row that were refused for good, further ones of their kind have few attempts, and only
 * some of their draws are carried out: what cannot be done takes the time of what can.
 */
const WEARY_AFTER = 3;
const WEARY_ATTEMPTS = 4;
const MOST_PASSED_OVER = 16;

/** What an operation is chosen among: the transaction that is being put together, and what is in flight. */
export interface Surroundings {
  readonly grouping: Grouping;
  /** True where rows may come back soon: then one that must be this one is worth waiting for. */
  readonly mayWait: boolean;
  /** True where something in flight touches the relation. */
  isUnderWay(relation: number): boolean;
  /** True where something in flight inserts rows of the relation. */
  isComing(relation: number): boolean;
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
  /** By relation and kind: refusals in a row, and draws that are passed over because of them. */
  private readonly refusals: Record<OperationKind, number>[];
  private readonly passing: Record<OperationKind, number>[];
  private readonly ahead: Ahead;
  /** By relation: the one whose rows an INSERT without further rows lacked, −1 where it lacked none, and when that was. */
  private readonly lacked: Int32Array;
  private readonly lackedAt: Float64Array;
  /** The operation that was tried last wants a row that is in flight. */
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

  /** The operation of a number, written; `wait` where it wants rows that are in flight, null where none is possible. */
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

  /** An operation that nothing can be done for; it was drawn as this. */
  nothing(number: number): Operation {
    const { relation, operation } = this.mix.draw(number);
    return new Operation(number, relation, operation, operation);
  }

  succeeded({ relation, kind }: Operation): void {
    this.refusals[relation]![kind] = 0;
    this.passing[relation]![kind] = 0;
  }

  /** Attempts that an operation has: few where those before it on the same table came to nothing. */
  attemptsFor({ relation, kind }: Operation): number {
    const most = this.compiled.plan.maxRetries[kind];
    return this.refusals[relation]![kind] >= WEARY_AFTER ? Math.min(most, WEARY_ATTEMPTS) : most;
  }

  private rests({ relation, operation }: Choice): boolean {
    return this.passing[relation]![operation] > 0;
  }

  /** True where a draw is passed over, since the last operations of its kind were all refused. */
  private passesOver(choice: Choice): boolean {
    if (!this.rests(choice)) return false;
    this.passing[choice.relation]![choice.operation]--;
    return true;
  }

  /** Returns true where the operation's kind is set aside on its table from now on; `isFinal`: another try would not help. */
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
      // Rows that it lacks come by INSERTs of their own: until then it is owed.
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

  /** The operation with what is there; null where that is not possible. An INSERT may lack parents: then `lacked` says so. */
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

  /** True where nothing has come since an INSERT of the relation lacked parents. */
  private stillLacks(relation: number): boolean {
    const lacking = this.lacked[relation]!;
    return lacking >= 0 && this.lackedAt[relation] === this.rows.version(relation) + this.rows.version(lacking);
  }

  /**
   * An INSERT that brings what was drawn nearer: of the parent that it lacks, or of the one that this lacks, and so on.
   * `wait` where such rows are in flight; null where there is none, or where too many have been done ahead of their turn.
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

  /** What waits for its turn takes that of an INSERT that was done ahead of it; null where nothing can. */
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

  /** Another kind of operation on the same table, the first that is possible. */
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
      return WITHOUT_ROOM.find((kind) => this.isChosen(relation, kind) && can(kind)) ?? null;
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

  /** Where nothing is possible: true where nothing will be any more, since what would bring rows has been set aside. */
  get isSpent(): boolean {
    const { all } = this.mix;
    const isAside = ({ relation, operation }: Choice) => this.isSetAside(relation, operation);
    return all.some(isAside) && all.every((choice) => choice.operation !== 'insert' || isAside(choice));
  }

  private isSetAside(relation: number, kind: OperationKind): boolean {
    return this.refusals[relation]![kind] >= this.compiled.plan.quarantineAfter;
  }

  private seedsOf({ number, attempt }: Operation): OperationSeeds {
    return operationSeeds(this.seeds, number, attempt);
  }
}
