import type pg from 'pg';
import type { Catalog, Relation } from '../catalog/model.js';
import type { Claims } from '../lane/rows/claims.js';
import type { Draft } from '../plan/build.js';
import { parentsFirst } from '../plan/order.js';
import type { Choice, Finding, OperationKind, Plan, RelationPlan, TriggeredRows } from '../plan/plan.js';
import { Course } from './course.js';
import { type Discriminator, discriminate, withOnly } from './discriminate.js';
import { effectsOf, isCompanion, overwrittenKeys, whereabouts } from './effects.js';
import { Insertions } from './insertions.js';
import { withCompanion, withOperations, withRelation, withServerKey } from './lessons.js';
import { tryUpdates } from './possible-updates.js';
import { refusalOf } from './refusal.js';
import { Stage } from './stage.js';
import { type Failure, ineffective, type Trial, tryOperation, type Write } from './trial.js';

/** The results of the rehearsal: operations left out, recipes learned, rows that triggers make, and the reasons. */
export interface Rehearsal {
  readonly plan: Plan;
  readonly findings: readonly Finding[];
  /** Tables that were not tried, because time ran out. */
  readonly untried: readonly string[];
  /** Number of tables that were tried. */
  readonly tried: number;
}

/** The session, existing rows and time limit for trying operations. */
export interface Rehearsing {
  /** Opens a pipelined session with settings like those of a lane. */
  readonly connectLike: () => Promise<pg.Client>;
  readonly claims: readonly Claims[];
  /** Receives the name of the table that is being tried. */
  readonly step: (text: string) => void;
  readonly limitMs: number;
  /** Milliseconds on a monotonic clock. */
  readonly clock: () => number;
}

/* The number of the first draw of a row that is inserted to be deleted. */
const OWN_FROM = 5000;

/* With more plain tables, trying them would cost more than a second and find nothing. */
const MOST_PLAIN = 30;

/** Returns the tables to rehearse: all of a small schema; of a large one, those that are not plain. */
export function tablesToRehearse({ plan, relations, findings }: Draft, { types }: Catalog): readonly number[] {
  const remarkable = new Set(findings.map(({ relation }) => relation));
  const isPlain = (relation: Relation, { label, defaulted }: RelationPlan) =>
    defaulted.length === 0 &&
    !relation.reacts &&
    !relation.lacksReplicaIdentity &&
    !relation.rowSecurity &&
    relation.computed.length === 0 &&
    relation.exclusions.length === 0 &&
    relation.partitioning === null &&
    !remarkable.has(label) &&
    relation.attributes.every(({ type }) => isPlainType(type, types));
  const targeted = [...plan.relations.keys()].filter((index) => plan.relations[index]!.targeted);
  const others = targeted.filter((index) => !isPlain(relations[index]!, plan.relations[index]!));
  return targeted.length - others.length > MOST_PLAIN ? others : targeted;
}

/** Returns true for a type without conditions on its values: a built-in type, an enum, or arrays of them. */
function isPlainType(oid: number, types: Catalog['types']): boolean {
  const type = types.get(oid)!;
  if (type.kind === 'array') return isPlainType(type.element, types);
  return type.kind === 'enum' || (type.kind === 'base' && type.schema === 'pg_catalog');
}

/**
 * Tries one INSERT, UPDATE and DELETE on each table as the first lane would execute them, parents first, and rolls them
 * back. This finds operations that triggers, row security or rules reject or suppress, and rows that triggers make,
 * before the first write. A rejected operation is tried with other values, and with values from trigger functions.
 */
export async function rehearse(
  rehearsing: Rehearsing,
  draft: Pick<Draft, 'plan' | 'relations'>,
  catalog: Catalog,
  tables: readonly number[],
): Promise<Rehearsal> {
  const stage = await Stage.open(rehearsing.connectLike, draft.plan, rehearsing.claims, rehearsing.clock);
  try {
    const course = new Course(stage, draft.plan, draft.relations, catalog);
    return await new Rehearser(course, rehearsing).run(tables);
  } finally {
    await stage.close();
  }
}

