import type { Catalog, Relation } from '../catalog/model.js';
import type { Config } from '../config/load.js';
import type { Problem } from '../config/problem.js';
import type { Writers } from '../datum/compile.js';
import type { Seed } from '../random/seed.js';
import type { ConstraintNote } from './constraint-notes.js';
import type { DistinctSearch } from './distinct.js';
import type { Finding } from './plan.js';
import type { Search } from './search.js';
import type { UniqueRecipe } from './unique-recipe.js';

/** An ordinal column about whose existing values the database must be queried: see `watermark.ts`. */
export interface OrdinalColumn {
  readonly relation: number;
  readonly column: number;
  readonly unique: UniqueRecipe;
}

/** What the plans of all relations share, and the collections that they add to. */
export interface Context {
  readonly config: Config;
  readonly catalog: Catalog;
  readonly seed: Seed;
  readonly relations: readonly Relation[];
  readonly indexOf: ReadonlyMap<string, number>;
  readonly targeted: ReadonlySet<Relation>;
  readonly findings: Finding[];
  readonly problems: Problem[];
  readonly ordinals: OrdinalColumn[];
  readonly searches: Search[];
  readonly distincts: DistinctSearch[];
  readonly notes: ConstraintNote[];
  /** Writers for samples of recipes that the server tries. */
  readonly writers: Writers;
  /** Number of column sets for UPDATE per table. */
  readonly sets: number;
  /** True if lanes own their rows. */
  readonly owned: boolean;
}
