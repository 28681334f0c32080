/** A number, or the bounds that it is drawn between. */
export type CountOrRange = number | { readonly min: number; readonly max: number };

/** Returns the upper bound. */
export function mostOf(count: CountOrRange): number {
  return typeof count === 'number' ? count : count.max;
}
