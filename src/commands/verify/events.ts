import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { type CaptureFacts, factsFileOf } from '../../changes/capture.js';
import { tableName } from '../../changes/event.js';
import { EventFile } from '../../changes/formats/formats.js';
import { linesOf } from '../../changes/lines.js';
import { SetupError } from '../../config/problem.js';
import type { EventClass } from '../../proof/chain.js';
import { compareEvents, type EventVerdict } from '../../proof/events.js';
import type { TableFacts, ToldEvent } from '../../proof/told.js';
import { eventVerdict, type Verdict } from '../../proof/verdict.js';

/** Differences that can be accepted, because nothing was lost. */
export const ALLOWANCES = ['compaction', 'key-pairs', 'move-pairs', 'missing-columns'] as const;
export type Allowance = (typeof ALLOWANCES)[number];

export interface EventOptions {
  /** The consumer's file, `-` for standard input. */
  readonly events: string;
  readonly format: string | undefined;
  readonly map: string | undefined;
  readonly delivery: 'exactly-once' | 'at-least-once';
  /** Undefined: by transaction if both sides contain transactions, else by key. */
  readonly order: 'transaction' | 'key' | 'none' | undefined;
  readonly allow: readonly Allowance[];
  readonly isStrict: boolean;
  /** Names of schemas and tables in the consumer's file, by name in the source. */
  readonly renamed: ReadonlyMap<string, string>;
  /** The folder for data that does not fit into memory. */
  readonly folder: string;
}

/** The default options of `verify`. */
export const PLAIN: Omit<EventOptions, 'events' | 'folder'> = {
  format: undefined,
  map: undefined,
  delivery: 'exactly-once',
  order: undefined,
  allow: [],
  isStrict: false,
  renamed: new Map(),
};

/** The changes that a consumer's file is compared with. */
export interface Truth {
  readonly events: AsyncIterable<ToldEvent> | Iterable<ToldEvent>;
  readonly facts: ReadonlyMap<string, TableFacts>;
  /** Approximate size in bytes. */
  readonly size: number;
  readonly undecided: readonly string[];
  readonly notes: readonly string[];
  /** False if it has no order between keys, like a history. */
  readonly ordersTransactions: boolean;
  /** Returns true for changes of a table that it need not contain. */
  readonly isForeign: (table: string, found: EventClass) => boolean;
  /** Returns what is undecided after reading: a cut-off last line, changes that triggers may have made. */
  readonly afterwards: (found: EventVerdict) => readonly string[];
}

/**
 * Compares a consumer's events with a source's.
 * @throws SetupError if a file cannot be read or a line is invalid.
 */
export async function verifyEvents(truth: Truth, options: EventOptions): Promise<Verdict> {
  const { events: file, delivery, order = 'transaction', allow } = options;
  const roots = rootsOf(truth.facts);
  const typesOf = (table: string) => truth.facts.get(roots.get(table) ?? table)?.columns;
  const consumed = new EventFile(file, linesOf(file, options.map), typesOf, options.format);
  const original = new Map([...options.renamed].map(([source, target]) => [target, source]));
  const found = await compareEvents({
    source: truth.events,
    target: told(consumed, original, roots),
    facts: truth.facts,
    isForeign: truth.isForeign,
    size: truth.size + sizeOf(file),
    // A compacted stream has no whole transactions.
    order: order === 'transaction' && (!truth.ordersTransactions || allow.includes('compaction')) ? 'key' : order,
    folder: options.folder,
    delivery,
    isOrdered: order !== 'none',
    allowsCompaction: allow.includes('compaction'),
    get allowsKeyPairs() {
      return allow.includes('key-pairs') || consumed.format?.splitsKeyUpdates === true;
    },
    allowsMovePairs: allow.includes('move-pairs'),
  });
  const asksTransactions = options.order === 'transaction';
  const undecided = [
    ...truth.undecided,
    ...(asksTransactions && !truth.ordersTransactions
      ? [
          'the order of transactions, because a history knows the order within each key only; use --against with a capture',
        ]
      : []),
  ];
  const verdict = eventVerdict(
    found,
    {
      isStrict: options.isStrict,
      isForeign: truth.isForeign,
      needsTransactions: asksTransactions,
      allowsMissingColumns: allow.includes('missing-columns'),
    },
    [...undecided, ...truth.afterwards(found)],
  );
  const notes = [
    ...truth.notes,
    ...(consumed.tornLine === null ? [] : [`${file}:${consumed.tornLine}: the last line is cut off and was ignored`]),
  ];
  return { ...verdict, notes: [...verdict.notes, ...notes] };
}

