import type { Shard } from '../config/shard.js';
import type { Threshold } from '../config/threshold.js';
import type { Finding, Plan } from '../plan/plan.js';
import { type CoverageSummary, coverageOf, coverageShare, coverageTexts } from './coverage.js';
import { number, seconds, table } from './figures.js';
import { sqlstateName } from './refusals.js';
import { judge, missedText, type ThresholdResult, thresholdText } from './thresholds.js';

/** What a load did, as `--summary` writes it. */
export interface LoadSummary {
  readonly schema_version: 1;
  readonly version: string;
  readonly command: 'load';
  readonly run_id: string;
  readonly plan_fingerprint: string;
  readonly shard?: Shard;
  readonly exit: { readonly code: number; readonly reason: string };
  /** False if the load ended before all rows were tried. */
  readonly is_complete: boolean;
  readonly elapsed_seconds: number;
  readonly seeds: { readonly random: string; readonly faker: string };
  readonly connections: number;
  readonly rows: number;
  readonly rows_per_second: number;
  /** Rows that each table was to have at the end, as `--rows` says. */
  readonly rows_wanted: number;
  readonly max_error_ratio: number;
  /** Of the tables that were to be filled, those that are. */
  readonly coverage: CoverageSummary;
  /** Those on coverage: the others are about the operations of a run. */
  readonly thresholds: readonly ThresholdResult[];
  readonly tables: Readonly<Record<string, LoadedTable>>;
  readonly errors: Readonly<Record<string, number>>;
}

export interface LoadedTable {
  readonly rows: number;
  /** Rows that were to be loaded. */
  readonly wanted: number;
  readonly refused: number;
  readonly rows_at_start: number | null;
  readonly rows_expected: number | null;
}

/** How a load ended. */
export interface LoadEnding {
  readonly kind: 'finished' | 'stopped' | 'outage' | 'refused';
  /** Why it was stopped, or what the server said; empty if it finished. */
  readonly message: string;
  readonly rows: number;
  readonly maxErrorRatio: number;
  /** What continues the load. */
  readonly later: string;
  readonly shard: Shard | null;
}

const EXIT = { finished: 0, endedEarly: 2, outage: 3, threshold: 4 } as const;
const ARE_FILLED = 'have all their rows';

/** Returns which tables a load has filled, and why it has not filled others. `isByTrigger`: whether triggers alone fill a table. */
export function coverageOfLoad(
  plan: Plan,
  findings: readonly Finding[],
  tables: LoadSummary['tables'],
  isByTrigger: (label: string) => boolean,
): CoverageSummary {
  const explained = new Set(findings.flatMap(({ relation, behind = [] }) => [relation, ...behind]));
  const short = Object.entries(tables)
    .filter(([label, { rows, wanted }]) => rows < wanted && !explained.has(label))
    .map(([label, { refused }]): [string, string] => [
      label,
      refused > 0 ? 'the server rejected rows' : 'not all of its rows are loaded',
    ]);
  return coverageOf(plan, findings, (label) => (isByTrigger(label) ? [] : ['insert']), new Map(short));
}

/** Judges the thresholds on coverage; the others are about the operations of a run. */
export function judgeLoad(thresholds: readonly Threshold[], coverage: CoverageSummary): ThresholdResult[] {
  return thresholds
    .filter(({ figure }) => figure === 'coverage')
    .map((threshold) => judge(threshold, coverageShare(coverage)));
}

function rowsOf(tables: LoadSummary['tables']): { readonly loaded: number; readonly refused: number } {
  const all = Object.values(tables);
  return {
    loaded: all.reduce((sum, { rows }) => sum + rows, 0),
    refused: all.reduce((sum, { refused }) => sum + refused, 0),
  };
}

