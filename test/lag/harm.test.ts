import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { heartbeatDefinition } from '../../src/lag/table.js';
import { type Cluster, startCluster } from '../../src/server/cluster.js';
import { startStandby } from '../../src/server/replica.js';
import { connectTo, runCli, startCli } from '../server/database.js';
import { startThrottle } from '../server/throttle.js';
import { startSlotConsumer } from './slot-consumer.js';

/* What happens to replicas and slots, and what a run tells of it. */

const clusters: Cluster[] = [];
let primary: Cluster;
let client: pg.Client;

beforeAll(async () => {
  primary = await startCluster({
    settings: ['max_slot_wal_keep_size = 40MB', 'max_wal_size = 32MB', 'min_wal_size = 32MB'],
  });
  clusters.push(primary);
  client = await connectTo(primary.settings.port, 'postgres');
  await client.query(`CREATE TABLE a (id int PRIMARY KEY, v text); ${heartbeatDefinition('event_generator')}`);
  await client.query('CREATE PUBLICATION everything FOR ALL TABLES');
});

afterAll(async () => {
  await client.end();
  for (const cluster of clusters.reverse()) await cluster.stop();
});

const config = (targets: string, generator = '', traffic = 'rate: 50') =>
  `connection: { host: 127.0.0.1, port: ${primary.settings.port}, database: postgres, user: postgres }
generator: { insert_rows: 1, update_rows: 1, num_iterations: -1, random_seed: 3, connections: 2 ${generator} }
metrics: { enabled: false }
traffic: { ${traffic} }
replication:
  targets: [${targets}]
  fuse: { retained: 0 }
`;
const standbyAt = ({ settings }: Cluster, name = 'standby') =>
  `{ name: ${name}, kind: physical, connection: { port: ${settings.port} } }`;
const CONSUMER = '{ name: consumer, kind: slot, slot: place }';

interface Seen {
  readonly lag_seconds: { readonly p50: number; readonly max: number } | null;
  readonly stage_seconds: Readonly<Record<string, number>>;
  readonly bytes_behind: Readonly<Record<string, { readonly end: number; readonly max: number }>>;
  readonly unseen: number;
  readonly unseen_at_least_seconds: number | null;
  readonly reason: string | null;
}

