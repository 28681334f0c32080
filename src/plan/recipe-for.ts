import { type Expression, withoutCasts } from '../catalog/expression.js';
import type { Attribute, Type } from '../catalog/model.js';
import { matching, patternsIn } from '../constraint/candidates.js';
import { placesOf } from '../constraint/regular.js';
import { isHarmless, restrictionsOf } from '../constraint/restriction.js';
import type { Meaning } from '../datum/meaning.js';
import { meaningOf } from '../datum/meaning.js';
import type { Recipe } from '../datum/recipe.js';
import { extensionRecipe } from './extension-types.js';
import { narrowRecipe, type TypedRecipe } from './narrow.js';
import { numericModifier, OID } from './oid.js';
import { systemRecipe } from './system-types.js';

type Types = ReadonlyMap<number, Type>;

/**
 * Returns the recipe of a column's type, or the reason why there is none.
 * @param minBytes least size of text, bytea, json, jsonb, tsvector and array values, in bytes
 */
export function recipeForType(attribute: Attribute, types: Types, minBytes: number): TypedRecipe | string {
  const type = types.get(attribute.type);
  if (type === undefined) return `type ${attribute.typeName} is not in the catalog`;
  const meaning = meaningOf(attribute.name);
  const known = KNOWN.get(types) ?? new Map<string, TypedRecipe | string>();
  KNOWN.set(types, known);
  const name = `${attribute.type}/${attribute.modifier}/${meaning}/${minBytes}`;
  let typed = known.get(name);
  if (typed === undefined) {
    typed = recipeFor(type, attribute.modifier, { types, minBytes, meaning, typeName: attribute.typeName });
    known.set(name, typed);
  }
  return typed;
}

/* Columns of the same type share a recipe, because a plan of thousands of tables is posted to every worker. */
const KNOWN = new WeakMap<Types, Map<string, TypedRecipe | string>>();

interface Context {
  readonly types: Types;
  readonly minBytes: number;
  readonly meaning: Meaning;
  readonly typeName: string;
}

function recipeFor(type: Type, modifier: number, context: Context): TypedRecipe | string {
  switch (type.kind) {
    case 'enum':
      if (type.labels.length === 0) return `enum ${type.name} has no labels`;
      return { recipe: uniformChoice(type.labels), edges: [], quote: true };
    case 'array': {
      const special = systemRecipe(type.oid);
      if (special !== undefined) return { recipe: special, edges: [], quote: true };
      return arrayRecipe(type.element, modifier, type.delimiter, context);
    }
    case 'domain': {
      const base = context.types.get(type.base);
      if (base === undefined) return `the base type of domain ${type.name} is not in the catalog`;
      const recipe = recipeFor(base, type.modifier, context);
      return typeof recipe === 'string' ? recipe : withinDomain(type, { ...recipe, edges: [] }, context.types);
    }
    case 'range':
      return rangeRecipe(type.subtype, context);
    case 'multirange': {
      const range = context.types.get(type.range);
      const inner = range?.kind === 'range' ? rangeRecipe(range.subtype, context) : undefined;
      if (inner === undefined || typeof inner === 'string') return inner ?? `type ${context.typeName} is not supported`;
      return { recipe: { kind: 'format', parts: ['{', inner.recipe, '}'] }, edges: ['{}'], quote: true };
    }
    case 'composite': {
      const fields = type.fields.map((field) => {
        const fieldType = context.types.get(field.type);
        const meaning = meaningOf(field.name);
        const inner =
          fieldType && recipeFor(fieldType, field.modifier, { ...context, meaning, typeName: field.typeName });
        // A field for which no value can be generated is NULL.
        return inner === undefined || typeof inner === 'string' ? null : inner.recipe;
      });
      return { recipe: { kind: 'row', fields }, edges: [], quote: true };
    }
    case 'base': {
      if (type.extension === 'citext' && type.name === 'citext') return textRecipe(null, context);
      const special =
        (type.extension === null ? undefined : extensionRecipe(type.name, modifier, context.typeName)) ??
        systemRecipe(type.oid);
      if (special !== undefined) return { recipe: special, edges: [], quote: true };
      return builtinRecipe(type.oid, modifier, context);
    }
    case 'other':
      return `type ${context.typeName} is not supported in this version`;
  }
}

/**
 * What a domain's CHECKs leave of a recipe. For a column of the domain the server proves the rest; within an array or a row
 * this must do: bounds, lists, and texts made after a pattern.
 */
function withinDomain(domain: Type & { kind: 'domain' }, typed: TypedRecipe, types: Types): TypedRecipe {
  const { byColumn, unsolved } = restrictionsOf(
    domain.checks.map((check) => ({
      ...check,
      expression: withoutCasts(check.expression, (_, to) => isHarmless(domain.base, to, types)),
      domainColumn: null,
      through: [],
      computed: false,
    })),
  );
  const restriction = byColumn.get('value');
  const narrowed = restriction === undefined ? typed : (narrowRecipe(typed, restriction) ?? typed);
  const recipe = patternedRecipe(
    narrowed.recipe,
    unsolved.map(({ expression }) => expression),
  );
  return recipe === null ? narrowed : { ...narrowed, recipe };
}

