/**
 * What the generator costs: its CPU per operation beside that of a pg client that sends the same statements with values
 * made beforehand, and where it goes. Both sides run in this process, on four pipelined connections, in alternation.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { Runtime } from 'node:inspector';
import { Session } from 'node:inspector/promises';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { LaneFiles } from '../src/history/lane-files.js';
import { LaneLog } from '../src/history/lane-log.js';
import { Lane } from '../src/lane/lane.js';
import { parametersOf } from '../src/lane/messages/bind.js';
import { play, SILENT } from '../src/lane/play.js';
import type { Claims } from '../src/lane/rows/claims.js';
import { CompiledPlan } from '../src/lane/rows/compiled.js';
import { packageFile } from '../src/package.js';
import type { Plan } from '../src/plan/plan.js';
import { connectCoordinator } from '../src/prepare/connect.js';
import { prepare } from '../src/prepare/prepare.js';
import type { Cluster } from '../src/server/cluster.js';
import { createDemo } from '../src/server/demo.js';
import { BlockedTables } from '../src/traffic/blocked-tables.js';
import { saveCheckpoints } from '../src/traffic/checkpoints.js';
import { Control } from '../src/traffic/control.js';
import { allocateCounters, CounterBlock, CounterTotals } from '../src/traffic/counters.js';
import { LaneLoop } from '../src/traffic/lane-loop.js';
import { CountingLedger, type Told } from '../src/traffic/ledger.js';
import { configFor, describeMachine, median, microsPerOperation, option, spread, withServer } from './measure.js';

const ROUNDS = option('rounds', 9);
const OPERATIONS = option('operations', 40_000);
const DEPTH = option('depth', 16);
const CONNECTIONS = 4;
const BUILT = packageFile('dist/').href;

const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

interface Ready {
  readonly plan: Plan;
  readonly claims: readonly Claims[];
}

async function fresh(cluster: Cluster, client: pg.Client): Promise<Ready> {
  await client.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
  await createDemo(client);
  const config = configFor(
    cluster,
    `schema_name: public\nmanual_table_list: [eg_users, eg_orders]\nnum_iterations: ${OPERATIONS}\nrandom_seed: 1\nconnections: ${CONNECTIONS}\npipeline_depth: ${DEPTH}`,
  );
  const own = await connectCoordinator(cluster.settings, config, 'bench');
  const prepared = await prepare(own, config, {
    dryRun: false,
    say: () => undefined,
    step: () => undefined,
    rehearsal: null,
  });
  await own.end();
  return prepared;
}

/** Lanes carried on this thread; returns seconds of CPU. */
async function runOurs(cluster: Cluster, { plan, claims }: Ready): Promise<number> {
  const control = new Control(0, 0);
  const memory = allocateCounters(plan.relations.length, CONNECTIONS, 1);
  const counters = new CounterBlock(memory, plan.relations.length, CONNECTIONS, 0);
  const totals = new CounterTotals(memory, plan.relations.length, CONNECTIONS);
  const compiled = new CompiledPlan(plan);
  const notice = (told: Told) => console.error(JSON.stringify(told));
  const loops = plan.quotas.map((_, number) => {
    const lane = new Lane(compiled, number, claims, new CountingLedger(counters, number, notice));
    const settings = {
      connection: cluster.settings,
      applicationName: `eventgen/bench/${number}`,
      connectTimeoutMs: 10_000,
      statementTimeoutMs: 60_000,
      lockTimeoutMs: 5000,
      maxOutageMs: 1000,
      maxPreparedStatements: 4096,
      mayTakeBack: false,
      incarnation: { sinceXid: '0', name: '', isStandby: false },
      warmUpMs: 0,
      lateAfterMs: 1000,
      carriedLanes: plan.quotas.length,
    };
    const log = new LaneLog(new LaneFiles(folder, number));
    saveCheckpoints(lane, log, totals, null);
    return new LaneLoop(lane, compiled, settings, {
      log,
      stored: null,
      control,
      counters,
      notice,
      pacer: null,
      blocked: new BlockedTables(plan.relations.length),
    });
  });
  const before = process.cpuUsage();
  await Promise.all(loops.map((loop) => loop.run(null)));
  return seconds(process.cpuUsage(before));
}

interface Query {
  readonly name: string;
  readonly text: string;
  readonly values: (string | null)[];
}

/** The statements of every lane, as if all were committed. */
function transcripts({ plan, claims }: Ready): Query[][] {
  const compiled = new CompiledPlan(plan);
  return plan.quotas.map((_, number) => {
    const queries: Query[] = [];
    for (const { members } of play(new Lane(compiled, number, claims, SILENT))) {
      const { bytes, statements } = members[0]!.operation;
      for (const statement of statements) {
        const { id, sql } = statement.shape;
        queries.push({ name: `s${id}`, text: sql, values: parametersOf(bytes, statement) });
      }
    }
    return queries;
  });
}

