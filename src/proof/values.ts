import { isLosslessNumber, parse as parseJson } from 'lossless-json';
import { type Elements, parseArray, parseRange } from './containers.js';
import { HSTORE, JSON_KIND, jsonText } from './documents.js';
import { canonicalNumeric, classifyNumeric, floatKind } from './numbers.js';
import { classifyText, TEXT } from './texts.js';
import { type Interval, parseInterval, parseMoment, parseTime } from './time-text.js';
import { graver, type ValueClass, type ValueKind } from './value-kind.js';

/**
 * The text that all texts of the same value share. `type` is the column's type as PostgreSQL names it; of a type that is not
 * known here every text is a value of its own.
 */
export function canonicalOf(type: string, text: string): string {
  return kindOf(type).canonical(text) ?? text;
}

/** How two values of a column differ; null where their texts are equal. */
export function classOf(type: string, a: string | null, b: string | null): ValueClass | null {
  if (a === b) return null;
  if (a === null || b === null) return 'null';
  const { canonical, classify } = kindOf(type);
  const canonicalA = canonical(a);
  const canonicalB = canonical(b);
  if (canonicalA !== null && canonicalA === canonicalB) return 'representation';
  return classify(a, b);
}

const known = new Map<string, ValueKind>();

function kindOf(type: string): ValueKind {
  let kind = known.get(type);
  if (kind === undefined) {
    const { base, element } = partsOf(type);
    const range = RANGES[base];
    const multirange = RANGES[base.replace(/multirange$/, 'range')];
    kind =
      element !== null
        ? arrayOf(element)
        : range !== undefined
          ? rangeOf(range)
          : multirange !== undefined
            ? multirangeOf(rangeOf(multirange))
            : (KINDS_BY_NAME.get(base) ?? KINDS_BY_NAME.get(base.slice(base.lastIndexOf('.') + 1)) ?? TEXT);
    known.set(type, kind);
  }
  return kind;
}

interface TypeParts {
  readonly base: string;
  /** Of an array; null elsewhere. */
  readonly element: string | null;
  readonly modifiers: readonly number[];
}

const parts = new Map<string, TypeParts>();

/** A type without length or precision: `numeric(10,2)` is numeric, `timestamp(3) with time zone` timestamptz. */
export function partsOf(type: string): TypeParts {
  let known = parts.get(type);
  if (known === undefined) {
    known = takeApart(type);
    parts.set(type, known);
  }
  return known;
}

function takeApart(type: string): TypeParts {
  if (type.endsWith('[]')) return { base: '', element: type.slice(0, -2), modifiers: [] };
  const modifiers = (/\(([\d, -]+)\)/.exec(type)?.[1] ?? '')
    .split(',')
    .filter((text) => text !== '')
    .map(Number);
  const plain = type
    .replace(/\([^)]*\)/, '')
    .replace(/^interval .*/, 'interval')
    .trim();
  return { base: ALIASES[plain] ?? plain, element: null, modifiers };
}

const ALIASES: Readonly<Record<string, string>> = {
  int2: 'smallint',
  int4: 'integer',
  int: 'integer',
  int8: 'bigint',
  decimal: 'numeric',
  float4: 'real',
  float8: 'double precision',
  bool: 'boolean',
  varchar: 'character varying',
  bpchar: 'character',
  char: 'character',
  timestamptz: 'timestamp with time zone',
  timestamp: 'timestamp without time zone',
  timetz: 'time with time zone',
  time: 'time without time zone',
};

// ---- times

const HOUR = 3_600_000_000n;

function momentKind(): ValueKind {
  const canonical = (text: string): string | null => {
    const special = /^\s*([+-]?)infinity\s*$/i.exec(text);
    if (special !== null) return special[1] === '-' ? '-infinity' : 'infinity';
    const moment = parseMoment(text);
    return moment === null ? null : `${moment.micros}.${moment.beyond}`;
  };
  const classify = (a: string, b: string): ValueClass => {
    const [x, y] = [parseMoment(a), parseMoment(b)];
    if (x === null || y === null) return 'other';
    const distance = x.micros > y.micros ? x.micros - y.micros : y.micros - x.micros;
    if (distance > 0n && distance <= 26n * HOUR && distance % (HOUR / 4n) === 0n) return 'shifted';
    return distance < 1_000_000n ? 'rounded' : 'other';
  };
  return { canonical, classify };
}

