import { equalColumns, holds } from '../../constraint/guard.js';
import { Writers } from '../../datum/compile.js';
import { Pools } from '../../datum/pool.js';
import { isPlain, usesFakerSeed } from '../../datum/recipe.js';
import type { TupleSink } from '../../datum/sink.js';
import type { Writer } from '../../datum/writer.js';
import {
  AMPLE_CAPACITY,
  type ColumnPlan,
  type ForeignKeyPlan,
  type Guard,
  type OperationKind,
  type Plan,
  type RelationPlan,
} from '../../plan/plan.js';
import { type Seed, seedOf, split, splitNumber } from '../../random/seed.js';
import { Stream } from '../../random/stream.js';
import { Shapes } from '../messages/shape.js';

/** The two seeds that one attempt at an operation draws from. */
export interface OperationSeeds {
  readonly random: Seed;
  readonly faker: Seed;
}

/** A plan prepared for execution: closures, streams and statements that all lanes of a thread share. */
const ROWS = split({ hi: 0, lo: 0 }, 'rows per operation');

export class CompiledPlan {
  readonly plan: Plan;
  readonly shapes: Shapes;
  readonly relations: readonly CompiledRelation[];
  readonly random: Seed;
  private readonly faker: Seed;
  private readonly sizes = new Stream();

  /** `firstShape`: the number of its first statement, for sessions that execute the statements of several plans. */
  constructor(plan: Plan, firstShape = 0) {
    this.plan = plan;
    this.shapes = new Shapes(plan, firstShape);
    this.random = seedOf(BigInt(plan.randomSeed));
    this.faker = split(seedOf(BigInt(plan.fakerSeed)), 'faker');
    const writers = new Writers(new Pools(this.faker));
    // One stream for all columns, restarted for every value.
    const stream = new Stream();
    this.relations = plan.relations.map(
      (relation) => new CompiledRelation(relation, writers, this.random, this.faker, stream),
    );
  }

  /** Returns the number of rows of an operation, drawn between the bounds if there are two. */
  rowsFor(relation: number, kind: OperationKind, seeds: OperationSeeds): number {
    const most = this.rowsPer(relation, kind);
    const { fewestRows } = this.plan;
    if (fewestRows === undefined || fewestRows[kind] >= most) return most;
    this.sizes.restart(seeds.random, ROWS, 0);
    return fewestRows[kind] + this.sizes.below(most - fewestRows[kind] + 1);
  }

  /** Returns the most rows that an operation has. */
  rowsPer(relation: number, kind: OperationKind): number {
    return this.plan.relations[relation]!.oneByOne ? 1 : this.plan.rowsPerOperation[kind];
  }

  laneSeeds(lane: number): OperationSeeds {
    const { restart } = this.plan;
    const name = restart === undefined ? `lane/${lane}` : `lane/${lane}/${restart.streams}`;
    return { random: split(this.random, name), faker: split(this.faker, name) };
  }
}

/** Returns the seeds of an operation, which depend on lane, operation number and attempt only, never on history. */
export function operationSeeds(lane: OperationSeeds, number: number, attempt: number): OperationSeeds {
  return {
    random: splitNumber(splitNumber(lane.random, number), attempt),
    faker: splitNumber(splitNumber(lane.faker, number), attempt),
  };
}

export class CompiledRelation {
  readonly plan: RelationPlan;
  readonly columns: readonly CompiledColumn[];
  /** By column: its foreign keys, the first one first. */
  readonly foreignKeysOf: readonly (readonly number[])[];
  /** By column: its position among the named columns; −1 if it is not named. */
  readonly namedIndex: readonly number[];

  /** The column whose values come from a list, one by one; −1 if there is none. */
  readonly listedColumn: number;

  /** By column: its group and its position there; null if it is in none. */
  private readonly places: readonly ({ readonly group: number; readonly at: number } | null)[];
  private readonly groupLabels: readonly Seed[];
  private readonly defaultsLabel: Seed;
  private readonly withoutDefaults: readonly number[];
  private readonly stream: Stream;

  /** True if updates of unique columns take ordinals of their own. */
  readonly updatesApart: boolean;
  /** By foreign key: the tracked key on just its columns, which allows each parent once; −1 if there is none. */
  readonly soleKeys: readonly number[];
  /** By foreign key: earlier ones whose parent it may share, because a condition asks whether they are equal. */
  readonly mates: readonly (readonly number[])[];
  /** Relations in which triggers insert a row for each row of this one. */
  readonly brings: readonly number[];
  /** True if the values of a row depend only on its ordinal and its draws. */
  readonly isIndependent: boolean;

