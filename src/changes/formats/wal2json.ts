import type { ChangeEvent, ChangeKind, Row } from '../event.js';
import { tableName } from '../event.js';
import { type EventFormat, eventOf, isRecord, type TypesOf, textOf } from './format.js';

/**
 * wal2json, format version 1: a transaction per line.
 *
 *     {"xid":7421,"change":[{"kind":"update","schema":"public","table":"orders","columnnames":["id","total"],
 *      "columntypes":["bigint","numeric(10,2)"],"columnvalues":[7,12.50],"oldkeys":{"keynames":["id"],"keytypes":["bigint"],"keyvalues":[7]}}]}
 */
export const WAL2JSON_1: EventFormat = {
  name: 'wal2json-1',
  fits: ({ change }) => Array.isArray(change),
  splitsKeyUpdates: false,
  begin: (typesOf) => (line) => {
    const changes = Array.isArray(line['change']) ? line['change'] : [];
    const xid = textOf(line['xid']);
    return changes.filter(isRecord).flatMap((change) => {
      const op = change['kind'];
      if (op !== 'insert' && op !== 'update' && op !== 'delete' && op !== 'truncate') return [];
      const row = paired(change['columnnames'], change['columnvalues'], change['columntypes']);
      const keys = isRecord(change['oldkeys']) ? change['oldkeys'] : {};
      return [build(op, change, row, paired(keys['keynames'], keys['keyvalues'], keys['keytypes']), xid, typesOf)];
    });
  },
};

const ACTIONS: Readonly<Record<string, ChangeKind>> = { I: 'insert', U: 'update', D: 'delete', T: 'truncate' };

/**
 * wal2json, format version 2: a change per line, transactions between B and C.
 *
 *     {"action":"B","xid":7421}
 *     {"action":"U","schema":"public","table":"orders","columns":[{"name":"id","type":"bigint","value":7}],"identity":[{"name":"id","type":"bigint","value":7}]}
 *     {"action":"C","xid":7421}
 */
export const WAL2JSON_2: EventFormat = {
  name: 'wal2json-2',
  fits: ({ action }) => typeof action === 'string',
  splitsKeyUpdates: false,
  begin: (typesOf) => {
    let current: string | null = null;
    return (line) => {
      const { action } = line;
      if (action === 'B') current = textOf(line['xid']);
      const op = ACTIONS[String(action)];
      if (op === undefined) return [];
      const xid = textOf(line['xid']) ?? current;
      return [build(op, line, listed(line['columns']), listed(line['identity']), xid, typesOf)];
    };
  },
};

function build(
  op: ChangeKind,
  { schema, table }: Readonly<Record<string, unknown>>,
  row: Row | null,
  key: Row | null,
  xid: string | null,
  typesOf: TypesOf,
): ChangeEvent {
  const event = eventOf({ op, schema: textOf(schema) ?? 'public', table: textOf(table) ?? '', xid });
  const types = typesOf(tableName(event));
  const after = op === 'insert' || op === 'update' ? row : null;
  // It leaves out large values that did not change.
  const unchanged =
    op !== 'update' || after === null || types === undefined
      ? []
      : Object.keys(types).filter((name) => !Object.hasOwn(after, name));
  // Of a table with REPLICA IDENTITY FULL the identity is the whole row.
  return { ...event, new: after, key, old: key, unchanged };
}

function paired(names: unknown, values: unknown, types: unknown): Row | null {
  if (!Array.isArray(names) || !Array.isArray(values)) return null;
  const known = Array.isArray(types) ? types : [];
  return Object.fromEntries(names.map((name, index) => [String(name), valueText(values[index], known[index])]));
}

function listed(columns: unknown): Row | null {
  if (!Array.isArray(columns)) return null;
  return Object.fromEntries(
    columns.filter(isRecord).map(({ name, value, type }) => [String(name), valueText(value, type)]),
  );
}

function valueText(value: unknown, type: unknown): string | null {
  const text = textOf(value);
  return type === 'bytea' && text !== null && !text.startsWith('\\x') ? `\\x${text}` : text;
}
