import type pg from 'pg';
import type { Catalog, Relation } from '../catalog/model.js';
import { readTriggerText } from '../catalog/trigger-text.js';
import type { Claims } from '../lane/rows/claims.js';
import type { Draft } from '../plan/build.js';
import { parentsFirst } from '../plan/order.js';
import type { Choice, Finding, OperationKind, Plan, RelationPlan, TriggeredRows } from '../plan/plan.js';
import { type Discriminator, discriminate, withOnly } from './discriminate.js';
import { effectsOf, isCompanion, whereabouts } from './effects.js';
import { learn } from './learn.js';
import { baseByTrigger, withCompanion, withLessons, withOperations, withRelation, withServerKey } from './lessons.js';
import { neverNull, refusedNulls } from './not-null.js';
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

/* So many rejected draws before one passes count as many. */
const MANY_REFUSED = 3;

/* Number of additional INSERTs of each parent, and the number of their first draw. */
const MORE_PARENTS = 3;
const MORE_FROM = 1000;
/* The number of the first draw of a row that is inserted for the row that a trigger makes with it. */
const COMPANION_FROM = 7000;
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
    return await new Rehearser(stage, draft, catalog, rehearsing).run(tables);
  } finally {
    await stage.close();
  }
}

class Rehearser {
  private plan: Plan;
  private readonly stage: Stage;
  private readonly relations: readonly Relation[];
  private readonly catalog: Catalog;
  private readonly rehearsing: Rehearsing;
  private readonly findings: Finding[] = [];
  private readonly triggered: TriggeredRows[] = [];
  private readonly choices: Plan['choices'];
  private readonly chosen: ReadonlySet<string>;
  /** Relations whose INSERT was rejected, so that they can get no rows. */
  private readonly refused = new Set<number>();
  /** Relations whose INSERT has passed. */
  private readonly accepted = new Set<number>();

  constructor(
    stage: Stage,
    { plan, relations }: Pick<Draft, 'plan' | 'relations'>,
    catalog: Catalog,
    rehearsing: Rehearsing,
  ) {
    this.stage = stage;
    this.plan = plan;
    this.relations = relations;
    this.catalog = catalog;
    this.rehearsing = rehearsing;
    this.choices = plan.choices;
    this.chosen = new Set(plan.choices.map(({ relation, operation }) => `${relation}/${operation}`));
  }

  async run(tables: readonly number[]): Promise<Rehearsal> {
    const { clock, limitMs, step } = this.rehearsing;
    const endMs = clock() + limitMs;
    const asked = new Set(tables);
    const order = parentsFirst(this.plan, 'needed').filter((index) => asked.has(index));
    let done = 0;
    for (; done < order.length && clock() < endMs; done++) {
      step(`trying one of each operation, table ${done + 1} of ${order.length}`);
      await this.tryTable(order[done]!);
    }
    await this.tryAgain(order.slice(0, done), endMs);
    const untried = order.slice(done).map((index) => this.plan.relations[index]!.label);
    return { plan: { ...this.plan, triggered: this.triggered }, findings: this.findings, untried, tried: done };
  }

  /** Tries tables again whose triggers read tables that were rehearsed later, and that have rows now. */
  private async tryAgain(order: readonly number[], endMs: number): Promise<void> {
    const place = new Map(order.map((relation, index) => [relation, index]));
    const again = order.filter(
      (relation) =>
        this.refused.has(relation) &&
        this.readTables(relation).some(
          (read) => (place.get(read) ?? -1) > place.get(relation)! && !this.refused.has(read),
        ),
    );
    for (const relation of again) {
      if (this.rehearsing.clock() >= endMs) return;
      const { label } = this.plan.relations[relation]!;
      this.rehearsing.step(`trying ${label} again`);
      const told = this.findings.findIndex((each) => each.relation === label && each.prevents.includes('insert'));
      const [before] = this.findings.splice(told, 1);
      this.refused.delete(relation);
      this.plan = this.withInserts(relation);
      await this.tryTable(relation);
      // It could not be tried, so what was found before is still true.
      if (this.accepted.has(relation) || this.refused.has(relation)) continue;
      this.refused.add(relation);
      this.findings.push(before!);
      this.plan = withOperations(this.plan, relation, { insert: false });
    }
  }

