import type { Expression } from '../catalog/expression.js';
import { columnsOf, constantsIn, functionsIn, operatorsIn } from '../catalog/expression.js';
import { type Catalog, quoteIdentifier, type Relation, rowsOf, type Type } from '../catalog/model.js';
import { kindsLookedUp } from '../catalog/names.js';
import { readTriggerText, withCalled } from '../catalog/trigger-text.js';
import { candidatesFor, type Family, type Hints, type SearchedColumn } from '../constraint/candidates.js';
import {
  type Comparison,
  columnsInFunctions,
  comparedWithConstants,
  comparesColumns,
  isReadable,
} from '../constraint/guard.js';
import type { Condition } from '../constraint/restriction.js';
import type { Writers } from '../datum/compile.js';
import type { Recipe } from '../datum/recipe.js';
import { BindSink } from '../datum/sink.js';
import { type Seed, split } from '../random/seed.js';
import { Stream } from '../random/stream.js';
import { branchesOf } from './branches.js';
import { type ColumnDraft, constantDefault } from './column.js';
import { derivedIn } from './derived.js';
import { baseOf, familyOf, labelsOf, longestText, plainType } from './family.js';
import { keyForms } from './key-forms.js';
import { OID } from './oid.js';
import type { ColumnPlan, Guard, ValueGroup } from './plan.js';
import type { UniqueRecipe } from './unique-recipe.js';

/** Columns with unsolved conditions, and tuples of values that the server checks. */
export interface Search {
  readonly relation: number;
  readonly label: string;
  readonly columns: readonly number[];
  readonly own: readonly boolean[];
  readonly conditions: readonly string[];
  readonly candidates: readonly (readonly (string | null)[])[];
  /** SELECT of more values from existing rows, for a column of an unknown type; null for others. */
  readonly existing: string | null;
  /** SELECT of further values from tables that functions look them up in, for a single column; null where none does. */
  readonly lookedUp: string | null;
  /** Columns that the server derives from the others of a tuple: the place of each, and a SELECT of the position and its text, parameters as `sql`. */
  readonly derived: readonly { readonly at: number; readonly sql: string }[];
  /** So many of the first candidates are ordinary values. If the server accepts them all, no limit is needed. */
  readonly ordinary: number;
  /** The range of candidates with values of each way to meet the conditions, in turn. */
  readonly branched: { readonly from: number; readonly count: number; readonly ways: number };
  /** True if guards check its conditions for each row, so that tuples only make it likely that they hold. */
  readonly isGuarded: boolean;
  /** True for generated columns, which only need to be computed without an error. */
  readonly isComputed: boolean;
  /** True for a single unique column, each value of which can be used once. */
  readonly isKey: boolean;
  /** Forms of unlimited values for such a column; SAMPLES of each follow the ordinary candidates. */
  readonly forms: readonly UniqueRecipe[];
  /**
   * SELECT of the positions (from 1) of tuples that meet all conditions, and whether these are certainly true, not only
   * unknown because of a NULL; one text[] parameter per column.
   */
  readonly sql: string;
}

/** What a search depends on. */
export interface SearchContext {
  readonly relation: Relation;
  readonly index: number;
  readonly label: string;
  readonly columns: readonly ColumnDraft[];
  readonly planned: readonly ColumnPlan[];
  /** Columns that must not be NULL in generated rows. */
  readonly fixed: ReadonlySet<number>;
  readonly types: ReadonlyMap<number, Type>;
  readonly writers: Writers;
  readonly seed: Seed;
  readonly functions: Catalog['functions'];
  readonly names: Catalog['names'];
  /** All relations that functions may look something up in. */
  readonly relations: readonly Relation[];
  /** Columns of unique keys whose tuples lanes remember: the more values, the better. */
  readonly tracked: ReadonlySet<number>;
}

const MOST_TUPLES = 800;
/** Number of samples of a recipe, and of each form of a unique column. */
export const SAMPLES = 12;
/* A list of unique values, each of which can be used once. */
const MOST_KEYS = 1000;
export const NULL_SHARE = 0.35;

