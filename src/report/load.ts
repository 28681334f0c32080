import { number, seconds, table } from './text.js';

/** What a load did, as `--summary` writes it. */
export interface LoadSummary {
  readonly schema_version: 1;
  readonly version: string;
  readonly exit: { readonly code: number; readonly reason: string };
  readonly elapsed_seconds: number;
  readonly seeds: { readonly random: string; readonly faker: string };
  readonly connections: number;
  readonly rows: number;
  readonly rows_per_second: number;
  readonly tables: Readonly<
    Record<
      string,
      {
        readonly rows: number;
        /** Rows that were to be loaded. */
        readonly wanted: number;
        readonly refused: number;
        readonly rows_at_start: number | null;
        readonly rows_expected: number | null;
      }
    >
  >;
  readonly errors: Readonly<Record<string, number>>;
}

export function loadText(summary: LoadSummary): string {
  const rows = Object.entries(summary.tables).map(([name, each]) => [
    name,
    '',
    number(each.rows),
    number(each.wanted),
    number(each.refused),
    each.rows_expected === null ? 'not counted' : number(each.rows_expected),
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
