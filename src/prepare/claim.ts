import pg from 'pg';
import { type Relation, rowsOf } from '../catalog/model.js';
import { type Claims, noClaims, PINNED } from '../lane/rows/claims.js';
import { parentsFirst } from '../plan/order.js';
import type { Plan } from '../plan/plan.js';
import { Collector } from './collector.js';
import { probesFor } from './probes.js';

/** What a run knows of the existing rows of its tables. */
export interface Claimed {
  readonly claims: readonly Claims[];
  readonly rowsAtStart: RowCounts;
}

/** Number of rows per relation at the start; null if there are rows that were not counted. */
export type RowCounts = readonly (number | null)[];

const QUESTIONS_PER_STATEMENT = 200;
/* A table with at most so many rows is sorted by hash; in a larger one, rows are looked up at random key values. */
const SORTED_LIMIT = 1_000_000;
/* Tables with more rows by the server's estimate are not counted. */
const COUNT_LIMIT = 1_000_000;

/*
 * References are counted for all rows at once. Of a table that was never analyzed the planner expects a few hundred, and
 * would compare each with each; the high price of what is forbidden must not start its compiler either.
 */
const WITHOUT = ['enable_nestloop', 'jit'];

/**
 * Claims existing rows, chosen by value: those with the smallest hash of (seed, key text), so that neither physical
 * order nor OIDs have a say. Rows are read through a cursor. A child goes to its parent's lane, so that the lane knows
 * as much of the row's surroundings as there is. At most `perTable` rows of each table. `step` is told how far it is.
 */
export async function claimRows(
  client: pg.Client,
  plan: Plan,
  relations: readonly Relation[],
  rowsAtStart: RowCounts,
  { perTable, step }: { readonly perTable: number; readonly step: (text: string) => void },
): Promise<readonly Claims[]> {
  const lanes = plan.quotas.length;
  const targeted = plan.relations.filter((relation) => relation.targeted).length;
  const claims: Claims[] = plan.relations.map((relation) => noClaims(relation.foreignKeys.length));
  if (plan.rowSelection === 'system_rows' || rowsAtStart.every((count) => count === 0)) return claims;
  const indexes = new Map<string, Map<string, number>>();
  const order = parentsFirst(plan, 'all');
  for (const setting of WITHOUT) await client.query(`SET ${setting} = off`);
  for (const [done, index] of order.entries()) {
    step(`claiming rows of ${plan.relations[index]!.label}, table ${done + 1} of ${order.length}`);
    const count = rowsAtStart[index];
    // Parents are claimed even if no rows may be changed, because children need them.
    const tracked = Math.min(plan.maxTrackedRows, Math.max(lanes, Math.floor(plan.maxTrackedRowsTotal / targeted)));
    const limit = Math.min(tracked, plan.relations[index]!.targeted ? perTable : Math.max(perTable, 1000));
    if (count === 0) continue;
    const isLarge = await isLargerThan(client, relations[index]!, count, SORTED_LIMIT);
    const source = isLarge ? await probesFor(client, plan, index, limit) : null;
    const collector = new Collector(plan, index, relations[index]!, limit, source);
    if (limit > 0) await collector.read(client);
    await collector.readTuples(client);
    claims[index] = collector.finish(lanes, claims, indexes);
  }
  for (const setting of WITHOUT) await client.query(`RESET ${setting}`);
  for (const [index, claim] of claims.entries()) {
    const owned = claim.lanes.reduce((sum, lane) => sum + (lane === PINNED ? 0 : 1), 0);
    claims[index] = { ...claim, unowned: Math.max(0, (rowsAtStart[index] ?? owned) - owned) };
  }
  return claims;
}

/* The count must be exact, because estimates must not influence which rows are chosen. */
async function isLargerThan(
  client: pg.Client,
  relation: Relation,
  count: number | null | undefined,
  limit: number,
): Promise<boolean> {
  if (typeof count === 'number') return count > limit;
  const { rows } = await client.query<{ many: boolean }>(
    `SELECT count(*) > ${limit} AS many FROM (SELECT FROM ${rowsOf(relation)} LIMIT ${limit + 1}) AS first_rows`,
  );
  return rows[0]!.many;
}

