import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CurveResult } from '../../src/benchmark/curve.js';
import type { DrainResult } from '../../src/benchmark/drain.js';
import type { MaxResult } from '../../src/benchmark/max.js';
import { slowestStage } from '../../src/benchmark/slowest.js';
import { heartbeatDefinition } from '../../src/lag/table.js';
import { type Cluster, startCluster } from '../../src/server/cluster.js';
import { startStandby } from '../../src/server/replica.js';
import { connectTo, runCli } from '../server/database.js';
import { startSlotConsumer } from './slot-consumer.js';

/* Each target has a lag, or a capacity, that is known beforehand: what is told must agree with it. */

const clusters: Cluster[] = [];
let primary: Cluster;
let standby: Cluster;
let client: pg.Client;
let onStandby: pg.Client;

beforeAll(async () => {
  primary = await startCluster();
  clusters.push(primary);
  client = await connectTo(primary.settings.port, 'postgres');
  await client.query(`CREATE TABLE a (id int PRIMARY KEY, v text); ${heartbeatDefinition('event_generator')}`);
  await client.query('CREATE PUBLICATION everything FOR ALL TABLES');
  standby = await startStandby(primary);
  clusters.push(standby);
  onStandby = await connectTo(standby.settings.port, 'postgres');
});

afterAll(async () => {
  await client.end();
  await onStandby.end();
  for (const cluster of clusters.reverse()) await cluster.stop();
});

function config(targets: string, rest = ''): string {
  return `connection: { host: 127.0.0.1, port: ${primary.settings.port}, database: postgres, user: postgres }
generator: { insert_rows: 1, update_rows: 1, num_iterations: -1, random_seed: 3, connections: 2 }
metrics: { enabled: false }
replication:
  targets: [${targets}]
${rest}`;
}

const STANDBY = () => `{ name: standby, kind: physical, connection: { port: ${standby.settings.port} } }`;
const CONSUMER = '{ name: consumer, kind: slot, slot: slow }';

async function lag<Result>(yaml: string, kind: string, options: readonly string[]) {
  const { code, summary, stderr, stdout } = await runCli(yaml, options, {}, ['lag', kind]);
  const { lag: result } = summary;
  return { code, stderr, stdout, result: result as unknown as Result };
}

const CREATE = "SELECT pg_create_logical_replication_slot('slow', 'pgoutput')";
/* Its consumer may not have left yet. */
const DROP =
  "DO $$ BEGIN FOR i IN 1..100 LOOP EXIT WHEN NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'slow' AND active); PERFORM pg_sleep(0.05); END LOOP; END $$; SELECT pg_drop_replication_slot('slow')";

