import type pg from 'pg';
import { quoteIdentifier } from '../catalog/model.js';
import type { ColumnDifference } from './chain.js';
import { canonicalOf, classOf } from './values.js';

/** A table that two databases are asked to hold alike. */
export interface ComparedTable {
  /** schema.table in the source. */
  readonly name: string;
  /** Quoted for SQL, in the source and in the target. */
  readonly source: string;
  readonly target: string;
  /** Columns that are compared, in order, with their types in the source. */
  readonly columns: ReadonlyMap<string, string>;
  /** Columns of the key, among them; empty: rows are a multiset. */
  readonly key: readonly string[];
}

/** A row that only one side has, or that the sides hold differently. */
export interface RowDifference {
  readonly table: string;
  /** As JSON; of a table without a key the whole row. */
  readonly key: string;
  readonly class: 'missing' | 'extra' | 'different';
  readonly columns: readonly ColumnDifference[];
}

export interface TableResult {
  readonly table: string;
  readonly source: number;
  readonly target: number;
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  /** Rows that are the same but for the representation of a value. */
  readonly representation: number;
  /** Rows that still changed at the last check. */
  readonly unsettled: number;
  /** True where there are more rows that differ than are looked at. */
  readonly isAtLeast: boolean;
  readonly differences: readonly RowDifference[];
}

export interface ContentOptions {
  /** Waits until everything that the source contains now must have arrived. Returns false if the time was not enough. */
  readonly fence: () => Promise<boolean>;
  /** How often rows that differ are looked at again. */
  readonly rechecks: number;
  /** Rows per second that are read from either side; 0: as fast as it goes. */
  readonly rate: number;
  readonly step: (text: string) => void;
}

/* Rows are dealt out to so many buckets by a hash of their key, then those of each bucket that differs once more. */
const BUCKETS = 1024;
/* A bucket of so many rows is read row by row. */
const MOST_IN_BUCKET = 2000;
/* So many rows that differ are looked at. */
const MOST_ROWS = 10_000;
const MOST_LEVELS = 4;

/** Settings under which the same value has the same text on every server. */
export const PINNED_SETTINGS =
  "SET search_path = pg_catalog; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC'; " +
  "SET extra_float_digits = 3; SET bytea_output = 'hex'; SET lc_monetary = 'C'; SET lc_numeric = 'C'; SET xmloption = 'content'; " +
  'SET default_transaction_read_only = on; SET statement_timeout = 0; SET row_security = off';

interface Bucket {
  readonly count: number;
  /** Two sums of 64-bit hashes, as decimal texts. */
  readonly sum: string;
}

/** Compares one table of two databases. Reads only. */
export class TableComparison {
  private readonly clients: readonly [source: pg.Client, target: pg.Client];
  private readonly table: ComparedTable;
  private readonly options: ContentOptions;

  constructor(clients: readonly [pg.Client, pg.Client], table: ComparedTable, options: ContentOptions) {
    this.clients = clients;
    this.table = table;
    this.options = options;
  }

  async run(): Promise<TableResult> {
    const whole = await this.buckets([]);
    const sizes = whole.map((side) => [...side.values()].reduce((sum, { count }) => sum + count, 0));
    const differing = differingBuckets(whole);
    const found = differing.length === 0 ? NO_ROWS : await this.drill(whole, differing, []);
    const looked =
      found.rows.size === 0 ? { differences: [], unsettled: 0, representation: 0 } : await this.settle(found.rows);
    const { differences } = looked;
    const count = (kind: RowDifference['class']) => differences.filter((each) => each.class === kind).length;
    return {
      table: this.table.name,
      source: sizes[0]!,
      target: sizes[1]!,
      missing: count('missing'),
      extra: count('extra'),
      different: count('different'),
      representation: looked.representation,
      unsettled: looked.unsettled,
      isAtLeast: found.isAtLeast,
      differences,
    };
  }

  /** Sums of rows by bucket on both sides, within a bucket of each level above. */
  private async buckets(path: readonly number[]): Promise<[Map<number, Bucket>, Map<number, Bucket>]> {
    this.options.step(`comparing ${this.table.name}`);
    const startMs = performance.now();
    const sides = await this.onBoth((client, name) => this.bucketsOf(client, name, path));
    const rows = Math.max(...sides.map((side) => [...side.values()].reduce((sum, { count }) => sum + count, 0)));
    await this.hold(rows, startMs);
    return sides;
  }