function timeKind(hasZone: boolean): ValueKind {
  const canonical = (text: string): string | null => {
    const time = parseTime(text);
    if (time === null) return null;
    if (!hasZone) return `${time.micros}.${time.beyond}`;
    // The same moment in another zone: consumers write all of them in UTC.
    const day = 24n * HOUR;
    return `${(((time.micros - (time.offset ?? 0n) * 1_000_000n) % day) + day) % day}.${time.beyond}`;
  };
  const classify = (a: string, b: string): ValueClass => {
    const [x, y] = [parseTime(a), parseTime(b)];
    if (x === null || y === null) return 'other';
    const apart = (p: bigint, q: bigint) => (p > q ? p - q : q - p);
    const moment = ({ micros, offset }: typeof x) => micros - (hasZone ? (offset ?? 0n) * 1_000_000n : 0n);
    const distance = apart(moment(x), moment(y));
    // The same time of day with another zone, or the same moment at another one.
    if (distance % (HOUR / 4n) === 0n || apart(x.micros, y.micros) === 0n) return 'shifted';
    return distance < 1_000_000n ? 'rounded' : 'other';
  };
  return { canonical, classify };
}

const INTERVAL: ValueKind = {
  canonical: (text) => {
    const interval = parseInterval(text);
    return interval === null ? null : intervalText(interval);
  },
  classify: (a, b) => {
    const [x, y] = [parseInterval(a), parseInterval(b)];
    if (x === null || y === null || x.months !== y.months || x.days !== y.days) return 'other';
    const distance = x.micros > y.micros ? x.micros - y.micros : y.micros - x.micros;
    return distance < 1_000_000n ? 'rounded' : 'other';
  },
};

function intervalText({ months, days, micros }: Interval): string {
  return `${months}/${days}/${micros}`;
}

// ---- bytes

/** Bytes of a bytea in PostgreSQL's hex or escape format; null for a text of plain characters, which may be anything. */
function bytesOf(text: string): Buffer | null {
  if (/^\\x([0-9a-fA-F]{2})*$/.test(text)) return Buffer.from(text.slice(2), 'hex');
  if (!text.includes('\\')) return null;
  const parts = text.split(/(\\\\|\\[0-7]{3})/);
  if (parts.some((part, index) => index % 2 === 0 && (part.includes('\\') || /[^\x20-\x7e]/.test(part)))) return null;
  return Buffer.concat(
    parts.map((part, index) => {
      if (index % 2 === 0) return Buffer.from(part, 'latin1');
      return part === '\\\\' ? Buffer.from('\\') : Buffer.from([Number.parseInt(part.slice(1), 8)]);
    }),
  );
}

const BYTES: ValueKind = {
  canonical: (text) => bytesOf(text)?.toString('hex') ?? null,
  classify: (a, b) => {
    const [x, y] = [bytesOf(a), bytesOf(b)];
    if (x === null || y === null) {
      const [bytes, text] = x === null ? [y, a] : [x, b];
      if (bytes === null) return 'other';
      // Without a mark, base64 and hex are recognised by their content.
      const isSame = bytes.toString('base64') === text || bytes.toString('hex') === text.toLowerCase();
      return isSame && text !== '' ? 'representation' : 'encoding';
    }
    if (x.equals(y)) return 'representation';
    const [short, long] = x.length < y.length ? [x, y] : [y, x];
    if (short.length < long.length && long.subarray(0, short.length).equals(short)) return 'truncated';
    // The bytes of a text: of their own hex format, or of what a decoder made of them.
    const texts = [x.toString('utf8'), `\\x${x.toString('hex')}`, x.toString('hex'), x.toString('base64')];
    return texts.some((text) => y.equals(Buffer.from(text, 'utf8'))) || isDecoded(x, y) || isDecoded(y, x)
      ? 'encoding'
      : 'other';
  },
};

function isDecoded(bytes: Buffer, other: Buffer): boolean {
  return Buffer.from(bytes.toString('latin1'), 'utf8').equals(other);
}

// ---- others

/** The digits of a hardware address, whatever stands between them. */
function hexDigits(text: string): string {
  return text.toLowerCase().replaceAll(/[^0-9a-f]/g, '');
}

function textKind(canonical: (text: string) => string): ValueKind {
  return { canonical, classify: classifyText };
}

