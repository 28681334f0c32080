import { type IntervalHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { HistoryLines } from '../src/history/history-file.js';
import { LaneFiles, type SavedCheckpoint } from '../src/history/lane-files.js';
import { type LaneHistory, LaneLog, LanePast } from '../src/history/lane-log.js';
import { RepeatingLedger } from '../src/history/repeat.js';
import { Lane } from '../src/lane/lane.js';
import { CompiledPlan } from '../src/lane/rows/compiled.js';
import { split } from '../src/random/seed.js';
import { Stream } from '../src/random/stream.js';
import { BlockedTables, LaneBarrier } from '../src/traffic/blocked-tables.js';
import { saveCheckpoints } from '../src/traffic/checkpoints.js';
import { Control } from '../src/traffic/control.js';
import { CounterBlock, CounterTotals } from '../src/traffic/counters.js';
import { type LaneEnd, LaneLoop } from '../src/traffic/lane-loop.js';
import { type LaneCheckpoint, type LaneProgress, ProgressTeller } from '../src/traffic/lane-progress.js';
import { CountingLedger, type Notice } from '../src/traffic/ledger.js';
import { applicationName, type WorkerResult, type WorkerTask } from '../src/traffic/message.js';
import { Pacer } from '../src/traffic/pacer.js';
import { SteeredSchedule } from '../src/traffic/steering.js';
import { StoredLog } from '../src/traffic/stored-log.js';
import { type Inherited, takeBack, takeUpFromProcess, takeUpFromThread } from '../src/traffic/take-up.js';

const REMEMBER_MS = 1000;
const SAMPLE_MS = 500;
const RESOLUTION_MS = 10;

/** Piscina's entry: carries the lanes of one worker to their end. No decisions are taken here. */
export default async function carryLanes(task: WorkerTask): Promise<WorkerResult> {
  const control = new Control(task.waitAfterOperations, task.waitMs, task.control);
  const counters = new CounterBlock(task.counters, task.plan.relations.length, task.plan.quotas.length, task.worker);
  const notice = oncePerKind((message) => task.notices.postMessage(message));
  const compiled = new CompiledPlan(task.plan);
  const blocked = new BlockedTables(task.plan.relations.length, task.blocked);
  const totals = new CounterTotals(task.counters, task.plan.relations.length, task.plan.quotas.length);
  const history = task.historyFile === null ? null : new HistoryLines(task.historyFile);
  const common = { control, counters, totals, notice, compiled, blocked, history };
  const lanes = task.lanes.map((number) => prepareLane(number, task, common));
  let remembering: NodeJS.Timeout | undefined;
  const teller = task.storeExceptions === null ? null : progressTeller(task, counters, totals, lanes);
  const sampling = sampleThread(counters, () => {
    let stalled = 0;
    for (const { loop } of lanes) if (loop.sample()) stalled++;
    counters.set('lanesStalled', stalled);
  });
  const steered = task.pacing?.steering ? new SteeredSchedule(task.pacing.shape.end, task.pacing.steering) : null;
  const stopping = setInterval(() => {
    if (control.stopped || steered?.hasChanged === true) for (const { loop } of lanes) loop.wake();
  }, 50);
  try {
    const taken = await Promise.all(lanes.map(({ inherited }) => takeUp(task, inherited)));
    // All of them, or none.
    const isUnsure = taken.some((end) => end?.kind === 'unsure');
    if (task.takesBack && !isUnsure) task.notices.postMessage({ kind: 'taken back', counters: counters.snapshot() });
    // What lanes count on the way to where they were is nothing to be taken back to.
    if (task.remembers && !isUnsure)
      remembering = setInterval(() => remember(task, counters, totals, lanes), REMEMBER_MS);
    const ends = await Promise.all(
      lanes.map(async ({ number, lane, loop, log, stored }, index) => {
        // Not on the way to where the lane was: its counts are those of the end of that way.
        if (task.logFolder !== null && task.plan.rowSelection === 'owned')
          saveCheckpoints(lane, log, totals, stored === null ? null : storingCheckpoint(task, number, stored));
        const end: LaneEnd | null = isUnsure ? { kind: 'unsure' } : taken[index]!;
        return { lane: number, end: end ?? (await loop.run(task.before)) };
      }),
    );
    return { ends };
  } finally {
    clearInterval(stopping);
    clearInterval(remembering);
    sampling();
    teller?.end();
    for (const { log } of lanes) log.close();
    history?.close();
    task.notices.close();
  }
}

/** What the lanes of a worker have in common. */
interface Common {
  readonly control: Control;
  readonly counters: CounterBlock;
  readonly totals: CounterTotals;
  readonly notice: Notice;
  readonly compiled: CompiledPlan;
  readonly blocked: BlockedTables;
  readonly history: HistoryLines | null;
}

/** Returns a lane at its beginning, or at its last checkpoint if it was carried before, with what carries it. */
function prepareLane(number: number, task: WorkerTask, common: Common) {
  const { control, counters, totals, notice, compiled, blocked, history } = common;
  const files = task.logFolder === null ? null : new LaneFiles(task.logFolder, number);
  const record = task.before !== null && files !== null ? files.read(totals.laneApplied(number)) : null;
  const past = record === null ? null : LanePast.of(record.exceptions);
  const isGivenUp = task.plan.restart !== undefined;
  const stored =
    task.storeExceptions === null ? null : new StoredLog(task.storeExceptions, task.runId, number, isGivenUp);
  // A thread that died may not have sent all of it.
  if (task.hasDied) stored?.repeat((files?.exceptions() ?? []).map((exception) => JSON.stringify(exception)));
  const log = new LaneLog(files, history === null ? stored : laneHistory(history, number, counters, notice));
  const barrier = new LaneBarrier(blocked, log);
  const counting = new CountingLedger(counters, number, notice);
  const checkpoint = record?.checkpoint ?? null;
  const toldSince = totals.laneTold(number) - (checkpoint?.told ?? 0);
  const ledger = past === null ? counting : new RepeatingLedger(counting, toldSince);
  const lane = new Lane(compiled, number, task.claims, ledger, barrier);
  if (checkpoint !== null) lane.restore(checkpoint.state);
  const settings = { ...task.settings, applicationName: applicationName(task.runId, number) };
  const arrivals = Stream.of(split(compiled.laneSeeds(number).random, 'arrivals'));
  const pacer = task.pacing === null ? null : new Pacer(task.pacing, number, task.plan.quotas.length, arrivals);
  const pace = totals.lanePace(number);
  // A lane that begins again goes on in the schedule.
  if (past === null && pace.gaps > 0) pacer?.resume(pace);
  const loop = new LaneLoop(lane, compiled, settings, { control, counters, notice, pacer, blocked, log, stored });
  const shared = { claims: task.claims, counters, totals, isOver: () => control.stopped };
  const inherited =
    past === null ? null : { ...shared, lane, checkpoint, past, compiled, barrier, pacer, log, stored, settings };
  return { number, lane, inherited, log, stored, loop };
}

/** Brings a lane to where others have carried it. Returns its end if that is not possible; null otherwise. */
async function takeUp({ takesBack, before }: WorkerTask, inherited: Inherited | null): Promise<LaneEnd | null> {
  if (before === null) return null;
  if (inherited === null)
    return { kind: 'outage', message: 'the log of a lane does not reach back to where it must go on' };
  try {
    if (takesBack) return (await takeBack(inherited)) ? null : { kind: 'unsure' };
    if (before === 'process') await takeUpFromProcess(inherited);
    else takeUpFromThread(inherited);
    return null;
  } catch (error) {
    // Another thread would not find it out, either.
    return { kind: 'outage', message: (error as Error).message };
  }
}

/** Tells what the lanes have done so far, so that they can be taken back to it. */
function remember(
  { worker, notices }: WorkerTask,
  counters: CounterBlock,
  { blockCount: of }: CounterTotals,
  lanes: readonly { readonly log: LaneLog }[],
): void {
  for (const { log } of lanes) log.flush();
  const snapshot = counters.snapshot();
  const progress: LaneProgress = { kind: 'progress', block: worker, of, counters: snapshot, places: new Map() };
  notices.postMessage(progress, [snapshot.buffer]);
}

/** Posts checkpoints of a lane, for the process that continues it when this one is gone. */
function storingCheckpoint({ notices }: WorkerTask, lane: number, stored: StoredLog): (saved: SavedCheckpoint) => void {
  return (saved) => {
    const checkpoint: LaneCheckpoint = { kind: 'checkpoint', lane, ...saved };
    if (!stored.isWhole) return;
    // A copy: the bytes are being written to a file.
    notices.postMessage(checkpoint);
    stored.checkpoint();
  };
}

function progressTeller(
  { worker, notices }: WorkerTask,
  counters: CounterBlock,
  totals: CounterTotals,
  lanes: readonly { readonly lane: Lane; readonly log: LaneLog; readonly stored: StoredLog | null }[],
): ProgressTeller {
  const told = lanes.flatMap(({ lane, log, stored }) => (stored === null ? [] : { lane, log, stored }));
  return new ProgressTeller(
    told,
    () => counters.snapshot(),
    ({ counters: snapshot, places }) => {
      const progress: LaneProgress = {
        kind: 'progress',
        block: worker,
        of: totals.blockCount,
        counters: snapshot,
        places,
      };
      notices.postMessage(progress, [snapshot.buffer]);
    },
  );
}

/** Writes a lane's exceptions into the history that all lanes share. */
function laneHistory(history: HistoryLines, lane: number, counters: CounterBlock, notice: Notice): LaneHistory {
  return {
    write: (exceptions) => {
      try {
        history.write(exceptions.map((exception) => `[${lane},${exception.slice(1)}`));
      } catch (error) {
        counters.set('historyLost', 1);
        notice({ kind: 'server', text: (error as Error).message });
      }
    },
  };
}

/** Figures of the thread itself: how late its timers come, now and over the run, and how busy it is. */
function sampleThread(counters: CounterBlock, sampleLanes: () => void): () => void {
  const whole = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  const recent = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  for (const delay of [whole, recent]) delay.enable();
  // The histogram counts from timer to timer: what is above the resolution is delay.
  const p99 = (delay: IntervalHistogram) => Math.max(0, delay.percentile(99) / 1e6 - RESOLUTION_MS);
  let before = performance.eventLoopUtilization();
  const sample = () => {
    const after = performance.eventLoopUtilization();
    const { active, idle } = performance.eventLoopUtilization(after, before);
    counters.add('busyMs', active);
    counters.add('threadMs', active + idle);
    counters.raise('eventLoopDelayMsMax', p99(whole));
    counters.set('eventLoopDelayMs', p99(recent));
    recent.reset();
    before = after;
    sampleLanes();
  };
  const timer = setInterval(sample, SAMPLE_MS);
  return () => {
    clearInterval(timer);
    sample();
    for (const delay of [whole, recent]) delay.disable();
  };
}

/* One example per (kind, SQLSTATE, table) is enough: the rest is counted. */
function oncePerKind(show: Notice): Notice {
  const shown = new Set<string>();
  return (notice) => {
    if (notice.kind !== 'error' && notice.kind !== 'quarantine') {
      show(notice);
      return;
    }
    const key = `${notice.kind}/${notice.sqlstate}/${notice.relation}${notice.kind === 'quarantine' ? notice.text : ''}`;
    if (shown.has(key)) return;
    shown.add(key);
    show(notice);
  };
}
