import { resolveConnection } from '../config/connection.js';
import { type Problem, SetupError } from '../config/problem.js';
import { publicJson } from '../config/secrets.js';
import { Source } from '../config/source.js';
import { CannotMerge, mergeSummaries, type Part } from '../report/merge.js';
import { Progress } from '../report/progress.js';
import { shown } from '../report/shown.js';
import { summaryText } from '../report/text.js';
import { storedSummaries } from '../shards/store.js';
import { connect } from '../traffic/session.js';
import { codeBefore, EXIT } from './exit.js';
import { checkOutput, writeOutput } from './output-file.js';
import { parseSummary, readSummary } from './summary-file.js';

export interface MergeOptions {
  readonly files: readonly string[];
  /** The database with the shards' summaries; undefined if they are in files. */
  readonly url: string | undefined;
  readonly runId: string | undefined;
  readonly schema: string;
  readonly summaryFile: string | undefined;
  readonly full: boolean;
  readonly json: boolean;
}

/** Merges the results of the shards of a run. Returns the run's exit code, or 4 if shards are missing. */
export async function merge(options: MergeOptions, environment: NodeJS.ProcessEnv): Promise<number> {
  const progress = new Progress(process.stderr, { json: options.json, quiet: false });
  try {
    checkOutput('--summary', options.summaryFile);
    const merged = mergeSummaries(await partsOf(options, environment));
    if (options.summaryFile !== undefined) writeOutput(options.summaryFile, `${publicJson(merged, 2)}\n`);
    const files = options.summaryFile === undefined ? [] : [options.summaryFile];
    process.stdout.write(
      options.json
        ? `${publicJson(merged)}\n`
        : shown(summaryText(merged, { isFull: options.full, files, command: null, next: [] })),
    );
    return merged.exit.code;
  } catch (error) {
    if (!(error instanceof SetupError) && !(error instanceof CannotMerge)) throw error;
    progress.message('error', error.message);
    return error instanceof SetupError ? codeBefore(error) : EXIT.setup;
  }
}

async function partsOf(options: MergeOptions, environment: NodeJS.ProcessEnv): Promise<Part[]> {
  const { files, url } = options;
  if (url === undefined && files.length === 0)
    throw SetupError.of('merge', 'expected the summaries of the shards, or --database URL');
  if (url !== undefined && files.length > 0)
    throw SetupError.of('merge', 'accepts files or --database, not both; remove one of them');
  if (url === undefined) return files.map((name) => ({ name, summary: readSummary(name) }));
  return stored(url, options, environment);
}

async function stored(url: string, { schema, runId }: MergeOptions, environment: NodeJS.ProcessEnv): Promise<Part[]> {
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
        const summary = parseSummary(text, `run ${found.runId}`);
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
