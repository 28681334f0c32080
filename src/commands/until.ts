import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { fingerprint } from '../config/fingerprint.js';
import { SetupError } from '../config/problem.js';
import { readHistory } from '../history/history-file.js';
import type { Plan } from '../plan/plan.js';
import type { Summary } from '../report/summary.js';

/**
 * The plan with the quotas of a run that ended early: every lane stops where it stopped there, so that the same
 * database comes out.
 * @throws SetupError where the file is no summary, or that of another plan.
 */
export function untilSummary(plan: Plan, file: string): Plan {
  if (isHistory(file)) return untilHistory(plan, file);
  let summary: Summary;
  try {
    summary = JSON.parse(readFileSync(file, 'utf8')) as Summary;
  } catch (error) {
    throw SetupError.of(file, `is not a summary (${(error as Error).message})`);
  }
  if (!Array.isArray(summary.lanes) || summary.lanes.length === 0)
    throw SetupError.of(file, 'is the summary of a run that executed no operations; --until needs one that did');
  checkPlan(plan, summary.plan_fingerprint, file);
  return { ...plan, quotas: summary.lanes.map(({ operations }) => operations) };
}

function untilHistory(plan: Plan, file: string): Plan {
  const { header, operations } = readHistory(file);
  checkPlan(plan, header.planFingerprint, file);
  return { ...plan, quotas: operations };
}

/* A history is recognized by its first bytes, because it may be too large to be read twice. */
function isHistory(file: string): boolean {
  try {
    const descriptor = openSync(file, 'r');
    const begin = Buffer.alloc(BEGIN.length);
    readSync(descriptor, begin, 0, begin.length, 0);
    closeSync(descriptor);
    return begin.toString() === BEGIN;
  } catch {
    return false;
  }
}

const BEGIN = '{"history":';

function checkPlan(plan: Plan, wanted: string, file: string): void {
  if (wanted === fingerprint(plan)) return;
  throw SetupError.of(
    file,
    'the plan differs from the plan of that run; use the same configuration, and a database in the state before that run',
  );
}
