import path from 'node:path';
import { DEFAULT_FILE, type Override } from '../config/load.js';

/** Returns the command that does the same again, with more `words`; null if it would show a secret. */
export function repeating(
  command: 'run' | 'load',
  { file, overrides }: { readonly file: string; readonly overrides: readonly Override[] },
  words: readonly string[],
): string | null {
  const mayBeSecret = ({ path: [section, key] }: Override) => section === 'connection' && key !== 'embedded';
  if (overrides.some(mayBeSecret)) return null;
  const given = overrides.flatMap(({ option, value, typed, isImplied }) => {
    if (option === '--seed' || isImplied === true) return [];
    if (typed !== undefined) return ['--set', `${option.slice('--set '.length)}=${typed}`];
    return typeof value === 'boolean' ? [option] : [option, String(value)];
  });
  const all = [...(file === DEFAULT_FILE ? [] : ['-c', file]), ...given, ...words];
  return `${programName()} ${command}${all.map((word) => ` ${quoted(word)}`).join('')}`;
}

/** Returns how the program was called: by its name, through npx, or as a file of a clone. */
export function programName(): string {
  const called = process.argv[1] ?? '';
  if (called.endsWith('.js')) return `node ${quoted(path.relative(process.cwd(), called))}`;
  return called.includes(`${path.sep}node_modules${path.sep}`) ? 'npx event-generator' : 'event-generator';
}

/** Returns a word quoted for a shell. */
function quoted(word: string): string {
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
