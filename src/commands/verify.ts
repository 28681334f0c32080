import { constants, tmpdir } from 'node:os';
import { FORMAT_NAMES } from '../changes/formats/formats.js';
import { SetupError } from '../config/problem.js';
import { publicJson } from '../config/secrets.js';
import { VERSION } from '../package.js';
import { originsOf } from '../proof/origins.js';
import { removePartitions } from '../proof/partitions.js';
import type { Verdict } from '../proof/verdict.js';
import { Progress } from '../report/progress.js';
import { shown } from '../report/shown.js';
import { verdictHtml, verdictText } from '../report/verdict.js';
import { codeBefore, EXIT } from './exit.js';
import { checkOutput, writeOutput } from './output-file.js';
import { verifyContents } from './verify/contents.js';
import { type Allowance, captured, changesIn, type EventOptions, PLAIN, verifyEvents } from './verify/events.js';
import { recorded, verifyExpected } from './verify/history.js';

export interface VerifyOptions {
  readonly source: string | undefined;
  readonly target: string | undefined;
  readonly events: string | undefined;
  readonly against: string | undefined;
  readonly history: string | undefined;
  readonly expected: boolean;
  readonly format: string | undefined;
  readonly map: string | undefined;
  readonly delivery: EventOptions['delivery'];
  readonly order: EventOptions['order'];
  readonly allow: readonly Allowance[];
  readonly schemas: readonly string[];
  readonly tables: readonly string[];
  readonly excluded: readonly string[];
  readonly renamed: ReadonlyMap<string, string>;
  readonly columns: ReadonlyMap<string, readonly string[]>;
  readonly rate: number;
  readonly rechecks: number;
  readonly resumeFile: string | undefined;
  readonly strict: boolean;
  readonly full: boolean;
  readonly json: boolean;
  readonly reportFile: string | undefined;
}

const USAGE =
  'expected one of: --source URL --target URL (contents) · --events FILE --against FILE (events against a capture) · ' +
  '--events FILE --history FILE (events against a history) · --expected --history FILE --target URL (rows that a run must have left)';

