import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Capture, type CaptureFacts, factsFileOf } from '../../src/changes/capture.js';
import { captured, type EventOptions, PLAIN, verifyEvents } from '../../src/commands/verify/events.js';
import type { Verdict } from '../../src/proof/verdict.js';
import { seedOf } from '../../src/random/seed.js';
import { Stream } from '../../src/random/stream.js';
import { type Cluster, startCluster } from '../../src/server/cluster.js';
import { connectTo, runCommand } from '../server/database.js';
import { change, SCHEMA } from './changes.js';
import { HARMLESS, type Line, type Mutant, SPOILED, type Types } from './mutants.js';

const SEEDS = [1n, 2n];

let cluster: Cluster;
let folder: string;
const streams: { readonly file: string; readonly lines: Line[]; readonly types: Types }[] = [];

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'eventgen-mutants-'));
  cluster = await startCluster();
  const client = await connectTo(cluster.settings.port, 'postgres');
  await client.query(SCHEMA);
  for (const [index, seed] of SEEDS.entries()) {
    const file = path.join(folder, `source-${seed}.jsonl`);
    const capture = await Capture.open({
      connection: cluster.settings,
      runId: `mutants${seed}`,
      file,
      schemas: ['shop', 'other'],
      tables: [],
      connectTimeoutMs: 5000,
      statementTimeoutMs: 30_000,
      lockTimeoutMs: 5000,
      maxOutageMs: 10_000,
      report: () => undefined,
    });
    await change(client, seed, 1000 * (index + 1));
    expect(await capture.end()).toMatchObject({ complete: true });
    const lines = linesIn(file);
    const { tables } = JSON.parse(readFileSync(factsFileOf(file), 'utf8')) as CaptureFacts;
    streams.push({ file, lines, types: ({ schema, table }) => tables[`${schema}.${table}`]?.columns ?? {} });
  }
  await client.end();
});

