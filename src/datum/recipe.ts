import type { Band } from './bands.js';
import type { Meaning } from './meaning.js';

/**
 * How one column gets its values. Plain data: built at plan time from catalog and configuration, posted to workers,
 * compiled there to one closure per column (`compile`). Every kind is a law of its own in the property tests: whatever
 * it writes is accepted by its type's input function.
 */
export type Recipe =
  /** Whole numbers min … max (safe integers). `magnitude`: every order of magnitude alike, so that small numbers are common and the whole range is reached. */
  | { readonly kind: 'integer'; readonly min: number; readonly max: number; readonly spread: 'uniform' | 'magnitude' }
  /** All of int8, every order of magnitude alike. */
  | { readonly kind: 'bigint' }
  /** Decimal numbers of at most `precision` digits with `scale` of them behind the point (negative: tens, hundreds). */
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  /** Decimal numbers of min … max units of 10^−scale (safe integers), uniform. */
  | { readonly kind: 'scaled'; readonly min: number; readonly max: number; readonly scale: number }
  | { readonly kind: 'float'; readonly bits: 32 | 64 }
  | { readonly kind: 'money' }
  | { readonly kind: 'boolean' }
  /** Realistic text out of a faker pool. `max` counts characters, `minBytes` bytes; the length limit wins. */
  | { readonly kind: 'text'; readonly meaning: Meaning; readonly max: number | null; readonly minBytes: number }
  /** Text from a user's faker method, or a template with {{faker.method}} and {{ordinal}}. */
  | { readonly kind: 'faker'; readonly method: string; readonly max: number | null }
  | { readonly kind: 'template'; readonly template: string; readonly max: number | null }
  /** A code of `length` characters, out of some; without `characters` small letters and digits. */
  | { readonly kind: 'code'; readonly length: number; readonly characters?: string }
  /** At least `minBytes` bytes, or exactly `exact`. */
  | { readonly kind: 'bytes'; readonly minBytes: number; readonly exact?: number }
  /** Days since 2000-01-01, uniform from min to max. */
  | { readonly kind: 'date'; readonly range: DayRange }
  | { readonly kind: 'time'; readonly zone: boolean }
  | { readonly kind: 'timestamp'; readonly zone: boolean; readonly range: DayRange }
  | { readonly kind: 'interval' }
  | { readonly kind: 'json'; readonly minBytes: number }
  | { readonly kind: 'inet' }
  | { readonly kind: 'cidr' }
  | { readonly kind: 'macaddr' }
  | { readonly kind: 'uuid' }
  | { readonly kind: 'tsvector'; readonly minBytes: number }
  | { readonly kind: 'bits'; readonly length: number; readonly varying: boolean }
  /** One of the given texts, by cumulative weight. */
  | { readonly kind: 'choice'; readonly values: readonly string[]; readonly cumulative: readonly number[] }
  | { readonly kind: 'null' }
  /** What one of several recipes gives, each with the same chance. */
  | { readonly kind: 'mixture'; readonly of: readonly Recipe[] }
  /** A one-dimensional array. `quote`: elements need quotes and escapes. */
  | {
      readonly kind: 'array';
      readonly element: Recipe;
      readonly quote: boolean;
      /** True where elements may be NULL now and then. */
      readonly nulls: boolean;
      readonly delimiter: string;
      readonly minBytes: number;
    }
  /** Fixed texts and recipes, one after the other. */
  | { readonly kind: 'format'; readonly parts: readonly (string | Recipe)[] }
  /** min … max times the element, with a separator between. */
  | {
      readonly kind: 'repeat';
      readonly element: Recipe;
      readonly separator: string;
      readonly min: number;
      readonly max: number;
    }
  /** A range: empty, open on a side, or from a value to a later one. `scale` belongs to decimals. */
  | {
      readonly kind: 'span';
      readonly of: 'integer' | 'decimal' | 'date' | 'timestamp' | 'timestamptz';
      readonly scale: number;
    }
  /** What another recipe writes, as a JSON text: between double quotes and escaped. */
  | { readonly kind: 'jsonText'; readonly of: Recipe }
  /** A row of fields; null: the field is always NULL. */
  | { readonly kind: 'row'; readonly fields: readonly (Recipe | null)[] }
  /** A different value for every ordinal: what unique columns use. */
  | { readonly kind: 'sequence'; readonly form: SequenceForm; readonly start: number };

