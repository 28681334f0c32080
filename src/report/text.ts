import { OPERATION_KINDS } from '../plan/plan.js';
import type { Percentiles } from '../traffic/histogram.js';
import { coverageTexts } from './coverage.js';
import { bytes, counted, figure, ms, number, seconds, table } from './figures.js';
import { lagText } from './lag.js';
import { limitTexts } from './phases.js';
import { type RefusedTable, sqlstateName } from './refusals.js';
import { serverLagTexts } from './replication-notes.js';
import { perSecond, type Summary } from './summary.js';
import { thresholdText } from './thresholds.js';
import { wrapped } from './wrap.js';

/* Of the tables that changed most. */
const MOST_TABLES = 10;
const MOST_BESIDE = 3;
const LONGEST_NAME = 28;
const SHORTEST_NAME = 8;

/** How the summary is shown, and what is added to it. */
export interface SummaryView {
  /** All tables, and latencies of both kinds. */
  readonly isFull: boolean;
  /** Files that were written. */
  readonly files: readonly string[];
  /** What repeats the run; null where nothing does. */
  readonly command: string | null;
  /** Commands that a new user may want next, each with its purpose; mostly none. */
  readonly next: readonly (readonly [command: string, purpose: string])[];
  /** Width of the terminal; undefined where there is none. */
  readonly columns: number | undefined;
}

/** How a run ended and why. */
export function firstLine({ exit }: Summary): string {
  return `${exit.code === 0 ? 'Finished' : 'Ended'}: ${exit.reason} (exit code ${exit.code})\n`;
}

/** The summary for people, what matters most first: text that can be pasted into a ticket. */
export function summaryText(summary: Summary, view: SummaryView): string {
  const sections = [
    lagLines(summary),
    thresholdLines(summary),
    rateLines(summary),
    [...outcomeLines(summary), ...pauseLines(summary)],
    latencyLines(summary),
    replicationLines(summary, view.isFull),
    verificationLines(summary),
    trapLines(summary),
    verdictLines(summary),
    trendLines(summary),
    coverageLines(summary),
    tableLines(summary, view),
    errorLines(summary),
    lastLines(summary, view),
  ];
  const text = sections.filter((lines) => lines.length > 0).map((lines) => lines.join('\n'));
  return wrapped(`\n${firstLine(summary)}\n${text.join('\n\n')}\n`, view.columns);
}

/** What a benchmark was made for comes first. */
function lagLines({ lag }: Summary): string[] {
  if (lag === undefined) return [];
  const { sentences, tables } = lagText(lag);
  return [
    ...sentences.map((sentence) => `  ${sentence}`),
    ...tables.flatMap(({ title, heads, rows }) => [
      '',
      `  ${title}`,
      ...table([[...heads], ...rows]).map((line) => `  ${line}`),
    ]),
  ];
}

function thresholdLines({ thresholds }: Summary): string[] {
  return thresholds.map((each) => `  ${thresholdText(each)}`);
}

function rateLines(summary: Summary): string[] {
  const { totals, events, rate, elapsed_seconds: elapsed } = summary;
  const rows = events.insert + events.update + events.delete;
  const asked = rate.target === null ? '' : ` (target ${figure(rate.target)})`;
  const operations = `${figure(perSecond(totals['operations']!, summary))} operations/s${rate.unit === 'operations' ? asked : ''}`;
  const changes = `${figure(perSecond(rows, summary))} events/s${rate.unit === 'events' ? asked : ''}`;
  return [
    `  ${counted(totals['operations']!, 'operation')}, ${counted(rows, 'event')} in ${seconds(elapsed)}`,
    `  ${operations}, ${changes}`,
  ];
}

/** What became of the operations; what did not happen is left out, unless its absence is the news. */
function outcomeLines(summary: Summary): string[] {
  const { totals, transactions, outages, rate, acknowledged_lost: lostRows = {} } = summary;
  const lost = Object.values(lostRows).reduce((sum, rows) => sum + rows, 0);
  const some = (count: number, text: string) => (count > 0 ? [text] : []);
  const of = (name: string) => totals[name] ?? 0;
  const scheduled = rate.target === null ? [] : [`  dropped ${number(of('dropped'))}, late ${number(of('late'))}`];
  return [
    ...scheduled,
    `  committed ${number(of('committed'))}, rejected ${number(of('rejected'))}, failed ${number(of('failed'))}`,
    ...some(of('skipped'), `  skipped ${number(of('skipped'))} (table locked, or disk full)`),
    ...some(
      of('rolled_back'),
      `  rolled back on purpose ${number(of('rolled_back'))}, in ${number(transactions.intended_rollback)} transactions`,
    ),
    ...some(of('retries'), `  retries ${number(of('retries'))}${retried(summary)}`),
    ...refusedLines(summary.refused_tables ?? []),
    ...(outages.length > 0 ? outageLines(outages) : []),
    ...some(of('reconnects'), `  reconnects ${number(of('reconnects'))}`),
    ...some(lost, `  rows lost by the server and written again: ${number(lost)}`),
    ...some(
      of('in_doubt_resolved') + of('in_doubt_unknown'),
      `  in doubt ${number(of('in_doubt_resolved') + of('in_doubt_unknown'))}, resolved ${number(of('in_doubt_resolved'))}`,
    ),
  ];
}