  constructor(plan: RelationPlan, writers: Writers, random: Seed, faker: Seed, stream: Stream) {
    this.plan = plan;
    this.columns = plan.columns.map((column) => new CompiledColumn(column, writers, random, faker, stream));
    this.foreignKeysOf = plan.columns.map((_, index) =>
      plan.foreignKeys.flatMap((key, position) => (key.columns.includes(index) ? [position] : [])),
    );
    this.places = plan.columns.map((_, column) => {
      const group = plan.groups.findIndex(({ columns }) => columns.includes(column));
      return group < 0 ? null : { group, at: plan.groups[group]!.columns.indexOf(column) };
    });
    this.groupLabels = plan.groups.map(({ columns }) =>
      split(random, `${plan.label}/${columns.map((column) => plan.columns[column]!.name).join()}`),
    );
    this.defaultsLabel = split(random, `${plan.label}/defaults`);
    this.withoutDefaults = plan.insertColumns.filter((column) => !plan.defaulted.includes(column));
    this.stream = stream;
    this.listedColumn = plan.columns.findIndex(
      ({ source, recipe }, index) =>
        source === 'ordinal' &&
        recipe.kind === 'sequence' &&
        recipe.form.kind === 'labels' &&
        plan.named.includes(index),
    );
    this.updatesApart =
      plan.capacity >= AMPLE_CAPACITY &&
      plan.updateSets.some((set) => set.some((column) => plan.columns[column]!.source === 'ordinal'));
    this.namedIndex = plan.columns.map((_, index) => plan.named.indexOf(index));
    this.soleKeys = plan.foreignKeys.map(({ columns }) =>
      plan.trackedKeys.findIndex((key) => key.every((column) => columns.includes(column))),
    );
    this.mates = matesOf(plan);
    this.brings = [
      ...plan.companions.map(({ relation }) => relation),
      ...plan.foreignKeys.filter(({ makesParent }) => makesParent).map(({ parent }) => parent),
    ];
    this.isIndependent = plan.foreignKeys.length === 0 && plan.groups.length === 0;
  }

  /** Writes columns of a row of an independent relation. */
  writeRow(columns: readonly number[], seeds: OperationSeeds, draw: number, ordinal: number, sink: TupleSink): void {
    for (let at = 0; at < columns.length; at++) this.columns[columns[at]!]!.writeOwn(seeds, draw, ordinal, sink);
  }

  /** Draws a tuple of every group for one row. */
  pickTuples(seeds: OperationSeeds, draw: number): readonly number[] {
    if (this.groupLabels.length === 0) return NO_PICKS;
    return this.groupLabels.map((label, group) => {
      this.stream.restart(seeds.random, label, draw);
      return this.stream.below(this.plan.groups[group]!.tuples.length);
    });
  }

  /** Returns the columns that an INSERT writes: all, or those whose default is not left to the server. */
  insertedColumns(seeds: OperationSeeds): readonly number[] {
    if (this.plan.defaulted.length === 0) return this.plan.insertColumns;
    this.stream.restart(seeds.random, this.defaultsLabel, 0);
    return this.stream.chance(LEFT_TO_SERVER) ? this.withoutDefaults : this.plan.insertColumns;
  }

  /** Returns the value that a column gets from its group, a text or NULL; undefined if it has a source of its own. */
  cellOf(column: number, picks: readonly number[]): string | null | undefined {
    const place = this.places[column]!;
    if (place === null) return undefined;
    const cell = this.plan.groups[place.group]!.tuples[picks[place.group]!]![place.at]!;
    if (!this.plan.groups[place.group]!.own[place.at]!) return cell;
    // A unique column has values of its own, but not where the tuple wants NULL.
    return cell === null && this.plan.columns[column]!.source === 'ordinal' ? null : undefined;
  }

  /** Returns true for a row that meets the conditions between its columns. `read` returns a column's text. */
  meetsGuards(guards: readonly Guard[], read: (column: number) => string | null): boolean {
    return guards.every(({ condition, columns, comparisons, isStrict }) => {
      const at = (name: string) => columns.findIndex((column) => this.plan.columns[column]!.name === name);
      const answer = holds(
        condition,
        (name) => read(columns[at(name)]!),
        (name) => comparisons[at(name)]!,
      );
      return answer ?? !isStrict;
    });
  }

  /** Returns the value of a foreign key of one column that the row's tuple was accepted with; undefined if there is none. */
  textFor({ columns }: ForeignKeyPlan, picks: readonly number[]): string | undefined {
    const place = columns.length === 1 ? this.places[columns[0]!]! : null;
    if (place === null) return undefined;
    return this.plan.groups[place.group]!.tuples[picks[place.group]!]![place.at] ?? undefined;
  }

