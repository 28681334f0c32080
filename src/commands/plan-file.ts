import { readFileSync } from 'node:fs';
import { SetupError } from '../config/problem.js';
import { decodePlan, encodePlan, type StoredPlan } from '../history/stored-plan.js';
import { writeOutput } from './output-file.js';

/** Writes a plan to a file. @throws SetupError if it cannot be written. */
export function writePlanFile(file: string, stored: StoredPlan): void {
  writeOutput(file, `${JSON.stringify(encodePlan(stored))}\n`);
}

/** Reads a plan from a file. @throws SetupError if it cannot be read, or has another generator version. */
export function readPlanFile(file: string): StoredPlan {
  let encoded: unknown;
  try {
    encoded = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw SetupError.of(file, `is not a plan file (${(error as Error).message})`);
  }
  return decodePlan(encoded, file);
}