/** The same statements through pg's client, values at hand. */
async function runPlain(cluster: Cluster, lanes: readonly Query[][]): Promise<number> {
  const { settings } = cluster;
  const clients = lanes.map(
    () => new pg.Client({ ...settings, password: settings.password ?? '', ssl: false, pipeline: true }),
  );
  await Promise.all(clients.map((client) => client.connect()));
  const before = process.cpuUsage();
  await Promise.all(
    lanes.map(async (queries, lane) => {
      let at = 0;
      const next = async (): Promise<void> => {
        while (at < queries.length) await clients[lane]!.query(queries[at++]!);
      };
      await Promise.all(Array.from({ length: DEPTH }, next));
    }),
  );
  const used = seconds(process.cpuUsage(before));
  await Promise.all(clients.map((client) => client.end()));
  return used;
}

function seconds({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1e6;
}

/** Shares of a profile by what the innermost of our frames is there for. */
async function profiled(work: () => Promise<unknown>): Promise<Map<string, number>> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: 1000 });
  await session.post('Profiler.start');
  await work();
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id])));
  const shares = new Map<string, number>();
  const maps = new Map<string, SourceMap>();
  for (const [index, sample] of profile.samples!.entries()) {
    let share: string | undefined;
    for (let id: number | undefined = sample; id !== undefined && share === undefined; id = parents.get(id)) {
      const frame = nodes.get(id)!.callFrame;
      share = shareOf(sourceOf(frame, maps), frame.functionName);
    }
    if (share === 'idle') continue;
    shares.set(share ?? 'other', (shares.get(share ?? 'other') ?? 0) + profile.timeDeltas![index]!);
  }
  return shares;
}

/** The file that a frame was written in: what runs is bundled. */
function sourceOf(frame: Runtime.CallFrame, maps: Map<string, SourceMap>): string {
  const { url, lineNumber, columnNumber } = frame;
  if (!url.startsWith(BUILT)) return url;
  let map = maps.get(url);
  if (map === undefined) {
    map = new SourceMap(JSON.parse(readFileSync(`${fileURLToPath(url)}.map`, 'utf8')) as SourceMapPayload);
    maps.set(url, map);
  }
  const entry = map.findEntry(lineNumber, columnNumber);
  return 'originalSource' in entry ? entry.originalSource : url;
}

function shareOf(url: string, functionName: string): string | undefined {
  if (functionName === '(idle)') return 'idle';
  if (functionName === '(garbage collector)') return 'garbage collection';
  if (/datum\/(sink|writer)\.ts|lane\/(bind|transaction)\.ts/.test(url)) return 'encoding';
  if (/\/(datum|random)\//.test(url) || /lane\/compiled\.ts/.test(url)) return 'values';
  if (/\/lane\//.test(url)) return 'bookkeeping';
  if (/\/pg(-protocol)?\/|^node:|lane-session/.test(url)) return 'protocol';
  if (/\/traffic\//.test(url)) return 'bookkeeping';
  return undefined;
}

await withServer(async (cluster, client) => {
  await client.query('SET search_path = public');
  const ours: number[] = [];
  const plain: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(microsPerOperation(await runOurs(cluster, await fresh(cluster, client)), OPERATIONS));
    const queries = transcripts(await fresh(cluster, client));
    plain.push(microsPerOperation(await runPlain(cluster, queries), OPERATIONS));
    console.log(`round ${round + 1}: ours ${ours[round]!.toFixed(1)} µs, plain pg ${plain[round]!.toFixed(1)} µs`);
  }
  console.log(
    `\n${describeMachine()}; ${OPERATIONS} operations of the sample YAML, ${CONNECTIONS} connections, depth ${DEPTH}, ${ROUNDS} rounds; median (middle half)`,
  );
  console.log(`ours            ${spread(ours, 1)} µs of CPU per operation`);
  console.log(`plain pg client ${spread(plain, 1)} µs of CPU per operation, values made beforehand`);
  console.log(`ours / plain    ${spread(ours.map((value, round) => value / plain[round]!))}`);
  const ready = await fresh(cluster, client);
  const shares = await profiled(() => runOurs(cluster, ready));
  const sum = [...shares.values()].reduce((total, value) => total + value, 0);
  for (const [share, value] of [...shares].sort((a, b) => b[1] - a[1]))
    console.log(
      `  ${share.padEnd(20)} ${((value / sum) * 100).toFixed(0).padStart(3)} %  ${((value / sum) * median(ours)).toFixed(1)} µs`,
    );
});
