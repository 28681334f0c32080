import type { ReplicationReading } from '../lag/probe.js';
import { OPERATION_KINDS, type Plan } from '../plan/plan.js';
import { type CoverageSummary, coverageTexts } from '../report/coverage.js';
import type { Moment } from '../report/moment.js';
import { limitTexts, type PhaseVerdict } from '../report/phases.js';
import { replicationNotes, serverLagTexts } from '../report/replication-notes.js';
import type { Point } from '../report/series.js';
import {
  type OperationSummary,
  perSecond,
  type Summary,
  type TableSummary,
  type VerificationRound,
} from '../report/summary.js';
import type { CounterTotals } from '../traffic/counters.js';
import { percentiles } from '../traffic/histogram.js';
import type { Verdict } from '../traffic/verdict.js';
import type { Status, TableStatus } from './data.js';

/** A run that is being prepared. */
export function preparing(phase: string, elapsedSeconds: number): Status {
  return {
    phase,
    exit: null,
    elapsed_seconds: elapsedSeconds,
    remaining_seconds: null,
    totals: {},
    operations_per_second: 0,
    events_per_second: 0,
    target: null,
    error_ratio: 0,
    response_p99: null,
    verdict: null,
    phase_limits: [],
    oldest_unseen: {},
    replication_notes: [],
    verification: [],
    tables: [],
    tables_in_all: 0,
    errors: [],
    outages: [],
    marks: [],
    thresholds: [],
    coverage: [],
  };
}

/** A run that was refused before it began. */
export function refused(exit: { readonly code: number; readonly reason: string }): Status {
  return { ...preparing('refused', 0), exit };
}

/** What counts of a run are read from. */
export interface Counted {
  readonly plan: Plan;
  readonly totals: CounterTotals;
  /** SQLSTATE → one message. */
  readonly examples: ReadonlyMap<string, string>;
  /** Times without a connection. */
  readonly outages: () => Status['outages'];
  /** Stages, spikes and pauses so far. */
  readonly marks: () => Status['marks'];
}

/** A run that is on: rates and latencies are those of the last second, counts those since its start. */
export function running(
  counted: Counted,
  moment: Moment,
  point: Point,
  now: {
    readonly phase: string;
    readonly remaining: number | null;
    readonly verdict: Verdict | null;
    readonly unit: 'operations' | 'events';
    readonly replication: ReplicationReading | null;
    readonly rounds: readonly VerificationRound[];
    readonly thresholds: Status['thresholds'];
    readonly phases: readonly PhaseVerdict[];
    readonly coverage: CoverageSummary | null;
  },
): Status {
  const { counts, targets } = moment;
  return {
    phase: now.phase,
    exit: null,
    elapsed_seconds: moment.seconds,
    remaining_seconds: now.remaining,
    totals: totalsOf(counted.totals),
    operations_per_second: point.operations,
    target: point.target === null ? null : { per_second: point.target, unit: now.unit },
    events_per_second: point.inserted + point.updated + point.deleted,
    error_ratio: counts.operations === 0 ? 0 : counts.errors / counts.operations,
    response_p99: point.response_p99,
    verdict: now.verdict,
    phase_limits: limitTexts(now.phases),
    oldest_unseen: Object.fromEntries(targets.map((target) => [target.target, target.oldestUnseenSeconds])),
    replication_notes: now.replication === null ? [] : replicationNotes(now.replication),
    verification: now.rounds.map(roundText),
    thresholds: now.thresholds,
    coverage: now.coverage === null ? [] : coverageTexts(now.coverage),
    ...countsOf(counted),
  };
}

/** A run that has ended: all figures are those of its summary. */
export function ended(counted: Counted, summary: Summary): Status {
  const { counts, maxMs } = counted.totals.merged(['response']);
  // Of every operation but those of the warm-up.
  return { ...endedAs(summary, percentiles(counts, maxMs)?.p99 ?? null), ...countsOf(counted) };
}

