import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import { SetupError } from '../config/problem.js';
import { type Exception, LanePast } from './lane-log.js';
import { decodePlan, encodePlan, type StoredPlan } from './stored-plan.js';

const FORMAT = 1;

/** A table of the run's plan, as its changes are compared. */
export interface HistoryTable {
  readonly schema: string;
  readonly table: string;
  /** Types by column, domains as what they are made of. */
  readonly columns: Readonly<Record<string, string>>;
  /** Columns whose stored values only the server knows, with the reason. */
  readonly incomparable: Readonly<Record<string, string>>;
  /** Which of its changes a logical replication stream can tell, under the key that the history has. */
  readonly streamed: 'everything' | 'inserts' | 'nothing';
  /** Why nothing of it can be compared; null where it can. */
  readonly skipped: string | null;
  /** True where triggers may change its rows beside the run's own statements. */
  readonly isTouched: boolean;
}

/** What a history begins with. */
export interface HistoryHeader {
  readonly version: string;
  readonly runId: string;
  readonly planFingerprint: string;
  readonly startedAt: string;
  /** In the order of the plan's relations. */
  readonly tables: readonly HistoryTable[];
}

interface StoredHeader extends HistoryHeader {
  readonly history: number;
  readonly seeds: { readonly random: string; readonly faker: string };
  readonly generatorVersion: number;
  readonly shard: string;
  /** The plan and its claims as JSON, packed, in base64. */
  readonly plan: string;
}

/** How far the lanes are: a line once a second, and one at the end. */
interface Progress {
  readonly operations: readonly number[];
  /** Why the run ended; left out while it goes on. */
  readonly end?: string;
  /** True where the server may have lost what it had acknowledged. */
  readonly lostCommits?: boolean;
  /** True where an exception could not be written. */
  readonly isIncomplete?: boolean;
}

/**
 * Appends whole lines to a history, each batch in one write: lanes of several threads share the file, and the kernel keeps
 * appended writes apart.
 */
export class HistoryLines {
  private readonly file: string;
  private descriptor: number | null;

  /** @throws SetupError where the file cannot be written. */
  constructor(file: string) {
    this.file = file;
    try {
      this.descriptor = openSync(file, 'a');
    } catch (error) {
      throw SetupError.of('--history', `${file} cannot be written (${(error as NodeJS.ErrnoException).code})`);
    }
  }

  /** @throws Error with what to tell where the file takes no more, once. */
  write(lines: readonly string[]): void {
    if (this.descriptor === null || lines.length === 0) return;
    const bytes = Buffer.from(`${lines.join('\n')}\n`);
    let written = 0;
    try {
      written = writeSync(this.descriptor, bytes);
    } catch {
      // As a disk that takes a part.
    }
    if (written === bytes.length) return;
    this.close();
    throw new Error(`the history ${this.file} is incomplete, because the file could no longer be written`);
  }

  close(): void {
    if (this.descriptor !== null) closeSync(this.descriptor);
    this.descriptor = null;
  }
}

/** Begins a history anew. @throws SetupError where the file cannot be written. */
export function beginHistory(file: string, header: HistoryHeader, stored: StoredPlan): HistoryLines {
  const { plan } = stored;
  const packed = gzipSync(JSON.stringify(encodePlan(stored))).toString('base64');
  const line: StoredHeader = {
    history: FORMAT,
    ...header,
    seeds: { random: plan.randomSeed, faker: plan.fakerSeed },
    generatorVersion: plan.generatorVersion,
    shard: '1/1',
    plan: packed,
  };
  try {
    closeSync(openSync(file, 'w'));
  } catch (error) {
    throw SetupError.of('--history', `${file} cannot be written (${(error as NodeJS.ErrnoException).code})`);
  }
  const lines = new HistoryLines(file);
  lines.write([JSON.stringify(line)]);
  return lines;
}

/** The line that says how far the lanes are. */
export function progressLine(progress: Progress): string {
  return JSON.stringify(progress);
}

/** A history as it is read. */
export interface History extends StoredPlan {
  readonly header: HistoryHeader;
  /** By lane. */
  readonly pasts: readonly LanePast[];
  readonly exceptions: readonly (readonly Exception[])[];
  /** Operations by lane whose outcome is known. */
  readonly operations: readonly number[];
  /** Why the run ended; null where the file does not tell: it was ended by force, or goes on. */
  readonly end: string | null;
  readonly lostCommits: boolean;
  readonly isComplete: boolean;
}

/**
 * Reads a history. A last line that was cut off is left out.
 * @throws SetupError where the file is none, or another version's.
 */
export function readHistory(file: string): History {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw SetupError.of(file, `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`);
  }
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  const stored = parse(lines[0] ?? '', file, 1) as StoredHeader | null;
  if (stored?.history !== FORMAT || typeof stored.plan !== 'string')
    throw SetupError.of(file, 'is not a history; run --history writes one');
  let packed: unknown;
  try {
    packed = JSON.parse(gunzipSync(Buffer.from(stored.plan, 'base64')).toString());
  } catch (error) {
    throw SetupError.of(`${file}:1`, `contains a plan that cannot be read (${(error as Error).message})`);
  }
  const { plan, claims } = decodePlan(packed, file);
  const exceptions: Exception[][] = plan.quotas.map(() => []);
  let last: Progress = { operations: plan.quotas.map(() => 0) };
  for (const [index, line] of lines.slice(1).entries()) {
    if (line === '') continue;
    const entry = parse(line, file, index + 2);
    if (Array.isArray(entry)) {
      const [lane, ...exception] = entry as [number, ...unknown[]];
      exceptions[lane]?.push(exception as unknown as Exception);
    } else last = entry as Progress;
  }
  return {
    header: stored,
    plan,
    claims,
    exceptions,
    pasts: exceptions.map((each) => LanePast.of(each)),
    operations: last.operations,
    end: last.end ?? null,
    lostCommits: last.lostCommits === true,
    isComplete: last.isIncomplete !== true,
  };
}

function parse(line: string, file: string, number: number): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw SetupError.of(`${file}:${number}`, `is not a valid line of a history (${(error as Error).message})`);
  }
}