/** Returns the condition, for a column of an unknown type, that the server can read its text. */
export function readable({ name, sql, typeName, attribute }: ColumnDraft): Condition {
  const shown = constantDefault(attribute);
  const column: Expression = { kind: 'column', name };
  const expression: Expression =
    shown === undefined ? column : { kind: 'row', elements: [column, { kind: 'constant', text: shown, type: 'text' }] };
  return { name: `the type ${typeName}`, text: sql, expression, domainColumn: null, through: [], computed: true };
}

/**
 * One search per set of columns that conditions tie together; conditions on columns that the server or the user fills stay
 * open. What is `solved` by a restriction counts for the tuples of a search as well, since they take its column's place. What is
 * `copied` from a parent is guarded only.
 */
export function searchesFor(
  conditions: readonly Condition[],
  { solved, copied }: { readonly solved: readonly Condition[]; readonly copied: readonly Condition[] },
  context: SearchContext,
): { searches: Search[]; guards: Guard[]; open: Condition[] } {
  const { columns, planned } = context;
  const positions = new Map(columns.map((column, position) => [column.name, position]));
  const open: Condition[] = [];
  const guards: Guard[] = [];
  const parts: { columns: Set<number>; conditions: Condition[] }[] = [];
  for (const condition of [...copied, ...conditions]) {
    const members = columnsOf(condition.expression).flatMap((name) => positions.get(name) ?? []);
    const isOurs = members.every((member) => planned[member]!.source !== 'server' && !columns[member]!.overridden);
    if (members.length === 0 || !isOurs) {
      if (!condition.computed) open.push(condition);
      continue;
    }
    const hasSource = members.some((member) => ['ordinal', 'foreign'].includes(planned[member]!.source));
    const comparisonOf = (name: string) => comparison(columns[positions.get(name)!]!.attribute.type, context.types);
    const typeOf = (name: string) => columns[positions.get(name)!]!.attribute.type;
    const isOfText = (name: string) =>
      familyOf(typeOf(name), context.types) === 'text' && baseOf(typeOf(name), context.types) !== OID.bpchar;
    if (
      hasSource &&
      !condition.computed &&
      isReadable(condition.expression, comparisonOf) &&
      columnsInFunctions(condition.expression).every(isOfText)
    ) {
      const isBetweenColumns = comparesColumns(condition.expression);
      // A tuple of a search says nothing about the value that such a column copies from its parent.
      const isAboutSource = comparedWithConstants(condition.expression).some((name) => {
        const { source } = planned[positions.get(name)!]!;
        // Another draw changes nothing about the ordinal of a row, but about the columns beside it.
        return source === 'foreign' || (source === 'ordinal' && members.length > 1);
      });
      // A constant and a value may be equal although their texts differ, except for these types.
      const isPlain = columnsOf(condition.expression).every((name) =>
        PLAINLY_COMPARED.has(familyOf(typeOf(name), context.types)),
      );
      const isCopied = copied.includes(condition);
      if (isBetweenColumns || ((isAboutSource || isCopied) && isPlain)) {
        const comparisons = members.map((member) => comparisonOf(columns[member]!.name));
        guards.push({
          name: condition.name,
          condition: condition.expression,
          columns: members,
          comparisons,
          isStrict: false,
        });
        if (isBetweenColumns) continue;
      }
    }
    if (copied.includes(condition)) continue;
    // A unique column keeps its ordinals if one of its ranges contains them.
    if (
      members.length === 1 &&
      planned[members[0]!]!.source === 'ordinal' &&
      columns[members[0]!]!.restriction?.partial
    )
      continue;
    const touching = parts.filter((part) => members.some((member) => part.columns.has(member)));
    const merged = {
      columns: new Set([...touching.flatMap((part) => [...part.columns]), ...members]),
      conditions: [...touching.flatMap((part) => part.conditions), condition],
    };
    for (const part of touching) parts.splice(parts.indexOf(part), 1);
    parts.push(merged);
  }
  return {
    searches: parts.map((part) =>
      searchFor(
        [...part.columns].sort((a, b) => a - b),
        {
          conditions: part.conditions,
          solved: solved.filter(({ expression }) =>
            columnsOf(expression).every((name) => part.columns.has(positions.get(name)!)),
          ),
          guarded: new Set(guards.map(({ name }) => name)),
        },
        context,
      ),
    ),
    guards,
    open,
  };
}