/** Compares what arrived with what was written. Returns the exit code. */
export async function verify(options: VerifyOptions, environment: NodeJS.ProcessEnv): Promise<number> {
  const progress = new Progress(process.stderr, { json: false, quiet: options.json });
  const stop = (signal: NodeJS.Signals) => {
    removePartitions();
    process.exit(128 + constants.signals[signal]);
  };
  for (const signal of SIGNALS) process.once(signal, stop);
  try {
    checkOutput('--report', options.reportFile);
    const verdict = await verdictOf(options, environment, (text) => progress.step(text));
    progress.stop();
    process.stdout.write(options.json ? `${publicJson(verdict)}\n` : shown(verdictText(verdict, options.full)));
    if (options.reportFile !== undefined) writeOutput(options.reportFile, shown(verdictHtml(verdict, VERSION)));
    return codeOf(verdict);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return progress.failed({ code: codeBefore(error), reason: error.message });
  } finally {
    progress.stop();
    for (const signal of SIGNALS) process.removeListener(signal, stop);
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function codeOf({ verdict }: Verdict): number {
  switch (verdict) {
    case 'equal':
      return EXIT.finished;
    case 'different':
      return EXIT.threshold;
    case 'undecided':
      return EXIT.undecided;
  }
}

async function verdictOf(
  options: VerifyOptions,
  environment: NodeJS.ProcessEnv,
  step: (text: string) => void,
): Promise<Verdict> {
  const { source, target, events, against, history, expected } = options;
  if (options.format !== undefined && !FORMAT_NAMES.includes(options.format))
    throw SetupError.of('--format', `expected ${FORMAT_NAMES.join(', ')}, got "${options.format}"`);
  const given = { source, target, events, against, history, expected: expected || undefined };
  const isJust = (...names: (keyof typeof given)[]) =>
    Object.entries(given).every(
      ([name, value]) => (value !== undefined) === names.includes(name as keyof typeof given),
    );
  if (isJust('events', 'against') || isJust('events', 'history') || isJust('events', 'against', 'history')) {
    refuse('events', contentsOnly(options));
    step('comparing events');
    if (against !== undefined && history !== undefined) {
      const doubt = await disagreement(against, history);
      if (doubt !== null) return doubt;
    }
    const truth = against !== undefined ? await captured(against) : recorded(history!, true);
    const verdict = await verifyEvents(truth, eventOptions(events!, options));
    return against !== undefined && history !== undefined ? await withOrigins(verdict, against, history) : verdict;
  }
  const { renamed, strict: isStrict } = options;
  if (isJust('source', 'target')) {
    const { schemas, tables, excluded, columns, rate, rechecks, resumeFile } = options;
    refuse('contents', eventOnly(options));
    const scope = { schemas, tables, excluded, renamed, columns };
    const contents = { source: source!, target: target!, scope, rate, rechecks, isStrict, resumeFile, step };
    return await verifyContents(contents, environment);
  }
  if (isJust('expected', 'history', 'target')) {
    refuse('expected rows', [...eventOnly(options), ...contentsOnly(options)]);
    step('comparing rows with the history');
    return await verifyExpected(history!, { target: target!, folder: tmpdir(), isStrict, renamed }, environment);
  }
  throw SetupError.of('verify', USAGE);
}

/** Options that are given and mean something only where contents are compared. */
function contentsOnly(options: VerifyOptions): string[] {
  return [
    ...listed('--schema', options.schemas),
    ...listed('--table', options.tables),
    ...listed('--exclude-table', options.excluded),
    ...(options.columns.size > 0 ? ['--columns'] : []),
    ...(options.rate > 0 ? ['--rate'] : []),
    ...(options.resumeFile === undefined ? [] : ['--resume']),
  ];
}

/** Compares two sources of truth with each other. Returns null if they agree, or if that cannot be decided. */
async function disagreement(capture: string, history: string): Promise<Verdict | null> {
  const found = await verifyEvents(recorded(history, true), { ...PLAIN, events: capture, folder: tmpdir() });
  if (found.verdict !== 'different') return null;
  const reason = `the capture and the history of the run disagree, which is a bug in event-generator: ${found.headline}`;
  return { ...found, verdict: 'undecided', headline: `Not decided: ${reason}`, undecided: [reason] };
}

/** Adds who made the changes that differ: a capture does not tell, but the history of its run does. */
async function withOrigins(verdict: Verdict, capture: string, history: string): Promise<Verdict> {
  const positions = new Set(
    verdict.differences.flatMap(({ source_position: position }) => (position === null ? [] : [position])),
  );
  if (positions.size === 0) return verdict;
  const { facts } = await captured(capture);
  const made = await originsOf(
    positions,
    () => changesIn(capture),
    () => recorded(history, true).events,
    facts,
  );
  return {
    ...verdict,
    differences: verdict.differences.map((each) => ({
      ...each,
      origin: each.origin ?? (each.source_position === null ? null : (made.get(each.source_position) ?? null)),
    })),
  };
}

/** @throws SetupError for options that have no effect on this comparison. */
function refuse(what: string, names: readonly string[]): void {
  if (names.length > 0) throw SetupError.of(names.join(', '), `has no effect when ${what} are compared; remove it`);
}

function eventOnly({ format, map, delivery, order, allow }: VerifyOptions): string[] {
  return [
    ...(format === undefined ? [] : ['--format']),
    ...(map === undefined ? [] : ['--map']),
    ...(delivery === 'exactly-once' ? [] : ['--delivery']),
    ...(order === undefined ? [] : ['--order']),
    ...listed('--allow', allow),
  ];
}

function listed(option: string, values: readonly string[]): string[] {
  return values.length > 0 ? [option] : [];
}

function eventOptions(events: string, options: VerifyOptions): EventOptions {
  const { format, map, delivery, order, allow, strict, renamed } = options;
  return { events, format, map, delivery, order, allow, isStrict: strict, renamed, folder: tmpdir() };
}
