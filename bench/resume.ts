/**
 * How long a lane takes to continue after its thread is gone: it is played without a database, over many operations with rejected
 * rows, deadlocks, vanished rows, conflicts and keys of the server. Then another lane continues from its files.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { LaneFiles } from '../src/history/lane-files.js';
import { exceptionOf, LaneLog, LanePast } from '../src/history/lane-log.js';
import { repeat } from '../src/history/repeat.js';
import { barrierOf } from '../src/history/replay.js';
import { Lane, type Ledger } from '../src/lane/lane.js';
import type { Outcome } from '../src/lane/messages/outcome.js';
import type { Transaction } from '../src/lane/messages/transaction.js';
import { SILENT } from '../src/lane/play.js';
import { CompiledPlan } from '../src/lane/rows/compiled.js';
import { connectCoordinator } from '../src/prepare/connect.js';
import { prepare } from '../src/prepare/prepare.js';
import { Stream } from '../src/random/stream.js';
import { saveCheckpoints } from '../src/traffic/checkpoints.js';
import { allocateCounters, CounterTotals } from '../src/traffic/counters.js';
import { configFor, describeMachine, option, withServer } from './measure.js';

const OPERATIONS = option('operations', 10_000_000);
const AFTERWARDS = 2000;
const REFUSED = { kind: 'refused', message: '', constraint: null, detail: null, table: null, context: null } as const;

/** What a server might answer; the same for the same transaction and attempt. */
function answerTo(transaction: Transaction): Outcome {
  const { number, outcomes, members } = transaction;
  const die = Stream.of({ hi: number, lo: outcomes }).below(1000);
  if (die < 10) return { ...REFUSED, sqlstate: die < 5 ? '23505' : '40P01', member: 0 };
  const intended = transaction.intended();
  const isGone = die < 11;
  return {
    kind: 'committed',
    effects: intended.effects.map((effect, member) => {
      const { statements } = members[member]!.operation;
      return {
        rows: effect.rows.map((rows, at) => (isGone && statements[at]!.kind !== 'insert' ? 0 : rows)),
        returned: effect.returned.map((rows) => rows?.map((row) => row.map(() => String(number))) ?? null),
      };
    }),
  };
}

function step(lane: Lane, log: LaneLog | null): Transaction | null {
  const next = lane.next();
  if (next.kind !== 'send') return null;
  const outcome = answerTo(next.transaction);
  const exception = exceptionOf(next.transaction, outcome);
  if (exception !== null) log?.add(exception);
  log?.flush();
  lane.settle(next.transaction, outcome);
  return next.transaction;
}

/** What a lane sends next. */
function courseOf(lane: Lane): string {
  const seen: string[] = [];
  for (let sent = step(lane, null); sent !== null && seen.length < AFTERWARDS; sent = step(lane, null))
    seen.push(sent.members.map(({ operation }) => operation.bytes.toString('latin1')).join());
  return seen.join('\n');
}

await withServer(async (cluster, client) => {
  await client.query(`DROP SCHEMA public CASCADE; CREATE SCHEMA public;
    CREATE TABLE people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE, boss bigint REFERENCES people ON DELETE SET NULL);
    CREATE TABLE items (id bigint PRIMARY KEY, person bigint NOT NULL REFERENCES people ON DELETE CASCADE, code varchar(20) UNIQUE, price numeric(8,2));
    CREATE TABLE notes (id uuid PRIMARY KEY, item bigint REFERENCES items ON DELETE CASCADE, body text)`);
  const config = configFor(
    cluster,
    'schema_name: public\nidentity_values: database\nnum_iterations: -1\nrandom_seed: 1\nconnections: 1\nforce_conflicts: { enabled: true }',
  );
  const own = await connectCoordinator(cluster.settings, config, 'bench');
  const quiet = { dryRun: false, say: () => undefined, step: () => undefined, rehearsal: null };
  const { plan, claims } = await prepare(own, config, quiet);
  await own.end();
  const folder = mkdtempSync(path.join(tmpdir(), 'bench-resume-'));
  try {
    const compiled = new CompiledPlan(plan);
    const files = new LaneFiles(folder, 0);
    const log = new LaneLog(files);
    let told = 0;
    const count = () => void told++;
    const counting: Ledger = { finished: count, retried: count, transactionEnded: count, quarantined: count };
    const lane = new Lane(compiled, 0, claims, counting);
    const totals = new CounterTotals(allocateCounters(plan.relations.length, 1, 1), plan.relations.length, 1);
    const places = { laneSent: () => lane.begun, laneTold: () => told };
    saveCheckpoints(lane, log, Object.assign(Object.create(totals) as CounterTotals, places), null);
    let [longestMs, savingMs] = [0, 0];
    const { onCheckpoint } = lane;
    lane.onCheckpoint = () => {
      const beganMs = performance.now();
      onCheckpoint();
      const tookMs = performance.now() - beganMs;
      savingMs += tookMs;
      longestMs = Math.max(longestMs, tookMs);
    };
    const startMs = performance.now();
    while (lane.begun < OPERATIONS && step(lane, log) !== null);
    const playedMs = performance.now() - startMs;
    const sent = lane.begun;
    const applied = lane.operations;
    log.close();

    const beganMs = performance.now();
    const record = files.read(applied)!;
    const past = LanePast.of(record.exceptions);
    const next = new Lane(compiled, 0, claims, SILENT, barrierOf(past));
    if (record.checkpoint !== null) next.restore(record.checkpoint.state);
    repeat(next, past, { sent, applied }, record.checkpoint?.sent ?? 0);
    const tookMs = performance.now() - beganMs;
    for (const transaction of next.pending)
      if (transaction.outcome === null) next.settle(transaction, answerTo(transaction));
    const isEqual = courseOf(lane) === courseOf(next);
    console.log(describeMachine());
    console.log(
      `states saved: ${(savingMs / 1000).toFixed(1)} s in all, the longest ${longestMs.toFixed(0)} ms, the last one ${(statSync(files.state(files.latest)).size / 1e6).toFixed(0)} MB`,
    );
    console.log(
      `${sent} operations played in ${(playedMs / 1000).toFixed(0)} s; continued after ${(tookMs / 1000).toFixed(2)} s, ` +
        `from operation ${record.checkpoint?.operations ?? 0} with ${record.exceptions.length} exceptions since; the next operations are ${isEqual ? 'the same' : 'DIFFERENT'}`,
    );
    if (!isEqual) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
