import { columnsOf, type Expression } from '../catalog/expression.js';
import { alternativesOf } from '../constraint/alternatives.js';
import { type Condition, restrictionsOf } from '../constraint/restriction.js';
import type { Recipe } from '../datum/recipe.js';
import { narrowRecipe, spread } from './narrow.js';
import { patternedRecipe } from './recipe-for.js';

/* If there are more ways to meet a condition, it is not divided into alternatives. */
const MOST_BRANCHES = 2000;
/* The most alternatives that are used. */
const MOST_TRIED = 500;

/** A recipe for each column of a tuple; null: NULL. */
export type Branch = readonly (Recipe | null)[];

/**
 * The ways in which rows can meet conditions that several columns share, where these are alternatives: the bounds of
 * partitions below partitions, a CHECK that asks for other values by kind. Each says of some columns alone what they may
 * hold, so that ordinary values within it can be drawn. Empty where there are no alternatives, or too many.
 */
export function branchesOf(
  columns: readonly { readonly name: string; readonly recipe: Recipe; readonly nullable: boolean }[],
  conditions: readonly Condition[],
): Branch[] {
  const [first] = conditions;
  if (first === undefined) return [];
  const all = { kind: 'and', args: conditions.map(({ expression }) => expression) } as const;
  const ways = alternativesOf(all, MOST_BRANCHES);
  if (ways === null || ways.length < 2) return [];
  return spread(ways, MOST_TRIED).flatMap((parts): Branch[] => {
    const { byColumn, unsolved } = restrictionsOf(parts.map((expression) => ({ ...first, expression })));
    const recipes: (Recipe | null)[] = [];
    for (const { name, recipe, nullable } of columns) {
      const restriction = byColumn.get(name);
      const narrowed =
        restriction === undefined ? recipe : narrowRecipe({ recipe, edges: [], quote: false }, restriction)?.recipe;
      const patterns = unsolved.flatMap(({ expression }) => (isPatternOf(expression, name) ? expression : []));
      const isNull = parts.some((part) => part.kind === 'is null' && !part.negated && columnsOf(part).includes(name));
      if (narrowed === undefined || (isNull && !nullable)) return [];
      recipes.push(isNull || recipe.kind === 'null' ? null : (patternedRecipe(narrowed, patterns) ?? narrowed));
    }
    return [recipes];
  });
}

/* A pattern that is denied, or one of several, says nothing of what the column may hold. */
function isPatternOf(condition: Expression, name: string): boolean {
  return (
    condition.kind === 'operator' &&
    ['~', '~*', '~~', '~~*'].includes(condition.name) &&
    columnsOf(condition).every((column) => column === name)
  );
}
