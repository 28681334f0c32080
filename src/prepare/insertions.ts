import { readTriggerText } from '../catalog/trigger-text.js';
import type { Plan } from '../plan/plan.js';
import type { Course } from './course.js';
import { learn } from './learn.js';
import { baseByTrigger, withLessons, withRelation } from './lessons.js';
import { neverNull, refusedNulls, wantedNulls } from './not-null.js';
import { type Failure, refusalsOf, type Trial, tryOperation, type Write } from './trial.js';

const UNIQUE_VIOLATION = '23505';

/* Number of draws that show how often an INSERT is rejected, how many rejections are many, and by how many fewer is less often. */
const SAMPLE = 12;
const MANY_REFUSED = 3;
const FEWER = 2;
/* Number of the first draw. */
const SAMPLE_FROM = 12_000;

/* Number of additional INSERTs of each parent, and the number of their first draw. */
const MORE_PARENTS = 3;
const MORE_FROM = 1000;

/** Tries INSERTs of tables: as the lane would write them, and in other ways if that is rejected. */
export class Insertions {
  private readonly course: Course;

  constructor(course: Course) {
    this.course = course;
  }

  /** Tries an INSERT; if it is rejected, tries other ways to write it and changes the plan accordingly. */
  async try(relation: number): Promise<Trial> {
    const { oneByOne } = this.course.plan.relations[relation]!;
    const trial = await this.tryUntilPassed(relation);
    if (trial.kind === 'passed') await this.wantNulls(relation, oneByOne);
    return trial;
  }

  private async tryUntilPassed(relation: number): Promise<Trial> {
    const wish = { relation, kind: 'insert', keeps: true } as const;
    const trial = await tryOperation(this.course.stage, wish);
    if (trial.kind === 'unknown' && this.writesParent(relation)) {
      const withBase = await this.tryWithBase(relation);
      if (withBase?.kind === 'passed') return withBase;
    }
    if (trial.kind !== 'refused') {
      await this.checkDefaults(relation);
      if (trial.kind === 'passed' && trial.refused > 0) await this.preferSingly(relation);
      return trial;
    }
    const withBase = trial.failure.sqlstate === UNIQUE_VIOLATION ? await this.tryWithBase(relation) : null;
    if (withBase?.kind === 'passed') return withBase;
    return (await this.tryWays(relation, trial.failure)) ?? withBase ?? trial;
  }

  /** Returns true if a trigger of the table writes one that the table references, according to its text. */
  private writesParent(relation: number): boolean {
    const written = this.course.relations[relation]!.triggers.flatMap(({ events, writes }) =>
      events.insert ? (writes ?? []) : [],
    );
    return this.course.plan.relations[relation]!.foreignKeys.some(
      ({ parent }) => parent !== relation && written.includes(this.course.relations[parent]!.name),
    );
  }

  /** Tries other ways to insert, until one passes. */
  private async tryWays(relation: number, failure: Failure): Promise<Trial | null> {
    const ways = [
      () => this.trySingly(relation),
      () => this.tryAfter(relation),
      () => this.tryWithMoreParents(relation),
      () => this.tryWithAllParents(relation, failure),
      () => this.tryWithChildren(relation),
      () => this.tryLessons(relation, failure),
    ];
    for (const way of ways) {
      const better = await way();
      if (better !== null) return better;
    }
    return null;
  }

  /**
   * Tries without inserting the parent, because a trigger of the child inserts it; and, if something else is refused then,
   * in other ways. What remains is the true cause.
   */
  private async tryWithBase(relation: number): Promise<Trial | null> {
    const changed = baseByTrigger(this.course.plan, relation);
    if (changed === null) return null;
    const before = this.course.plan;
    await this.course.use(changed, relation);
    const trial = await tryOperation(this.course.stage, { relation, kind: 'insert', keeps: true });
    if (trial.kind === 'passed') return trial;
    const better = trial.kind === 'refused' ? await this.tryWays(relation, trial.failure) : null;
    if (better !== null) return better;
    await this.course.use(before, relation);
    return trial.kind === 'refused' ? trial : null;
  }

  /** Stops writing NULL into columns in which triggers refuse it. */
  async avoidNulls(relation: number): Promise<void> {
    const catalogRelation = this.course.relations[relation]!;
    if (!catalogRelation.reacts) return;
    const never = await refusedNulls(this.course.stage, this.course.plan, relation, catalogRelation);
    if (never.length === 0) return;
    await this.course.use(
      withRelation(this.course.plan, relation, neverNull(this.course.plan.relations[relation]!, never)),
      relation,
    );
    await tryOperation(this.course.stage, { relation, kind: 'insert', keeps: true });
  }

