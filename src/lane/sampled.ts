import { quoteIdentifier } from '../catalog/model.js';
import { BindSink } from '../datum/sink.js';
import type { ForeignKeyPlan, OperationKind, RelationPlan } from '../plan/plan.js';
import { split } from '../random/seed.js';
import { Stream } from '../random/stream.js';
import { beginBind, endBind, endSync } from './messages/bind.js';
import { Blocks, type Operation } from './messages/operation.js';
import { Parameters, type Shape } from './messages/shape.js';
import type { CompiledPlan, CompiledRelation, OperationSeeds } from './rows/compiled.js';
import type { Generated, Rows } from './statements/rows.js';

/* A sampled row may be referenced, so this many are sampled to find some that are not. */
const DELETE_CANDIDATES = 32;
const NESTED_PARENTS = 8;
/* The most referencing tables that the planner joins quickly. */
const MOST_JOINED = 8;

/**
 * `row_selection: system_rows`: rows and parents come from `TABLESAMPLE SYSTEM_ROWS` over the whole table, whoever made
 * them. They are locked as they are sampled and locked ones are skipped: without that lanes deadlock on each other's
 * rows. What a sample holds is chance, so such a run cannot be repeated.
 */
export class SampledRows implements Rows {
  private readonly compiled: CompiledPlan;
  private readonly lanes: number;
  private readonly nextOrdinal: number[];
  private readonly sampleFrom: string;
  private readonly sink = new BindSink();
  private readonly blocks = new Blocks();
  private readonly stream = new Stream();

  /** `extension`: the schema that tsm_system_rows lives in does not matter, sampling methods are found by name. */
  constructor(compiled: CompiledPlan, lane: number) {
    this.compiled = compiled;
    this.lanes = compiled.plan.quotas.length;
    this.nextOrdinal = compiled.relations.map(() => lane);
    this.sampleFrom = 'TABLESAMPLE system_rows';
  }

  possible(relation: number, kind: OperationKind): boolean {
    const { plan } = this.compiled.relations[relation]!;
    if (kind === 'insert') return this.nextOrdinal[relation]! < plan.capacity || isListed(plan);
    return kind === 'delete' || this.updatableSets(plan).length > 0;
  }

  generate(operation: Operation, seeds: OperationSeeds): Generated {
    operation.reset();
    this.sink.clear();
    const rows = this.compiled.rowsFor(operation.relation, operation.kind, seeds);
    switch (operation.kind) {
      case 'insert':
        // The first try relies on existing parents; if one is missing, the next try inserts them.
        this.insert(operation, operation.relation, rows, seeds, operation.attempt > 0 ? 0 : NESTED_PARENTS);
        break;
      case 'update':
        this.update(operation, rows, seeds);
        break;
      case 'delete':
        this.delete(operation, rows);
    }
    endSync(this.sink);
    this.blocks.fill(operation, this.sink);
    return operation.statements.length > 0 ? 'written' : 'impossible';
  }

  readonly lacking = -1;

  version(): number {
    return 0;
  }

  close(): void {}

  conflictFor(): null {
    return null;
  }

  conflict(): boolean {
    return false;
  }

  readonly promised = null;

  redeem(): boolean {
    return false;
  }

  applied(): void {
    // No row is remembered.
  }

  keyOf(): readonly (string | null)[] {
    return [];
  }

  finished(operation: Operation): void {
    this.blocks.release(operation);
  }

  undone(): void {
    // As above.
  }

  spare(): void {
    // As above.
  }

