import { spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, chownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { SetupError } from '../config/problem.js';
import { connect } from '../traffic/session.js';
import { type Cluster, establish, runAs, type Site, startCluster } from './cluster.js';

let replicas = 0;

/** A hot standby of a private server: a base backup, then its log as it is written. A fifth of a second. */
export async function startStandby(primary: Cluster): Promise<Cluster> {
  const slot = `standby_${++replicas}`;
  const standby = await establish(undefined, (site) => restoreBackup(primary, site, slot));
  return dependent(standby, primary, slot);
}

/** A second server with a logical subscription to all of a database's tables, which `schema` has created on both. */
export async function startSubscriber(
  primary: Cluster,
  schema: (client: pg.Client) => Promise<void>,
): Promise<Cluster> {
  const name = `subscriber_${++replicas}`;
  const subscriber = await startCluster();
  try {
    await administer(primary, (client) => client.query(`CREATE PUBLICATION ${name} FOR ALL TABLES`));
    await administer(subscriber, async (client) => {
      await schema(client);
      await client.query(`CREATE SUBSCRIPTION ${name} CONNECTION '${connectionText(primary)}' PUBLICATION ${name}`);
    });
  } catch (error) {
    await subscriber.stop();
    throw error;
  }
  return dependent(subscriber, primary, name);
}

/** Drops a slot, since one whose consumer is gone would keep the primary's log for ever. */
export async function dropSlot(primary: Cluster, slot: string): Promise<void> {
  await administer(primary, async (client) => {
    await client.query(
      'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active',
      [slot],
    );
    await client.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1', [
      slot,
    ]);
  }).catch(() => undefined); // The primary has gone first.
}

function dependent(replica: Cluster, primary: Cluster, slot: string): Cluster {
  return {
    ...replica,
    stop: async () => {
      await replica.stop();
      await dropSlot(primary, slot);
    },
  };
}

async function restoreBackup(primary: Cluster, { account, home, data, port }: Site, slot: string): Promise<void> {
  await administer(primary, (client) => client.query('SELECT pg_create_physical_replication_slot($1, true)', [slot]));
  // The primary's own process writes the backup, into a folder of its own user.
  const folder = path.join(primary.home, slot);
  mkdirSync(folder);
  try {
    if (account !== null) chownSync(folder, account.uid, account.gid);
    await takeBackup(primary, folder);
    mkdirSync(data);
    if (account !== null) chownSync(data, account.uid, account.gid);
    chmodSync(data, 0o700);
    const unpacked = spawnSync('tar', ['-xf', path.join(folder, 'base.tar'), '-C', data], {
      ...runAs(account),
      encoding: 'utf8',
      cwd: home,
    });
    if (unpacked.status !== 0)
      throw SetupError.of(
        'embedded standby',
        `the backup could not be unpacked with tar: ${unpacked.error?.message ?? unpacked.stderr.trim()}`,
      );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  writeFileSync(path.join(data, 'standby.signal'), '');
  appendFileSync(
    path.join(data, 'postgresql.conf'),
    `port = ${port}\nprimary_conninfo = '${connectionText(primary)}'\nprimary_slot_name = '${slot}'\nhot_standby = on\n`,
  );
}

async function takeBackup(primary: Cluster, folder: string): Promise<void> {
  const { host, port, user } = primary.settings;
  const client = new pg.Client({ host, port, user, replication: 'true' } as pg.ClientConfig);
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(
      `BASE_BACKUP (LABEL 'standby', TARGET 'server', TARGET_DETAIL '${folder}', CHECKPOINT 'fast', WAL true, MANIFEST 'no')`,
    );
  } finally {
    await client.end();
  }
}

function connectionText({ settings: { host, port, user, database } }: Cluster): string {
  return `host=${host} port=${port} user=${user} dbname=${database}`;
}

export async function administer(cluster: Cluster, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = await connect(cluster.settings, {
    applicationName: 'eventgen/replica',
    connectTimeoutMs: 5000,
    statementTimeoutMs: 0,
    lockTimeoutMs: 0,
    pipeline: false,
  });
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
