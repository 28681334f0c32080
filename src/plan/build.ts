import { type Catalog, labelOf, type Relation } from '../catalog/model.js';
import { type CountOrRange, mostOf } from '../config/count.js';
import type { Config } from '../config/load.js';
import type { Problem } from '../config/problem.js';
import { SetupError } from '../config/problem.js';
import type { GeneratorConfig } from '../config/schema.js';
import { Writers } from '../datum/compile.js';
import { Pools } from '../datum/pool.js';
import { seedOf } from '../random/seed.js';
import type { ConstraintNote } from './constraint-notes.js';
import type { Context, OrdinalColumn } from './context.js';
import { withModestCounters } from './counters.js';
import { withDemandedKeys } from './demands.js';
import type { DistinctSearch } from './distinct.js';
import {
  type Choice,
  type ConflictPlan,
  type Finding,
  GENERATOR_VERSION,
  OPERATION_KINDS,
  type Plan,
  type RelationPlan,
} from './plan.js';
import { checkPrivileges, referencedBeside } from './privileges.js';
import { planRelation } from './relation.js';
import type { Search } from './search.js';
import { entryFor, leftToExtensions, operationWeightsOf, targetedRelations } from './target.js';
import { setsPerTable } from './update-sets.js';

/* A checkpoint costs a lane one round trip. So many operations are repeated in a third of a second. */
const CHECKPOINT_EVERY = 1 << 15;

export interface Draft {
  readonly plan: Plan;
  readonly searches: readonly Search[];
  readonly distincts: readonly DistinctSearch[];
  readonly ordinals: readonly OrdinalColumn[];
  readonly findings: readonly Finding[];
  readonly notes: readonly ConstraintNote[];
  /** Catalog relations in the order of plan.relations. */
  readonly relations: readonly Relation[];
}

/** The seeds of the run: configured, or drawn by the caller. */
export interface Seeds {
  readonly random: bigint;
  readonly faker: bigint;
}

/**
 * Decides everything that can be decided without the rows. `parents`: labels of tables beyond the targeted ones that take
 * rows where others need them, and no operations of their own.
 * @throws SetupError for names that do not exist, and missing privileges.
 */
export function buildPlan(config: Config, catalog: Catalog, seeds: Seeds, parents: ReadonlySet<string> = NONE): Draft {
  const problems: Problem[] = [];
  const targeted = new Set(targetedRelations(config, catalog, problems));
  if (problems.length > 0) throw new SetupError(problems);

  const filled = catalog.relations.filter((relation) => parents.has(labelOf(relation)));
  const referenced = referencedBeside([...targeted, ...filled], catalog);
  const roles = { targeted: [...targeted], filled, referenced };
  problems.push(...checkPrivileges(roles, config, rowSelection(config, catalog), catalog));
  if (problems.length > 0) throw new SetupError(problems);

  for (const relation of filled) targeted.add(relation);
  const planned = new Set([...targeted, ...referenced]);
  const relations = catalog.relations.filter((relation) => planned.has(relation));
  const findings: Finding[] = leftToExtensions(config, catalog).map((relation) => ({
    relation: labelOf(relation),
    column: null,
    prevents: [],
    reason: `belongs to the extension ${relation.extension!}, so its rows are left alone`,
    remedy: 'to change them all the same, name the table in generator.manual_table_list',
  }));
  const ordinals: OrdinalColumn[] = [];
  const searches: Search[] = [];
  const distincts: DistinctSearch[] = [];
  const notes: ConstraintNote[] = [];
  const context: Context = {
    config,
    catalog,
    seed: seedOf(seeds.random),
    relations,
    indexOf: new Map(relations.map((relation, index) => [labelOf(relation), index])),
    targeted,
    findings,
    problems,
    ordinals,
    searches,
    distincts,
    notes,
    writers: new Writers(new Pools(seedOf(seeds.faker))),
    owned: rowSelection(config, catalog) === 'owned',
    sets: setsPerTable(targeted.size, config.generator.max_prepared_statements),
  };
  const drafted = relations.map((relation, index) => planRelation(relation, index, context));
  const plans = withModestCounters(withDemandedKeys(drafted), relations);
  if (problems.length > 0) throw new SetupError(problems);

  const choices = [
    ...chooseFrom(plans, relations, config, parents),
    ...conflictChoices(plans, relations, config, parents),
  ];
  const { generator } = config;
  const plan: Plan = {
    generatorVersion: GENERATOR_VERSION,
    randomSeed: seeds.random.toString(),
    fakerSeed: seeds.faker.toString(),
    quotas: shareOut(generator.num_iterations, generator.connections),
    pipelineDepth: generator.pipeline_depth,
    checkpointEvery: CHECKPOINT_EVERY,
    searchPath: catalog.server.searchPath,
    rowSelection: rowSelection(config, catalog),
    ...(catalog.server.flavour === 'PostgreSQL' ? {} : { lacksReceipts: true as const }),
    rowsPerOperation: {
      insert: mostOf(generator.insert_rows),
      update: mostOf(generator.update_rows),
      delete: mostOf(generator.delete_rows),
    },
    ...fewest(generator),
    maxRetries: {
      insert: generator.insert_max_retries,
      update: generator.update_max_retries,
      delete: generator.update_max_retries,
    },
    quarantineAfter: generator.error_budget.quarantine_after,
    transaction: {
      statements: mostOf(generator.transaction.statements),
      ...(typeof generator.transaction.statements === 'number'
        ? {}
        : { fewestStatements: generator.transaction.statements.min }),
      savepointRatio: generator.transaction.savepoint_ratio,
      rollbackRatio: generator.transaction.rollback_ratio,
      isolation: generator.transaction.isolation,
    },
    maxTrackedRows: generator.max_tracked_rows,
    maxTrackedRowsTotal: generator.max_tracked_rows_total,
    tableRows: generator.table_rows,
    conflicts: conflictsOf(config),
    skew: generator.skew.distribution === 'zipf' ? (generator.skew.exponent ?? 1) : null,
    relations: plans,
    choices,
    triggered: [],
  };
  return { plan, ordinals, searches, distincts, findings, notes, relations };
}

