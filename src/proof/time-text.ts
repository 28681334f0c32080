/*
 * Dates, times and intervals as numbers, from every text that PostgreSQL, ISO 8601 and common consumers write.
 */

const MICROS_PER_SECOND = 1_000_000n;
const SECONDS_PER_DAY = 86_400n;

const DATE = String.raw`([+-]?\d{4,7})-(\d\d)-(\d\d)`;
const TIME = String.raw`(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?`;
const ZONE = String.raw`(Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)`;
const MOMENT = new RegExp(String.raw`^${DATE}(?:[ T]+${TIME})?\s*${ZONE}?\s*(BC)?$`, 'i');
const TIME_OF_DAY = new RegExp(String.raw`^${TIME}\s*${ZONE}?$`, 'i');

/** A moment: microseconds since 1970 in UTC where a zone is given, of the local clock elsewhere. */
export interface Moment {
  readonly micros: bigint;
  readonly hasZone: boolean;
  /** Digits behind the microseconds, without zeros at their end. */
  readonly beyond: string;
}

/** Reads a timestamp or a date. Returns null for a text that is none, infinity among them. */
export function parseMoment(text: string): Moment | null {
  const match = MOMENT.exec(text.trim());
  if (match === null) return null;
  const [, year, month, day, hours, minutes, seconds, fraction, zone, era] = match;
  const years = Number(year);
  const civil = era === undefined ? years : 1 - years;
  if (Number(month) < 1 || Number(month) > 12 || Number(day) < 1 || Number(day) > daysIn(civil, Number(month)))
    return null;
  const days = daysFromCivil(civil, Number(month), Number(day));
  const { micros, beyond } = ofDay(hours, minutes, seconds, fraction);
  const total = BigInt(days) * SECONDS_PER_DAY * MICROS_PER_SECOND + micros - offsetOf(zone) * MICROS_PER_SECOND;
  return { micros: total, hasZone: zone !== undefined, beyond };
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

/** Reads a time of day. `offset` is its zone in seconds east of UTC; null where it has none. */
export function parseTime(
  text: string,
): { readonly micros: bigint; readonly beyond: string; offset: bigint | null } | null {
  const match = TIME_OF_DAY.exec(text.trim());
  if (match === null) return null;
  const [, hours, minutes, seconds, fraction, zone] = match;
  return { ...ofDay(hours, minutes, seconds, fraction), offset: zone === undefined ? null : offsetOf(zone) };
}

function ofDay(hours = '0', minutes = '0', seconds = '0', fraction = ''): { micros: bigint; beyond: string } {
  const micros = BigInt(fraction.slice(0, 6).padEnd(6, '0'));
  const whole = BigInt(hours) * 3600n + BigInt(minutes) * 60n + BigInt(seconds);
  return { micros: whole * MICROS_PER_SECOND + micros, beyond: fraction.slice(6).replace(/0+$/, '') };
}

/* Seconds east of UTC. */
function offsetOf(zone: string | undefined): bigint {
  if (zone === undefined || zone.toUpperCase() === 'Z') return 0n;
  const digits = zone.slice(1).replaceAll(':', '').padEnd(6, '0');
  const seconds = BigInt(digits.slice(0, 2)) * 3600n + BigInt(digits.slice(2, 4)) * 60n + BigInt(digits.slice(4, 6));
  return zone.startsWith('-') ? -seconds : seconds;
}

/** Days since 1970-01-01 in the proleptic Gregorian calendar, in which PostgreSQL counts; year 0 is 1 BC. */
function daysFromCivil(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/** The three parts of an interval, which PostgreSQL keeps apart. */
export interface Interval {
  readonly months: number;
  readonly days: number;
  readonly micros: bigint;
}

const UNITS: readonly (readonly [RegExp, keyof Interval, number])[] = [
  [/^(microseconds?|us)$/, 'micros', 1],
  [/^(milliseconds?|ms)$/, 'micros', 1000],
  [/^(seconds?|secs?|s)$/, 'micros', 1e6],
  [/^(minutes?|mins?|m)$/, 'micros', 6e7],
  [/^(hours?|hrs?|h)$/, 'micros', 3.6e9],
  [/^(days?|d)$/, 'days', 1],
  [/^(weeks?|w)$/, 'days', 7],
  [/^(months?|mons?)$/, 'months', 1],
  [/^(years?|yrs?|y)$/, 'months', 12],
];

/** Reads an interval in any of the server's four styles. Returns null for any other text. */
export function parseInterval(text: string): Interval | null {
  const trimmed = text.trim();
  return trimmed.startsWith('P') || trimmed.startsWith('-P')
    ? parseIso(trimmed)
    : (parseStandard(trimmed) ?? parseWords(trimmed));
}

function parseIso(text: string): Interval | null {
  const match =
    /^(-?)P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)W)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?\d+(?:\.\d+)?)S)?)?$/.exec(
      text,
    );
  if (match === null) return null;
  const [, sign, years, months, weeks, days, hours, minutes, seconds] = match;
  const factor = sign === '-' ? -1 : 1;
  const micros = BigInt(hours ?? 0) * 3_600_000_000n + BigInt(minutes ?? 0) * 60_000_000n + microsOf(seconds ?? '0');
  return {
    months: factor * (Number(years ?? 0) * 12 + Number(months ?? 0)),
    days: factor * (Number(weeks ?? 0) * 7 + Number(days ?? 0)),
    micros: BigInt(factor) * micros,
  };
}

