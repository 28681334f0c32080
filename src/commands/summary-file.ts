import { readFileSync } from 'node:fs';
import { SetupError } from '../config/problem.js';
import type { LoadSummary } from '../report/load.js';
import type { Summary } from '../report/summary.js';

/** Reads a summary. @throws SetupError if the file is not the summary of a run that wrote rows. */
export function readSummary(file: string): Summary {
  const summary = readAnySummary(file);
  if (isOfLoad(summary)) throw SetupError.of(file, 'is the summary of a load; expected one written by run --summary');
  return summary;
}

/** Reads a summary. @throws SetupError if the file is not the summary of a run or a load that wrote rows. */
export function readAnySummary(file: string): Summary | LoadSummary {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw SetupError.of(file, `cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  return parseAnySummary(text, file);
}

/** Parses a summary. `name` says where the text came from. @throws SetupError like `readAnySummary`. */
export function parseAnySummary(text: string, name: string): Summary | LoadSummary {
  let summary: Summary | LoadSummary;
  try {
    summary = JSON.parse(text) as Summary | LoadSummary;
  } catch {
    throw SetupError.of(name, 'is not JSON; expected a summary written by run --summary');
  }
  const isWhole =
    summary?.schema_version === 1 &&
    (isOfLoad(summary)
      ? summary.tables !== undefined
      : summary.totals !== undefined && summary.latency_seconds !== undefined);
  if (!isWhole)
    throw SetupError.of(
      name,
      `is not the summary of a run that wrote rows${summary?.exit === undefined ? '' : ` (the run ended before its first write: ${summary.exit.reason})`}; expected a summary written by run --summary`,
    );
  return summary;
}

export function isOfLoad(summary: Summary | LoadSummary): summary is LoadSummary {
  return (summary as Partial<LoadSummary>)?.command === 'load';
}
