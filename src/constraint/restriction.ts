import { columnsOf, type Expression, renamed, replaced, withoutCasts } from '../catalog/expression.js';
import type { Check, Relation, Type } from '../catalog/model.js';

/** An end of a range, as the constraint writes it. */
interface Bound {
  readonly text: string;
  readonly inclusive: boolean;
}

/** Null: no end on that side. */
export interface Range {
  readonly min: Bound | null;
  readonly max: Bound | null;
}

/** What the constraints leave of one column's values. Each member narrows the others. */
export interface Restriction extends Range {
  /** All values there are. */
  readonly values: readonly string[] | null;
  readonly excluded: readonly string[];
  /** Where several ranges would do: all of them, `min` and `max` being those of one. Null where there is one, or they are not known. */
  readonly ranges: readonly Range[] | null;
  /** Characters. */
  readonly minLength: number;
  readonly maxLength: number | null;
  readonly notNull: boolean;
  /** True where other values would do as well: one of several ranges was taken. */
  readonly partial: boolean;
}

const UNRESTRICTED: Restriction = {
  values: null,
  excluded: [],
  min: null,
  max: null,
  ranges: null,
  minLength: 0,
  maxLength: null,
  notNull: false,
  partial: false,
};

/** What is known after reading the CHECKs of a relation. */
export interface Restrictions {
  readonly byColumn: ReadonlyMap<string, Restriction>;
  /** Conditions of which a part is expressed by no restriction, or by one that leaves out values. */
  readonly unsolved: readonly Condition[];
  /** Of these, conditions that hold for a value of any of its column's `ranges`. */
  readonly ranged: ReadonlySet<Condition>;
}

/** One condition that a row must meet, and the constraint that asks for it. */
export interface Condition {
  readonly name: string;
  readonly expression: Expression;
  /** As the server writes it. */
  readonly text: string;
  /** The column of a domain's condition, which the text calls VALUE; null for a CHECK of the relation. */
  readonly domainColumn: string | null;
  /** Generated columns that the text names, and what they are made of: `expression` is over their sources. */
  readonly through: readonly Check[];
  /** True where the server computes the text when a row is written, so that it must not fail; its value does not matter. */
  readonly computed: boolean;
}

/** All conditions on the rows of a relation: its CHECKs, and those of its columns' domains. */
export function conditionsOn(relation: Relation, types: ReadonlyMap<number, Type>): Condition[] {
  const typeOf = new Map(relation.attributes.map(({ name, type }) => [name, type]));
  const plain = (expression: Expression) =>
    withoutCasts(expression, (column, to) => isHarmless(typeOf.get(column), to, types));
  const fromDomains = relation.attributes.flatMap((attribute) => {
    const conditions: Condition[] = [];
    for (let type = types.get(attribute.type); type?.kind === 'domain'; type = types.get(type.base)) {
      for (const { name, text, expression } of type.checks)
        conditions.push({
          name: `${type.name}.${name}`,
          expression: plain(renamed(expression, 'value', attribute.name)),
          text,
          domainColumn: attribute.name,
          through: [],
          computed: false,
        });
    }
    return conditions;
  });
  return [
    ...relation.checks.map((check) => {
      const names = columnsOf(check.expression);
      const through = relation.attributes.flatMap(({ name, generation }) =>
        generation !== null && names.includes(name) ? generation : [],
      );
      const expression = through.reduce(
        (inner, { name, expression: source }) => replaced(inner, name, source),
        check.expression,
      );
      return { ...check, expression: plain(expression), domainColumn: null, through, computed: false };
    }),
    ...fromDomains,
  ];
}

/* Casts that leave a value what it is: `(status)::text = 'open'` says the same about a varchar. */
const HARMLESS: readonly { readonly from: readonly string[]; readonly to: readonly string[] }[] = [
  { from: ['text', 'varchar', 'bpchar', 'citext', 'name'], to: ['text', 'varchar', 'bpchar'] },
  { from: ['int2', 'int4', 'int8'], to: ['int2', 'int4', 'int8', 'numeric', 'float8'] },
  { from: ['numeric', 'float4', 'float8', 'money'], to: ['numeric', 'float8'] },
];

/** True where a cast from a type says nothing new about its values. */
export function isHarmless(from: number | undefined, to: string, types: ReadonlyMap<number, Type>): boolean {
  let type = from === undefined ? undefined : types.get(from);
  while (type?.kind === 'domain') type = types.get(type.base);
  if (type === undefined) return false;
  const { name } = type;
  if (name === to || (type.kind === 'enum' && to === 'text')) return true;
  return HARMLESS.some((row) => row.from.includes(name) && row.to.includes(to));
}

/**
 * Reads conditions that all must hold. A condition over one column whose shape is known narrows that column; the rest is
 * left to be searched. A CHECK passes on NULL, so NULLs need no branch of their own.
 */
