import type { Shard } from '../config/shard.js';

/** Summaries that are not those of the shards of one run; says which one is wrong, and why. */
export class CannotMerge extends Error {}

/** What the summaries of shards have in common, those of runs and those of loads. */
interface Mergeable {
  readonly version: string;
  readonly run_id: string;
  readonly plan_fingerprint: string;
  readonly shard?: Shard;
  readonly exit: { readonly code: number; readonly reason: string };
  readonly tables: Readonly<Record<string, unknown>>;
}

/** A summary, and where it came from. */
export interface Part<Summary extends Mergeable> {
  readonly name: string;
  readonly summary: Summary;
}

/** @throws CannotMerge where the summaries are not the shards of one run, or one stands twice. */
export function checkParts(parts: readonly Part<Mergeable>[]): void {
  for (const [index, part] of parts.entries()) check(part, parts[0]!, parts.slice(0, index));
}

function check({ name, summary }: Part<Mergeable>, first: Part<Mergeable>, before: readonly Part<Mergeable>[]): void {
  const { shard } = summary;
  if (shard === undefined) throw new CannotMerge(`${name}: is not the summary of a shard; --shard i/n writes one`);
  const same = { run_id: 'run', version: 'version', plan_fingerprint: 'plan' } as const;
  for (const [key, what] of Object.entries(same) as [keyof typeof same, string][])
    if (summary[key] !== first.summary[key])
      throw new CannotMerge(
        `${name}: belongs to another ${what} (${summary[key]}) than ${first.name} (${first.summary[key]})`,
      );
  if (shard.of !== first.summary.shard?.of)
    throw new CannotMerge(
      `${name}: is one of ${shard.of} shards, but ${first.name} is one of ${first.summary.shard?.of}`,
    );
  const tables = (each: Mergeable) => Object.keys(each.tables).join('/');
  if (tables(summary) !== tables(first.summary)) throw new CannotMerge(`${name}: has other tables than ${first.name}`);
  const twin = before.find((each) => each.summary.shard?.index === shard.index);
  if (twin !== undefined)
    throw new CannotMerge(`${name}: is shard ${shard.index}, but so is ${twin.name}; remove one of them`);
}

/** Returns the numbers of the shards without a summary. */
export function missingOf(summaries: readonly Mergeable[], of: number): number[] {
  const present = new Set(summaries.map(({ shard }) => shard!.index));
  return Array.from({ length: of }, (_, index) => index + 1).filter((index) => !present.has(index));
}

/* A shard that ended so has not done its part yet. */
const RESUMABLE: readonly number[] = [2, 3];

/** Returns true for a shard that is started again to do the rest of its part. */
export function isResumable({ exit }: Mergeable): boolean {
  return RESUMABLE.includes(exit.code);
}

/** Returns the end of the first shard that did not succeed, as that of the whole; null if all did. */
export function unfinished(summaries: readonly Mergeable[], of: number): Mergeable['exit'] | null {
  const failed = summaries.find(({ exit }) => exit.code !== 0);
  if (failed === undefined) return null;
  const { code, reason } = failed.exit;
  const missing = missingOf(summaries, of);
  const others = missing.length > 0 ? `; the summaries of shards ${missing.join(', ')} are missing` : '';
  const what = isResumable(failed) ? 'incomplete: ' : '';
  return { code, reason: `${what}shard ${failed.shard!.index} of ${of}: ${reason}${others}` };
}

/** Returns the end of a whole without some of its shards; null if all are there. */
export function incomplete(missing: readonly number[], of: number): Mergeable['exit'] | null {
  if (missing.length === 0) return null;
  return { code: 4, reason: `incomplete: the summaries of shards ${missing.join(', ')} of ${of} are missing` };
}
