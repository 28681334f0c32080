import { GONE } from '../lane/lane.js';
import { FAKER_VERSION, VERSION } from '../package.js';
import type { Plan } from '../plan/plan.js';
import { schemaFingerprint } from '../prepare/decided.js';
import { wantedOperations } from '../prepare/examine.js';
import { named } from '../prepare/reproducible.js';
import { coverageOf } from '../report/coverage.js';
import { refusedTables } from '../report/refusals.js';
import { type Summary, type SummarySource, summarise } from '../report/summary.js';
import type { Traffic } from '../traffic/coordinator.js';
import type { CounterTotals } from '../traffic/counters.js';
import type { Timetable } from '../traffic/schedule.js';
import type { Job } from './carry-out.js';
import type { Notices } from './notices.js';

/** What every summary is made from. */
export interface ToSummary {
  readonly job: Job;
  readonly traffic: Traffic;
  readonly notices: Notices;
  /** Null without a schedule. */
  readonly schedule: Timetable | null;
  readonly startedAt: Date;
}

type Extra = {
  readonly [Key in 'verification' | 'pauses' | 'rate_changes' | 'lag' | 'traps' | 'verdict_phases' | 'trends']?:
    | Summary[Key]
    | undefined;
};

/** What is known only when the traffic is over. */
export type AtEnd = Extra &
  Pick<
    SummarySource,
    | 'elapsedSeconds'
    | 'exit'
    | 'thresholds'
    | 'cpuSeconds'
    | 'usageAtStart'
    | 'isCutShort'
    | 'rowsAtEnd'
    | 'replication'
  > & {
    /** Since all lanes were connected. */
    readonly trafficSeconds: number;
    /** Labels of tables whose schema others changed, and of tables that no longer exist. */
    readonly changes: { readonly changed: readonly string[]; readonly gone: readonly string[] };
  };

/** Equal where tables and columns are. */
export function summaryOf({ job, traffic, notices, schedule, startedAt }: ToSummary, atEnd: AtEnd): Summary {
  const { config, prepared, indexBuilder } = job;
  const { plan, catalog, rowsAtStart } = prepared;
  const { totals, workers } = traffic;
  const because = [...prepared.reproducibleBecause, ...reasonsFromTraffic(plan, totals)];
  if (atEnd.isCutShort) because.push('the run was ended by a second signal');
  else if (traffic.wasCut) because.push('operations in flight were cancelled after timeouts.stop');
  const { changes, trafficSeconds: seconds, ...known } = atEnd;
  const { verification, pauses, rate_changes, lag, traps, verdict_phases, trends, ...rest } = known;
  if (changes.changed.length > 0)
    because.push(`the schema of ${changes.changed.join(', ')} was changed during the run`);
  const summary = summarise({
    ...rest,
    gone: new Set(changes.gone),
    version: VERSION,
    fakerVersion: FAKER_VERSION,
    startedAt,
    plan,
    schemaFingerprint: schemaFingerprint(catalog),
    configuration: config.source.settings(),
    runId: job.runId,
    shard: job.shard?.shard ?? null,
    acknowledgedLost: Object.fromEntries(
      [...traffic.acknowledgedLost()].map(([relation, rows]) => [plan.relations[relation]!.label, rows]),
    ),
    serverVersion: catalog.server.versionText,
    workers,
    reproducible: because.length === 0,
    reproducibleBecause: because,
    rowsAtStart,
    totals,
    indexes: indexBuilder?.counts ?? null,
    examples: notices.examples,
    quarantined: notices.quarantined,
    outages: notices.outages.list(),
    coverage: coverageOf(plan, prepared.findings, wantedOperations(config), notices.leftOut(traffic.totals)),
    schedule:
      schedule === null
        ? null
        : {
            unit: config.traffic.rate_unit,
            seconds,
            arrivalSeconds: Math.min(seconds, schedule.end),
            arrivals: schedule.arrivals(seconds),
          },
    maxRssBytes: process.resourceUsage().maxRSS * 1024,
  });
  const refused = refusedTables(plan, totals, (sqlstate, relation) => notices.exampleOf(sqlstate, relation));
  const refused_tables = refused.length === 0 ? undefined : refused;
  const extra = { refused_tables, verification, pauses, rate_changes, lag, traps, verdict_phases, trends };
  return { ...summary, ...Object.fromEntries(Object.entries(extra).filter(([, value]) => value !== undefined)) };
}

/** Returns why the same seed may leave other rows the next time, as far as the traffic has shown. */
function reasonsFromTraffic(plan: Plan, totals: CounterTotals): string[] {
  const because: string[] = [];
  const isLossy = totals.scalar('lostCommits') > 0;
  if (isLossy)
    because.push('the server may have lost acknowledged commits (a crash with synchronous_commit=off, or a failover)');
  if (!isLossy) because.push(...vanishedRows(plan, totals));
  const unknown = totals.scalar('inDoubtUnknown');
  if (unknown > 0) because.push(`the outcome of ${unknown} operations is unknown`);
  const again = totals.scalar('lanesBegunAgain');
  if (again > 0)
    because.push(
      `${again === 1 ? '1 lane' : `${again} lanes`} began again after their process had ended (--resume inexact); what they did in its last seconds is not counted`,
    );
  if (totals.errors().some(({ sqlstate }) => GONE.includes(sqlstate)))
    because.push('a table, a column or a privilege went missing during the run');
  const skipped = totals.total('skipped');
  if (skipped > 0)
    because.push(`${skipped} operations were skipped because their tables were locked or had no disk space`);
  for (const label of tablesWhereLanesMet(plan, totals))
    because.push(`rows of different lanes conflicted in a unique index or an exclusion constraint of ${label}`);
  return because;
}

/** Tells of rows that were not found any more: triggers may have done it where they write to the table, else others have. */
function vanishedRows(plan: Plan, totals: CounterTotals): string[] {
  let byOthers = 0;
  let byTriggers = 0;
  const written: string[] = [];
  for (const [relation, { label }] of plan.relations.entries()) {
    const vanished = totals.table(relation, 'update', 'vanished') + totals.table(relation, 'delete', 'vanished');
    if (vanished > 0 && plan.triggered.some((rows) => rows.relation === relation && rows.perRow === null)) {
      byTriggers += vanished;
      written.push(label);
    } else byOthers += vanished;
  }
  const others = byOthers > 0 ? [`other sessions changed or deleted ${byOthers} rows that belong to the run`] : [];
  if (byTriggers === 0) return others;
  const rows = byTriggers === 1 ? '1 row' : `${byTriggers} rows`;
  return [
    ...others,
    `triggers (or other sessions) changed or deleted ${rows} of the run in ${named('table', written)}`,
  ];
}

/** Returns tables with a unique index over expressions that rejected rows; which lane came first is not fixed. */
function tablesWhereLanesMet(plan: Plan, totals: CounterTotals): string[] {
  if (plan.quotas.length === 1) return [];
  const met = totals.errors().flatMap(({ sqlstate, relation }) => {
    const isBlurred = (plan.relations[relation]?.blurredKeys.length ?? 0) > 0;
    return sqlstate === EXCLUSION_VIOLATION || (sqlstate === UNIQUE_VIOLATION && isBlurred) ? relation : [];
  });
  return [...new Set(met)].flatMap((relation) => plan.relations[relation]?.label ?? []);
}

const UNIQUE_VIOLATION = '23505';
const EXCLUSION_VIOLATION = '23P01';
