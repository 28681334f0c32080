import { writeFileSync } from 'node:fs';
import { SetupError } from '../config/problem.js';

/** @throws SetupError where the file cannot be written. */
export function writeSummary(file: string, summary: object): void {
  try {
    writeFileSync(file, `${JSON.stringify(summary, null, 2)}\n`);
  } catch (error) {
    throw SetupError.of(
      file,
      `the summary cannot be written (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`,
    );
  }
}
