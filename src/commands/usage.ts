import type pg from 'pg';

/* What the server knows of how a database is used: statistics that a configuration can be made from. Nothing is written. */

/** The changes of a table since the server's statistics were reset. */
export interface Activity {
  readonly label: string;
  readonly size: string;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}

export async function readActivity(
  client: pg.Client,
  schemas: readonly string[],
): Promise<ReadonlyMap<string, Activity>> {
  // The figures of a partitioned table are those of its partitions.
  const { rows } = await client.query<Record<keyof Activity, string>>(
    `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS label, pg_size_pretty(sum(pg_total_relation_size(part.oid))) AS size,
       coalesce(sum(s.n_tup_ins), 0) AS inserted, coalesce(sum(s.n_tup_upd), 0) AS updated, coalesce(sum(s.n_tup_del), 0) AS deleted
     FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL (SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid)) AS part (oid)
     LEFT JOIN pg_stat_user_tables AS s ON s.relid = part.oid
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname = ANY ($1) GROUP BY n.nspname, c.relname`,
    [schemas],
  );
  return new Map(
    rows.map(({ label, size, inserted, updated, deleted }) => [
      label,
      { label, size, inserted: Number(inserted), updated: Number(updated), deleted: Number(deleted) },
    ]),
  );
}

/** Rows per statement, by operation, from pg_stat_statements; null if it is not available. */
export type Batches = Readonly<Record<'insert' | 'update' | 'delete', number>> | null;

export async function readBatches(client: pg.Client): Promise<Batches> {
  try {
    const { rows } = await client.query<{ kind: 'insert' | 'update' | 'delete'; rows: string; calls: string }>(`
      SELECT lower(substring(query from '^\\s*(\\w+)')) AS kind, sum(rows) AS rows, sum(calls) AS calls FROM pg_stat_statements
      WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND query ~* '^\\s*(insert|update|delete)\\M' GROUP BY 1`);
    if (rows.length === 0) return null;
    const of = (kind: string) => {
      const found = rows.find((row) => row.kind === kind);
      return found === undefined
        ? 1
        : Math.min(1000, Math.max(1, Math.round(Number(found.rows) / Number(found.calls))));
    };
    return { insert: of('insert'), update: of('update'), delete: of('delete') };
  } catch {
    // It is not installed, not loaded, or not readable for this user.
    return null;
  }
}

/** How unevenly rows are referenced, as the column statistics show it. */
export interface Skew {
  /** schema.table.column of the foreign key where it is strongest. */
  readonly column: string;
  /** Exponent of Zipf's law that fits the frequencies of the most common values. */
  readonly exponent: number;
}

/* Fewer frequencies, or a worse fit, say nothing of a law. */
const FEWEST_FREQUENCIES = 20;
const LEAST_FIT = 0.85;
const LEAST_EXPONENT = 0.3;
/* In fewer rows, chance looks like a law. */
const FEWEST_ROWS = 1000;

/** Returns the strongest skew of references to parent rows; null if the statistics show none. */
export async function readSkew(client: pg.Client, schemas: readonly string[]): Promise<Skew | null> {
  const { rows } = await client.query<{ name: string; frequencies: number[] }>(
    `SELECT quote_ident(s.schemaname) || '.' || quote_ident(s.tablename) || '.' || quote_ident(s.attname) AS name,
       s.most_common_freqs::float8[] AS frequencies
     FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
     JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
     JOIN pg_stats AS s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
     WHERE k.contype = 'f' AND array_length(k.conkey, 1) = 1 AND n.nspname = ANY ($1) AND s.most_common_freqs IS NOT NULL
       AND c.reltuples >= ${FEWEST_ROWS}`,
    [schemas],
  );
  const found = rows.flatMap(({ name, frequencies }): Skew[] => {
    const fitted = zipfExponent(frequencies);
    return fitted === null || fitted < LEAST_EXPONENT ? [] : [{ column: name, exponent: fitted }];
  });
  return found.reduce<Skew | null>((most, each) => (each.exponent > (most?.exponent ?? 0) ? each : most), null);
}