/** Times without load that the fuse or the control file wanted, with the reason of the longest. */
function pauseLines({ pauses = [] }: Summary): string[] {
  if (pauses.length === 0) return [];
  const longest = pauses.reduce((most, each) => (each.seconds > most.seconds ? each : most));
  const sum = pauses.reduce((total, each) => total + each.seconds, 0);
  return [`  paused ${number(pauses.length)} × (${seconds(sum)} in total): ${longest.reason}`];
}

/** How many of the statements were refused, and where most of them. */
function retried({ totals, tables }: Summary): string {
  const sent = totals['operations']! + totals['retries']!;
  const byTable = Object.entries(tables).map(([name, entry]) => ({
    name,
    retries: OPERATION_KINDS.reduce((sum, kind) => sum + entry[kind].retries, 0),
  }));
  const most = byTable.reduce((worst, each) => (each.retries > worst.retries ? each : worst), { name: '', retries: 0 });
  const share = ((totals['retries']! * 100) / sent).toFixed(1);
  return ` (${share} % of all attempts${most.retries > 0 ? `, most on ${most.name}` : ''})`;
}

function refusedLines(tables: readonly RefusedTable[]): string[] {
  const lines = tables
    .slice(0, MOST_BESIDE)
    .flatMap(({ table: name, share, sqlstate, name: condition, ...rest }) => [
      `    ${name}: ${Math.round(share * 100)} % of its statements refused, mostly ${sqlstate}${condition === null ? '' : ` ${condition}`}`,
      ...(rest.example === '' ? [] : [`      ${rest.example}`]),
      `      remedy: ${rest.remedy}`,
    ]);
  const more = tables.length - MOST_BESIDE;
  return more > 0 ? [...lines, `    … ${more} more tables in the summary file`] : lines;
}

function outageLines(outages: Summary['outages']): string[] {
  const lasted = outages.reduce((sum, each) => sum + each.seconds, 0);
  const longest = outages.reduce((most, each) => (each.seconds > most.seconds ? each : most));
  return [
    `  outages ${number(outages.length)}, ${seconds(lasted)} in total`,
    `    longest: ${seconds(longest.seconds)}, from ${longest.from}`,
    `    (${longest.reason})`,
  ];
}

function latencyLines({ latency_seconds: latency }: Summary): string[] {
  const cells = (name: string, values: Percentiles | null) =>
    values === null ? [] : [[name, ms(values.p50), ms(values.p90), ms(values.p99), ms(values.p999), ms(values.max)]];
  const [responses, services] = (['response', 'service'] as const).map((measure) =>
    OPERATION_KINDS.flatMap((kind) => cells(kind, latency[kind][measure])),
  ) as [string[][], string[][]];
  if (responses.length === 0) return [];
  const lines = table([['response', 'p50', 'p90', 'p99', 'p99.9', 'max'], ...responses, ...services]);
  // Longer than the names of operations: in a column it would make all lines too wide.
  lines.splice(1 + responses.length, 0, '  since the answer before');
  return lines;
}

function replicationLines(
  { replication, replication_slots: slots, heartbeats_missed: missed }: Summary,
  isFull: boolean,
): string[] {
  if (replication === null) return [];
  return [
    ...table(lagRows(replication), 2),
    ...stageLines(replication),
    ...(isFull ? serverLagTexts(replication).map((text) => `  ${text}`) : []),
    ...slotLines(slots ?? {}),
    ...(missed !== null && missed > 0
      ? [`  ${counted(missed, 'heartbeat')} could not be written (lag unknown at those times)`]
      : []),
  ];
}

function verdictLines(summary: Summary): string[] {
  const { verdict, verdict_because: because, verdict_phases: phases = [], generator, indexes } = summary;
  const { cpu_micros_per_operation: cpu, event_loop_p99_seconds: loop, max_rss_bytes: memory } = generator;
  return [
    ...(because === null ? [] : [`  ${verdict === null ? '' : `${verdict}: `}${because.advice}`]),
    ...limitTexts(phases).map((text) => `    ${text}`),
    `  generator: ${cpu === null ? '-' : figure(cpu)} µs of CPU per operation, ${number(Math.round(memory / 1e6))} MB`,
    `  event loop p99 ${ms(loop)}`,
    ...(indexes === null
      ? []
      : [`  indexes: ${indexes.created} created, ${indexes.dropped} dropped, ${indexes.failed} rejected`]),
  ];
}