const PLAINLY_COMPARED: ReadonlySet<Family> = new Set(['integer', 'number', 'text', 'enum', 'boolean']);

const COMPARISONS: Partial<Readonly<Record<Family, Comparison>>> = {
  integer: 'number',
  number: 'number',
  date: 'instant',
  timestamp: 'instant',
  boolean: 'truth',
};

function comparison(type: number, types: ReadonlyMap<number, Type>): Comparison {
  if (baseOf(type, types) === OID.uuid) return 'text';
  return COMPARISONS[familyOf(type, types)] ?? 'equality';
}

function searchFor(
  members: readonly number[],
  {
    conditions,
    solved,
    guarded,
  }: { conditions: readonly Condition[]; solved: readonly Condition[]; guarded: ReadonlySet<string> },
  context: SearchContext,
): Search {
  const { columns, planned, types, fixed } = context;
  const all = [...conditions, ...solved];
  const expressions = all.map(({ expression }) => expression);
  const isKey = members.length === 1 && planned[members[0]!]!.source === 'ordinal';
  const own = members.map(
    (member) => !isKey && (planned[member]!.source === 'ordinal' || planned[member]!.source === 'foreign'),
  );
  const samplesOf = (member: number, recipe: Recipe) => sampled(recipe, planned[member]!.label, context);
  const samples = members.map((member) => samplesOf(member, planned[member]!.recipe));
  const hints = hintsOf(expressions, context);
  const lists = members.map((member, index) => {
    const { attribute } = columns[member]!;
    const searched: SearchedColumn = {
      name: attribute.name,
      nullable:
        !attribute.notNull &&
        !fixed.has(member) &&
        (planned[member]!.source !== 'ordinal' || (own[index]! && planned[member]!.nullRatio > 0)),
      family: familyOf(attribute.type, types),
      labels: labelsOf(attribute.type, types),
      samples: samples[index]!,
      shown: constantDefault(attribute),
      hints,
    };
    if (isAlwaysNull(planned[member]!) && !columns[member]!.unknown) return [null];
    if (own[index]) {
      const some = planned[member]!.source === 'foreign' ? constantsFor(attribute.name, expressions) : [];
      return [...some, ...searched.samples.slice(0, 3), ...(searched.nullable ? [null] : [])];
    }
    return candidatesFor(searched, expressions, isKey || context.tracked.has(member) ? MOST_KEYS : undefined);
  });
  const isComputed = conditions.every(({ computed }) => computed);
  const ordinary =
    isKey || isComputed
      ? ordinaryTuples(members, samples, context)
      : own.includes(true) || isOneOfSeveral(members, conditions, context)
        ? []
        : drawnTuples(members, lists, context);
  const forms = isKey ? formsFor(members[0]!, expressions, context) : [];
  const counted = forms.flatMap(({ recipe }) => samplesOf(members[0]!, recipe).map((text) => [text]));
  const branched =
    isKey || isComputed || own.includes(true) ? { ways: 0, tuples: [] } : branchedTuples(members, conditions, context);
  return {
    relation: context.index,
    label: context.label,
    columns: members,
    own,
    conditions: conditions.map(({ name }) => name),
    candidates: [
      ...ordinary,
      ...counted,
      ...branched.tuples,
      ...tuplesOf(lists, split(context.seed, `search ${context.label}.${members.join()}`)),
    ],
    existing:
      members.length === 1 && columns[members[0]!]!.unknown ? existingSql(columns[members[0]!]!, context) : null,
    derived: own.includes(true) ? [] : derivedSql(members, conditions, context),
    lookedUp: members.length === 1 ? lookedUpSql(columns[members[0]!]!, expressions, context) : null,
    ordinary: ordinary.length,
    branched: { from: ordinary.length + counted.length + 1, count: branched.tuples.length, ways: branched.ways },
    forms,
    isComputed,
    // No tuple can satisfy a condition that only values of parents decide; the rehearsal shows whether they do.
    isGuarded:
      conditions.every(({ name }) => guarded.has(name)) ||
      members.every((member) => planned[member]!.source === 'foreign'),
    isKey,
    sql: searchSql(members, all, context),
  };
}