/** What was counted, and why some tables could not be read. */
export interface Counted {
  readonly counts: RowCounts;
  readonly unreadable: ReadonlyMap<number, pg.DatabaseError>;
}

/**
 * Counts the rows of relations. For tables too large to be counted, finds out only whether there are any. A table that
 * cannot be read (a foreign partition whose server is down) is queried separately, so that the others are known.
 */
export async function countRows(
  client: pg.Client,
  relations: readonly Relation[],
  mode: 'auto' | 'always' | 'never',
): Promise<Counted> {
  const counted = (relation: Relation) =>
    mode === 'always' || (mode === 'auto' && relation.estimatedRows < COUNT_LIMIT);
  const questions = relations.map((relation, index) =>
    counted(relation)
      ? `SELECT ${index}, count(*) FROM ${rowsOf(relation)}`
      : `SELECT ${index}, CASE WHEN EXISTS (SELECT FROM ${rowsOf(relation)}) THEN NULL ELSE 0 END::bigint`,
  );
  const counts: (number | null)[] = relations.map(() => null);
  const unreadable = new Map<number, pg.DatabaseError>();
  const ask = async (first: number, end: number): Promise<void> => {
    try {
      const text = questions.slice(first, end).join(' UNION ALL ');
      const { rows } = await client.query({ text, rowMode: 'array' });
      for (const [index, count] of rows as [number, string | null][])
        counts[index] = count === null ? null : Number(count);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || error.severity !== 'ERROR') throw error;
      if (end - first === 1) unreadable.set(first, error);
      else {
        const middle = (first + end) >> 1;
        await ask(first, middle);
        await ask(middle, end);
      }
    }
  };
  for (let from = 0; from < questions.length; from += QUESTIONS_PER_STATEMENT)
    await ask(from, Math.min(questions.length, from + QUESTIONS_PER_STATEMENT));
  return { counts, unreadable };
}

/**
 * Tables into which no row can come: a foreign key that must not be NULL leads, directly or not, to a table that has no
 * rows and takes none. Circles are no obstacle: their rows are inserted together.
 */
export function unreachableTables(plan: Plan, claimed: Claimed): number[] {
  const hasRows = (index: number) =>
    claimed.claims[index]!.count > 0 || (plan.rowSelection === 'system_rows' && claimed.rowsAtStart[index] !== 0);
  const made = madeByTriggers(plan);
  const reachable = new Set(
    [...plan.relations.keys()].filter(
      (index) => hasRows(index) || plan.relations[index]!.operations.insert || made.has(index),
    ),
  );
  for (let before = -1; before !== reachable.size; ) {
    before = reachable.size;
    for (const index of reachable) {
      const isFed = plan.relations[index]!.foreignKeys.every(
        (key) => key.nullable || key.makesParent || reachable.has(key.parent),
      );
      if (!isFed && !hasRows(index)) reachable.delete(index);
    }
  }
  return [...plan.relations.keys()].filter((index) => {
    const { targeted, operations } = plan.relations[index]!;
    return targeted && operations.insert && !reachable.has(index);
  });
}

/** Returns the relations whose rows triggers insert with keys of other rows, so that the run knows them. */
export function madeByTriggers(plan: Plan): ReadonlySet<number> {
  return new Set(
    plan.relations.flatMap(({ operations, companions, foreignKeys }) =>
      operations.insert
        ? [
            ...companions.map(({ relation }) => relation),
            ...foreignKeys.filter(({ makesParent }) => makesParent).map(({ parent }) => parent),
          ]
        : [],
    ),
  );
}

/** A foreign key that must not be NULL and references a table that is not targeted and has no rows. */
export interface LackingParent {
  readonly child: string;
  readonly key: string;
  readonly parent: string;
}

export function parentsWithoutRows(plan: Plan, rowsAtStart: RowCounts): LackingParent[] {
  return plan.relations.flatMap((child) =>
    child.foreignKeys.flatMap((key) => {
      const parent = plan.relations[key.parent]!;
      if (key.nullable || parent.targeted || rowsAtStart[key.parent] !== 0) return [];
      return [{ child: child.label, key: key.name, parent: parent.label }];
    }),
  );
}
