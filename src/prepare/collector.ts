import type pg from 'pg';
import Cursor from 'pg-cursor';
import { type ForeignKey, quoteIdentifier, quoteQualified, type Relation, rowsOf } from '../catalog/model.js';
import { type Claims, NULL_TEXT, PINNED, tupleOf } from '../lane/rows/claims.js';
import type { Plan, RelationPlan } from '../plan/plan.js';
import type { Source } from './probes.js';

const BATCH = 5000;
const INTEGER = /^-?\d+$/;
/* The most tuples remembered per key. If an INSERT conflicts with another one, it is tried again. */
const MOST_TUPLES = 100_000;

/** Reads one relation's rows into compact arrays. */
export class Collector {
  private readonly plan: Plan;
  private readonly relation: RelationPlan;
  private readonly width: number;
  private readonly limit: number;
  private readonly source: Source;
  private readonly table: Relation;
  private readonly incoming: readonly ForeignKey[];
  private bytes = Buffer.allocUnsafe(1 << 16);
  private used = 0;
  private readonly offsets: number[] = [0];
  private readonly references: number[] = [];
  private readonly standing: string[] = [];
  /** By foreign key: the text of the referencing columns, null where one of them is NULL. */
  private readonly parentTexts: (string | null)[][];

  /** `from`: SQL of the rows to choose from, if not the whole table. */
  constructor(plan: Plan, index: number, table: Relation, limit: number, from: Source | null) {
    this.plan = plan;
    this.relation = plan.relations[index]!;
    this.table = table;
    this.limit = limit;
    this.source = from ?? { sql: rowsOf(table), values: [] };
    this.width = this.relation.key.length === 0 && this.relation.targeted ? 2 : this.relation.named.length;
    this.incoming = this.relation.targeted ? table.referencedBy : [];
    this.parentTexts = this.relation.foreignKeys.map(() => []);
  }

  async read(client: pg.Client): Promise<void> {
    const cursor = client.query(
      new Cursor<(string | null)[]>(this.sql(), [...this.source.values], { rowMode: 'array' }),
    );
    try {
      for (;;) {
        const rows = await cursor.read(BATCH);
        if (rows.length === 0) return;
        for (const row of rows) this.add(row);
      }
    } finally {
      await cursor.close();
    }
  }

  /** Reads the tuples of tracked keys of all rows, because they are in use whether their rows are claimed or not. */
  async readTuples(client: pg.Client): Promise<void> {
    for (const [position, key] of this.relation.trackedKeys.entries()) {
      const texts = key.map((column) => `t.${this.relation.columns[column]!.sql}::text`);
      const { rows } = await client.query<string[]>({
        text: `SELECT DISTINCT ${texts.join(', ')} FROM ${this.relation.rows} AS t WHERE num_nulls(${texts.join(', ')}) = 0 ORDER BY ${texts.map((_, index) => index + 1).join(', ')} LIMIT ${MOST_TUPLES}`,
        rowMode: 'array',
      });
      for (const row of rows) this.standing.push(tupleOf(position, row));
    }
  }

  private sql(): string {
    const { relation } = this;
    const column = (index: number) => `t.${relation.columns[index]!.sql}`;
    const keyless = relation.key.length === 0 && relation.targeted;
    // Without a key the text of the row identifies it; equal rows are interchangeable.
    const identity = keyless
      ? '(t.*)::text'
      : relation.named.map((index) => `${column(index)}::text`).join(" || ',' || ");
    const own = [
      `md5('${this.plan.randomSeed}' || ${identity}) COLLATE "C" AS "eg order"`,
      `(${identity}) COLLATE "C" AS "eg identity"`,
    ];
    if (keyless) own.push('t.ctid::text AS "eg ctid"', 'hashtextextended((t.*)::text, 0)::text AS "eg hash"');
    const order = '"eg order", "eg identity"';
    // The key may be a unique one that allows NULLs; a row with a NULL cannot be identified.
    const keys = relation.key.map((index) => `${column(index)} IS NOT NULL`);
    const present = keys.length === 0 ? '' : ` WHERE ${keys.join(' AND ')}`;
    const limit = Number.isFinite(this.limit) ? ` LIMIT ${this.limit}` : '';
    const named = keyless ? ['t."eg ctid"', 't."eg hash"'] : relation.named.map((index) => `${column(index)}::text`);
    const parents = relation.foreignKeys.flatMap((key) => key.columns.map((index) => `${column(index)}::text`));
    const joins = referenceCounts(this.incoming, this.table);
    const references = joins.length === 0 ? '0' : joins.map(({ count }) => count).join(' + ');
    return (
      `SELECT ${[...named, ...parents, `(${references})::text`].join(', ')} ` +
      `FROM (SELECT t.*, ${own.join(', ')} FROM ${this.source.sql} AS t${present} ORDER BY ${order}${limit}) AS t` +
      `${joins.map(({ join }) => join).join('')} ORDER BY t."eg order", t."eg identity"`
    );
  }

