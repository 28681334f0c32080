import type pg from 'pg';
import type { Config } from '../config/load.js';
import { type Problem, SetupError } from '../config/problem.js';
import { Writers } from '../datum/compile.js';
import { Pools } from '../datum/pool.js';
import { POWERS_OF_TEN } from '../datum/writer.js';
import type { ColumnPlan, Plan } from '../plan/plan.js';
import { ordinaryTexts } from '../plan/search.js';
import { namesOf } from '../plan/target.js';
import type { Seed } from '../random/seed.js';

/** Drawn values that the server reads where not all values can be listed. */
const SAMPLES = Array.from({ length: 16 }, (_, index) => index);

/**
 * Lets the server read the values of overrides as their column's type, so that invalid ones are found beforehand.
 * @throws SetupError that names each column with a value that the server rejects
 */
export async function checkOverrides(client: pg.Client, plan: Plan, config: Config, fakerSeed: Seed): Promise<void> {
  const problems: Problem[] = [];
  const context = { writers: new Writers(new Pools(fakerSeed)), seed: fakerSeed };
  for (const relation of plan.relations) {
    for (const column of relation.columns) {
      const path = overridePath(config, relation.label, column.name);
      const values = path === undefined ? [] : valuesOf(column, context);
      if (path === undefined || values.length === 0) continue;
      const tooLong = values.find((value) => [...value].length > longestOf(column));
      if (tooLong !== undefined)
        problems.push(
          config.source.problem(path, `the column has type ${column.typeName}, and the value "${tooLong}" is longer`),
        );
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

/** Returns all values of an override, its bounds, or some that were drawn. */
function valuesOf({ recipe, label }: ColumnPlan, context: Parameters<typeof ordinaryTexts>[2]): readonly string[] {
  if (recipe.kind === 'choice') return recipe.values;
  if (recipe.kind === 'integer') return [String(recipe.min), String(recipe.max)];
  if (recipe.kind === 'scaled') return [recipe.min, recipe.max].map((units) => scaledText(units, recipe.scale));
  return ordinaryTexts(recipe, label, context, SAMPLES);
}

/* A cast would cut what is too long, whereas an INSERT fails. */
function longestOf({ typeName }: ColumnPlan): number {
  const length = /^character(?: varying)?\((\d+)\)$/.exec(typeName)?.[1];
  return length === undefined ? Number.POSITIVE_INFINITY : Number(length);
}

function scaledText(units: number, scale: number): string {
  return (units / POWERS_OF_TEN[scale]!).toFixed(scale);
}

function overridePath(config: Config, label: string, column: string): string[] | undefined {
  const table = namesOf(label).find(
    (name) => config.source.valueAt(['generator', 'column_overrides', name, column]) !== undefined,
  );
  return table === undefined ? undefined : ['generator', 'column_overrides', table, column];
}
