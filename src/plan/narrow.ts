import { DIGITS, HEX, LOWER } from '../constraint/regular.js';
import type { Range, Restriction } from '../constraint/restriction.js';
import { type Band, Dealer } from '../datum/bands.js';
import type { Recipe, SequenceForm } from '../datum/recipe.js';
import { numberText } from '../datum/sequence.js';
import { MICROS_PER_DAY, parseMicros, USUAL_DAYS } from '../datum/temporal.js';
import { drawnWithin } from './stepped-forms.js';
import { byPlaces, drawn, listed, type UniqueRecipe } from './unique-recipe.js';

/** A recipe for a type, with boundary values that are also valid for the column. */
export interface TypedRecipe {
  readonly recipe: Recipe;
  readonly edges: readonly string[];
  /** True if array elements of this type need quotes. */
  readonly quote: boolean;
}

/* Up to so many whole numbers are listed individually, so that a key knows which are in use. */
const MOST_LISTED = 1000;
const LARGEST = Number.MAX_SAFE_INTEGER;

/** Returns a recipe whose values the restriction allows; undefined if the two are incompatible. */
export function narrowRecipe(typed: TypedRecipe, restriction: Restriction): TypedRecipe | undefined {
  const recipe = narrowed(typed.recipe, restriction);
  return recipe === undefined ? undefined : { recipe, edges: [], quote: typed.quote };
}

/* No recipe generates these; they occur only as boundary values, which are removed. */
const NOT_FINITE = /^(nan|[+-]?inf(inity)?)$/i;

function narrowed(recipe: Recipe, given: Restriction): Recipe | undefined {
  const restriction = { ...given, excluded: given.excluded.filter((text) => !NOT_FINITE.test(text)) };
  const { values } = restriction;
  if (values !== null)
    return choiceOf(recipe.kind === 'choice' ? recipe.values.filter((v) => values.includes(v)) : values);
  if (!isNarrow(restriction)) return recipe;
  const { ranges } = restriction;
  if (ranges !== null)
    return mixed(
      spread(ranges, MOST_RANGES).map((range) => narrowed(recipe, { ...restriction, ...range, ranges: null })),
    );
  switch (recipe.kind) {
    case 'mixture':
      return mixed(recipe.of.map((each) => narrowed(each, restriction)));
    case 'choice':
      return choiceOf(inOrder(recipe.values, restriction).filter((value) => !restriction.excluded.includes(value)));
    case 'integer':
      return integers(restriction, recipe.min, recipe.max);
    case 'bigint':
      return integers(restriction, -LARGEST, LARGEST);
    case 'float':
    case 'money':
      return scaled(restriction, 2, recipe.kind === 'float' && recipe.bits === 32 ? 8 : 14);
    case 'decimal':
      return scaled(restriction, recipe.scale, Math.min(15, recipe.precision));
    case 'text':
    case 'code':
      return text(recipe, restriction);
    case 'bytes': {
      const length = bytesWithin(restriction, Math.max(16, recipe.minBytes));
      return length === undefined ? undefined : { ...recipe, minBytes: length, exact: length };
    }
    case 'date':
    case 'timestamp': {
      const range = micros(restriction, recipe.kind === 'date' ? MICROS_PER_DAY : 1);
      return range === undefined ? undefined : { ...recipe, range: { kind: 'between', ...range } };
    }
    default:
      return undefined;
  }
}

/* The most ranges that are used. */
const MOST_RANGES = 500;

/** Returns at most so many items, evenly distributed over a list. */
export function spread<Value>(values: readonly Value[], most: number): Value[] {
  const step = Math.max(1, values.length / most);
  return Array.from({ length: Math.min(values.length, most) }, (_, index) => values[Math.floor(index * step)]!);
}

/** Returns a mixture of the recipes that are defined. */
function mixed(recipes: readonly (Recipe | undefined)[]): Recipe | undefined {
  const of = recipes.filter((recipe) => recipe !== undefined);
  return of.length > 1 ? { kind: 'mixture', of } : of[0];
}

function isNarrow({ excluded, min, max, minLength, maxLength }: Restriction): boolean {
  return excluded.length > 0 || min !== null || max !== null || minLength > 0 || maxLength !== null;
}

