import type { Attribute, Type } from '../catalog/model.js';
import type { ColumnOverride, JsonTemplate } from '../config/schema.js';
import { isFakerMethod } from '../datum/pool.js';
import type { Recipe } from '../datum/recipe.js';
import { parseMicros } from '../datum/temporal.js';
import { POWERS_OF_TEN } from '../datum/writer.js';
import { numericModifier, OID } from './oid.js';
import { patternRecipe } from './pattern.js';

/** Where the values of an override go. */
interface Place {
  /** How a message names it. */
  readonly name: string;
  readonly typeName: string;
  /** The type's OID, that of its base type for a domain; null: a value within JSON, where all kinds of values fit. */
  readonly oid: number | null;
  /** Longest text, in characters; null: no limit. */
  readonly max: number | null;
  /** Digits after the decimal point that the type keeps; null: not limited. */
  readonly scale: number | null;
}

type Report = (message: string) => void;

const NULL: Recipe = { kind: 'null' };

/** Returns the recipe of a column's override; `report` is called for each thing that does not fit the column. */
export function overrideRecipe(
  override: ColumnOverride,
  attribute: Attribute,
  types: ReadonlyMap<number, Type>,
  report: Report,
): Recipe {
  const oid = baseTypeOid(attribute.type, types);
  const isText = TEXTS.has(oid);
  const place: Place = {
    name: attribute.name,
    typeName: attribute.typeName,
    oid,
    max: isText && attribute.modifier >= 4 ? attribute.modifier - 4 : null,
    scale: scaleOf(oid, attribute.modifier),
  };
  const nullRatio = nullRatioOf(override);
  if (attribute.notNull && nullRatio > 0)
    report(
      nullRatio === 1
        ? 'the column is NOT NULL; use another type of override'
        : 'the column is NOT NULL; remove null_ratio',
    );
  return recipeOf(override, place, report);
}

/** Returns the share of NULLs that an override asks for. */
export function nullRatioOf(override: ColumnOverride): number {
  if (override.type === 'null' || (override.type === 'constant' && override.value === null)) return 1;
  return override.null_ratio ?? 0;
}

function baseTypeOid(oid: number, types: ReadonlyMap<number, Type>): number {
  const type = types.get(oid);
  return type?.kind === 'domain' ? baseTypeOid(type.base, types) : oid;
}

function scaleOf(oid: number, modifier: number): number | null {
  if (WHOLE_NUMBERS.has(oid)) return 0;
  if (oid === OID.money) return 2;
  return oid === OID.numeric && modifier >= 4 ? Math.max(0, numericModifier(modifier).scale) : null;
}

const WHOLE_NUMBERS: ReadonlySet<number> = new Set([OID.int2, OID.int4, OID.int8]);
const NUMBERS: ReadonlySet<number> = new Set([...WHOLE_NUMBERS, OID.numeric, OID.float4, OID.float8, OID.money]);
const TEXTS: ReadonlySet<number> = new Set([OID.text, OID.varchar, OID.bpchar]);
const DATES: ReadonlySet<number> = new Set([OID.date, OID.timestamp, OID.timestamptz]);
const JSONS: ReadonlySet<number> = new Set([OID.json, OID.jsonb]);

function recipeOf(override: ColumnOverride, place: Place, report: Report): Recipe {
  const { oid, max } = place;
  const onlyFor = (types: ReadonlySet<number>, what: string) => {
    if (oid !== null && !types.has(oid) && !TEXTS.has(oid))
      report(`${override.type} needs a column of ${what}, but "${place.name}" is ${place.typeName}`);
  };
  switch (override.type) {
    case 'choice':
      if (override.values.includes(null)) report('choice does not accept null; use null_ratio or type: null');
      return choiceOf(override.values.map(String), override.weights);
    case 'int_range':
      onlyFor(NUMBERS, 'a number or text type');
      return { kind: 'integer', min: override.min, max: override.max, spread: 'uniform' };
    case 'decimal_range':
      onlyFor(NUMBERS, 'a number or text type');
      return decimalRecipe(override, place, report);
    case 'date_range':
    case 'timestamp_range': {
      const minMicros = parseMicros(override.min);
      const maxMicros = parseMicros(override.max);
      if (minMicros === undefined || maxMicros === undefined) {
        report(
          `expected dates or timestamps such as 2024-01-31 or 2024-01-31 12:00:00, got "${override.min}" and "${override.max}"`,
        );
        return NULL;
      }
      onlyFor(DATES, 'a date, timestamp or text type');
      const range = { kind: 'between', minMicros, maxMicros } as const;
      return override.type === 'date_range'
        ? { kind: 'date', range }
        : { kind: 'timestamp', zone: oid === OID.timestamptz, range };
    }
    case 'faker':
      if (!isFakerMethod(override.method))
        report(`faker has no method "${override.method}"; see the API of @faker-js/faker, for example person.fullName`);
      return { kind: 'faker', method: override.method, max };
    case 'template':
      return templateRecipe(override.template, max, report);
    case 'pattern':
      try {
        return patternRecipe(override.pattern);
      } catch (error) {
        report(`no values can be made from the pattern: ${(error as Error).message}`);
        return NULL;
      }
    case 'json':
      onlyFor(JSONS, 'type json, jsonb or a text type');
      return jsonRecipe(override.value, place, report);
    case 'null':
      return NULL;
    case 'constant':
      return override.value === null ? NULL : choiceOf([String(override.value)]);
  }
}

