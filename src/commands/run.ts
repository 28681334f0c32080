import { randomBytes } from 'node:crypto';
import type { ConnectionSettings } from '../config/connection.js';
import { type Config, loadConfig, type Override } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import { type Endpoint, openEndpoint } from '../metrics/endpoint.js';
import type { Coverage } from '../page/data.js';
import { LivePage } from '../page/live.js';
import { checkReport, writeReport } from '../page/report.js';
import { refused } from '../page/status.js';
import { Progress } from '../report/progress.js';
import { summaryText } from '../report/text.js';
import { startWorkers, type Workers, workerCount } from '../traffic/coordinator.js';
import { settleSequences } from '../traffic/sequences.js';
import { VERSION } from '../version.js';
import { indexBuilderFor, probeFor } from './beside.js';
import { carryOut } from './carry-out.js';
import { connectCoordinator, connectRehearsal } from './connect.js';
import { type DemoServers, startDemo } from './demo.js';
import { dryRunText } from './dry-run.js';
import { type Prepared, wantedOperations } from './examine.js';
import { EXIT } from './exit.js';
import { explain, type Place } from './explain.js';
import { readPlanFile, writePlanFile } from './plan-file.js';
import { findingText, prepare } from './prepare.js';
import { type Publishing, publish } from './publish.js';
import { StopSignals } from './stop-signals.js';
import { writeSummary } from './summary-file.js';
import { untilSummary } from './until.js';

export interface RunOptions {
  readonly file: string;
  readonly overrides: readonly Override[];
  readonly dryRun: boolean;
  /** One operation is described instead of carried out. */
  readonly explain: Place | undefined;
  /** The summary of a run that ended early: each lane goes as far as it did there. */
  readonly untilFile: string | undefined;
  /** Where the plan is written to, and read from where an operation is explained. */
  readonly planFile: string | undefined;
  readonly summaryFile: string | undefined;
  readonly reportFile: string | undefined;
  readonly publishing: Publishing;
  readonly quiet: boolean;
  readonly json: boolean;
}

/** The main job: YAML → catalog → plan → traffic → summary. Returns the exit code. */
export async function run(options: RunOptions, environment: NodeJS.ProcessEnv): Promise<number> {
  const progress = new Progress(process.stderr, { json: options.json, quiet: options.quiet });
  const stops = new StopSignals();
  let servers: DemoServers | undefined;
  let endpoint: Endpoint | undefined;
  let configuration: string | null = null;
  let workers: Workers | undefined;
  // Neither writes to the database.
  const isTrial = options.dryRun || options.explain !== undefined;
  try {
    if (options.explain !== undefined && options.planFile !== undefined) {
      const { plan, claims } = readPlanFile(options.planFile);
      process.stdout.write(explain(plan, claims, options.explain));
      return EXIT.finished;
    }
    const written = loadConfig(options.file, options.overrides, environment);
    configuration = written.source.withoutSecrets();
    if (options.reportFile !== undefined && !isTrial) checkReport(options.reportFile);
    let page: LivePage | undefined;
    if (written.metrics.enabled && !isTrial) {
      endpoint = await openEndpoint(written.metrics.host, written.metrics.port);
      progress.message(
        'info',
        `metrics on http://${written.metrics.host}:${endpoint.port}/metrics, live page on http://${written.metrics.host}:${endpoint.port}/`,
      );
      page = new LivePage(endpoint);
    }
    const step = (text: string) => {
      progress.step(text);
      page?.prepare(text);
    };
    const runId = randomBytes(4).toString('hex');
    if (written.embedded)
      servers = await startDemo(written, runId, {
        say: (text) => progress.message('info', text),
        replicas: !isTrial,
      });
    const config = servers?.config ?? written;
    const settings = config.connection;
    const client = await connectCoordinator(settings, config, runId);
    if (!isTrial)
      workers = startWorkers(workerCount(config.generator.workers, config.generator.connections), 'traffic');
    let prepared: Prepared;
    try {
      prepared = await prepare(client, config, {
        dryRun: isTrial,
        say: (level, text) => progress.message(level, text),
        step,
        rehearsal: config.generator.rehearse ? () => connectRehearsal(settings, config, runId) : null,
      });
    } finally {
      await client.end();
    }
    if (options.untilFile !== undefined)
      prepared = { ...prepared, plan: untilSummary(prepared.plan, options.untilFile) };
    if (options.explain !== undefined) {
      process.stdout.write(explain(prepared.plan, prepared.claims, options.explain));
      return EXIT.finished;
    }
    if (options.planFile !== undefined) writePlanFile(options.planFile, prepared);
    if (options.dryRun) {
      process.stdout.write(dryRunText(prepared.plan, prepared.claims, prepared.findings));
      return EXIT.finished;
    }
    const { summary, registries, facts, points, status } = await carryOut({
      config,
      prepared,
      runId,
      progress,
      stops,
      endpoint,
      page,
      workers: workers!,
      indexBuilder: await indexBuilderFor(config, prepared, runId, progress),
      probe: await probeFor(config, runId, progress),
    });
    await settle(settings, config, prepared, runId, progress);
    if (options.summaryFile !== undefined) writeSummary(options.summaryFile, summary);
    if (options.reportFile !== undefined) {
      const coverage = coverageOf(config, prepared);
      writeReport(options.reportFile, { run: facts, points, status, summary, configuration, coverage });
      progress.message('info', `report: ${options.reportFile}`);
    }
    process.stdout.write(options.json ? `${JSON.stringify(summary)}\n` : summaryText(summary));
    await publish(options.publishing, registries, runId, progress, stops);
    return summary.exit.code;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    if (options.summaryFile !== undefined) {
      writeSummary(options.summaryFile, {
        schema_version: 1,
        version: VERSION,
        tables: {},
        errors: {},
        lanes: [],
        exit: { code: EXIT.setup, reason: error.message },
      });
    }
    if (options.reportFile !== undefined) {
      const status = refused({ code: EXIT.setup, reason: error.message });
      const nothing = { run: null, points: [], summary: null, coverage: null };
      writeReport(options.reportFile, { ...nothing, status, configuration });
    }
    progress.message('error', error.message);
    return EXIT.setup;
  } finally {
    progress.stop();
    stops.ignore();
    await workers?.end();
    await endpoint?.close();
    await servers?.stop();
  }
}

function coverageOf(config: Config, { plan, findings }: Prepared): Coverage {
  const wanted = wantedOperations(config);
  const targeted = plan.relations.filter((relation) => relation.targeted);
  return {
    tables: targeted.length,
    complete: targeted.filter(({ operations }) => wanted.every((kind) => operations[kind])).length,
    findings: findings.map(findingText),
  };
}

/** Sets the sequences of written columns to their exact end. Where the server is away they stay past the run's values. */
async function settle(
  settings: ConnectionSettings,
  config: Config,
  prepared: Prepared,
  runId: string,
  progress: Progress,
): Promise<void> {
  if (prepared.sequences.length === 0) return;
  try {
    const client = await connectCoordinator(settings, config, runId);
    await settleSequences(client, prepared.sequences);
    await client.end();
  } catch (error) {
    progress.message('warn', `sequences stay past the run's values: ${(error as Error).message}`);
  }
}