  private add(row: readonly (string | null)[]): void {
    let at = 0;
    for (; at < this.width; at++) this.append(row[at] ?? NULL_TEXT);
    for (const [position, key] of this.relation.foreignKeys.entries()) {
      const texts = row.slice(at, at + key.columns.length);
      at += key.columns.length;
      this.parentTexts[position]!.push(texts.includes(null) ? null : texts.join('\u0000'));
    }
    this.references.push(Number(row[at]));
  }

  private append(text: string): void {
    const most = text.length * 3;
    if (this.used + most > this.bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.used + most));
      this.bytes.copy(larger, 0, 0, this.used);
      this.bytes = larger;
    }
    this.used += this.bytes.write(text, this.used, 'utf8');
    this.offsets.push(this.used);
  }

  /** Returns, by named column, the only values that a CHECK of some child allows. Every lane may use their rows. */
  private wantedValues(): ReadonlyMap<number, ReadonlySet<string>> {
    const index = this.plan.relations.indexOf(this.relation);
    const wanted = new Map<number, Set<string>>();
    for (const { foreignKeys } of this.plan.relations) {
      for (const { parent, only } of foreignKeys) {
        if (parent !== index || only === null) continue;
        const named = this.relation.named.indexOf(only.parentColumn);
        wanted.set(named, new Set([...(wanted.get(named) ?? []), ...only.values]));
      }
    }
    return wanted;
  }

  private isWanted(row: number, wanted: ReadonlyMap<number, ReadonlySet<string>>): boolean {
    for (const [named, values] of wanted) {
      const at = row * this.width + named;
      if (values.has(this.bytes.toString('utf8', this.offsets[at], this.offsets[at + 1]))) return true;
    }
    return false;
  }

  private isReferenced(): boolean {
    const index = this.plan.relations.indexOf(this.relation);
    return this.plan.relations.some(({ foreignKeys }) => foreignKeys.some((key) => key.parent === index));
  }

  /**
   * By row: its place among the others by key. A lane gets neighbours, which mostly lie in the same pages: pages that
   * several sessions change at once cost the server a third more per row. Without a key rows stay in their order by hash.
   */
  private placesByKey(): Uint32Array {
    const count = this.references.length;
    const order = Uint32Array.from({ length: count }, (_, row) => row);
    const columns = this.relation.key.map((column) => this.comparable(this.relation.named.indexOf(column)));
    order.sort((a, b) => {
      for (const values of columns) {
        if (values[a]! < values[b]!) return -1;
        if (values[a]! > values[b]!) return 1;
      }
      return a - b;
    });
    const places = new Uint32Array(count);
    for (const [place, row] of order.entries()) places[row] = place;
    return places;
  }

  /** Returns a named column of all rows: as numbers if it has only numbers, as texts in byte order otherwise. */
  private comparable(named: number): readonly (number | string)[] {
    const texts = Array.from(this.references, (_, row) => {
      const at = row * this.width + named;
      return this.bytes.toString('latin1', this.offsets[at], this.offsets[at + 1]);
    });
    return texts.every((text) => INTEGER.test(text)) ? texts.map(Number) : texts;
  }

  finish(lanes: number, claims: readonly Claims[], indexes: Map<string, Map<string, number>>): Claims {
    const count = this.references.length;
    const { relation } = this;
    const parents = relation.foreignKeys.map((key, position) => {
      const found = parentIndex(this.plan, claims, indexes, key.parent, key.parentColumns);
      return shared(
        Int32Array,
        this.parentTexts[position]!.map((text) => (text === null ? -1 : (found.get(text) ?? -1))),
      );
    });
    const wanted = this.wantedValues();
    const places = this.placesByKey();
    const isReferenced = this.isReferenced();
    // A small table that others reference is mostly a list of kinds or states: each lane needs to know most of its rows.
    const isSmall = isReferenced && count <= SMALL_PER_LANE * lanes;
    const owned = isSmall ? Math.max(1, Math.floor(count * OWNED_OF_SMALL)) : count;
    const laneOf = (row: number): number => {
      if (this.isWanted(row, wanted) || places[row]! >= owned) return PINNED;
      for (const [position, key] of relation.foreignKeys.entries()) {
        const parent = parents[position]![row]!;
        const lane = parent < 0 ? PINNED : (claims[key.parent]!.lanes[parent] ?? PINNED);
        if (lane !== PINNED) return lane;
      }
      return Math.floor((places[row]! * lanes) / owned);
    };
    // A referenced table with fewer rows than lanes is not changed, so that every lane can use its rows.
    const pinned = !relation.targeted || (count < lanes && isReferenced);
    return {
      count,
      width: this.width,
      bytes: shared(Uint8Array, this.bytes.subarray(0, this.used)),
      offsets: shared(Uint32Array, this.offsets),
      lanes: shared(
        Uint16Array,
        Array.from({ length: count }, (_, row) => (pinned ? PINNED : laneOf(row))),
      ),
      references: shared(Uint32Array, this.references),
      standing: this.standing,
      unowned: 0,
      parents,
    };
  }
}