/** Divides an amount without loss: the first lanes take the remainder. −1 stays −1 for every lane. */
export function shareOut(total: number, lanes: number): number[] {
  if (total < 0) return Array.from({ length: lanes }, () => -1);
  const share = Math.floor(total / lanes);
  return Array.from({ length: lanes }, (_, lane) => share + (lane < total % lanes ? 1 : 0));
}

function rowSelection(config: Config, { server }: Catalog): 'owned' | 'system_rows' {
  const { row_selection: asked } = config.generator;
  return asked === 'system_rows' && server.flavour === 'PostgreSQL' ? 'system_rows' : 'owned';
}

/** Returns how unique values may move from one row to another; null if that is not configured. */
function conflictsOf({ generator }: Config): ConflictPlan | null {
  const { force_conflicts: asked, operations } = generator;
  if (!asked.enabled) return null;
  const free = asked.free_via.filter((name) => operations.includes(name));
  const take = asked.reuse_via.filter((name) => operations.includes(name));
  return {
    free: free.map((name) => (name === 'DELETE' ? 'delete' : 'update')),
    take: take.map((name) => (name === 'INSERT' ? 'insert' : 'update')),
  };
}

/**
 * Returns the choices that make conflicts, in addition to those of ordinary operations.
 * @throws SetupError if no table has a unique index whose values can move from one row to another.
 */
function conflictChoices(
  plans: readonly RelationPlan[],
  relations: readonly Relation[],
  config: Config,
  parents: ReadonlySet<string>,
): Choice[] {
  const conflicts = conflictsOf(config);
  if (conflicts === null) return [];
  const { weight, free_via: freeVia, reuse_via: reuseVia } = config.generator.force_conflicts;
  const path = ['generator', 'force_conflicts'];
  const { operations } = config.generator;
  if (conflicts.free.length === 0 || conflicts.take.length === 0)
    throw new SetupError([
      config.source.problem(
        path,
        `cannot create conflicts: free_via is [${freeVia.join(', ')}] and reuse_via is [${reuseVia.join(', ')}], but one of them has no operation in common with operations: [${operations.join(', ')}]; add the missing operations`,
      ),
    ]);
  const found = plans.flatMap((plan, relation): Choice[] => {
    const canReuseKey = plan.reusesKey && conflicts.free.includes('delete') && conflicts.take.includes('insert');
    if (!plan.targeted || parents.has(plan.label) || (plan.conflictKeys.length === 0 && !canReuseKey)) return [];
    const operation = conflicts.take.find((kind) => plan.operations[kind]);
    const tableWeight = entryFor(config.generator.table_weights, relations[relation]!) ?? 1;
    if (operation === undefined || tableWeight * weight === 0) return [];
    return [{ relation, operation, weight: tableWeight * weight, isConflict: true }];
  });
  if (found.length === 0)
    throw new SetupError([
      config.source.problem(
        path,
        'no targeted table has a unique index whose values can move from one row to another (its columns must be filled neither by a foreign key nor by the server); add such a table, or remove the key',
      ),
    ]);
  return found;
}

const NONE: ReadonlySet<string> = new Set();

function chooseFrom(
  plans: readonly RelationPlan[],
  relations: readonly Relation[],
  config: Config,
  parents: ReadonlySet<string>,
): Choice[] {
  const { INSERT, UPDATE, DELETE } = config.operationWeights;
  return plans.flatMap((plan, relation) => {
    if (parents.has(plan.label)) return [];
    const tableWeight = entryFor(config.generator.table_weights, relations[relation]!) ?? 1;
    const weights = operationWeightsOf(config, plan.label);
    // Weights of its own leave a table its share of all operations.
    const share = (INSERT + UPDATE + DELETE) / (weights.insert + weights.update + weights.delete);
    return OPERATION_KINDS.flatMap((operation) => {
      const weight = plan.operations[operation] ? tableWeight * weights[operation] * share : 0;
      return weight > 0 ? [{ relation, operation, weight }] : [];
    });
  });
}

/* Left out if every operation has as many rows as the next, so that such a plan is what it has always been. */
function fewest({ insert_rows, update_rows, delete_rows }: GeneratorConfig): Pick<Plan, 'fewestRows'> {
  if ([insert_rows, update_rows, delete_rows].every((rows) => typeof rows === 'number')) return {};
  const least = (rows: CountOrRange) => (typeof rows === 'number' ? rows : rows.min);
  return { fewestRows: { insert: least(insert_rows), update: least(update_rows), delete: least(delete_rows) } };
}
