import type pg from 'pg';
import { quoteIdentifier } from '../catalog/model.js';
import { type Seed, split } from '../random/seed.js';
import { Stream } from '../random/stream.js';
import { processIdOf } from './session.js';

/** A column that can be indexed: its table, qualified and quoted, and an access method that supports its type. */
export interface IndexableColumn {
  readonly schema: string;
  readonly table: string;
  readonly column: string;
  readonly method: string;
}

const PREFIX = 'event_gen_idx';
/** The most indexes of ours that exist at once; beyond it the oldest is dropped. */
const MOST = 3;
/* A drop waits for every transaction that uses the table, but the end of the run must not wait for an abandoned one. */
const LAST_DROP_TIMEOUT_MS = 10_000;

/**
 * Columns of tables that the user owns, of a type for which an access method has default operators. An index must never be
 * what refuses a row: B-tree refuses values of more than 2,704 bytes, so it takes types of fixed length; others are hashed, or
 * looked into by GIN and GiST. Partitioned tables cannot be indexed CONCURRENTLY: their partitions are taken instead.
 */
export async function indexableColumns(client: pg.Client, tables: readonly string[]): Promise<IndexableColumn[]> {
  const { rows } = await client.query<IndexableColumn>(
    `WITH RECURSIVE chosen AS (
       SELECT DISTINCT leaf.oid, leaf.relname, leaf.relnamespace
       FROM unnest($1::text[]) AS t (name)
       CROSS JOIN LATERAL (SELECT t.name::regclass::oid AS relid UNION SELECT relid FROM pg_partition_tree(t.name::regclass)) AS tree
       JOIN pg_class AS leaf ON leaf.oid = tree.relid
       WHERE leaf.relkind = 'r' AND pg_has_role(leaf.relowner, 'USAGE')
     ), base AS (
       SELECT c.oid AS relid, a.attnum, a.atttypid AS type FROM chosen AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
       WHERE a.attnum > 0 AND NOT a.attisdropped
       UNION ALL
       SELECT b.relid, b.attnum, t.typbasetype FROM base AS b JOIN pg_type AS t ON t.oid = b.type WHERE t.typtype = 'd'
     ), typed AS (
       SELECT b.relid, b.attnum, t.oid AS type,
         CASE WHEN t.typlen > 0 THEN '{btree,hash,gist}'
              WHEN t.typcategory = 'A' THEN CASE WHEN EXISTS (SELECT FROM pg_opclass AS o JOIN pg_am AS am ON am.oid = o.opcmethod
                WHERE o.opcdefault AND am.amname = 'btree' AND o.opcintype = t.typelem) THEN '{gin}' ELSE '{}' END
              WHEN t.typtype IN ('r', 'm') THEN '{gist}' WHEN t.typtype = 'b' THEN '{hash,gin,gist}' ELSE '{}' END::text[] AS methods,
         CASE WHEN t.typcategory = 'A' THEN 'anyarray'::regtype WHEN t.typtype = 'e' THEN 'anyenum'::regtype
              WHEN t.typtype = 'r' THEN 'anyrange'::regtype WHEN t.typtype = 'm' THEN 'anymultirange'::regtype END AS family
       FROM base AS b JOIN pg_type AS t ON t.oid = b.type WHERE t.typtype <> 'd'
     )
     SELECT n.nspname AS schema, c.relname AS table, a.attname AS column, m.amname AS method
     FROM typed AS y JOIN chosen AS c ON c.oid = y.relid JOIN pg_namespace AS n ON n.oid = c.relnamespace
     JOIN pg_attribute AS a ON a.attrelid = y.relid AND a.attnum = y.attnum
     JOIN LATERAL (
       SELECT am.amname FROM pg_opclass AS o JOIN pg_am AS am ON am.oid = o.opcmethod
       WHERE o.opcdefault AND am.amname = ANY (y.methods)
         AND (o.opcintype IN (y.type, y.family)
           OR EXISTS (SELECT FROM pg_cast AS k WHERE k.castsource = y.type AND k.casttarget = o.opcintype AND k.castmethod = 'b' AND k.castcontext = 'i'))
       ORDER BY array_position('{btree,hash,gin,gist}', am.amname::text) LIMIT 1
     ) AS m ON true
     ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C", a.attnum`,
    [tables],
  );
  return rows;
}

