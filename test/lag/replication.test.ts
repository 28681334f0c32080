import { spawnSync } from 'node:child_process';
import type { AddressInfo } from 'node:net';
import { createServer, connect as dial, type Socket } from 'node:net';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { heartbeatDefinition } from '../../src/lag/table.js';
import { type Cluster, startCluster } from '../../src/server/cluster.js';
import { startStandby, startSubscriber } from '../../src/server/replica.js';
import { connectTo, runCli, startCli } from '../server/database.js';

const TABLE = 'CREATE TABLE a (id int PRIMARY KEY, v text)';

let primary: Cluster;
let standby: Cluster;
let subscriber: Cluster;
let client: pg.Client;
const clusters: Cluster[] = [];

beforeAll(async () => {
  primary = await startCluster();
  clusters.push(primary);
  client = await connectTo(primary.settings.port, 'postgres');
  await client.query(`${TABLE}; ${heartbeatDefinition('event_generator')}`);
  standby = await startStandby(primary);
  clusters.push(standby);
  subscriber = await startSubscriber(primary, async (replica) => {
    await replica.query(`${TABLE}; ${heartbeatDefinition('event_generator')}`);
  });
  clusters.push(subscriber);
});

afterAll(async () => {
  await client.end();
  for (const cluster of clusters.reverse()) await cluster.stop();
});

interface TargetLine {
  readonly name: string;
  readonly kind: string;
  readonly port: number;
}

function config(targets: readonly TargetLine[], rest = ''): string {
  const lines = targets.map(
    ({ name, kind, port }) => `    - { name: ${name}, kind: ${kind}, connection: { port: ${port} } }`,
  );
  return `connection: { host: 127.0.0.1, port: ${primary.settings.port}, database: postgres, user: postgres }
generator: { schema_name: public, num_iterations: -1, random_seed: 3 }
metrics: { port: 0 }
replication:
  targets:
${lines.join('\n')}
  heartbeat: { interval: 20ms }
${rest}`;
}