  /** Pauses after each read, so that the rate is kept. */
  private async hold(rows: number, startMs: number): Promise<void> {
    const { rate } = this.options;
    const waitMs = rate === 0 ? 0 : (rows / rate) * 1000 - (performance.now() - startMs);
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
  }

  private async bucketsOf(client: pg.Client, name: string, path: readonly number[]): Promise<Map<number, Bucket>> {
    const { rows } = await client.query<{ bucket: number; count: string; sum: string }>(
      `SELECT b AS bucket, count(*)::text AS count,
              sum(hashtextextended(r, 0))::text || '/' || sum(hashtextextended(r, 1))::text AS sum
       FROM (SELECT ${bucketSql(path.length)} AS b, r FROM ${this.textsOf(name)}
             ${whereBuckets(path)}) AS y GROUP BY 1`,
    );
    return new Map(rows.map(({ bucket, count, sum }) => [bucket, { count: Number(count), sum }]));
  }

  /** The rows of the buckets that differ. */
  private async drill(
    sides: readonly [Map<number, Bucket>, Map<number, Bucket>],
    differing: readonly number[],
    path: readonly number[],
  ): Promise<FoundRows> {
    const keys = new Map<string, readonly string[]>();
    let isAtLeast = false;
    const small: number[] = [];
    for (const bucket of differing) {
      const size = Math.max(...sides.map((side) => side.get(bucket)?.count ?? 0));
      if (size <= MOST_IN_BUCKET || path.length + 1 >= MOST_LEVELS) {
        small.push(bucket);
        continue;
      }
      const inner = await this.buckets([...path, bucket]);
      const found = await this.drill(inner, differingBuckets(inner), [...path, bucket]);
      for (const [key, names] of found.rows) keys.set(key, names);
      isAtLeast ||= found.isAtLeast;
      if (keys.size >= MOST_ROWS) return { rows: keys, isAtLeast: true };
    }
    isAtLeast ||= keys.size > MOST_ROWS;
    for (let from = 0; from < small.length; from += BUCKETS_AT_ONCE) {
      const found = await this.differingKeys(path, small.slice(from, from + BUCKETS_AT_ONCE));
      for (const [key, names] of found) keys.set(key, names);
      if (keys.size >= MOST_ROWS)
        return { rows: keys, isAtLeast: isAtLeast || keys.size > MOST_ROWS || from + BUCKETS_AT_ONCE < small.length };
    }
    return { rows: keys, isAtLeast };
  }

  /** Keys whose rows differ, within some buckets. */
  private async differingKeys(path: readonly number[], buckets: readonly number[]): Promise<Keys> {
    const names = this.table.key.map((column) => `t.${quoteIdentifier(column)}::text`);
    const read = async (client: pg.Client, name: string) => {
      const { rows } = await client.query<{ k: string; names: string[]; sum: string }>(
        `SELECT k, min(names) AS names,
                count(*)::text || '/' || sum(hashtextextended(r, 0))::text || '/' || sum(hashtextextended(r, 1))::text AS sum
         FROM (SELECT ${this.keySql()} AS k, ARRAY[${names.join(', ')}]::text[] AS names, ${this.rowSql()} AS r FROM ${name} AS t OFFSET 0) AS x
         ${whereBuckets(path, buckets)} GROUP BY 1`,
      );
      return new Map(rows.map((row) => [row.k, row]));
    };
    const [source, target] = await this.onBoth(read);
    const keys = new Map<string, readonly string[]>();
    for (const [key, row] of source) if (target.get(key)?.sum !== row.sum) keys.set(key, row.names);
    for (const [key, row] of target) if (!source.has(key)) keys.set(key, row.names);
    return keys;
  }

  /**
   * Looks at rows that differ once more, each time behind a fence: a row that is on its way becomes equal, and one that the
   * source has not changed meanwhile is different for good.
   */
  private async settle(
    keys: Keys,
  ): Promise<{ differences: RowDifference[]; unsettled: number; representation: number }> {
    let open: readonly string[] = [...keys.keys()].slice(0, MOST_ROWS);
    let before = await this.rowsOf(open, keys);
    const settled: SettledRows[] = [];
    for (let look = 1; open.length > 0; look++) {
      // What is still on its way is neither missing nor different.
      if (!(await this.options.fence())) break;
      const now = await this.rowsOf(open, keys);
      const still: string[] = [];
      for (const key of open) {
        const [source, target] = [now[0].get(key) ?? [], now[1].get(key) ?? []];
        if (sameRows(source, target)) continue;
        // One that still changes on either side may be on its way.
        const isSettled = sameRows(source, before[0].get(key) ?? []) && sameRows(target, before[1].get(key) ?? []);
        if (isSettled) settled.push({ key, source, target });
        else still.push(key);
      }
      open = still;
      before = now;
      if (look > this.options.rechecks) break;
    }
    return { ...this.judge(settled), unsettled: open.length };
  }

