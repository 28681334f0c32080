import type { Stream } from './stream.js';

/** The index that `point` (in [0, 1)) falls on when the cumulative weights share out the unit interval. */
export function indexAt(cumulative: readonly number[], point: number): number {
  const target = point * cumulative[cumulative.length - 1]!;
  let low = 0;
  let high = cumulative.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (cumulative[middle]! > target) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Running sums of weights, as `indexAt` takes them. */
export function cumulate(weights: readonly number[]): number[] {
  let sum = 0;
  return weights.map((weight) => {
    sum += weight;
    return sum;
  });
}

/** A random order of 0 … length−1 (Fisher–Yates), written into `into`. */
export function permute(stream: Stream, into: Uint16Array): void {
  for (let i = 0; i < into.length; i++) into[i] = i;
  for (let i = into.length - 1; i > 0; i--) {
    const j = stream.below(i + 1);
    const held = into[i]!;
    into[i] = into[j]!;
    into[j] = held;
  }
}
