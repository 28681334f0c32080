import type pg from 'pg';
import type { Config } from '../config/load.js';
import { type Problem, SetupError } from '../config/problem.js';
import type { Recipe } from '../datum/recipe.js';
import type { Plan } from '../plan/plan.js';

/** Lets the server read the values of overrides as their column's type, so that invalid ones are found beforehand. */
export async function checkOverrides(client: pg.Client, plan: Plan, config: Config): Promise<void> {
  const problems: Problem[] = [];
  for (const relation of plan.relations) {
    for (const column of relation.columns) {
      const values = overrideValues(column.recipe);
      const path = overridePath(config, relation.label, column.name);
      if (values.length === 0 || path === undefined) continue;
      try {
        await client.query(`SELECT CAST(v AS ${column.typeName}) FROM unnest($1::text[]) AS v`, [values]);
      } catch (error) {
        problems.push(
          config.source.problem(
            path,
            `the column has type ${column.typeName}, and the server rejects a value: ${(error as Error).message}`,
          ),
        );
      }
    }
  }
  if (problems.length > 0) throw new SetupError(problems);
}

function overrideValues(recipe: Recipe): readonly string[] {
  if (recipe.kind === 'choice') return recipe.values;
  if (recipe.kind === 'integer') return [String(recipe.min), String(recipe.max)];
  return [];
}

function overridePath(config: Config, label: string, column: string): string[] | undefined {
  const names = [label, label.slice(label.indexOf('.') + 1), label.slice(label.indexOf('.') + 1).replaceAll('"', '')];
  const table = names.find(
    (name) => config.source.valueAt(['generator', 'column_overrides', name, column]) !== undefined,
  );
  return table === undefined ? undefined : ['generator', 'column_overrides', table, column];
}
