import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import type pg from 'pg';
import { describeConnection } from '../../config/connection.js';
import { type Config, parseConfig } from '../../config/load.js';
import { SetupError } from '../../config/problem.js';
import { connectCoordinator } from '../../prepare/connect.js';
import { PINNED_SETTINGS, TableComparison, type TableResult } from '../../proof/contents.js';
import { waitForTarget } from '../../proof/fence.js';
import { pairTables, type Scope } from '../../proof/tables.js';
import { columnsOf, type Verdict, type VerdictDifference } from '../../proof/verdict.js';
import { writeOutput } from '../output-file.js';

export interface ContentsOptions {
  readonly source: string;
  readonly target: string;
  readonly scope: Scope;
  readonly rate: number;
  readonly rechecks: number;
  readonly isStrict: boolean;
  /** The file that records finished tables, so that an interrupted comparison can continue. */
  readonly resumeFile: string | undefined;
  readonly step: (text: string) => void;
}

/** Returns a configuration with only the connection. `option` is the option with the URL. */
export function configFromUrl(url: string, option: string, environment: NodeJS.ProcessEnv): Config {
  return parseConfig(option, JSON.stringify({ connection: { url } }), [], environment);
}

/**
 * Compares the contents of two databases.
 * @throws SetupError if one of them cannot be reached, or lacks a requested table.
 */
export async function verifyContents(options: ContentsOptions, environment: NodeJS.ProcessEnv): Promise<Verdict> {
  const source = await connectReader(options.source, '--source', environment);
  try {
    const target = await connectReader(options.target, '--target', environment);
    try {
      return await compareContents(source, target, options);
    } finally {
      await target.end();
    }
  } finally {
    await source.end();
  }
}

async function connectReader(url: string, option: string, environment: NodeJS.ProcessEnv): Promise<pg.Client> {
  const config = configFromUrl(url, option, environment);
  const client = await connectCoordinator(config.connection, config, randomBytes(4).toString('hex'));
  try {
    await client.query(PINNED_SETTINGS);
    return client;
  } catch (error) {
    await client.end();
    throw SetupError.of(option, `${describeConnection(config.connection)}: ${(error as Error).message}`);
  }
}

/**
 * Compares the contents of two databases over sessions with pinned settings.
 * @throws SetupError if the source lacks a requested table.
 */
export async function compareContents(
  source: pg.Client,
  target: pg.Client,
  options: Omit<ContentsOptions, 'source' | 'target'>,
): Promise<Verdict> {
  const pairing = await pairTables(source, target, options.scope);
  if (pairing.unknown.length > 0)
    throw SetupError.of('--source', `has no schema, table or column ${pairing.unknown.join(', ')}`);
  const undecided: string[] = [];
  const results: TableResult[] = [];
  const done = new Progress(options.resumeFile, await questionOf(source, target, options));
  let isLate = false;
  for (const table of pairing.tables) {
    const known = done.of(table.name);
    if (known !== undefined) {
      results.push(known);
      continue;
    }
    const fence = async () => {
      // It is asked once for all tables: each would wait as long again.
      if (isLate) return false;
      const isThere = await waitForTarget(source, target);
      isLate ||= !isThere;
      return isThere;
    };
    const { rate, rechecks, step } = options;
    try {
      const result = await new TableComparison([source, target], table, { fence, rechecks, rate, step }).run();
      results.push(result);
      done.add(result);
    } catch (error) {
      undecided.push(`${table.name} could not be compared: ${(error as Error).message}`);
    }
  }
  if (undecided.length === 0) done.end();
  const { missingColumns } = pairing;
  if (missingColumns.length > 0) {
    const more = missingColumns.length > MOST_NAMED ? ` and ${missingColumns.length - MOST_NAMED} more` : '';
    undecided.push(
      `the target does not have ${missingColumns.slice(0, MOST_NAMED).join(', ')}${more} (--columns chooses what is compared)`,
    );
  }
  if (isLate) undecided.push('the target did not catch up with the source within 30 s');
  return verdictOf(results, { ...pairing, undecided, isStrict: options.isStrict });
}

/* Columns that are named in one sentence. */
const MOST_NAMED = 5;

/** Identifies the comparison, so that results of another one are not used. */
async function questionOf(
  source: pg.Client,
  target: pg.Client,
  { scope, isStrict }: Pick<ContentsOptions, 'scope' | 'isStrict'>,
): Promise<string> {
  const place = ({ host, port, database }: pg.Client) => `${host}:${port}/${database}`;
  const names = { renamed: [...scope.renamed], columns: [...scope.columns] };
  return JSON.stringify([place(source), place(target), { ...scope, ...names }, isStrict]);
}

/** A file of tables that were found equal, which a continued comparison skips. Different ones are compared again. */
class Progress {
  private readonly file: string | undefined;
  private readonly question: string;
  private readonly results: Record<string, TableResult> = {};