class Rehearser {
  private readonly course: Course;
  private readonly insertions: Insertions;
  private readonly rehearsing: Rehearsing;
  private readonly triggered: TriggeredRows[] = [];
  private readonly choices: Plan['choices'];
  private readonly chosen: ReadonlySet<string>;
  /** Relations whose INSERT has passed. */
  private readonly accepted = new Set<number>();

  constructor(course: Course, rehearsing: Rehearsing) {
    this.course = course;
    this.insertions = new Insertions(course);
    this.rehearsing = rehearsing;
    this.choices = course.plan.choices;
    this.chosen = new Set(this.choices.map(({ relation, operation }) => `${relation}/${operation}`));
  }

  async run(tables: readonly number[]): Promise<Rehearsal> {
    const { clock, limitMs, step } = this.rehearsing;
    const endMs = clock() + limitMs;
    const asked = new Set(tables);
    const order = parentsFirst(this.course.plan, 'needed').filter((index) => asked.has(index));
    let done = 0;
    for (; done < order.length && clock() < endMs; done++) {
      step(`trying one of each operation, table ${done + 1} of ${order.length}`);
      await this.tryTable(order[done]!);
    }
    await this.tryAgain(order.slice(0, done), endMs);
    const untried = order.slice(done).map((index) => this.course.plan.relations[index]!.label);
    return {
      plan: { ...this.course.plan, triggered: this.triggered },
      findings: this.course.findings,
      untried,
      tried: done,
    };
  }

  /** Tries tables again whose triggers read tables that were rehearsed later, and that have rows now. */
  private async tryAgain(order: readonly number[], endMs: number): Promise<void> {
    const place = new Map(order.map((relation, index) => [relation, index]));
    const again = order.filter(
      (relation) =>
        this.course.refused.has(relation) &&
        this.course
          .readTables(relation)
          .some((read) => (place.get(read) ?? -1) > place.get(relation)! && !this.course.refused.has(read)),
    );
    for (const relation of again) {
      if (this.rehearsing.clock() >= endMs) return;
      const { label } = this.course.plan.relations[relation]!;
      this.rehearsing.step(`trying ${label} again`);
      const told = this.course.findings.findIndex(
        (each) => each.relation === label && each.prevents.includes('insert'),
      );
      const [before] = this.course.findings.splice(told, 1);
      this.course.refused.delete(relation);
      this.course.plan = this.withInserts(relation);
      await this.tryTable(relation);
      // It could not be tried, so what was found before is still true.
      if (this.accepted.has(relation) || this.course.refused.has(relation)) continue;
      this.course.refused.add(relation);
      this.course.findings.push(before!);
      this.course.plan = withOperations(this.course.plan, relation, { insert: false });
    }
  }

  private withInserts(relation: number): Plan {
    const plan = withOperations(this.course.plan, relation, { insert: true });
    const left = new Set(plan.choices);
    const isBack = (choice: Choice) => choice.relation === relation && choice.operation === 'insert';
    return { ...plan, choices: this.choices.filter((choice) => left.has(choice) || isBack(choice)) };
  }

  private async tryTable(relation: number): Promise<void> {
    await this.course.stage.begin();
    await this.course.provideParents(relation, new Set());
    if (this.course.plan.relations[relation]!.operations.insert && this.isPossible(relation))
      await this.tryInsert(relation);
    if (this.isAsked(relation, 'update')) await this.tryUpdate(relation);
    if (this.isAsked(relation, 'delete')) await this.tryDelete(relation);
  }

  private isAsked(relation: number, kind: OperationKind): boolean {
    return this.chosen.has(`${relation}/${kind}`) && this.course.plan.relations[relation]!.operations[kind];
  }

  /** Returns false if a required parent has no rows and can get none. That is reported once, for the parent. */
  private isPossible(relation: number): boolean {
    return this.course.plan.relations[relation]!.foreignKeys.every(
      ({ nullable, makesParent, parent }) =>
        nullable ||
        makesParent ||
        parent === relation ||
        this.course.hasRows(parent) ||
        !this.course.refused.has(parent),
    );
  }

  private async tryInsert(relation: number): Promise<void> {
    const trial = await this.insertions.try(relation);
    if (trial.kind === 'passed') this.accepted.add(relation);
    if (trial.kind === 'passed') await this.insertions.avoidNulls(relation);
    if (trial.kind === 'passed') await this.observe(relation, trial.refused > 0);
    else if (trial.kind === 'refused') this.refuse(relation, 'insert', trial.failure);
    else this.sayUntried(relation);
  }