/** A way to a port that can fall silent: connections stay open, and nothing comes through. */
async function proxyTo(port: number) {
  const pairs: [Socket, Socket][] = [];
  let silent = false;
  const server = createServer((near) => {
    const far = dial(port, '127.0.0.1');
    pairs.push([near, far]);
    for (const socket of [near, far]) socket.on('error', () => undefined);
    if (silent) return;
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    silence: () => {
      silent = true;
      for (const [near, far] of pairs) {
        near.unpipe();
        far.unpipe();
      }
    },
    speak: () => {
      silent = false;
    },
    close: () => {
      for (const pair of pairs) for (const socket of pair) socket.destroy();
      server.close();
    },
  };
}

/** A server's processes, all of them. */
function signal(cluster: Cluster, name: 'STOP' | 'CONT'): void {
  const children = spawnSync('pgrep', ['-P', String(cluster.processId)], { encoding: 'utf8' })
    .stdout.trim()
    .split('\n');
  for (const pid of [cluster.processId, ...children.map(Number)]) process.kill(pid, `SIG${name}`);
}

describe('replication lag', () => {
  it('is told of a standby, a subscriber and a target of unknown kind; what stalls grows and recovers', async () => {
    const proxy = await proxyTo(standby.settings.port);
    const run = startCli(
      config(
        [
          { name: 'standby', kind: 'physical', port: standby.settings.port },
          { name: 'subscriber', kind: 'logical', port: subscriber.settings.port },
          { name: 'far', kind: 'heartbeat', port: proxy.port },
        ],
        'traffic: { rate: 100 }',
      ),
    );
    await run.saw('replication lag of standby, subscriber, far with a heartbeat every 20 ms');
    const port = run.stderr().match(/:(\d+)\/metrics/)![1]!;
    const figure = async (name: string, ...labels: string[]) => {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      const line = text
        .split('\n')
        .find(
          (each) => each.startsWith(`eventgen_replication_${name}{`) && labels.every((label) => each.includes(label)),
        );
      return line === undefined ? Number.NaN : Number(line.slice(line.lastIndexOf(' ') + 1));
    };
    const until = async (what: string, holds: () => Promise<boolean>) => {
      for (let tries = 0; tries < 300; tries++) {
        if (await holds()) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error(`never: ${what}`);
    };
    const oldest = (target: string) => figure('oldest_unseen_seconds', `target="${target}"`);
    const stall = async (target: string, begin: () => unknown, end: () => unknown) => {
      const seen = () => figure('lag_seconds_count', `target="${target}"`);
      await until(`${target} shows heartbeats`, async () => (await seen()) > 10 && (await oldest(target)) < 0.5);
      await begin();
      await until(`${target} is seen to stall`, async () => (await oldest(target)) > 2);
      const before = await seen();
      // Nothing new is seen meanwhile: the figure that grows is all there is.
      const then = await oldest(target);
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(await seen()).toBe(before);
      expect(await oldest(target)).toBeGreaterThan(then + 0.2);
      await end();
      await until(`${target} catches up`, async () => (await oldest(target)) < 0.5 && (await seen()) > before + 50);
    };

    const onStandby = await connectTo(standby.settings.port, 'postgres');
    await stall(
      'standby',
      () => onStandby.query('SELECT pg_wal_replay_pause()'),
      async () => {
        expect(await figure('lag_bytes', 'target="standby"', 'position="replayed"')).toBeGreaterThan(1000);
        expect(await figure('lag_bytes', 'target="standby"', 'position="received"')).toBeLessThan(100_000);
        await onStandby.query('SELECT pg_wal_replay_resume()');
      },
    );
    await onStandby.end();

    const onSubscriber = await connectTo(subscriber.settings.port, 'postgres');
    const { rows } = await onSubscriber.query<{ subname: string }>('SELECT subname FROM pg_subscription');
    const { subname } = rows[0]!;
    await stall(
      'subscriber',
      () => onSubscriber.query(`ALTER SUBSCRIPTION ${subname} DISABLE`),
      async () => {
        expect(await figure('lag_bytes', 'target="subscriber"', 'position="confirmed"')).toBeGreaterThan(1000);
        expect(await figure('slot_retained_bytes', `slot="${subname}"`)).toBeGreaterThan(1000);
        await onSubscriber.query(`ALTER SUBSCRIPTION ${subname} ENABLE`);
      },
    );
    await onSubscriber.end();

    // What is stopped has old figures; the server writes on, and so they grow.
    const behind = () => figure('lag_bytes', 'target="standby"', 'position="replayed"');
    await stall(
      'standby',
      () => signal(standby, 'STOP'),
      async () => {
        const then = await behind();
        await until('the standby is known to be behind', async () => (await behind()) > Math.max(then, 1000));
        signal(standby, 'CONT');
      },
    );

    // A network that swallows everything: only our own patience ends such a connection.
    await stall('far', proxy.silence, async () => {
      await until('far is given up', async () => (await figure('target_up', 'target="far"')) === 0);
      proxy.speak();
    });
    expect(run.stderr()).toMatch(/target far: the target did not answer within 5 s; connecting again/);
    expect(run.stderr()).toMatch(/target far: is reachable again after \d/);

    // A crash: the server goes through its recovery and is found again.
    const backend = await connectTo(standby.settings.port, 'postgres');
    const { rows: backends } = await backend.query<{ pid: number }>(
      "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'eventgen/%/lag' LIMIT 1",
    );
    process.kill(backends[0]!.pid, 'SIGKILL');
    await backend.end().catch(() => undefined);
    const dead = await figure('lag_seconds_count', 'target="standby"');
    await until(
      'the standby is back after its crash',
      async () =>
        (await figure('lag_seconds_count', 'target="standby"')) > dead + 50 && (await oldest('standby')) < 0.5,
    );

    for (const target of ['standby', 'subscriber', 'far'])
      expect(await figure('lag_seconds_bucket', 'le="0.1"', `target="${target}"`)).toBeGreaterThan(50);
    run.kill('SIGINT');
    const { code, summary, stdout } = await run.ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/replication lag .*\n.*standby .*resolution/);
    for (const name of ['standby', 'subscriber', 'far']) {
      const { lag_seconds: lag, unseen, heartbeats, poll_floor_seconds: floor } = summary.replication![name]!;
      expect(unseen, name).toBe(0);
      expect(heartbeats).toBeGreaterThan(200);
      expect(lag!.max).toBeGreaterThan(2);
      expect(floor).toBeGreaterThan(0);
      expect(floor).toBeLessThan(0.1);
    }
    // For comparison, what the server itself says of those that it sends its log to.
    expect(summary.replication!['standby']!.server_lag_seconds!.replay).toBeGreaterThanOrEqual(0);
    expect(summary.replication!['far']!.server_lag_seconds).toBeNull();
    // The run's row goes with it; the table stays for the subscription.
    expect((await client.query('SELECT FROM event_generator.heartbeat')).rowCount).toBe(0);
    proxy.close();
  });

  // A busy machine sends fewer heartbeats.
  it('counts what was never seen with its age, as a bound from below, and fails a threshold by it', {
    retry: 2,
  }, async () => {
    const onStandby = await connectTo(standby.settings.port, 'postgres');
    const run = startCli(
      config(
        [{ name: 'standby', kind: 'physical', port: standby.settings.port }],
        'traffic: { rate: 100, duration: 4s }\nthresholds: ["replication_lag_seconds p99 < 2"]',
      ),
    );
    await run.saw('a heartbeat every');
    await onStandby.query('SELECT pg_wal_replay_pause()');
    const { code, summary, stdout } = await run.ended;
    await onStandby.query('SELECT pg_wal_replay_resume()');
    await onStandby.end();
    const { unseen, unseen_at_least_seconds: atLeast, lag_seconds: lag } = summary.replication!['standby']!;
    expect(code).toBe(4);
    expect(summary.thresholds).toMatchObject([{ condition: 'replication_lag_seconds p99 < 2', passed: false }]);
    expect(unseen).toBeGreaterThan(100);
    expect(atLeast).toBeGreaterThan(5);
    expect(lag!.max).toBeGreaterThanOrEqual(atLeast!);
    expect(stdout).toMatch(/standby .* ≥ [\d.]+ (s|ms)/);
  });

  it('says beforehand what is no standby, no subscriber, or cannot be reached', async () => {
    const { code, stderr } = await runCli(
      config([
        { name: 'one', kind: 'physical', port: subscriber.settings.port },
        { name: 'two', kind: 'logical', port: standby.settings.port },
        { name: 'three', kind: 'heartbeat', port: 1 },
      ]),
    );
    expect(code).toBe(1);
    expect(stderr).toContain('replication target one: is not a standby');
    expect(stderr).toMatch(/target two: has no subscription for "event_generator"\.heartbeat\..*REFRESH PUBLICATION/);
    expect(stderr).toMatch(/target three: .*cannot be read: .*ECONNREFUSED/);
    expect((await client.query('SELECT FROM event_generator.heartbeat')).rowCount).toBe(0);
  });

  it('names the place where the configuration is wrong', async () => {
    const { code, stderr } = await runCli(
      `connection: { host: 127.0.0.1, port: ${primary.settings.port}, database: postgres, user: postgres }
thresholds: ["replication_lag_seconds insert p99 < 2"]
replication:
  targets:
    - { name: a, kind: physical, connection: { port: ${primary.settings.port} } }
    - { name: a, kind: heartbeat, connection: { embedded: true } }
  heartbeat: { interval: 0s }
`,
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/config\.yaml:5:\d+.*is the source itself \(connection:\)/);
    expect(stderr).toMatch(/config\.yaml:6:\d+.*"a" is used twice/);
    expect(stderr).toMatch(/config\.yaml:6:\d+.*an embedded replica needs an embedded source/);
    expect(stderr).toMatch(/config\.yaml:7:\d+.*a duration above 0/);
    expect(stderr).toMatch(/config\.yaml:2:\d+.*expected one of p50/);
  });

  it('is told per table, for a target that applies tables apart', async () => {
    const definition = heartbeatDefinition('event_generator', ['a']);
    await client.query(`${definition};
      CREATE PUBLICATION all_beats FOR TABLE event_generator.heartbeat; CREATE PUBLICATION a_beats FOR TABLE a, event_generator.heartbeat_a`);
    const admin = await connectTo(subscriber.settings.port, 'postgres');
    await admin.query('CREATE DATABASE apart');
    const apart = await connectTo(subscriber.settings.port, 'apart');
    const source = `host=127.0.0.1 port=${primary.settings.port} dbname=postgres user=postgres`;
    try {
      await apart.query(`${TABLE}; ${definition}`);
      for (const name of ['all', 'a'])
        await apart.query(
          `CREATE SUBSCRIPTION ${name}_sub CONNECTION '${source}' PUBLICATION ${name}_beats WITH (copy_data = false)`,
        );
      const run = startCli(
        config(
          [{ name: 'apart', kind: 'logical', port: subscriber.settings.port }],
          'traffic: { rate: 50, duration: 6s }',
        ).replace(
          '} }\n  heartbeat: { interval: 20ms }',
          ', database: apart } }\n  heartbeat: { interval: 20ms, tables: [a] }',
        ),
      );
      await run.saw('replication lag of apart');
      await new Promise((resolve) => setTimeout(resolve, 2000));
      await apart.query('ALTER SUBSCRIPTION a_sub DISABLE');
      const { code, summary, stderr } = await run.ended;
      expect({ code, stderr }).toEqual({ code: 0, stderr });
      const { apart: whole, 'apart/a': table } = summary.replication!;
      expect(whole).toMatchObject({ kind: 'logical', unseen: 0, reason: null });
      expect(table!.heartbeats).toBeGreaterThan(20);
      expect(table!.unseen).toBeGreaterThan(20);
      expect(table!.reason).toContain('the subscription a_sub is disabled');
      const missing = await runCli(
        config([{ name: 'apart', kind: 'logical', port: subscriber.settings.port }]).replace(
          'interval: 20ms',
          'interval: 20ms, tables: [nothing]',
        ),
      );
      expect(missing).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('there is no table nothing') as string,
      });
    } finally {
      for (const name of ['all', 'a']) await apart.query(`DROP SUBSCRIPTION IF EXISTS ${name}_sub`);
      await apart.end();
      await admin.query('DROP DATABASE apart WITH (FORCE)');
      await admin.end();
    }
  });
});
