import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { type Config, parseConfig } from '../../src/config/load.js';
import { Registries } from '../../src/metrics/registry.js';
import { OPERATION_KINDS } from '../../src/plan/plan.js';
import { prepare } from '../../src/prepare/prepare.js';
import { createDemo } from '../../src/server/demo.js';
import { startTraffic } from '../../src/traffic/coordinator.js';
import { startWorkers, type Workers } from '../../src/traffic/workers.js';
import { configFor, connectTo, contentHash, count, createDatabase, type Database } from '../server/database.js';

const KEYS_OF_THE_SERVER = `CREATE TABLE keyed (id serial PRIMARY KEY, v text);
  CREATE TABLE child (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, keyed int REFERENCES keyed ON DELETE CASCADE, v int)`;

/* The folder of a run's lanes is named for it. */
const RUN = `coordinator-${process.pid}`;

let database: Database;
afterEach(() => database.drop());

async function start(generator: string, workers: Workers, tables?: string, checkpointEvery?: number) {
  database = await createDatabase(tables ?? 'SELECT');
  if (tables === undefined) await createDemo(database.client);
  const targets = tables === undefined ? '\nmanual_table_list: [eg_users, eg_orders]' : '';
  const config: Config = parseConfig('c.yaml', configFor(database, `random_seed: 5${targets}\n${generator}`), [], {});
  const client = await connectTo(database.port, database.name);
  await client.query('SET search_path = pg_catalog');
  const prepared = await prepare(client, config, {
    dryRun: false,
    say: () => undefined,
    step: () => undefined,
    rehearsal: null,
  });
  await client.end();
  const traffic = startTraffic({
    plan: { ...prepared.plan, checkpointEvery: checkpointEvery ?? prepared.plan.checkpointEvery },
    claims: prepared.claims,
    incarnation: prepared.incarnation,
    connection: config.connection,
    workers,
    runId: RUN,
    timeouts: config.generator.timeouts,
    maxOutageMs: 10_000,
    maxPreparedStatements: 4096,
    waitAfterOperations: 0,
    waitMs: 0,
    pacing: null,
    startAtMs: null,
    lanes: [...prepared.plan.quotas.keys()],
    warmUpMs: 0,
    lateAfterMs: 1000,
    historyFile: null,
    past: null,
    keeping: null,
    notice: () => undefined,
  });
  return { prepared, traffic };
}

/** Returns how many checkpoints the runs of this file have saved. */
function savedStates(): number {
  const folders = readdirSync(tmpdir()).filter((name) => name.startsWith(`eventgen-lanes-${RUN}-`));
  return folders.flatMap((name) => readdirSync(path.join(tmpdir(), name))).filter((name) => name.endsWith('.state'))
    .length;
}

