import { countOf, type Places } from '../constraint/regular.js';
import type { Recipe, SequenceForm } from '../datum/recipe.js';

/** A recipe with a different value for every ordinal, and the number of its ordinals. */
export interface UniqueRecipe {
  readonly recipe: Recipe;
  /** The number of values that fit the type, from the smallest possible start. */
  readonly capacity: number;
  /** The lowest number of the type, for a counted form; undefined: none below the start. */
  readonly least?: number;
  /**
   * How the values that stand in the table already move the start: `max` expression over the column, in the unit of
   * the sequence (or over another one, `column`); `salt`: the smallest and largest value join the stream, so that no draw repeats; `taken`: those of
   * a few values that are there; `bands`: `max` and `min` for each alone; or nothing.
   */
  readonly watermark:
    | { readonly kind: 'max'; readonly expression: string; readonly column?: string }
    | {
        readonly kind: 'bands';
        readonly expression: string;
        readonly bands: readonly { readonly first: string; readonly last: string }[];
      }
    | { readonly kind: 'salt' }
    | { readonly kind: 'taken' }
    | { readonly kind: 'none' };
}

/** The capacity where values hardly ever repeat, or where only the largest exact number ends the sequence. */
export const UNBOUNDED = Number.MAX_SAFE_INTEGER;

/** Values drawn at random from so many that hardly any two are equal. */
export function drawn(recipe: Recipe): UniqueRecipe {
  return { recipe, capacity: UNBOUNDED, watermark: { kind: 'salt' } };
}

/** Texts made of one character from each place, in turn. */
export function byPlaces(places: Places): UniqueRecipe {
  const recipe = { kind: 'sequence', form: { kind: 'places', places }, start: 0 } as const;
  return { recipe, capacity: countOf(places), watermark: { kind: 'salt' } };
}

/** Values of a form from the first one, whatever stands in the table already. */
export function byForm(form: SequenceForm, capacity: number): UniqueRecipe {
  return { recipe: { kind: 'sequence', form, start: 1 }, capacity, watermark: { kind: 'none' } };
}

/** The values of a list one by one, without those that stand in the table already. */
export function listed(values: readonly string[]): UniqueRecipe {
  return {
    recipe: { kind: 'sequence', form: { kind: 'labels', values }, start: 0 },
    capacity: values.length,
    watermark: { kind: 'taken' },
  };
}
