import type { Claims } from '../lane/claims.js';
import { CompiledPlan } from '../lane/compiled.js';
import { Lane } from '../lane/lane.js';
import { parametersOf, type Transaction } from '../lane/transaction.js';
import type { Finding, Plan } from '../plan/plan.js';

const SAMPLE = 5;

/** The plan in words and the first operations of each lane, as if all were committed. Nothing is written. */
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
      `${relation.label}: ${weights.length === 0 ? 'not chosen' : weights.join(', ')}; ${claims[index]!.count} existing rows known`,
    );
    for (const column of relation.columns)
      lines.push(`  ${column.name} ${column.typeName}: ${column.source}, ${JSON.stringify(column.recipe)}`);
  }
  for (const finding of findings) lines.push('', `${finding.relation}: ${finding.reason}`);
  lines.push('', ...transcript(plan, claims, SAMPLE));
  return `${lines.join('\n')}\n`;
}

/** The first operations of every lane with their SQL and values, all of them taken as committed. */
export function transcript(plan: Plan, claims: readonly Claims[], operations: number): string[] {
  const compiled = new CompiledPlan(plan);
  const silent = { finished: () => undefined, retried: () => undefined, quarantined: () => undefined };
  return plan.quotas.flatMap((_, number) => {
    const lane = new Lane(compiled, number, claims, silent);
    const lines: string[] = [];
    for (let sent = 0; sent < operations; ) {
      const step = lane.next();
      if (step.kind !== 'send') break;
      const { transaction } = step;
      lines.push(...describeTransaction(plan, number, transaction));
      lane.settle(transaction, {
        kind: 'committed',
        rows: transaction.statements.map((statement) => statement.rows),
        returned: transaction.statements.map(() => null),
      });
      sent++;
    }
    return lines;
  });
}

function describeTransaction(plan: Plan, lane: number, transaction: Transaction): string[] {
  const { number, kind, relation } = transaction;
  return [
    `-- lane ${lane}, operation ${number}: ${kind} on ${plan.relations[relation]!.label}`,
    ...transaction.statements.flatMap((statement) => {
      const values = parametersOf(transaction.bytes, statement).map((value) =>
        value === null ? 'NULL' : JSON.stringify(value),
      );
      return [`${statement.shape.sql}`, `  -- ${values.join(', ')}`];
    }),
  ];
}
