import { parseArray } from './containers.js';
import { parseMoment } from './time-text.js';
import { partsOf } from './values.js';

/**
 * What a column stores of a text that was written to it, as far as its length or precision changes it: numeric and times are
 * rounded. Source: "Numeric Types" and "Date/Time Types" in PostgreSQL's manual.
 */
export function storedText(type: string, text: string): string {
  const { base, element, modifiers } = partsOf(type);
  if (element !== null) return /\(/.test(element) ? storedArray(element, text) : text;
  const [first, second] = modifiers;
  if (base === 'numeric' && first !== undefined) return roundedDecimal(text, second ?? 0);
  if (/^(timestamp|time|interval)/.test(base) && first !== undefined && first < 6) return roundedSeconds(text, first);
  if (/^timestamp/.test(base) && parseMoment(text)?.beyond !== '') return roundedSeconds(text, 6);
  return text;
}

function storedArray(element: string, text: string): string {
  const array = parseArray(text);
  if (array === null || array.elements.some((each) => Array.isArray(each))) return text;
  const texts = array.elements.map((each) =>
    each === null ? 'NULL' : JSON.stringify(storedText(element, each as string)),
  );
  return `{${texts.join(',')}}`;
}

/** Half away from zero, as numeric rounds. */
function roundedDecimal(text: string, scale: number): string {
  const match = /^\s*([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?\s*$/.exec(text);
  if (match === null) return text;
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  const places = fraction.length - Number(exponent);
  if (places <= scale || places - scale > MOST_PLACES) return text;
  const unit = 10n ** BigInt(places - scale);
  const digits = BigInt(`${whole}${fraction}` || '0');
  const rounded = (digits + unit / 2n) / unit;
  return `${sign}${rounded}e${-scale}`;
}

const MOST_PLACES = 20_000;

/* Seconds with more digits than are stored; halves go to the even neighbour only where the server counts in floats, which it does not. */
function roundedSeconds(text: string, digits: number): string {
  const match = /^(.*?:\d\d)\.(\d+)(.*)$/.exec(text);
  if (match === null || match[2]!.length <= digits) return text;
  const [, before, fraction, after] = match;
  const rounded = roundedDecimal(`0.${fraction}`, digits);
  const [whole, places] = rounded.split('e');
  const padded = whole!.padStart(digits + 1, '0');
  // A second that is full carries over: left to the comparison as a text that says so.
  if (padded.length > digits + 1 || Number(places) !== -digits || !padded.startsWith('0')) return carried(text, digits);
  return `${before}${digits === 0 ? '' : `.${padded.slice(1)}`}${after}`;
}

function carried(text: string, digits: number): string {
  const match = /^(.*):(\d\d):(\d\d)\.\d+(.*)$/.exec(text);
  if (match === null) return text;
  const [, before, minutes, seconds, after] = match;
  if (Number(seconds) < 59) return `${before}:${minutes}:${String(Number(seconds) + 1).padStart(2, '0')}${after}`;
  const moment = parseMoment(text);
  if (moment === null) return text;
  const unit = 10n ** BigInt(6 - digits);
  const micros = ((moment.micros + unit / 2n) / unit) * unit;
  const date = new Date(Number(micros / 1000n)).toISOString();
  return `${date.slice(0, 10)} ${date.slice(11, 19)}${moment.hasZone ? '+00' : ''}`;
}
