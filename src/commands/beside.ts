import type pg from 'pg';
import type { Flavour } from '../catalog/flavour.js';
import type { Config } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import { ReplicationProbe } from '../lag/probe.js';
import { connectCoordinator } from '../prepare/connect.js';
import type { Prepared } from '../prepare/examine.js';
import { seedOf } from '../random/seed.js';
import type { Progress } from '../report/progress.js';
import { dropLeftovers, IndexBuilder, indexableColumns } from '../traffic/indexes.js';
import { connect } from '../traffic/session.js';
import { expectTrapTables, layOutTraps } from '../traps/layout.js';
import { TrapRunner } from '../traps/runner.js';

/**
 * Returns the builder that creates and drops indexes during the traffic; null if it is not configured.
 * @throws SetupError if this user can index no column of a targeted table.
 */
export async function indexBuilderFor(
  config: Config,
  { plan }: Prepared,
  runId: string,
  progress: Progress,
): Promise<IndexBuilder | null> {
  const { generator } = config;
  if (!generator.enable_index_create_drop) return null;
  const connectLike = (): Promise<pg.Client> =>
    connect(config.connection, {
      applicationName: `eventgen/${runId}/indexes`,
      connectTimeoutMs: generator.timeouts.connect,
      // A build waits for every older transaction.
      statementTimeoutMs: 0,
      lockTimeoutMs: 0,
      pipeline: false,
    });
  const client = await connectLike();
  try {
    const tables = plan.relations.filter(({ targeted }) => targeted).map(({ sql }) => sql);
    const columns = await indexableColumns(client, tables);
    if (columns.length === 0)
      throw SetupError.of(
        'generator.enable_index_create_drop',
        `user "${config.connection.user}" does not own any targeted table with an indexable column; connect as the owner, or remove the key`,
      );
    const leftovers = await dropLeftovers(client);
    if (leftovers > 0) progress.message('info', `dropped ${leftovers} indexes that an earlier run left behind`);
    return new IndexBuilder({
      runId,
      columns,
      intervalMs: generator.index_events_interval * 1000,
      seed: seedOf(BigInt(plan.randomSeed)),
      connectLike,
      report: (text) => progress.message('warn', text),
    });
  } finally {
    await client.end();
  }
}

/**
 * Prepares the tables of the traps, before anything of the run is captured.
 * @throws SetupError if that is not possible, or a subscriber does not have them.
 */
export async function layOutTrapTables(
  config: Config,
  client: pg.Client,
  runId: string,
  progress: Progress,
): Promise<void> {
  const { traps, replication } = config;
  if (traps === null) return;
  const names = [...traps.weights.keys()];
  const { refused } = await layOutTraps(client, traps.schema, names);
  for (const [name, remedy] of refused)
    progress.message('warn', `trap ${name} is not used because the user lacks a privilege; run: ${remedy}`);
  for (const target of replication?.targets ?? []) {
    if (target.kind !== 'logical') continue;
    const there = await connectCoordinator(target.connection, config, runId);
    try {
      await expectTrapTables(there, target.name, traps.schema, names);
    } finally {
      await there.end();
    }
  }
}

/** Returns the runner of traps during the traffic; null if none are configured. */
export function trapRunnerFor(
  config: Config,
  { plan }: Prepared,
  runId: string,
  progress: Progress,
): TrapRunner | null {
  const { traps, connection, generator } = config;
  if (traps === null) return null;
  return new TrapRunner({
    weights: traps.weights,
    schema: traps.schema,
    intervalMs: traps.intervalMs,
    seed: seedOf(BigInt(plan.randomSeed)),
    connect: () =>
      connect(connection, {
        applicationName: `eventgen/${runId}/traps`,
        connectTimeoutMs: generator.timeouts.connect,
        statementTimeoutMs: generator.timeouts.statement,
        lockTimeoutMs: generator.timeouts.lock,
        pipeline: false,
      }),
    report: (text) => progress.message('warn', text),
  });
}

/**
 * Returns the probe of replication lag; null if no target is configured.
 * @throws SetupError if a target cannot be read, is not what its kind says, or is observed by what the server does not have.
 */
export async function probeFor(
  config: Config,
  flavour: Flavour,
  runId: string,
  progress: Progress,
): Promise<ReplicationProbe | null> {
  const { replication, connection, generator } = config;
  if (replication === null) return null;
  const located = replication.targets.find(({ kind }) => kind !== 'heartbeat' && kind !== 'command');
  if (located !== undefined && flavour !== 'PostgreSQL')
    throw SetupError.of(
      'replication.targets',
      `target ${located.name} is of kind ${located.kind}, which needs positions in the log of PostgreSQL, but the server is ${flavour}; use kind: heartbeat or kind: command`,
    );
  const probe = await ReplicationProbe.open({
    replication,
    connection,
    runId,
    connectTimeoutMs: generator.timeouts.connect,
    report: (level, text) => progress.message(level, text),
  });
  const names = replication.targets.map(({ name }) => name).join(', ');
  progress.message(
    'info',
    `measuring the replication lag of ${names} with a heartbeat every ${replication.intervalMs} ms`,
  );
  return probe;
}