function choiceOf(values: readonly string[], weights?: readonly number[]): Recipe {
  let sum = 0;
  return { kind: 'choice', values, cumulative: values.map((_, index) => (sum += weights?.[index] ?? 1)) };
}

const DEFAULT_SCALE = 2;

/* The digits after the point: those of the bounds or two, whichever is more, as far as the type keeps them. */
function decimalRecipe(
  { min, max, scale: wanted }: ColumnOverride & { type: 'decimal_range' },
  place: Place,
  report: Report,
): Recipe {
  const scale = Math.min(
    wanted ?? Math.max(DEFAULT_SCALE, digitsAfterPoint(min), digitsAfterPoint(max)),
    place.scale ?? MOST_DIGITS,
  );
  const unit = POWERS_OF_TEN[scale]!;
  const bounds = { min: Math.ceil(min * unit - ROUNDING), max: Math.floor(max * unit + ROUNDING) };
  if (!Number.isSafeInteger(bounds.min) || !Number.isSafeInteger(bounds.max))
    report(`numbers up to ${Math.max(Math.abs(min), Math.abs(max))} with ${scale} decimals are too large; lower scale`);
  else if (bounds.min > bounds.max)
    report(`there is no number with ${scale} decimals from ${min} to ${max}; raise scale or widen the range`);
  return { kind: 'scaled', ...bounds, scale };
}

/* What a product such as 1.15 · 100 may be off. */
const ROUNDING = 1e-6;
const MOST_DIGITS = 15;

function digitsAfterPoint(value: number): number {
  const [mantissa, exponent] = String(value).split('e');
  const written = (mantissa!.split('.')[1] ?? '').length - Number(exponent ?? 0);
  return Math.min(MOST_DIGITS, Math.max(0, written));
}

function templateRecipe(template: string, max: number | null, report: Report): Recipe {
  for (const [, name] of template.matchAll(/\{\{\s*([^}]*?)\s*\}\}/g)) {
    if (name !== 'ordinal' && !isFakerMethod(name!))
      report(`faker has no method "${name}"; a template may contain {{ordinal}} and {{module.method}}`);
  }
  return { kind: 'template', template, max };
}

/** Returns the recipe of a JSON value whose texts are templates and whose parts may be overrides of their own. */
function jsonRecipe(value: JsonTemplate, place: Place, report: Report): Recipe {
  return { kind: 'format', parts: jsonParts(value, { ...place, oid: null, max: null, scale: null }, report) };
}

function jsonParts(value: JsonTemplate, place: Place, report: Report): (string | Recipe)[] {
  if (typeof value === 'string')
    return [
      value.includes('{{') ? { kind: 'jsonText', of: templateRecipe(value, null, report) } : JSON.stringify(value),
    ];
  if (typeof value !== 'object' || value === null) return [String(value)];
  if (Array.isArray(value))
    return listed(
      '[',
      value.map((each) => jsonParts(each, place, report)),
      ']',
    );
  if (isOverride(value)) return [jsonOverride(value.$override, place, report)];
  return listed(
    '{',
    Object.entries(value).map(([key, each]) => [`${JSON.stringify(key)}:`, ...jsonParts(each, place, report)]),
    '}',
  );
}

function isOverride(value: object): value is { readonly $override: ColumnOverride } {
  return Object.hasOwn(value, '$override');
}

function listed(open: string, items: readonly (readonly (string | Recipe)[])[], close: string): (string | Recipe)[] {
  return [open, ...items.flatMap((item, index) => (index === 0 ? item : [',', ...item])), close];
}

/** Returns what an override writes within JSON: numbers and given values as they are, everything else as a JSON text. */
function jsonOverride(override: ColumnOverride, place: Place, report: Report): Recipe {
  if (nullRatioOf(override) > 0 && override.type !== 'null')
    report('null_ratio is for columns; within json, use a choice with null');
  switch (override.type) {
    case 'null':
      return choiceOf(['null']);
    case 'constant':
      return choiceOf([jsonOf(override.value)]);
    case 'choice':
      return choiceOf(override.values.map(jsonOf), override.weights);
    case 'int_range':
    case 'decimal_range':
    case 'json':
      return recipeOf(override, place, report);
    default:
      return { kind: 'jsonText', of: recipeOf(override, place, report) };
  }
}

function jsonOf(value: string | number | boolean | bigint | null): string {
  return typeof value === 'bigint' ? String(value) : JSON.stringify(value);
}
