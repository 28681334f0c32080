import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Exception } from '../../src/history/lane-log.js';
import { lockOf } from '../../src/shards/lock.js';
import { ProgressKeeper, readLeftBehind } from '../../src/shards/progress.js';
import { layOutShards, nextIncarnation, type RunStore } from '../../src/shards/store.js';
import { allocateCounters, CounterBlock } from '../../src/traffic/counters.js';
import type { LaneSession } from '../../src/traffic/lane-session.js';
import { GIVEN_UP, StoredLog } from '../../src/traffic/stored-log.js';
import { createDatabase, type Database } from '../server/database.js';

const MINUTES = 60_000;
const SIZE = { relations: 1, lanes: 1 };

let database: Database;
let store: RunStore;
let keeper: ProgressKeeper;

beforeEach(async () => {
  database = await createDatabase('SELECT');
  const lock = await lockOf(database.client, 'event_generator');
  await layOutShards(database.client, 'event_generator', lock);
  store = { schema: 'event_generator', runId: 'run', lock };
  const incarnation = await nextIncarnation(database.client, store, 1);
  keeper = new ProgressKeeper(() => database.client, store, { shard: 1, incarnation, size: SIZE });
});
afterEach(() => database.drop());

/** What a lane notes between two checkpoints. */
async function note(operation: number): Promise<void> {
  await database.client.query(keeper.storeExceptions, ['run', 0, JSON.stringify(['s', operation, -1])]);
}

/** Progress of the lane after so many operations. */
async function tell(operations: number): Promise<void> {
  const block = new CounterBlock(allocateCounters(SIZE.relations, SIZE.lanes, 1), SIZE.relations, SIZE.lanes, 0);
  for (let operation = 0; operation < operations; operation++) block.laneApplied(0);
  keeper.take({ kind: 'progress', block: 0, of: 1, counters: block.snapshot(), places: new Map() });
  await keeper.settle();
}

async function checkpoint(operations: number): Promise<void> {
  keeper.takeCheckpoint({ kind: 'checkpoint', lane: 0, operations, bytes: new Uint8Array([1, 2, operations % 256]) });
  await keeper.settle();
}

/** The checkpoints that are left, and the operations whose exceptions are left. */
async function left(): Promise<{ checkpoints: number[]; noted: number[] }> {
  const { checkpoints, exceptions } = (await readLeftBehind(database.client, store, 1, [0])).course!;
  return {
    checkpoints: checkpoints.get(0)!.map(({ operations }) => operations),
    noted: exceptions.get(0)!.map((exception: Exception) => exception[1]),
  };
}

it('keeps two places of rest of a lane, and what it noted since the first of them', async () => {
  let nowMs = 0;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  try {
    for (const operations of [100, 200, 300, 400]) {
      nowMs += 3 * MINUTES;
      await note(operations - 1);
      await tell(operations + 10);
      await checkpoint(operations);
      await note(operations);
    }
  } finally {
    clock.mockRestore();
  }
  const { checkpoints, noted } = await left();
  expect(checkpoints).toEqual([300, 400]);
  // 200 was noted after the place at 200 had been stored: it may belong to either side of the next one.
  expect(noted).toEqual([200, 299, 300, 399, 400]);
});

it('drops nothing where a place was stored so late that the lane may have been at the next one already', async () => {
  const clock = vi.spyOn(performance, 'now').mockReturnValue(0);
  try {
    for (const operations of [100, 200, 300]) {
      await note(operations - 1);
      await tell(operations + 10);
      await checkpoint(operations);
    }
  } finally {
    clock.mockRestore();
  }
  expect(await left()).toEqual({ checkpoints: [200, 300], noted: [99, 199, 299] });
});

it('keeps what the stored progress has not come to, however many checkpoints follow', async () => {
  let nowMs = 0;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  try {
    await tell(150);
    for (const operations of [100, 200, 300, 400]) {
      nowMs += 3 * MINUTES;
      await note(operations - 1);
      await checkpoint(operations);
    }
    expect(await left()).toEqual({ checkpoints: [100, 200, 300, 400], noted: [99, 199, 299, 399] });
    nowMs += 3 * MINUTES;
    await tell(450);
    await checkpoint(500);
  } finally {
    clock.mockRestore();
  }
  expect(await left()).toEqual({ checkpoints: [400, 500], noted: [399] });
});

it('stores nothing any more when another process carries the shard', async () => {
  await checkpoint(100);
  await nextIncarnation(database.client, store, 1);
  await checkpoint(200);
  expect((await left()).checkpoints).toEqual([100]);
});

it('says that a log was given up, in front of everything whose exceptions are missing', async () => {
  const sent: string[] = [];
  const answers: ((rows: [] | null) => void)[] = [];
  const session = {
    ask: ({ values }: { values: string[] }, answer: (rows: [] | null) => void) => {
      sent.push(values[2]!);
      answers.push(answer);
    },
  } as unknown as LaneSession;
  const log = new StoredLog(keeper.storeExceptions, 'run', 0);
  log.write(['["s",1,-1]']);
  log.send(session);
  log.write(['x'.repeat(65 << 20)]);
  log.write(['["s",2,-1]']);
  log.send(session);
  expect({ sent, isWhole: log.isWhole }).toEqual({ sent: ['["s",1,-1]', GIVEN_UP], isWhole: false });
  // What the connection has lost says no more than that.
  log.lost();
  log.send(session);
  expect(sent.slice(2)).toEqual([GIVEN_UP]);
  for (const lines of sent) await database.client.query(keeper.storeExceptions, ['run', 0, lines]);
  expect((await readLeftBehind(database.client, store, 1, [0])).course).toBeNull();
});