  /** Returns whether the groups require a foreign key to be NULL or to have a parent; undefined if neither. */
  presenceOf(foreignKey: ForeignKeyPlan, picks: readonly number[]): 'null' | 'present' | undefined {
    let presence: 'null' | 'present' | undefined;
    for (const column of foreignKey.columns) {
      const place = this.places[column]!;
      if (place === null) continue;
      if (this.plan.groups[place.group]!.tuples[picks[place.group]!]![place.at] === null) return 'null';
      presence = 'present';
    }
    return presence;
  }
}

function matesOf({ foreignKeys, guards, columns }: RelationPlan): number[][] {
  const pairs = guards.flatMap(({ condition }) => equalColumns(condition));
  const areCompared = (one: number, other: number) =>
    pairs.some((pair) => pair.includes(columns[one]!.name) && pair.includes(columns[other]!.name));
  return foreignKeys.map((key, position) =>
    foreignKeys
      .slice(0, position)
      .flatMap((other, at) =>
        key.parent === other.parent &&
        key.columns.length === 1 &&
        other.columns.length === 1 &&
        key.parentColumns[0] === other.parentColumns[0] &&
        areCompared(key.columns[0]!, other.columns[0]!)
          ? [at]
          : [],
      ),
  );
}

/* Share of INSERTs that leave computed defaults to the server, if that is configured. */
const LEFT_TO_SERVER = 0.125;

const NO_PICKS: readonly number[] = [];

export class CompiledColumn {
  readonly plan: ColumnPlan;
  private readonly writers: Writers;
  /** Compiled on first use, because most columns of a plan with thousands of tables get few rows. */
  private writer: Writer | undefined;
  /* Copies of members that are read for every value, so that they are close together in memory. */
  private readonly isNull: boolean;
  private readonly isOrdinal: boolean;
  private readonly isPlain: boolean;
  private readonly nullRatio: number;
  private readonly edgeRatio: number;
  private readonly label: Seed;
  private readonly fromFaker: boolean;
  private readonly root: Seed;
  private edges: readonly Buffer[] | undefined;
  private readonly stream: Stream;

  constructor(plan: ColumnPlan, writers: Writers, random: Seed, faker: Seed, stream: Stream) {
    this.plan = plan;
    this.fromFaker = usesFakerSeed(plan.recipe);
    this.root = this.fromFaker ? faker : random;
    this.label = split(split(this.root, plan.label), plan.salt);
    this.writers = writers;
    this.writer = undefined;
    this.isPlain = isPlain(plan.recipe);
    this.isNull = plan.recipe.kind === 'null';
    this.isOrdinal = plan.source === 'ordinal';
    this.nullRatio = plan.nullRatio;
    this.edgeRatio = plan.edges.length > 0 ? plan.edgeRatio : 0;
    this.stream = stream;
  }

  /** Writes the column's own value: from the row's ordinal, or from its draw. */
  writeOwn(seeds: OperationSeeds, draw: number, ordinal: number, sink: TupleSink): void {
    if (this.isOrdinal) this.writeOrdinal(ordinal, sink);
    else this.writeDrawn(seeds, draw, ordinal, sink);
  }

  /** Writes the value of one row of an operation: NULL, a boundary value or the recipe's. `row` numbers the draw within the operation. */
  writeDrawn(seeds: OperationSeeds, row: number, ordinal: number, sink: TupleSink): void {
    const { stream } = this;
    stream.restart(this.fromFaker ? seeds.faker : seeds.random, this.label, row);
    if (this.isNull || stream.chance(this.nullRatio)) {
      sink.null();
      return;
    }
    const mark = sink.open();
    if (stream.chance(this.edgeRatio)) {
      this.edges ??= this.plan.edges.map((text) => Buffer.from(text, 'utf8'));
      const edge = this.edges[stream.below(this.edges.length)]!;
      sink.put(edge, 0, edge.length);
      sink.close(mark);
      return;
    }
    this.write(stream, sink, ordinal);
    sink.close(mark, this.isPlain);
  }

  private get write(): Writer {
    this.writer ??= this.writers.of(this.plan.recipe);
    return this.writer;
  }

  /** Writes the value of an ordinal, which is always the same. */
  writeOrdinal(ordinal: number, sink: TupleSink): void {
    const { stream } = this;
    stream.restart(this.root, this.label, ordinal);
    if (stream.chance(this.nullRatio)) {
      sink.null();
      return;
    }
    const mark = sink.open();
    this.write(stream, sink, ordinal);
    sink.close(mark, this.isPlain);
  }
}