/* A referenced table with up to so many rows per lane is small: a share of its rows is changed, the others are not. */
const SMALL_PER_LANE = 4;
const OWNED_OF_SMALL = 0.25;

/*
 * How many rows of other tables point at each row; counted once, by hashing, whatever their indexes. Where more keys lead to
 * the same columns than a planner joins in reasonable time (users, in many applications), they are counted together.
 */
function referenceCounts(incoming: readonly ForeignKey[], table: Relation): { count: string; join: string }[] {
  const byColumns = new Map<string, ForeignKey[]>();
  for (const key of incoming) {
    const label = JSON.stringify(key.referencedColumns);
    byColumns.set(label, [...(byColumns.get(label) ?? []), key]);
  }
  const sources = [...byColumns.values()].flatMap((keys) =>
    (keys.length > MOST_JOINED ? [keys] : keys.map((key) => [key])).map((together) => ({
      columns: keys[0]!.referencedColumns,
      sql: countedTogether(together, table),
    })),
  );
  return sources.map(({ columns, sql }, position) => {
    const alias = `r${position}`;
    const matches = columns.map((name, at) => {
      const { type } = table.attributes.find((attribute) => attribute.name === name)!;
      return `${alias}.k${at} = t.${quoteIdentifier(name)}${COLLATED.has(type) ? ' COLLATE "default"' : ''}`;
    });
    return { count: `coalesce(${alias}.n, 0)`, join: ` LEFT JOIN (${sql}) AS ${alias} ON ${matches.join(' AND ')}` };
  });
}

const MOST_JOINED = 8;

/** Returns SQL that counts rows by the key that they reference; a partly NULL key references nothing. */
function counted({ referencing, columns }: ForeignKey, typed: (column: string, at: number) => string): string {
  const names = columns.map((name) => `c.${quoteIdentifier(name)}`);
  const values = names.map((name, at) => `${typed(name, at)} AS k${at}`);
  const present = names.map((name) => `${name} IS NOT NULL`).join(' AND ');
  return `SELECT ${values.join(', ')}, count(*) AS n FROM ${quoteQualified(referencing)} AS c WHERE ${present} GROUP BY ${placesOf(columns)}`;
}

/** Returns the same for several keys, whose types and collations may differ from the referenced ones. */
function countedTogether(keys: readonly ForeignKey[], table: Relation): string {
  const { referencedColumns } = keys[0]!;
  const types = referencedColumns.map((column) => table.attributes.find(({ name }) => name === column)!);
  const typed = (column: string, at: number) =>
    `${column}::${types[at]!.typeName}${COLLATED.has(types[at]!.type) ? ' COLLATE "default"' : ''}`;
  const names = referencedColumns.map((_, at) => `k${at}`).join(', ');
  const each = keys.map((key) => counted(key, typed)).join(' UNION ALL ');
  return `SELECT ${names}, sum(n) AS n FROM (${each}) AS each GROUP BY ${placesOf(referencedColumns)}`;
}

/* text, varchar and bpchar. */
const COLLATED: ReadonlySet<number> = new Set([25, 1043, 1042]);

function placesOf(columns: readonly string[]): string {
  return columns.map((_, index) => String(index + 1)).join(', ');
}

/** Returns a map from the text of the referenced columns to the index of the parent's claim, built once per key. */
function parentIndex(
  plan: Plan,
  claims: readonly Claims[],
  indexes: Map<string, Map<string, number>>,
  parent: number,
  columns: readonly number[],
): Map<string, number> {
  const label = `${parent}/${columns.join()}`;
  let index = indexes.get(label);
  if (index === undefined) {
    index = new Map();
    const claim = claims[parent]!;
    const { named } = plan.relations[parent]!;
    const bytes = Buffer.from(claim.bytes.buffer, claim.bytes.byteOffset, claim.bytes.length);
    for (let row = 0; row < claim.count; row++) {
      const texts = columns.map((column) => {
        const at = row * claim.width + named.indexOf(column);
        return bytes.toString('utf8', claim.offsets[at], claim.offsets[at + 1]);
      });
      index.set(texts.join('\u0000'), row);
    }
    // A self-reference is looked up before the table's own claims exist.
    if (claim.count > 0) indexes.set(label, index);
  }
  return index;
}

type Typed = Uint8Array | Uint16Array | Uint32Array | Int32Array;

function shared<Array extends Typed>(
  Kind: { new (buffer: SharedArrayBuffer): Array; readonly BYTES_PER_ELEMENT: number },
  values: ArrayLike<number>,
): Array {
  const array = new Kind(new SharedArrayBuffer(values.length * Kind.BYTES_PER_ELEMENT));
  array.set(values);
  return array;
}
