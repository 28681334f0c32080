import { sample, stringMatching } from 'fast-check';
import {
  castsIn,
  columnsOf,
  constantsIn,
  type Expression,
  functionCallsIn,
  functionsIn,
  operatorsIn,
} from '../catalog/expression.js';
import { documentsFor } from './documents.js';
import { addressesIn } from './networks.js';

/** A column as the search for values sees it. */
export interface SearchedColumn {
  readonly name: string;
  readonly nullable: boolean;
  readonly family: Family;
  /** Labels of an enum. */
  readonly labels: readonly string[];
  /** Values of the column's own recipe. */
  readonly samples: readonly string[];
  /** The constant default of the column; undefined if there is none. */
  readonly shown: string | undefined;
  /** What the functions say that the conditions call. */
  readonly hints: Hints;
}

/** What the texts of functions say about the values that they want. */
export interface Hints {
  readonly constants: readonly string[];
  /** Regular expressions, as PostgreSQL writes them. */
  readonly patterns: readonly string[];
  /** Names of existing objects, of the kinds that they look up. */
  readonly names: readonly string[];
}

/* The most values that each kind of hint adds. */
const MOST_HINTS = 24;

export type Family =
  | 'integer'
  | 'number'
  | 'text'
  | 'boolean'
  | 'date'
  | 'timestamp'
  | 'json'
  | 'bytes'
  | 'array'
  | 'interval'
  | 'xml'
  | 'range'
  | 'enum'
  | 'network'
  | 'time'
  | 'point'
  | 'other';

const MOST = 48;
const LONGEST = 2000;

/**
 * Values worth trying for a column under conditions: the constants that stand in them and their neighbours, texts of the
 * lengths and patterns that they name, and ordinary values of the type. NULL where it is allowed.
 */
export function candidatesFor(
  column: SearchedColumn,
  conditions: readonly Expression[],
  most = MOST,
): (string | null)[] {
  const own = conditions.filter((condition) => columnsOf(condition).includes(column.name));
  const { hints, shown } = column;
  const constants = [...new Set([...own.flatMap(constantsIn), ...hints.constants.slice(0, MOST_HINTS)])];
  const hinted = column.family === 'text' ? hintedTexts(hints) : [];
  const found = new Set<string>([
    ...(shown === undefined ? [] : [shown]),
    ...hinted,
    ...byFamily(column, constants, own, most / 2),
  ]);
  const values: (string | null)[] = [...found].slice(0, most + hinted.length + hints.constants.length);
  return column.nullable ? [...values, null] : values;
}

/** Returns the first values of all lists, then the second ones, and so on. */
function inTurn(lists: readonly (readonly string[])[]): string[] {
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  return Array.from({ length: longest }, (_, at) => lists.flatMap((list) => list[at] ?? [])).flat();
}

function hintedTexts({ patterns, names }: Hints): string[] {
  const matches = patterns.flatMap((pattern) => matching(patternAsJavaScript(pattern), MOST_HINTS));
  return [...matches.slice(0, MOST_HINTS), ...names.slice(0, MOST_HINTS)];
}