  /** What differs in rows that do not change any more. A different representation of a key is the same key. */
  private judge(settled: readonly SettledRows[]): { differences: RowDifference[]; representation: number } {
    const differences: RowDifference[] = [];
    let representation = 0;
    const add = (found: RowDifference | null) => {
      if (found === null) representation++;
      else differences.push(found);
    };
    const alone: { missing: [string, Texts][]; extra: [string, Texts][] } = { missing: [], extra: [] };
    for (const { key, source, target } of settled) {
      if (this.table.key.length > 0 && source.length === 1 && target.length === 1) {
        add(this.compareRows(key, source[0]!, target[0]!));
        continue;
      }
      // Of rows that are the same there are more on one side.
      for (const row of source.slice(target.length)) alone.missing.push([key, row]);
      for (const row of target.slice(source.length)) alone.extra.push([key, row]);
    }
    const extra = new Map<string, [string, Texts][]>();
    for (const each of alone.extra) {
      const name = this.canonicalKey(each[1]);
      extra.set(name, [...(extra.get(name) ?? []), each]);
    }
    for (const [key, row] of alone.missing) {
      const other = extra.get(this.canonicalKey(row))?.shift();
      add(other === undefined ? this.only('missing', key, row) : this.compareRows(key, row, other[1]));
    }
    for (const rest of extra.values()) for (const [key, row] of rest) add(this.only('extra', key, row));
    return { differences, representation };
  }

  /** The key of a row, or the whole row where there is none, in a canonical form. */
  private canonicalKey(row: Texts): string {
    const columns = [...this.table.columns];
    const { key } = this.table;
    return JSON.stringify(
      columns.flatMap(([column, type], index) => {
        if (key.length > 0 && !key.includes(column)) return [];
        const text = row[index] ?? null;
        return [text === null ? null : canonicalOf(type, text)];
      }),
    );
  }

  private only(kind: 'missing' | 'extra', key: string, row: Texts): RowDifference {
    return { table: this.table.name, key: this.nameOf(key, row), class: kind, columns: [] };
  }

  /** Texts of rows by their key; of a table without a key each row as often as it is there. */
  private async rowsOf(keys: readonly string[], all: Keys): Promise<[Rows, Rows]> {
    const { key: named, columns: types } = this.table;
    // Found by the index; which of them is meant the text decides, since the type may call others equal.
    const keyTypes = named.map((column) => types.get(column)!);
    const list = named.map((_, index) => `$${index + 2}::text[]`);
    // A type of a schema of its own may have another name there, and operators that are not found: its text will do.
    const conditions = named.map((column, index) =>
      keyTypes[index]!.includes('.')
        ? `t.${quoteIdentifier(column)}::text = v.c${index}`
        : `t.${quoteIdentifier(column)} = v.c${index}::${keyTypes[index]!} AND t.${quoteIdentifier(column)}::text = v.c${index}`,
    );
    const join =
      named.length === 0
        ? ''
        : `JOIN (SELECT DISTINCT * FROM unnest(${list.join(', ')}) AS u (${named.map((_, index) => `c${index}`).join(', ')})) AS v ON ${conditions.join(' AND ')}`;
    const columns = [...this.table.columns.keys()].map((column) => `t.${quoteIdentifier(column)}::text`);
    const read = async (client: pg.Client, name: string): Promise<Rows> => {
      const found: Rows = new Map();
      for (let from = 0; from < keys.length; from += ROWS_AT_ONCE) {
        const some = keys.slice(from, from + ROWS_AT_ONCE);
        const values = named.map((_, index) => some.map((key) => all.get(key)![index]!));
        const { rows } = await client.query<{ k: string; texts: (string | null)[] }>(
          `SELECT k, texts FROM (SELECT ${this.keySql()} AS k, ARRAY[${columns.join(', ')}]::text[] AS texts FROM ${name} AS t ${join}) AS x
           WHERE k = ANY ($1)`,
          [some, ...values],
        );
        for (const { k, texts } of rows) found.set(k, [...(found.get(k) ?? []), texts]);
      }
      return found;
    };
    return await this.onBoth(read);
  }

