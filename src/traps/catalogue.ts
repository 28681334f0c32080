import { quoteIdentifier } from '../catalog/model.js';
import type { TrapName } from '../config/schema.js';

/** Changes that a consumer sees of a transaction. */
interface TrapEvents {
  readonly insert?: number;
  readonly update?: number;
  readonly delete?: number;
  readonly truncate?: number;
}

/** One transaction of a trap. */
export interface TrapTransaction {
  readonly statements: readonly string[];
  /** Before the last statement, so long. */
  readonly pauseMs?: number;
  readonly events: TrapEvents;
  /** Deletes all rows that are there, even more than this run has left: the count of the server applies. */
  readonly clears?: true;
}

/** Traffic that consumers are known to get wrong, on tables of its own. */
interface Trap {
  /** What makes its tables, each only where it is missing; `table` names one of the trap's own. */
  readonly layout: (table: Naming) => readonly string[];
  /** What its n-th time does. It leaves its tables as it found them, but for what it is about. */
  readonly transactions: (table: Naming, n: number) => readonly TrapTransaction[];
  /** Tables beside its first one. */
  readonly more?: readonly string[];
  /** A function that the user must be allowed to execute; undefined where none is needed. */
  readonly needs?: string;
  /** It ends after so many times; undefined where it does not. */
  readonly most?: number;
}

/** A table of a trap, qualified and quoted. */
type Naming = (part?: string) => string;

/* A row that is written over several times what a page holds, and does not compress. */
const TOAST_BYTES = 20_000;
/* Some 5 MB of log: `logical_decoding_work_mem` decides whether it is held in memory, spilled or streamed. */
const BIG_ROWS = 20_000;
const LONG_MS = 3000;
/* A table has room for 1,600 columns over its life, those that were dropped among them. */
const MOST_COLUMNS = 1500;

const keyed = (table: string, more = '') =>
  `CREATE TABLE IF NOT EXISTS ${table} (id bigint PRIMARY KEY, v text${more})`;
const insert = (table: string, ...ids: readonly string[]) =>
  `INSERT INTO ${table} (id, v) VALUES ${ids.map((id) => `(${id}, 'trap')`).join(', ')}`;
const clear = (table: string): TrapTransaction => ({ statements: [`DELETE FROM ${table}`], events: {}, clears: true });
const one = (events: TrapEvents, ...statements: readonly string[]): TrapTransaction => ({ statements, events });