/** Returns a recipe of texts that match the patterns in conditions about one column; null if there are none, or none match. */
export function patternedRecipe(recipe: Recipe, conditions: readonly Expression[]): Recipe | null {
  const longest = recipe.kind === 'text' ? recipe.max : null;
  const patterns = conditions.flatMap(patternsIn);
  const places = patterns.length === 1 ? placesOf(patterns[0]!, longest) : null;
  if (places !== null)
    return { kind: 'format', parts: places.map((characters): Recipe => ({ kind: 'code', length: 1, characters })) };
  const texts = patterns
    .flatMap((pattern) => matching(pattern))
    .filter((text) => longest === null || text.length <= longest);
  return texts.length === 0 ? null : uniformChoice([...new Set(texts)]);
}

function rangeRecipe(subtype: number, context: Context): TypedRecipe | string {
  const base = baseOf(subtype, context.types);
  const of = SPANS.get(base);
  if (of !== undefined)
    return { recipe: { kind: 'span', of, scale: of === 'decimal' ? 2 : 0 }, edges: ['empty', '(,)'], quote: true };
  // Only the server's collation or operator class knows which of two values is higher.
  const low = OPEN_ENDED.get(base);
  if (low === undefined) return { recipe: uniformChoice(['empty', '(,)']), edges: [], quote: true };
  return { recipe: { kind: 'format', parts: ['["', low, '",)'] }, edges: ['empty', '(,)'], quote: true };
}

const OPEN_ENDED: ReadonlyMap<number, Recipe> = new Map<number, Recipe>([
  [OID.text, { kind: 'code', length: 8 }],
  [OID.varchar, { kind: 'code', length: 8 }],
  [OID.uuid, { kind: 'uuid' }],
  [OID.inet, { kind: 'inet' }],
  [OID.time, { kind: 'time', zone: false }],
]);

const SPANS: ReadonlyMap<number, (Recipe & { kind: 'span' })['of']> = new Map([
  [OID.int4, 'integer'],
  [OID.int8, 'integer'],
  [OID.int2, 'integer'],
  [OID.numeric, 'decimal'],
  [OID.float4, 'decimal'],
  [OID.float8, 'decimal'],
  [OID.date, 'date'],
  [OID.timestamp, 'timestamp'],
  [OID.timestamptz, 'timestamptz'],
]);

function baseOf(oid: number, types: Types): number {
  const type = types.get(oid);
  return type?.kind === 'domain' ? baseOf(type.base, types) : oid;
}

function uniformChoice(values: readonly string[]): Recipe {
  return { kind: 'choice', values, cumulative: values.map((_, index) => index + 1) };
}

function arrayRecipe(elementOid: number, modifier: number, delimiter: string, context: Context): TypedRecipe | string {
  const element = context.types.get(elementOid);
  if (element === undefined) return `the element type of ${context.typeName} is not in the catalog`;
  const inner = recipeFor(element, modifier, { ...context, minBytes: 0 });
  if (typeof inner === 'string') return inner;
  // A domain may reject NULL, by NOT NULL or by a CHECK.
  const nulls = element.kind !== 'domain';
  return {
    recipe: { kind: 'array', element: inner.recipe, quote: inner.quote, nulls, delimiter, minBytes: context.minBytes },
    edges: context.minBytes > 0 ? [] : nulls ? ['{}', '{NULL}'] : ['{}'],
    quote: true,
  };
}

