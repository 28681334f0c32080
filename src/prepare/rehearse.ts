import type { Catalog, Relation } from '../catalog/model.js';
import type { Draft } from '../plan/build.js';
import type { Finding, OperationKind, Plan, RelationPlan } from '../plan/plan.js';
import { withPossibleUpdates } from './possible-updates.js';
import { type Refusal, type Rehearsing, tryAll } from './trial.js';

/** What the rehearsal has changed: tables whose rows go one by one, operations that are left out, and why. */
export interface Rehearsal {
  readonly plan: Plan;
  readonly findings: readonly Finding[];
}

/* More plain tables than this would cost a second, for nothing that could be found. */
const MOST_PLAIN = 30;

/** Positions of relations. */
interface ToRehearse {
  readonly tables: readonly number[];
  /** Of these, where triggers, rules or row security may mind which columns change. */
  readonly reacting: readonly number[];
}

/** What to rehearse: all tables of a small schema, of a large one those that are not plain. */
export function tablesToRehearse({ plan, relations, findings }: Draft, { types }: Catalog): ToRehearse {
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
  const tables = targeted.length - others.length > MOST_PLAIN ? others : targeted;
  return { tables, reacting: tables.filter((index) => relations[index]!.reacts || relations[index]!.rowSecurity) };
}

/** True for a type whose every value can be made as it is: the server's own, an enum, arrays of them. */
function isPlainType(oid: number, types: Catalog['types']): boolean {
  const type = types.get(oid)!;
  if (type.kind === 'array') return isPlainType(type.element, types);
  return type.kind === 'enum' || (type.kind === 'base' && type.schema === 'pg_catalog');
}

/**
 * Tries one INSERT, UPDATE and DELETE on each of the relations as the first lane would carry them out, and rolls all of it
 * back. So triggers that raise, row security and rules that swallow rows are found before the first write. An INSERT that
 * is refused with several rows is tried with one.
 */
export async function rehearse(
  rehearsing: Rehearsing,
  given: Plan,
  { tables: relations, reacting }: ToRehearse,
): Promise<Rehearsal> {
  const defaulted = await withPossibleDefaults(rehearsing, given, relations);
  const updates = await withPossibleUpdates(rehearsing, defaulted, reacting);
  const { plan } = updates;
  const others = { ...plan, choices: plan.choices.filter((choice) => !updates.isTried(choice)) };
  const refused = [...updates.refused, ...(await tryAll(rehearsing, others, relations))];
  const several = refused.filter(({ kind }) => kind === 'insert').map(({ relation }) => relation);
  if (several.length === 0 || plan.rowsPerOperation.insert === 1) return without(plan, refused, updates.findings);
  const singly = new Set(several);
  const oneByOne = withRowsOneByOne(plan, singly);
  const stillRefused = await tryAll(rehearsing, oneByOne, several);
  const lost = new Set(stillRefused.filter(({ kind }) => kind === 'insert').map(({ relation }) => relation));
  return without(
    withRowsOneByOne(plan, new Set(several.filter((relation) => !lost.has(relation)))),
    [...refused.filter(({ relation }) => !singly.has(relation)), ...stillRefused],
    updates.findings,
  );
}

/** The plan without those defaults that the server refuses to compute: a setting that is not there, a function that may not be called. */
async function withPossibleDefaults(rehearsing: Rehearsing, plan: Plan, among: readonly number[]): Promise<Plan> {
  const asked = among.filter((index) => plan.relations[index]!.defaulted.length > 0);
  if (asked.length === 0) return plan;
  const left = plan.relations.map((relation) => ({
    ...relation,
    insertColumns: relation.insertColumns.filter((column) => !relation.defaulted.includes(column)),
    defaulted: [],
  }));
  const inserts = plan.choices.filter(({ operation }) => operation === 'insert');
  const refused = await tryAll(rehearsing, { ...plan, relations: left, choices: inserts }, asked);
  const impossible = new Set(refused.map(({ relation }) => relation));
  const relations = plan.relations.map((relation, index) =>
    impossible.has(index) ? { ...relation, defaulted: [] } : relation,
  );
  return { ...plan, relations };
}

function withRowsOneByOne(plan: Plan, singly: ReadonlySet<number>): Plan {
  const relations = plan.relations.map((relation, index) =>
    singly.has(index) ? { ...relation, oneByOne: true } : relation,
  );
  return { ...plan, relations };
}

function without(plan: Plan, refused: readonly Refusal[], remarks: readonly Finding[]): Rehearsal {
  const isRefused = (relation: number, kind: OperationKind) =>
    refused.some((each) => each.relation === relation && each.kind === kind);
  const relations = plan.relations.map((relation, index) =>
    refused.some((each) => each.relation === index)
      ? {
          ...relation,
          operations: {
            insert: relation.operations.insert && !isRefused(index, 'insert'),
            update: relation.operations.update && !isRefused(index, 'update'),
            delete: relation.operations.delete && !isRefused(index, 'delete'),
          },
        }
      : relation,
  );
  const choices = plan.choices.filter(({ relation, operation }) => !isRefused(relation, operation));
  const findings = refused.map(
    ({ relation, kind, reason, sqlstate }): Finding => ({
      relation: plan.relations[relation]!.label,
      column: null,
      prevents: [kind],
      reason,
      remedy: remedyFor(plan.relations[relation]!.rows, sqlstate),
    }),
  );
  return { plan: { ...plan, relations, choices }, findings: [...remarks, ...findings] };
}

function remedyFor(table: string, sqlstate: string | null): string {
  // "Object not in prerequisite state": a publication wants to say which row it was.
  if (sqlstate === '55000')
    return `give it a primary key, or ALTER TABLE ${table} REPLICA IDENTITY FULL, or take it out of the publication`;
  return 'generator.column_overrides or exclude_table_list; generator.rehearse: false tries it in the run all the same';
}
