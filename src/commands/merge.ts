import { resolveConnection } from '../config/connection.js';
import { type Problem, SetupError } from '../config/problem.js';
import { publicJson } from '../config/secrets.js';
import { Source } from '../config/source.js';
import { reportHtml } from '../page/report.js';
import { summarised } from '../page/status.js';
import { type LoadSummary, loadText } from '../report/load.js';
import { mergeSummaries, responseP99 } from '../report/merge.js';
import { mergeLoads } from '../report/merge-loads.js';
import { CannotMerge, type Part } from '../report/merge-parts.js';
import { Progress } from '../report/progress.js';
import { shown } from '../report/shown.js';
import type { Summary } from '../report/summary.js';
import { summaryText } from '../report/text.js';
import { storedSummaries } from '../shards/store.js';
import { connect } from '../traffic/session.js';
import { codeBefore, EXIT } from './exit.js';
import { checkOutput, writeOutput } from './output-file.js';
import { isOfLoad, parseAnySummary, readAnySummary } from './summary-file.js';

export interface MergeOptions {
  readonly files: readonly string[];
  /** The database with the shards' summaries; undefined if they are in files. */
  readonly url: string | undefined;
  readonly runId: string | undefined;
  readonly schema: string;
  readonly summaryFile: string | undefined;
  readonly reportFile: string | undefined;
  readonly full: boolean;
  readonly json: boolean;
}

/** Merges the results of the shards of a run. Returns the run's exit code, or 4 if shards are missing. */
export async function merge(options: MergeOptions, environment: NodeJS.ProcessEnv): Promise<number> {
  const progress = new Progress(process.stderr, { json: options.json, quiet: false });
  try {
    checkOutput('--summary', options.summaryFile);
    checkOutput('--report', options.reportFile);
    const { merged, text } = combined(await partsOf(options, environment), options);
    if (options.summaryFile !== undefined) writeOutput(options.summaryFile, `${publicJson(merged, 2)}\n`);
    if (options.reportFile !== undefined) writeOutput(options.reportFile, reportOf(merged));
    process.stdout.write(options.json ? `${publicJson(merged)}\n` : shown(text));
    return merged.exit.code;
  } catch (error) {
    if (!(error instanceof SetupError) && !(error instanceof CannotMerge)) throw error;
    progress.message('error', error.message);
    return error instanceof SetupError ? codeBefore(error) : EXIT.setup;
  }
}

/** Returns the summary of the whole, and its text. @throws CannotMerge if the parts do not belong together. */
function combined(
  parts: readonly Part<Summary | LoadSummary>[],
  { summaryFile, full }: MergeOptions,
): { merged: Summary | LoadSummary; text: string } {
  const [loads, runs] = [parts.filter(isLoad), parts.filter(isRun)];
  if (loads.length > 0 && runs.length > 0)
    throw new CannotMerge(`${loads[0]!.name}: is the summary of a load, but ${runs[0]!.name} is that of a run`);
  if (loads.length > 0) {
    const merged = mergeLoads(loads);
    return {
      merged,
      text: loadText(merged, {
        files: summaryFile === undefined ? [] : [summaryFile],
        command: null,
        examples: new Map(),
      }),
    };
  }
  const merged = mergeSummaries(runs);
  const files = summaryFile === undefined ? [] : [summaryFile];
  return {
    merged,
    text: summaryText(merged, {
      isFull: full,
      files,
      command: null,
      next: [],
      columns: process.stdout.columns,
    }),
  };
}

/** Returns the report of a merged run. It has no curves: those are in the reports of the shards. */
function reportOf(merged: Summary | LoadSummary): string {
  if (isOfLoad(merged))
    throw new CannotMerge('--report: there is no merged report of a load; the reports of its shards have the curves');
  const run = {
    command: 'run',
    version: merged.version,
    run_id: merged.run_id,
    started_at: merged.started_at,
    database: 'merged from the summaries of its shards',
    server_version: merged.server_version,
    random_seed: merged.seeds.random,
    faker_seed: merged.seeds.faker,
    connections: merged.connections,
    workers: merged.workers,
    pipeline_depth: merged.pipeline_depth,
    row_selection: merged.row_selection,
  } as const;
  const { tables, complete, left_out: left } = merged.coverage;
  const findings = left.map(({ cause, tables: names }) => `${names.join(', ')}: ${cause}`);
  const status = summarised(merged, responseP99(merged));
  return reportHtml({
    run,
    points: [],
    status,
    summary: merged,
    configuration: null,
    coverage: { tables, complete, findings },
  });
}

function isLoad(part: Part<Summary | LoadSummary>): part is Part<LoadSummary> {
  return isOfLoad(part.summary);
}

function isRun(part: Part<Summary | LoadSummary>): part is Part<Summary> {
  return !isOfLoad(part.summary);
}

async function partsOf(options: MergeOptions, environment: NodeJS.ProcessEnv): Promise<Part<Summary | LoadSummary>[]> {
  const { files, url } = options;
  if (url === undefined && files.length === 0)
    throw SetupError.of('merge', 'expected the summaries of the shards, or --database URL');
  if (url !== undefined && files.length > 0)
    throw SetupError.of('merge', 'accepts files or --database, not both; remove one of them');
  if (url === undefined) return files.map((name) => ({ name, summary: readAnySummary(name) }));
  return stored(url, options, environment);
}

async function stored(
  url: string,
  { schema, runId }: MergeOptions,
  environment: NodeJS.ProcessEnv,
): Promise<Part<Summary | LoadSummary>[]> {
  const problems: Problem[] = [];
  const source = new Source('--database', '', environment);
  const connection = resolveConnection({ url, settings: {}, embedded: false }, environment, source, problems);
  if (problems.length > 0) throw new SetupError(problems);
  try {
    const client = await connect(connection, {
      applicationName: 'eventgen/merge',
      connectTimeoutMs: CONNECT_MS,
      statementTimeoutMs: 0,
      lockTimeoutMs: 0,
      pipeline: false,
    });
    try {
      const found = await storedSummaries(client, schema, runId);
      if (found === null || found.summaries.length === 0)
        throw SetupError.of(
          '--database',
          `contains no summary of ${runId === undefined ? 'a sharded run' : `run ${runId}`}`,
        );
      return found.summaries.map((text) => {
        const summary = parseAnySummary(text, `run ${found.runId}`);
        return { name: `shard ${summary.shard?.index}`, summary };
      });
    } finally {
      await client.end();
    }
  } catch (error) {
    if (error instanceof SetupError) throw error;
    throw SetupError.of('--database', (error as Error).message);
  }
}

const CONNECT_MS = 10_000;