  /** Adds a finding for a table in which no row could be made, although it has room and its parents may have rows. */
  private sayUntried(relation: number): void {
    const { label, foreignKeys } = this.course.plan.relations[relation]!;
    if (foreignKeys.length === 0 || !this.course.stage.rows.possible(relation, 'insert')) return;
    const isFed = foreignKeys.every(
      ({ nullable, makesParent, parent }) => nullable || makesParent || parent === relation || this.canHaveRows(parent),
    );
    if (!isFed) return;
    this.course.findings.push({
      relation: label,
      column: null,
      prevents: [],
      reason:
        'no row could be made for a trial INSERT, because no rows that it could reference meet all of its foreign keys',
      remedy:
        'if it stays empty, insert such rows before the run, or exclude the table with generator.exclude_table_list',
    });
  }

  private canHaveRows(relation: number): boolean {
    return (
      this.course.hasRows(relation) ||
      (this.course.plan.relations[relation]!.operations.insert && !this.course.refused.has(relation))
    );
  }

  /** Finds out what an INSERT did besides inserting its rows. */
  private async observe(relation: number, isRefusing: boolean): Promise<void> {
    const catalogRelation = this.course.relations[relation]!;
    if (!catalogRelation.reacts) return;
    const stands = await whereabouts(this.course.stage, this.course.plan, relation, catalogRelation.oid);
    if (stands === 'gone') {
      this.refuse(relation, 'insert', ineffective('INSERT has no lasting effect: a trigger deletes the row again'));
      return;
    }
    if (stands === 'renamed' && !(await this.takeServerKey(relation))) return;
    await this.noteOverwritten(relation);
    let effects = await this.effectsOfInsert(relation);
    if (isRefusing || effects.some((effect) => effect.perRow === null)) {
      const found = await discriminate(this.course.stage, this.course.plan, this.course.relations, relation);
      if (found !== null) {
        this.course.findings.push(this.onlySome(relation, found));
        await this.course.use(withOnly(this.course.plan, relation, found), relation);
        effects = await this.effectsOfInsert(relation);
      }
    }
    for (const effect of effects) {
      const companion =
        effect.relation >= 0 && effect.perRow === 1
          ? await isCompanion(this.course.stage, this.course.plan, relation, effect.relation)
          : null;
      if (companion !== null) await this.course.use(withCompanion(this.course.plan, relation, companion), relation);
      else if (
        !this.course.plan.relations[relation]!.foreignKeys.some(
          (key) => key.makesParent && key.parent === effect.relation,
        )
      )
        this.triggered.push(effect);
    }
    // The stage was built again, so the following trials need rows.
    if (!this.course.hasRows(relation))
      await tryOperation(this.course.stage, { relation, kind: 'insert', keeps: true });
  }

  /** If triggers replace the parents of rows, the run does not know which rows are deleted together with a parent. */
  private async noteOverwritten(relation: number): Promise<void> {
    const { label, foreignKeys, columns } = this.course.plan.relations[relation]!;
    const overwritten = await overwrittenKeys(this.course.stage, this.course.plan, relation);
    for (const position of overwritten) {
      const { parent, columns: members } = foreignKeys[position]!;
      this.triggered.push({ relation, of: parent, kind: 'delete', perRow: null });
      this.course.findings.push({
        relation: label,
        column: members.map((column) => columns[column]!.name).join(', '),
        prevents: [],
        reason: `a trigger writes another value than the row is given, so the run does not know which rows of ${this.course.plan.relations[parent]!.label} it references`,
        remedy: 'nothing to do: row counts are given only where they are certain',
      });
    }
  }

  /** Reads keys that a trigger assigns. Returns false if the server does not return them, because a rule sends rows elsewhere. */
  private async takeServerKey(relation: number): Promise<boolean> {
    const before = this.course.plan;
    await this.course.use(withServerKey(before, relation), relation);
    const trial = await tryOperation(this.course.stage, { relation, kind: 'insert', keeps: true });
    if (trial.kind !== 'refused') return true;
    await this.course.use(before, relation);
    this.refuse(relation, 'insert', ineffective('INSERT leaves no row here: a rule or a trigger sends it elsewhere'));
    return false;
  }

