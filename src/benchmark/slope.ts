/** A straight line through points: how steep it is, and how sure that is. */
export interface Slope {
  readonly perSecond: number;
  readonly error: number;
}

/** By least squares; the error is the standard error of the slope. Fewer than three points have none. */
export function slopeOf(points: readonly { readonly seconds: number; readonly value: number }[]): Slope {
  const n = points.length;
  if (n < 3) return { perSecond: 0, error: Number.POSITIVE_INFINITY };
  const mean = (of: (point: (typeof points)[number]) => number) => points.reduce((sum, each) => sum + of(each), 0) / n;
  const [x, y] = [mean(({ seconds }) => seconds), mean(({ value }) => value)];
  let [xx, xy] = [0, 0];
  for (const { seconds, value } of points) {
    xx += (seconds - x) ** 2;
    xy += (seconds - x) * (value - y);
  }
  if (xx === 0) return { perSecond: 0, error: Number.POSITIVE_INFINITY };
  const perSecond = xy / xx;
  const residual = points.reduce((sum, { seconds, value }) => sum + (value - y - perSecond * (seconds - x)) ** 2, 0);
  return { perSecond, error: Math.sqrt(residual / (n - 2) / xx) };
}
