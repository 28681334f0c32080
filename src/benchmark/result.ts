import type { CurveResult } from './curve.js';
import type { DrainResult } from './drain.js';
import type { MaxResult } from './max.js';
import type { OverheadResult } from './overhead.js';
import type { Pattern } from './patterns.js';
import type { TourResult } from './tour.js';

/** What `lag` has found out, as the summary holds it. */
export type LagResult = { readonly pattern: Pattern } & (
  | CurveResult
  | MaxResult
  | DrainResult
  | OverheadResult
  | TourResult
);