/** Returns the exponent of Zipf's law, by least squares of log frequency over log rank; null if the law does not fit. */
function zipfExponent(frequencies: readonly number[]): number | null {
  const n = frequencies.length;
  if (n < FEWEST_FREQUENCIES) return null;
  const points = [...frequencies]
    .sort((a, b) => b - a)
    .map((frequency, index) => ({ x: Math.log(index + 1), y: Math.log(frequency) }));
  const mean = (of: (point: (typeof points)[number]) => number) => points.reduce((sum, each) => sum + of(each), 0) / n;
  const [mx, my] = [mean(({ x }) => x), mean(({ y }) => y)];
  const covariance = mean(({ x, y }) => (x - mx) * (y - my));
  const [vx, vy] = [mean(({ x }) => (x - mx) ** 2), mean(({ y }) => (y - my) ** 2)];
  if (vy === 0 || covariance ** 2 / (vx * vy) < LEAST_FIT) return null;
  return Math.round((-covariance / vx) * 100) / 100;
}

/** A parameter of the session that triggers, defaults or conditions of tables read. */
export interface SessionSetting {
  readonly name: string;
  /** Its value in a new session of this user; null: it has none, so reading it fails. */
  readonly value: string | null;
  /** What reads it. */
  readonly reader: string;
}

/** Returns the parameters of their own kind (with a dot in the name) that the schemas' code reads from the session. */
export async function readSessionSettings(client: pg.Client, schemas: readonly string[]): Promise<SessionSetting[]> {
  const { rows } = await client.query<{ name: string; value: string | null; reader: string }>(
    `WITH code AS (
       SELECT format('trigger %I on %I.%I', t.tgname, n.nspname, c.relname) AS reader, p.prosrc AS text
       FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
       JOIN pg_proc AS p ON p.oid = t.tgfoid WHERE NOT t.tgisinternal AND n.nspname = ANY ($1)
       UNION ALL
       SELECT format('default of %I.%I.%I', n.nspname, c.relname, a.attname), pg_get_expr(d.adbin, d.adrelid)
       FROM pg_attrdef AS d JOIN pg_class AS c ON c.oid = d.adrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
       JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.adnum WHERE n.nspname = ANY ($1)
       UNION ALL
       SELECT format('constraint %I of %I.%I', k.conname, n.nspname, c.relname), pg_get_constraintdef(k.oid)
       FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
       WHERE k.contype = 'c' AND n.nspname = ANY ($1)
       UNION ALL
       SELECT format('policy %I of %I.%I', policyname, schemaname, tablename), concat_ws(' ', qual, with_check)
       FROM pg_policies WHERE schemaname = ANY ($1)
     )
     SELECT found.name[1] AS name, min(code.reader) AS reader, nullif(current_setting(found.name[1], true), '') AS value
     FROM code CROSS JOIN LATERAL regexp_matches(code.text, 'current_setting\\s*\\(\\s*''([A-Za-z_][A-Za-z0-9_$]*(?:\\.[A-Za-z_][A-Za-z0-9_$]*)+)''', 'gi') AS found (name)
     GROUP BY 1, 3 ORDER BY 1`,
    [schemas],
  );
  return rows;
}

/** What the statistics know of a column's values. */
export interface ColumnStatistics {
  /** All its values, if they are few; null otherwise. */
  readonly values: readonly string[] | null;
  readonly low: string | null;
  readonly high: string | null;
}

/* More different values are no list to choose from. */
const MOST_VALUES = 20;

/** Returns what the statistics know of a column; null if it was never analyzed, or is not readable for this user. */
export async function readColumn(client: pg.Client, table: string, column: string): Promise<ColumnStatistics | null> {
  const { rows } = await client.query<{ distinct: number; common: string[] | null; bounds: string[] | null }>(
    `SELECT s.n_distinct::float8 AS distinct, s.most_common_vals::text::text[] AS common, s.histogram_bounds::text::text[] AS bounds
     FROM pg_stats AS s WHERE to_regclass($1) = to_regclass(format('%I.%I', s.schemaname, s.tablename)) AND s.attname = $2`,
    [table, column],
  );
  const [found] = rows;
  if (found === undefined) return null;
  const { distinct, common, bounds } = found;
  const isListed = bounds === null && common !== null && distinct > 0 && distinct <= MOST_VALUES;
  return {
    values: isListed ? common : null,
    low: bounds?.[0] ?? null,
    high: bounds?.[bounds.length - 1] ?? null,
  };
}
