import { randomBytes } from 'node:crypto';
import { describeConnection } from '../../config/connection.js';
import { SetupError } from '../../config/problem.js';
import { type History, readHistory } from '../../history/history-file.js';
import { connectCoordinator } from '../../prepare/connect.js';
import { PINNED_SETTINGS } from '../../proof/contents.js';
import { compareEvents } from '../../proof/events.js';
import { historyEvents, historyFacts } from '../../proof/history-events.js';
import { rowsIn } from '../../proof/target-rows.js';
import type { ToldEvent } from '../../proof/told.js';
import { eventVerdict, type Verdict } from '../../proof/verdict.js';
import { configFromUrl } from './contents.js';
import type { Truth } from './events.js';

/* Approximate size of an operation's changes on disk. */
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
    events: comparableEvents(history, isStreamed),
    facts: historyFacts(history),
    size: operations * BYTES_PER_OPERATION,
    undecided: [
      ...(history.end === null
        ? ['the history ends in the middle of the run, so the outcome of the operations in flight is unknown']
        : []),
      ...(history.isComplete ? [] : ['the history is incomplete, because its file could no longer be written']),
      ...(history.lostCommits ? ['the server may have lost acknowledged commits'] : []),
      ...(unknown > 0 ? [`the outcome of ${unknown} transactions is unknown`] : []),
    ],
    notes: notesOn(history, isStreamed),
    ordersTransactions: false,
    // Changes that triggers may have made cannot be distinguished from false ones.
    afterwards: ({ tables }) =>
      history.end === null
        ? []
        : Object.entries(tables).flatMap(([table, counts]) => {
            const count = touched.has(table) ? counts.unknown_change + counts.doubled : 0;
            return count === 0 ? [] : [`${count} more changes of ${table}, which may come from its triggers`];
          }),
    isForeign: (table, found) => {
      // The history of a killed run lacks its last changes: what they repeat or overwrite is in doubt.
      if (history.end === null && (!isStreamed || found === 'doubled' || found === 'unknown_change')) return true;
      return found === 'unknown_key' || (touched.has(table) && (found === 'doubled' || found === 'unknown_change'));
    },
  };
}

/** Yields the changes to compare. `isStreamed`: without changes that no stream contains. */
function* comparableEvents(history: History, isStreamed: boolean): Generator<ToldEvent> {
  const tables = new Map(history.header.tables.map((table) => [`${table.schema}.${table.table}`, table]));
  for (const told of historyEvents(history)) {
    const { schema, table, op } = told.event;
    const { skipped, streamed } = tables.get(`${schema}.${table}`)!;
    if (skipped !== null) continue;
    if (!isStreamed || streamed === 'everything' || (streamed === 'inserts' && op === 'insert')) yield told;
  }
}

function notesOn({ header }: History, isStreamed: boolean): string[] {
  return header.tables.flatMap(({ schema, table, streamed, skipped }) => {
    const name = `${schema}.${table}`;
    if (skipped !== null) return [`changes of ${name} are not compared: ${skipped}`];
    if (!isStreamed || streamed === 'everything') return [];
    return streamed === 'inserts'
      ? [
          `updates and deletes of ${name} are not compared: its replica identity differs from the key by which the run identifies rows`,
        ]
      : [`changes of ${name} are not compared: the table is unlogged, so no stream contains them`];
  });
}

/**
 * Compares the rows that a run must have left with a database, for when the source no longer exists.
 * @throws SetupError if the database cannot be reached.
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
      isForeign: truth.isForeign,
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
    const undecided = [...truth.undecided, ...missing.map((table) => `the target has no readable table ${table}`)];
    const rules = { isStrict, isForeign: truth.isForeign, needsTransactions: false, allowsMissingColumns: false };
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
  return verdict === 'equal' ? `Equal: all ${rows} rows are as the run left them.` : headline;
}

/** Describes in words what a history contains. */
export function historyText(history: History, file: string): string {
  const { header, plan, exceptions, operations, end, lostCommits } = history;
  const counts = new Map<string, number>();
  for (const [kind] of exceptions.flat()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const total = operations.reduce((sum, each) => sum + each, 0);
  const lines = [
    `${file}: run ${header.runId}, started ${header.startedAt}, version ${header.version}`,
    `  seeds ${plan.randomSeed}/${plan.fakerSeed}, generator_version ${plan.generatorVersion}, plan ${header.planFingerprint}`,
    `  ${plan.relations.length} tables, ${plan.quotas.length} lanes, ${total} operations`,
    `  ${end === null ? 'the run was killed, or is still running' : `ended: ${end}`}${lostCommits ? '; the server may have lost commits' : ''}`,
    ...[...counts].map(([kind, count]) => `  ${count} ${KINDS[kind] ?? kind}`),
  ];
  return `${lines.join('\n')}\n`;
}

const KINDS: Readonly<Record<string, string>> = {
  r: 'refusals',
  t: 'answers with texts or row counts from the server',
  q: 'receipts',
  s: 'operations skipped',
  u: 'transactions of unknown outcome',
  e: 'lanes that were stopped',
};