/** Reads the style sql_standard: `1-2 3 4:05:06`, `+0-1 +2 -3:04:05`. Null where it is another one. */
function parseStandard(text: string): Interval | null {
  const match =
    /^(?:([+-]?)(\d+)-(\d+))?(?:(?:^|\s+)([+-]?\d+)(?=\s+[+-]?\d+:))?(?:(?:^|\s+)([+-]?)(\d+):(\d\d):(\d\d(?:\.\d+)?))?$/.exec(
      text,
    );
  if (match === null || text === '') return null;
  const [, monthSign, years = '0', months = '0', days = '0', timeSign, hours = '0', minutes = '0', seconds = '0'] =
    match;
  // A sign at the front counts for all parts that have none.
  const isNegative = text.startsWith('-') && !/\s[+-]/.test(text);
  const micros = BigInt(hours) * 3_600_000_000n + BigInt(minutes) * 60_000_000n + microsOf(seconds);
  const inAll = Number(years) * 12 + Number(months);
  return {
    months: monthSign === '-' ? -inAll : inAll,
    // Where the sign stands in front of the days, it is in their number already.
    days: isNegative && monthSign === '-' ? -Number(days) : Number(days),
    micros: timeSign === '-' || isNegative ? -micros : micros,
  };
}

function parseWords(text: string): Interval | null {
  const isAgo = / ago$/.test(text);
  const sum = { months: 0, days: 0, micros: 0n };
  const words = text
    .replace(/^@ ?/, '')
    .replace(/ ago$/, '')
    .split(/\s+/)
    .filter((word) => word !== '');
  if (words.length === 0) return null;
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    const clock = /^([+-]?)(\d+):(\d\d)(?::(\d\d(?:\.\d+)?))?$/.exec(word);
    if (clock !== null) {
      const [, sign, hours, minutes, seconds] = clock;
      const micros = BigInt(hours!) * 3_600_000_000n + BigInt(minutes!) * 60_000_000n + microsOf(seconds ?? '0');
      sum.micros += sign === '-' ? -micros : micros;
      continue;
    }
    const unit = UNITS.find(([name]) => name.test(words[at + 1] ?? ''));
    if (!/^[+-]?\d+(\.\d+)?$/.test(word) || unit === undefined) {
      if (word === '0' && words.length === 1) continue;
      return null;
    }
    const [, part, factor] = unit;
    if (part === 'micros') sum.micros += (microsOf(word) * BigInt(factor)) / MICROS_PER_SECOND;
    else sum[part] += Number(word) * factor;
    at++;
  }
  return isAgo ? { months: -sum.months, days: -sum.days, micros: -sum.micros } : sum;
}

/** Seconds as a decimal number, in microseconds. */
function microsOf(seconds: string): bigint {
  const [, sign, whole, fraction = ''] = /^([+-]?)(\d+)(?:\.(\d+))?$/.exec(seconds)!;
  const micros = BigInt(whole!) * MICROS_PER_SECOND + BigInt(fraction.slice(0, 6).padEnd(6, '0'));
  return sign === '-' ? -micros : micros;
}
