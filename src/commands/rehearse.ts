import pg from 'pg';
import type { Catalog, Relation } from '../catalog/model.js';
import { SetupError } from '../config/problem.js';
import type { Claims } from '../lane/claims.js';
import { CompiledPlan, operationSeeds } from '../lane/compiled.js';
import { Operation } from '../lane/operation.js';
import { type Outcome, reactionTo } from '../lane/outcome.js';
import { OwnedRows } from '../lane/owned.js';
import { RowStore } from '../lane/row-store.js';
import { Transaction } from '../lane/transaction.js';
import type { Draft } from '../plan/build.js';
import type { Finding, OperationKind, Plan, RelationPlan } from '../plan/plan.js';
import { OPERATION_KINDS } from '../plan/plan.js';
import { LaneSession, refusedBy } from '../traffic/lane-session.js';

/** What the rehearsal has changed: tables whose rows go one by one, operations that are left out, and why. */
export interface Rehearsal {
  readonly plan: Plan;
  readonly findings: readonly Finding[];
}

/* Other values, or another row, before an operation counts as impossible. */
const TRIES = 12;
/* Relations per transaction: locks are held until it is rolled back. */
const PER_TRANSACTION = 50;
const MOST_PREPARED = 200;

/* More plain tables than this would cost a second, for nothing that could be found. */
const MOST_PLAIN = 30;

