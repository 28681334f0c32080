import { mix32, type Seed } from './seed.js';

/**
 * A reproducible sequence of numbers: xoshiro128** 1.1 (Blackman and Vigna, public domain).
 *
 * One object is restarted for every value instead of being allocated: `restart` costs some 10 ns and
 * makes each (operation, column, row) a stream of its own, so that no value depends on how many
 * numbers its neighbours drew.
 */
export class Stream {
  private s0 = 1;
  private s1 = 2;
  private s2 = 3;
  private s3 = 4;

  /** A stream that starts at a seed. */
  static of(seed: Seed): Stream {
    const stream = new Stream();
    stream.restart(seed, seed, 0);
    return stream;
  }

  /** Starts the sequence of (seed, label, index) over; index is a non-negative safe integer. */
  restart(seed: Seed, label: Seed, index: number): void {
    // Each word depends on the one before, the first on everything: already the first number drawn differs.
    const high = Math.floor(index / 0x1_0000_0000);
    const s0 = mix32((seed.hi + Math.imul(label.lo, 0x9e3779b1)) ^ Math.imul(index | 0, 0x85ebca6b) ^ high);
    const s1 = mix32(seed.lo ^ label.hi ^ s0);
    const s2 = mix32(label.lo + s1 + Math.imul(index | 0, 0x27d4eb2f));
    const s3 = mix32(label.hi ^ s2 ^ seed.hi ^ high);
    this.s0 = s0 | 0;
    this.s1 = s1 | 0;
    this.s2 = s2 | 0;
    this.s3 = s3 | 1; // never all zero: that state has no successor
  }

  /** Uniform over 0 … 2³²−1. */
  next(): number {
    const s1 = this.s1;
    const product = Math.imul(s1, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = s1 << 9;
    this.s2 ^= this.s0;
    this.s3 ^= s1;
    this.s1 = s1 ^ this.s2;
    this.s0 ^= this.s3;
    this.s2 ^= shifted;
    this.s3 = (this.s3 << 11) | (this.s3 >>> 21);
    return result;
  }

  /** Uniform over [0, 1) in steps of 2⁻⁵³. */
  fraction(): number {
    const high = this.next() >>> 5;
    const low = this.next() >>> 6;
    return (high * 0x400_0000 + low) / 0x20_0000_0000_0000;
  }

  /** Uniform over 0 … bound−1 (bound a positive safe integer). The bias, bound·2⁻⁵³ or less, cannot be measured. */
  below(bound: number): number {
    if (bound <= 0x20_0000) return Math.floor((this.next() * bound) / 0x1_0000_0000);
    return Math.floor(this.fraction() * bound);
  }

  /** Uniform over min … max, both included; max − min must be below 2⁵³. */
  between(min: number, max: number): number {
    return min + this.below(max - min + 1);
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return probability > 0 && this.next() < probability * 0x1_0000_0000;
  }
}