/** Returns the exit code of a load, and the reason in words. */
export function exitOfLoad(
  { tables, thresholds }: Pick<LoadSummary, 'tables' | 'thresholds'>,
  { kind, message, rows, maxErrorRatio, later, shard }: LoadEnding,
): LoadSummary['exit'] {
  // The thresholds of a shard are for information only; merge judges the whole load.
  const missed = shard === null ? missedText(thresholds) : null;
  switch (kind) {
    case 'outage':
      return {
        code: EXIT.outage,
        reason: `the database was unreachable for longer than max_outage_seconds: ${message}; ${later}`,
      };
    case 'refused':
      return { code: EXIT.endedEarly, reason: `${message}; ${later}` };
    case 'stopped':
      // Until the shard is started again, its part of the result is missing.
      if (shard !== null) return { code: EXIT.endedEarly, reason: `stopped by ${message}; ${later}` };
      return missed === null
        ? { code: EXIT.finished, reason: `stopped by ${message}; ${later}` }
        : { code: EXIT.threshold, reason: `stopped by ${message}; ${missed}; ${later}` };
    case 'finished':
      return exitOfRows(tables, { rows, maxErrorRatio, shard, missed });
  }
}

function exitOfRows(
  tables: LoadSummary['tables'],
  {
    rows,
    maxErrorRatio,
    shard,
    missed,
  }: Pick<LoadEnding, 'rows' | 'maxErrorRatio' | 'shard'> & { missed: string | null },
): LoadSummary['exit'] {
  const short = Object.entries(tables)
    .filter(([, each]) => each.rows < each.wanted)
    .map(([name, each]) => `${name} (${each.rows} of ${each.wanted} rows)`);
  if (short.length > 0) return { code: EXIT.endedEarly, reason: `these tables are not full: ${short.join(', ')}` };
  const { loaded, refused } = rowsOf(tables);
  if (refused > 0 && refused / (refused + loaded) > maxErrorRatio)
    return {
      code: EXIT.endedEarly,
      reason: `the server rejected ${refused} rows, which exceeds error_budget.max_error_ratio`,
    };
  if (missed !== null) return { code: EXIT.threshold, reason: missed };
  if (shard !== null)
    return { code: EXIT.finished, reason: `all rows of shard ${shard.index} of ${shard.of} are loaded` };
  return { code: EXIT.finished, reason: `every table has ${rows} rows, or as many as it has room for` };
}

/** Returns which tables are filled, and why others are not, a line each. */
export function loadCoverageTexts({ coverage }: LoadSummary): string[] {
  return coverageTexts(coverage, ARE_FILLED);
}

/** What is said of a load beside its figures. */
export interface LoadView {
  /** Files that were written. */
  readonly files: readonly string[];
  /** What repeats the load in an empty database; null where nothing does. */
  readonly command: string | null;
  /** SQLSTATE → one message of the server. */
  readonly examples: ReadonlyMap<string, string>;
}

export function loadText(summary: LoadSummary, { files, command, examples }: LoadView): string {
  // The order of the page: where most rows went first.
  const tables = Object.entries(summary.tables).sort(([, a], [, b]) => b.rows - a.rows);
  const rows = tables.map(([name, each]) => [
    name,
    '',
    number(each.rows),
    number(each.wanted),
    number(each.refused),
    each.rows_expected === null ? 'unknown' : number(each.rows_expected),
  ]);
  const lines = [
    '',
    `${summary.exit.code === 0 ? 'Finished' : 'Ended'}: ${summary.exit.reason} (exit code ${summary.exit.code})`,
    ...summary.thresholds.map((each) => `  ${thresholdText(each)}`),
    `  ${number(summary.rows)} rows in ${seconds(summary.elapsed_seconds)}: ${number(summary.rows_per_second)} rows/s`,
    `  seeds ${summary.seeds.random}/${summary.seeds.faker}, ${summary.connections} connections`,
    '',
    ...loadCoverageTexts(summary).map((text, index) => `${index === 0 ? '  ' : '    '}${text}`),
    '',
    ...table([['table', '', 'loaded', 'of', 'rejected', 'rows now'], ...rows], 2),
  ];
  const errors = Object.entries(summary.errors);
  if (errors.length > 0)
    lines.push(
      '',
      '  errors',
      ...errors.map(([state, count]) => {
        const [name, example] = [sqlstateName(state), examples.get(state)];
        return `    ${state}${name === null ? '' : ` ${name}`} × ${number(count)}${example === undefined ? '' : `, for example: ${example}`}`;
      }),
    );
  lines.push(
    '',
    ...(files.length > 0 ? [`  files written: ${files.join(', ')}`] : []),
    ...(command === null ? [] : [`  to repeat this load: ${command}`]),
  );
  return `${lines.join('\n')}\n`;
}
