import { CHANGE_KINDS, type ChangeKind } from '../event.js';
import { type EventFormat, eventOf, rowOf, textOf } from './format.js';

/**
 * The generator's own format, as `capture` writes it:
 *
 *     {"v":1,"op":"update","schema":"public","table":"orders","key":{"id":"7"},"new":{"id":"7","total":"12.50"},"old":null}
 *
 * A consumer may leave out `key` (it is taken from the row), `old`, `xid`, `commit`, `seq`, `last` and `at`.
 */
export const OWN: EventFormat = {
  name: 'own',
  fits: ({ op, table }) => CHANGE_KINDS.includes(op as ChangeKind) && typeof table === 'string',
  splitsKeyUpdates: false,
  begin: () => (line) => {
    const { op, schema, table, key, new: row, old, unchanged, xid, commit } = line;
    if (!CHANGE_KINDS.includes(op as ChangeKind) || typeof table !== 'string')
      throw new Error('needs the members op (insert, update, delete or truncate) and table');
    const event = eventOf({
      op: op as ChangeKind,
      schema: typeof schema === 'string' ? schema : 'public',
      table,
      key: rowOf(key),
      new: rowOf(row),
      old: rowOf(old),
      unchanged: Array.isArray(unchanged) ? unchanged.map(String) : [],
      xid: textOf(xid),
      commit: textOf(commit),
    });
    return [event];
  },
};
