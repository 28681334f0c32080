import type pg from 'pg';
import { quoteIdentifier } from '../catalog/model.js';
import type { ComparedTable } from './contents.js';

/** What is asked for of two databases. */
export interface Scope {
  /** Schemas of the source; empty: all that are not the system's. */
  readonly schemas: readonly string[];
  /** `schema.table` or `table`; empty: all. */
  readonly tables: readonly string[];
  readonly excluded: readonly string[];
  /** Names of schemas and tables in the target, where they are others. */
  readonly renamed: ReadonlyMap<string, string>;
  /** Columns that are compared, by table; of other tables all. */
  readonly columns: ReadonlyMap<string, readonly string[]>;
}

/** Tables that can be compared, and what cannot. */
export interface Pairing {
  readonly tables: readonly ComparedTable[];
  readonly missing: readonly string[];
  readonly notCompared: readonly string[];
  /** Columns of the source that the target lacks. */
  readonly missingColumns: readonly string[];
  /** Names that the scope asks for and the source does not have. */
  readonly unknown: readonly string[];
}

interface TableRow {
  readonly schema: string;
  readonly table: string;
  readonly kind: string;
  readonly key: string[] | null;
  readonly columns: [name: string, type: string][] | null;
}

/* Ordinary and partitioned tables, a partitioned one in the place of its partitions. Keys: the primary key, else a unique one without NULLs. */
const TABLES = `
SELECT n.nspname AS schema, c.relname AS table, c.relkind::text AS kind,
       (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum = ANY (k.indkey[0:k.indnkeyatts - 1])) AS key,
       (SELECT json_agg(json_build_array(a.attname, COALESCE(
                 (WITH RECURSIVE bases (type, modifier) AS (
                    SELECT t.typbasetype, t.typtypmod FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid AND t.typtype = 'd'
                    UNION ALL SELECT t.typbasetype, t.typtypmod FROM bases b JOIN pg_catalog.pg_type t ON t.oid = b.type AND t.typtype = 'd')
                  SELECT format_type(b.type, b.modifier) FROM bases b JOIN pg_catalog.pg_type t ON t.oid = b.type AND t.typtype <> 'd'),
                 format_type(a.atttypid, a.atttypmod))) ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
  SELECT i.indkey, i.indnkeyatts FROM pg_catalog.pg_index i
  WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND NOT 0 = ANY (i.indkey[0:i.indnkeyatts - 1])
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]) AND NOT a.attnotnull)
  ORDER BY i.indisprimary DESC, i.indexrelid LIMIT 1) AS k ON true
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'
ORDER BY 1, 2`;

/** Finds the tables of the source and their counterparts. */
export async function pairTables(source: pg.Client, target: pg.Client, scope: Scope): Promise<Pairing> {
  const [wanted, there] = await Promise.all([source.query<TableRow>(TABLES), target.query<TableRow>(TABLES)]);
  const inTarget = new Map(there.rows.map((row) => [`${row.schema}.${row.table}`, row]));
  const tables: ComparedTable[] = [];
  const missing: string[] = [];
  const notCompared: string[] = [];
  const missingColumns: string[] = [];
  for (const row of wanted.rows.filter((each) => isWanted(each, scope))) {
    const name = `${row.schema}.${row.table}`;
    const [schema, table] = targetName(row, scope.renamed);
    const other = inTarget.get(`${schema}.${table}`);
    if (other === undefined) {
      missing.push(name);
      continue;
    }
    const listed = scope.columns.get(name);
    const others = new Set((other.columns ?? []).map(([column]) => column));
    const columns = new Map<string, string>();
    for (const [column, type] of row.columns ?? []) {
      if (listed !== undefined && !listed.includes(column))
        notCompared.push(`${name}.${column}: excluded by --columns`);
      else if (!others.has(column)) missingColumns.push(`${name}.${column}`);
      else columns.set(column, type);
    }
    const ofSource = new Set((row.columns ?? []).map(([column]) => column));
    for (const column of others)
      if (!ofSource.has(column) && listed === undefined) notCompared.push(`${name}.${column}: only in the target`);
    const key = row.key?.every((column) => columns.has(column)) ? row.key : [];
    tables.push({ name, source: rowsOf(row), target: rowsOf({ schema, table, kind: other.kind }), columns, key });
  }
  const known = new Set(wanted.rows.flatMap(({ schema, table }) => [schema, table, `${schema}.${table}`]));
  const asked = [
    ...scope.schemas,
    ...scope.tables,
    ...scope.excluded,
    ...scope.columns.keys(),
    ...scope.renamed.keys(),
  ];
  for (const row of wanted.rows)
    for (const column of scope.columns.get(`${row.schema}.${row.table}`) ?? [])
      if (!(row.columns ?? []).some(([name]) => name === column)) asked.push(`${row.schema}.${row.table}.${column}`);
  return { tables, missing, notCompared, missingColumns, unknown: asked.filter((name) => !known.has(name)) };
}

function isWanted({ schema, table }: TableRow, { schemas, tables, excluded }: Scope): boolean {
  const isNamed = (names: readonly string[]) => names.includes(table) || names.includes(`${schema}.${table}`);
  if (isNamed(excluded)) return false;
  if (tables.length > 0) return isNamed(tables);
  // The generator's own tables differ by their nature.
  return schemas.length > 0 ? schemas.includes(schema) : schema !== 'event_generator';
}

function targetName({ schema, table }: TableRow, renamed: ReadonlyMap<string, string>): readonly [string, string] {
  const whole = renamed.get(`${schema}.${table}`);
  if (whole !== undefined) {
    const at = whole.indexOf('.');
    return at < 0 ? [schema, whole] : [whole.slice(0, at), whole.slice(at + 1)];
  }
  return [renamed.get(schema) ?? schema, table];
}

/** A table's own rows, for FROM: those of tables that inherit from it are compared with their own table. */
function rowsOf({ schema, table, kind }: Pick<TableRow, 'schema' | 'table' | 'kind'>): string {
  return `${kind === 'p' ? '' : 'ONLY '}${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;
}