  /** Returns how two rows of the same key differ; null where they only have values in other words. */
  private compareRows(key: string, source: Texts, target: Texts): RowDifference | null {
    const columns = [...this.table.columns].flatMap(([column, type], index): ColumnDifference[] => {
      const [a, b] = [source[index]!, target[index]!];
      const found = classOf(type, a, b);
      return found === null || found === 'representation' ? [] : [{ column, class: found, source: a, target: b }];
    });
    if (columns.length === 0) return null;
    return { table: this.table.name, key: this.nameOf(key, source), class: 'different', columns };
  }

  private nameOf(key: string, texts: Texts): string {
    const names = this.table.key.length === 0 ? [...this.table.columns.keys()] : this.table.key;
    const places = [...this.table.columns.keys()];
    if (texts.length === 0) return key;
    return JSON.stringify(Object.fromEntries(names.map((name) => [name, texts[places.indexOf(name)] ?? null])));
  }

  /** Key and row of a table as texts. OFFSET: they are made once, although they are used several times. */
  private textsOf(name: string): string {
    return `(SELECT ${this.keySql()} AS k, ${this.rowSql()} AS r FROM ${name} AS t OFFSET 0) AS x`;
  }

  private keySql(): string {
    const { key, columns } = this.table;
    return textSql(key.length === 0 ? [...columns.keys()] : key);
  }

  private rowSql(): string {
    return textSql([...this.table.columns.keys()]);
  }

  private async onBoth<T>(work: (client: pg.Client, name: string) => Promise<T>): Promise<[T, T]> {
    const [source, target] = this.clients;
    return await Promise.all([work(source, this.table.source), work(target, this.table.target)]);
  }
}

type Texts = readonly (string | null)[];
type Rows = Map<string, Texts[]>;

/** Rows of one key on both sides, which differ and have not changed for a while. */
interface SettledRows {
  readonly key: string;
  readonly source: readonly Texts[];
  readonly target: readonly Texts[];
}

/** The texts of the key's columns, by the text of the whole key. */
type Keys = ReadonlyMap<string, readonly string[]>;

interface FoundRows {
  readonly rows: Keys;
  readonly isAtLeast: boolean;
}

const NO_ROWS: FoundRows = { rows: new Map(), isAtLeast: false };
const BUCKETS_AT_ONCE = 256;
const ROWS_AT_ONCE = 2000;

/*
 * The text of some columns: of each its length and itself, so that no two rows have the same text, and a mark for NULL. The
 * types' own equality calls texts equal that are not.
 */
function textSql(columns: readonly string[]): string {
  const texts = columns.map((column) => {
    const text = `t.${quoteIdentifier(column)}::text`;
    return `CASE WHEN ${text} IS NULL THEN 'N' ELSE length(${text}) || ':' || ${text} END`;
  });
  return texts.length === 0 ? "''" : `(${texts.join(" || ',' || ")}) COLLATE "C"`;
}

/** The bucket of a row at some level: other bits of the hash of its key at each. */
function bucketSql(level: number): string {
  return `(hashtextextended(k, 2) >> ${level * 10} & ${BUCKETS - 1})::int`;
}

function whereBuckets(path: readonly number[], buckets: readonly number[] = []): string {
  const conditions = path.map((bucket, level) => `${bucketSql(level)} = ${bucket}`);
  if (buckets.length > 0) conditions.push(`${bucketSql(path.length)} IN (${buckets.join(', ')})`);
  return conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
}

function differingBuckets([source, target]: readonly [Map<number, Bucket>, Map<number, Bucket>]): number[] {
  const buckets = new Set([...source.keys(), ...target.keys()]);
  return [...buckets].filter((bucket) => {
    const [a, b] = [source.get(bucket), target.get(bucket)];
    return a === undefined || b === undefined || a.count !== b.count || a.sum !== b.sum;
  });
}

function sameRows(a: readonly Texts[], b: readonly Texts[]): boolean {
  if (a.length !== b.length) return false;
  const texts = (rows: readonly Texts[]) => rows.map((row) => JSON.stringify(row)).sort();
  const [x, y] = [texts(a), texts(b)];
  return x.every((text, index) => text === y[index]);
}