/** Partition → the table that it belongs to. */
function rootsOf(facts: Truth['facts']): ReadonlyMap<string, string> {
  return new Map([...facts].flatMap(([root, { partitions = [] }]) => partitions.map((name) => [name, root] as const)));
}

/** A consumer's changes under the names of the source's tables. */
async function* told(
  file: EventFile,
  original: ReadonlyMap<string, string>,
  roots: ReadonlyMap<string, string>,
): AsyncGenerator<ToldEvent> {
  for await (const { event, line } of file.events()) {
    const { schema, table } = event;
    const name = original.get(`${schema}.${table}`) ?? `${original.get(schema) ?? schema}.${table}`;
    const whole = roots.get(name) ?? original.get(`${schema}.${table}`);
    const renamed =
      whole !== undefined
        ? { schema: whole.slice(0, whole.indexOf('.')), table: whole.slice(whole.indexOf('.') + 1) }
        : { schema: original.get(schema) ?? schema, table };
    yield { event: { ...event, ...renamed }, position: line, origin: null, isMove: false };
  }
}

/**
 * Returns a capture as the truth. Types and keys come from the file beside it; without that, keys come from the events.
 * @throws SetupError if it is not a capture.
 */
export async function captured(file: string): Promise<Truth> {
  const factsFile = factsFileOf(file);
  if (!existsSync(file)) throw SetupError.of('--against', `${file} does not exist`);
  const facts = existsSync(factsFile) ? readFacts(factsFile) : null;
  const notes =
    facts === null
      ? [`${factsFile} is missing, so values are compared as text and it is not known whether the capture is complete`]
      : facts.not_covered.map(
          ({ table, operations, reason }) => `${table}: not in the capture (${operations}): ${reason}`,
        );
  const source = new EventFile(file, linesOf(file), () => undefined, 'own');
  const countsOf = (each: Readonly<Record<string, number>>) =>
    Object.values(each).reduce((sum, count) => sum + count, 0);
  const expected = facts === null ? null : Object.values(facts.events).reduce((sum, each) => sum + countsOf(each), 0);
  let read = 0;
  const counted = async function* (): AsyncGenerator<ToldEvent> {
    for await (const told of eventsIn(source)) {
      read++;
      yield told;
    }
  };
  return {
    events: counted(),
    facts: facts === null ? await factsIn(file) : new Map(Object.entries(facts.tables)),
    size: statSync(file).size,
    undecided:
      facts === null || facts.complete ? [] : [`the capture is incomplete: ${facts.reason ?? 'it was killed'}`],
    notes,
    ordersTransactions: true,
    isForeign: () => false,
    afterwards: () => [
      ...(source.tornLine === null ? [] : [`${file}:${source.tornLine}: the last line of the capture is cut off`]),
      ...(expected === null || expected === read || facts?.complete === false
        ? []
        : [`${file} contains ${read} changes, but ${factsFile} says ${expected}`]),
    ],
  };
}

/** Reads keys and columns of the tables from a file of our own format. */
async function factsIn(file: string): Promise<ReadonlyMap<string, TableFacts>> {
  const found = new Map<string, { key: readonly string[] | null; columns: Record<string, string> }>();
  for await (const { event } of changesIn(file)) {
    if (event.op === 'truncate') continue;
    const name = tableName(event);
    let facts = found.get(name);
    if (facts === undefined) {
      facts = { key: event.key === null ? null : Object.keys(event.key), columns: {} };
      found.set(name, facts);
    }
    for (const column in event.new ?? {}) facts.columns[column] ??= 'unknown';
  }
  return found;
}

function readFacts(file: string): CaptureFacts {
  try {
    const facts = JSON.parse(readFileSync(file, 'utf8')) as CaptureFacts | null;
    if (facts?.v !== 1 || typeof facts.tables !== 'object' || !Array.isArray(facts.not_covered))
      throw new Error('unexpected members');
    return facts;
  } catch (error) {
    throw SetupError.of(path.basename(file), `was not written by capture (${(error as Error).message})`);
  }
}

/** Yields the changes of a capture. @throws SetupError if a line is invalid. */
export function changesIn(file: string): AsyncGenerator<ToldEvent> {
  return eventsIn(new EventFile(file, linesOf(file), () => undefined, 'own'));
}

async function* eventsIn(source: EventFile): AsyncGenerator<ToldEvent> {
  for await (const { event, line } of source.events()) yield { event, position: line, origin: null, isMove: false };
}

const UNKNOWN_SIZE = 16 * 2 ** 30;

function sizeOf(file: string): number {
  // Packed texts have about a tenth of their size; the size of standard input is unknown.
  const size = file === '-' || !existsSync(file) ? UNKNOWN_SIZE : statSync(file).size;
  return file.endsWith('.gz') ? size * 10 : size;
}
