/**
 * Operations per second against the limit of the machine: a run, and the very bytes that it sent, sent again by sockets
 * that generate nothing (replay.ts). Both start on copies of the same database, in alternation, and leave the same rows.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import type { Summary } from '../src/report/summary.js';
import type { Cluster } from '../src/server/cluster.js';
import { createDemo } from '../src/server/demo.js';
import { describeMachine, option, spread, withServer } from './measure.js';
import { record } from './record.js';
import type { Replayed } from './replay.js';
import { createTables } from './tables.js';

const ROUNDS = option('rounds', 9);
const OPERATIONS = option('operations', 60_000);
const CONNECTIONS = option('connections', 4);
const DEPTH = option('depth', 16);
const WORKERS = option('workers', 1);

const CLI = fileURLToPath(new URL('../src/cli.js', import.meta.url));
const REPLAY = fileURLToPath(new URL('replay.js', import.meta.url));
const run = promisify(execFile);

interface Scenario {
  readonly name: string;
  readonly create: (client: pg.Client) => Promise<void>;
  /** Lines of the generator section. */
  readonly generator: string;
}

const SCENARIOS: readonly Scenario[] = [
  { name: 'sample mix', create: (client) => createDemo(client), generator: 'manual_table_list: [eg_users, eg_orders]' },
  { name: '100 tables', create: (client) => createTables(client, 100), generator: 'schema_name: public' },
  {
    name: 'UPDATE only',
    create: (client) => createDemo(client),
    generator: 'manual_table_list: [eg_users]\noperations: [UPDATE]',
  },
];

/** A side's figures of one round. */
interface Round {
  readonly perSecond: number;
  readonly cpuMicros: number;
}

class Comparison {
  private readonly cluster: Cluster;
  private readonly client: pg.Client;
  private readonly folder: string;
  private readonly scenario: Scenario;

  constructor(cluster: Cluster, client: pg.Client, folder: string, scenario: Scenario) {
    this.cluster = cluster;
    this.client = client;
    this.folder = folder;
    this.scenario = scenario;
  }

  async run(): Promise<void> {
    await this.client.query('DROP DATABASE IF EXISTS template_of_limit');
    await this.client.query('CREATE DATABASE template_of_limit');
    await this.in('template_of_limit', async (client) => {
      await client.query('SET search_path = public');
      await this.scenario.create(client);
      await client.query('VACUUM ANALYZE');
    });
    const recorded = path.join(this.folder, 'recorded');
    rmSync(recorded, { recursive: true, force: true });
    mkdirSync(recorded);
    await this.fresh();
    const proxy = await record(this.cluster.settings.port, recorded);
    await this.generate(proxy.port);
    await proxy.close();
    const expected = await this.contents();
    const [ours, limit]: [Round[], Round[]] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      await this.fresh();
      ours.push(await this.generate(this.cluster.settings.port));
      await this.fresh();
      limit.push(await this.replay(recorded));
      if ((await this.contents()) !== expected) throw new Error('the replay has left other rows than the run');
    }
    this.tell(ours, limit);
  }

  private tell(ours: readonly Round[], limit: readonly Round[]): void {
    const ratios = ours.map(({ perSecond }, round) => perSecond / limit[round]!.perSecond);
    const figures = (rounds: readonly Round[]) =>
      `${spread(
        rounds.map(({ perSecond }) => perSecond),
        0,
      )}/s, ${spread(
        rounds.map(({ cpuMicros }) => cpuMicros),
        1,
      )} µs of CPU per operation`;
    console.log(
      `${this.scenario.name}: run ${figures(ours)}; replay ${figures(limit)}; ratio ${spread(ratios)} (goal on the sample mix 0.90)`,
    );
  }

  private async fresh(): Promise<void> {
    await this.client.query('DROP DATABASE IF EXISTS limit_copy WITH (FORCE)');
    await this.client.query('CREATE DATABASE limit_copy TEMPLATE template_of_limit');
    await this.client.query('CHECKPOINT');
  }

  private async generate(port: number): Promise<Round> {
    const file = path.join(this.folder, 'run.yaml');
    const summary = path.join(this.folder, 'summary.json');
    const { host, user } = this.cluster.settings;
    const generator = `random_seed: 1\nnum_iterations: ${OPERATIONS}\nconnections: ${CONNECTIONS}\nworkers: ${WORKERS}\npipeline_depth: ${DEPTH}\nrehearse: false\n${this.scenario.generator}`;
    writeFileSync(
      file,
      `connection: { host: ${host}, port: ${port}, database: limit_copy, user: ${user} }\ngenerator:\n  ${generator.replaceAll('\n', '\n  ')}\nmetrics: { enabled: false }\n`,
    );
    await run(process.execPath, [CLI, 'run', '-c', file, '--quiet', '--summary', summary]);
    const { rate, totals, generator: ours } = JSON.parse(readFileSync(summary, 'utf8')) as Summary;
    if (totals['committed'] !== OPERATIONS) throw new Error(`only ${totals['committed']} operations were committed`);
    return { perSecond: rate.achieved, cpuMicros: ours.cpu_micros_per_operation! };
  }

  private async replay(recorded: string): Promise<Round> {
    // The recorded sessions name their database themselves.
    const { stdout } = await run(process.execPath, [
      REPLAY,
      String(this.cluster.settings.port),
      recorded,
      String(DEPTH),
    ]);
    const { operations, seconds, cpuMicros, errors } = JSON.parse(stdout) as Replayed;
    if (errors > 0) throw new Error(`the server answered the replay with ${errors} errors`);
    return { perSecond: operations / seconds, cpuMicros };
  }

  /** Returns a hash of all rows. */
  private async contents(): Promise<string> {
    return await this.in('limit_copy', async (client) => {
      const { rows: tables } = await client.query<{ name: string }>(
        "SELECT c.oid::regclass::text AS name FROM pg_class AS c WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1",
      );
      const sums: string[] = [];
      for (const { name } of tables) {
        const { rows } = await client.query<{ sum: string }>(
          `SELECT count(*) || '/' || coalesce(sum(hashtextextended(t::text, 0)), 0) AS sum FROM ${name} AS t`,
        );
        sums.push(`${name} ${rows[0]!.sum}`);
      }
      return sums.join('\n');
    });
  }

  private async in<Result>(database: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
    const { host, port, user } = this.cluster.settings;
    const client = new pg.Client({ host, port, user, database });
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  }
}

await withServer(async (cluster, client) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'bench-limit-'));
  try {
    console.log(
      `${describeMachine()}; ${CONNECTIONS} connections, ${WORKERS} worker, depth ${DEPTH}, ${ROUNDS} rounds of ${OPERATIONS} operations; median (middle half)`,
    );
    for (const scenario of SCENARIOS) await new Comparison(cluster, client, folder, scenario).run();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
