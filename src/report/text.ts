import { OPERATION_KINDS } from '../plan/plan.js';
import type { Percentiles } from '../traffic/histogram.js';
import { perSecond, type Summary } from './summary.js';

const MOST_TABLES = 40;

/** The summary for people: a table that can be pasted into a ticket. */
export function summaryText(summary: Summary): string {
  const { totals, events, generator } = summary;
  const lines = [
    '',
    `${summary.exit.code === 0 ? 'Finished' : 'Ended'}: ${summary.exit.reason} (exit code ${summary.exit.code})`,
    `  ${number(totals['operations']!)} operations in ${seconds(summary.elapsed_seconds)}: ${figure(perSecond(totals['operations']!, summary))} operations/s, ` +
      `${figure(perSecond(events.insert + events.update + events.delete, summary))} events/s${asked(summary)}`,
    `  committed ${number(totals['committed']!)}, ${rolledBack(summary)}rejected ${number(totals['rejected']!)}, failed ${number(totals['failed']!)}, ${skipped(summary)}` +
      `retries ${number(totals['retries']!)}, reconnects ${number(totals['reconnects']!)}, in doubt ${number(totals['in_doubt_unknown']!)}`,
    `  seeds ${summary.seeds.random}/${summary.seeds.faker}, ${summary.connections} connections at depth ${summary.pipeline_depth}, ` +
      `${summary.workers} workers, PostgreSQL ${summary.server_version}, rows ${summary.row_selection}` +
      `${summary.reproducible ? ', reproducible' : `, not reproducible: ${summary.reproducible_because.join('; ')}`}`,
    '',
    ...table(tableRows(summary)),
    '',
    ...table(latencyRows(summary)),
    '',
    `  generator: ${generator.cpu_micros_per_operation === null ? '-' : figure(generator.cpu_micros_per_operation)} µs of CPU per operation, event loop p99 ${ms(generator.event_loop_p99_seconds)}, ` +
      `${number(Math.round(generator.max_rss_bytes / 1e6))} MB`,
  ];
  if (summary.outages.length > 0) lines.push(outagesLine(summary.outages));
  if (summary.replication !== null)
    lines.push('', ...table(lagRows(summary.replication)), ...slotLines(summary.replication_slots ?? {}));
  if (summary.heartbeats_missed !== null && summary.heartbeats_missed > 0)
    lines.push(
      `  ${number(summary.heartbeats_missed)} heartbeats could not be written: lag was not measured at those moments`,
    );
  if (summary.replication !== null) lines.push('');
  if (summary.verdict !== null) lines.push(`  ${summary.verdict}: ${summary.verdict_because!.advice}`);
  for (const { condition, value, passed } of summary.thresholds)
    lines.push(
      `  threshold ${condition}: ${passed ? 'met' : 'NOT met'} (${value === null ? 'nothing was measured' : figure(value)})`,
    );
  if (summary.indexes !== null) {
    const { created, dropped, failed } = summary.indexes;
    lines.push(`  indexes: ${created} created, ${dropped} dropped, ${failed} refused`);
  }
  const errors = Object.entries(summary.errors);
  if (errors.length > 0) {
    lines.push('', '  errors');
    for (const [sqlstate, { count, example }] of errors)
      lines.push(`    ${sqlstate} × ${number(count)}${example === '' ? '' : `, for example: ${example}`}`);
  }
  return `${lines.join('\n')}\n`;
}

function asked({ rate }: Summary): string {
  return rate.target === null ? '' : `, ${figure(rate.target)} ${rate.unit}/s asked for`;
}

/** Said only where it was asked for. */
function outagesLine(outages: Summary['outages']): string {
  const lasted = outages.reduce((sum, each) => sum + each.seconds, 0);
  const longest = outages.reduce((most, each) => (each.seconds > most.seconds ? each : most));
  return `  outages: ${number(outages.length)}, ${seconds(lasted)} in all; the longest ${seconds(longest.seconds)} from ${longest.from} (${longest.reason})`;
}

function skipped({ totals }: Summary): string {
  return totals['skipped']! > 0 ? `skipped ${number(totals['skipped']!)} (their tables were blocked), ` : '';
}

function rolledBack({ totals, transactions }: Summary): string {
  if (totals['rolled_back'] === 0) return '';
  return `rolled back on purpose ${number(totals['rolled_back']!)} (${number(transactions.intended_rollback)} transactions), `;
}

