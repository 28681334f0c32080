import type { Stream } from '../../src/random/stream.js';
import type { Site } from './site.js';

/** What a fault may act on. */
export interface Scene {
  readonly site: Site;
  readonly database: string;
  /** Tables of the run, as SQL writes them. */
  readonly tables: readonly string[];
  readonly stream: Stream;
}

export interface Fault {
  readonly name: string;
  /** True if the run may rightly say afterwards that it cannot be repeated. */
  readonly changesRows: boolean;
  readonly weight: number;
  readonly strike: (scene: Scene) => Promise<void>;
}

const LANES = "datname = $1 AND application_name ~ '^eventgen/[^/]+/[0-9]+$'";
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A table of the run, at random. */
function someTable({ tables, stream }: Scene): string {
  return tables[stream.below(tables.length)]!;
}

export const FAULTS: readonly Fault[] = [
  {
    name: 'connections cut',
    changesRows: false,
    weight: 6,
    strike: async ({ site, stream }) => site.gate.cut(stream.chance(0.3) ? 1 : 0.5),
  },
  {
    name: 'silent network',
    changesRows: false,
    weight: 3,
    strike: async ({ site, stream }) => await site.gate.silence(300 + stream.below(1200)),
  },
  {
    name: 'sessions terminated',
    changesRows: false,
    weight: 4,
    strike: async ({ site, database }) => {
      await site.in(database, async (client) => {
        await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${LANES} LIMIT 2`, [database]);
      });
    },
  },
  {
    name: 'backend killed',
    changesRows: false,
    weight: 3,
    strike: async ({ site, database }) => {
      const pid = await site.in(database, async (client) => {
        const { rows } = await client.query<{ pid: number }>(
          `SELECT pid FROM pg_stat_activity WHERE ${LANES} LIMIT 1`,
          [database],
        );
        return rows[0]?.pid;
      });
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
    },
  },
  {
    name: 'server killed',
    changesRows: false,
    weight: 2,
    strike: async ({ site }) => await site.restart('SIGKILL'),
  },
  {
    name: 'immediate restart',
    changesRows: false,
    weight: 2,
    strike: async ({ site }) => await site.restart('SIGQUIT'),
  },
  {
    name: 'read-only',
    changesRows: false,
    weight: 2,
    strike: async ({ site, stream }) => {
      const set = async (value: 'on' | 'off') =>
        await site.in('postgres', async (client) => {
          await client.query('SET default_transaction_read_only = off');
          await client.query(`ALTER SYSTEM SET default_transaction_read_only = ${value}`);
          await client.query('SELECT pg_reload_conf()');
        });
      await set('on');
      await sleep(300 + stream.below(700));
      await set('off');
    },
  },
  {
    name: 'table locked',
    changesRows: true,
    weight: 2,
    strike: async (scene) => {
      await scene.site.in(scene.database, async (client) => {
        await client.query(`BEGIN; SET LOCAL lock_timeout = '3s'; LOCK TABLE ${someTable(scene)}`);
        await sleep(500 + scene.stream.below(1500));
        await client.query('COMMIT');
      });
    },
  },
  {
    name: 'column added',
    changesRows: true,
    weight: 1,
    strike: async (scene) => {
      const name = `chaos_${scene.stream.below(1_000_000)}`;
      await scene.site.in(scene.database, async (client) => {
        await client.query(`SET lock_timeout = '3s'`);
        await client.query(`ALTER TABLE ${someTable(scene)} ADD COLUMN ${name} int`);
      });
    },
  },
  {
    name: 'failover',
    changesRows: true,
    weight: 1,
    strike: async ({ site }) => await site.failOver(),
  },
];