/** How the run changed over the hours, a line per figure. */
function trendLines({ trends = {}, elapsed_seconds: elapsed }: Summary): string[] {
  const entries = Object.entries(trends);
  if (entries.length === 0) return [];
  return table([
    [`trend over ${seconds(elapsed)}`, ''],
    ...entries.map(([name, { verdict, per_hour: slope }]) => [
      name,
      verdict === 'steady' ? 'steady' : `${verdict} by ${perHour(name, Math.abs(slope))}`,
    ]),
  ]);
}

function perHour(name: string, change: number): string {
  return `${name.includes('_bytes') ? bytes(change) : ms(change)}/h`;
}

/** A run that does not reach all tables must not look as if it did. */
function coverageLines({ coverage }: Summary): string[] {
  const [first, ...causes] = coverageTexts(coverage);
  return [`  ${first}`, ...causes.map((text) => `    ${text}`)];
}

/** The tables that changed most, a line each. */
function tableLines(summary: Summary, { isFull, columns }: SummaryView): string[] {
  const entries = Object.entries(summary.tables);
  const changed = ([, entry]: (typeof entries)[number]) =>
    OPERATION_KINDS.reduce((sum, kind) => sum + entry[kind].rows, 0);
  const sorted = [...entries].sort((a, b) => changed(b) - changed(a));
  const listed = isFull ? sorted : sorted.slice(0, MOST_TABLES);
  const figures = listed.map(([, entry]) => [
    ...OPERATION_KINDS.map((kind) => number(entry[kind].rows)),
    number(OPERATION_KINDS.reduce((sum, kind) => sum + entry[kind].rejected, 0)),
    entry.rows_expected === null ? 'unknown' : number(entry.rows_expected),
  ]);
  const rows = [['inserted', 'updated', 'deleted', 'rejected', 'rows now'], ...figures];
  const names = listed.map(([name]) => name);
  const shownNames = isFull ? names : shortened(names, roomForNames(rows, columns));
  const lines = table(rows.map((cells, at) => [at === 0 ? 'table' : shownNames[at - 1]!, ...cells]));
  const beside = listed.flatMap(([name, entry]) => {
    const texts = besideOf(entry);
    return texts.length === 0 ? [] : [`    ${name}: ${texts.join(', ')}`];
  });
  lines.push(...(isFull ? beside : beside.slice(0, MOST_BESIDE)));
  const more = entries.length - listed.length;
  if (more > 0) lines.push(`  … ${number(more)} more with --full, or in the summary file`);
  return lines;
}

/** How long names may be beside their figures. */
function roomForNames(figures: readonly (readonly string[])[], columns: number | undefined): number {
  if (columns === undefined) return LONGEST_NAME;
  const beside = table(figures, 0).map((line) => line.length);
  return Math.max(SHORTEST_NAME, Math.min(LONGEST_NAME, columns - Math.max(...beside) - 2));
}

/** Names cut to a length; to a greater one, if some would look alike. */
function shortened(names: readonly string[], longest: number): string[] {
  for (let length = longest; ; length++) {
    const found = names.map((name) => cut(name, length));
    if (new Set(found).size === names.length) return found;
  }
}

/** A name that is too long loses its middle: names of one schema begin alike. */
function cut(name: string, longest: number): string {
  if (name.length <= longest) return name;
  const end = Math.ceil((longest - 1) * 0.6);
  return `${name.slice(0, longest - 1 - end)}…${name.slice(-end)}`;
}

/** What happened in a table beside the operations on it. */
function besideOf({ cascaded, substituted, by_trigger: byTrigger }: Summary['tables'][string]): string[] {
  return [
    ...(byTrigger === 0
      ? []
      : [byTrigger === null ? 'rows made by triggers unknown' : `${counted(byTrigger, 'row')} made by triggers`]),
    ...(substituted > 0 ? [`${counted(substituted, 'operation')} replaced by another kind`] : []),
    ...(['update', 'delete'] as const).flatMap((kind) =>
      cascaded[kind] > 0 ? [`${counted(cascaded[kind], 'row')} ${kind}d by cascade`] : [],
    ),
  ];
}

function errorLines({ errors }: Summary): string[] {
  const entries = Object.entries(errors);
  if (entries.length === 0) return [];
  return [
    '  errors',
    ...entries.map(
      ([sqlstate, { count, example }]) =>
        `    ${sqlstate}${nameAfter(sqlstate)} × ${number(count)}${example === '' ? '' : `, for example: ${example}`}`,
    ),
  ];
}

function nameAfter(sqlstate: string): string {
  const name = sqlstateName(sqlstate);
  return name === null ? '' : ` ${name}`;
}

