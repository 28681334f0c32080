import type { Recipe } from '../datum/recipe.js';

/** Returns parts that follow each other. */
export function format(...parts: (string | Recipe)[]): Recipe {
  return { kind: 'format', parts };
}

/** Returns one of the values, each equally often. */
export function oneOf(...values: string[]): Recipe {
  return { kind: 'choice', values, cumulative: values.map((_, index) => index + 1) };
}

/** Returns several values of a recipe. */
export function times(element: Recipe, separator: string, min: number, max = min): Recipe {
  return { kind: 'repeat', element, separator, min, max };
}

const DIGIT = oneOf(...'0123456789');

export function digits(count: number): Recipe {
  return times(DIGIT, '', count);
}