/** Drops indexes that a killed run left behind: those with our names whose run has no session any more. */
export async function dropLeftovers(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ schema: string; name: string }>(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE c.relkind = 'i' AND c.relname ~ '^${PREFIX}_[0-9a-f]{8}_[0-9]+$' AND pg_has_role(c.relowner, 'USAGE')
       AND NOT EXISTS (SELECT FROM pg_stat_activity AS s WHERE s.application_name LIKE 'eventgen/' || split_part(c.relname, '_', 4) || '/%')`,
  );
  for (const { schema, name } of rows) await client.query(dropSql(schema, name));
  return rows.length;
}

/** How many indexes the index builder created and dropped, and how often that failed. */
export interface IndexCounts {
  readonly created: number;
  readonly dropped: number;
  readonly failed: number;
}

interface Options {
  readonly runId: string;
  readonly columns: readonly IndexableColumn[];
  readonly intervalMs: number;
  readonly seed: Seed;
  /** Opens a separate session without statement time-out, because a build waits for older transactions. */
  readonly connectLike: () => Promise<pg.Client>;
  readonly report: (text: string) => void;
}

/**
 * Creates an index, or drops its oldest one, at every interval. It runs one statement at a time; a build that takes
 * longer than the interval skips beats.
 */
export class IndexBuilder {
  private readonly options: Options;
  private readonly stream: Stream;
  private readonly standing: { schema: string; name: string }[] = [];
  /** Columns on which a build failed; another try would fail as well. */
  private readonly refused = new Set<IndexableColumn>();
  private client: pg.Client | null = null;
  private processId = 0;
  private timer: NodeJS.Timeout | undefined;
  private working: Promise<void> | null = null;
  private ending = false;
  private number = 0;
  private created = 0;
  private dropped = 0;
  private failed = 0;

  constructor(options: Options) {
    this.options = options;
    this.stream = Stream.of(split(options.seed, 'indexes'));
  }

  get counts(): IndexCounts {
    const { created, dropped, failed } = this;
    return { created, dropped, failed };
  }

  start(): void {
    const beat = () => {
      if (this.working !== null) return;
      this.working = this.work().finally(() => {
        this.working = null;
      });
    };
    beat();
    this.timer = setInterval(beat, this.options.intervalMs);
    this.timer.unref();
  }

  /** Cancels a build in progress and drops every index of this run. Reports indexes that it cannot drop in time. */
  async end(): Promise<void> {
    this.ending = true;
    clearInterval(this.timer);
    if (this.working !== null) {
      await this.cancel();
      await this.working;
    }
    try {
      if (this.standing.length > 0)
        await (await this.session()).query(`SET statement_timeout = ${LAST_DROP_TIMEOUT_MS}`);
      for (const { schema, name } of this.standing) {
        try {
          await this.drop(schema, name);
        } catch (error) {
          if (!isRefusal(error)) throw error;
          this.options.report(`index ${name} could not be dropped (the next run drops it): ${error.message}`);
        }
      }
    } catch (error) {
      this.options.report(
        `indexes ${PREFIX}_${this.options.runId}_… may not have been dropped (the next run drops them): ${(error as Error).message}`,
      );
    } finally {
      await this.client?.end().catch(() => undefined);
    }
  }

  private async work(): Promise<void> {
    try {
      if (this.standing.length >= MOST) {
        const { schema, name } = this.standing[0]!;
        await this.drop(schema, name);
        this.standing.shift();
      } else await this.create();
    } catch (error) {
      // The next beat opens a new connection if this one was lost, and tries a rejected drop again.
      if (!isRefusal(error)) this.client = null;
      if (!this.ending)
        this.options.report(
          `enable_index_create_drop: creating or dropping an index failed: ${(error as Error).message}`,
        );
    }
  }

  private async create(): Promise<void> {
    const columns = this.options.columns.filter((column) => !this.refused.has(column));
    if (columns.length === 0) return;
    const chosen = columns[this.stream.below(columns.length)]!;
    const { schema, table, column, method } = chosen;
    const name = `${PREFIX}_${this.options.runId}_${this.number++}`;
    const client = await this.session();
    this.standing.push({ schema, name });
    try {
      await client.query(
        `CREATE INDEX CONCURRENTLY ${quoteIdentifier(name)} ON ${quoteIdentifier(schema)}.${quoteIdentifier(table)} USING ${method} (${quoteIdentifier(column)})`,
      );
      this.created++;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      // A build that failed leaves an invalid index behind.
      await client.query(dropSql(schema, name));
      this.standing.pop();
      if (this.ending) return;
      this.failed++;
      this.refused.add(chosen);
      this.options.report(
        `cannot create an index on ${schema}.${table} (${column}), trying other columns: ${error.message}`,
      );
    }
  }

  private async drop(schema: string, name: string): Promise<void> {
    const client = await this.session();
    await client.query(dropSql(schema, name));
    this.dropped++;
  }

  private async session(): Promise<pg.Client> {
    if (this.client === null) {
      this.client = await this.options.connectLike();
      this.processId = processIdOf(this.client);
      this.client.on('end', () => {
        this.client = null;
      });
    }
    return this.client;
  }

  private async cancel(): Promise<void> {
    try {
      const other = await this.options.connectLike();
      await other.query('SELECT pg_cancel_backend($1)', [this.processId]);
      await other.end();
    } catch {
      // Without a server there is nothing to cancel.
    }
  }
}

function dropSql(schema: string, name: string): string {
  return `DROP INDEX CONCURRENTLY IF EXISTS ${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

function isRefusal(error: unknown): error is pg.DatabaseError {
  const { severity, code } = error as { severity?: string; code?: string };
  return severity === 'ERROR' && code !== undefined;
}
