import type pg from 'pg';
import Cursor from 'pg-cursor';
import { quoteIdentifier } from '../catalog/model.js';
import type { TableFacts, ToldEvent } from './told.js';

const ROWS_AT_ONCE = 5000;

/**
 * The rows of a database's tables, each as an insert. Names of tables that it does not have are added to `missing`.
 */
export async function* rowsIn(
  client: pg.Client,
  facts: ReadonlyMap<string, TableFacts>,
  renamed: ReadonlyMap<string, string>,
  missing: string[],
): AsyncGenerator<ToldEvent> {
  let position = 0;
  for (const [name, { key, columns }] of facts) {
    const [schema, table] = split(name);
    const [inSchema, inTable] = split(renamed.get(name) ?? `${renamed.get(schema) ?? schema}.${table}`);
    const { names, isPartitioned } = await columnsOf(client, inSchema, inTable, Object.keys(columns));
    if (names.length === 0) {
      missing.push(name);
      continue;
    }
    const list = names.map((column) => `${quoteIdentifier(column)}::text`).join(', ');
    // Rows of tables that inherit from it are not its own.
    const sql = `SELECT ${list} FROM ${isPartitioned ? '' : 'ONLY '}${quoteIdentifier(inSchema)}.${quoteIdentifier(inTable)}`;
    const cursor = client.query(new Cursor<(string | null)[]>(sql, [], { rowMode: 'array' }));
    try {
      for (let rows = await cursor.read(ROWS_AT_ONCE); rows.length > 0; rows = await cursor.read(ROWS_AT_ONCE))
        for (const texts of rows) {
          const row = Object.fromEntries(names.map((column, index) => [column, texts[index] ?? null]));
          const named = key === null ? null : Object.fromEntries(key.map((column) => [column, row[column] ?? null]));
          const event = { op: 'insert' as const, schema, table, key: named, new: row, old: null };
          yield {
            event: { ...event, unchanged: [], xid: null, commit: null },
            position: ++position,
            origin: null,
            isMove: false,
          };
        }
    } finally {
      await cursor.close();
    }
  }
}

async function columnsOf(
  client: pg.Client,
  schema: string,
  table: string,
  wanted: readonly string[],
): Promise<{ readonly names: readonly string[]; readonly isPartitioned: boolean }> {
  const { rows } = await client.query<{ name: string; kind: string }>(
    `SELECT a.attname::text AS name, c.relkind::text AS kind FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND a.attname::text = ANY ($3)
     ORDER BY a.attnum`,
    [schema, table, wanted],
  );
  return { names: rows.map(({ name }) => name), isPartitioned: rows[0]?.kind === 'p' };
}

function split(name: string): [string, string] {
  const at = name.indexOf('.');
  return [name.slice(0, at), name.slice(at + 1)];
}