  /** Writes an INSERT. Returns the texts of the last row's columns; undefined if unknown. */
  private insert(
    operation: Operation,
    relation: number,
    wanted: number,
    seeds: OperationSeeds,
    depth: number,
  ): readonly (string | null | undefined)[] {
    const compiled = this.compiled.relations[relation]!;
    const { plan } = compiled;
    const given = depth < NESTED_PARENTS ? this.insertParents(operation, relation, seeds, depth) : NONE_GIVEN;
    // A parent may allow only one child.
    const rows = given.size > 0 ? 1 : wanted;
    const columns = compiled.insertedColumns(seeds);
    const shape = this.shape(`si/${relation}/${rows}/${columns.length}/${[...given.keys()].join()}`, () =>
      insertSql(compiled, { columns, rows, given, parentSample: this.parentSample, relation }),
    );
    const from = beginBind(this.sink, shape.parameters);
    const texts: (string | null | undefined)[] = [];
    for (let row = 0; row < rows; row++) {
      const ordinal = this.nextOrdinal[relation]!;
      this.nextOrdinal[relation] = ordinal + this.lanes;
      const picks = compiled.pickTuples(seeds, row);
      for (const index of columns) {
        const column = compiled.columns[index]!;
        const cell = compiled.cellOf(index, picks);
        const mark = this.sink.offset;
        if (column.plan.source === 'foreign' && given.has(index)) this.sink.value(given.get(index)!);
        else if (cell !== undefined) this.sink.value(cell);
        else if (column.plan.source === 'ordinal') column.writeOrdinal(ordinal, this.sink);
        else if (column.plan.source === 'drawn') column.writeDrawn(seeds, row, ordinal, this.sink);
        else continue;
        if (depth > 0) texts[index] = textAt(this.sink, mark);
      }
    }
    this.finish(
      operation,
      shape,
      from,
      relation,
      'insert',
      rows,
      relation === operation.relation && depth === (operation.attempt > 0 ? 0 : NESTED_PARENTS),
      columns.filter((column) => isWritten(plan, column, given)),
    );
    return texts;
  }

  /**
   * A row in each table that the relation needs one of; what its columns take over from them. A sample could miss the new row, and
   * find one that a unique key allows no second child.
   */
  private insertParents(
    operation: Operation,
    relation: number,
    seeds: OperationSeeds,
    depth: number,
  ): ReadonlyMap<number, string> {
    const compiled = this.compiled.relations[relation]!;
    const given = new Map<number, string>();
    for (const { nullable, parent, columns, parentColumns } of compiled.plan.foreignKeys) {
      if (nullable || parent === relation || !this.compiled.relations[parent]!.plan.operations.insert) continue;
      const label = `parent/${operation.statements.length}`;
      const ofParent = { random: split(seeds.random, label), faker: split(seeds.faker, label) };
      const texts = this.insert(operation, parent, 1, ofParent, depth + 1);
      const values = parentColumns.map((column) => texts[column]);
      // A column of several keys must match a row of each, so only values that all samples share are possible.
      const isOwn = columns.every((column) => compiled.foreignKeysOf[column]!.length === 1);
      if (isOwn && values.every((value) => typeof value === 'string'))
        for (const [index, column] of columns.entries()) given.set(column, values[index]!);
    }
    return given;
  }

  private update(operation: Operation, rows: number, seeds: OperationSeeds): void {
    const { relation } = operation;
    const compiled = this.compiled.relations[relation]!;
    const sets = this.updatableSets(compiled.plan);
    this.stream.restart(seeds.random, UPDATE_LABEL, 0);
    const index = this.stream.below(sets.length);
    const set = sets[index]!;
    const shape = this.shape(`su/${relation}/${index}`, () => updateSql(compiled.plan, set, rows, this.sampleFrom));
    const from = beginBind(this.sink, shape.parameters);
    for (let row = 0; row < rows; row++) {
      const ordinal = this.nextOrdinal[relation]!;
      if (set.some((column) => compiled.plan.columns[column]!.source === 'ordinal'))
        this.nextOrdinal[relation] = ordinal + this.lanes;
      const picks = compiled.pickTuples(seeds, row);
      for (const position of set) {
        const column = compiled.columns[position]!;
        const cell = compiled.cellOf(position, picks);
        if (cell !== undefined) this.sink.value(cell);
        else if (column.plan.source === 'ordinal') column.writeOrdinal(ordinal, this.sink);
        else column.writeDrawn(seeds, row, ordinal, this.sink);
      }
    }
    this.finish(operation, shape, from, relation, 'update', rows, true);
  }

  private delete(operation: Operation, rows: number): void {
    const { relation } = operation;
    const { plan } = this.compiled.relations[relation]!;
    const isReferenced = plan.incoming.length > 0;
    if (isReferenced) {
      // It is meant to change no row and is not counted.
      const pick = this.shape(`sp/${relation}`, () => pickSql(plan, rows, this.sampleFrom));
      this.finish(operation, pick, beginBind(this.sink, 0), relation, 'delete', 0, false);
    }
    const shape = this.shape(`sd/${relation}`, () =>
      isReferenced ? deletePickedSql(plan) : deleteSql(plan, rows, this.sampleFrom),
    );
    this.finish(operation, shape, beginBind(this.sink, 0), relation, 'delete', rows, true);
  }

