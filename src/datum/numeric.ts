import type { Stream } from '../random/stream.js';
import type { Sink } from './sink.js';
import { POWERS_OF_TEN, type Writer } from './writer.js';

const MINUS = 45;
const POINT = 46;
const ZERO = 48;

/** Probability of a negative number where both signs are possible: real data are mostly positive. */
const NEGATIVE = 0.25;

export function integerWriter(min: number, max: number, spread: 'uniform' | 'magnitude'): Writer {
  if (spread === 'uniform' || max < 1) return (stream, sink) => sink.signed(stream.between(min, max));
  const positiveBits = bitsOf(max);
  const negativeBits = min < 0 ? bitsOf(-min) : 0;
  return (stream, sink) => {
    if (min < 0 && stream.chance(NEGATIVE)) sink.signed(-Math.min(-min, magnitude(stream, negativeBits)));
    else sink.signed(Math.max(min, Math.min(max, magnitude(stream, positiveBits))));
  };
}

/** A number of 0 … `bits` significant bits, each count alike. */
function magnitude(stream: Stream, bits: number): number {
  const size = TWO_TO[stream.below(bits + 1)]!;
  return size - 1 + stream.below(size);
}

const TWO_TO: readonly number[] = Array.from({ length: 54 }, (_, index) =>
  index < 31 ? 1 << index : (1 << 30) * (1 << (index - 30)),
);

function bitsOf(value: number): number {
  let bits = 0;
  while (bits < 52 && TWO_TO[bits + 1]! <= value) bits++;
  return bits;
}

/*
 * Doubles hold 53 bits. One draw in eight covers the rest of int8 with two decimal halves: up to 9,223,372,035 in front
 * of nine digits, which stays below 2⁶³.
 */
export const bigintWriter: Writer = (stream, sink) => {
  if (stream.chance(NEGATIVE)) sink.byte(MINUS);
  if (stream.below(8) === 0) {
    sink.digits(1 + stream.below(9_223_372_035));
    sink.padded(stream.below(1_000_000_000), 9);
  } else sink.digits(magnitude(stream, 52));
};

/** numeric(precision, scale); precision counts all digits, as PostgreSQL does. */
export function decimalWriter(precision: number, scale: number): Writer {
  const before = precision - scale;
  return (stream, sink) => {
    sink.reserve(precision + Math.abs(scale) + 64);
    if (stream.chance(NEGATIVE)) sink.byte(MINUS);
    const written = before <= 0 ? 0 : stream.below(before + 1);
    if (written === 0) sink.byte(ZERO);
    else if (scale < 0) {
      // Digits left of the rounded places; PostgreSQL keeps `precision` of them and zeroes `-scale`.
      digitRun(stream, sink, Math.min(written, precision), true);
      for (let i = 0; i < -scale; i++) sink.byte(ZERO);
    } else digitRun(stream, sink, written, true);
    if (scale > 0) {
      sink.byte(POINT);
      for (let i = 0; i < -before; i++) sink.byte(ZERO);
      digitRun(stream, sink, Math.min(scale, precision), false);
    }
  };
}

/** min … max units of 10^−scale. */
export function scaledWriter(min: number, max: number, scale: number): Writer {
  const unit = POWERS_OF_TEN[scale]!;
  return (stream, sink) => {
    const value = stream.between(min, max);
    if (value < 0) sink.byte(MINUS);
    const magnitude = Math.abs(value);
    sink.digits(Math.floor(magnitude / unit));
    if (scale === 0) return;
    sink.byte(POINT);
    sink.padded(magnitude % unit, scale);
  };
}

function digitRun(stream: Stream, sink: Sink, count: number, leadingNonZero: boolean): void {
  let left = count;
  if (leadingNonZero) {
    sink.byte(ZERO + 1 + stream.below(9));
    left--;
  }
  while (left > 0) {
    const run = Math.min(9, left);
    sink.padded(stream.below(POWERS_OF_TEN[run]!), run);
    left -= run;
  }
}

/** Scientific notation; exponents keep clear of overflow and of values that would round to zero, which PostgreSQL refuses. */
export function floatWriter(bits: 32 | 64): Writer {
  const digits = bits === 32 ? 7 : 15;
  const widest = bits === 32 ? 37 : 300;
  return (stream, sink) => {
    if (stream.chance(NEGATIVE)) sink.byte(MINUS);
    sink.byte(ZERO + 1 + stream.below(9));
    sink.byte(POINT);
    sink.padded(stream.below(POWERS_OF_TEN[digits - 1]!), digits - 1);
    sink.byte(101);
    sink.signed(stream.below(4) === 0 ? stream.between(-widest, widest) : stream.between(-4, 8));
  };
}

/** All of money, −92233720368547758.08 … 92233720368547758.07, in decimal: read alike under every lc_monetary of a point. */
export const moneyWriter: Writer = (stream, sink) => {
  if (stream.chance(NEGATIVE)) sink.byte(MINUS);
  if (stream.below(8) === 0) {
    sink.digits(1 + stream.below(92_233_719));
    sink.padded(stream.below(1_000_000_000), 9);
  } else sink.digits(magnitude(stream, 24));
  sink.byte(POINT);
  sink.padded(stream.below(100), 2);
};