/** Positions of the tables to rehearse: all of a small schema, of a large one those that are not plain. */
export function tablesToRehearse({ plan, relations, findings }: Draft, { types }: Catalog): number[] {
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

/** True for a type whose every value can be made as it is: the server's own, an enum, arrays of them. */
function isPlainType(oid: number, types: Catalog['types']): boolean {
  const type = types.get(oid)!;
  if (type.kind === 'array') return isPlainType(type.element, types);
  return type.kind === 'enum' || (type.kind === 'base' && type.schema === 'pg_catalog');
}

interface Failure {
  readonly reason: string;
  /** Null where the row was not refused, and is not there all the same. */
  readonly sqlstate: string | null;
}

interface Refusal extends Failure {
  readonly kind: OperationKind;
  readonly relation: number;
}

/**
 * Tries one INSERT, UPDATE and DELETE on each of the relations as the first lane would carry them out, and rolls all of it
 * back. So triggers that raise, row security and rules that swallow rows are found before the first write. An INSERT that
 * is refused with several rows is tried with one. `connectLike` opens a pipelined session with settings like those of a lane.
 */
export async function rehearse(
  connectLike: () => Promise<pg.Client>,
  given: Plan,
  claims: readonly Claims[],
  relations: readonly number[],
): Promise<Rehearsal> {
  const plan = await withPossibleDefaults(connectLike, given, claims, relations);
  const refused = await tryAll(connectLike, plan, claims, relations);
  const several = refused.filter(({ kind }) => kind === 'insert').map(({ relation }) => relation);
  if (several.length === 0 || plan.rowsPerOperation.insert === 1) return without(plan, refused);
  const singly = new Set(several);
  const oneByOne = withRowsOneByOne(plan, singly);
  const stillRefused = await tryAll(connectLike, oneByOne, claims, several);
  const lost = new Set(stillRefused.filter(({ kind }) => kind === 'insert').map(({ relation }) => relation));
  return without(withRowsOneByOne(plan, new Set(several.filter((relation) => !lost.has(relation)))), [
    ...refused.filter(({ relation }) => !singly.has(relation)),
    ...stillRefused,
  ]);
}

/** The plan without those defaults that the server refuses to compute: a setting that is not there, a function that may not be called. */
async function withPossibleDefaults(
  connectLike: () => Promise<pg.Client>,
  plan: Plan,
  claims: readonly Claims[],
  among: readonly number[],
): Promise<Plan> {
  const asked = among.filter((index) => plan.relations[index]!.defaulted.length > 0);
  if (asked.length === 0) return plan;
  const left = plan.relations.map((relation) => ({
    ...relation,
    insertColumns: relation.insertColumns.filter((column) => !relation.defaulted.includes(column)),
    defaulted: [],
  }));
  const inserts = plan.choices.filter(({ operation }) => operation === 'insert');
  const refused = await tryAll(connectLike, { ...plan, relations: left, choices: inserts }, claims, asked);
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

function without(plan: Plan, refused: readonly Refusal[]): Rehearsal {
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
  return { plan: { ...plan, relations, choices }, findings };
}

/** Where an operation is tried. */
interface Stage {
  readonly session: LaneSession;
  /** Rejects when the connection is lost. */
  readonly lost: Promise<never>;
  readonly compiled: CompiledPlan;
}

function remedyFor(table: string, sqlstate: string | null): string {
  // "Object not in prerequisite state": a publication wants to say which row it was.
  if (sqlstate === '55000')
    return `give it a primary key, or ALTER TABLE ${table} REPLICA IDENTITY FULL, or take it out of the publication`;
  return 'generator.column_overrides or exclude_table_list; generator.rehearse: false tries it in the run all the same';
}

async function tryAll(
  connectLike: () => Promise<pg.Client>,
  plan: Plan,
  claims: readonly Claims[],
  relations: readonly number[],
): Promise<Refusal[]> {
  const compiled = new CompiledPlan(plan);
  const client = await connectLike();
  let lose: (reason: string) => void = () => undefined;
  const lost = new Promise<never>((_, reject) => {
    lose = (reason) => reject(SetupError.of('the rehearsal', `the connection was lost (${reason})`));
  });
  lost.catch(() => undefined);
  const stage = { session: new LaneSession(client, MOST_PREPARED, (reason) => lose(reason)), lost, compiled };
  const refusals: Refusal[] = [];
  const chosen = new Set(plan.choices.map(({ relation, operation }) => `${relation}/${operation}`));
  try {
    for (let from = 0; from < relations.length; from += PER_TRANSACTION) {
      const rows = new OwnedRows(compiled, new RowStore(compiled, 0, claims));
      await client.query('BEGIN');
      for (const relation of relations.slice(from, from + PER_TRANSACTION)) {
        for (const kind of OPERATION_KINDS) {
          if (!chosen.has(`${relation}/${kind}`)) continue;
          const failure = await tryOne(stage, rows, relation, kind);
          if (failure !== null) refusals.push({ relation, kind, ...failure });
        }
      }
      await client.query('ROLLBACK');
    }
    return refusals;
  } catch (error) {
    // Refusals were dealt with where they came: of the server's errors the connection's end is left.
    const isLoss = error instanceof pg.DatabaseError || /connection|queryable/i.test((error as Error).message);
    if (error instanceof SetupError || !isLoss) throw error;
    throw SetupError.of('the rehearsal', `the connection was lost (${(error as Error).message}); try again`);
  } finally {
    await stage.session.close();
  }
}

/** Why an operation is not possible; null where it took effect, or where there is no row for it. */
async function tryOne(
  { session, lost, compiled }: Stage,
  rows: OwnedRows,
  relation: number,
  kind: OperationKind,
): Promise<Failure | null> {
  if (!rows.possible(relation, kind)) return null;
  const operation = new Operation(0, relation, kind, kind);
  const lane = compiled.laneSeeds(0);
  let failure: Failure | null = null;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    operation.attempt = attempt;
    if (rows.generate(operation, operationSeeds(lane, relation, attempt)) !== 'written') return failure;
    await session.client.query('SAVEPOINT rehearsal');
    const outcome = await execute(session, lost, Transaction.of(operation));
    if (outcome.kind === 'committed') {
      const effect = outcome.effects[0]!;
      rows.applied(operation, effect);
      const hasEffect = operation.statements.every(({ own }, index) => !own || effect.rows[index]! > 0);
      const reason = `${kind.toUpperCase()} has no effect: a trigger, a rule or row security keeps the row`;
      return hasEffect ? null : { sqlstate: null, reason };
    }
    rows.undone(operation, false);
    const reaction = reactionTo(outcome.sqlstate, kind);
    // What passes by itself says nothing about the table.
    if (reaction === 'replay') return null;
    const { sqlstate, message } = outcome;
    failure = { sqlstate, reason: `${kind.toUpperCase()} was tried and refused (${sqlstate}: ${message})` };
    if (reaction === 'reject') return failure;
  }
  return failure;
}

/** Sends a transaction within a savepoint, as a lane would, and has deferred constraints looked at. */
async function execute(session: LaneSession, lost: Promise<never>, transaction: Transaction): Promise<Outcome> {
  const { client } = session;
  const sent = new Promise<Outcome>((resolve) => session.send(transaction, resolve));
  const outcome = await Promise.race([sent, lost]);
  try {
    if (outcome.kind === 'committed')
      await client.query('SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED; RELEASE SAVEPOINT rehearsal');
    else await client.query('ROLLBACK TO SAVEPOINT rehearsal');
    return outcome;
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    await client.query('ROLLBACK TO SAVEPOINT rehearsal');
    return refusedBy(error, 0);
  }
}
