import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { Capture, type CaptureFacts, factsFileOf } from '../changes/capture.js';
import { leftovers, unpublish } from '../changes/publication.js';
import { type Config, loadConfig, type Override } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import { publicJson } from '../config/secrets.js';
import { connectFirst, endSessions } from '../prepare/connect.js';
import { number } from '../report/figures.js';
import { Progress } from '../report/progress.js';
import { shown } from '../report/shown.js';
import { trapTables } from '../traps/layout.js';
import { codeBefore, EXIT } from './exit.js';
import { checkOutput } from './output-file.js';
import { Stopped, StopSignals } from './stop-signals.js';

export interface CaptureCommand {
  readonly file: string;
  readonly overrides: readonly Override[];
  /** Undefined where only leftovers are to be dropped. */
  readonly out: string | undefined;
  /** Undefined: until Ctrl+C. */
  readonly durationMs: number | undefined;
  /** True to drop slots of killed captures first. */
  readonly dropsLeftovers: boolean;
  readonly quiet: boolean;
  readonly json: boolean;
}

/** Writes the change events of a database into a file until it is stopped. Returns the exit code. */
export async function capture(command: CaptureCommand, environment: NodeJS.ProcessEnv): Promise<number> {
  const progress = new Progress(process.stderr, { json: command.json, quiet: command.quiet, isLog: true });
  const stops = new StopSignals();
  try {
    const config = loadConfig(command.file, command.overrides, environment);
    if (config.embedded)
      throw SetupError.of(
        'connection.embedded',
        'a private server has no other writers to capture from; use run --capture FILE',
      );
    const { out } = command;
    if (out === undefined && !command.dropsLeftovers)
      throw SetupError.of('--out', 'is missing: name the file to write the events to');
    checkOutput('--out', out);
    const runId = randomBytes(4).toString('hex');
    const isOver = () => stops.signal !== null;
    const first = connectFirst(config, runId, { say: (text) => progress.message('warn', text), isOver });
    // A session that nobody ends would keep the process alive.
    const client = await stops.interruptible(first, () => first.then((opened) => opened.end()).catch(() => undefined));
    try {
      await lookAtLeftovers(client, command.dropsLeftovers, progress);
    } finally {
      await client.end();
    }
    if (out === undefined) return EXIT.finished;
    const captured = await openUnlessStopped(config, { runId, ownId: runId }, out, progress, stops);
    progress.message('info', `capturing to ${out}; Ctrl+C ends it`);
    progress.start(captureMeter(captured));
    await ended(captured, stops, command.durationMs);
    progress.step('waiting for the last changes');
    const facts = await captured.end();
    progress.stop();
    process.stdout.write(command.json ? `${publicJson(facts)}\n` : shown(captureText(facts, out)));
    return facts.complete ? EXIT.finished : EXIT.endedEarly;
  } catch (error) {
    if (error instanceof Stopped) return EXIT.finished;
    if (!(error instanceof SetupError)) throw error;
    return progress.failed({ code: codeBefore(error), reason: error.message });
  } finally {
    progress.stop();
    stops.release();
  }
}

/**
 * Begins to capture; a signal ends that as well, also where the slot has to wait for transactions of others. `ownId`: the name
 * of this process's sessions.
 */
export async function openUnlessStopped(
  config: Config,
  { runId, ownId }: { readonly runId: string; readonly ownId: string },
  file: string,
  progress: Progress,
  stops: StopSignals,
): Promise<Capture> {
  const opening = openCapture(config, runId, file, progress, () => stops.signal !== null);
  try {
    return await stops.interruptible(opening, () => endSessions(config.connection, config, ownId));
  } catch (error) {
    // It may have been opened nevertheless.
    await opening.then((captured) => captured.end()).catch(() => undefined);
    throw error;
  }
}

/**
 * Begins to capture the tables of a configuration, and reports what is not captured.
 * @throws SetupError if the server or a missing privilege does not allow it.
 */
