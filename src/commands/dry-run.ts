import { Lane } from '../lane/lane.js';
import { parametersOf } from '../lane/messages/bind.js';
import type { Operation } from '../lane/messages/operation.js';
import type { Transaction } from '../lane/messages/transaction.js';
import { play, SILENT } from '../lane/play.js';
import type { Claims } from '../lane/rows/claims.js';
import { CompiledPlan } from '../lane/rows/compiled.js';
import { type Finding, OPERATION_KINDS, type Plan } from '../plan/plan.js';
import { columnInWords } from '../plan/recipe-words.js';
import { cutLists } from './cut-lists.js';
import { quoted } from './explain.js';

/* Columns of a table, and values of a statement, that are shown. */
const MOST_LISTED = 6;
/* Operations of each lane that are looked through for a sample of each kind. */
const MOST_OPERATIONS = 2000;

/**
 * Describes what a run would do: per table its operations, how its columns get their values, and one sample statement
 * per operation, as if everything were committed. Writes nothing.
 */
export function dryRunText(plan: Plan, claims: readonly Claims[], findings: readonly Finding[]): string {
  const { quotas, pipelineDepth, rowSelection, randomSeed, fakerSeed } = plan;
  const samples = sampleOperations(plan, claims);
  const lines = [
    'A dry run: nothing is written.',
    `${quotas.length} connections at depth ${pipelineDepth}, rows ${rowSelection}, seeds ${randomSeed}/${fakerSeed}`,
  ];
  for (const [index, relation] of plan.relations.entries()) {
    if (!relation.targeted) continue;
    lines.push(
      '',
      ...tableLines(plan, index, claims[index]!.count),
      ...findings.filter((finding) => finding.relation === relation.label).map(findingLine),
      ...OPERATION_KINDS.flatMap((kind) => samples.get(`${index}/${kind}`) ?? []),
    );
  }
  return `${lines.join('\n')}\n`;
}

function tableLines(plan: Plan, index: number, existing: number): string[] {
  const relation = plan.relations[index]!;
  const weights = plan.choices
    .filter((choice) => choice.relation === index)
    .map(({ operation, weight }) => `${operation.toUpperCase()} ${Number(weight.toPrecision(3))}`);
  const { columns } = relation;
  const listed = columns.slice(0, MOST_LISTED);
  const width = Math.max(0, ...listed.map(({ name, typeName }) => name.length + typeName.length + 1));
  return [
    `${relation.label}: ${weights.length === 0 ? 'no operation runs' : `${weights.join(', ')} (weights)`}; ${existing} existing rows may change`,
    ...listed.map(
      ({ name, typeName }, position) =>
        `  ${`${name} ${typeName}`.padEnd(width)}  ${columnInWords(relation, position)}`,
    ),
    ...more('  ', columns.length - listed.length, 'columns; inspect lists all'),
  ];
}

function findingLine({ column, prevents, reason, remedy }: Finding): string {
  const effect = prevents.length === 0 ? '' : `, so no ${prevents.join(', ').toUpperCase()}`;
  return `  ! ${column === null ? '' : `${column}: `}${reason}${effect} (${remedy})`;
}

/** Returns a sample of each operation on each table in text, by index of the table and kind. */
function sampleOperations(plan: Plan, claims: readonly Claims[]): ReadonlyMap<string, readonly string[]> {
  const compiled = new CompiledPlan(plan);
  const samples = new Map<string, readonly string[]>();
  for (const number of plan.quotas.keys()) {
    let played = 0;
    for (const { members } of play(new Lane(compiled, number, claims, SILENT))) {
      for (const { operation } of members) {
        const key = `${operation.relation}/${operation.kind}`;
        // As text at once, because the lane uses the memory of an operation again.
        if (!samples.has(key)) samples.set(key, sampleLines(operation));
      }
      played += members.length;
      if (samples.size === plan.choices.length || played >= MOST_OPERATIONS) break;
    }
  }
  return samples;
}

/** Returns the statement that writes most rows, and the first of its values. */
function sampleLines({ statements, bytes }: Operation): string[] {
  const statement = statements.reduce((most, each) => (each.rows > most.rows ? each : most));
  const values = parametersOf(bytes, statement).map(quoted);
  return [
    `  ${cutLists(statement.shape.sql, MOST_LISTED)}`,
    `    -- ${values.slice(0, MOST_LISTED).join(', ')}${values.length > MOST_LISTED ? `, … ${values.length - MOST_LISTED} more values` : ''}`,
  ];
}

function more(indent: string, count: number, what: string): string[] {
  return count > 0 ? [`${indent}… ${count} more ${what}`] : [];
}

/** Returns the first operations of every lane with SQL and values, as if all went as intended. */
export function transcript(plan: Plan, claims: readonly Claims[], operations: number): string[] {
  const compiled = new CompiledPlan(plan);
  return plan.quotas.flatMap((_, number) => {
    const lines: string[] = [];
    let sent = 0;
    for (const transaction of play(new Lane(compiled, number, claims, SILENT))) {
      lines.push(...describeTransaction(plan, number, transaction));
      sent += transaction.members.length;
      if (sent >= operations) break;
    }
    return lines;
  });
}

function describeTransaction(plan: Plan, lane: number, transaction: Transaction): string[] {
  const { members, isBlock } = transaction;
  if (!isBlock) return describeOperation(plan, lane, members[0]!.operation);
  const lines: string[] = [];
  let last = -1;
  for (const { shape, member, statement } of transaction.executions()) {
    if (statement === null) lines.push(shape.sql);
    else if (member !== last) lines.push(...describeOperation(plan, lane, members[member]!.operation));
    last = member >= 0 ? member : last;
  }
  return lines;
}

function describeOperation(
  plan: Plan,
  lane: number,
  { number, kind, relation, statements, bytes }: Operation,
): string[] {
  return [
    `-- lane ${lane}, operation ${number}: ${kind} on ${plan.relations[relation]!.label}`,
    ...statements.flatMap((statement) => {
      const values = parametersOf(bytes, statement).map(quoted);
      return [`${statement.shape.sql}`, `  -- ${values.join(', ')}`];
    }),
  ];
}