  /** @throws SetupError if the file was not written by this program, or belongs to another comparison. */
  constructor(file: string | undefined, question: string) {
    this.file = file;
    this.question = question;
    if (file === undefined || !existsSync(file)) return;
    let stored: { readonly question?: unknown; readonly results?: Record<string, TableResult> } | null;
    try {
      stored = JSON.parse(readFileSync(file, 'utf8'));
    } catch (error) {
      throw SetupError.of('--resume', `${file} cannot be read (${(error as Error).message}); remove it to start over`);
    }
    if (stored?.question !== question || stored.results === undefined)
      throw SetupError.of(
        '--resume',
        `${file} belongs to a comparison of other databases or with other options; remove it to start over`,
      );
    this.results = stored.results;
  }

  of(table: string): TableResult | undefined {
    return this.results[table];
  }

  add(result: TableResult): void {
    const { missing, extra, different, unsettled, isAtLeast } = result;
    if (this.file === undefined || missing + extra + different + unsettled > 0 || isAtLeast) return;
    this.results[result.table] = result;
    writeOutput(this.file, `${JSON.stringify({ question: this.question, results: this.results })}\n`);
  }

  /** Removes the file when everything has been compared. */
  end(): void {
    if (this.file !== undefined) rmSync(this.file, { force: true });
  }
}

/** What was found beside the results of the tables that were compared. */
interface Found {
  readonly missing: readonly string[];
  readonly notCompared: readonly string[];
  readonly undecided: readonly string[];
  readonly isStrict: boolean;
}

function sumOf(results: readonly TableResult[], figure: (result: TableResult) => number): number {
  return results.reduce((total, each) => total + figure(each), 0);
}

/** Returns what is different, in words. */
function differencesIn(results: readonly TableResult[], { missing, isStrict }: Found): string[] {
  const parts = [
    [sumOf(results, (each) => each.missing), 'row missing', 'rows missing'],
    [sumOf(results, (each) => each.extra), 'extra row', 'extra rows'],
    [sumOf(results, (each) => each.different), 'row with different values', 'rows with different values'],
    [missing.length, 'table missing', 'tables missing'],
    [
      isStrict ? sumOf(results, (each) => each.representation) : 0,
      'row in another representation',
      'rows in another representation',
    ],
  ] as const;
  return parts.filter(([count]) => count > 0).map(([count, one, many]) => `${count} ${count === 1 ? one : many}`);
}

/** Returns what could not be decided, in words. */
function undecidedIn(results: readonly TableResult[], found: Found): string[] {
  return [
    ...found.undecided,
    ...results
      .filter((each) => each.unsettled > 0)
      .map((each) => `${each.unsettled} rows of ${each.table} were still changing at the last comparison`),
    // If all compared rows differ only in representation, the rest may still have other values.
    ...results
      .filter((each) => each.isAtLeast && each.missing + each.extra + each.different === 0)
      .map(
        (each) =>
          `too many rows of ${each.table} differ to compare them all; those that were compared differ only in representation`,
      ),
    ...(results.length === 0 && found.missing.length === 0 ? ['there is no table to compare'] : []),
  ];
}

function verdictOf(results: readonly TableResult[], found: Found): Verdict {
  const words = differencesIn(results, found);
  const undecided = undecidedIn(results, found);
  const representation = sumOf(results, (each) => each.representation);
  const unsettled = sumOf(results, (each) => each.unsettled);
  const isAtLeast = results.some((each) => each.isAtLeast);
  const verdict = words.length > 0 ? 'different' : undecided.length > 0 ? 'undecided' : 'equal';
  const headlines = {
    different: `Different: ${isAtLeast ? 'at least ' : ''}${words.join(', ')}.`,
    undecided: `Not decided: ${undecided.join('; ')}.`,
    equal: `Equal: ${results.length === 1 ? '1 table holds' : `${results.length} tables hold`} the same values, in ${sumOf(results, (each) => each.source)} rows.`,
  };
  return {
    verdict,
    headline: headlines[verdict],
    tables: Object.fromEntries(results.map(({ differences: _, isAtLeast: __, table, ...figures }) => [table, figures])),
    differences: [
      ...found.missing.map((table) => ({ ...NOTHING, class: 'missing table', table })),
      ...results.flatMap(differencesOf),
    ],
    difference_count: sumOf(results, (each) => each.missing + each.extra + each.different) + found.missing.length,
    undecided,
    not_compared: found.notCompared,
    notes: [
      ...(representation > 0 && !found.isStrict
        ? [`${representation} rows have values in another representation (--strict counts them as differences)`]
        : []),
      ...(unsettled > 0 ? ['to decide on rows that are still changing, stop the load or raise --rechecks'] : []),
    ],
  };
}

const NOTHING = { key: null, op: null, origin: null, source_position: null, target_position: null, columns: [] };

function differencesOf({ differences }: TableResult): VerdictDifference[] {
  return differences.map(({ table, key, class: found, columns }) => ({
    ...NOTHING,
    class: found,
    table,
    key,
    columns: columnsOf(columns),
  }));
}
