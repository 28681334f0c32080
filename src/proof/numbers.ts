import type { ValueClass, ValueKind } from './value-kind.js';

interface Decimal {
  readonly negative: boolean;
  /** Without zeros at either end. */
  readonly digits: string;
  /** Of the last digit. */
  readonly exponent: number;
}

function decimalOf(text: string): Decimal | null {
  const match = /^\s*([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,6}))?\s*$/.exec(text);
  if (match === null || (match[2] === '' && (match[3] ?? '') === '')) return null;
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  const all = `${whole}${fraction}`.replace(/^0+/, '');
  const digits = all.replace(/0+$/, '');
  return {
    negative: sign === '-' && digits !== '',
    digits,
    exponent: digits === '' ? 0 : Number(exponent) - fraction.length + (all.length - digits.length),
  };
}

function decimalText({ negative, digits, exponent }: Decimal): string {
  if (digits === '') return '0';
  const sign = negative ? '-' : '';
  // As people write it, where that is not long.
  if (exponent >= 0 && exponent <= 30) return sign + digits + '0'.repeat(exponent);
  if (exponent < 0 && exponent >= -30) {
    const padded = digits.padStart(1 - exponent, '0');
    return `${sign}${padded.slice(0, exponent)}.${padded.slice(exponent)}`;
  }
  return `${sign}${digits}e${exponent}`;
}

/** The text that all texts of a number share; null if the text is no number. */
export function canonicalNumeric(text: string): string | null {
  const decimal = decimalOf(text);
  if (decimal !== null) return decimalText(decimal);
  const special = /^\s*(nan|[+-]?inf(?:inity)?)\s*$/i.exec(text)?.[1]?.toLowerCase();
  return special === undefined ? null : special.replace('infinity', 'inf').replace('+', '');
}

/** Places behind the point that a number is given to, without zeros at its end; negative where it ends before the point. */
function placesOf(text: string): number {
  const [, fraction = '', exponent = '0'] = /(?:\.(\d*))?(?:[eE]([+-]?\d+))?\s*$/.exec(text) ?? [];
  return fraction.replace(/0+$/, '').length - Number(exponent);
}

/** True where `b` is `a` rounded or cut to fewer digits, or with digits far behind its own, as a double makes them. */
function isRounded(a: Decimal, b: Decimal, [placesOfA, placesOfB]: readonly [number, number]): boolean {
  if (placesOfB === placesOfA) return false;
  const places = Math.min(placesOfA, placesOfB);
  const exponent = Math.min(a.exponent, b.exponent, -Math.max(placesOfA, placesOfB));
  const scaled = ({ negative, digits, exponent: own }: Decimal) =>
    own - exponent > MOST_DIGITS ? null : BigInt(`${negative ? '-' : ''}${digits || '0'}${'0'.repeat(own - exponent)}`);
  const [x, y] = [scaled(a), scaled(b)];
  if (x === null || y === null) return false;
  const distance = x > y ? x - y : y - x;
  // Less than one unit in the last place of the coarser one.
  const unit = 10n ** BigInt(-places - exponent);
  return placesOfB < placesOfA ? distance < unit : distance * NOISE < unit;
}

const MOST_DIGITS = 20_000;
const NOISE = 1000n;

/** How two different numbers differ: `b` is `a` rounded, or another number. */
export function classifyNumeric(a: string, b: string): ValueClass {
  const [x, y] = [decimalOf(a), decimalOf(b)];
  if (x === null || y === null) return 'other';
  // A double holds 15 to 17 digits: what went through one is rounded.
  return isRounded(x, y, [placesOf(a), placesOf(b)]) || isThroughDouble(a, b) ? 'rounded' : 'other';
}

function isThroughDouble(a: string, b: string): boolean {
  const [x, y] = [Number(a), Number(b)];
  return Number.isFinite(x) && x === y;
}

/** How floats are compared. `round`: to the precision of their type. */
export function floatKind(round: (value: number) => number): ValueKind {
  const canonical = (text: string): string | null => {
    const special = canonicalNumeric(text);
    if (special === null || /[a-z]{3}/.test(special)) return special;
    const value = round(Number(text));
    return Object.is(value, -0) || /^\s*-[0.]+\s*$/.test(text) ? '-0' : String(value);
  };
  const classify = (a: string, b: string): ValueClass => {
    const [x, y] = [Number(a), Number(b)];
    if (!Number.isFinite(x) || !Number.isFinite(y)) return 'other';
    const isClose = Math.abs(x - y) <= Math.max(Math.abs(x), Math.abs(y)) * FLOAT4_STEP;
    const [p, q] = [decimalOf(a), decimalOf(b)];
    return (isClose && x !== y) || (p !== null && q !== null && isRounded(p, q, [placesOf(a), placesOf(b)]))
      ? 'rounded'
      : 'other';
  };
  return { canonical, classify };
}

/* Of a number that went through a float of 4 bytes. */
const FLOAT4_STEP = 2 ** -23;