function builtinRecipe(oid: number, modifier: number, context: Context): TypedRecipe | string {
  const plain = (recipe: Recipe, ...edges: string[]): TypedRecipe => ({ recipe, edges, quote: false });
  const quoted = (recipe: Recipe, ...edges: string[]): TypedRecipe => ({ recipe, edges, quote: true });
  switch (oid) {
    case OID.bool:
      return plain({ kind: 'boolean' });
    case OID.int2:
      return plain({ kind: 'integer', min: -32768, max: 32767, spread: 'magnitude' }, '-32768', '32767', '0');
    case OID.int4:
      return plain(
        { kind: 'integer', min: -2147483648, max: 2147483647, spread: 'magnitude' },
        '-2147483648',
        '2147483647',
        '0',
      );
    case OID.int8:
      return plain({ kind: 'bigint' }, '-9223372036854775808', '9223372036854775807', '0');
    case OID.numeric:
      return numericRecipe(modifier);
    case OID.float4:
      return plain({ kind: 'float', bits: 32 }, 'NaN', 'Infinity', '-Infinity', '3.4028235e38', '1e-37');
    case OID.float8:
      return plain({ kind: 'float', bits: 64 }, 'NaN', 'Infinity', '-Infinity', '1.7976931348623157e308', '1e-307');
    case OID.money:
      return plain({ kind: 'money' }, '-92233720368547758.08', '92233720368547758.07', '0');
    case OID.text:
      return textRecipe(null, context);
    case OID.varchar:
      return textRecipe(modifier < 0 ? null : modifier - 4, context);
    case OID.bpchar:
      return charRecipe(modifier < 0 ? 1 : modifier - 4, context);
    case OID.bytea:
      return quoted({ kind: 'bytes', minBytes: context.minBytes }, ...(context.minBytes > 0 ? [] : ['\\x', '\\x00ff']));
    case OID.date:
      return plain(
        { kind: 'date', range: { kind: 'usual' } },
        'infinity',
        '-infinity',
        '4713-01-01 BC',
        '5874897-12-31',
        '2024-02-29',
      );
    case OID.time:
      return plain({ kind: 'time', zone: false }, '00:00:00', '24:00:00', '23:59:59');
    case OID.timetz:
      return plain({ kind: 'time', zone: true }, '00:00:00+15:59', '24:00:00-15:59');
    case OID.timestamp:
      return quoted(
        { kind: 'timestamp', zone: false, range: { kind: 'usual' } },
        'infinity',
        '-infinity',
        '4713-01-01 00:00:00 BC',
        '294276-12-31 23:59:59',
        '1970-01-01 00:00:00',
      );
    case OID.timestamptz:
      return quoted(
        { kind: 'timestamp', zone: true, range: { kind: 'usual' } },
        'infinity',
        '-infinity',
        '4713-01-01 00:00:00+00 BC',
        '294276-12-31 23:59:59+00',
        '1970-01-01 00:00:00+00',
      );
    case OID.interval:
      return quoted({ kind: 'interval' }, 'P0D', 'P178000000Y', 'P-178000000Y');
    case OID.json:
    case OID.jsonb:
      return quoted(
        { kind: 'json', minBytes: context.minBytes },
        ...(context.minBytes > 0 ? [] : ['{}', '[]', 'null', '"\\u00e9 \\"\\\\"', '1e3']),
      );
    case OID.inet:
      return plain({ kind: 'inet' }, '0.0.0.0', '255.255.255.255', '::', '::1/128');
    case OID.cidr:
      return plain({ kind: 'cidr' }, '0.0.0.0/0', '::/0');
    case OID.macaddr:
      return plain({ kind: 'macaddr' }, '00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff');
    case OID.uuid:
      return plain({ kind: 'uuid' }, '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    case OID.tsvector:
      return quoted({ kind: 'tsvector', minBytes: context.minBytes }, ...(context.minBytes > 0 ? [] : ['']));
    case OID.bit:
      return plain({ kind: 'bits', length: modifier < 0 ? 1 : modifier, varying: false });
    case OID.varbit:
      // Quoted in arrays, because it may be empty.
      return quoted({ kind: 'bits', length: modifier < 0 ? 64 : modifier, varying: true });
    default:
      return `type ${context.typeName} is not supported in this version`;
  }
}

/* atttypmod of numeric: (precision << 16 | scale in 11 bits, signed) + 4. Without one, 131072 digits would be allowed. */
function numericRecipe(modifier: number): TypedRecipe {
  if (modifier < 4)
    return {
      recipe: { kind: 'decimal', precision: 30, scale: 10 },
      edges: ['0', 'NaN', '1e50', '-1e-50'],
      quote: false,
    };
  const { precision, scale } = numericModifier(modifier);
  const largest =
    scale >= 0 && scale <= precision
      ? `${'9'.repeat(precision - scale) || '0'}${scale > 0 ? `.${'9'.repeat(scale)}` : ''}`
      : '0';
  return { recipe: { kind: 'decimal', precision, scale }, edges: ['0', 'NaN', largest, `-${largest}`], quote: false };
}

/* Four-byte UTF-8, quotes and backslashes, combining marks: texts that readers of changes handle wrongly. */
const AWKWARD_TEXTS: readonly string[] = [
  '',
  '😀',
  `O'Brien "\\`,
  'Ünïcödé',
  ' leading and trailing ',
  'line\nbreak\ttab',
];

function textRecipe(max: number | null, context: Context): TypedRecipe {
  const { meaning, minBytes } = context;
  const edges = minBytes > 0 ? [] : AWKWARD_TEXTS.filter((text) => max === null || [...text].length <= max);
  if (minBytes === 0 && max !== null && max <= 10_000) edges.push('x'.repeat(max));
  return { recipe: { kind: 'text', meaning, max, minBytes }, edges, quote: true };
}

/* A char(n) of a few characters contains codes; a longer one contains text. */
function charRecipe(length: number, context: Context): TypedRecipe {
  if (length > 12 || ['countryCode', 'currency', 'locale'].includes(context.meaning))
    return textRecipe(length, context);
  return { recipe: { kind: 'code', length }, edges: context.minBytes > 0 ? [] : ['', 'x'.repeat(length)], quote: true };
}
