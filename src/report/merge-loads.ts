import type { CoverageSummary } from './coverage.js';
import { exitOfLoad, judgeLoad, type LoadedTable, type LoadSummary } from './load.js';
import { conditionsOf } from './merge.js';
import { checkParts, incomplete, missingOf, type Part, unfinished } from './merge-parts.js';

/**
 * Combines the summaries of all shards of a load.
 * @throws CannotMerge where they are not the shards of one load, or one stands twice.
 */
export function mergeLoads(parts: readonly Part<LoadSummary>[]): LoadSummary {
  checkParts(parts);
  const summaries = parts.map(({ summary }) => summary).sort((a, b) => a.shard!.index - b.shard!.index);
  const lead = summaries[0]!;
  const { shard, ...base } = lead;
  const { of } = shard!;
  const tables = Object.fromEntries(
    Object.keys(lead.tables).map((name) => [name, tableOf(summaries.map((each) => each.tables[name]!))]),
  );
  const rows = summaries.reduce((sum, each) => sum + each.rows, 0);
  const seconds = Math.max(...summaries.map(({ elapsed_seconds: elapsed }) => elapsed));
  const states = [...new Set(summaries.flatMap(({ errors }) => Object.keys(errors)))].sort();
  // Whether a table is full is decided by the sums over all shards.
  const isOver = summaries.every((each) => each.is_complete);
  const failed = isOver ? null : unfinished(summaries, of);
  const missing = missingOf(summaries, of);
  const ending = { rows: lead.rows_wanted, maxErrorRatio: lead.max_error_ratio, later: '', message: '', shard: null };
  const coverage = coverageOf(summaries);
  const thresholds = judgeLoad(conditionsOf(lead.thresholds), coverage);
  return {
    ...base,
    exit: failed ?? incomplete(missing, of) ?? exitOfLoad({ tables, thresholds }, { kind: 'finished', ...ending }),
    is_complete: isOver && missing.length === 0,
    elapsed_seconds: seconds,
    rows,
    rows_per_second: Math.round(rows / seconds),
    coverage,
    thresholds,
    tables,
    errors: Object.fromEntries(
      states.map((state) => [state, summaries.reduce((sum, { errors }) => sum + (errors[state] ?? 0), 0)]),
    ),
  };
}

/** A table is complete where it is so in every shard. */
function coverageOf(summaries: readonly LoadSummary[]): CoverageSummary {
  const causes = new Map<string, Set<string>>();
  for (const { coverage } of summaries) {
    for (const { cause, tables } of coverage.left_out) {
      const found = causes.get(cause) ?? new Set();
      for (const table of tables) found.add(table);
      causes.set(cause, found);
    }
  }
  const { tables } = summaries[0]!.coverage;
  return {
    tables,
    complete: tables - new Set([...causes.values()].flatMap((found) => [...found])).size,
    left_out: [...causes]
      .map(([cause, found]) => ({ cause, tables: [...found] }))
      .sort((a, b) => b.tables.length - a.tables.length),
  };
}

function tableOf(parts: readonly LoadedTable[]): LoadedTable {
  const sum = (value: (part: LoadedTable) => number) => parts.reduce((total, each) => total + value(each), 0);
  const rows = sum((part) => part.rows);
  const atStart = parts[0]!.rows_at_start;
  return {
    rows,
    wanted: sum(({ wanted }) => wanted),
    refused: sum(({ refused }) => refused),
    rows_at_start: atStart,
    rows_expected: atStart === null ? null : atStart + rows,
  };
}
