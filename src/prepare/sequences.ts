import pg from 'pg';
import { quoteIdentifier, quoteQualified, type Relation } from '../catalog/model.js';
import type { SequenceForm } from '../datum/recipe.js';
import type { Plan } from '../plan/plan.js';

/** A sequence of the database for whose columns the run generates values. */
export interface WrittenSequence {
  /** Qualified and quoted, as regclass reads it. */
  readonly name: string;
  /** One, unless defaults of several columns draw from the sequence. */
  readonly columns: readonly WrittenColumn[];
  /**
   * Its last value before the run, below which it is never set. Null if a column owns it: then the
   * highest value in the table is the last one in use.
   */
  readonly before: string | null;
}

interface WrittenColumn {
  /** Table and column, quoted. */
  readonly table: string;
  readonly column: string;
  /** The value after the highest existing one, where the sequence continues if the run leaves no higher value. */
  readonly start: number;
  /** The last value reserved for the run. */
  readonly end: number;
  /** True if higher keys may exist in partitions that take no part. */
  readonly isBanded?: boolean;
}

/** Number of values reserved for a run without end. Other runs reserve the most that they can use. */
const OPEN_ENDED_BLOCK = 1_000_000_000;

/** Returns the sequences behind identity and serial columns, and behind defaults, whose values the plan makes itself. */
export async function writtenSequences(
  client: pg.Client,
  plan: Plan,
  relations: readonly Relation[],
): Promise<WrittenSequence[]> {
  const size = blockSize(plan);
  const found = new Map<string, { columns: WrittenColumn[]; isOwned: boolean }>();
  for (const [index, relation] of plan.relations.entries()) {
    for (const [position, column] of relation.columns.entries()) {
      const { sequence, ownsSequence } = relations[index]!.attributes[position]!;
      if (sequence === null || column.source !== 'ordinal' || column.recipe.kind !== 'sequence') continue;
      const { form, start } = column.recipe;
      const block = blockOf(form, start, size);
      if (block === null) continue;
      const entry = found.get(sequence) ?? { columns: [], isOwned: ownsSequence };
      const written = { table: quoteQualified(relations[index]!), column: quoteIdentifier(column.name), ...block };
      found.set(sequence, { columns: [...entry.columns, written], isOwned: entry.isOwned && ownsSequence });
    }
  }
  const shared = [...found].flatMap(([name, { isOwned }]) => (isOwned ? [] : [name]));
  const before = await lastValues(client, shared);
  return [...found].map(([name, { columns }]) => ({ name, columns, before: before.get(name) ?? null }));
}

/** Returns the last values of sequences as they are now, without those that were never used or may not be read. */
async function lastValues(client: pg.Client, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  if (names.length === 0) return new Map();
  const { rows } = await client.query<{ name: string; value: string | null }>(
    `SELECT name, CASE WHEN has_sequence_privilege(to_regclass(name), 'SELECT')
       THEN pg_sequence_last_value(to_regclass(name)) END::text AS value FROM unnest($1::text[]) AS given (name)`,
    [names],
  );
  return new Map(rows.flatMap(({ name, value }) => (value === null ? [] : [[name, value] as const])));
}

/** Returns the block to reserve for a column of this form; null if its values cannot collide with the sequence. */
function blockOf(
  form: SequenceForm,
  start: number,
  size: number,
): Pick<WrittenColumn, 'start' | 'end' | 'isBanded'> | null {
  switch (form.kind) {
    case 'integer':
      return { start, end: start + size };
    case 'decimal':
      return form.scale === 0 ? { start, end: start + size } : null;
    case 'bands': {
      if (blockOf(form.of, 0, 0) === null) return null;
      // The application continues after the highest value of all, wherever it is.
      const last = form.bands.reduce((high, band) => (band.first > high.first ? band : high));
      return { start: form.highest + 1, end: last.first + Math.min(last.count, size), isBanded: true };
    }
    // A text column: generated texts cannot equal numbers of the sequence.
    default:
      return null;
  }
}

