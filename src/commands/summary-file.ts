import { readFileSync } from 'node:fs';
import { SetupError } from '../config/problem.js';
import type { Summary } from '../report/summary.js';

/** Reads a summary. @throws SetupError if the file is not the summary of a run that wrote rows. */
export function readSummary(file: string): Summary {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw SetupError.of(file, `cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  return parseSummary(text, file);
}

/** Parses a summary. `name` says where the text came from. @throws SetupError like `readSummary`. */
export function parseSummary(text: string, name: string): Summary {
  let summary: Summary;
  try {
    summary = JSON.parse(text) as Summary;
  } catch {
    throw SetupError.of(name, 'is not JSON; expected a summary written by run --summary');
  }
  if (summary?.schema_version !== 1 || summary.totals === undefined || summary.latency_seconds === undefined)
    throw SetupError.of(
      name,
      `is not the summary of a run that wrote rows${summary?.exit === undefined ? '' : ` (the run ended before its first write: ${summary.exit.reason})`}; expected a summary written by run --summary`,
    );
  return summary;
}
