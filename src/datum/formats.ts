import type { Recipe } from './recipe.js';

/** A format that people write values in, by the name that messages give it. */
export interface Format {
  readonly name: string;
  readonly recipe: Recipe;
  /** For a column whose values must differ: the characters that each place of a text allows. */
  readonly unique?: readonly string[];
}

const number = (min: number, max: number): Recipe => ({ kind: 'integer', min, max, spread: 'uniform' });
const code = (length: number, characters: string): Recipe => ({ kind: 'code', length, characters });
const format = (...parts: (string | Recipe)[]): Recipe => ({ kind: 'format', parts });
const oneOf = (...values: string[]): Recipe => ({
  kind: 'choice',
  values,
  cumulative: values.map((_, index) => index + 1),
});

const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const UPPER = LOWER.toUpperCase();
const HEX = '0123456789abcdef';
const BASE64 = `${UPPER}${LOWER}0123456789`;
const NONZERO = '123456789';
/* Texts of fixed length as places. */
const letters = (count: number, characters = LOWER) => Array.from({ length: count }, () => characters);
const literal = (text: string) => [...text];
const word = code(6, LOWER);
const octet = number(1, 254);
const date = format(
  number(2000, 2025),
  '-',
  oneOf('01', '02', '03', '04', '05', '06', '07', '08', '09', '10', '11', '12'),
  '-',
  number(10, 28),
);
const clock = format(number(10, 23), ':', number(10, 59), ':', number(10, 59));

/**
 * What is tried in a text column, one after the other, where a trigger or a function refuses ordinary texts: the more
 * often applications ask for it the earlier.
 */
export const TEXT_FORMATS: readonly Format[] = [
  {
    name: 'semantic version',
    recipe: format(number(0, 20), '.', number(0, 30), '.', number(0, 60)),
    unique: [NONZERO, '.', NONZERO, NONZERO, '.', NONZERO, NONZERO, NONZERO],
  },
  {
    name: 'e-mail address',
    recipe: format(word, '@example.com'),
    unique: [...letters(10), ...literal('@example.com')],
  },
  {
    name: 'URL',
    recipe: format('https://example.com/', word),
    unique: [...literal('https://example.com/'), ...letters(10)],
  },
  { name: 'host name', recipe: format(word, '.example.com'), unique: [...letters(10), ...literal('.example.com')] },
  { name: 'UUID', recipe: { kind: 'uuid' } },
  { name: 'IPv4 address', recipe: format('10.', octet, '.', octet, '.', octet) },
  { name: 'IPv6 address', recipe: format('2001:db8::', code(4, HEX)) },
  { name: 'ISO date', recipe: date },
  { name: 'ISO timestamp', recipe: format(date, 'T', clock, 'Z') },
  { name: 'time of day', recipe: clock },
  { name: 'small whole number', recipe: number(1, 9) },
  { name: 'whole number', recipe: number(10, 99_999), unique: letters(9, NONZERO) },
  { name: 'decimal number', recipe: format(number(0, 99), '.', number(10, 99)) },
  { name: 'boolean word', recipe: oneOf('true', 'false') },
  { name: 'JSON object', recipe: format('{"', word, '": ', number(1, 99), '}') },
  { name: 'JSON array', recipe: format('[', number(1, 99), ', ', number(1, 99), ']') },
  { name: 'XML', recipe: format('<a><b>', word, '</b></a>') },
  { name: 'SQL identifier', recipe: format(code(1, LOWER), code(7, `${LOWER}_`)), unique: letters(10) },
  { name: 'slug', recipe: format(word, '-', code(4, LOWER)), unique: [...letters(6), '-', ...letters(4)] },
  { name: 'upper-case code', recipe: code(4, UPPER), unique: letters(8, UPPER) },
  { name: 'hexadecimal digits', recipe: code(32, HEX), unique: letters(32, HEX) },
  { name: 'SHA-1 digest', recipe: code(40, HEX), unique: letters(40, HEX) },
  { name: 'SHA-256 digest', recipe: code(64, HEX), unique: letters(64, HEX) },
  { name: 'base64', recipe: format(code(20, BASE64), '==') },
  { name: 'language tag', recipe: oneOf('en', 'de', 'fr', 'es', 'pt', 'en-US', 'de-DE', 'fr-FR') },
  { name: 'country code', recipe: oneOf('US', 'DE', 'FR', 'GB', 'ES', 'JP', 'BR', 'IN') },
  { name: 'currency code', recipe: oneOf('USD', 'EUR', 'GBP', 'JPY', 'CHF') },
  {
    name: 'E.164 phone number',
    recipe: format('+1415555', number(1000, 9999)),
    unique: [...literal('+1415'), ...letters(7, NONZERO)],
  },
  { name: 'colour', recipe: format('#', code(6, HEX)) },
  { name: 'MAC address', recipe: format('08:00:2b:', code(2, HEX), ':', code(2, HEX), ':', code(2, HEX)) },
  { name: 'MIME type', recipe: oneOf('text/plain', 'application/json', 'image/png', 'text/html') },
  { name: 'path', recipe: format('/', word, '/', word), unique: ['/', ...letters(6), '/', ...letters(6)] },
  { name: 'cron expression', recipe: format(number(0, 59), ' ', number(0, 23), ' * * *') },
  { name: 'postal code', recipe: number(10_000, 99_999) },
  { name: 'ISO duration', recipe: format('P', number(1, 30), 'D') },
  { name: 'time zone', recipe: oneOf('UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Tokyo') },
  { name: 'dotted path', recipe: format(word, '.', word), unique: [...letters(6), '.', ...letters(6)] },
  { name: 'single letter', recipe: code(1, LOWER) },
  { name: 'empty text', recipe: oneOf('') },
];

/** The same for numbers. */
export const NUMBER_FORMATS: readonly Format[] = [
  { name: 'number from 1 to 9', recipe: number(1, 9) },
  { name: '0', recipe: oneOf('0') },
  { name: '1', recipe: oneOf('1') },
  { name: 'number from 0 to 100', recipe: number(0, 100) },
  { name: 'number from 1,000 to 9,999', recipe: number(1000, 9999) },
  { name: 'year', recipe: number(1990, 2025) },
  { name: 'seconds since 1970', recipe: number(1_600_000_000, 1_700_000_000) },
  { name: 'negative number', recipe: number(-99, -1) },
];

/** The same for times: past ones and coming ones. */
export const TIME_FORMATS: readonly Format[] = [
  { name: 'past date', recipe: date },
  { name: 'date long past', recipe: format('19', number(70, 89), '-01-', number(10, 28)) },
  { name: 'coming date', recipe: format(number(2060, 2090), '-01-', number(10, 28)) },
];

export const BOOLEAN_FORMATS: readonly Format[] = [
  { name: 'true', recipe: oneOf('true') },
  { name: 'false', recipe: oneOf('false') },
];

/** The same for JSON. */
export const JSON_FORMATS: readonly Format[] = [
  { name: 'empty JSON object', recipe: oneOf('{}') },
  { name: 'empty JSON array', recipe: oneOf('[]') },
  { name: 'JSON object', recipe: format('{"', word, '": ', number(1, 99), '}') },
  { name: 'JSON array', recipe: format('[', number(1, 99), ', ', number(1, 99), ']') },
];