describe('counts', () => {
  it('scraped at the end equal the rows in the tables, label by label', async () => {
    const { prepared, traffic } = await start('num_iterations: 3000', startWorkers(2, 'traffic'));
    expect(await traffic.ended).toEqual({ kind: 'finished' });
    const { plan, rowsAtStart } = prepared;
    const registries = new Registries({
      plan,
      totals: traffic.totals,
      workers: 2,
      runId: 'r1',
      shard: 2,
      version: '0',
      serverVersion: '18',
      tableLabelLimit: 200,
      remainingSeconds: () => 60,
      phase: () => 'traffic',
      remaining: () => 0,
      targetRate: () => 0,
      achievedRate: () => 0,
      replication: () => null,
      limit: () => 'server-bound',
    });
    const text = await registries.text.metrics();
    const value = (series: string) => {
      const line = text.split('\n').find((candidate) => candidate.startsWith(`${series} `));
      return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ') + 1));
    };
    let operations = 0;
    for (const [relation, { label }] of plan.relations.entries()) {
      const rows = (kind: string) =>
        value(`eventgen_rows_total{operation="${kind}",table="${label}",run_id="r1",shard="2"}`)!;
      expect(rowsAtStart[relation]! + rows('insert') - rows('delete')).toBe(await count(database, label));
      for (const kind of OPERATION_KINDS) {
        const committed = value(
          `eventgen_operations_total{operation="${kind}",outcome="committed",table="${label}",run_id="r1",shard="2"}`,
        )!;
        expect(committed).toBe(traffic.totals.table(relation, kind, 'committed'));
        operations += committed;
      }
    }
    expect(operations).toBe(3000);
    const histogram = OPERATION_KINDS.map(
      (kind) => value(`eventgen_response_seconds_count{operation="${kind}",run_id="r1",shard="2"}`)!,
    );
    expect(histogram.reduce((sum, n) => sum + n, 0)).toBe(3000);
    expect(value('eventgen_response_seconds_bucket{operation="insert",le="+Inf",run_id="r1",shard="2"}')).toBe(
      histogram[0],
    );
    expect(value('eventgen_reconnects_total{run_id="r1",shard="2"}')).toBe(0);
  });

  it.each([
    ['with keys', undefined, '', undefined],
    ['with keys, from the lanes’ checkpoints', undefined, '', 400],
    [
      'that look like others, refused now and then',
      `CREATE TABLE keyed (id serial PRIMARY KEY, v text, n int CHECK (n <> 7)); CREATE TABLE flags (x bool, y bool);
       CREATE TABLE pairs (x int REFERENCES keyed ON DELETE CASCADE, v smallint);
       CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.v % 5 = 0 THEN RAISE EXCEPTION 'no fives'; END IF; RETURN NEW; END $$;
       CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON pairs FOR EACH ROW EXECUTE FUNCTION refuse()`,
      '',
      300,
    ],
    ['whose keys the server makes, from the lanes’ checkpoints', KEYS_OF_THE_SERVER, 'identity_values: database', 250],
    [
      'in blocks with conflicts',
      undefined,
      'transaction: { statements: 4, savepoint_ratio: 0.4, rollback_ratio: 0.1 }\nforce_conflicts: { enabled: true }',
      350,
    ],
  ])(
    'are the same, and so are the rows, when worker threads die: rows %s',
    async (_, tables, settings, checkpointEvery) => {
      const generator = `num_iterations: 4000\n${settings}`;
      const found: unknown[] = [];
      for (const deaths of [0, 3]) {
        const { prepared, traffic } = await start(generator, startWorkers(2, 'traffic'), tables, checkpointEvery);
        let died = 0;
        let checkpoints = 0;
        let isOver = false;
        // Node.js aborts the process if a thread is ended while it links its modules.
        const known = new Set(traffic.threads);
        const loaded = new WeakSet(traffic.threads);
        const ended = traffic.ended.finally(() => {
          isOver = true;
        });
        while (died < deaths && !isOver) {
          await new Promise((resolve) => setTimeout(resolve, 5));
          // Until the one before is replaced.
          for (const thread of traffic.threads) {
            if (known.has(thread)) continue;
            known.add(thread);
            (thread as Worker).once('message', () => loaded.add(thread));
          }
          const thread = traffic.threads[died % 2];
          if (traffic.totals.operations() < (died + 1) * 800 || thread === undefined || !loaded.has(thread)) continue;
          checkpoints += savedStates();
          await thread.terminate();
          died++;
        }
        expect(await ended).toEqual({ kind: 'finished' });
        if (deaths > 0) expect(died).toBeGreaterThanOrEqual(2);
        if (deaths > 0) expect(checkpoints > 0).toBe(checkpointEvery !== undefined);
        const { totals } = traffic;
        expect(totals.scalar('inDoubtUnknown')).toBe(0);
        const labels: string[] = [];
        for (const [relation, { label }] of prepared.plan.relations.entries()) {
          labels.push(label);
          const net =
            totals.table(relation, 'insert', 'rows') -
            totals.table(relation, 'delete', 'rows') -
            totals.table(relation, 'delete', 'cascaded');
          expect(prepared.rowsAtStart[relation]! + net, label).toBe(await count(database, label));
        }
        const lanes = prepared.plan.quotas.map((_, lane) => [totals.laneApplied(lane), totals.laneDigest(lane)]);
        found.push({
          lanes,
          // Which lane gets which of the server's keys is up to chance.
          hash: tables === KEYS_OF_THE_SERVER ? null : await contentHash(database, labels),
          retries: totals.total('retriesValues'),
          committed: totals.scalar('transactionsCommitted'),
          applied: totals.operations(),
        });
        if (deaths === 0) await database.drop();
      }
      expect(found[1]).toEqual(found[0]);
    },
  );
});

it('threads that cannot start are told, and nothing waits for them', async () => {
  const { traffic } = await start('num_iterations: 300', startWorkers(2, 'no such entry' as 'traffic'));
  const end = await traffic.ended;
  expect(end.kind).toBe('crashed');
  expect('message' in end && end.message).toMatch(
    /^worker thread \d died: the thread could not start: .*no such entry/,
  );
});
