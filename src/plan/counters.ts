import type { Relation } from '../catalog/model.js';
import type { Recipe } from '../datum/recipe.js';
import type { ColumnPlan, RelationPlan } from './plan.js';

/* Leaves room for what triggers add. */
const MOST = 1_000_000;
const MOST_OF_SMALL = 1000;

/**
 * Numbers in tables that triggers write keep away from the ends of their types: a counter that stands at the highest value
 * makes every further statement fail that counts.
 */
export function withModestCounters(plans: readonly RelationPlan[], relations: readonly Relation[]): RelationPlan[] {
  const written = new Set(
    relations.flatMap(({ triggers }) => triggers.flatMap(({ writes }) => (writes === null ? [] : writes))),
  );
  return plans.map((plan, index) => {
    if (!written.has(relations[index]!.name)) return plan;
    return { ...plan, columns: plan.columns.map((column) => (column.source === 'drawn' ? modest(column) : column)) };
  });
}

function modest(column: ColumnPlan): ColumnPlan {
  const most = column.typeName === 'smallint' ? MOST_OF_SMALL : MOST;
  const within = (min: number, max: number): ColumnPlan => {
    const recipe: Recipe = { kind: 'integer', min: Math.max(min, -most), max: Math.min(max, most), spread: 'uniform' };
    return recipe.min > recipe.max ? column : { ...column, recipe, edges: [] };
  };
  switch (column.recipe.kind) {
    case 'bigint':
      return within(-MOST, MOST);
    case 'integer':
      return column.recipe.max > most || column.edges.length > 0
        ? within(column.recipe.min, column.recipe.max)
        : column;
    default:
      return column;
  }
}
