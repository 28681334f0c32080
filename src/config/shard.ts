import { SetupError } from './problem.js';

/** A share of a run's lanes that one process carries. */
export interface Shard {
  /** From 1. */
  readonly index: number;
  readonly of: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/* Where engines tell a process which of several it is. */
const ENGINES: readonly { readonly index: string; readonly of: string; readonly first: 0 | 1 }[] = [
  { index: 'JOB_COMPLETION_INDEX', of: 'EVENTGEN_SHARDS', first: 0 },
  { index: 'AWS_BATCH_JOB_ARRAY_INDEX', of: 'AWS_BATCH_JOB_ARRAY_SIZE', first: 0 },
  { index: 'CLOUD_RUN_TASK_INDEX', of: 'CLOUD_RUN_TASK_COUNT', first: 0 },
  { index: 'CI_NODE_INDEX', of: 'CI_NODE_TOTAL', first: 1 },
];

/* Where engines name a run and its attempt; a process that is restarted within an attempt must find the same name. */
const RUNS: readonly (readonly string[])[] = [
  ['EVENTGEN_RUN_ID'],
  ['CLOUD_RUN_EXECUTION'],
  ['GITHUB_RUN_ID', 'GITHUB_RUN_ATTEMPT'],
  ['CI_PIPELINE_ID'],
];

const MOST_SHARDS = 1024;

/**
 * The shard that `--shard` means: `i/n`, or `auto` for what the engine's environment tells.
 * @throws SetupError where that is no shard, or an index without a count.
 */
export function shardOf(text: string, environment: Environment): Shard {
  if (text === 'auto') return automatic(environment);
  const match = /^(\d{1,4})\/(\d{1,4})$/.exec(text);
  const [index, of] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || index < 1 || of < 1 || index > of || of > MOST_SHARDS)
    throw SetupError.of('--shard', `expected i/n with i from 1 to n, such as 1/3, or auto; got "${text}"`);
  return { index, of };
}

function automatic(environment: Environment): Shard {
  const found = ENGINES.find(({ index }) => environment[index] !== undefined);
  if (found === undefined)
    throw SetupError.of(
      '--shard auto',
      `cannot find out the shard, because none of the variables ${ENGINES.map(({ index }) => index).join(', ')} is set; write --shard i/n`,
    );
  const [index, of] = [environment[found.index]!, environment[found.of]];
  if (of === undefined)
    throw SetupError.of(
      '--shard auto',
      `${found.index} is set but ${found.of} is not, so the number of shards is unknown; set ${found.of}`,
    );
  if (!/^\d+$/.test(index) || !/^\d+$/.test(of))
    throw SetupError.of('--shard auto', `${found.index}=${index} and ${found.of}=${of} must be whole numbers`);
  return shardOf(`${Number(index) + 1 - found.first}/${Number(of)}`, environment);
}

/**
 * The name that all shards of a run know it by.
 * @throws SetupError where there is none, or it cannot be a name.
 */
export function shardedRunId(given: string | undefined, environment: Environment): string {
  const batch = environment['AWS_BATCH_JOB_ID']?.split(':')[0];
  const made = RUNS.find(([first]) => environment[first!] !== undefined)
    ?.flatMap((name) => environment[name] ?? [])
    .join('-');
  const id = given ?? made ?? batch;
  if (id === undefined)
    throw SetupError.of(
      '--run-id',
      'is required with --shard; use the same name for all shards of a run, and a new one for each run',
    );
  // It is part of application_name, whose length the server cuts at 63 bytes.
  if (!/^[A-Za-z0-9_.-]{1,40}$/.test(id))
    throw SetupError.of('--run-id', `expected up to 40 letters, digits, dots, hyphens and underscores, got "${id}"`);
  return id;
}

/** The lanes of a shard: every n-th. */
export function lanesOf({ index, of }: Shard, lanes: number): number[] {
  return Array.from({ length: lanes }, (_, lane) => lane).filter((lane) => lane % of === index - 1);
}
