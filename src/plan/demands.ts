import type { Recipe } from '../datum/recipe.js';
import type { ColumnPlan, Plan, RelationPlan } from './plan.js';

/**
 * Keys that a condition of a referencing table demands (`CHECK (source_id = 4)` over a foreign key) come first among the
 * values of the referenced column: the lanes whose ordinals they are insert these rows, and those that reference them.
 */
export function withDemandedKeys(plans: readonly RelationPlan[]): RelationPlan[] {
  const demands = new Map<number, Map<number, Set<string>>>();
  for (const { foreignKeys } of plans) {
    for (const { only, parent } of foreignKeys) {
      if (only === null || plans[parent]!.columns[only.parentColumn]!.source !== 'ordinal') continue;
      const columns = demands.get(parent) ?? new Map<number, Set<string>>();
      columns.set(only.parentColumn, new Set([...(columns.get(only.parentColumn) ?? []), ...only.values]));
      demands.set(parent, columns);
    }
  }
  return plans.map((plan, index) => {
    const columns = demands.get(index);
    if (columns === undefined || !plan.targeted) return plan;
    return {
      ...plan,
      columns: plan.columns.map((column, position) => {
        const values = columns.get(position);
        return values === undefined ? column : withValuesFirst(column, [...values]);
      }),
    };
  });
}

function withValuesFirst(column: ColumnPlan, values: readonly string[]): ColumnPlan {
  const { recipe } = column;
  if (recipe.kind !== 'sequence' || recipe.form.kind === 'labels') return column;
  const numbers = values.map(Number).filter((value) => Number.isSafeInteger(value));
  const isCounted = recipe.form.kind === 'integer' || recipe.form.kind === 'decimal';
  // The other values must not equal them.
  const start = isCounted ? Math.max(recipe.start, ...numbers.map((value) => value + 1)) : recipe.start;
  const demanded: Recipe = { kind: 'sequence', form: { kind: 'demanded', values, of: recipe.form }, start };
  return { ...column, recipe: demanded };
}

/** Returns the plan without demanded keys whose rows already exist, according to `holds`. */
export function withoutPresentKeys(
  plan: Plan,
  holds: (relation: number, column: number, text: string) => boolean,
): Plan {
  const relations = plan.relations.map((relation, index) => {
    const isDemanded = ({ recipe }: ColumnPlan) => recipe.kind === 'sequence' && recipe.form.kind === 'demanded';
    if (!relation.columns.some(isDemanded)) return relation;
    const columns = relation.columns.map((column, position): ColumnPlan => {
      const { recipe } = column;
      if (recipe.kind !== 'sequence' || recipe.form.kind !== 'demanded') return column;
      const values = recipe.form.values.filter((text) => !holds(index, position, text));
      return { ...column, recipe: { ...recipe, form: { ...recipe.form, values } } };
    });
    return { ...relation, columns };
  });
  return { ...plan, relations };
}