  private finish(
    operation: Operation,
    shape: Shape,
    from: number,
    relation: number,
    kind: OperationKind,
    rows: number,
    own: boolean,
    written: readonly number[] = [],
  ): void {
    endBind(this.sink, from);
    operation.add({
      shape,
      relation,
      kind,
      rows,
      own,
      written,
      from,
      to: this.sink.offset,
    });
  }

  /* Without receipts, which would halve the speed. The outcome of a lost answer is counted as unknown instead. */
  private shape(key: string, build: () => { sql: string; parameters: number }): Shape {
    return this.compiled.shapes.other(key, build, false);
  }

  /** Returns the sets without columns of foreign keys, because a sampled parent could be missing. */
  private updatableSets(plan: RelationPlan): readonly (readonly number[])[] {
    const sets = plan.updateSets.map((set) => set.filter((column) => plan.columns[column]!.source !== 'foreign'));
    return sets.filter((set) => set.length > 0);
  }

  private readonly parentSample = (foreignKey: ForeignKeyPlan): string => {
    const parent = this.compiled.relations[foreignKey.parent]!.plan;
    const columns = foreignKey.parentColumns.map((column, index) => `p.${parent.columns[column]!.sql} AS c${index}`);
    // Every partition of a partitioned table returns a row.
    const one = parent.partitionedBy.length > 0 ? ' ORDER BY random() LIMIT 1' : '';
    return `SELECT ${columns.join(', ')} FROM ${parent.rows} AS p ${this.sampleFrom}(1)${one} FOR KEY SHARE SKIP LOCKED`;
  };
}

const NONE_GIVEN: ReadonlyMap<number, string> = new Map();

/** Returns true for a column that we write; columns of sampled parents are not. */
function isWritten({ columns }: RelationPlan, column: number, given: ReadonlyMap<number, string>): boolean {
  return columns[column]!.source !== 'foreign' || given.has(column);
}

/** Returns the value that was written at a mark. */
function textAt({ bytes }: BindSink, mark: number): string | null {
  const length = bytes.readInt32BE(mark);
  return length < 0 ? null : bytes.toString('utf8', mark + 4, mark + 4 + length);
}

interface InsertForm {
  readonly relation: number;
  readonly columns: readonly number[];
  readonly rows: number;
  /** Columns of foreign keys that are given as parameters. */
  readonly given: ReadonlyMap<number, string>;
  readonly parentSample: (key: ForeignKeyPlan) => string;
}

/* One SELECT per row, so that each row samples its own parents; outer joins, so that a missing parent gives NULL. */
function insertSql(
  compiled: CompiledRelation,
  { relation, columns, rows, given, parentSample }: InsertForm,
): { sql: string; parameters: number } {
  const { plan } = compiled;
  const parameters = new Parameters();
  const selects = Array.from({ length: rows }, () => {
    const written = new Map<number, string>();
    for (const column of columns) {
      if (plan.columns[column]!.source !== 'foreign' || given.has(column))
        written.set(column, `${parameters.next()}::${plan.columns[column]!.typeName}`);
    }
    const values = columns.map((column) => {
      const value = written.get(column);
      if (value !== undefined) return value;
      const position = compiled.foreignKeysOf[column]![0]!;
      const key = plan.foreignKeys[position]!;
      const sampled = `k${position}.c${key.columns.indexOf(column)}`;
      // The first row of a table that must reference itself references its own key.
      const own = key.nullable ? undefined : written.get(key.parentColumns[key.columns.indexOf(column)]!);
      return key.parent === relation && own !== undefined ? `coalesce(${sampled}, ${own})` : sampled;
    });
    const joins = plan.foreignKeys.map((key, position) =>
      key.columns.every((column) => given.has(column))
        ? ''
        : ` LEFT JOIN (${parentSample(key)}) AS k${position} ON true`,
    );
    return `SELECT ${values.join(', ')} FROM (SELECT) AS one${joins.join('')}`;
  });
  const names = columns.map((column) => plan.columns[column]!.sql).join(', ');
  const overriding = plan.overriding ? ' OVERRIDING SYSTEM VALUE' : '';
  if (names === '') return { sql: `INSERT INTO ${plan.sql} DEFAULT VALUES`, parameters: 0 };
  // It is not known which of a few values are free.
  const conflict = isListed(plan) ? ' ON CONFLICT DO NOTHING' : '';
  return {
    sql: `INSERT INTO ${plan.sql} (${names})${overriding} ${selects.join(' UNION ALL ')}${conflict}`,
    parameters: parameters.count,
  };
}