function byFamily(
  column: SearchedColumn,
  constants: readonly string[],
  conditions: readonly Expression[],
  matches: number,
): string[] {
  const numbers = constants.filter((text) => text.trim() !== '' && !Number.isNaN(Number(text)));
  const { samples } = column;
  switch (column.family) {
    case 'integer':
      return [
        ...numbers.flatMap(neighbours),
        ...['0', '1', '2', '3', '10', '100', '1000', '-1'],
        ...samples.slice(0, 4),
        // Where each is used once, more of them are asked for.
        ...Array.from({ length: Math.max(0, matches - MOST) }, (_, index) => String(index)),
      ];
    case 'number':
      return [
        ...numbers.flatMap(neighbours),
        ...numbers,
        '0',
        '1',
        '0.5',
        '2',
        '10',
        '100',
        '-1',
        ...samples.slice(0, 4),
      ];
    case 'boolean':
      return ['true', 'false'];
    case 'enum':
      return [...column.labels];
    case 'text':
      return [
        ...castTexts(column.name, conditions, matches),
        ...conditions.flatMap(patternsIn).flatMap((pattern) => matching(pattern, matches)),
        ...texts(constants, numbers, samples),
      ];
    case 'date':
    case 'timestamp':
      return [
        ...(column.family === 'timestamp' ? TIMES : []),
        ...(conditions.some(isAboutNow) ? FUTURE : []),
        ...constants.filter((text) => /^\d{4}-\d\d-\d\d/.test(text)),
        ...DAYS,
        ...samples.slice(0, 4),
      ];
    case 'json':
      return [...documentsFor(column.name, conditions), ...jsons(constants, samples)];
    case 'interval':
      return [...constants.filter((text) => /\d/.test(text)), ...INTERVALS, ...samples.slice(0, 4)];
    case 'xml':
      return [...constants.flatMap(xmlAlong), ...samples.slice(0, 4)];
    case 'range':
      return [...samples.slice(0, 6), ...RANGES];
    case 'bytes':
      return [
        ...numbers
          .filter(isLength)
          .flatMap((length) => numbers.filter(isByte).map((first) => bytes(Number(length), Number(first)))),
        ...numbers
          .filter(isLength)
          .flatMap((n) =>
            [Number(n), Number(n) - 1, Number(n) + 1]
              .filter((length) => length >= 0)
              .map((length) => `\\x${'00'.repeat(length)}`),
          ),
        '\\x',
        '\\x01',
        ...samples.slice(0, 3),
      ];
    case 'array':
      return [
        '{}',
        ...constants.flatMap((text) => [`{${quote(text)}}`]),
        ...(constants.length > 1 ? [`{${constants.slice(0, 3).map(quote).join(',')}}`] : []),
        ...numbers.filter(isLength).flatMap((text) => arraysOf(Number(text), constants, samples)),
        ...samples.slice(0, 6),
      ];
    case 'network':
      return [...inTurn(constants.map((text) => addressesIn(text, matches))), ...samples.slice(0, 12)];
    case 'time':
      return [...constants.filter((text) => /^\d\d?:\d\d/.test(text)), ...TIMES_OF_DAY, ...samples.slice(0, 4)];
    case 'point':
      return [...POINTS, ...samples.slice(0, 4)];
    case 'other':
      return samples.length > 0 ? samples.slice(0, 12) : [...constants, ...UNKNOWN];
  }
}

function neighbours(text: string): string[] {
  const value = Number(text);
  return Number.isSafeInteger(Math.trunc(value)) ? [0, 1, -1].map((step) => String(Math.trunc(value) + step)) : [];
}