afterAll(async () => {
  await cluster?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function linesIn(file: string): Line[] {
  const texts = readFileSync(file, 'utf8').trim().split('\n');
  return texts.map((text) => JSON.parse(text) as Line);
}

async function judge(mutant: Mutant, stream: (typeof streams)[number], seed: bigint): Promise<Verdict | null> {
  const spoiled = mutant.apply(structuredClone(stream.lines), Stream.of(seedOf(seed)), stream.types);
  if (spoiled === null) return null;
  const file = path.join(folder, 'consumer.jsonl');
  writeFileSync(file, spoiled.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''));
  const options: EventOptions = {
    events: file,
    ...PLAIN,
    folder: tmpdir(),
    ...mutant.options,
  };
  return await verifyEvents(await captured(stream.file), options);
}

/** The verdicts over a mutant on every stream that it can be applied to. */
async function verdicts(mutant: Mutant): Promise<Verdict[]> {
  const found: Verdict[] = [];
  for (const [index, stream] of streams.entries()) {
    const verdict = await judge(mutant, stream, BigInt(index + 7));
    if (verdict !== null) found.push(verdict);
  }
  expect(found.length, `${mutant.name}: nothing to spoil`).toBeGreaterThan(0);
  return found;
}

describe(`mutants: ${SPOILED.length} streams that are spoiled once`, () => {
  for (const mutant of SPOILED)
    it(mutant.name, async () => {
      for (const verdict of await verdicts(mutant)) {
        expect(verdict.verdict).toBe('different');
        const wanted = verdict.differences.filter((each) => each.class === mutant.found);
        expect(wanted, JSON.stringify(verdict.differences.slice(0, 3))).not.toHaveLength(0);
        if (mutant.value !== undefined)
          expect(wanted.flatMap(({ columns }) => columns.map((column) => column.class))).toContain(mutant.value);
        // What is compared is all that there is.
        expect(verdict.not_compared).toEqual([]);
      }
    });
});

describe(`harmless: ${HARMLESS.length} other ways to write a stream`, () => {
  for (const way of HARMLESS)
    it(way.name, async () => {
      for (const verdict of await verdicts(way)) {
        expect(verdict.differences).toEqual([]);
        expect(verdict.verdict).toBe('equal');
      }
    });
});

it('holds what was committed, and nothing else', () => {
  for (const { lines } of streams) {
    const count = (op: string, table: string) => lines.filter((line) => line.op === op && line.table === table).length;
    expect([count('insert', 'items'), count('update', 'items'), count('delete', 'items')]).toEqual([42, 86, 8]);
    // A row that moves to another partition is a delete and an insert.
    expect(count('insert', 'orders') - count('delete', 'orders')).toBe(12);
    expect([count('truncate', 'basket'), count('insert', 'basket'), count('insert', 'visits')]).toEqual([1, 16, 1]);
    expect(lines.filter(({ last }) => last).length).toBe(new Set(lines.map(({ commit }) => commit)).size);
  }
});

it('cannot decide where a consumer never tells of a column, of what its capture lacks, or of an order that is not there', async () => {
  const [{ lines, file }] = streams as [(typeof streams)[number]];
  const consumer = path.join(folder, 'open.jsonl');
  const write = (changed: readonly Line[]) =>
    writeFileSync(consumer, changed.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const verdictOf = async (more: Partial<EventOptions> = {}) =>
    await verifyEvents(await captured(file), {
      events: consumer,
      ...PLAIN,
      folder: tmpdir(),
      ...more,
    });
  write(
    lines.map((line) => {
      if (line.new === null || line.table !== 'items') return line;
      const { note: _, ...row } = line.new;
      return { ...line, new: row };
    }),
  );
  expect((await verdictOf()).headline).toMatch(/^Not decided: the consumer does not have (shop|other)\.items\.note/);
  expect((await verdictOf({ allow: ['missing-columns'] })).verdict).toBe('equal');
  write(lines.map((line, at) => (at === 9 ? { ...line, commit: null as never, xid: null as never } : line)));
  expect((await verdictOf()).headline).toMatch(/^Not decided: .*some events of the consumer have commit or xid/);
  write(lines);
  const whole = readFileSync(file);
  writeFileSync(file, whole.subarray(0, whole.length - 30));
  const cut = await verdictOf();
  expect(cut.undecided.join()).toMatch(
    /the last line of the capture is cut off.*contains \d+ changes, but .*meta.json says \d+/,
  );
  writeFileSync(file, whole);
});

it('reads a packed file, standard input and what a command rewrites, and says where it cannot', async () => {
  const [{ file }] = streams as [(typeof streams)[number]];
  const text = readFileSync(file, 'utf8');
  const packed = path.join(folder, 'packed.jsonl.gz');
  writeFileSync(packed, gzipSync(text));
  const against = ['--against', file];
  const equal = { code: 0, stdout: expect.stringMatching(/^Equal/) as string };
  expect(await runCommand(['verify', '--events', packed, ...against])).toMatchObject(equal);
  expect(await runCommand(['verify', '--events', '-', ...against], text)).toMatchObject(equal);
  const renamed = path.join(folder, 'renamed.jsonl');
  writeFileSync(renamed, text.replaceAll('"table":"items"', '"table":"things"'));
  const map = ['--map', `sed 's/"table":"things"/"table":"items"/'`];
  expect(await runCommand(['verify', '--events', renamed, ...map, ...against])).toMatchObject(equal);
  const rename = ['shop', 'other'].flatMap((schema) => ['--rename', `${schema}.items=${schema}.things`]);
  expect(await runCommand(['verify', '--events', renamed, ...rename, ...against])).toMatchObject(equal);
  const refused = async (options: readonly string[], message: string) =>
    expect(await runCommand(['verify', ...options])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(message) as string,
    });
  await refused(['--events', 'nowhere.jsonl', ...map, ...against], 'nowhere.jsonl: cannot be read (ENOENT)');
  await refused(['--events', file, '--against', 'nowhere.jsonl'], '--against: nowhere.jsonl does not exist');
  await refused(['--events', file, ...against, '--table', 'a'], '--table: has no effect when events are compared');
  writeFileSync(renamed, 'not json\n');
  await refused(['--events', renamed, ...against], 'renamed.jsonl:1: is not a JSON object');
  writeFileSync(renamed, '{"history":1,"plan":"xx"}\n');
  await refused(['--events', file, '--history', renamed], 'renamed.jsonl:1: contains a plan that cannot be read');
});