  /**
   * Writes NULL always into columns in which triggers refuse anything else: now and then an INSERT passes without that. `oneByOne`: as
   * the plan had it before single rows have passed by chance.
   */
  private async wantNulls(relation: number, oneByOne: boolean): Promise<void> {
    const catalogRelation = this.course.relations[relation]!;
    if (!catalogRelation.triggers.some(({ events }) => events.insert)) return;
    const wanted = await wantedNulls(this.course.stage, this.course.plan, relation, catalogRelation);
    if (wanted.length === 0) return;
    await this.course.use(
      withLessons(
        withRelation(this.course.plan, relation, { oneByOne }),
        relation,
        wanted.map((column) => ({ kind: 'null', column, words: 'NULL, learned by trial' })),
      ),
      relation,
    );
    const trial = await tryOperation(this.course.stage, { relation, kind: 'insert', keeps: true });
    if (trial.kind === 'refused') await this.trySingly(relation);
  }

  /** Returns true for a table whose INSERTs have one row each anyway. */
  private isSingle(relation: number): boolean {
    const { relations, rowsPerOperation } = this.course.plan;
    return relations[relation]!.oneByOne || rowsPerOperation.insert === 1;
  }

  private readonly oneRow: Write = (operation, seeds) => this.course.stage.rows.insert(operation, 1, seeds);

  /** Tries one row at a time, which may pass although several at once do not. */
  private async trySingly(relation: number): Promise<Trial | null> {
    if (this.isSingle(relation)) return null;
    const trial = await tryOperation(this.course.stage, { relation, kind: 'insert', keeps: true, write: this.oneRow });
    if (trial.kind !== 'passed') return null;
    this.course.plan = withRelation(this.course.plan, relation, { oneByOne: true });
    return trial;
  }

  /** Inserts rows one by one if that helps: when some values are rejected, a statement of several rows mostly fails. */
  private async preferSingly(relation: number): Promise<void> {
    if (this.isSingle(relation)) return;
    const several = await this.rejections(relation);
    if (several < MANY_REFUSED) return;
    const single = await this.rejections(relation, this.oneRow);
    if (single > several - FEWER) return;
    this.course.plan = withRelation(this.course.plan, relation, { oneByOne: true });
    this.course.findings.push({
      relation: this.course.plan.relations[relation]!.label,
      column: null,
      prevents: [],
      reason:
        'the server rejects some values, so each INSERT has one row and is repeated with other values if rejected',
      remedy: 'to avoid this, set generator.column_overrides to values that the server accepts',
    });
  }

  /** Returns how many of a sample of INSERTs are rejected. */
  private async rejections(relation: number, write?: Write): Promise<number> {
    const wish = { relation, kind: 'insert', ...(write && { write }) } as const;
    return (await refusalsOf(this.course.stage, wish, { most: SAMPLE, first: SAMPLE_FROM, enough: SAMPLE })).refused;
  }

  /** Tries after inserting rows into the tables that a trigger reads, because it may need them. */
  private async tryAfter(relation: number): Promise<Trial | null> {
    const named = this.course.readTables(relation).filter((table) => !this.course.hasRows(table));
    for (const table of named) await this.course.provide(table, new Set([relation]));
    const needs = named.filter((table) => this.course.hasRows(table));
    if (needs.length === 0) return null;
    const trial = await tryOperation(this.course.stage, { relation, kind: 'insert', keeps: true });
    if (trial.kind === 'refused') return null;
    this.course.plan = withRelation(this.course.plan, relation, { needs });
    return trial;
  }

  /** Tries with more parents, because only a few of them may meet the condition of a trigger. */
  private async tryWithMoreParents(relation: number): Promise<Trial | null> {
    if (!this.course.relations[relation]!.reacts && !this.isReactedTo(relation)) return null;
    for (const { parent } of this.course.plan.relations[relation]!.foreignKeys) {
      const { targeted, operations } = this.course.plan.relations[parent]!;
      if (parent === relation || !targeted || !operations.insert || this.course.refused.has(parent)) continue;
      for (let more = 0; more < MORE_PARENTS; more++)
        await tryOperation(this.course.stage, {
          relation: parent,
          kind: 'insert',
          keeps: true,
          first: MORE_FROM * (more + 1),
        });
    }
    const trial = await tryOperation(this.course.stage, {
      relation,
      kind: 'insert',
      keeps: true,
      first: MORE_FROM,
      draws: 24,
    });
    return trial.kind === 'passed' ? trial : await this.trySingly(relation);
  }