/** The values between the bounds, in the order in which an enum declares them. */
function inOrder(values: readonly string[], { min, max }: Restriction): readonly string[] {
  const from = min === null ? 0 : values.indexOf(min.text) + (min.inclusive ? 0 : 1);
  const to = max === null ? values.length : values.indexOf(max.text) + (max.inclusive ? 1 : 0);
  // A bound of another type is not one of the values.
  const areRead = [min, max].every((bound) => bound === null || values.includes(bound.text));
  return areRead ? values.slice(from, to) : values;
}

function choiceOf(values: readonly string[]): Recipe | undefined {
  return values.length === 0 ? undefined : { kind: 'choice', values, cumulative: values.map((_, index) => index + 1) };
}

/** Returns the range of whole numbers, in units of 10^−scale, within the bounds and above every excluded one. */
function unitRange(
  { min, max, excluded }: Pick<Restriction, 'min' | 'max' | 'excluded'>,
  scale: number,
  low: number,
  high: number,
): { min: number; max: number } | undefined {
  const unit = UNITS[scale]!;
  const ends = { min: low, max: high };
  if (min !== null) {
    const exact = inUnits(min.text, unit);
    if (Number.isNaN(exact)) return undefined;
    ends.min = Math.max(low, Math.ceil(exact));
    if (!min.inclusive && ends.min === exact) ends.min++;
  }
  if (max !== null) {
    const exact = inUnits(max.text, unit);
    if (Number.isNaN(exact)) return undefined;
    ends.max = Math.min(high, Math.floor(exact));
    if (!max.inclusive && ends.max === exact) ends.max--;
  }
  for (const text of [...excluded].sort((a, b) => Number(a) - Number(b))) {
    const value = inUnits(text, unit);
    if (Number.isNaN(value)) return undefined;
    if (value < ends.min || value > ends.max) continue;
    if (ends.max - value >= value - ends.min) ends.min = Math.floor(value) + 1;
    else ends.max = Math.ceil(value) - 1;
  }
  return ends.min > ends.max ? undefined : ends;
}

/* 2.2 * 100 is a little more than 220. */
function inUnits(text: string, unit: number): number {
  const exact = Number(text) * unit;
  const whole = Math.round(exact);
  return Math.abs(exact - whole) <= 1e-12 * Math.abs(exact) ? whole : exact;
}

