/*
 * Keys and sections of generators that this one follows, and the YAML that means the same here. Their files differ in
 * details, so a value is found by what its key is called; where none is found, N stands for it.
 */

/** Key of another generator → the text that replaces it. */
export const TRANSLATIONS: Readonly<Record<string, (value: unknown) => string>> = {
  seed: (value) => `random_seed: ${plain(value)}`,
  delete_max_retries: (value) => `update_max_retries: ${plain(value)}, which applies to DELETE as well`,
  rate_control: (value) => `${trafficOf(value)} beside generator`,
  jitter_pct: () => 'traffic: { arrival: poisson } for random gaps; spikes have a jitter of their own',
  transaction_mode: (value) => `${transactionOf(value)} under generator`,
  parallel: (value) => `${parallelOf(value)} under generator`,
  num_workers: (value) => `workers: ${plain(value)}`,
  threads: (value) => `workers: ${plain(value)}`,
};

const UNKNOWN = 'N';

function trafficOf(value: unknown): string {
  const stages = stagesOf(listIn(value, /schedule|stage|phase|step/));
  const spikes = listIn(value, /spike|burst/).map(spikeOf);
  const hasJitter = (numberIn(value, /jitter/) ?? 0) > 0;
  return flow('traffic', {
    ...(stages.length > 0 ? { stages: `[${stages.join(', ')}]` } : { rate: rateIn(value) }),
    ...(spikes.length > 0 ? { spikes: `[${spikes.join(', ')}]` } : {}),
    ...(hasJitter ? { arrival: 'poisson' } : {}),
  });
}

/** Stages follow one another here: where they have moments instead of durations, these are the differences. */
function stagesOf(stages: readonly unknown[]): string[] {
  // In seconds; moments in other units are left to the reader.
  const startOf = (stage: unknown) => numberIn(stage, /^(start|at|from|begin|offset)(?!.*(min|hour|ms|milli))/);
  return stages.map((stage, index) => {
    const given = timeIn(stage, /duration|for$|length|^seconds|^minutes/);
    const start = startOf(stage);
    const end = numberIn(stage, /^(end|to|until)(?!.*(min|hour|ms|milli))/) ?? startOf(stages[index + 1]);
    const duration = given === UNKNOWN && start !== null && end !== null ? `${Number(end) - Number(start)}s` : given;
    return inline({ duration, rate: rateIn(stage) });
  });
}

function spikeOf(value: unknown): string {
  const every = timeIn(value, /every|interval|period/);
  return inline({
    rate: rateIn(value),
    duration: timeIn(value, /duration|for$|length/),
    ...(every === UNKNOWN ? {} : { every }),
  });
}

/* Hot tables get most of the traffic; hot rows are a skew. */
const HOT_WEIGHT = 10;

function transactionOf(value: unknown): string {
  const rollback = ratioIn(value, /rollback/);
  const savepoint = ratioIn(value, /savepoint/);
  const transaction = flow('transaction', {
    statements: rangeIn(value),
    ...(savepoint === null ? {} : { savepoint_ratio: savepoint }),
    ...(rollback === null ? {} : { rollback_ratio: rollback }),
  });
  const hot = weightsIn(value);
  return hot === null ? transaction : `${transaction} and table_weights: ${hot}`;
}

function parallelOf(value: unknown): string {
  if (!isSection(value)) return `connections: ${plain(value)} and workers: auto`;
  const connections = numberIn(value, /conn|client|lane|session/);
  const workers = numberIn(value, /worker|thread|process/);
  return `connections: ${connections ?? workers ?? UNKNOWN} and workers: ${workers ?? 'auto'}`;
}

/** Statements of a transaction: a number, a pair, or the least and the most. */
function rangeIn(value: unknown): string {
  if (!isSection(value)) return plain(value);
  const entries = Object.entries(value).filter(([key]) => !/hot|_ratio|pct|percent|prob|weight/.test(key));
  for (const [key, found] of entries) {
    if (!/statement|operation|size|range|per_transaction|per_tx/.test(key)) continue;
    if (isNumber(found) && !/min|max/.test(key)) return plain(found);
    const [least, most] = Array.isArray(found) ? (found as unknown[]) : [];
    if (isNumber(least) && isNumber(most)) return inline({ min: plain(least), max: plain(most) });
    if (isSection(found)) return rangeIn(found);
  }
  const least = entries.find(([key, found]) => /min/.test(key) && isNumber(found));
  const most = entries.find(([key, found]) => /max/.test(key) && isNumber(found));
  return most === undefined ? UNKNOWN : inline({ min: plain(least?.[1] ?? 1), max: plain(most[1]) });
}

function weightsIn(value: unknown): string | null {
  const [, hot] = entryIn(value, /hot/) ?? [];
  if (Array.isArray(hot)) {
    const names = hot.flatMap((each: unknown) =>
      typeof each === 'string' ? each : isSection(each) ? nameIn(each) : [],
    );
    return inline(Object.fromEntries(names.map((name) => [name, String(HOT_WEIGHT)])));
  }
  if (!isSection(hot)) return hot === undefined ? null : inline({ TABLE: String(HOT_WEIGHT) });
  return inline(
    Object.fromEntries(
      Object.entries(hot).map(([name, weight]) => [
        name,
        isNumber(weight) && Number(weight) > 1 ? plain(weight) : String(HOT_WEIGHT),
      ]),
    ),
  );
}

function nameIn(section: object): string[] {
  const [, name] = entryIn(section, /name|table/) ?? [];
  return typeof name === 'string' ? [name] : [];
}

function rateIn(value: unknown): string {
  if (!isSection(value)) return plain(value);
  const found = numberIn(value, /rate|per_sec|rps|tps/) ?? numberIn(value, /target|events|operations|value/);
  return found === null ? UNKNOWN : String(found);
}

/** A share from 0 to 1; one that is given in percent is converted. */
function ratioIn(value: unknown, key: RegExp): string | null {
  const [name, found] = entryIn(value, key) ?? [];
  if (!isNumber(found)) return null;
  return /pct|percent/.test(name!) ? String(Number(found) / 100) : plain(found);
}

/** A time with its unit: a bare number is one of seconds, unless its key says otherwise. */
function timeIn(value: unknown, key: RegExp): string {
  const [name, found] = entryIn(value, key) ?? [];
  if (typeof found === 'string') return found;
  if (!isNumber(found)) return UNKNOWN;
  return `${plain(found)}${/min/.test(name!) ? 'm' : /_ms|milli/.test(name!) ? 'ms' : /hour/.test(name!) ? 'h' : 's'}`;
}

function numberIn(value: unknown, key: RegExp): number | bigint | null {
  if (!isSection(value)) return null;
  for (const [name, found] of Object.entries(value)) if (key.test(name) && isNumber(found)) return found;
  return null;
}

function listIn(value: unknown, key: RegExp): readonly unknown[] {
  const [, found] = entryIn(value, key) ?? [];
  return Array.isArray(found) ? found : [];
}

function entryIn(value: unknown, key: RegExp): [string, unknown] | undefined {
  return isSection(value) ? Object.entries(value).find(([name]) => key.test(name)) : undefined;
}

function isSection(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

function plain(value: unknown): string {
  return isNumber(value) ? String(value) : UNKNOWN;
}

function flow(key: string, entries: Readonly<Record<string, string>>): string {
  return `${key}: ${inline(entries)}`;
}

function inline(entries: Readonly<Record<string, string>>): string {
  return `{ ${Object.entries(entries)
    .map(([key, value]) => `${key}: ${value}`)
    .join(', ')} }`;
}
