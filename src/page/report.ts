import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { SetupError } from '../config/problem.js';
import type { PageData } from './data.js';
import { pageHtml } from './shell.js';

/** Writes a report: one file that holds everything, whole or not at all. */
export function writeReport(file: string, data: Omit<PageData, 'kind'>): void {
  const part = `${file}.part`;
  writeFileSync(part, pageHtml({ kind: 'report', ...data }));
  renameSync(part, file);
}

/**
 * Finds out before the first write whether a report can be written.
 * @throws SetupError where it cannot.
 */
export function checkReport(file: string): void {
  try {
    writeFileSync(`${file}.part`, '');
    rmSync(`${file}.part`);
  } catch (error) {
    throw SetupError.of('--report', `${file} cannot be written: ${(error as Error).message}`);
  }
}