function isLength(text: string): boolean {
  return Number.isInteger(Number(text)) && Number(text) >= 0 && Number(text) <= LONGEST;
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/* Steps of seconds to months, for columns that are compared with a little time between them. */
const TIMES: readonly string[] = [
  '2024-01-01 00:00:00',
  '2024-01-01 00:00:30',
  '2024-01-01 00:10:00',
  '2024-01-01 02:00:00',
  '2024-01-01 12:00:00',
  '2024-01-03 12:00:00',
  '2024-01-10 12:00:00',
];

/* Whole hours, half and quarter hours, whole minutes and seconds. */
const TIMES_OF_DAY: readonly string[] = [
  ...Array.from({ length: 24 }, (_, hour) => `${String(hour).padStart(2, '0')}:00:00`),
  ...['08:30:00', '09:15:00', '12:30:00', '13:45:00', '17:30:00', '20:15:00', '07:10:00', '16:05:00', '18:20:30'],
];

const POINTS: readonly string[] = [
  '(0,0)',
  '(1,1)',
  '(0.5,0.5)',
  '(-0.5,0.25)',
  '(10,20)',
  '(-10,-20)',
  '(13.4,52.5)',
  '(52.5,13.4)',
  '(-73.9,40.7)',
  '(100,50)',
];

const INTERVALS: readonly string[] = [
  '1 second',
  '90 seconds',
  '30 minutes',
  '1 hour',
  '90 minutes',
  '12 hours',
  '36 hours',
  '1 day',
  '3 days',
  '10 days',
  '20 days',
  '1 mon',
  '6 mons',
  '1 year',
  '0',
];

const RANGES: readonly string[] = [
  '[1,)',
  '(,1]',
  '[1,10)',
  '[10,20]',
  '[2024-01-01,)',
  '(,2024-01-01]',
  '[2024-01-01,2024-02-01)',
  '(,)',
  'empty',
];

function isByte(text: string): boolean {
  return isLength(text) && Number(text) < 256;
}

/** So many bytes, the first of them given, as PostgreSQL writes them. */
function bytes(length: number, first: number): string {
  return length === 0 ? '\\x' : `\\x${first.toString(16).padStart(2, '0')}${'00'.repeat(length - 1)}`;
}

/** Arrays of so many elements: constants, numbers, and elements of arrays that the recipe gives. */
function arraysOf(length: number, constants: readonly string[], samples: readonly string[]): string[] {
  if (length > MOST_ELEMENTS) return [];
  const elements = samples.flatMap((text) => /^\{([^{}]*)\}$/.exec(text)?.[1]?.match(/"(?:[^"\\]|\\.)*"|[^,]+/g) ?? []);
  const numbered = Array.from({ length: 40 }, (_, index) => String(index + 1));
  const lists = [constants.map(quote), elements.filter((each) => each.toUpperCase() !== 'NULL'), numbered];
  return lists.flatMap((list) =>
    list.length === 0
      ? []
      : [0, 1, 2].map((from) => `{${Array.from({ length }, (_, at) => list[(from + at) % list.length]!).join(',')}}`),
  );
}

const MOST_ELEMENTS = 40;

/** A document in which a path finds something; none where the text is no plain path. */
function xmlAlong(path: string): string[] {
  const names = /^\/{1,2}[\w/]+$/.test(path) ? path.split('/').filter((name) => name !== '') : [];
  return names.length === 0 ? [] : [names.reduceRight((inner, name) => `<${name}>${inner}</${name}>`, 'x')];
}

/* Far ahead of any clock, a few days apart from each other. */
const FUTURE: readonly string[] = Array.from(
  { length: 24 },
  (_, index) => `20${60 + (index % 8)}-0${1 + (index % 9)}-${String(1 + ((index * 5) % 28)).padStart(2, '0')}`,
);

/** True where a condition compares with the current time. */
function isAboutNow(condition: Expression): boolean {
  return functionsIn(condition).some((name) => NOW.has(name)) || JSON.stringify(condition).includes('"opaque"');
}

const NOW: ReadonlySet<string> = new Set([
  'now',
  'transaction_timestamp',
  'statement_timestamp',
  'clock_timestamp',
  'current_date',
  'current_timestamp',
  'localtimestamp',
]);

/* The first of a month that is also one of a quarter and a year, week days in turn, and a leap day. */
const DAYS: readonly string[] = [
  '2024-01-01',
  '2024-01-02',
  '2024-01-03',
  '2024-01-06',
  '2024-01-07',
  '2024-02-29',
  '2024-06-30',
  '2025-12-31',
  '1999-12-31',
];

/* What input functions of types that nobody here knows may read. */
const UNKNOWN: readonly string[] = [
  ...Array.from({ length: 20 }, (_, index) => String(index + 1)),
  'a',
  'abc',
  'abcdefgh',
  '1.5',
  '{}',
  '{1,2}',
  '[1,2]',
  '(1,2)',
  '(1,2,3)',
  '1,2',
  '1 2',
  '(1,a)',
  't',
  '2024-01-01',
  '00000000-0000-4000-8000-000000000001',
  '',
];

const TEXTS: readonly string[] = [
  'a',
  'abc',
  'ABC',
  'a-b',
  'a_b',
  'a.b',
  'en',
  'US',
  'EUR',
  '1',
  '42',
  '2024',
  '12345',
  'user@example.com',
  'https://example.com/',
  'example.com',
  '+14155550123',
  '#a0b1c2',
  '10.0.0.1',
  '/a/b',
  'a b',
  '00000000-0000-4000-8000-000000000001',
  'd41d8cd98f00b204e9800998ecf8427e',
  '1.2.3',
  '2024-01-01',
  'P1D',
  '{}',
  '',
];

/* The n-th of many texts that a cast reads as a value of its type. */
const READABLE: Readonly<Record<string, (index: number) => string>> = {
  json: (index) => ['{}', '[]', '"x"'][index] ?? `{"a": ${index}}`,
  jsonb: (index) => ['{}', '[]', '"x"'][index] ?? `{"a": ${index}}`,
  int2: (index) => String(index + 1),
  int4: (index) => String(index + 1),
  int8: (index) => String(index + 1),
  numeric: (index) => `${index + 1}.5`,
  float4: (index) => `${index + 1}.5`,
  float8: (index) => `${index + 1}.5`,
  date: dayAfter2000,
  timestamp: (index) => `${dayAfter2000(index)} 12:00:00`,
  timestamptz: (index) => `${dayAfter2000(index)} 12:00:00+00`,
  uuid: (index) => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
  inet: (index) => `10.0.${(index >> 8) & 255}.${index & 255}`,
  bool: (index) => (index % 2 === 0 ? 'true' : 'false'),
  xml: (index) => `<a n="${index}"/>`,
};

function dayAfter2000(index: number): string {
  const two = (n: number) => String(n).padStart(2, '0');
  return `${2000 + Math.floor(index / 336)}-${two(1 + (Math.floor(index / 28) % 12))}-${two(1 + (index % 28))}`;
}

function castTexts(column: string, conditions: readonly Expression[], count: number): string[] {
  const types = conditions
    .flatMap(castsIn)
    .filter(({ arg }) => columnsOf(arg).includes(column))
    .map(({ type }) => type);
  return [...new Set(types)].flatMap((type) => {
    const text = READABLE[type];
    return text === undefined ? [] : Array.from({ length: count }, (_, index) => text(index));
  });
}

function texts(constants: readonly string[], numbers: readonly string[], samples: readonly string[]): string[] {
  const lengths = numbers.filter(isLength).map(Number);
  return [
    ...constants.filter((text) => text.length <= LONGEST),
    ...lengths.flatMap((length) =>
      [length, length - 1, length + 1]
        .filter((n) => n > 0)
        .flatMap((n) => ['a'.repeat(n), '1'.repeat(n), 'A'.repeat(n)]),
    ),
    ...TEXTS,
    ...samples.slice(0, 6),
    ...samples.slice(0, 2).flatMap((text) => [text.toLowerCase(), text.toUpperCase(), text.trim()]),
  ];
}

function jsons(constants: readonly string[], samples: readonly string[]): string[] {
  const names = constants.filter((text) => /^[\w.-]+$/.test(text)).slice(0, 6);
  const whole = Object.fromEntries(names.map((name) => [name, 'x']));
  return [
    '{}',
    '[]',
    '"x"',
    '1',
    'true',
    'null',
    '[1]',
    '["a"]',
    '{"a": 1}',
    ...names.flatMap((name) =>
      [{ [name]: 'x' }, { [name]: 1 }, { [name]: {} }, { [name]: [] }, { [name]: true }].map((value) =>
        JSON.stringify(value),
      ),
    ),
    ...names.flatMap((name) =>
      names.filter((other) => other !== name).map((other) => JSON.stringify({ [name]: other })),
    ),
    ...(names.length > 1 ? [JSON.stringify(whole)] : []),
    ...constants.filter((text) => /^[[{"]/.test(text)),
    ...samples.slice(0, 3),
  ];
}

/** Patterns that a text is compared with, as JavaScript writes them: of ~, ~* and LIKE. */
export function patternsIn(condition: Expression): string[] {
  const called = functionCallsIn(condition).flatMap(({ name, args }) =>
    PATTERN_FUNCTIONS.has(name) ? args.slice(1).flatMap(constantsIn).slice(0, 1).map(patternAsJavaScript) : [],
  );
  return [...called, ...operatorPatterns(condition)];
}

const PATTERN_FUNCTIONS: ReadonlySet<string> = new Set([
  'regexp_match',
  'regexp_matches',
  'regexp_like',
  'regexp_count',
  'regexp_instr',
  'regexp_substr',
  'substring',
]);

function operatorPatterns(condition: Expression): string[] {
  return operatorsIn(condition).flatMap(({ name, args }) => {
    const pattern = args.flatMap(constantsIn)[0];
    if (pattern === undefined) return [];
    if (name === '~' || name === '~*') return [patternAsJavaScript(pattern)];
    if (name === '~~' || name === '~~*') return [fromLike(pattern)];
    return [];
  });
}

const CLASSES: Readonly<Record<string, string>> = {
  alpha: 'a-zA-Z',
  digit: '0-9',
  alnum: 'a-zA-Z0-9',
  upper: 'A-Z',
  lower: 'a-z',
  space: ' ',
  xdigit: '0-9a-f',
  word: 'a-zA-Z0-9_',
  punct: '.,;:!?-',
};

/** A regular expression of PostgreSQL's as JavaScript writes it, as far as the two are alike. */
export function patternAsJavaScript(pattern: string): string {
  return pattern
    .replace(/\[:(\w+):\]/g, (_, name: string) => CLASSES[name] ?? 'a-z')
    .replace(/\\[mMyAZ]/g, '')
    .replace(/^\(\?[a-z]+\)/, '');
}

/** A pattern of LIKE: % and _ stand for characters, a backslash takes the next one as it is. */
function fromLike(pattern: string): string {
  return pattern.replaceAll(/\\(.)|[\s\S]/g, (part, escaped: string | undefined) => {
    if (escaped !== undefined) return literal(escaped);
    return part === '%' ? '[a-z0-9]{0,8}' : part === '_' ? '[a-z]' : literal(part);
  });
}

function literal(character: string): string {
  return /[.*+?^${}()|[\]\\]/.test(character) ? `\\${character}` : character;
}

const MATCHES = 24;

/** Texts that match a pattern as a whole; none where the pattern says what JavaScript cannot. The same ones every time. */
export function matching(pattern: string, count = MATCHES): string[] {
  const anchored = `${pattern.startsWith('^') ? '' : '^'}${pattern}${pattern.endsWith('$') ? '' : '$'}`;
  try {
    const found = sample(stringMatching(new RegExp(anchored), { size: 'small' }), { numRuns: count, seed: 1 });
    return found.filter((text) => /^[\u0020-\u007e]*$/.test(text));
  } catch {
    return [];
  }
}