function isAlwaysNull({ recipe, nullRatio, source }: ColumnPlan): boolean {
  return source === 'drawn' && recipe.kind === 'null' && nullRatio === 1;
}

/** Returns the constants that conditions compare a column with. */
function constantsFor(name: string, conditions: readonly Expression[]): string[] {
  const compared = conditions
    .flatMap(operatorsIn)
    .filter(({ args }) => args.some((arg) => columnsOf(arg).includes(name)))
    .flatMap(({ args }) => args.flatMap(constantsIn));
  return [...new Set(compared)].slice(0, MOST_CONSTANTS);
}

const MOST_CONSTANTS = 12;

/** Returns what the database's own functions that conditions call say about the values that they want. */
function hintsOf(expressions: readonly Expression[], { functions, names }: SearchContext): Hints {
  const called = expressions.flatMap(functionsIn).flatMap((name) => functions.get(name) ?? []);
  const sources = withCalled(called, functions);
  const texts = sources.map(readTriggerText);
  return {
    constants: [...new Set(texts.flatMap(({ constants }) => constants))],
    patterns: [...new Set(texts.flatMap(({ patterns }) => patterns))],
    names: kindsLookedUp(sources).flatMap((kind) => names.get(kind) ?? []),
  };
}

const MOST_EXISTING = 40;

function existingSql({ sql }: ColumnDraft, { relation }: SearchContext): string {
  return `SELECT DISTINCT t.${sql}::text AS value FROM ${rowsOf(relation)} AS t WHERE t.${sql} IS NOT NULL ORDER BY 1 LIMIT ${MOST_EXISTING}`;
}

/* All rows are read, so that the values do not depend on where they lie. */
const MOST_LOOKED_THROUGH = 1_000_000;

/** Returns a SELECT of the values of columns of the same kind, in the tables that functions of the conditions read. */
function lookedUpSql(
  { attribute }: ColumnDraft,
  expressions: readonly Expression[],
  { functions, relations, types }: SearchContext,
): string | null {
  const called = expressions.flatMap(functionsIn).flatMap((name) => functions.get(name) ?? []);
  const names = new Set(withCalled(called, functions).flatMap((source) => readTriggerText(source).tables));
  const family = familyOf(attribute.type, types);
  const parts = relations
    .filter(
      ({ name, privileges, estimatedRows }) =>
        names.has(name) && privileges.select && estimatedRows < MOST_LOOKED_THROUGH,
    )
    .flatMap((relation) =>
      relation.attributes
        .filter(({ type }) => familyOf(type, types) === family)
        .map(({ name }) => {
          const column = `t.${quoteIdentifier(name)}`;
          return `(SELECT DISTINCT ${column}::text AS value FROM ${rowsOf(relation)} AS t WHERE ${column} IS NOT NULL ORDER BY 1 LIMIT ${MOST_EXISTING})`;
        }),
    );
  return parts.length === 0 ? null : `SELECT DISTINCT value FROM (${parts.join(' UNION ALL ')}) AS v ORDER BY 1`;
}

/** Returns true if ordinary values stay in one of several ranges or partitions, so that others are never reached. */
function isOneOfSeveral(
  members: readonly number[],
  conditions: readonly Condition[],
  { columns, relation }: SearchContext,
): boolean {
  return (
    members.some((member) => columns[member]!.restriction?.partial === true) ||
    conditions.some(({ expression }) =>
      columnsOf(expression).some((name) => relation.partitioning?.columns.includes(name)),
    )
  );
}

/* Number of ordinary tuples. If the server accepts them all, rejections are rare. */
const MOST_DRAWN = 200;

