import { SetupError } from '../config/problem.js';
import type { ClaimSet } from '../lane/claims.js';
import { CompiledPlan } from '../lane/compiled.js';
import { Lane } from '../lane/lane.js';
import { parametersOf, type Statement, type Transaction } from '../lane/transaction.js';
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
 * @throws SetupError where the plan has no such lane or operation.
 */
export function explain(plan: Plan, claims: ClaimSet, place: Place): string {
  const { lane, operation } = place;
  const where = `--explain ${lane}:${operation}`;
  const quota = plan.quotas[lane];
  if (quota === undefined)
    throw SetupError.of(where, `there is no lane ${lane}; the plan's lanes are 0 to ${plan.quotas.length - 1}`);
  if (quota >= 0 && operation >= quota)
    throw SetupError.of(
      where,
      `lane ${lane} has operations 0 to ${quota - 1} (${quota} by its share of num_iterations)`,
    );
  if (plan.rowSelection === 'system_rows')
    throw SetupError.of(where, 'with row_selection: system_rows the server chooses the rows; set a seed, or owned');
  const transaction = transactionAt(plan, claims, place);
  if (transaction === undefined) throw SetupError.of(where, 'no table had a row or room for it');
  const known = claims.reduce((sum, claim) => sum + claim.count, 0);
  const lines = [
    `Seeds ${plan.randomSeed}/${plan.fakerSeed}, generator_version ${plan.generatorVersion}. Assumed: every operation of lane ${lane} before this one was committed as intended.`,
    known === 0
      ? 'The plan holds no existing rows: it depends on no database contents.'
      : `The plan holds ${known} existing rows: it is that of a run only on the database as it was before that run (or from its --plan file).`,
    '',
    `lane ${lane}, operation ${operation}: ${describeKind(transaction)} on ${plan.relations[transaction.relation]!.label}`,
  ];
  for (const statement of transaction.statements) lines.push('', ...describeStatement(plan, transaction, statement));
  return `${lines.join('\n')}\n`;
}

/** Plays a lane up to an operation, all of it committed. */
function transactionAt(plan: Plan, claims: ClaimSet, { lane: number, operation }: Place): Transaction | undefined {
  const silent = { finished: () => undefined, retried: () => undefined, quarantined: () => undefined };
  const lane = new Lane(new CompiledPlan(plan), number, claims, silent);
  for (;;) {
    const step = lane.next();
    if (step.kind !== 'send') return undefined;
    const { transaction } = step;
    if (transaction.number === operation) return transaction;
    if (transaction.number > operation) return undefined;
    const rows = transaction.statements.map((statement) => statement.rows);
    lane.settle(transaction, { kind: 'committed', rows, returned: rows.map(() => null) });
  }
}

function describeKind({ kind, drawn }: Transaction): string {
  return kind === drawn
    ? kind.toUpperCase()
    : `${kind.toUpperCase()} (drawn as ${drawn.toUpperCase()}, which stays owed)`;
}

function describeStatement(plan: Plan, { bytes }: Transaction, statement: Statement): string[] {
  const { shape, kind, own, cascade } = statement;
  const relation = plan.relations[statement.relation]!;
  const values = parametersOf(bytes, statement);
  const lines = own ? [] : [`-- a parent that was missing, in ${relation.label}`];
  lines.push(shape.sql);
  if (kind === 'insert' && statement.also.length === 0) {
    const columns = relation.insertColumns;
    for (let row = 0; row * columns.length < values.length; row++) {
      lines.push(`  row ${row + 1}`);
      for (const [index, column] of columns.entries())
        lines.push(describeValue(relation, column, values[row * columns.length + index]!));
    }
  } else {
    for (const [index, value] of values.entries()) lines.push(`    $${index + 1} = ${quoted(value)}`);
  }
  for (const row of cascade?.deleted ?? []) lines.push(`  takes along a row of ${plan.relations[row.relation]!.label}`);
  for (const row of cascade?.nulled ?? []) lines.push(`  sets a key of ${plan.relations[row.relation]!.label} to NULL`);
  return lines;
}

function describeValue(relation: RelationPlan, column: number, value: string | null): string {
  const { name, source } = relation.columns[column]!;
  return `    ${name} = ${quoted(value)}${source === 'drawn' ? '' : ` (${source})`}`;
}

function quoted(value: string | null): string {
  return value === null ? 'NULL' : JSON.stringify(value);
}
