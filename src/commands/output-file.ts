import { realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { SetupError } from '../config/problem.js';

/** Where a file's text goes: through links, beside the old file and in its place at once; into what is no file as it is. */
function destinationOf(file: string): { readonly file: string; readonly isFile: boolean } {
  try {
    const real = realpathSync(file);
    return { file: real, isFile: statSync(real).isFile() };
  } catch {
    // It does not exist yet.
    return { file, isFile: true };
  }
}

/**
 * Checks before the first write whether a file can be written, without changing its content.
 * @throws SetupError if it cannot be written.
 */
export function checkOutput(option: string, target: string | undefined): void {
  if (target === undefined) return;
  const { file, isFile } = destinationOf(target);
  if (!isFile && !statSync(file).isDirectory()) return;
  try {
    if (!isFile) throw new Error('it is a directory');
    writeFileSync(`${file}.part`, '');
    rmSync(`${file}.part`);
  } catch (error) {
    throw SetupError.of(option, `${target} cannot be written: ${(error as Error).message}`);
  }
}

/**
 * Writes a file whole or not at all.
 * @throws SetupError if it cannot be written; the old content is kept.
 */
export function writeOutput(target: string, text: string): void {
  const { file, isFile } = destinationOf(target);
  try {
    if (!isFile) writeFileSync(file, text);
    else {
      writeFileSync(`${file}.part`, text);
      renameSync(`${file}.part`, file);
    }
  } catch (error) {
    if (isFile) rmSync(`${file}.part`, { force: true });
    const { code, message } = error as NodeJS.ErrnoException;
    throw SetupError.of(target, `cannot be written (${code ?? message})`);
  }
}
