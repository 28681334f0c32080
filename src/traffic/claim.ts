import type pg from 'pg';
import Cursor from 'pg-cursor';
import { type ForeignKey, quoteIdentifier, quoteQualified, type Relation } from '../catalog/model.js';
import { type Claims, noClaims, PINNED } from '../lane/claims.js';
import type { Plan, RelationPlan } from '../plan/plan.js';

/** What a run knows of the rows that stand in its tables. */
export interface Claimed {
  readonly claims: readonly Claims[];
  readonly rowsAtStart: RowCounts;
}

/** Rows per relation at the start; null where there are some that were not counted. */
export type RowCounts = readonly (number | null)[];

const BATCH = 5000;
const QUESTIONS_PER_STATEMENT = 200;
/* Above this many rows by the server's estimate, counting them is left out. */
const COUNT_LIMIT = 1_000_000;

/**
 * Claims existing rows, chosen by value: those with the smallest hash of (seed, key text), so that neither physical
 * order nor OIDs have a say. Rows are read through a cursor. A child goes to its parent's lane, so that the lane knows
 * as much of the row's surroundings as there is. At most `perTable` rows of each table.
 */
export async function claimRows(
  client: pg.Client,
  plan: Plan,
  relations: readonly Relation[],
  rowsAtStart: RowCounts,
  perTable: number,
): Promise<readonly Claims[]> {
  const lanes = plan.quotas.length;
  const targeted = plan.relations.filter((relation) => relation.targeted).length;
  const claims: Claims[] = plan.relations.map((relation) => noClaims(relation.foreignKeys.length));
  if (plan.rowSelection === 'system_rows') return claims;
  const indexes = new Map<string, Map<string, number>>();
  for (const index of parentsFirst(plan)) {
    const count = rowsAtStart[index];
    // Parents of tables are known even where no rows shall be changed: children need them.
    const tracked = Math.min(plan.maxTrackedRows, Math.max(lanes, Math.floor(plan.maxTrackedRowsTotal / targeted)));
    const limit = Math.min(tracked, plan.relations[index]!.targeted ? perTable : Math.max(perTable, 1000));
    if (count === 0 || limit === 0) continue;
    const collector = new Collector(plan, index, relations[index]!, limit);
    await collector.read(client);
    claims[index] = collector.finish(lanes, claims, indexes);
  }
  for (const [index, claim] of claims.entries()) {
    const owned = claim.lanes.reduce((sum, lane) => sum + (lane === PINNED ? 0 : 1), 0);
    claims[index] = { ...claim, unowned: Math.max(0, (rowsAtStart[index] ?? owned) - owned) };
  }
  return claims;
}

/** Counts the rows of relations; of tables too large to be counted it only tells whether there are any. */
export async function countRows(
  client: pg.Client,
  relations: readonly Relation[],
  mode: 'auto' | 'always' | 'never',
): Promise<RowCounts> {
  const counted = (relation: Relation) =>
    mode === 'always' || (mode === 'auto' && relation.estimatedRows < COUNT_LIMIT);
  const questions = relations.map((relation, index) =>
    counted(relation)
      ? `SELECT ${index}, count(*) FROM ${quoteQualified(relation)}`
      : `SELECT ${index}, CASE WHEN EXISTS (SELECT FROM ${quoteQualified(relation)}) THEN NULL ELSE 0 END::bigint`,
  );
  const counts: (number | null)[] = relations.map(() => null);
  for (let from = 0; from < questions.length; from += QUESTIONS_PER_STATEMENT) {
    const { rows } = await client.query({
      text: questions.slice(from, from + QUESTIONS_PER_STATEMENT).join(' UNION ALL '),
      rowMode: 'array',
    });
    for (const [index, count] of rows as [number, string | null][])
      counts[index] = count === null ? null : Number(count);
  }
  return counts;
}

/** Relations so that parents come before children; within a cycle, in the plan's order. */
function parentsFirst(plan: Plan): number[] {
  const order: number[] = [];
  const state = new Uint8Array(plan.relations.length);
  // An explicit stack: chains of foreign keys can be longer than the call stack is deep.
  for (let root = 0; root < plan.relations.length; root++) {
    const stack = [root];
    while (stack.length > 0) {
      const relation = stack[stack.length - 1]!;
      if (state[relation] === 0) {
        state[relation] = 1;
        for (const key of plan.relations[relation]!.foreignKeys) if (state[key.parent] === 0) stack.push(key.parent);
      } else {
        stack.pop();
        if (state[relation] === 1) {
          state[relation] = 2;
          order.push(relation);
        }
      }
    }
  }
  return order;
}

/** Reads one relation's rows into compact arrays. */
class Collector {
  private readonly plan: Plan;
  private readonly relation: RelationPlan;
  private readonly table: Relation;
  private readonly width: number;
  private readonly limit: number;
  private readonly incoming: readonly ForeignKey[];
  private bytes = Buffer.allocUnsafe(1 << 16);
  private used = 0;
  private readonly offsets: number[] = [0];
  private readonly references: number[] = [];
  /** By foreign key: the text of the referencing columns, null where one of them is NULL. */
  private readonly parentTexts: (string | null)[][];

  constructor(plan: Plan, index: number, table: Relation, limit: number) {
    this.plan = plan;
    this.relation = plan.relations[index]!;
    this.table = table;
    this.limit = limit;
    this.width = this.relation.key.length === 0 && this.relation.targeted ? 2 : this.relation.named.length;
    this.incoming = this.relation.targeted ? table.referencedBy : [];
    this.parentTexts = this.relation.foreignKeys.map(() => []);
  }

