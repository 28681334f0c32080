import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SetupError } from '../config/problem.js';

/* What waits to be written, over all partitions, in characters. */
const MOST_WAITING = 64 << 20;

/** Folders that are there, to be removed when the process is ended by a signal. */
const OPEN = new Set<string>();

/** Removes what comparisons have in temporary folders. */
export function removePartitions(): void {
  for (const folder of OPEN) rmSync(folder, { recursive: true, force: true });
}

/** Lines dealt out to files by a key, so that each file can be looked at in memory: all lines of a key are in one. */
export class Partitions {
  private readonly folder: string;
  private readonly waiting: string[][];
  private waitingSize = 0;
  readonly count: number;

  /**
   * `folder`: where there is room for them.
   * @throws SetupError where there is no such folder.
   */
  constructor(count: number, folder = tmpdir()) {
    this.count = count;
    this.waiting = Array.from({ length: count }, () => []);
    try {
      this.folder = mkdtempSync(path.join(folder, 'eventgen-verify-'));
    } catch (error) {
      throw noRoom(folder, error);
    }
    OPEN.add(this.folder);
  }

  /** A file of its own beside them. */
  beside(name: string): string {
    return path.join(this.folder, name);
  }

  /** @throws SetupError where the folder takes no more. */
  add(key: string, line: string): void {
    this.waiting[hashOf(key) % this.count]!.push(line);
    this.waitingSize += line.length;
    if (this.waitingSize >= MOST_WAITING) this.flush();
  }

  /** Writes what waits. */
  finish(): void {
    this.flush();
  }

  /** The lines of a partition, in the order in which they were added. */
  *lines(index: number): Generator<string> {
    let bytes: Buffer;
    try {
      bytes = readFileSync(this.fileOf(index));
    } catch {
      // Nothing was dealt to it.
      return;
    }
    rmSync(this.fileOf(index));
    let from = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
      yield bytes.toString('utf8', from, end);
      from = end + 1;
    }
  }

  remove(): void {
    OPEN.delete(this.folder);
    rmSync(this.folder, { recursive: true, force: true });
  }

  private flush(): void {
    try {
      for (const [index, lines] of this.waiting.entries()) {
        if (lines.length === 0) continue;
        // Not kept open: there may be more of them than a process may have.
        const descriptor = openSync(this.fileOf(index), 'a');
        const bytes = Buffer.from(`${lines.join('\n')}\n`);
        for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
        closeSync(descriptor);
        this.waiting[index] = [];
      }
    } catch (error) {
      throw noRoom(this.folder, error);
    }
    this.waitingSize = 0;
  }

  private fileOf(index: number): string {
    return path.join(this.folder, `part-${index}`);
  }
}

function noRoom(folder: string, error: unknown): SetupError {
  return SetupError.of(
    'temporary files',
    `${folder} cannot be written (${(error as NodeJS.ErrnoException).code ?? 'unknown error'}); set TMPDIR to a folder with free space of twice the size of the files`,
  );
}

/** FNV-1a over UTF-16 units: it only deals out. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return hash;
}