const TRAPS: Readonly<Record<TrapName, Trap>> = {
  toast_unchanged: {
    layout: (table) => [
      `CREATE TABLE IF NOT EXISTS ${table()} (id bigint PRIMARY KEY, v text, payload text)`,
      `ALTER TABLE ${table()} ALTER COLUMN payload SET STORAGE EXTERNAL`,
    ],
    transactions: (table, n) => [
      one({ insert: 1 }, `INSERT INTO ${table()} VALUES (${n}, 'before', repeat('x', ${TOAST_BYTES}))`),
      // The payload is not in the log: it has not changed.
      one({ update: 1 }, `UPDATE ${table()} SET v = 'after' WHERE id = ${n}`),
      clear(table()),
    ],
  },
  key_update: {
    layout: (table) => [keyed(table())],
    transactions: (table, n) => [
      one({ insert: 1 }, insert(table(), `${n}`)),
      one({ update: 1 }, `UPDATE ${table()} SET id = -id WHERE id = ${n}`),
      clear(table()),
    ],
  },
  no_op_update: {
    layout: (table) => [keyed(table())],
    transactions: (table, n) => [
      one({ insert: 1 }, insert(table(), `${n}`)),
      one({ update: 1 }, `UPDATE ${table()} SET v = v WHERE id = ${n}`),
      clear(table()),
    ],
  },
  empty_transaction: {
    layout: () => [],
    transactions: () => [one({}, 'SELECT 1')],
  },
  savepoint_rollback: {
    layout: (table) => [keyed(table())],
    transactions: (table, n) => [
      one(
        { insert: 2 },
        insert(table(), `${4 * n}`),
        'SAVEPOINT trap',
        insert(table(), `${4 * n + 1}`, `${4 * n + 2}`),
        `UPDATE ${table()} SET v = 'rolled back'`,
        'ROLLBACK TO SAVEPOINT trap',
        insert(table(), `${4 * n + 3}`),
      ),
      clear(table()),
    ],
  },
  big_transaction: {
    layout: (table) => [keyed(table())],
    transactions: (table) => [
      one(
        { insert: BIG_ROWS },
        `INSERT INTO ${table()} SELECT i, repeat('x', 100) FROM generate_series(1, ${BIG_ROWS}) AS i`,
      ),
      clear(table()),
    ],
  },
  long_transaction: {
    layout: (table) => [keyed(table())],
    transactions: (table, n) => [
      {
        statements: [insert(table(), `${2 * n}`), insert(table(), `${2 * n + 1}`)],
        pauseMs: LONG_MS,
        events: { insert: 2 },
      },
      clear(table()),
    ],
  },
  cascade: {
    more: ['children'],
    layout: (table) => [
      keyed(table()),
      keyed(table('children'), `, parent bigint REFERENCES ${table()} ON DELETE CASCADE`),
      `CREATE INDEX IF NOT EXISTS ${quoteIdentifier('trap_cascade_parent')} ON ${table('children')} (parent)`,
    ],
    transactions: (table, n) => [
      one(
        { insert: 4 },
        insert(table(), `${n}`),
        `INSERT INTO ${table('children')} SELECT 3 * ${n} + i, 'trap', ${n} FROM generate_series(0, 2) AS i`,
      ),
      one({ delete: 4 }, `DELETE FROM ${table()} WHERE id = ${n}`),
    ],
  },
  truncate: {
    layout: (table) => [keyed(table())],
    transactions: (table, n) => [
      one({ insert: 3 }, insert(table(), `${3 * n}`, `${3 * n + 1}`, `${3 * n + 2}`)),
      one({ truncate: 1 }, `TRUNCATE ${table()}`),
    ],
  },
  partition_move: {
    layout: (table) => [
      `CREATE TABLE IF NOT EXISTS ${table()} (id bigint, region int, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region)`,
      `CREATE TABLE IF NOT EXISTS ${table('1')} PARTITION OF ${table()} FOR VALUES IN (1)`,
      `CREATE TABLE IF NOT EXISTS ${table('2')} PARTITION OF ${table()} FOR VALUES IN (2)`,
    ],
    transactions: (table, n) => [
      one({ insert: 1 }, `INSERT INTO ${table()} VALUES (${n}, 1, 'trap')`),
      // A row that moves is deleted there and inserted here.
      one({ insert: 1, delete: 1 }, `UPDATE ${table()} SET region = 2 WHERE id = ${n}`),
      clear(table()),
    ],
  },
  replica_identity: {
    layout: (table) => [
      `CREATE TABLE IF NOT EXISTS ${table()} (id bigint, v text)`,
      `ALTER TABLE ${table()} REPLICA IDENTITY FULL`,
    ],
    transactions: (table, n) => [
      // Two rows that nothing tells apart.
      one({ insert: 2 }, insert(table(), `${n}`, `${n}`)),
      one({ update: 2 }, `UPDATE ${table()} SET v = 'changed' WHERE id = ${n}`),
      clear(table()),
    ],
  },
  commit_across_segments: {
    layout: (table) => [keyed(table())],
    needs: 'pg_catalog.pg_switch_wal()',
    transactions: (table, n) => [
      one(
        { insert: 2 },
        insert(table(), `${2 * n}`),
        'SELECT pg_catalog.pg_switch_wal()',
        insert(table(), `${2 * n + 1}`),
      ),
      clear(table()),
    ],
  },
  add_column: {
    layout: (table) => [keyed(table())],
    most: MOST_COLUMNS,
    transactions: (table, n) => [
      one(
        { insert: 1 },
        `ALTER TABLE ${table()} DROP COLUMN IF EXISTS added`,
        `ALTER TABLE ${table()} ADD COLUMN added text DEFAULT 'of ${n}'`,
        insert(table(), `${n}`),
      ),
      clear(table()),
    ],
  },
  drop_column: {
    layout: (table) => [keyed(table())],
    most: MOST_COLUMNS,
    transactions: (table, n) => [
      one(
        { insert: 1 },
        `ALTER TABLE ${table()} ADD COLUMN IF NOT EXISTS dropped text DEFAULT 'of ${n}'`,
        insert(table(), `${2 * n}`),
      ),
      one({ insert: 1 }, `ALTER TABLE ${table()} DROP COLUMN dropped`, insert(table(), `${2 * n + 1}`)),
      clear(table()),
    ],
  },
};

/** A trap by its name. */
export function trapOf(name: TrapName): Trap {
  return TRAPS[name];
}

/** How a trap's tables are named in a schema, as SQL. */
export function namingOf(schema: string, name: TrapName): Naming {
  return (part) => `${quoteIdentifier(schema)}.${quoteIdentifier(tableName(name, part))}`;
}

/** The names of a trap's tables, in whatever schema: partitions are not among them. */
export function tableNames(name: TrapName): string[] {
  const { more = [], layout } = TRAPS[name];
  const hasTables = layout(() => 't').length > 0;
  return hasTables ? [tableName(name), ...more.map((part) => tableName(name, part))] : [];
}

function tableName(name: TrapName, part?: string): string {
  return `trap_${name}${part === undefined ? '' : `_${part}`}`;
}
