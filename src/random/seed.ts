/**
 * Seeds are 64 bits in two signed halves: bigint arithmetic would cost a hundred times more, a double cannot hold 64
 * bits, and V8 keeps 32 signed bits in the object itself where unsigned ones lie elsewhere. A seed is never drawn from,
 * only split or turned into a stream.
 */
export interface Seed {
  readonly hi: number;
  readonly lo: number;
}

/** Finaliser of MurmurHash3 (Appleby, public domain): every input bit flips each output bit with p ≈ ½. */
export function mix32(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** The seed of a user's number (any 64-bit integer, negative ones wrap). Mixed, so that 1 and 2 share nothing. */
export function seedOf(value: bigint): Seed {
  const bits = BigInt.asUintN(64, value);
  return scramble(Number(bits >> 32n), Number(bits & 0xffffffffn));
}

/** An independent seed for a name. Equal names give equal seeds; order and position play no part. */
export function split(seed: Seed, label: string): Seed {
  let hi = seed.hi;
  let lo = seed.lo;
  for (let i = 0; i < label.length; i++) {
    const unit = label.charCodeAt(i);
    lo = mix32(lo ^ unit);
    hi = mix32((hi + lo + i) | 0);
  }
  return scramble(hi ^ label.length, lo);
}

/** An independent seed for a number (a non-negative safe integer): operations, attempts, blocks. */
export function splitNumber(seed: Seed, index: number): Seed {
  const high = Math.floor(index / 0x1_0000_0000);
  return scramble(mix32(seed.hi ^ (index >>> 0)) ^ high, mix32(seed.lo + (index >>> 0)));
}

function scramble(hi: number, lo: number): Seed {
  const a = mix32((hi ^ 0x9e3779b9) + Math.imul(lo, 0x85ebca77));
  const b = mix32(lo ^ a ^ 0xc2b2ae3d);
  return { hi: mix32(a + b) | 0, lo: mix32(b ^ Math.imul(a, 0x27d4eb2f)) | 0 };
}

/** One of `count` parts that a seed falls into. */
export function partOf(seed: Seed, count: number): number {
  return (seed.lo >>> 0) % count;
}