function tableRows(summary: Summary): string[][] {
  const rows = [['table', 'operation', 'operations', 'rows', 'retries', 'rejected', 'rows now']];
  const entries = Object.entries(summary.tables);
  for (const [name, entry] of entries.slice(0, MOST_TABLES)) {
    for (const kind of OPERATION_KINDS) {
      const { operations, rows: changed, retries, rejected } = entry[kind];
      const now = kind === 'insert' ? (entry.rows_expected === null ? 'not counted' : number(entry.rows_expected)) : '';
      rows.push([
        kind === 'insert' ? name : '',
        kind,
        number(operations),
        number(changed),
        number(retries),
        number(rejected),
        now,
      ]);
    }
  }
  for (const [name, { cascaded, substituted, by_trigger: byTrigger }] of entries.slice(0, MOST_TABLES)) {
    if (byTrigger !== 0)
      rows.push([name, 'by triggers', '', byTrigger === null ? 'not known' : number(byTrigger), '', '', '']);
    if (substituted > 0) rows.push([name, 'drawn, done as another', number(substituted), '', '', '', '']);
    for (const kind of ['update', 'delete'] as const) {
      if (cascaded[kind] > 0) rows.push([name, `${kind} by cascade`, '', number(cascaded[kind]), '', '', '']);
    }
  }
  if (entries.length > MOST_TABLES)
    rows.push([`… ${entries.length - MOST_TABLES} more in the summary file`, '', '', '', '', '', '']);
  return rows;
}

function latencyRows(summary: Summary): string[][] {
  const cells = (name: string, kind: string, values: Percentiles | null) =>
    values === null
      ? []
      : [[name, kind, ms(values.p50), ms(values.p90), ms(values.p99), ms(values.p999), ms(values.max)]];
  return [
    ['latency', '', 'p50', 'p90', 'p99', 'p99.9', 'max'],
    ...OPERATION_KINDS.flatMap((kind) => [
      ...cells(kind, 'response', summary.latency_seconds[kind].response),
      ...cells('', 'service', summary.latency_seconds[kind].service),
    ]),
  ];
}

function slotLines(slots: NonNullable<Summary['replication_slots']>): string[] {
  return Object.entries(slots).map(([slot, { max }]) => `  slot ${slot}: ${bytes(max)} of log kept at most`);
}

function bytes(value: number): string {
  if (value < 1e6) return `${figure(value / 1e3)} kB`;
  return value < 1e9 ? `${figure(value / 1e6)} MB` : `${figure(value / 1e9)} GB`;
}

function lagRows(replication: NonNullable<Summary['replication']>): string[][] {
  return [
    ['replication lag', '', 'p50', 'p90', 'p99', 'p99.9', 'max', 'unseen', 'most behind'],
    ...Object.entries(replication).map(
      ([name, { lag_seconds: lag, unseen, poll_floor_seconds: floor, bytes_behind: behind }]) => {
        const most = Object.values(behind).map(({ max }) => max);
        // With heartbeats that were never seen each figure is a bound from below.
        const cell = (value: number | undefined) =>
          value === undefined ? '-' : `${unseen > 0 ? '≥ ' : ''}${ms(value)}`;
        const floorText = floor === null ? '' : `(told from ${ms(floor)} on)`;
        return [
          name,
          floorText,
          cell(lag?.p50),
          cell(lag?.p90),
          cell(lag?.p99),
          cell(lag?.p999),
          cell(lag?.max),
          number(unseen),
          most.length === 0 ? '-' : bytes(Math.max(...most)),
        ];
      },
    ),
  ];
}

/** Columns lined up: the first two to the left, figures to the right. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    `  ${row.map((cell, column) => (column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join('  ')}`.trimEnd(),
  );
}

function figure(value: number): string {
  return value >= 100 ? number(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/** Thousands apart, the same on every machine. */
export function number(value: number): string {
  const [whole, fraction] = String(value).split('.');
  return whole!.replace(/\B(?=(\d{3})+$)/g, ',') + (fraction === undefined ? '' : `.${fraction}`);
}

export function seconds(value: number): string {
  if (value < 60) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60].map((part) =>
    String(part).padStart(2, '0'),
  );
  return parts.join(':');
}

export function ms(valueSeconds: number): string {
  const value = valueSeconds * 1000;
  return `${value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : String(Math.round(value))} ms`;
}
