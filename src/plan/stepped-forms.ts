import type { Family } from '../constraint/candidates.js';
import { countOf, DIGITS, HEX, LOWER, type Places } from '../constraint/regular.js';
import type { Range } from '../constraint/restriction.js';
import type { Recipe } from '../datum/recipe.js';
import { byPlaces, drawn, UNBOUNDED, type UniqueRecipe } from './unique-recipe.js';

const MONTHS: Places = ['12', DIGITS, DIGITS, DIGITS, '-', '0', '123456789', '-', '0', '1'];
const YEARS: Places = ['12', DIGITS, DIGITS, DIGITS, '-', '0', '1', '-', '0', '1'];
/* An hour of each of the first days of months; the time zone says nothing about whole hours. */
const HOURS: Places = [...MONTHS.slice(0, -1), '123456789', ' ', '01', DIGITS, ':', '0', '0', ':', '0', '0'];

export const MONTHS_AND_YEARS: readonly UniqueRecipe[] = [MONTHS, YEARS].map(byPlaces);

/**
 * Forms of unique values that lie apart by a step: whole hours, first days of months, odd numbers and tens, addresses of hosts. Where
 * conditions name networks, the candidates lie within these.
 */
export function steppedForms(family: Family, constants: readonly string[]): UniqueRecipe[] {
  switch (family) {
    case 'date':
      return [...MONTHS_AND_YEARS];
    case 'timestamp':
      return [byPlaces(HOURS), ...MONTHS_AND_YEARS];
    case 'integer':
    case 'number':
      // Enough for a run, and below the largest integer of four bytes.
      return ['1', '5', '0', '2', '4', '6', '00', '000', '3', '7', '9', '8'].map((end) =>
        byPlaces(['1', ...Array.from({ length: 7 - end.length }, () => DIGITS), ...end]),
      );
    case 'network':
      return constants.some((text) => /[.:]/.test(text)) ? [] : [byPlaces(octets(4))];
    default:
      return [];
  }
}

function octets(count: number): Places {
  return Array.from({ length: count }, (_, at) => [...(at === 0 ? [] : ['.']), '1', DIGITS, DIGITS]).flat();
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const LOWEST_UUID = '00000000-0000-0000-0000-000000000000';
const HIGHEST_UUID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** Forms of unique values between constants that conditions name, for types whose values are not numbered. */
export function boundedForms(recipe: Recipe, constants: readonly string[]): UniqueRecipe[] {
  if (recipe.kind !== 'uuid') return [];
  const bounds = constants.filter((text) => UUID.test(text)).sort();
  const between = bounds.slice(1).flatMap((high, at) => uuidsBetween(bounds[at]!, high));
  return [recipe, ...between.map(recipeOf)].map(drawn);
}

/** Unique values from each of several ranges in turn: of uuids, IPv4 addresses, and texts; undefined where a range is not understood. */
export function drawnWithin(
  recipe: Recipe,
  ranges: readonly Range[],
  longest: number | null,
): UniqueRecipe | undefined {
  const found = ranges.map(({ min, max }): Places | undefined => {
    if (recipe.kind === 'uuid') return uuidsBetween(min?.text ?? LOWEST_UUID, max?.text ?? HIGHEST_UUID)[0];
    if (recipe.kind === 'inet')
      return addressesBehind(min?.text ?? '').find((places) => max === null || isBelow(places, max.text));
    // In every collation, a text sorts after each of its own prefixes.
    const start = min?.text ?? '0';
    const room = Math.min(OPEN_PLACES, (longest ?? OPEN_PLACES + start.length) - start.length);
    return room < FEWEST_PLACES ? undefined : [...start, ...Array.from({ length: room }, () => LOWER + DIGITS)];
  });
  const understood = found.filter((places) => places !== undefined);
  if (understood.length < ranges.length || understood.length === 0) return undefined;
  const of = understood.map(recipeOf);
  const capacity = understood.reduce((sum, places) => sum + countOf(places), 0);
  return {
    ...drawn(of.length === 1 ? of[0]! : { kind: 'mixture', of }),
    capacity: Math.min(UNBOUNDED, capacity),
  };
}

const OPEN_PLACES = 12;
const FEWEST_PLACES = 4;

/** Texts with a character of each place, drawn at random. */
function recipeOf(places: Places): Recipe {
  const parts: (string | { kind: 'code'; length: number; characters: string })[] = [];
  for (const characters of places) {
    const last = parts.at(-1);
    if (characters.length === 1) {
      if (typeof last === 'string') parts[parts.length - 1] = last + characters;
      else parts.push(characters);
    } else if (typeof last === 'object' && last.characters === characters) last.length++;
    else parts.push({ kind: 'code', length: 1, characters });
  }
  return { kind: 'format', parts };
}

/** Addresses with the first one, two or three octets of another, and larger ones behind them. */
function addressesBehind(text: string): Places[] {
  const parts = /^(\d+)\.(\d+)\.(\d+)\.\d+(?:\/\d+)?$/.exec(text)?.slice(1) ?? [];
  return [1, 2, 3]
    .slice(0, parts.length)
    .map((given) => [...`${parts.slice(0, given).join('.')}.`, ...octets(4 - given)]);
}

/** True where the highest of such addresses is below a bound. */
function isBelow(places: Places, bound: string): boolean {
  const number = (text: string) =>
    text
      .split(/[./]/)
      .slice(0, 4)
      .reduce((sum, part) => sum * 256 + Number(part), 0);
  return number(places.map((characters) => characters.at(-1)!).join('')) < number(bound);
}

/** Texts of uuids from one bound to another: with the beginning of the lower one, and a larger digit behind it. */
function uuidsBetween(low: string, high: string): Places[] {
  if (!UUID.test(low) || !UUID.test(high)) return [];
  const first = [...low].findIndex((digit, at) => digit !== high[at]);
  return Array.from({ length: 8 }, (_, more) => first + more).flatMap((at): Places[] => {
    const digit = HEX.indexOf(low[at] ?? '-');
    const end = at === first ? HEX.indexOf(high[at]!) + (high === HIGHEST_UUID ? 1 : 0) : HEX.length;
    const larger = digit < 0 ? '' : HEX.slice(digit + (low === LOWEST_UUID ? 0 : 1), end);
    if (larger === '') return [];
    return [[...low.slice(0, at), larger, ...[...low.slice(at + 1)].map((each) => (each === '-' ? each : HEX))]];
  });
}