describe('what a run tells', () => {
  it('of a network of 1 MB/s: the lag to a tenth, and that it is the network', async () => {
    const standby = await startStandby(primary);
    clusters.push(standby);
    const throttle = await startThrottle(primary.settings.port, 1_000_000);
    const onStandby = await connectTo(standby.settings.port, 'postgres');
    try {
      const { rows } = await onStandby.query<{ text: string }>("SELECT current_setting('primary_conninfo') AS text");
      const text = rows[0]!.text.replace(/port=\d+/, `port=${throttle.port}`);
      await onStandby.query(`ALTER SYSTEM SET primary_conninfo = '${text}'`);
      await onStandby.query('SELECT pg_reload_conf()');
      await throttle.used();
      // About 2 MB of log a second over a network of one: each second the standby falls back by half a second.
      const seconds = 6;
      const { code, summary } = await runCli(
        config(
          standbyAt(standby),
          ', min_col_size_bytes: 9000, operations: [INSERT]',
          `rate: 150, duration: ${seconds}s`,
        ),
      );
      expect(code).toBe(0);
      const { standby: seen } = summary.replication as unknown as Record<string, Seen>;
      expect(seen!.unseen).toBe(0);
      const stages = Object.entries(seen!.stage_seconds).sort(([, a], [, b]) => b - a);
      expect(stages[0]![0]).toBe('network');
      // What was to be carried takes its time, whoever measures it.
      const carried = throttle.bytes() / 1_000_000;
      expect(seen!.lag_seconds!.max).toBeGreaterThan((carried - seconds) * 0.9 - 0.02);
      expect(seen!.lag_seconds!.max).toBeLessThan((carried - seconds) * 1.1 + 0.5);
    } finally {
      await onStandby.end();
      await throttle.close();
    }
  });

  it('of a slot that is lost: why, and an age that grows', async () => {
    await client.query("SELECT pg_create_logical_replication_slot('place', 'pgoutput')");
    const run = startCli(config(CONSUMER, '', 'rate: 20, duration: 7s'));
    for (let tries = 0; tries < 40; tries++) {
      await client.query(
        "INSERT INTO a SELECT g, repeat('x', 2000) FROM generate_series(-20000, -1) AS g ON CONFLICT DO NOTHING; DELETE FROM a WHERE id < 0",
      );
      await client.query('CHECKPOINT');
      const { rows } = await client.query<{ status: string }>(
        "SELECT wal_status AS status FROM pg_replication_slots WHERE slot_name = 'place'",
      );
      if (rows[0]!.status === 'lost') break;
    }
    const { code, summary } = await run.ended;
    expect(code).toBe(0);
    const { consumer } = summary.replication as unknown as Record<string, Seen>;
    expect(consumer!.reason).toMatch(/^the replication slot place is lost: /);
    expect(consumer!.unseen).toBeGreaterThan(30);
    expect(consumer!.unseen_at_least_seconds).toBeGreaterThan(5);
    await client.query("SELECT pg_drop_replication_slot('place')");
  });

  it('of slots that a standby could not take over; one that it could keeps its place', async () => {
    const standby = await startStandby(primary);
    clusters.push(standby);
    const onStandby = await connectTo(standby.settings.port, 'postgres');
    const look = async () =>
      (await runCli(config(`${standbyAt(standby)}, ${CONSUMER}`, '', 'rate: 20, duration: 1s'))).stderr;
    await client.query("SELECT pg_create_logical_replication_slot('place', 'pgoutput')");
    expect(await look()).toContain('slot place is not a failover slot');
    await client.query(
      "SELECT pg_drop_replication_slot('place'); SELECT pg_create_logical_replication_slot('place', 'pgoutput', failover => true)",
    );
    expect(await look()).toContain('the standby standby has no copy of the failover slot place');

    for (const setting of ['sync_replication_slots', 'hot_standby_feedback'])
      await onStandby.query(`ALTER SYSTEM SET ${setting} = on`);
    await onStandby.query('SELECT pg_reload_conf()');
    const consume = (port: number) =>
      startSlotConsumer(port, { slot: 'place', publication: 'everything', msPerTransaction: 0 });
    const before = await consume(primary.settings.port);
    const isSynced = async () => {
      // The consumer must have something to confirm, and the standby must know which transactions run.
      await client.query(
        "INSERT INTO a VALUES (-1, 'x') ON CONFLICT (id) DO UPDATE SET v = 'x'; SELECT pg_log_standby_snapshot()",
      );
      const { rows } = await onStandby.query<{ synced: boolean }>(
        "SELECT synced AND NOT temporary AS synced FROM pg_replication_slots WHERE slot_name = 'place'",
      );
      return rows[0]?.synced === true;
    };
    for (let tries = 0; !(await isSynced()); tries++) {
      // The server's worker looks at intervals of up to half a minute.
      expect(tries).toBeLessThan(450);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(await look()).not.toContain('failover slot');

    // The standby takes over: its copy of the slot is where the consumer goes on, and what a run looks at.
    await before.stop();
    await onStandby.query('SELECT pg_promote()');
    const after = await consume(standby.settings.port);
    const { code, summary, stderr } = await runCli(
      config(CONSUMER, '', 'rate: 50, duration: 3s').replace(
        `port: ${primary.settings.port}`,
        `port: ${standby.settings.port}`,
      ),
    );
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const { consumer } = summary.replication as unknown as Record<string, Seen>;
    expect(consumer).toMatchObject({ unseen: 0, reason: null });
    expect(consumer!.lag_seconds!.max).toBeLessThan(2);
    await after.stop();
    await onStandby.end();
    await client.query("SELECT pg_drop_replication_slot('place')");
  }, 180_000);
});
