import { placesIn } from '../config/connection.js';
import type { Config } from '../config/load.js';
import { SetupError } from '../config/problem.js';

/* Matches whole words only, not "products" or "olive". */
const LOOKS_LIVE = /(?:^|[^a-z0-9])(?:prod|production|live)(?:[^a-z0-9]|$)/i;

/**
 * Checks that the database may be written to: `protect` must not list it or its host, unless the user names it.
 * @throws SetupError if it may not.
 */
export function checkProtection(
  { connection, protect, embedded, source }: Pick<Config, 'connection' | 'protect' | 'embedded' | 'source'>,
  named: string | undefined,
  warn: (text: string) => void,
): void {
  if (embedded) return;
  const names = [connection.database, ...placesIn(connection).map(({ host }) => host)];
  if (named !== undefined && names.includes(named)) return;
  if (named !== undefined)
    throw SetupError.of(
      '--yes-write-to',
      `"${named}" is neither the database nor a host of the connection; expected one of ${names.join(', ')}`,
    );
  for (const pattern of protect) {
    const found = names.find((name) => matcherOf(pattern).test(name));
    if (found !== undefined)
      throw SetupError.of(
        source.file,
        `${found} is protected by the pattern "${pattern}" in protect:; --yes-write-to ${found} allows writing to it in this run`,
      );
  }
  const live = names.find((name) => LOOKS_LIVE.test(name));
  if (live !== undefined)
    warn(
      `writing to "${live}", whose name looks like a production system (--yes-write-to ${live} confirms that this is intended)`,
    );
}

/** Returns the expression for a pattern with * and ?, ignoring case. */
function matcherOf(pattern: string): RegExp {
  const text = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${text}$`, 'i');
}
