import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/* What waits to be written, over all partitions, in characters. */
const MOST_WAITING = 64 << 20;

/** Lines dealt out to files by a key, so that each file can be looked at in memory: all lines of a key are in one. */
export class Partitions {
  private readonly folder: string;
  private readonly descriptors: number[] = [];
  private readonly waiting: string[][] = [];
  private waitingSize = 0;
  readonly count: number;

  /** `folder`: where there is room for them. */
  constructor(count: number, folder = tmpdir()) {
    this.count = count;
    this.folder = mkdtempSync(path.join(folder, 'eventgen-verify-'));
    for (let index = 0; index < count; index++) {
      this.descriptors.push(openSync(this.fileOf(index), 'a'));
      this.waiting.push([]);
    }
  }

  /** A file of its own beside them. */
  beside(name: string): string {
    return path.join(this.folder, name);
  }

  add(key: string, line: string): void {
    this.waiting[hashOf(key) % this.count]!.push(line);
    this.waitingSize += line.length;
    if (this.waitingSize >= MOST_WAITING) this.flush();
  }

  /** Writes what waits, and closes the files. */
  finish(): void {
    this.flush();
    for (const descriptor of this.descriptors.splice(0)) closeSync(descriptor);
  }

  /** The lines of a partition, in the order in which they were added. */
  *lines(index: number): Generator<string> {
    const bytes = readFileSync(this.fileOf(index));
    rmSync(this.fileOf(index));
    let from = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
      yield bytes.toString('utf8', from, end);
      from = end + 1;
    }
  }

  remove(): void {
    for (const descriptor of this.descriptors.splice(0)) closeSync(descriptor);
    rmSync(this.folder, { recursive: true, force: true });
  }

  private flush(): void {
    for (const [index, lines] of this.waiting.entries()) {
      if (lines.length === 0) continue;
      const bytes = Buffer.from(`${lines.join('\n')}\n`);
      for (let at = 0; at < bytes.length; ) at += writeSync(this.descriptors[index]!, bytes, at);
      this.waiting[index] = [];
    }
    this.waitingSize = 0;
  }

  private fileOf(index: number): string {
    return path.join(this.folder, `part-${index}`);
  }
}

/** FNV-1a over UTF-16 units: it only deals out. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return hash;
}
