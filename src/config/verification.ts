import { didYouMean } from './nearest.js';
import type { Problem } from './problem.js';
import type { FileConfig } from './schema.js';
import type { Source } from './source.js';

/** Rounds of comparison during a run; null where there are none. */
export interface VerificationConfig {
  readonly everyMs: number;
  /** Names of replication targets. */
  readonly targets: readonly string[];
  readonly stopsOnDifference: boolean;
}

/* A round pauses the traffic. */
const SHORTEST_MS = 1000;

export function resolveVerification(
  { verify, replication }: FileConfig,
  source: Source,
  problems: Problem[],
): VerificationConfig | null {
  const { every: everyMs, targets, stop_on_difference: stopsOnDifference } = verify;
  if (everyMs === 0) {
    if (targets.length > 0 || stopsOnDifference)
      problems.push(source.problem(['verify'], 'needs the key every, such as every: 10m'));
    return null;
  }
  if (everyMs < SHORTEST_MS)
    problems.push(
      source.problem(['verify', 'every'], 'expected at least 1s, because each comparison pauses the traffic'),
    );
  const names = replication.targets.flatMap(({ name, kind }) => (kind === 'slot' || kind === 'command' ? [] : name));
  if (names.length === 0)
    problems.push(source.problem(['verify'], 'needs a server to compare with, but replication.targets names none'));
  for (const [index, name] of targets.entries())
    if (!names.includes(name))
      problems.push(
        source.problem(
          ['verify', 'targets', index],
          `"${name}" is not the name of a server in replication.targets${didYouMean(name, names)}`,
        ),
      );
  return { everyMs, targets: targets.length === 0 ? names : targets, stopsOnDifference };
}