  private withInserts(relation: number): Plan {
    const plan = withOperations(this.plan, relation, { insert: true });
    const left = new Set(plan.choices);
    const isBack = (choice: Choice) => choice.relation === relation && choice.operation === 'insert';
    return { ...plan, choices: this.choices.filter((choice) => left.has(choice) || isBack(choice)) };
  }

  private async tryTable(relation: number): Promise<void> {
    await this.stage.begin();
    await this.provideParents(relation, new Set());
    if (this.plan.relations[relation]!.operations.insert && this.isPossible(relation)) await this.tryInsert(relation);
    if (this.isAsked(relation, 'update')) await this.tryUpdate(relation);
    if (this.isAsked(relation, 'delete')) await this.tryDelete(relation);
  }

  private isAsked(relation: number, kind: OperationKind): boolean {
    return this.chosen.has(`${relation}/${kind}`) && this.plan.relations[relation]!.operations[kind];
  }

  /** Returns false if a required parent has no rows and can get none. That is reported once, for the parent. */
  private isPossible(relation: number): boolean {
    return this.plan.relations[relation]!.foreignKeys.every(
      ({ nullable, makesParent, parent }) =>
        nullable || makesParent || parent === relation || this.hasRows(parent) || !this.refused.has(parent),
    );
  }

  private hasRows(relation: number): boolean {
    const { store } = this.stage;
    return store.keyspaces[relation]!.live.size + store.pinned[relation]!.length > 0;
  }

  /** Inserts rows into the tables that a table references, if this transaction has none yet. */
  private async provideParents(relation: number, passed: Set<number>): Promise<void> {
    passed.add(relation);
    for (const { parent, nullable, makesParent } of this.plan.relations[relation]!.foreignKeys)
      if (!nullable && !makesParent) await this.provide(parent, passed);
  }

