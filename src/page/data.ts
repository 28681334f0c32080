import type { Point } from '../report/series.js';
import type { Summary } from '../report/summary.js';
import type { ThresholdResult } from '../report/thresholds.js';
import type { Mark } from './marks.js';

/*
 * What the page and the report show. Plain data: the page receives it as JSON, the report embeds it.
 */

/** What a run or a load is; does not change while it runs. */
export interface RunFacts {
  readonly command: 'run' | 'load';
  readonly version: string;
  readonly run_id: string;
  readonly started_at: string;
  /** user@host:port/database, without a password. */
  readonly database: string;
  readonly server_version: string;
  readonly random_seed: string;
  readonly faker_seed: string;
  readonly connections: number;
  readonly workers: number;
  readonly pipeline_depth: number;
  readonly row_selection: string;
}

interface Target {
  readonly per_second: number;
  /** What the schedule counts. */
  readonly unit: 'operations' | 'events';
}

export interface TableStatus {
  readonly table: string;
  /** Rows changed by committed operations. */
  readonly insert: number;
  readonly update: number;
  readonly delete: number;
  readonly retries: number;
  readonly errors: number;
}

/** How a run stands at one moment. */
export interface Status {
  /** In words: running, warm-up, stage 2/3, finished … */
  readonly phase: string;
  /** Null while it runs. */
  readonly exit: { readonly code: number; readonly reason: string } | null;
  readonly elapsed_seconds: number;
  /** Null where no end is known. */
  readonly remaining_seconds: number | null;
  readonly totals: Readonly<Record<string, number>>;
  readonly operations_per_second: number;
  readonly events_per_second: number;
  /** What the schedule asks for; null without one. */
  readonly target: Target | null;
  readonly error_ratio: number;
  /** Null where nothing was measured. */
  readonly response_p99: number | null;
  readonly verdict: { readonly limit: string | null; readonly advice: string } | null;
  /** Phases in which something other than the schedule was the limit, a line each. */
  readonly phase_limits: readonly string[];
  /** Seconds, per target; empty where replication is not measured. */
  readonly oldest_unseen: Readonly<Record<string, number>>;
  /** What a reader of the lags should know of the targets, a line each. */
  readonly replication_notes: readonly string[];
  /** How comparisons with targets came out, a line each. */
  readonly verification: readonly string[];
  /** Those with most rows changed. */
  readonly tables: readonly TableStatus[];
  readonly tables_in_all: number;
  readonly errors: readonly { readonly sqlstate: string; readonly count: number; readonly example: string }[];
  /** Times in which lanes had no connection, in seconds since the start of the run. */
  readonly outages: readonly { readonly from: number; readonly to: number }[];
  /** Stages, spikes and pauses so far. */
  readonly marks: readonly Mark[];
  /** Conditions that the run must meet, as they stand now. */
  readonly thresholds: readonly ThresholdResult[];
  /** How many tables take every operation, or have all their rows after a load, and why others do not, a line each. */
  readonly coverage: readonly string[];
}

/** What the plan covers, for the report. */
export interface Coverage {
  readonly tables: number;
  /** Tables on which every operation that is asked for runs. */
  readonly complete: number;
  /** What a reader should know, a line each. */
  readonly findings: readonly string[];
}

export interface PageData {
  readonly kind: 'live' | 'report';
  /** Null while a run is being prepared, or where it was refused before it began. */
  readonly run: RunFacts | null;
  readonly points: readonly Point[];
  readonly status: Status;
  readonly summary: Summary | null;
  /** As YAML, without secrets. */
  readonly configuration: string | null;
  readonly coverage: Coverage | null;
}

/** What the page is sent every second. */
export interface Update {
  readonly run: RunFacts | null;
  readonly point: Point | null;
  readonly status: Status;
}
