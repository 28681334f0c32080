import type { Shard } from '../config/shard.js';
import { number, seconds, table } from './figures.js';

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

const EXIT = { finished: 0, endedEarly: 2, outage: 3 } as const;

/** Returns the exit code of a load, and the reason in words. */
export function exitOfLoad(
  tables: LoadSummary['tables'],
  { kind, message, rows, maxErrorRatio, later, shard }: LoadEnding,
): LoadSummary['exit'] {
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
      return { code: shard === null ? EXIT.finished : EXIT.endedEarly, reason: `stopped by ${message}; ${later}` };
    case 'finished':
      return exitOfRows(tables, rows, maxErrorRatio, shard);
  }
}

function exitOfRows(
  tables: LoadSummary['tables'],
  rows: number,
  maxErrorRatio: number,
  shard: Shard | null,
): LoadSummary['exit'] {
  const short = Object.entries(tables)
    .filter(([, each]) => each.rows < each.wanted)
    .map(([name, each]) => `${name} (${each.rows} of ${each.wanted} rows)`);
  if (short.length > 0) return { code: EXIT.endedEarly, reason: `these tables are not full: ${short.join(', ')}` };
  const refused = Object.values(tables).reduce((sum, each) => sum + each.refused, 0);
  const loaded = Object.values(tables).reduce((sum, each) => sum + each.rows, 0);
  if (refused > 0 && refused / (refused + loaded) > maxErrorRatio)
    return {
      code: EXIT.endedEarly,
      reason: `the server rejected ${refused} rows, which exceeds error_budget.max_error_ratio`,
    };
  if (shard !== null)
    return { code: EXIT.finished, reason: `all rows of shard ${shard.index} of ${shard.of} are loaded` };
  return { code: EXIT.finished, reason: `every table has ${rows} rows, or as many as it has room for` };
}

export function loadText(summary: LoadSummary): string {
  const rows = Object.entries(summary.tables).map(([name, each]) => [
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
    `  ${number(summary.rows)} rows in ${seconds(summary.elapsed_seconds)}: ${number(summary.rows_per_second)} rows/s`,
    `  seeds ${summary.seeds.random}/${summary.seeds.faker}, ${summary.connections} connections`,
    '',
    ...table([['table', '', 'loaded', 'of', 'rejected', 'rows now'], ...rows], 2),
  ];
  const errors = Object.entries(summary.errors);
  if (errors.length > 0)
    lines.push('', '  errors', ...errors.map(([state, count]) => `    ${state} × ${number(count)}`));
  return `${lines.join('\n')}\n`;
}
