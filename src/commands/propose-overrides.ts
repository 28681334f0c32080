import type pg from 'pg';
import { type Attribute, labelOf, type Relation } from '../catalog/model.js';
import { OID } from '../plan/oid.js';
import type { Finding } from '../plan/plan.js';
import { type ColumnStatistics, readColumn } from './usage.js';

/** An override for a column whose values the generator does not know well enough. */
export interface ProposedOverride {
  readonly table: string;
  readonly column: string;
  /** In YAML. */
  readonly override: string;
}

const MOST = 100;

/** Returns an override for every column that a finding is about, made from the column's statistics or its type. */
export async function proposeOverrides(
  client: pg.Client,
  relations: readonly Relation[],
  findings: readonly Finding[],
): Promise<ProposedOverride[]> {
  const byLabel = new Map(relations.map((relation) => [labelOf(relation), relation]));
  const seen = new Set<string>();
  const proposed: ProposedOverride[] = [];
  const named = findings.flatMap(({ relation: table, column, columns = [] }) =>
    (column === null ? columns : [column, ...columns]).map((each) => ({ table, column: each })),
  );
  for (const { table, column } of named) {
    const attribute = byLabel.get(table)?.attributes.find(({ name }) => name === column);
    const key = `${table}.${column}`;
    if (attribute === undefined || attribute.generated || seen.has(key) || proposed.length === MOST) continue;
    seen.add(key);
    const statistics = await readColumn(client, table, column).catch(() => null);
    proposed.push({ table, column, override: overrideFor(attribute, statistics) });
  }
  return proposed;
}

const WHOLE: readonly number[] = [OID.int2, OID.int4, OID.int8];
const FRACTIONS: readonly number[] = [OID.numeric, OID.float4, OID.float8, OID.money];
const TIMES: readonly number[] = [OID.timestamp, OID.timestamptz];

function overrideFor({ type, notNull }: Attribute, statistics: ColumnStatistics | null): string {
  const { values = null, low = null, high = null } = statistics ?? {};
  if (values !== null && values.length > 0) return `{ type: choice, values: ${JSON.stringify(values)} }`;
  if (WHOLE.includes(type)) return `{ type: int_range, min: ${low ?? 1}, max: ${high ?? 1000} }`;
  if (FRACTIONS.includes(type)) return `{ type: decimal_range, min: ${low ?? 0}, max: ${high ?? 1000} }`;
  if (type === OID.date) return `{ type: date_range, min: "${low ?? '2024-01-01'}", max: "${high ?? '2024-12-31'}" }`;
  if (TIMES.includes(type))
    return `{ type: timestamp_range, min: "${low ?? '2024-01-01 00:00:00'}", max: "${high ?? '2024-12-31 23:59:59'}" }`;
  if (type === OID.json || type === OID.jsonb) return '{ type: json, value: { name: "{{person.fullName}}" } }';
  if (type === OID.text || type === OID.varchar || type === OID.bpchar)
    return '{ type: pattern, pattern: "[A-Z]{3}-[0-9]{4}" }';
  return notNull ? '{ type: constant, value: "…" }' : '{ type: "null" }';
}