  async read(client: pg.Client): Promise<void> {
    const cursor = client.query(new Cursor<(string | null)[]>(this.sql(), [], { rowMode: 'array' }));
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

  private sql(): string {
    const { relation, table } = this;
    const column = (index: number) => `t.${relation.columns[index]!.sql}`;
    const keyless = relation.key.length === 0 && relation.targeted;
    // Without a key the row's own text decides; equal rows are interchangeable.
    const identity = keyless ? 't::text' : relation.named.map((index) => `${column(index)}::text`).join(" || ',' || ");
    const own = [
      `md5('${this.plan.randomSeed}' || ${identity}) COLLATE "C" AS "eg order"`,
      `(${identity}) COLLATE "C" AS "eg identity"`,
    ];
    if (keyless) own.push('t.ctid::text AS "eg ctid"', 'hashtextextended(t::text, 0)::text AS "eg hash"');
    const order = '"eg order", "eg identity"';
    const limit = Number.isFinite(this.limit) ? ` LIMIT ${this.limit}` : '';
    const named = keyless ? ['t."eg ctid"', 't."eg hash"'] : relation.named.map((index) => `${column(index)}::text`);
    const parents = relation.foreignKeys.flatMap((key) => key.columns.map((index) => `${column(index)}::text`));
    const joins = this.incoming.map((key, position) => referenceCount(key, position));
    const references = joins.length === 0 ? '0' : joins.map(({ count }) => count).join(' + ');
    return (
      `SELECT ${[...named, ...parents, `(${references})::text`].join(', ')} ` +
      `FROM (SELECT t.*, ${own.join(', ')} FROM ${quoteQualified(table)} AS t ORDER BY ${order}${limit}) AS t` +
      `${joins.map(({ join }) => join).join('')} ORDER BY t."eg order", t."eg identity"`
    );
  }

  private add(row: readonly (string | null)[]): void {
    let at = 0;
    for (; at < this.width; at++) this.append(row[at] ?? '');
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

  private isReferenced(): boolean {
    const index = this.plan.relations.indexOf(this.relation);
    return this.plan.relations.some(({ foreignKeys }) => foreignKeys.some((key) => key.parent === index));
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
    const laneOf = (row: number): number => {
      for (const [position, key] of relation.foreignKeys.entries()) {
        const parent = parents[position]![row]!;
        const lane = parent < 0 ? PINNED : (claims[key.parent]!.lanes[parent] ?? PINNED);
        if (lane !== PINNED) return lane;
      }
      return row % lanes;
    };
    // A table with fewer rows than lanes is left as it is where others reference it: its rows are there for everybody.
    const pinned = !relation.targeted || (count < lanes && this.isReferenced());
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
      unowned: 0,
      parents,
    };
  }
}

/* How many rows of a referencing table point at each row; counted once, by hashing, whatever its indexes. */
function referenceCount(key: ForeignKey, position: number): { count: string; join: string } {
  const alias = `r${position}`;
  const columns = key.columns.map((name, index) => `c.${quoteIdentifier(name)} AS k${index}`);
  const grouping = key.columns.map((_, index) => String(index + 1)).join(', ');
  const matches = key.referencedColumns.map((name, index) => `${alias}.k${index} = t.${quoteIdentifier(name)}`);
  return {
    count: `coalesce(${alias}.n, 0)`,
    join: ` LEFT JOIN (SELECT ${columns.join(', ')}, count(*) AS n FROM ${quoteQualified(key.referencing)} AS c GROUP BY ${grouping}) AS ${alias} ON ${matches.join(' AND ')}`,
  };
}

/** Text of the referenced columns → index among the parent's claims; built once per (parent, columns). */
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
    // A self-reference is looked up before its own claims stand.
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

/**
 * Tables into which no row can come: a foreign key that must not be NULL leads, directly or not, to a table that has no
 * rows and takes none, or back to itself.
 */
export function unreachableTables(plan: Plan, claimed: Claimed): string[] {
  const reachable = new Set<number>();
  for (let before = -1; before < reachable.size; ) {
    before = reachable.size;
    for (const [index, relation] of plan.relations.entries()) {
      const hasRows =
        claimed.claims[index]!.count > 0 || (plan.rowSelection === 'system_rows' && claimed.rowsAtStart[index] !== 0);
      const fed = relation.foreignKeys.every(
        (key) => key.nullable || key.parent === index || reachable.has(key.parent),
      );
      if (hasRows || (relation.operations.insert && fed)) reachable.add(index);
    }
  }
  return plan.relations
    .filter((relation, index) => relation.targeted && relation.operations.insert && !reachable.has(index))
    .map(({ label }) => label);
}

/** Names of referenced tables that are not targeted and hold no rows, with the tables that need them. */
export function parentsWithoutRows(plan: Plan, claimed: Claimed): { child: string; key: string; parent: string }[] {
  return plan.relations.flatMap((child) =>
    child.foreignKeys.flatMap((key) => {
      const parent = plan.relations[key.parent]!;
      if (
        key.nullable ||
        parent.targeted ||
        claimed.claims[key.parent]!.count > 0 ||
        claimed.rowsAtStart[key.parent] !== 0
      )
        return [];
      return [{ child: child.label, key: key.name, parent: parent.label }];
    }),
  );
}
