import { Lane } from '../lane/lane.js';
import { parametersOf } from '../lane/messages/bind.js';
import type { Operation } from '../lane/messages/operation.js';
import type { Transaction } from '../lane/messages/transaction.js';
import { play, SILENT } from '../lane/play.js';
import type { Claims } from '../lane/rows/claims.js';
import { CompiledPlan } from '../lane/rows/compiled.js';
import type { Finding, Plan } from '../plan/plan.js';
import { quoted } from './explain.js';

const SAMPLE = 5;

/** Describes the plan and the first operations of each lane, as if all were committed. Writes nothing. */
export function dryRunText(plan: Plan, claims: readonly Claims[], findings: readonly Finding[]): string {
  const lines = [
    `plan: ${plan.quotas.length} lanes at depth ${plan.pipelineDepth}, rows ${plan.rowSelection}, seeds ${plan.randomSeed}/${plan.fakerSeed}`,
  ];
  for (const [index, relation] of plan.relations.entries()) {
    const weights = plan.choices
      .filter((choice) => choice.relation === index)
      .map((choice) => `${choice.operation} ${choice.weight}`);
    lines.push(
      '',
      `${relation.label}: ${weights.length === 0 ? 'no operations' : weights.join(', ')}; ${claims[index]!.count} existing rows claimed`,
    );
    for (const column of relation.columns)
      lines.push(`  ${column.name} ${column.typeName}: ${column.source}, ${JSON.stringify(column.recipe)}`);
  }
  for (const finding of findings) lines.push('', `${finding.relation}: ${finding.reason}`);
  lines.push('', ...transcript(plan, claims, SAMPLE));
  return `${lines.join('\n')}\n`;
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
