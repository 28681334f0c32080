import type { Stream } from './stream.js';

/**
 * Ranks 1 … n with probabilities proportional to rank^−exponent, by rejection-inversion (Hörmann and Derflinger 1996,
 * "Rejection-inversion to generate variates from monotone discrete distributions"): a few steps a draw, no table.
 */
export class Zipf {
  private readonly exponent: number;
  private readonly first: number;
  private readonly shortcut: number;
  private count = 0;
  private last = 0;

  constructor(exponent: number) {
    this.exponent = exponent;
    this.first = this.integral(1.5) - 1;
    this.shortcut = 2 - this.inverse(this.integral(2.5) - this.density(2));
  }

  draw(stream: Stream, count: number): number {
    if (count !== this.count) {
      this.count = count;
      this.last = this.integral(count + 0.5);
    }
    for (;;) {
      const area = this.last + stream.fraction() * (this.first - this.last);
      const x = this.inverse(area);
      const rank = Math.min(count, Math.max(1, Math.floor(x + 0.5)));
      if (rank - x <= this.shortcut || area >= this.integral(rank + 0.5) - this.density(rank)) return rank;
    }
  }

  private density(x: number): number {
    return exp(-this.exponent * ln(x));
  }

  /** Of the density from 1 to x. */
  private integral(x: number): number {
    const logarithm = ln(x);
    const power = (1 - this.exponent) * logarithm;
    return logarithm * (isSmall(power) ? 1 + power / 2 + (power * power) / 6 : (exp(power) - 1) / power);
  }

  private inverse(area: number): number {
    // Rounding must not reach the logarithm of zero.
    const power = Math.max(SMALLEST, area * (1 - this.exponent));
    return exp(area * (isSmall(power) ? 1 - power / 2 + (power * power) / 3 : ln(1 + power) / power));
  }
}

const SMALLEST = -0.9999999999999999;

function isSmall(x: number): boolean {
  return x < 1e-5 && x > -1e-5;
}

/* Math.log and Math.exp may differ in their last bit between engines; sums, products and quotients do not. */
const { LN2, SQRT2 } = Math;

/** Natural logarithm of a positive number. */
export function ln(x: number): number {
  let mantissa = x;
  let exponent = 0;
  for (; mantissa >= SQRT2; exponent++) mantissa /= 2;
  for (; mantissa < SQRT2 / 2; exponent--) mantissa *= 2;
  const ratio = (mantissa - 1) / (mantissa + 1);
  const square = ratio * ratio;
  let sum = 0;
  for (let power = 23; power > 0; power -= 2) sum = sum * square + 1 / power;
  return exponent * LN2 + 2 * ratio * sum;
}

/** e to the power of x. */
export function exp(x: number): number {
  const exponent = Math.round(x / LN2);
  const rest = x - exponent * LN2;
  let sum = 1;
  for (let term = 14; term > 0; term--) sum = 1 + (sum * rest) / term;
  for (let at = 0; at < exponent; at++) sum *= 2;
  for (let at = 0; at > exponent; at--) sum /= 2;
  return sum;
}