/** Returns tuples from the columns' own recipes, with NULLs if they are allowed. */
function drawnTuples(
  members: readonly number[],
  lists: readonly (readonly (string | null)[])[],
  context: SearchContext,
): (string | null)[][] {
  const { planned, label, seed } = context;
  const ordinals = Array.from({ length: MOST_DRAWN }, (_, index) => index);
  const texts = members.map((member) =>
    ordinaryTexts(planned[member]!.recipe, planned[member]!.label, context, ordinals),
  );
  if (texts.some(({ length }) => length === 0)) return [];
  const stream = Stream.of(split(seed, `ordinary ${label}.${members.join()}`));
  return ordinals.map((index) =>
    members.map((_, at) => (lists[at]!.includes(null) && stream.chance(NULL_SHARE) ? null : texts[at]![index]!)),
  );
}

/* The most tuples of all branches together. */
const MOST_BRANCHED = 2000;

/** Returns ordinary values for each way to meet the conditions, in turn. */
function branchedTuples(
  members: readonly number[],
  conditions: readonly Condition[],
  context: SearchContext,
): { readonly ways: number; readonly tuples: (string | null)[][] } {
  const { columns, planned, fixed } = context;
  const branches = branchesOf(
    members.map((member) => ({
      name: columns[member]!.name,
      recipe: planned[member]!.recipe,
      nullable: !columns[member]!.attribute.notNull && !fixed.has(member),
    })),
    conditions,
  );
  const each = Math.floor(MOST_BRANCHED / Math.max(1, branches.length));
  const drawn = branches.map((recipes, branch) => {
    const ordinals = Array.from({ length: each }, (_, index) => branch * each + index);
    return recipes.map((recipe, at) =>
      recipe === null ? null : ordinaryTexts(recipe, planned[members[at]!]!.label, context, ordinals),
    );
  });
  const tuples = Array.from({ length: each }, (_, index) =>
    drawn.map((lists) => lists.map((list) => list?.[index] ?? null)),
  ).flat();
  return { ways: branches.length, tuples };
}

/** Returns tuples from the columns' own recipes, with boundary values. */
function ordinaryTuples(
  members: readonly number[],
  samples: readonly (readonly string[])[],
  { planned }: SearchContext,
): (string | null)[][] {
  const lists = members.map((member, index) => [...samples[index]!, ...planned[member]!.edges]);
  const longest = Math.max(...lists.map(({ length }) => length));
  return Array.from({ length: longest }, (_, at) => lists.map((list) => list[at % list.length] ?? null));
}

/** Returns all combinations if they are few; else each value with random others, all NULL but one, random tuples. */
function tuplesOf(lists: readonly (readonly (string | null)[])[], seed: Seed): (string | null)[][] {
  if (lists.some((list) => list.length === 0)) return [];
  const total = lists.reduce((product, list) => Math.min(product * list.length, MOST_TUPLES + 1), 1);
  if (total <= MOST_TUPLES)
    return lists.reduce<(string | null)[][]>(
      (tuples, list) => tuples.flatMap((tuple) => list.map((value) => [...tuple, value])),
      [[]],
    );
  const stream = Stream.of(seed);
  const found = new Map<string, (string | null)[]>();
  const add = (tuple: (string | null)[]) => found.set(tuple.map((value) => value ?? '\u0000').join('\u0001'), tuple);
  const nullOr = (list: readonly (string | null)[]) => (list.includes(null) ? null : list[stream.below(list.length)]!);
  const any = (list: readonly (string | null)[]) =>
    list.includes(null) && stream.chance(NULL_SHARE) ? null : list[stream.below(list.length)]!;
  add(lists.map(nullOr));
  for (const [index, list] of lists.entries()) {
    for (const value of list) {
      add(lists.map((other, position) => (position === index ? value : nullOr(other))));
      for (let i = 0; i < 3; i++) add(lists.map((other, position) => (position === index ? value : any(other))));
    }
  }
  // Values at the same place of all lists: equal constants, and the same sample in columns that are compared.
  for (let i = 0; i < Math.max(...lists.map(({ length }) => length)); i++)
    add(lists.map((list) => list[i % list.length]!));
  for (let tries = 0; tries < MOST_TUPLES * 2 && found.size < MOST_TUPLES; tries++) add(lists.map(any));
  return [...found.values()].slice(0, MOST_TUPLES);
}