describe('the benchmark', () => {
  // As below.
  it('tells a standby’s delay to a tenth, names replay, and says why', { retry: 2 }, async () => {
    await onStandby.query("ALTER SYSTEM SET recovery_min_apply_delay = '1s'");
    await onStandby.query('SELECT pg_reload_conf()');
    const { code, result, stdout } = await lag<CurveResult>(config(STANDBY()), 'curve', [
      '--steps',
      '10%,20%',
      '--hold',
      '3s',
    ]);
    await onStandby.query('ALTER SYSTEM RESET recovery_min_apply_delay');
    await onStandby.query('SELECT pg_reload_conf()');
    expect(stdout).toContain('lag of standby');
    expect(code).toBe(0);
    expect(result.source!.operations_per_second).toBeGreaterThan(100);
    expect(result.steps.map(({ share }) => share)).toEqual([0.1, 0.2]);
    for (const step of result.steps) {
      const target = step.targets['standby']!;
      expect(target.lag_seconds!.p50).toBeGreaterThan(0.99);
      expect(target.lag_seconds!.p50).toBeLessThan(1.1);
      expect(slowestStage(target)!.stage).toBe('replay');
      expect(target.reason).toContain('recovery_min_apply_delay is 1s');
      // The rate that was asked for, over the whole step.
      expect(Math.abs(step.operations_per_second / step.rate! - 1)).toBeLessThan(0.1);
    }
  });

  // A neighbour that takes the processor for a moment disturbs one measurement, seldom two.
  it('finds a consumer’s capacity, names the consumer, and drains at that rate', { retry: 2 }, async () => {
    // 200 transactions a second, 20 of them heartbeats.
    await client.query(CREATE);
    const consumer = await startSlotConsumer(primary.settings.port, {
      slot: 'slow',
      publication: 'everything',
      msPerTransaction: 5,
    });
    try {
      const found = await lag<MaxResult>(config(CONSUMER), 'max', ['--limit', 'p99 < 400ms', '--hold', '2s']);
      expect(found.result.interrupted).toBeNull();
      expect(found.code).toBe(0);
      const { sustained, exceeded, because, confirmations } = found.result;
      expect(sustained).toBeGreaterThan(180 * 0.85);
      expect(sustained).toBeLessThan(180 * 1.1);
      expect(exceeded! / sustained!).toBeLessThan(1.1);
      expect(because).toMatch(/^consumer: .* at the (consumer|walsender)/);
      expect(confirmations).toBe(3);

      const drained = await lag<DrainResult>(config(CONSUMER, 'traffic: { rate: 1 }'), 'drain', [
        '--burst',
        '1s',
        '--set',
        'generator.connections=1',
        '--set',
        'generator.pipeline_depth=1',
      ]);
      const { seconds, rows_per_second: rows } = drained.result.targets['consumer']!;
      expect(drained.code).toBe(0);
      // Every row is a transaction of its own.
      expect(seconds).toBeGreaterThan(1);
      expect(rows! / 180).toBeGreaterThan(0.85);
      expect(rows! / 180).toBeLessThan(1.15);
    } finally {
      await consumer.stop();
      await client.query(DROP);
    }
  });

  it('pauses the load before a slot keeps too much of the log, and says so', async () => {
    await client.query(CREATE);
    const { code, summary, stderr, stdout } = await runCli(`${config(CONSUMER)}  fuse: { retained: 20MB }\n`, [
      '--duration',
      '6s',
      '--set',
      'generator.min_col_size_bytes=20000',
      '--set',
      'generator.row_selection=owned',
    ]);
    const { pauses, replication } = summary;
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /the load is paused: replication.fuse: slot slow makes the server keep \d+ MB of WAL \(limit 20 MB\)/,
    );
    expect(stdout).toMatch(/paused 1 × .*slot slow/);
    expect(pauses).toHaveLength(1);
    // The last look comes with every half second.
    expect(JSON.stringify(replication)).toContain('no consumer is connected to the slot slow');
    await client.query(DROP);
  });

  it('says what it lacks', async () => {
    const refused = async (yaml: string, command: readonly string[], message: string) => {
      const { code, stderr } = await runCli(yaml, [], {}, command);
      expect(stderr).toContain(message);
      expect(code).toBe(1);
    };
    await refused(config(''), ['lag', 'curve'], 'lag curve: has nothing to measure: add a standby');
    await refused(config('{ name: x, kind: slot, slot: gone }'), ['run'], 'there is no replication slot "gone"');
    await refused(
      config('{ name: x, kind: command, command: [echo, "7"] }'),
      ['run'],
      'its command printed 7 before the first heartbeat of this run was written',
    );
    await refused(config('{ name: x, kind: slot }'), ['run'], 'needs slot: NAME');
    await refused(
      config('{ name: x, kind: command, command: [echo, many] }'),
      ['run'],
      'echo printed "many"; expected the number',
    );
    await refused(config('{ name: x, kind: command, command: [./nowhere] }'), ['run'], './nowhere cannot be run');
    await refused(
      config('{ name: x, kind: command, command: ["true"], slot: y }'),
      ['run'],
      'slot: has no effect with kind: command',
    );
  });
});