/** Returns the most values that a run can use of one sequence. */
function blockSize(plan: Plan): number {
  const operations = plan.quotas.reduce((sum, quota) => sum + quota, 0);
  if (plan.quotas.some((quota) => quota < 0)) return OPEN_ENDED_BLOCK;
  // Each row may need a new parent, lanes take every n-th value, and retries use values up.
  const rows = operations * Math.max(plan.rowsPerOperation.insert, plan.rowsPerOperation.update);
  return Math.min(OPEN_ENDED_BLOCK, rows * 2 * plan.quotas.length + 1000);
}

/**
 * Moves sequences past the values that the run will use, before the first write: the application can go on inserting
 * beside it, and also after a kill -9 of ours. Returns the sequences that it may not move, with the reason.
 */
export async function reserveSequences(client: pg.Client, sequences: readonly WrittenSequence[]): Promise<string[]> {
  return moveAll(
    client,
    sequences.map((sequence) => {
      const ends = sequence.columns.map(({ table, column, end, isBanded }) =>
        isBanded ? `greatest(${end}, (SELECT max(${column}) FROM ${table}))` : String(end),
      );
      return { name: sequence.name, move: moving(sequence.name, highestOf(sequence, ends)) };
    }),
  );
}

function highestOf({ before }: WrittenSequence, values: readonly string[]): string {
  return `greatest(${[...values, ...(before === null ? [] : [before])].join(', ')})`;
}

/**
 * Moves sequences back to the exact end, after the last write: the highest value that stands in the table. One that the
 * application has used since the reservation stays: what it took last may not stand in the table yet.
 */
export async function settleSequences(client: pg.Client, sequences: readonly WrittenSequence[]): Promise<void> {
  await moveAll(
    client,
    sequences.map((sequence) => {
      const { name, columns } = sequence;
      const used = columns.flatMap(({ table, column, start }) => [
        `(SELECT max(${column}) FROM ${table})`,
        String(Math.max(1, start - 1)),
      ]);
      const reserved = highestOf(
        sequence,
        columns.map(({ end }) => String(end)),
      );
      const untouched = ` AND (SELECT last_value FROM ${name}) = ${withinBounds(reserved)}`;
      return { name, move: moving(name, highestOf(sequence, used)) + untouched };
    }),
  );
}

interface Move {
  readonly name: string;
  readonly move: string;
}

/* With thousands of sequences, one round trip for each would take seconds, and so would one statement for all. */
const MOVES_PER_STATEMENT = 100;

/**
 * Carries moves out, many at once, and those one by one that we have no privilege for. Returns why which was refused.
 * `setval` is not undone with its statement: what may be refused must not stand beside others, which would be moved twice.
 */
async function moveAll(client: pg.Client, moves: readonly Move[]): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT name FROM unnest($1::text[]) AS given (name) WHERE has_sequence_privilege(to_regclass(name), 'UPDATE') AND has_sequence_privilege(to_regclass(name), 'SELECT')",
    [moves.map(({ name }) => name)],
  );
  const allowed = new Set(rows.map(({ name }) => name));
  const together = moves.filter(({ name }) => allowed.has(name));
  const statements: Move[][] = moves.filter(({ name }) => !allowed.has(name)).map((move) => [move]);
  for (let from = 0; from < together.length; from += MOVES_PER_STATEMENT)
    statements.push(together.slice(from, from + MOVES_PER_STATEMENT));
  const refused: string[] = [];
  for (let some = statements.shift(); some !== undefined; some = statements.shift()) {
    try {
      await client.query(some.map(({ move }) => move).join(' UNION ALL '));
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error;
      // For example a table that was dropped in the meantime; the other sequences are still moved.
      if (some.length > 1) statements.push(...some.map((move) => [move]));
      else refused.push(`${some[0]!.name}: ${(error as Error).message}`);
    }
  }
  return refused;
}

/** Returns a SELECT that moves a sequence to a value, clamped to its bounds because `setval` rejects others. */
function moving(name: string, value: string): string {
  const sequence = `${pg.escapeLiteral(name)}::regclass`;
  return `SELECT setval(${sequence}, ${withinBounds(value)}) FROM pg_sequence AS s WHERE s.seqrelid = ${sequence}`;
}

function withinBounds(value: string): string {
  return `greatest(s.seqmin, least(s.seqmax, (${value})::bigint))`;
}
