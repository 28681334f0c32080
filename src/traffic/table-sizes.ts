import type pg from 'pg';

const INTERVAL_MS = 60_000;

/* With indexes and TOAST; partitions are added to their table. */
const SIZES = `
SELECT coalesce(sum(pg_total_relation_size(part.oid)), 0)::float8 AS bytes
FROM unnest($1::text[]) AS given (name) CROSS JOIN LATERAL (
  SELECT to_regclass(name)::oid UNION SELECT relid FROM pg_partition_tree(to_regclass(name))
) AS part (oid)`;

/** Reads once a minute how large the tables of a run are, for the trend of a long run. */
export class TableSizes {
  private readonly tables: readonly string[];
  private readonly connect: () => Promise<pg.Client>;
  private readonly intervalMs: number;
  private timer: NodeJS.Timeout | undefined;
  private isOver = false;
  /** In bytes; 0 while it is not known. */
  bytes = 0;

  constructor(tables: readonly string[], connect: () => Promise<pg.Client>, intervalMs = INTERVAL_MS) {
    this.tables = tables;
    this.connect = connect;
    this.intervalMs = intervalMs;
    this.timer = setTimeout(() => void this.look(), this.intervalMs).unref();
  }

  end(): void {
    this.isOver = true;
    clearTimeout(this.timer);
  }

  private async look(): Promise<void> {
    // During an outage nothing can be read; a later look reads it.
    await this.read().catch(() => undefined);
    if (!this.isOver) this.timer = setTimeout(() => void this.look(), this.intervalMs).unref();
  }

  private async read(): Promise<void> {
    const client = await this.connect();
    try {
      const { rows } = await client.query<{ bytes: number }>(SIZES, [this.tables]);
      this.bytes = rows[0]!.bytes;
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}
