import { readFileSync } from 'node:fs';
import { SetupError } from '../config/problem.js';
import type { Plan } from '../plan/plan.js';
import { fingerprint, type Summary } from '../report/summary.js';

/**
 * The plan with the quotas of a run that ended early: every lane stops where it stopped there, so that the same
 * database comes out.
 * @throws SetupError where the file is no summary, or that of another plan.
 */
export function untilSummary(plan: Plan, file: string): Plan {
  let summary: Summary;
  try {
    summary = JSON.parse(readFileSync(file, 'utf8')) as Summary;
  } catch (error) {
    throw SetupError.of(file, `not a summary (${(error as Error).message})`);
  }
  if (!Array.isArray(summary.lanes) || summary.lanes.length === 0)
    throw SetupError.of(file, 'the summary of a run that carried out operations is needed');
  if (summary.plan_fingerprint !== fingerprint(plan)) {
    throw SetupError.of(
      file,
      'the plan is another one than that run had; the same configuration, and the database as it was before that run, are needed',
    );
  }
  return { ...plan, quotas: summary.lanes.map(({ operations }) => operations) };
}