  /** Finds out what INSERTs do beside; where several rows at once are always rejected, they are inserted one by one from now on. */
  private async effectsOfInsert(relation: number): Promise<readonly TriggeredRows[]> {
    const effects = await this.effectsOf(relation, 'insert');
    if (effects !== null || this.course.plan.relations[relation]!.oneByOne) return effects ?? [];
    const before = this.course.plan;
    this.course.plan = withRelation(before, relation, { oneByOne: true });
    const singly = await this.effectsOf(relation, 'insert');
    if (singly === null) this.course.plan = before;
    return singly ?? [];
  }

  private effectsOf(relation: number, kind: OperationKind): Promise<readonly TriggeredRows[] | null> {
    return effectsOf(this.course.stage, this.course.plan, this.course.relations, relation, kind);
  }

  private onlySome(relation: number, { column, values, others }: Discriminator): Finding {
    const { label, columns } = this.course.plan.relations[relation]!;
    return {
      relation: label,
      column: columns[column]!.name,
      prevents: [],
      reason: `gets only the values ${values.join(', ')}, because with ${others.join(', ')} triggers reject the row or insert rows elsewhere`,
      remedy: 'nothing to do; to choose other values, set generator.column_overrides',
    };
  }

  private async tryUpdate(relation: number): Promise<void> {
    const { reacts, rowSecurity } = this.course.relations[relation]!;
    if (!reacts && !rowSecurity) {
      const trial = await tryOperation(this.course.stage, { relation, kind: 'update', keeps: false });
      if (trial.kind === 'refused') this.refuse(relation, 'update', trial.failure);
      return;
    }
    const { sets, failure, fixed } = await tryUpdates(this.course.stage, this.course.plan, relation);
    if (failure !== null) this.refuse(relation, 'update', failure);
    else if (sets !== null) {
      this.course.plan = withRelation(this.course.plan, relation, { updateSets: sets });
      this.course.findings.push(...fixed.map((each) => this.leftAlone(relation, each)));
    }
    if (failure === null) this.triggered.push(...((await this.effectsOf(relation, 'update')) ?? []));
  }

  private leftAlone(relation: number, { columns, failure }: { columns: readonly number[]; failure: Failure }): Finding {
    const { label, columns: all } = this.course.plan.relations[relation]!;
    return {
      relation: label,
      column: columns.map((column) => all[column]!.name).join(', '),
      prevents: [],
      reason: `${refusalOf('update', failure, this.course.relations[relation]!).reason}, so UPDATE does not change it`,
      remedy: 'nothing to do: other columns are updated',
    };
  }

  private async tryDelete(relation: number): Promise<void> {
    let trial = await tryOperation(this.course.stage, { relation, kind: 'delete', keeps: false });
    // Rows that were there before may be protected, for example because the application needs them.
    if (trial.kind === 'refused' && trial.failure.sqlstate !== null) trial = await this.tryDeleteOfOwn(relation, trial);
    if (trial.kind === 'refused') this.refuse(relation, 'delete', trial.failure);
    else if (this.course.relations[relation]!.reacts)
      this.triggered.push(...((await this.effectsOf(relation, 'delete')) ?? []));
  }

  /** Tries the DELETE of a row that was inserted for the purpose. */
  private async tryDeleteOfOwn(relation: number, trial: Trial): Promise<Trial> {
    const own = await tryOperation(this.course.stage, { relation, kind: 'insert', keeps: true, first: OWN_FROM });
    if (own.kind !== 'passed') return trial;
    const write: Write = (operation) => this.course.stage.rows.deleteNewest(operation);
    return await tryOperation(this.course.stage, { relation, kind: 'delete', keeps: false, write });
  }

  private refuse(relation: number, kind: OperationKind, failure: Failure): void {
    if (kind === 'insert') this.course.refused.add(relation);
    const { label } = this.course.plan.relations[relation]!;
    if (this.isAsked(relation, kind) || kind === 'insert')
      this.course.findings.push({
        relation: label,
        column: null,
        prevents: [kind],
        ...refusalOf(kind, failure, this.course.relations[relation]!),
      });
    this.course.plan = withOperations(this.course.plan, relation, { [kind]: false });
  }
}
