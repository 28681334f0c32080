import type pg from 'pg';
import type { Plan } from '../plan/plan.js';
import { seedOf, split } from '../random/seed.js';
import { Stream } from '../random/stream.js';

/** The rows to choose from: SQL for FROM, with its parameters. */
export interface Source {
  readonly sql: string;
  readonly values: readonly unknown[];
}

/* More probes than rows wanted, because two probes may find the same row. */
const EXTRA_PROBES = 1.25;

/**
 * Rows of a large table at key values that the seed draws, each found by one step down the key's index: claiming them
 * costs the same whatever the table's size. Null where the key is of no type that values can be drawn for between the
 * ends; then the whole table is sorted.
 */
export async function probesFor(client: pg.Client, plan: Plan, index: number, limit: number): Promise<Source | null> {
  const relation = plan.relations[index]!;
  const first = relation.key[0];
  if (first === undefined || !Number.isFinite(limit)) return null;
  const { sql: column, typeName, label } = relation.columns[first]!;
  const stream = Stream.of(split(split(seedOf(BigInt(plan.randomSeed)), 'probes'), label));
  const count = Math.ceil(limit * EXTRA_PROBES);
  let probes: string[];
  if (['smallint', 'integer', 'bigint'].includes(typeName)) {
    const { rows } = await client.query<{ low: string; high: string }>(
      `SELECT min(${column})::text AS low, max(${column})::text AS high FROM ${relation.rows}`,
    );
    const low = BigInt(rows[0]!.low);
    const span = BigInt(rows[0]!.high) - low + 1n;
    probes = Array.from({ length: count }, () => String(low + (span * BigInt(stream.next())) / 0x1_0000_0000n));
  } else if (typeName === 'uuid') {
    probes = Array.from({ length: count }, () =>
      Array.from({ length: 4 }, () => stream.next().toString(16).padStart(8, '0')).join(''),
    );
  } else return null;
  const key = relation.key.map((position) => relation.columns[position]!.sql);
  return {
    sql:
      `(SELECT DISTINCT ON (${key.map((name) => `f.${name}`).join(', ')}) f.* FROM unnest($1::${typeName}[]) AS p (v) ` +
      `CROSS JOIN LATERAL (SELECT * FROM ${relation.rows} AS s WHERE s.${column} >= p.v ORDER BY ${key.map((name) => `s.${name}`).join(', ')} LIMIT 1) AS f)`,
    values: [probes],
  };
}