const GEOMETRIC = textKind((text) =>
  text.replaceAll(/\s+/g, '').replaceAll(/[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?/g, (number) => {
    const value = Number(number);
    return Object.is(value, -0) ? '-0' : String(value);
  }),
);
const NUMERIC: ValueKind = { canonical: canonicalNumeric, classify: classifyNumeric };
const BOOLEAN: ValueKind = {
  canonical: (text) => {
    if (/^(t|true|y|yes|on|1)$/i.test(text.trim())) return 't';
    return /^(f|false|n|no|off|0)$/i.test(text.trim()) ? 'f' : null;
  },
  classify: () => 'other',
};
const UUID: ValueKind = {
  canonical: (text) => {
    const digits = text.replaceAll(/[{}-]/g, '').toLowerCase();
    return /^[0-9a-f]{32}$/.test(digits) ? digits : null;
  },
  classify: classifyText,
};
const NETWORK = textKind((text) => {
  const [address = '', bits] = text.trim().toLowerCase().split('/');
  const whole = address.includes(':') ? '128' : '32';
  return `${address.includes(':') ? groupsOf(address) : address}${bits === undefined || bits === whole ? '' : `/${bits}`}`;
});

/** The eight groups of an IPv6 address, without zeros before them. */
function groupsOf(address: string): string {
  const plain = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...bytes) => {
    const [a, b, c, d] = bytes.slice(0, 4).map(Number) as [number, number, number, number];
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [before = '', after] = plain.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const [first, last] = [groups(before), groups(after ?? '')];
  const missing = after === undefined ? 0 : Math.max(0, 8 - first.length - last.length);
  return [...first, ...new Array<string>(missing).fill('0'), ...last]
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}

/** By type: how its values are compared. What is not here is compared as text. */
const KINDS: Readonly<Record<string, ValueKind>> = {
  smallint: NUMERIC,
  integer: NUMERIC,
  bigint: NUMERIC,
  oid: NUMERIC,
  numeric: NUMERIC,
  real: floatKind(Math.fround),
  'double precision': floatKind((value) => value),
  money: {
    canonical: (text) => canonicalNumeric(text.replaceAll(/[$,]/g, '')),
    classify: (a, b) => classifyNumeric(a.replaceAll(/[$,]/g, ''), b.replaceAll(/[$,]/g, '')),
  },
  boolean: BOOLEAN,
  text: TEXT,
  'character varying': TEXT,
  name: TEXT,
  citext: TEXT,
  character: textKind((text) => text.replace(/ +$/, '')),
  bytea: BYTES,
  json: JSON_KIND,
  jsonb: JSON_KIND,
  uuid: UUID,
  date: { ...momentKind(), classify: () => 'other' },
  'timestamp without time zone': momentKind(),
  'timestamp with time zone': momentKind(),
  'time without time zone': timeKind(false),
  'time with time zone': timeKind(true),
  interval: INTERVAL,
  inet: NETWORK,
  cidr: NETWORK,
  macaddr: textKind(hexDigits),
  macaddr8: textKind(hexDigits),
  hstore: HSTORE,
  bit: TEXT,
  'bit varying': TEXT,
  point: GEOMETRIC,
  line: GEOMETRIC,
  lseg: GEOMETRIC,
  box: GEOMETRIC,
  path: GEOMETRIC,
  polygon: GEOMETRIC,
  circle: GEOMETRIC,
};

const KINDS_BY_NAME: ReadonlyMap<string, ValueKind> = new Map(Object.entries(KINDS));

const RANGES: Readonly<Record<string, string>> = {
  int4range: 'integer',
  int8range: 'bigint',
  numrange: 'numeric',
  tsrange: 'timestamp without time zone',
  tstzrange: 'timestamp with time zone',
  daterange: 'date',
};

function rangeOf(bound: string): ValueKind {
  const canonical = (text: string): string | null => {
    if (text.trim().toLowerCase() === 'empty') return 'empty';
    const range = parseRange(text);
    if (range === null) return null;
    // Without a bound there is nothing to include; of whole numbers and days the server writes [lower, upper).
    const isDiscrete = ['integer', 'bigint', 'date'].includes(bound);
    const side = (value: string | null, isNext: boolean) => {
      if (value === null) return '';
      return isDiscrete && isNext ? nextOf(bound, value) : canonicalOf(bound, value);
    };
    const lower = side(range.lower, range.lowerSign === '(');
    const upper = side(range.upper, range.upperSign === ']');
    const begins = range.lower === null || (range.lowerSign === '(' && !isDiscrete) ? '(' : '[';
    return `${begins}${lower},${upper}${range.upperSign === ']' && !isDiscrete && range.upper !== null ? ']' : ')'}`;
  };
  const classify = (a: string, b: string): ValueClass => {
    const [x, y] = [parseRange(a), parseRange(b)];
    if (x === null || y === null || x.lowerSign !== y.lowerSign || x.upperSign !== y.upperSign) return 'other';
    return graver(classOf(bound, x.lower, y.lower), classOf(bound, x.upper, y.upper)) ?? 'other';
  };
  return { canonical, classify };
}

function multirangeOf(range: ValueKind): ValueKind {
  const read = (text: string) =>
    /^\s*\{.*\}\s*$/s.test(text) ? (text.match(/[[(](?:"(?:[^"\\]|\\.)*"|[^\])"])*[\])]/g) ?? []) : null;
  const canonical = (text: string): string | null => {
    const ranges = read(text)?.map((each) => range.canonical(each)) ?? null;
    return ranges === null || ranges.includes(null) ? null : `{${ranges.join(',')}}`;
  };
  const classify = (a: string, b: string): ValueClass => {
    const [x, y] = [read(a), read(b)];
    if (x === null || y === null || x.length !== y.length) return 'other';
    const classes = x.map((each, index) => {
      const [p, q] = [range.canonical(each), range.canonical(y[index]!)];
      return p !== null && p === q ? null : range.classify(each, y[index]!);
    });
    return classes.reduce(graver, null) ?? 'other';
  };
  return { canonical, classify };
}