export function restrictionsOf(conditions: readonly Condition[]): Restrictions {
  const byColumn = new Map<string, Restriction>();
  const unsolved: Condition[] = [];
  const read = new Set<Condition>();
  for (const condition of conditions) {
    let isSolved = true;
    let isRead = true;
    for (const part of conjuncts(condition.expression)) {
      const columns = columnsOf(part);
      const narrowed = columns.length === 1 ? narrow(byColumn.get(columns[0]!) ?? UNRESTRICTED, part) : null;
      if (narrowed !== null) byColumn.set(columns[0]!, narrowed);
      if (narrowed === null) isRead = false;
      if (narrowed === null || narrowed.partial) isSolved = false;
    }
    if (!isSolved) unsolved.push(condition);
    if (isRead) read.add(condition);
  }
  const ranged = unsolved.filter((condition) => {
    const columns = columnsOf(condition.expression);
    return read.has(condition) && columns.length === 1 && (byColumn.get(columns[0]!)?.ranges ?? null) !== null;
  });
  return { byColumn, unsolved, ranged: new Set(ranged) };
}

/** Columns that conditions do not let be NULL. */
export function neverNull(conditions: readonly Condition[]): ReadonlySet<string> {
  const parts = conditions.flatMap(({ expression }) => conjuncts(expression));
  return new Set(
    parts.flatMap((part) => (part.kind === 'is null' && part.negated && isColumn(part.arg) ? columnsOf(part.arg) : [])),
  );
}

/** The parts of a condition that all must hold. */
export function conjuncts(condition: Expression): Expression[] {
  if (condition.kind === 'constant' && condition.text === 'true') return [];
  return condition.kind === 'and' ? condition.args.flatMap(conjuncts) : [condition];
}

const MIRRORED: Readonly<Record<string, string>> = { '<': '>', '<=': '>=', '>': '<', '>=': '<=', '=': '=', '<>': '<>' };

/** The restriction with a further condition on the same column; null where its shape is not known, or leaves nothing. */
function narrow(restriction: Restriction, condition: Expression): Restriction | null {
  switch (condition.kind) {
    case 'column':
      return withValues(restriction, ['true']);
    case 'constant':
      return condition.text === 'true' ? restriction : null;
    case 'not':
      return isColumn(condition.arg) ? withValues(restriction, ['false']) : null;
    case 'is truth':
      if (!isColumn(condition.arg) || condition.truth === 'unknown' || condition.negated) return null;
      return withValues({ ...restriction, notNull: true }, [condition.truth]);
    case 'is null':
      return isColumn(condition.arg) && condition.negated ? { ...restriction, notNull: true } : null;
    case 'and':
      return condition.args.reduce<Restriction | null>(
        (sum, each) => (sum === null ? null : narrow(sum, each)),
        restriction,
      );
    case 'or':
      return either(restriction, condition.args);
    case 'any': {
      const values = constantsOf(condition.array);
      if (!isColumn(condition.left) || condition.operator !== '=' || values === null) return null;
      return withValues(restriction, values);
    }
    case 'all': {
      const values = constantsOf(condition.array);
      if (!isColumn(condition.left) || condition.operator !== '<>' || values === null) return null;
      return without(restriction, values);
    }
    case 'operator':
      return compare(restriction, condition);
    default:
      return null;
  }
}

/**
 * One of several conditions: values of all of them where each lists its own, else a branch that leaves more than a list.
 * Null where that could be one that is not read: the others' lists may hold too little.
 */
function either(restriction: Restriction, conditions: readonly Expression[]): Restriction | null {
  // NULL passes whatever the other branches say.
  const others = conditions.filter((condition) => condition.kind !== 'is null' || condition.negated);
  const branches = others.map((condition) => narrow(restriction, condition));
  const open = branches.find((branch) => branch !== null && branch.values === null);
  if (open && others.length === 1) return open;
  if (open) return { ...open, partial: true, ranges: rangesOf(restriction, branches) };
  const lists = branches.flatMap((branch) => branch ?? []);
  if (lists.length === 0 || lists.length < branches.length) return null;
  return { ...lists[0]!, values: [...new Set(lists.flatMap(({ values }) => values!))] };
}

/** The ranges that branches leave, where they say nothing else; null where that is not so. */
function rangesOf(restriction: Restriction, branches: readonly (Restriction | null)[]): Range[] | null {
  if (restriction.ranges !== null) return null;
  const ranges: Range[] = [];
  for (const branch of branches) {
    const isRange =
      branch !== null &&
      branch.values === null &&
      branch.ranges === null &&
      branch.excluded === restriction.excluded &&
      branch.minLength === restriction.minLength &&
      branch.maxLength === restriction.maxLength;
    if (!isRange) return null;
    ranges.push({ min: branch.min, max: branch.max });
  }
  return ranges;
}