function lastLines(summary: Summary, { files, command, next }: SummaryView): string[] {
  const { seeds, connections, pipeline_depth: depth, workers, server_version: server } = summary;
  return [
    `  ${connections} connections at depth ${depth}, ${workers} ${workers === 1 ? 'worker' : 'workers'}, rows ${summary.row_selection}`,
    `  PostgreSQL ${server}`,
    `  seeds ${seeds.random}/${seeds.faker}, ${summary.reproducible ? 'reproducible' : `not reproducible: ${summary.reproducible_because.join('; ')}`}`,
    ...(files.length > 0 ? [`  files written: ${files.join(', ')}`] : []),
    ...(command === null ? [] : [`  to repeat this run: ${command}`]),
    ...(command === null || !isEndedByClock(summary)
      ? []
      : ['    (it ended by the clock; --until with its summary file stops at the same operations)']),
    ...(summary.rate_changes === undefined && !(summary.pauses ?? []).some(({ by }) => by === 'file')
      ? []
      : [
          command === null
            ? '  traffic.control_file changed the load: the configuration alone does not repeat it'
            : '    with the same changes of traffic.control_file: the configuration alone does not repeat its load',
        ]),
    ...(next.length === 0 ? [] : ['', '  next:']),
    ...next.flatMap(([each, purpose]) => [`    ${each}`, `      ${purpose}`]),
  ];
}

/** True if it took as many operations as fitted into a time: another run takes more or fewer. */
function isEndedByClock({ exit, rate }: Summary): boolean {
  return rate.target === null && /^(duration reached|stopped by )/.test(exit.reason);
}

/** How the rounds of verification came out, each kind of verdict with the first of its kind. */
function verificationLines({ verification }: Summary): string[] {
  if (verification === undefined || verification.length === 0) return [];
  const count = (verdict: string) => verification.filter((round) => round.verdict === verdict).length;
  const parts = [
    `${count('equal')} equal`,
    ...(count('different') > 0 ? [`${count('different')} different`] : []),
    ...(count('undecided') > 0 ? [`${count('undecided')} not decided`] : []),
  ];
  const worst =
    verification.find(({ verdict }) => verdict === 'different') ??
    verification.find(({ verdict }) => verdict === 'undecided');
  return [
    `  verification: ${verification.length} comparisons, ${parts.join(', ')}`,
    ...(worst === undefined ? [] : [`    ${worst.target} after ${seconds(worst.after_seconds)}: ${worst.headline}`]),
  ];
}

/* A lag below this needs no explanation. */
const WORTH_EXPLAINING = 0.2;

/** Where the lag came from, of targets that were behind; and why one did not go on at the end. */
function stageLines(replication: NonNullable<Summary['replication']>): string[] {
  return Object.entries(replication).flatMap(([name, { stage_seconds: stages, reason }]) => {
    const entries = Object.entries(stages).filter(([, value]) => value > 0);
    const sum = entries.reduce((total, [, value]) => total + value, 0);
    const parts = entries.sort(([, a], [, b]) => b - a).map(([stage, value]) => `${stage} ${ms(value)}`);
    return [
      ...(sum < WORTH_EXPLAINING ? [] : [`  ${name} on average: ${parts.join(', ')}`]),
      ...(reason === null ? [] : [`  ${name} at the end: ${reason}`]),
    ];
  });
}

function slotLines(slots: NonNullable<Summary['replication_slots']>): string[] {
  return Object.entries(slots).map(([slot, { max }]) => `  slot ${slot}: kept at most ${bytes(max)} of WAL`);
}

function lagRows(replication: NonNullable<Summary['replication']>): string[][] {
  return [
    ['replication lag', '', 'p50', 'p90', 'p99', 'p99.9', 'max', 'unseen', 'most behind'],
    ...Object.entries(replication).map(
      ([name, { kind, lag_seconds: lag, unseen, poll_floor_seconds: floor, bytes_behind: behind }]) => {
        const most = Object.values(behind).map(({ max }) => max);
        // With heartbeats that were never seen each figure is a bound from below.
        const cell = (value: number | undefined) =>
          value === undefined ? '-' : `${unseen > 0 ? '≥ ' : ''}${ms(value)}`;
        const floorText = kind === 'slot' ? '(upper bound)' : floor === null ? '' : `(resolution ${ms(floor)})`;
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

function trapLines({ traps = {} }: Summary): string[] {
  const rows = Object.entries(traps);
  if (rows.length === 0) return [];
  return table([
    ['traps', 'sprung', 'inserted', 'updated', 'deleted', 'truncates', 'refused'],
    ...rows.map(([name, { done, refused, events }]) => [
      name,
      number(done),
      ...[events.insert, events.update, events.delete, events.truncate, refused].map(number),
    ]),
  ]);
}