  /** Tries with a parent for each foreign key that may be NULL, because a trigger may want one; then with one at a time. */
  private async tryWithAllParents(relation: number, failure: Failure): Promise<Trial | null> {
    const { reacts, triggers } = this.course.relations[relation]!;
    const { foreignKeys, columns } = this.course.plan.relations[relation]!;
    const isUsable = (parent: number) =>
      parent !== relation &&
      (this.course.hasRows(parent) || this.course.plan.relations[parent]!.operations.insert) &&
      !this.course.refused.has(parent);
    const loose = [...foreignKeys.keys()].filter(
      (at) => foreignKeys[at]!.nullable && isUsable(foreignKeys[at]!.parent),
    );
    if (!reacts || loose.length === 0) return null;
    const read = triggers.flatMap(({ source }) => readTriggerText(source).columns);
    const isNamed = (at: number) =>
      foreignKeys[at]!.columns.some((column) => {
        const { name } = columns[column]!;
        return read.includes(name) || failure.message.includes(name);
      });
    const before = this.course.plan;
    for (const required of [loose.filter(isNamed), ...loose.filter(isNamed).map((at) => [at]), loose]) {
      if (required.length === 0) continue;
      const keys = foreignKeys.map((key, at) =>
        required.includes(at) ? { ...key, nullable: false, nullableColumns: [] } : key,
      );
      const trial = await this.tryPlan(relation, withRelation(before, relation, { foreignKeys: keys }));
      if (trial !== null) return trial;
    }
    return null;
  }

  /** Tries with a row of a table that references the new row, because a deferred trigger may want one. */
  private async tryWithChildren(relation: number): Promise<Trial | null> {
    if (!this.course.relations[relation]!.triggers.some(({ isDeferrable }) => isDeferrable)) return null;
    const before = this.course.plan;
    const found = this.course.readTables(relation).flatMap((child) => {
      const { foreignKeys, operations } = before.relations[child]!;
      const position = foreignKeys.findIndex(({ parent, makesParent }) => parent === relation && !makesParent);
      return position < 0 || !operations.insert ? [] : [{ relation: child, position }];
    });
    for (const bears of [...found.map((each) => [each]), ...(found.length > 1 ? [found] : [])]) {
      const trial = await this.tryPlan(relation, withRelation(before, relation, { bears }));
      if (trial !== null) return trial;
    }
    return null;
  }

  /** Returns true if a trigger of a parent may write rows of the table. */
  private isReactedTo(relation: number): boolean {
    return this.course.plan.relations[relation]!.foreignKeys.some(
      ({ parent }) => this.course.relations[parent]!.reacts,
    );
  }

  private async tryLessons(relation: number, failure: Failure): Promise<Trial | null> {
    const lessons = await learn({
      stage: this.course.stage,
      plan: this.course.plan,
      relation,
      catalogRelation: this.course.relations[relation]!,
      relations: this.course.relations,
      types: this.course.catalog.types,
      functions: this.course.catalog.functions,
      names: this.course.catalog.names,
      failure,
      read: this.course.readTables(relation),
    });
    if (lessons.length === 0) return null;
    return await this.tryPlan(relation, withLessons(this.course.plan, relation, lessons));
  }

  /** Tries the INSERT with another plan, which is kept if it passes. */
  private async tryPlan(relation: number, changed: Plan): Promise<Trial | null> {
    const before = this.course.plan;
    await this.course.use(changed, relation);
    const trial = await tryOperation(this.course.stage, { relation, kind: 'insert', keeps: true });
    if (trial.kind === 'passed') return trial;
    const single = await this.trySingly(relation);
    if (single !== null) return single;
    await this.course.use(before, relation);
    return null;
  }

  /** Stops leaving defaults to the server that it cannot compute, for example because a setting is missing. */
  private async checkDefaults(relation: number): Promise<void> {
    const { defaulted, insertColumns } = this.course.plan.relations[relation]!;
    if (defaulted.length === 0) return;
    const { plan } = this.course;
    const left = insertColumns.filter((column) => !defaulted.includes(column));
    await this.course.use(withRelation(plan, relation, { insertColumns: left, defaulted: [] }), relation);
    const trial = await tryOperation(this.course.stage, { relation, kind: 'insert', keeps: false });
    await this.course.use(trial.kind === 'refused' ? withRelation(plan, relation, { defaulted: [] }) : plan, relation);
    await tryOperation(this.course.stage, { relation, kind: 'insert', keeps: true });
  }
}