function compare(restriction: Restriction, { name, args }: Expression & { kind: 'operator' }): Restriction | null {
  const [left, right] = args;
  if (left === undefined || right === undefined) return null;
  const operator = columnsOf(left).length > 0 ? name : MIRRORED[name];
  const [subject, constant] = columnsOf(left).length > 0 ? [left, constantOf(right)] : [right, constantOf(left)];
  if (operator === undefined || constant === null) return null;
  if (isColumn(subject)) return compareValue(restriction, operator, constant);
  return isLength(subject) ? compareLength(restriction, operator, Number(constant)) : null;
}

function compareValue(restriction: Restriction, operator: string, text: string): Restriction | null {
  switch (operator) {
    case '=':
    case 'is not distinct from':
      return withValues(restriction, [text]);
    case '<>':
    case 'is distinct from':
      return without(restriction, [text]);
    case '<':
    case '<=':
      return bounded(restriction, 'max', { text, inclusive: operator === '<=' });
    case '>':
    case '>=':
      return bounded(restriction, 'min', { text, inclusive: operator === '>=' });
    default:
      return null;
  }
}

function bounded(restriction: Restriction, end: 'min' | 'max', bound: Bound): Restriction {
  const within = (range: Range): Range => ({ ...range, [end]: tighter(range[end], bound, end === 'max' ? 1 : -1) });
  return {
    ...restriction,
    ...within({ min: restriction.min, max: restriction.max }),
    ranges: restriction.ranges?.map(within) ?? null,
  };
}

function compareLength(restriction: Restriction, operator: string, length: number): Restriction | null {
  const { minLength, maxLength } = restriction;
  const atLeast = (least: number): Restriction => ({ ...restriction, minLength: Math.max(minLength, least) });
  const atMost = (most: number): Restriction => ({
    ...restriction,
    maxLength: maxLength === null ? most : Math.min(maxLength, most),
  });
  switch (operator) {
    case '=': {
      const { maxLength: most } = atMost(length);
      return { ...atLeast(length), maxLength: most };
    }
    case '<':
      return atMost(length - 1);
    case '<=':
      return atMost(length);
    case '>':
      return atLeast(length + 1);
    case '>=':
      return atLeast(length);
    case '<>':
      return length === 0 ? atLeast(1) : null;
    default:
      return null;
  }
}

function withValues(restriction: Restriction, values: readonly string[]): Restriction | null {
  const { values: before, excluded } = restriction;
  const left = values.filter((value) => (before === null || before.includes(value)) && !excluded.includes(value));
  return left.length === 0 ? null : { ...restriction, values: [...new Set(left)] };
}

function without(restriction: Restriction, values: readonly string[]): Restriction | null {
  const left = restriction.values?.filter((value) => !values.includes(value)) ?? null;
  if (left?.length === 0) return null;
  return { ...restriction, values: left, excluded: [...restriction.excluded, ...values] };
}

/** The bound that leaves less; texts that are no numbers (dates) compare as such in one format. */
function tighter(a: Bound | null, b: Bound, direction: 1 | -1): Bound {
  if (a === null) return b;
  const order = Number.isNaN(Number(a.text))
    ? a.text < b.text
      ? -1
      : a.text > b.text
        ? 1
        : 0
    : Number(a.text) - Number(b.text);
  if (order === 0) return a.inclusive ? b : a;
  return order * direction < 0 ? a : b;
}

/** True for the column itself; casts that change nothing are gone by now. */
function isColumn(expression: Expression): boolean {
  return expression.kind === 'column';
}

function isLength(expression: Expression): boolean {
  if (expression.kind === 'cast') return isLength(expression.arg);
  if (expression.kind !== 'function' || expression.args.length !== 1) return false;
  return ['length', 'char_length', 'character_length'].includes(expression.name) && isColumn(expression.args[0]!);
}

/** A constant's text under casts and signs; null where it is none, or NULL. */
function constantOf(expression: Expression): string | null {
  if (expression.kind === 'cast') return constantOf(expression.arg);
  if (expression.kind === 'constant') return expression.text;
  if (expression.kind === 'operator' && expression.args.length === 1 && ['-', '+'].includes(expression.name)) {
    const text = constantOf(expression.args[0]!);
    return text === null || expression.name === '+' ? text : text.startsWith('-') ? text.slice(1) : `-${text}`;
  }
  return null;
}

function constantsOf(expression: Expression): string[] | null {
  if (expression.kind === 'cast') return constantsOf(expression.arg);
  if (expression.kind !== 'array') return null;
  const texts = expression.elements.map(constantOf);
  return texts.includes(null) ? null : (texts as string[]);
}