  private async provide(relation: number, passed: Set<number>): Promise<void> {
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

  private async use(plan: Plan, relation: number): Promise<void> {
    this.plan = plan;
    await this.stage.use(plan);
    await this.stage.begin();
    await this.provideParents(relation, new Set());
  }

  private async tryInsert(relation: number): Promise<void> {
    const trial = await this.tryInserting(relation);
    if (trial.kind === 'passed') this.accepted.add(relation);
    if (trial.kind === 'passed') await this.avoidNulls(relation);
    if (trial.kind === 'passed') await this.observe(relation, trial.refused > 0);
    else if (trial.kind === 'refused') this.refuse(relation, 'insert', trial.failure);
  }

  /** Tries an INSERT; if it is rejected, tries other ways to write it and changes the plan accordingly. */
  private async tryInserting(relation: number): Promise<Trial> {
    const wish = { relation, kind: 'insert', keeps: true } as const;
    const trial = await tryOperation(this.stage, wish);
    if (trial.kind === 'unknown' && this.writesParent(relation)) {
      const withBase = await this.tryWithBase(relation);
      if (withBase?.kind === 'passed') return withBase;
    }
    if (trial.kind !== 'refused') {
      await this.checkDefaults(relation);
      if (trial.kind === 'passed' && trial.refused >= MANY_REFUSED) await this.preferSingly(relation);
      return trial;
    }
    const withBase = trial.failure.sqlstate === UNIQUE_VIOLATION ? await this.tryWithBase(relation) : null;
    if (withBase?.kind === 'passed') return withBase;
    return (await this.tryWays(relation, trial.failure)) ?? withBase ?? trial;
  }

  /** Returns true if a trigger of the table writes one that the table references, according to its text. */
  private writesParent(relation: number): boolean {
    const written = this.relations[relation]!.triggers.flatMap(({ events, writes }) =>
      events.insert ? (writes ?? []) : [],
    );
    return this.plan.relations[relation]!.foreignKeys.some(
      ({ parent }) => parent !== relation && written.includes(this.relations[parent]!.name),
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
    const changed = baseByTrigger(this.plan, relation);
    if (changed === null) return null;
    const before = this.plan;
    await this.use(changed, relation);
    const trial = await tryOperation(this.stage, { relation, kind: 'insert', keeps: true });
    if (trial.kind === 'passed') return trial;
    const better = trial.kind === 'refused' ? await this.tryWays(relation, trial.failure) : null;
    if (better !== null) return better;
    await this.use(before, relation);
    return trial.kind === 'refused' ? trial : null;
  }

  /** Stops writing NULL into columns in which triggers refuse it. */
  private async avoidNulls(relation: number): Promise<void> {
    const catalogRelation = this.relations[relation]!;
    if (!catalogRelation.reacts) return;
    const never = await refusedNulls(this.stage, this.plan, relation, catalogRelation);
    if (never.length === 0) return;
    await this.use(withRelation(this.plan, relation, neverNull(this.plan.relations[relation]!, never)), relation);
    await tryOperation(this.stage, { relation, kind: 'insert', keeps: true });
  }

  /** Tries one row at a time, which may pass although several at once do not. */
  private async trySingly(relation: number): Promise<Trial | null> {
    if (this.plan.relations[relation]!.oneByOne || this.plan.rowsPerOperation.insert === 1) return null;
    const write: Write = (operation, seeds) => this.stage.rows.insert(operation, 1, seeds);
    const trial = await tryOperation(this.stage, { relation, kind: 'insert', keeps: true, write });
    if (trial.kind !== 'passed') return null;
    this.plan = withRelation(this.plan, relation, { oneByOne: true });
    return trial;
  }

  /** Inserts rows one by one if that helps: when some values are rejected, a statement of several rows mostly fails. */
  private async preferSingly(relation: number): Promise<void> {
    const before = this.plan;
    const single = await this.trySingly(relation);
    if (single === null) return;
    if (single.kind !== 'passed' || single.refused >= MANY_REFUSED) {
      this.plan = before;
      return;
    }
    this.findings.push({
      relation: before.relations[relation]!.label,
      column: null,
      prevents: [],
      reason:
        'the server rejects some values, so each INSERT has one row and is repeated with other values if rejected',
      remedy: 'to avoid this, set generator.column_overrides to values that the server accepts',
    });
  }

  /** Tries after inserting rows into the tables that a trigger reads, because it may need them. */
  private async tryAfter(relation: number): Promise<Trial | null> {
    const named = this.readTables(relation).filter((table) => !this.hasRows(table));
    for (const table of named) await this.provide(table, new Set([relation]));
    const needs = named.filter((table) => this.hasRows(table));
    if (needs.length === 0) return null;
    const trial = await tryOperation(this.stage, { relation, kind: 'insert', keeps: true });
    if (trial.kind === 'refused') return null;
    this.plan = withRelation(this.plan, relation, { needs });
    return trial;
  }

  /** Tries with more parents, because only a few of them may meet the condition of a trigger. */
  private async tryWithMoreParents(relation: number): Promise<Trial | null> {
    if (!this.relations[relation]!.reacts && !this.isReactedTo(relation)) return null;
    for (const { parent } of this.plan.relations[relation]!.foreignKeys) {
      const { targeted, operations } = this.plan.relations[parent]!;
      if (parent === relation || !targeted || !operations.insert || this.refused.has(parent)) continue;
      for (let more = 0; more < MORE_PARENTS; more++)
        await tryOperation(this.stage, {
          relation: parent,
          kind: 'insert',
          keeps: true,
          first: MORE_FROM * (more + 1),
        });
    }
    const trial = await tryOperation(this.stage, {
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
    const { reacts, triggers } = this.relations[relation]!;
    const { foreignKeys, columns } = this.plan.relations[relation]!;
    const isUsable = (parent: number) =>
      parent !== relation &&
      (this.hasRows(parent) || this.plan.relations[parent]!.operations.insert) &&
      !this.refused.has(parent);
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
    const before = this.plan;
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
    if (!this.relations[relation]!.triggers.some(({ isDeferrable }) => isDeferrable)) return null;
    const before = this.plan;
    const found = this.readTables(relation).flatMap((child) => {
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
    return this.plan.relations[relation]!.foreignKeys.some(({ parent }) => this.relations[parent]!.reacts);
  }

  /** Returns the tables of the plan that triggers of a table read or write. */
  private readTables(relation: number): number[] {
    const names = new Set(
      this.relations[relation]!.triggers.filter(({ events }) => events.insert).flatMap(
        ({ source }) => readTriggerText(source).tables,
      ),
    );
    return [...this.relations.keys()].filter((index) => index !== relation && names.has(this.relations[index]!.name));
  }

  private async tryLessons(relation: number, failure: Failure): Promise<Trial | null> {
    const lessons = await learn({
      stage: this.stage,
      plan: this.plan,
      relation,
      catalogRelation: this.relations[relation]!,
      relations: this.relations,
      types: this.catalog.types,
      functions: this.catalog.functions,
      names: this.catalog.names,
      failure,
      read: this.readTables(relation),
    });
    if (lessons.length === 0) return null;
    return await this.tryPlan(relation, withLessons(this.plan, relation, lessons));
  }

  /** Tries the INSERT with another plan, which is kept if it passes. */
  private async tryPlan(relation: number, changed: Plan): Promise<Trial | null> {
    const before = this.plan;
    await this.use(changed, relation);
    const trial = await tryOperation(this.stage, { relation, kind: 'insert', keeps: true });
    if (trial.kind === 'passed') return trial;
    const single = await this.trySingly(relation);
    if (single !== null) return single;
    await this.use(before, relation);
    return null;
  }

  /** Stops leaving defaults to the server that it cannot compute, for example because a setting is missing. */
  private async checkDefaults(relation: number): Promise<void> {
    const { defaulted, insertColumns } = this.plan.relations[relation]!;
    if (defaulted.length === 0) return;
    const { plan } = this;
    const left = insertColumns.filter((column) => !defaulted.includes(column));
    await this.use(withRelation(plan, relation, { insertColumns: left, defaulted: [] }), relation);
    const trial = await tryOperation(this.stage, { relation, kind: 'insert', keeps: false });
    await this.use(trial.kind === 'refused' ? withRelation(plan, relation, { defaulted: [] }) : plan, relation);
    await tryOperation(this.stage, { relation, kind: 'insert', keeps: true });
  }

  /** Finds out what an INSERT did besides inserting its rows. */
  private async observe(relation: number, isRefusing: boolean): Promise<void> {
    const catalogRelation = this.relations[relation]!;
    if (!catalogRelation.reacts) return;
    const stands = await whereabouts(this.stage, this.plan, relation, catalogRelation.oid);
    if (stands === 'gone') {
      this.refuse(relation, 'insert', ineffective('INSERT has no lasting effect: a trigger deletes the row again'));
      return;
    }
    if (stands === 'renamed') {
      await this.use(withServerKey(this.plan, relation), relation);
      await tryOperation(this.stage, { relation, kind: 'insert', keeps: true });
    }
    let effects = await effectsOf(this.stage, this.plan, this.relations, relation, 'insert');
    if (isRefusing || effects.some((effect) => effect.perRow === null)) {
      const found = await discriminate(this.stage, this.plan, this.relations, relation);
      if (found !== null) {
        this.findings.push(this.onlySome(relation, found));
        await this.use(withOnly(this.plan, relation, found), relation);
        effects = await effectsOf(this.stage, this.plan, this.relations, relation, 'insert');
      }
    }
    for (const effect of effects) {
      const companion =
        effect.relation >= 0 && effect.perRow === 1
          ? await isCompanion(this.stage, this.plan, relation, effect.relation)
          : null;
      if (companion !== null) await this.use(withCompanion(this.plan, relation, companion), relation);
      else if (
        !this.plan.relations[relation]!.foreignKeys.some((key) => key.makesParent && key.parent === effect.relation)
      )
        this.triggered.push(effect);
    }
    // The stage was built again, so the following trials need rows.
    if (!this.hasRows(relation)) await tryOperation(this.stage, { relation, kind: 'insert', keeps: true });
  }

  private onlySome(relation: number, { column, values, others }: Discriminator): Finding {
    const { label, columns } = this.plan.relations[relation]!;
    return {
      relation: label,
      column: columns[column]!.name,
      prevents: [],
      reason: `gets only the values ${values.join(', ')}, because with ${others.join(', ')} triggers reject the row or insert rows elsewhere`,
      remedy: 'nothing to do; to choose other values, set generator.column_overrides',
    };
  }

  private async tryUpdate(relation: number): Promise<void> {
    const { reacts, rowSecurity } = this.relations[relation]!;
    if (!reacts && !rowSecurity) {
      const trial = await tryOperation(this.stage, { relation, kind: 'update', keeps: false });
      if (trial.kind === 'refused') this.refuse(relation, 'update', trial.failure);
      return;
    }
    const { sets, failure, fixed } = await tryUpdates(this.stage, this.plan, relation);
    if (failure !== null) this.refuse(relation, 'update', failure);
    else if (sets !== null) {
      this.plan = withRelation(this.plan, relation, { updateSets: sets });
      this.findings.push(...fixed.map((each) => this.leftAlone(relation, each)));
    }
    if (failure === null)
      this.triggered.push(...(await effectsOf(this.stage, this.plan, this.relations, relation, 'update')));
  }

  private leftAlone(relation: number, { columns, failure }: { columns: readonly number[]; failure: Failure }): Finding {
    const { label, columns: all } = this.plan.relations[relation]!;
    return {
      relation: label,
      column: columns.map((column) => all[column]!.name).join(', '),
      prevents: [],
      reason: `${refusalOf('update', failure, this.relations[relation]!).reason}, so UPDATE does not change it`,
      remedy: 'nothing to do: other columns are updated',
    };
  }

  private async tryDelete(relation: number): Promise<void> {
    let trial = await tryOperation(this.stage, { relation, kind: 'delete', keeps: false });
    // Rows that were there before may be protected, for example because the application needs them.
    if (trial.kind === 'refused' && trial.failure.sqlstate !== null) trial = await this.tryDeleteOfOwn(relation, trial);
    if (trial.kind === 'refused') this.refuse(relation, 'delete', trial.failure);
    else if (this.relations[relation]!.reacts)
      this.triggered.push(...(await effectsOf(this.stage, this.plan, this.relations, relation, 'delete')));
  }

  /** Tries the DELETE of a row that was inserted for the purpose. */
  private async tryDeleteOfOwn(relation: number, trial: Trial): Promise<Trial> {
    const own = await tryOperation(this.stage, { relation, kind: 'insert', keeps: true, first: OWN_FROM });
    if (own.kind !== 'passed') return trial;
    const write: Write = (operation) => this.stage.rows.deleteNewest(operation);
    return await tryOperation(this.stage, { relation, kind: 'delete', keeps: false, write });
  }

  private refuse(relation: number, kind: OperationKind, failure: Failure): void {
    if (kind === 'insert') this.refused.add(relation);
    const { label } = this.plan.relations[relation]!;
    if (this.isAsked(relation, kind) || kind === 'insert')
      this.findings.push({
        relation: label,
        column: null,
        prevents: [kind],
        ...refusalOf(kind, failure, this.relations[relation]!),
      });
    this.plan = withOperations(this.plan, relation, { [kind]: false });
  }
}

const UNIQUE_VIOLATION = '23505';