const UNITS: readonly number[] = [1, 10, 100, 1000, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

function integers(restriction: Restriction, low: number, high: number): Recipe | undefined {
  const range = unitRange(restriction, 0, low, high);
  if (range === undefined) return undefined;
  // With two bounds, values are spread over the whole range; with one bound, over all orders of magnitude.
  const isOpen = restriction.min === null || restriction.max === null;
  return { kind: 'integer', ...range, spread: isOpen && range.max > 1000 ? 'magnitude' : 'uniform' };
}

function scaled(restriction: Restriction, scale: number, digits: number): Recipe | undefined {
  if (scale < 0 || scale > digits) return undefined;
  const most = UNITS[digits]! - 1;
  const range = unitRange(restriction, scale, -most, most);
  return range === undefined ? undefined : { kind: 'scaled', ...range, scale };
}

function text(recipe: Recipe & { kind: 'text' | 'code' }, restriction: Restriction): Recipe | undefined {
  const { minLength, maxLength, min, max } = restriction;
  if (min !== null || max !== null) return undefined;
  // Excluded texts are empty or names of states: no pool contains them, and a code is never empty.
  const limit = recipe.kind === 'text' ? recipe.max : recipe.length;
  const most = maxLength === null ? limit : limit === null ? maxLength : Math.min(limit, maxLength);
  if (most !== null && (most < 1 || minLength > most)) return undefined;
  if (recipe.kind === 'code') return { kind: 'code', length: most! };
  if (most !== null && minLength === most) return { kind: 'code', length: most };
  return { ...recipe, max: most, minBytes: Math.max(recipe.minBytes, minLength > 1 ? minLength : 0) };
}

function micros(restriction: Restriction, unit: number): { minMicros: number; maxMicros: number } | undefined {
  const { min, max, excluded } = restriction;
  if (excluded.length > 0) return undefined;
  const low = min === null ? undefined : parseMicros(min.text);
  const high = max === null ? undefined : parseMicros(max.text);
  if ((min !== null && low === undefined) || (max !== null && high === undefined)) return undefined;
  const span = USUAL_DAYS * MICROS_PER_DAY;
  const minMicros = low === undefined ? (high === undefined ? 0 : high - span) : low + (min!.inclusive ? 0 : unit);
  const maxMicros = high === undefined ? minMicros + span : high - (max!.inclusive ? 0 : unit);
  return minMicros > maxMicros ? undefined : { minMicros, maxMicros };
}

/** Returns a unique recipe within the restriction; undefined if the two are incompatible. */
export function narrowUnique(unique: UniqueRecipe, restriction: Restriction): UniqueRecipe | undefined {
  const { values } = restriction;
  if (values !== null) return listedIfAny(values);
  if (!isNarrow(restriction)) return unique;
  const { recipe } = unique;
  if (recipe.kind === 'bytes') return uniqueBytes(restriction);
  const isText = recipe.kind === 'sequence' && recipe.form.kind === 'text';
  if (recipe.kind === 'uuid' || recipe.kind === 'inet' || (isText && isRanged(restriction))) {
    if (!isRanged(restriction)) return restriction.excluded.length > 0 ? unique : undefined;
    const ranges = restriction.ranges ?? [{ min: restriction.min, max: restriction.max }];
    return drawnWithin(recipe, spread(ranges, MOST_RANGES), restriction.maxLength);
  }
  if (recipe.kind !== 'sequence') return undefined;
  const { form } = recipe;
  if (restriction.ranges !== null) return banded(unique, recipe, restriction);
  switch (form.kind) {
    case 'labels':
      return listedIfAny(form.values.filter((value) => !restriction.excluded.includes(value)));
    case 'integer':
    case 'decimal': {
      const scale = form.kind === 'decimal' ? form.scale : 0;
      const all = unitRange(restriction, scale, -LARGEST, unique.capacity);
      if (all === undefined) return undefined;
      if (scale === 0 && all.max - all.min < MOST_LISTED)
        return listed(Array.from({ length: all.max - all.min + 1 }, (_, index) => String(all.min + index)));
      const range = unitRange(restriction, scale, recipe.start, unique.capacity);
      return range && { ...unique, recipe: { ...recipe, start: range.min }, capacity: range.max };
    }
    case 'text': {
      const { minLength, maxLength, min, max } = restriction;
      if (min !== null || max !== null) return undefined;
      const most = maxLength === null ? form.max : form.max === null ? maxLength : Math.min(form.max, maxLength);
      if (most !== null && most < SHORTEST) {
        const length = Math.max(minLength, Math.min(most, CODE_LENGTH));
        return length > most ? undefined : byPlaces(Array.from({ length }, () => LOWER + DIGITS));
      }
      return {
        ...unique,
        recipe: { ...recipe, form: { ...form, max: most, minBytes: Math.max(form.minBytes, minLength) } },
      };
    }
    case 'code':
      return restriction.maxLength === null || restriction.maxLength >= form.width ? unique : undefined;
    case 'date':
    case 'timestamp':
      return banded(unique, recipe, { ...restriction, ranges: [{ min: restriction.min, max: restriction.max }] });
    default:
      return undefined;
  }
}

function isRanged({ ranges, min, max }: Restriction): boolean {
  return ranges !== null || min !== null || max !== null;
}

/* Short texts and byte strings are enumerated. */
const CODE_LENGTH = 12;

/* Random byte strings of this length are always distinct in practice. */
const AMPLE_BYTES = 12;

/** Returns a length that the restriction allows; undefined if it restricts more than lengths. */
function bytesWithin({ minLength, maxLength, min, max, excluded }: Restriction, usual: number): number | undefined {
  if (min !== null || max !== null || excluded.length > 0) return undefined;
  const length = Math.max(minLength, maxLength === null ? usual : Math.min(usual, maxLength));
  return maxLength !== null && length > maxLength ? undefined : length;
}

function uniqueBytes(restriction: Restriction): UniqueRecipe | undefined {
  const length = bytesWithin(restriction, AMPLE_BYTES + 4);
  if (length === undefined) return undefined;
  if (length < AMPLE_BYTES) return byPlaces(['\\', 'x', ...Array.from({ length: 2 * length }, () => HEX)]);
  return drawn({ kind: 'bytes', minBytes: length, exact: length });
}

/* Size of a range without a lower end. */
const NUMBERS_BELOW = 1_000_000;

/** Returns numbers from all ranges in turn; undefined if a bound is not understood, or nothing is left. */
function banded(
  unique: UniqueRecipe,
  recipe: Recipe & { kind: 'sequence' },
  restriction: Restriction,
): UniqueRecipe | undefined {
  const { watermark } = unique;
  if (watermark.kind !== 'max' || restriction.minLength > 0 || restriction.maxLength !== null) return undefined;
  const { form } = recipe;
  const all = restriction.ranges!.map((range) => bandOf(form, range, restriction.excluded, unique));
  if (all.includes('unread')) return undefined;
  const apart = withoutOverlaps((all as (Band | null)[]).flatMap((band) => band ?? []));
  // The watermark of each band is queried.
  const bands = spread(apart, MOST_RANGES);
  if (bands.length === 0) return undefined;
  const dealer = new Dealer(bands);
  if (dealer.capacity < MOST_LISTED && (form.kind === 'integer' || form.kind === 'date'))
    return listed(Array.from({ length: dealer.capacity }, (_, ordinal) => numberText(form, dealer.numberOf(ordinal))));
  const ends = bands.map(({ first, count }) => ({
    first: numberText(form, first),
    last: numberText(form, first + count - 1),
  }));
  return {
    recipe: { kind: 'sequence', form: { kind: 'bands', of: form, bands, highest: 0 }, start: 0 },
    capacity: dealer.capacity,
    watermark: { kind: 'bands', expression: watermark.expression, bands: ends },
  };
}

/** Returns the numbers of a form within a range; null if there are none. */
function bandOf(
  form: SequenceForm,
  { min, max }: Range,
  excluded: readonly string[],
  { recipe, capacity, least = 0 }: UniqueRecipe,
): Band | null | 'unread' {
  const start = recipe.kind === 'sequence' ? recipe.start : 0;
  // From the usual start, if it is in the range; else from the lower end, or from far enough below the upper end.
  const from = (low: number | null, high: number): Band | null => {
    const first = Math.max(least, low ?? (start <= high ? start : high - NUMBERS_BELOW));
    const last = Math.min(high, capacity);
    return first > last ? null : { first, count: last - first + 1 };
  };
  switch (form.kind) {
    case 'integer':
    case 'decimal': {
      const scale = form.kind === 'decimal' ? form.scale : 0;
      if (scale < 0 || [min, max].some((bound) => bound !== null && Number.isNaN(Number(bound.text)))) return 'unread';
      const all = unitRange({ min, max, excluded }, scale, least, capacity);
      if (all === undefined) return null;
      const low = start <= all.max ? Math.max(all.min, start) : all.min;
      return from(min === null ? null : low, all.max);
    }
    case 'date':
    case 'timestamp': {
      const unit = form.kind === 'date' ? MICROS_PER_DAY : UNITS[6 - form.precision]!;
      if (excluded.length > 0) return 'unread';
      const [low, high] = [min, max].map((bound) => (bound === null ? null : parseMicros(bound.text)));
      if (low === undefined || high === undefined) return 'unread';
      return from(
        low === null ? null : min!.inclusive ? Math.ceil(low / unit) : Math.floor(low / unit) + 1,
        high === null ? capacity : max!.inclusive ? Math.floor(high / unit) : Math.ceil(high / unit) - 1,
      );
    }
    default:
      return 'unread';
  }
}

/** Removes overlaps of bands: partitions have none, but branches of a CHECK may. */
function withoutOverlaps(bands: readonly Band[]): Band[] {
  const apart: Band[] = [];
  for (const { first, count } of [...bands].sort((a, b) => a.first - b.first)) {
    const before = apart.at(-1);
    if (before === undefined || first >= before.first + before.count) apart.push({ first, count });
    else apart[apart.length - 1] = { first: before.first, count: Math.max(before.count, first + count - before.first) };
  }
  return apart;
}

/* As in sequence-for.ts: room for a salt, a number, and readable text. */
const SHORTEST = 20;

/** Returns a recipe that hands out values one by one; undefined if there are none. */
export function listedIfAny(values: readonly string[]): UniqueRecipe | undefined {
  return values.length === 0 ? undefined : listed(values);
}