/** How the n-th value of a sequence is written. */
export type SequenceForm =
  | { readonly kind: 'integer' }
  | { readonly kind: 'decimal'; readonly scale: number }
  /** Pool value, separator, number, salt (the same for all rows of a run); an e-mail address takes them before the @. */
  | {
      readonly kind: 'text';
      readonly meaning: Meaning;
      readonly salt: string;
      readonly max: number | null;
      readonly minBytes: number;
    }
  /** The number in base 36, padded to `width` characters (0: as short as it gets). */
  | { readonly kind: 'code'; readonly width: number }
  /** The number written with the characters that each place allows, the last place counting fastest; round and round. */
  | { readonly kind: 'places'; readonly places: readonly string[] }
  | { readonly kind: 'date' }
  /** Steps of 10^(6−precision) microseconds since 2000-01-01. */
  | { readonly kind: 'timestamp'; readonly zone: boolean; readonly precision: number }
  | { readonly kind: 'interval' }
  /** Steps of 10^(6−precision) microseconds since midnight. */
  | { readonly kind: 'time'; readonly zone: boolean; readonly precision: number }
  | { readonly kind: 'bits'; readonly length: number; readonly varying: boolean }
  | { readonly kind: 'labels'; readonly values: readonly string[] }
  /** Some values first, since rows of other tables demand them, then another form from its start on. */
  | { readonly kind: 'demanded'; readonly values: readonly string[]; readonly of: SequenceForm }
  /** The range from the n-th value to the next, so that no two overlap; `many`: as a multirange. */
  | { readonly kind: 'span'; readonly of: SequenceForm; readonly many: boolean }
  /** Numbers of bands in turn, written as values of another form. `highest`: the highest that stood there before, 0 where there was none. */
  | { readonly kind: 'bands'; readonly of: SequenceForm; readonly bands: readonly Band[]; readonly highest: number }
  /** One end of such a range in a column of its own: value 2n + end. */
  | { readonly kind: 'end'; readonly of: SequenceForm; readonly end: 0 | 1 };

/** `usual`: 20 years, the last of which begins on the reference date. */
export type DayRange =
  | { readonly kind: 'usual' }
  | { readonly kind: 'between'; readonly minMicros: number; readonly maxMicros: number };

/** True where the faker seed drives a recipe (text, uuid, date and time), false where the random seed does. */
export function usesFakerSeed(recipe: Recipe): boolean {
  switch (recipe.kind) {
    case 'text':
    case 'faker':
    case 'template':
    case 'code':
    case 'date':
    case 'time':
    case 'timestamp':
    case 'interval':
    case 'json':
    case 'uuid':
    case 'tsvector':
      return true;
    case 'array':
    case 'repeat':
      return usesFakerSeed(recipe.element);
    case 'jsonText':
      return usesFakerSeed(recipe.of);
    case 'format':
      return recipe.parts.some((part) => typeof part !== 'string' && usesFakerSeed(part));
    case 'mixture':
      return recipe.of.some(usesFakerSeed);
    case 'row':
      return recipe.fields.some((field) => field !== null && usesFakerSeed(field));
    case 'sequence':
      return recipe.form.kind === 'text';
    case 'integer':
    case 'bigint':
    case 'decimal':
    case 'scaled':
    case 'float':
    case 'money':
    case 'boolean':
    case 'bytes':
    case 'inet':
    case 'cidr':
    case 'macaddr':
    case 'bits':
    case 'choice':
    case 'span':
    case 'null':
      return false;
  }
}

const BARE: ReadonlySet<Recipe['kind'] | SequenceForm['kind']> = new Set([
  'integer',
  'bigint',
  'decimal',
  'scaled',
  'float',
  'boolean',
  'date',
  'time',
  'timestamp',
  'inet',
  'cidr',
  'macaddr',
  'uuid',
  'bits',
  'bands',
]);

/** True for values without a character that COPY escapes: a backslash, a control character. */
export function isPlain(recipe: Recipe): boolean {
  switch (recipe.kind) {
    case 'json':
      return true;
    case 'array':
      return isQuotable(recipe.element);
    case 'row':
      return recipe.fields.every((field) => field === null || isQuotable(field));
    default:
      return isQuotable(recipe);
  }
}

/** True for values that can stand between double quotes as they are: nor do they hold a double quote. */
export function isQuotable(recipe: Recipe): boolean {
  if (recipe.kind === 'choice') return recipe.values.every((value) => !ESCAPED.test(value));
  if (recipe.kind === 'mixture') return recipe.of.every(isQuotable);
  const kind = recipe.kind === 'sequence' ? recipe.form.kind : recipe.kind;
  return kind === 'text' || BARE.has(kind);
}

const ESCAPED = /[\\"\p{Cc}]/u;