/** The whole number or day behind a bound, in the canonical text of its type. */
function nextOf(bound: string, value: string): string {
  if (bound !== 'date') return /^\s*[+-]?\d+\s*$/.test(value) ? canonicalOf(bound, String(BigInt(value) + 1n)) : value;
  const moment = parseMoment(value);
  return moment === null ? canonicalOf(bound, value) : `${moment.micros + 24n * HOUR}.${moment.beyond}`;
}

function arrayOf(element: string): ValueKind {
  const delimiter = element === 'box' ? ';' : ',';
  const read = (text: string): Elements | null => parseArray(text, delimiter)?.elements ?? jsonElements(text);
  const canonical = (text: string): string | null => {
    const elements = read(text);
    // Bounds that do not begin at 1 are lost on most ways to a consumer: they are no part of the value here.
    return elements === null ? null : elementsText(element, elements);
  };
  const classify = (a: string, b: string): ValueClass => {
    const [x, y] = [read(a), read(b)];
    return x === null || y === null ? 'other' : classifyElements(element, x, y);
  };
  return { canonical, classify };
}

/** Elements of an array that a consumer writes as JSON. */
function jsonElements(text: string): Elements | null {
  if (!text.startsWith('[')) return null;
  try {
    return asElements(parseJson(text));
  } catch {
    return null;
  }
}

function asElements(value: unknown): Elements | null {
  if (!Array.isArray(value)) return null;
  return value.map((each) => {
    if (Array.isArray(each)) return asElements(each) ?? [];
    if (each === null || typeof each === 'string') return each;
    return isLosslessNumber(each) ? each.value : jsonText(each);
  });
}

function elementsText(type: string, elements: Elements): string {
  const texts = elements.map((each) => {
    if (each === null) return 'null';
    return typeof each === 'string' ? JSON.stringify(canonicalOf(type, each)) : elementsText(type, each);
  });
  return `[${texts.join(',')}]`;
}

function classifyElements(type: string, a: Elements, b: Elements): ValueClass {
  let gravest: ValueClass | null = null;
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const [x, y] = [a[index]!, b[index]!];
    if (Array.isArray(x) && Array.isArray(y)) gravest = graver(gravest, elementsClass(type, x, y));
    else if (Array.isArray(x) || Array.isArray(y)) return 'other';
    else gravest = graver(gravest, classOf(type, x as string | null, y as string | null));
  }
  if (a.length !== b.length) return gravest === null || gravest === 'representation' ? 'truncated' : 'other';
  return gravest ?? 'other';
}

function elementsClass(type: string, a: Elements, b: Elements): ValueClass | null {
  return elementsText(type, a) === elementsText(type, b) ? null : classifyElements(type, a, b);
}