function searchSql(
  members: readonly number[],
  conditions: readonly Condition[],
  { columns, relation, types }: SearchContext,
): string {
  const table = quoteIdentifier(relation.name);
  const tests = conditions.map(({ text, domainColumn, computed }) =>
    domainColumn === null
      ? computed
        ? `pg_catalog.num_nonnulls(${text}) >= 0`
        : `(${text}) IS NOT FALSE`
      : `(SELECT (${text}) FROM (SELECT ${table}.${quoteIdentifier(domainColumn)} AS value) AS d) IS NOT FALSE`,
  );
  const certain = conditions.map(({ text, domainColumn, computed }) =>
    domainColumn === null && !computed ? `(${text})` : 'true',
  );
  // An explicit cast truncates a text that an INSERT would reject.
  const lengths = members.flatMap((member, index) => {
    const length = longestText(columns[member]!.attribute, types);
    return length === null ? [] : [`(u.c${index} IS NULL OR pg_catalog.char_length(u.c${index}) <= ${length})`];
  });
  const short = lengths.length === 0 ? '' : ` WHERE ${lengths.join(' AND ')}`;
  const tuples = tuplesSql(members, { columns, types }, short);
  const through = [...new Map(conditions.flatMap((each) => each.through).map((each) => [each.name, each])).values()];
  const computed = through.map(({ name, text }) => `(${text}) AS ${quoteIdentifier(name)}`).join(', ');
  const generated = through.length === 0 ? '' : `, LATERAL (SELECT ${computed}) AS generated`;
  return (
    `SELECT ${table}."eg i" AS i, (${certain.join(' AND ')}) IS TRUE AS certain FROM ${tuples} AS ${table}${generated} ` +
    `WHERE ${tests.join(' AND ')} ORDER BY 1`
  );
}

/** The tuples of a search, one text[] parameter per column, as rows with a position `"eg i"`. */
function tuplesSql(
  members: readonly number[],
  { columns, types }: Pick<SearchContext, 'columns' | 'types'>,
  where: string,
): string {
  const casts = members.map(
    (member, index) => `CAST(u.c${index} AS ${plainType(columns[member]!, types)}) AS ${columns[member]!.sql}`,
  );
  const parameters = members.map((_, index) => `$${index + 1}::text[]`);
  const names = members.map((_, index) => `c${index}`);
  return `(SELECT u.i AS "eg i", ${casts.join(', ')} FROM unnest(${parameters.join(', ')}) WITH ORDINALITY AS u (${names.join(', ')}, i)${where})`;
}

function derivedSql(
  members: readonly number[],
  conditions: readonly Condition[],
  context: SearchContext,
): { at: number; sql: string }[] {
  const table = quoteIdentifier(context.relation.name);
  return derivedIn(conditions).flatMap(({ column, text }) => {
    const at = members.findIndex((member) => context.columns[member]!.name === column);
    if (at < 0) return [];
    const type = plainType(context.columns[members[at]!]!, context.types);
    const sql = `SELECT ${table}."eg i" AS i, CAST((${text}) AS ${type})::text AS value FROM ${tuplesSql(members, context, '')} AS ${table} ORDER BY 1`;
    return [{ at, sql }];
  });
}

function formsFor(
  member: number,
  expressions: readonly Expression[],
  { columns, planned, types }: SearchContext,
): UniqueRecipe[] {
  const { attribute } = columns[member]!;
  const family = familyOf(attribute.type, types);
  return keyForms(planned[member]!.recipe, family, expressions, longestText(attribute, types));
}

function sampled(recipe: Recipe, columnLabel: string, context: SearchContext): string[] {
  const ordinals = Array.from({ length: SAMPLES }, (_, index) => ordinalOf(recipe, index));
  return ordinaryTexts(recipe, columnLabel, context, ordinals);
}