/** Returns true for a table of few rows, whose key has a list of values; values in use are skipped. */
export function isListed({ columns, key }: RelationPlan): boolean {
  return key.some((column) => {
    const { recipe, source } = columns[column]!;
    return source === 'ordinal' && recipe.kind === 'sequence' && recipe.form.kind === 'labels';
  });
}

function updateSql(
  plan: RelationPlan,
  set: readonly number[],
  rows: number,
  sampleFrom: string,
): { sql: string; parameters: number } {
  const parameters = new Parameters();
  const tuples = Array.from({ length: rows }, (_, row) => {
    const values = set.map((column) => `${parameters.next()}::${plan.columns[column]!.typeName}`);
    return `(${[row + 1, ...values].join(', ')})`;
  });
  const assignments = set.map((column, index) => `${plan.columns[column]!.sql} = v.c${index}`);
  const sql =
    `WITH picked AS MATERIALIZED (SELECT s.tableoid AS o, s.ctid AS c FROM ${plan.rows} AS s ${sampleFrom}(${rows}) FOR UPDATE SKIP LOCKED), ` +
    `numbered AS (SELECT o, c, row_number() OVER () AS n FROM picked) ` +
    `UPDATE ${plan.rows} AS t SET ${assignments.join(', ')} FROM numbered JOIN (VALUES ${tuples.join(', ')}) ` +
    `AS v (n, ${set.map((_, index) => `c${index}`).join(', ')}) ON v.n = numbered.n WHERE t.ctid = numbered.c AND t.tableoid = numbered.o`;
  return { sql, parameters: parameters.count };
}

function deleteSql(plan: RelationPlan, rows: number, sampleFrom: string): { sql: string; parameters: number } {
  const sql =
    `WITH picked AS MATERIALIZED (SELECT s.tableoid AS o, s.ctid AS c FROM ${plan.rows} AS s ${sampleFrom}(${rows}) FOR UPDATE SKIP LOCKED) ` +
    `DELETE FROM ${plan.rows} AS t USING picked WHERE t.ctid = picked.c AND t.tableoid = picked.o`;
  return { sql, parameters: 0 };
}

/*
 * Rows that nothing references, in two statements. One alone looks for references by a snapshot that is older than its
 * locks: a row that another lane commits in between is not seen, and is deleted along with its parent. The first
 * statement picks and locks, then no reference can come any more; the second looks again by a snapshot of its own.
 */
function pickSql(plan: RelationPlan, rows: number, sampleFrom: string): { sql: string; parameters: number } {
  const sample = Math.max(rows, DELETE_CANDIDATES);
  const sql =
    `WITH picked AS MATERIALIZED (SELECT s.tableoid AS o, s.ctid AS c FROM ${plan.rows} AS s ${sampleFrom}(${sample}) ` +
    `WHERE ${unreferenced(plan, 's')} LIMIT ${rows} FOR UPDATE SKIP LOCKED) ` +
    `SELECT set_config('${PICKED}', coalesce(json_agg(picked), '[]')::text, true) FROM picked`;
  return { sql, parameters: 0 };
}

function deletePickedSql(plan: RelationPlan): { sql: string; parameters: number } {
  const sql =
    `DELETE FROM ${plan.rows} AS t USING json_to_recordset(current_setting('${PICKED}')::json) AS picked (o oid, c tid) ` +
    `WHERE t.ctid = picked.c AND t.tableoid = picked.o AND ${unreferenced(plan, 't')}`;
  return { sql, parameters: 0 };
}

/* The setting that keeps the rows picked by a transaction until it deletes them. */
const PICKED = 'eventgen.picked';

/** Returns the condition for rows that no foreign key references: others would be rejected, or cascade uncounted. */
function unreferenced({ incoming }: RelationPlan, row: string): string {
  // So many joins take the planner seconds; behind OFFSET 0 each is planned as a separate look-up.
  const apart = incoming.length > MOST_JOINED ? ' OFFSET 0' : '';
  const none = incoming.map(({ sql, columns, referencedColumns }) => {
    const matches = columns.map((column, index) => `r.${column} = ${row}.${referencedColumns[index]!}`);
    return `NOT EXISTS (SELECT FROM ${sql} AS r WHERE ${matches.join(' AND ')}${apart})`;
  });
  return none.join(' AND ');
}

const UPDATE_LABEL = split({ hi: 0, lo: 0 }, 'update rows');

/** The statement that makes the sampling method available. */
export const CREATE_SYSTEM_ROWS = `CREATE EXTENSION IF NOT EXISTS ${quoteIdentifier('tsm_system_rows')}`;