async function openCapture(
  { connection, generator, schemas, traps }: Config,
  runId: string,
  file: string,
  progress: Progress,
  isOver: () => boolean,
): Promise<Capture> {
  const captured = await Capture.open(
    {
      connection,
      runId,
      file,
      schemas: [...new Set([...schemas, ...schemasOf(generator.manual_table_list)])],
      tables: traps === null ? [] : trapTables(traps.schema, traps.weights.keys()),
      connectTimeoutMs: generator.timeouts.connect,
      statementTimeoutMs: generator.timeouts.statement,
      lockTimeoutMs: generator.timeouts.lock,
      maxOutageMs: generator.max_outage_seconds * 1000,
      report: (level, text) => progress.message(level, text),
    },
    isOver,
  );
  const { notCovered } = captured;
  for (const { table, operations, reason } of notCovered.slice(0, MOST_LINES))
    progress.message('warn', `${table}: not captured (${operations}): ${reason}`);
  if (notCovered.length > MOST_LINES)
    progress.message(
      'warn',
      `${notCovered.length - MOST_LINES} more tables are not or only partly captured; ${factsFileOf(file)} lists them when the capture ends`,
    );
  return captured;
}

const MOST_LINES = 6;

/** Returns the schemas of qualified table names. */
function schemasOf(tables: readonly string[]): string[] {
  return tables.flatMap((name) => /^"?([^".]+)"?\./.exec(name)?.[1] ?? []);
}

/** Reports slots that killed captures left on the server, or drops them. */
export async function lookAtLeftovers(client: pg.Client, drops: boolean, progress: Progress): Promise<void> {
  for (const leftover of await leftovers(client)) {
    const { slot, isSlot } = leftover;
    if (drops) {
      await unpublish(client, leftover);
      progress.message('info', `dropped the slot or publication ${slot} that an earlier capture left behind`);
    } else if (isSlot)
      progress.message(
        'warn',
        `an earlier capture left the replication slot ${slot} behind, which makes the server keep WAL; drop it with capture --drop-leftovers, or with SELECT pg_drop_replication_slot('${slot}');`,
      );
  }
}

/** Waits for a signal, for the end of the duration, or for the capture to fail. */
async function ended(captured: Capture, stops: StopSignals, durationMs: number | undefined): Promise<void> {
  const startMs = performance.now();
  while (stops.signal === null && captured.failed === null) {
    if (durationMs !== undefined && performance.now() - startMs >= durationMs) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

const LOOK_MS = 100;

/** Returns the meter that progress shows of a capture. */
function captureMeter(captured: Capture) {
  let before = { ms: performance.now(), total: 0 };
  return {
    read: () => {
      const now = { ms: performance.now(), total: captured.total };
      const perSecond = Math.round(((now.total - before.total) / Math.max(1, now.ms - before.ms)) * 1000);
      before = now;
      return {
        parts: [
          { text: `${number(now.total)} changes`, rank: 0 },
          { text: `${number(perSecond)}/s`, rank: 1 },
        ],
        share: null,
        figures: { changes: now.total, changesPerSecond: perSecond },
      };
    },
  };
}

/** Describes in words what a capture contains. */
function captureText({ complete, reason, events, not_covered: notCovered }: CaptureFacts, file: string): string {
  const sums = Object.values(events).reduce(
    (sum, each) => ({
      insert: sum.insert + each.insert,
      update: sum.update + each.update,
      delete: sum.delete + each.delete,
      truncate: sum.truncate + each.truncate,
    }),
    { insert: 0, update: 0, delete: 0, truncate: 0 },
  );
  const total = sums.insert + sums.update + sums.delete + sums.truncate;
  const lines = [
    complete
      ? `Captured ${number(total)} changes of ${Object.keys(events).length} tables in ${file}.`
      : `The capture ended early and ${file} is incomplete: ${reason}.`,
    `  ${number(sums.insert)} inserts, ${number(sums.update)} updates, ${number(sums.delete)} deletes${sums.truncate === 0 ? '' : `, ${number(sums.truncate)} truncates`}`,
  ];
  if (notCovered.length > 0)
    lines.push(`  ${notCovered.length} tables are not or only partly captured; ${factsFileOf(file)} lists them.`);
  return `${lines.join('\n')}\n`;
}