/** Returns the texts of a recipe for some ordinals. */
export function ordinaryTexts(
  recipe: Recipe,
  columnLabel: string,
  { writers, seed }: Pick<SearchContext, 'writers' | 'seed'>,
  ordinals: readonly number[],
): string[] {
  if (recipe.kind === 'null') return [];
  const write = writers.of(recipe);
  const stream = new Stream();
  const label = split(seed, columnLabel);
  const sink = new BindSink();
  return ordinals.map((ordinal) => {
    sink.clear();
    sink.reserve(256);
    stream.restart(seed, label, ordinal);
    write(stream, sink, ordinal);
    return sink.bytes.toString('utf8', 0, sink.offset);
  });
}

/* Numbers of few and of several digits, so that all characters of a code occur. */
const ORDINALS = [0, 1, 2, 5, 10, 17, 35, 36, 100, 1295, 7777, 30_000];

function ordinalOf(recipe: Recipe, index: number): number {
  if (recipe.kind !== 'sequence') return index;
  switch (recipe.form.kind) {
    case 'text':
    case 'places':
    case 'integer':
      return ORDINALS[index % ORDINALS.length]!;
    case 'code':
      return recipe.form.width === 0 || recipe.form.width > 3 ? ORDINALS[index % ORDINALS.length]! : index;
    default:
      return index;
  }
}

/* The most tuples that a run draws from: enough for variety, few enough to post to every worker. */
const MOST_KEPT = 250;

/** Returns true if the server accepts all ordinary values. */
export function isUnneeded(search: Search, accepted: readonly number[]): boolean {
  return search.ordinary > 0 && accepted.filter((position) => position <= search.ordinary).length === search.ordinary;
}

/** Returns the first form all of whose samples the server has accepted. */
export function formOf({ forms, ordinary }: Search, accepted: readonly number[]): UniqueRecipe | undefined {
  return forms.find((_, index) => {
    const from = ordinary + index * SAMPLES;
    return accepted.filter((position) => position > from && position <= from + SAMPLES).length === SAMPLES;
  });
}

/** Returns the accepted values of a unique column, each once. */
export function keysOf(search: Search, accepted: readonly number[]): string[] {
  // An index may be over lower(…), so only the first of several values that differ in case is kept.
  const values = accepted.flatMap((position) => search.candidates[position - 1]![0] ?? []);
  return [...new Map(values.toReversed().map((value) => [value.toLowerCase(), value])).values()].reverse();
}

/**
 * Returns the group that a search has found; undefined if the server accepts no candidate. `isTracked`: each tuple can be used
 * once, so that none is to be drawn more often than others.
 */
export function groupOf(search: Search, accepted: readonly number[], isTracked: boolean): ValueGroup | undefined {
  if (accepted.length === 0) return undefined;
  const { from, count, ways } = search.branched;
  const tupleAt = (position: number) => search.candidates[position - 1]!;
  const isBranched = (position: number) => position >= from && position < from + count;
  const branched = accepted.filter(isBranched);
  const distinct = new Map(branched.map((position) => [JSON.stringify(tupleAt(position)), position]));
  if (distinct.size > MOST_KEPT) {
    // A way with one tuple has it many times, and is drawn as often as a way with a thousand tuples.
    const positions = isTracked ? [...distinct.values()] : branched;
    const found = new Set(branched.map((position) => (position - from) % ways)).size;
    // Of some ways the server accepts no ordinary value. They may be impossible: together they get the share of one.
    const others = found === ways ? [] : accepted.filter((position) => !isBranched(position));
    const share = others.length === 0 ? 0 : Math.round(positions.length / found);
    const rest = Array.from({ length: isTracked ? others.length : share }, (_, at) => others[at % others.length]!);
    return { columns: search.columns, own: search.own, tuples: [...positions, ...rest].map(tupleAt) };
  }
  const step = Math.max(1, accepted.length / MOST_KEPT);
  const tuples: (readonly (string | null)[])[] = [];
  for (let at = 0; at < accepted.length; at += step) tuples.push(tupleAt(accepted[Math.floor(at)]!));
  return { columns: search.columns, own: search.own, tuples };
}
