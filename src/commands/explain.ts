import { SetupError } from '../config/problem.js';
import type { LanePast } from '../history/lane-log.js';
import { barrierOf, replay } from '../history/replay.js';
import { Lane } from '../lane/lane.js';
import { parametersOf } from '../lane/messages/bind.js';
import type { Operation, Statement } from '../lane/messages/operation.js';
import { isUntold } from '../lane/messages/outcome.js';
import type { Member, Transaction } from '../lane/messages/transaction.js';
import { SILENT } from '../lane/play.js';
import type { ClaimSet } from '../lane/rows/claims.js';
import { CompiledPlan } from '../lane/rows/compiled.js';
import type { Plan, RelationPlan } from '../plan/plan.js';

/** A lane and the number of one of its operations, both from 0: `1:42`. */
export interface Place {
  readonly lane: number;
  readonly operation: number;
}

/** Reads `LANE:N`; undefined for anything else. */
export function parsePlace(text: string): Place | undefined {
  const match = /^(\d{1,9}):(\d{1,15})$/.exec(text);
  return match === null ? undefined : { lane: Number(match[1]), operation: Number(match[2]) };
}

/**
 * Replays a lane in memory and describes one of its operations.
 * @throws SetupError if the plan has no such lane or operation.
 */
export function explain(plan: Plan, claims: ClaimSet, place: Place, pasts?: readonly LanePast[]): string {
  const { lane, operation } = place;
  const where = `--explain ${lane}:${operation}`;
  const quota = plan.quotas[lane];
  if (quota === undefined)
    throw SetupError.of(where, `there is no lane ${lane}; the plan has lanes 0 to ${plan.quotas.length - 1}`);
  if (quota >= 0 && operation >= quota)
    throw SetupError.of(
      where,
      `lane ${lane} has operations 0 to ${quota - 1} only (its share of num_iterations is ${quota})`,
    );
  if (plan.rowSelection === 'system_rows')
    throw SetupError.of(
      where,
      'cannot explain a run with row_selection: system_rows, because the server chooses its rows; set row_selection: owned',
    );
  let described: string | undefined;
  // A rejected operation is sent again, perhaps with other values, so the last attempt counts.
  for (const found of sendsOf(plan, claims, place, pasts?.[lane]))
    described = describe(plan, claims, place, found, pasts);
  if (described === undefined)
    throw SetupError.of(where, 'this operation failed, because no table had a row to change or room for a new one');
  return described;
}

function describe(
  plan: Plan,
  claims: ClaimSet,
  { lane, operation }: Place,
  { transaction, member }: Found,
  pasts: readonly LanePast[] | undefined,
): string {
  const done = member.operation;
  const known = claims.reduce((sum, claim) => sum + claim.count, 0);
  const lines = [
    `Seeds ${plan.randomSeed}/${plan.fakerSeed}, generator_version ${plan.generatorVersion}. ${
      pasts === undefined
        ? `Assumption: every earlier operation of lane ${lane} succeeded as planned.`
        : `The outcomes of lane ${lane}'s earlier operations are taken from the history.`
    }`,
    known === 0
      ? 'The plan contains no existing rows, so it does not depend on the contents of the database.'
      : `The plan contains ${known} existing rows. It is the plan of a run only if the database is as it was before that run, or if --plan reads the plan of that run.`,
    '',
    `lane ${lane}, operation ${operation}: ${describeKind(done)} on ${plan.relations[done.relation]!.label}`,
  ];
  if (transaction.isBlock) lines.push(describePlace(transaction, member));
  for (const statement of done.statements) lines.push('', ...describeStatement(plan, done, statement));
  return `${lines.join('\n')}\n`;
}

interface Found {
  readonly transaction: Transaction;
  readonly member: Member;
}

/** Replays a lane up to an operation: as its past says, otherwise as intended. */
function* sendsOf(plan: Plan, claims: ClaimSet, { lane: number, operation }: Place, past?: LanePast): Generator<Found> {
  const lane = new Lane(new CompiledPlan(plan), number, claims, SILENT, barrierOf(past));
  for (const transaction of replay(lane, past)) {
    const member = transaction.members.find((each) => each.operation.number === operation);
    if (member !== undefined) yield { transaction, member };
    // The operation and everything before it are final.
    else if (lane.operations > operation) return;
  }
}

/** Describes the place of an operation in a transaction of several, and whether its effect remains. */
function describePlace({ members, rollsBack }: Transaction, member: Member): string {
  const numbers = members.map(({ operation }) => operation.number);
  const among = `in one transaction with operations ${numbers[0]} to ${numbers[numbers.length - 1]}`;
  if (rollsBack) return `${among}, which is rolled back on purpose`;
  switch (member.savepoint) {
    case 'none':
      return among;
    case 'released':
      return `${among}, in a savepoint that is released`;
    case 'rolled back':
      return `${among}, in a savepoint that is rolled back on purpose`;
  }
}

function describeKind({ kind, drawn }: Operation): string {
  return kind === drawn
    ? kind.toUpperCase()
    : `${kind.toUpperCase()} (in place of a ${drawn.toUpperCase()}, which is made up for later)`;
}

function describeStatement(plan: Plan, { bytes }: Operation, statement: Statement): string[] {
  const { shape, kind, own, cascade } = statement;
  const relation = plan.relations[statement.relation]!;
  const values = parametersOf(bytes, statement);
  const lines = own ? [] : [`-- inserts a missing parent into ${relation.label}`];
  lines.push(shape.sql);
  if (kind === 'insert' && statement.also.length === 0) {
    const columns = statement.written;
    for (let row = 0; row * columns.length < values.length; row++) {
      lines.push(`  row ${row + 1}`);
      for (const [index, column] of columns.entries())
        lines.push(describeValue(relation, column, values[row * columns.length + index]!));
    }
  } else {
    for (const [index, value] of values.entries()) lines.push(`    $${index + 1} = ${quoted(value)}`);
  }
  for (const row of cascade?.deleted ?? [])
    lines.push(`  also deletes a row of ${plan.relations[row.relation]!.label} (ON DELETE CASCADE)`);
  for (const row of cascade?.nulled ?? [])
    lines.push(`  sets a foreign key of ${plan.relations[row.relation]!.label} to NULL`);
  return lines;
}

function describeValue(relation: RelationPlan, column: number, value: string | null): string {
  const { name, source } = relation.columns[column]!;
  return `    ${name} = ${quoted(value)}${source === 'drawn' ? '' : ` (${source})`}`;
}

/** Returns a value in readable form. */
export function quoted(value: string | null): string {
  if (value === null) return 'NULL';
  return isUntold(value) ? `(returned by the server for ${value.slice(1)})` : JSON.stringify(value);
}
