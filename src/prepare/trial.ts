import pg from 'pg';
import { SetupError } from '../config/problem.js';
import type { Claims } from '../lane/claims.js';
import { CompiledPlan, operationSeeds } from '../lane/compiled.js';
import { Operation } from '../lane/operation.js';
import { type Outcome, reactionTo } from '../lane/outcome.js';
import { OwnedRows } from '../lane/owned.js';
import { RowStore } from '../lane/row-store.js';
import { Transaction } from '../lane/transaction.js';
import { OPERATION_KINDS, type OperationKind, type Plan } from '../plan/plan.js';
import { LaneSession, refusedBy } from '../traffic/lane-session.js';

/* Other values, or another row, before an operation counts as impossible. */
const TRIES = 12;
/* Relations per transaction: locks are held until it is rolled back. */
const PER_TRANSACTION = 50;
const MOST_PREPARED = 200;

/** Why an operation is not possible. */
interface Failure {
  readonly reason: string;
  /** Null where the row was not refused, and is not there all the same. */
  readonly sqlstate: string | null;
}

export interface Refusal extends Failure {
  readonly kind: OperationKind;
  readonly relation: number;
}

/** Where operations are tried, and with which rows that are there. */
export interface Rehearsing {
  /** Opens a pipelined session with settings like those of a lane. */
  readonly connectLike: () => Promise<pg.Client>;
  readonly claims: readonly Claims[];
}

/** A session with the plan whose operations are tried on it. */
interface Stage {
  readonly session: LaneSession;
  /** Rejects when the connection is lost. */
  readonly lost: Promise<never>;
  readonly compiled: CompiledPlan;
}

/** Tries what the plan's choices name on each of the relations, and rolls all of it back; what was refused. */
export async function tryAll(
  { connectLike, claims }: Rehearsing,
  plan: Plan,
  relations: readonly number[],
): Promise<Refusal[]> {
  const compiled = new CompiledPlan(plan);
  const client = await connectLike();
  let lose: (reason: string) => void = () => undefined;
  const lost = new Promise<never>((_, reject) => {
    lose = (reason) => reject(SetupError.of('the rehearsal', `the connection was lost (${reason})`));
  });
  lost.catch(() => undefined);
  const stage = {
    session: new LaneSession(client, MOST_PREPARED, { onLost: (reason) => lose(reason), onReceipt: () => undefined }),
    lost,
    compiled,
  };
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
  const sent = new Promise<Outcome>((resolve) => session.sendAlone(transaction, resolve));
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
