import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Checkpoint, createLaneFolder, LaneFiles, serialized } from '../../src/history/lane-files.js';
import { type Exception, LaneLog } from '../../src/history/lane-log.js';
import type { SavedLane } from '../../src/lane/lane.js';

let folder: string;
let files: LaneFiles;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'eventgen-files-'));
  files = new LaneFiles(folder, 3);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function checkpointAt(operations: number): Checkpoint {
  return { operations, sent: operations, told: operations + 1, state: { generated: operations } as SavedLane };
}

function skipped(operation: number): Exception {
  return ['s', operation, -1];
}

/** Writes one exception between each two checkpoints. */
async function logOf(checkpoints: readonly number[]): Promise<LaneLog> {
  const log = new LaneLog(files);
  for (const at of checkpoints) {
    log.add(skipped(at - 1));
    log.flush();
    await log.checkpoint(serialized(checkpointAt(at)));
  }
  log.add(skipped(checkpoints.at(-1)! + 1));
  log.flush();
  return log;
}

describe('the files of a lane', () => {
  it('tell its last checkpoint, and what came after that', async () => {
    (await logOf([100, 200, 300])).close();
    expect(files.read()).toEqual({ checkpoint: checkpointAt(300), exceptions: [skipped(301)] });
    expect(files.isWhole).toBe(true);
    // The thread that goes on writes into the same part.
    const next = new LaneLog(files);
    next.add(skipped(305));
    next.flush();
    next.close();
    expect(files.read()?.exceptions).toEqual([skipped(301), skipped(305)]);
  });

  it('reach back to the checkpoint before, and to the beginning', async () => {
    (await logOf([100, 200, 300])).close();
    expect(files.checkpoints()).toEqual([200, 300]);
    expect(files.read(299)).toEqual({ checkpoint: checkpointAt(200), exceptions: [skipped(299), skipped(301)] });
    expect(files.read(150)).toEqual({ checkpoint: null, exceptions: [99, 199, 299, 301].map(skipped) });
  });

  it('begin anew where the lane was taken back to', async () => {
    const log = await logOf([100, 200, 300]);
    log.backTo(200, [skipped(210)]);
    log.add(skipped(220));
    log.flush();
    log.close();
    expect(files.read()).toEqual({ checkpoint: checkpointAt(200), exceptions: [skipped(210), skipped(220)] });
  });

  it('go on from the place before while a state is still being written, or could not be', async () => {
    const log = await logOf([100]);
    mkdirSync(path.join(folder, 'lane-3-200.state'));
    await log.checkpoint(serialized(checkpointAt(200)));
    log.add(skipped(210));
    log.flush();
    log.close();
    rmSync(path.join(folder, 'lane-3-200.state'), { recursive: true });
    expect(files.read()).toEqual({ checkpoint: checkpointAt(100), exceptions: [skipped(101), skipped(210)] });
    expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('leave out a line that was torn, and a state that was not finished', async () => {
    (await logOf([100])).close();
    appendFileSync(files.log(100), '["s",10');
    appendFileSync(path.join(folder, 'lane-3-200.state.part'), 'half');
    expect(files.read()).toEqual({ checkpoint: checkpointAt(100), exceptions: [skipped(101)] });
  });

  it('are of no use where a part is missing, until the next checkpoint', async () => {
    const log = await logOf([100, 200]);
    rmSync(files.log(200));
    expect([files.isWhole, files.read()]).toEqual([false, null]);
    await log.checkpoint(serialized(checkpointAt(300)));
    log.close();
    expect(files.read()).toEqual({ checkpoint: checkpointAt(300), exceptions: [] });
  });
});

it('folders of processes that were killed are removed after a day, and no others', () => {
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  const [stale, recent, alive] = [
    [`eventgen-lanes-old-${pid}-abcdef`, 25],
    [`eventgen-lanes-new-${pid}-abcdef`, 1],
    [`eventgen-lanes-ours-${process.pid}-abcdef`, 25],
  ].map(([name, hours]) => {
    const where = path.join(tmpdir(), String(name));
    mkdirSync(where);
    const at = Date.now() / 1000 - Number(hours) * 3600;
    utimesSync(where, at, at);
    return where;
  });
  const created = createLaneFolder('run');
  expect([stale, recent, alive].map((where) => existsSync(where!))).toEqual([false, true, true]);
  expect(readdirSync(created!)).toEqual([]);
  for (const where of [recent!, alive!, created!]) rmSync(where, { recursive: true });
});