/** A run that has ended, of which nothing is known but its summary. `responseP99`: in seconds; null where nothing was measured. */
export function summarised(summary: Summary, responseP99: number | null): Status {
  const sum = (value: (of: OperationSummary) => number, { insert, update, delete: gone }: TableSummary) =>
    value(insert) + value(update) + value(gone);
  const tables = Object.entries(summary.tables).map(([table, each]) => ({
    table,
    insert: each.insert.rows,
    update: each.update.rows,
    delete: each.delete.rows,
    retries: sum(({ retries }) => retries, each),
    errors: sum(({ rejected }) => rejected, each),
  }));
  const startMs = Date.parse(summary.started_at);
  return {
    ...endedAs(summary, responseP99),
    tables: mostChanged(tables),
    tables_in_all: tables.length,
    errors: Object.entries(summary.errors).map(([sqlstate, { count, example }]) => ({ sqlstate, count, example })),
    outages: summary.outages.map(({ from, seconds }) => {
      const begin = (Date.parse(from) - startMs) / 1000;
      return { from: begin, to: begin + seconds };
    }),
    marks: [],
  };
}

type Counts = 'tables' | 'tables_in_all' | 'errors' | 'outages' | 'marks';

function endedAs(summary: Summary, responseP99: number | null): Omit<Status, Counts> {
  const { totals, events, rate, elapsed_seconds: seconds } = summary;
  const errors = totals['rejected']! + totals['failed']!;
  return {
    phase: 'finished',
    exit: summary.exit,
    elapsed_seconds: seconds,
    remaining_seconds: null,
    totals,
    operations_per_second: perSecond(totals['operations']!, summary),
    events_per_second: perSecond(events.insert + events.update + events.delete, summary),
    target: rate.target === null ? null : { per_second: rate.target, unit: rate.unit },
    error_ratio: totals['operations']! === 0 ? 0 : errors / totals['operations']!,
    response_p99: responseP99,
    verdict:
      summary.verdict_because === null ? null : { limit: summary.verdict, advice: summary.verdict_because.advice },
    phase_limits: limitTexts(summary.verdict_phases ?? []),
    oldest_unseen: Object.fromEntries(
      Object.entries(summary.replication ?? {}).map(([name, { unseen_at_least_seconds: age }]) => [name, age ?? 0]),
    ),
    replication_notes: [
      ...Object.entries(summary.replication ?? {}).flatMap(([name, { reason }]) =>
        reason === null ? [] : `${name}: ${reason}`,
      ),
      ...serverLagTexts(summary.replication ?? {}),
    ],
    verification: (summary.verification ?? []).map(roundText),
    thresholds: summary.thresholds,
    coverage: coverageTexts(summary.coverage),
  };
}

function roundText({ target, after_seconds: after, headline }: VerificationRound): string {
  return `${target} after ${Math.round(after)} s: ${headline}`;
}

function totalsOf(totals: CounterTotals): Record<string, number> {
  return Object.fromEntries([
    ...(['committed', 'rejected', 'failed'] as const).map((field) => [field, totals.total(field)] as const),
    ...(['dropped', 'late'] as const).map((field) => [field, totals.scalar(field)] as const),
    [
      'retries',
      totals.total('retriesValues') + totals.total('retriesTransient') + totals.total('retriesVacant'),
    ] as const,
  ]);
}

const MOST_TABLES = 50;

function countsOf({ plan, totals, examples, outages, marks }: Counted): Pick<Status, Counts> {
  const tables: TableStatus[] = [];
  for (const [relation, { label, targeted }] of plan.relations.entries()) {
    if (!targeted) continue;
    const sum = (...fields: Parameters<CounterTotals['table']>[2][]) =>
      OPERATION_KINDS.reduce(
        (total, kind) => total + fields.reduce((part, field) => part + totals.table(relation, kind, field), 0),
        0,
      );
    tables.push({
      table: label,
      insert: totals.table(relation, 'insert', 'rows'),
      update: totals.table(relation, 'update', 'rows'),
      delete: totals.table(relation, 'delete', 'rows'),
      retries: sum('retriesValues', 'retriesTransient', 'retriesVacant'),
      errors: sum('rejected', 'failed'),
    });
  }
  const bySqlstate = new Map<string, number>();
  for (const { sqlstate, count } of totals.errors()) bySqlstate.set(sqlstate, (bySqlstate.get(sqlstate) ?? 0) + count);
  return {
    tables: mostChanged(tables),
    tables_in_all: tables.length,
    outages: outages(),
    marks: marks(),
    errors: [...bySqlstate].map(([sqlstate, count]) => ({ sqlstate, count, example: examples.get(sqlstate) ?? '' })),
  };
}

function mostChanged(tables: readonly TableStatus[]): TableStatus[] {
  const changed = (table: TableStatus) => table.insert + table.update + table.delete;
  return [...tables].sort((a, b) => changed(b) - changed(a)).slice(0, MOST_TABLES);
}
