import type pg from 'pg';
import { settledWithin } from '../patience.js';

/* The catalog is polled, because a changed key or a new column raises no error by itself. */
const INTERVAL_MS = 10_000;
/* How long the last look may take at the end of the run. */
const LAST_LOOK_MS = 5000;
const MOST_NAMED = 6;

/** The parts of each relation, in words; null: the table does not exist. */
type Shape = ReadonlyMap<string, ReadonlySet<string> | null>;

/* Names and definitions from the catalog, of tables and the enums that they use, without indexes made by a run. */
const PARTS = `
WITH target AS (SELECT name, to_regclass(name) AS oid FROM unnest($1::text[]) AS given (name))
SELECT target.name, target.oid IS NULL AS gone, part.words
FROM target LEFT JOIN LATERAL (
  SELECT format('table with oid %s', target.oid::oid) AS words WHERE target.oid IS NOT NULL
  UNION ALL
  SELECT format('column %s (%s%s)', a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ', not null' ELSE '' END)
    FROM pg_attribute AS a WHERE a.attrelid = target.oid AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT format('constraint %s', c.conname) FROM pg_constraint AS c WHERE c.conrelid = target.oid AND c.contype <> 'n'
  UNION ALL
  SELECT format('unique index %s', i.indexrelid::regclass) FROM pg_index AS i WHERE i.indrelid = target.oid AND i.indisunique
  UNION ALL
  SELECT format('trigger %s', t.tgname) FROM pg_trigger AS t WHERE t.tgrelid = target.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'
  UNION ALL
  SELECT format('label %s of %s', e.enumlabel, format_type(e.enumtypid, NULL)) FROM pg_enum AS e
    WHERE e.enumtypid IN (SELECT a.atttypid FROM pg_attribute AS a WHERE a.attrelid = target.oid)
) AS part ON true`;

export interface SchemaWatchOptions {
  /** Labels of the tables that the run writes. */
  readonly tables: readonly string[];
  readonly connect: () => Promise<pg.Client>;
  readonly say: (text: string) => void;
  /** Called when none of the tables exists any more. */
  readonly allGone: () => void;
  /** Called with what has changed. */
  readonly changed: (text: string) => void;
}

/** Notices and reports schema changes by others during a run. */
export class SchemaWatch {
  private readonly options: SchemaWatchOptions;
  private readonly changed = new Set<string>();
  private shape: Shape | null = null;
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void>;
  private isOver = false;

  constructor(options: SchemaWatchOptions) {
    this.options = options;
    this.looking = this.look();
  }

  /** Takes a last look if the server is reachable. Returns the changed tables, and which of them no longer exist. */
  async end(isReachable: boolean): Promise<{ readonly changed: readonly string[]; readonly gone: readonly string[] }> {
    this.isOver = true;
    clearTimeout(this.timer);
    if (isReachable) {
      const last = this.looking.then(() => this.look());
      await settledWithin(last, LAST_LOOK_MS);
    }
    const gone = [...this.changed].filter((label) => this.shape?.get(label) === null);
    return { changed: [...this.changed], gone };
  }

  /** Looks now, because a statement was rejected in a way that a changed schema would explain. */
  hurry(): void {
    if (this.isOver || this.timer === undefined) return;
    clearTimeout(this.timer);
    this.timer = undefined;
    this.looking = this.look();
  }

  private async look(): Promise<void> {
    // During an outage the catalog cannot be read; a later look reads it.
    await this.compare().catch(() => undefined);
    if (!this.isOver) this.timer = setTimeout(() => this.hurry(), INTERVAL_MS).unref();
  }

  private async compare(): Promise<void> {
    const shape = await this.read();
    const before = this.shape;
    this.shape = shape;
    if (before === null) return;
    const differences = this.options.tables.flatMap((label) => {
      const words = differenceOf(before.get(label) ?? null, shape.get(label) ?? null);
      if (words === null) return [];
      this.changed.add(label);
      return [`${label}: ${words}`];
    });
    if (differences.length === 0) return;
    const rest = differences.length - MOST_NAMED;
    const text = `the schema has changed: ${differences.slice(0, MOST_NAMED).join('; ')}${rest > 0 ? `; and ${rest} more tables` : ''}`;
    this.options.say(`${text}; operations that are no longer possible are skipped`);
    this.options.changed(text);
    if ([...shape.values()].every((parts) => parts === null)) this.options.allGone();
  }

  private async read(): Promise<Shape> {
    const client = await this.options.connect();
    try {
      const { rows } = await client.query<{ name: string; gone: boolean; words: string | null }>(PARTS, [
        this.options.tables,
      ]);
      const shape = new Map<string, Set<string> | null>();
      for (const { name, gone, words } of rows) {
        const parts = shape.get(name) ?? (gone ? null : new Set<string>());
        if (words !== null) parts?.add(words);
        shape.set(name, parts);
      }
      return shape;
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

function differenceOf(before: ReadonlySet<string> | null, after: ReadonlySet<string> | null): string | null {
  if (before === null && after === null) return null;
  if (after === null) return 'the table no longer exists';
  if (before === null) return 'the table exists again';
  const lost = [...before].filter((part) => !after.has(part)).map((part) => `${part} is gone`);
  const gained = [...after].filter((part) => !before.has(part)).map((part) => `${part} is new`);
  const all = [...lost, ...gained];
  if (all.length === 0) return null;
  return all.length > MOST_NAMED ? `${all.slice(0, MOST_NAMED).join(', ')}, …` : all.join(', ');
}
