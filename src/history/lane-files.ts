import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { deserialize, serialize } from 'node:v8';
import type { SavedLane } from '../lane/lane.js';
import type { Exception } from './lane-log.js';

/** A place in a lane's course, with all that the lane needs to continue from there. */
export interface Checkpoint {
  /** The operations before, all of them finished. */
  readonly operations: number;
  /** How many of these were sent or skipped, and how often the lane had told something. */
  readonly sent: number;
  readonly told: number;
  readonly state: SavedLane;
}

/** The same, serialized. */
export interface SavedCheckpoint {
  readonly operations: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export function serialized(checkpoint: Checkpoint): SavedCheckpoint {
  return { operations: checkpoint.operations, bytes: new Uint8Array(serialize(checkpoint)) };
}

/** Part of a lane's course: a place to begin, and what did not go as intended from there on. */
export interface LaneRecord {
  /** Null: the lane's beginning. */
  readonly checkpoint: Checkpoint | null;
  readonly exceptions: readonly Exception[];
}

const ENDINGS = { log: '.log', state: '.state', part: '.state.part' } as const;

/**
 * The files of one lane in the folder of its run: its exceptions, in parts, and its checkpoints. Their names end with the
 * number of operations before: `lane-3-0.log` begins with the lane, `lane-3-32768.log` at the place of `lane-3-32768.state`.
 */
export class LaneFiles {
  private readonly folder: string;
  private readonly prefix: string;

  constructor(folder: string, lane: number) {
    this.folder = folder;
    this.prefix = `lane-${lane}-`;
  }

  log(from: number): string {
    return path.join(this.folder, `${this.prefix}${from}.log`);
  }

  state(at: number): string {
    return path.join(this.folder, `${this.prefix}${at}.state`);
  }

  /** Returns where the parts of the log begin, in order. */
  logs(): number[] {
    return this.numbers(ENDINGS.log);
  }

  /** Returns where the checkpoints are, in order. */
  checkpoints(): number[] {
    return this.numbers(ENDINGS.state);
  }

  private numbers(ending: string): number[] {
    return readdirSync(this.folder)
      .filter((name) => name.startsWith(this.prefix) && name.endsWith(ending))
      .map((name) => Number(name.slice(this.prefix.length, -ending.length)))
      .sort((a, b) => a - b);
  }

  /** Returns where the latest checkpoint is; 0: the lane's beginning. */
  get latest(): number {
    return this.checkpoints().at(-1) ?? 0;
  }

  /** Returns true if the lane can be brought to where it is from the latest checkpoint: no exception is missing. */
  get isWhole(): boolean {
    return this.logs().includes(this.latest);
  }

  /** Begins the log with what is known of the lane's course. @throws Error if the file cannot be written. */
  begin(from: number, exceptions: readonly Exception[]): void {
    writeFileSync(this.log(from), exceptions.map((exception) => `${JSON.stringify(exception)}\n`).join(''));
  }

  /** Saves a checkpoint. It is there as a whole or not at all. @throws Error if the file cannot be written. */
  async save({ operations, bytes }: SavedCheckpoint): Promise<void> {
    const file = this.state(operations);
    await writeFile(`${file}.part`, bytes);
    await rename(`${file}.part`, file);
  }

  /** Removes states, unfinished ones, or parts of the log, where a condition holds. */
  remove(what: 'log' | 'state' | 'part', isUnneeded: (at: number) => boolean): void {
    const ending = ENDINGS[what];
    for (const at of this.numbers(ending).filter(isUnneeded))
      rmSync(path.join(this.folder, `${this.prefix}${at}${ending}`), { force: true });
  }

  /**
   * Reads the record from the latest checkpoint at or before this operation; null if exceptions that came after the checkpoint
   * are missing.
   */
  read(most = Number.POSITIVE_INFINITY): LaneRecord | null {
    const at = this.checkpoints().findLast((checkpoint) => checkpoint <= most) ?? 0;
    const logs = this.logs().filter((from) => from >= at);
    if (logs[0] !== at) return null;
    try {
      const checkpoint = at === 0 ? null : (deserialize(readFileSync(this.state(at))) as Checkpoint);
      return { checkpoint, exceptions: logs.flatMap((from) => exceptionsIn(readFileSync(this.log(from), 'utf8'))) };
    } catch {
      return null;
    }
  }

  /** Returns the exceptions in all parts of the log that are still there. */
  exceptions(): Exception[] {
    return this.logs().flatMap((from) => exceptionsIn(readFileSync(this.log(from), 'utf8')));
  }
}

/** Returns the exceptions in a text, without a last line that is torn. */
function exceptionsIn(text: string): Exception[] {
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Exception);
}

/* A younger folder may belong to a process that cannot be seen from here, in another container with the same temporary folder. */
const STALE_MS = 24 * 3600 * 1000;

/** Creates the folder for the lanes of a run, and removes folders of processes that were killed. Null if it cannot be created. */
export function createLaneFolder(runId: string): string | null {
  try {
    for (const name of readdirSync(tmpdir())) removeIfStale(name);
    return mkdtempSync(path.join(tmpdir(), `${PREFIX}${runId}-${process.pid}-`));
  } catch {
    return null;
  }
}

const PREFIX = 'eventgen-lanes-';

function removeIfStale(name: string): void {
  const [, pid] = new RegExp(`^${PREFIX}.+-(\\d+)-[A-Za-z0-9]{6}$`).exec(name) ?? [];
  if (pid === undefined || isAlive(Number(pid))) return;
  const folder = path.join(tmpdir(), name);
  try {
    if (Date.now() - statSync(folder).mtimeMs > STALE_MS) rmSync(folder, { recursive: true, force: true });
  } catch {
    // Another process has removed it, or it belongs to another user.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
