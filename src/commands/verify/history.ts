import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import Cursor from 'pg-cursor';
import { quoteIdentifier } from '../../catalog/model.js';
import { describeConnection } from '../../config/connection.js';
import { SetupError } from '../../config/problem.js';
import { type History, readHistory } from '../../history/history-file.js';
import { connectCoordinator } from '../../prepare/connect.js';
import { PINNED_SETTINGS } from '../../proof/contents.js';
import { compareEvents, type TableFacts, type ToldEvent } from '../../proof/events.js';
import { historyEvents, historyFacts } from '../../proof/history-events.js';
import { eventVerdict, type Verdict } from '../../proof/verdict.js';
import { configFromUrl } from './contents.js';
import type { Truth } from './events.js';

/* Of an operation's changes as they lie on disk. */
const BYTES_PER_OPERATION = 1500;

/**
 * A history as the truth: what the run's own statements have changed. `isStreamed`: without changes that no logical
 * replication stream can tell.
 * @throws SetupError where the file is none.
 */
export function recorded(file: string, isStreamed: boolean): Truth {
  const history = readHistory(file);
  const operations = history.operations.reduce((sum, each) => sum + each, 0);
  const unknown = history.exceptions.flat().filter(([kind]) => kind === 'u').length;
  const touched = new Set(
    history.header.tables.filter(({ isTouched }) => isTouched).map(({ schema, table }) => `${schema}.${table}`),
  );
  return {
    events: isStreamed ? streamedEvents(history) : historyEvents(history),
    facts: historyFacts(history),
    size: operations * BYTES_PER_OPERATION,
    undecided: [
      ...(history.end === null ? ['the history ends in mid-run: what was in flight then is not known'] : []),
      ...(history.lostCommits ? ['the server may have lost what it had acknowledged'] : []),
      ...(unknown > 0 ? [`what became of ${unknown} transactions could not be found out by the run`] : []),
    ],
    notes: isStreamed ? streamNotes(history) : [],
    ordersTransactions: false,
    isForeign: (table, found) => found === 'unknown_key' || (found === 'unknown_change' && touched.has(table)),
  };
}

function* streamedEvents(history: History): Generator<ToldEvent> {
  const streamed = new Map(history.header.tables.map((table) => [`${table.schema}.${table.table}`, table.streamed]));
  for (const told of historyEvents(history)) {
    const { schema, table, op } = told.event;
    const covered = streamed.get(`${schema}.${table}`);
    if (covered === 'everything' || (covered === 'inserts' && op === 'insert')) yield told;
  }
}

function streamNotes({ header }: History): string[] {
  return header.tables.flatMap(({ schema, table, streamed }) => {
    if (streamed === 'everything') return [];
    const name = `${schema}.${table}`;
    return streamed === 'inserts'
      ? [`updates and deletes of ${name} are not compared: its replica identity is not the key that the run knows its rows by`]
      : [`changes of ${name} are not compared: it is unlogged, and in no stream`];
  });
}

/**
 * Compares what a run must have left with what a database holds, where the source is gone.
 * @throws SetupError where the database cannot be reached.
 */
export async function verifyExpected(
  historyFile: string,
  { target, folder, isStrict, renamed }: ExpectedOptions,
  environment: NodeJS.ProcessEnv,
): Promise<Verdict> {
  const truth = recorded(historyFile, false);
  const config = configFromUrl(target, '--target', environment);
  const client = await connectCoordinator(config.connection, config, randomBytes(4).toString('hex'));
  try {
    await client.query(PINNED_SETTINGS);
    const missing: string[] = [];
    const found = await compareEvents({
      source: truth.events,
      target: rowsIn(client, truth.facts, renamed, missing),
      facts: truth.facts,
      size: truth.size,
      isFinal: true,
      order: 'none',
      folder,
      delivery: 'exactly-once',
      isOrdered: false,
      allowsCompaction: false,
      allowsKeyPairs: true,
      allowsMovePairs: true,
    });
    const undecided = [
      ...truth.undecided,
      ...missing.map((table) => `the target has no table ${table} that can be read`),
    ];
    const rules = { isStrict, isForeign: truth.isForeign, needsTransactions: false };
    const verdict = eventVerdict(found, rules, undecided);
    return {
      ...verdict,
      headline: headlineOf(verdict),
      notes: verdict.notes.filter((note) => !note.startsWith('transactions')),
    };
  } catch (error) {
    if (error instanceof SetupError) throw error;
    throw SetupError.of('--target', `${describeConnection(config.connection)}: ${(error as Error).message}`);
  } finally {
    await client.end();
  }
}

export interface ExpectedOptions {
  readonly target: string;
  readonly folder: string;
  readonly isStrict: boolean;
  readonly renamed: ReadonlyMap<string, string>;
}

function headlineOf({ verdict, headline, tables }: Verdict): string {
  const rows = Object.values(tables).reduce((sum, { matched = 0 }) => sum + matched, 0);
  return verdict === 'equal' ? `Equal: the ${rows} rows that the run has left are there as it left them.` : headline;
}

const ROWS_AT_ONCE = 5000;

/** The rows of a database's tables, each as an insert. */
async function* rowsIn(
  client: pg.Client,
  facts: ReadonlyMap<string, TableFacts>,
  renamed: ReadonlyMap<string, string>,
  missing: string[],
): AsyncGenerator<ToldEvent> {
  let position = 0;
  for (const [name, { key, columns }] of facts) {
    const [schema, table] = split(name);
    const [inSchema, inTable] = split(renamed.get(name) ?? `${renamed.get(schema) ?? schema}.${table}`);
    const names = await columnsOf(client, inSchema, inTable, Object.keys(columns));
    if (names.length === 0) {
      missing.push(name);
      continue;
    }
    const list = names.map((column) => `${quoteIdentifier(column)}::text`).join(', ');
    const sql = `SELECT ${list} FROM ${quoteIdentifier(inSchema)}.${quoteIdentifier(inTable)}`;
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
): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT a.attname::text AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND a.attname::text = ANY ($3)
     ORDER BY a.attnum`,
    [schema, table, wanted],
  );
  return rows.map(({ name }) => name);
}

function split(name: string): [string, string] {
  const at = name.indexOf('.');
  return [name.slice(0, at), name.slice(at + 1)];
}

/** What a history holds, for people. */
export function historyText(history: History, file: string): string {
  const { header, plan, exceptions, operations, end, lostCommits } = history;
  const counts = new Map<string, number>();
  for (const [kind] of exceptions.flat()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const total = operations.reduce((sum, each) => sum + each, 0);
  const lines = [
    `${file}: run ${header.runId}, begun ${header.startedAt}, version ${header.version}`,
    `  seeds ${plan.randomSeed}/${plan.fakerSeed}, generator_version ${plan.generatorVersion}, plan ${header.planFingerprint}`,
    `  ${plan.relations.length} tables, ${plan.quotas.length} lanes, ${total} operations`,
    `  ${end === null ? 'ended by force, or still running' : `ended: ${end}`}${lostCommits ? '; the server may have lost commits' : ''}`,
    ...[...counts].map(([kind, count]) => `  ${count} ${KINDS[kind] ?? kind}`),
  ];
  return `${lines.join('\n')}\n`;
}

const KINDS: Readonly<Record<string, string>> = {
  r: 'refusals',
  t: 'answers with texts or row counts of the server',
  q: 'receipts',
  s: 'operations skipped',
  u: 'transactions of unknown outcome',
  e: 'lanes that were stopped',
};
