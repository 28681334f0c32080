import type pg from 'pg';
import { quoteIdentifier, quoteQualified, type Relation } from '../catalog/model.js';
import type { Plan } from '../plan/plan.js';

/** A sequence of the database whose column we give values to. */
export interface OwnedSequence {
  /** Qualified and quoted, as regclass reads it. */
  readonly name: string;
  /** Table and column, quoted. */
  readonly table: string;
  readonly column: string;
  /** The first value that the run uses. */
  readonly start: number;
  /** Up to here values are kept free for it. */
  readonly end: number;
}

/** Values kept free for a run without an end; a run with one reserves what it can use at most. */
const OPEN_ENDED_BLOCK = 1_000_000_000;

/** Identity and serial columns that the plan writes itself. */
export function ownedSequences(plan: Plan, relations: readonly Relation[]): OwnedSequence[] {
  const size = blockSize(plan);
  return plan.relations.flatMap((relation, index) =>
    relation.columns.flatMap((column, position) => {
      const { sequence } = relations[index]!.attributes[position]!;
      if (sequence === null || column.source !== 'ordinal' || column.recipe.kind !== 'sequence') return [];
      return [
        {
          name: sequence,
          table: quoteQualified(relations[index]!),
          column: quoteIdentifier(column.name),
          start: column.recipe.start,
          end: column.recipe.start + size,
        },
      ];
    }),
  );
}

/** The most values that a run can use of one sequence. */
function blockSize(plan: Plan): number {
  const operations = plan.quotas.reduce((sum, quota) => sum + quota, 0);
  if (plan.quotas.some((quota) => quota < 0)) return OPEN_ENDED_BLOCK;
  // Each row may bring a parent along, lanes stride over each other, and retries use values up.
  const rows = operations * Math.max(plan.rowsPerOperation.insert, plan.rowsPerOperation.update);
  return Math.min(OPEN_ENDED_BLOCK, rows * 2 * plan.quotas.length + 1000);
}

/**
 * Moves sequences past the values that the run will use, before the first write: the application can go on inserting
 * beside it, and also after a kill -9 of ours. Returns the sequences that it may not move, with the reason.
 */
export async function reserveSequences(client: pg.Client, sequences: readonly OwnedSequence[]): Promise<string[]> {
  const refused: string[] = [];
  for (const { name, end } of sequences) {
    const reason = await moveSequence(client, name, '$2::bigint', [end]);
    if (reason !== null) refused.push(reason);
  }
  return refused;
}

/**
 * Moves sequences back to the exact end, after the last write: the highest value that stands in the table. One that the
 * application has used since the reservation stays: what it took last may not stand in the table yet.
 */
export async function settleSequences(client: pg.Client, sequences: readonly OwnedSequence[]): Promise<void> {
  for (const { name, table, column, start, end } of sequences) {
    const highest = `greatest((SELECT max(${column}) FROM ${table}), $2::bigint)`;
    const untouched = ` AND (SELECT last_value FROM ${name}) = ${WITHIN_BOUNDS('$3::bigint')}`;
    await moveSequence(client, name, highest, [Math.max(1, start - 1), end], untouched);
  }
}

const WITHIN_BOUNDS = (value: string) => `greatest(s.seqmin, least(s.seqmax, (${value})))`;

/* `setval` refuses what lies beyond the sequence's bounds, so the value is kept within them. */
async function moveSequence(
  client: pg.Client,
  name: string,
  value: string,
  parameters: readonly number[],
  condition = '',
): Promise<string | null> {
  try {
    await client.query(
      `SELECT setval($1::regclass, ${WITHIN_BOUNDS(value)}) FROM pg_sequence AS s WHERE s.seqrelid = $1::regclass${condition}`,
      [name, ...parameters],
    );
    return null;
  } catch (error) {
    return `${name}: ${(error as Error).message}`;
  }
}
