import type { Relation } from '../catalog/model.js';
import type { Recipe } from '../datum/recipe.js';
import type { ColumnPlan, RelationPlan } from './plan.js';

/* Leaves room for what triggers add. */
const MOST = 1_000_000;
const MOST_OF_SMALL = 1000;
/* Of what they add, so that sums stay within their types. */
const MOST_ADDED = 100;

/**
 * Numbers in tables that triggers write keep away from the ends of their types: a counter that stands at the highest value
 * makes every further statement fail that counts. What triggers add up is small.
 */
export function withModestCounters(plans: readonly RelationPlan[], relations: readonly Relation[]): RelationPlan[] {
  const written = new Set(
    relations.flatMap(({ triggers }) => triggers.flatMap(({ writes }) => (writes === null ? [] : writes))),
  );
  return plans.map((plan, index) => {
    const { name, triggers } = relations[index]!;
    const isWritten = written.has(name);
    const sources = triggers.flatMap(({ writes, source }) => ((writes ?? []).length > 0 ? source : []));
    if (!isWritten && sources.length === 0) return plan;
    const columns = plan.columns.map((column) => {
      if (column.source !== 'drawn') return column;
      if (sources.some((source) => addsUp(source, column.name))) return modest(column, MOST_ADDED);
      return isWritten ? modest(column, column.typeName === 'smallint' ? MOST_OF_SMALL : MOST) : column;
    });
    return { ...plan, columns };
  });
}

/** True where the text of a trigger adds a column of its row to something, takes it away, or sums it up. */
function addsUp(source: string, column: string): boolean {
  const name = column.replaceAll(/\W/g, '.');
  const own = `(?:coalesce\\s*\\(\\s*)?(?:new|old)\\."?${name}\\b`;
  return new RegExp(`[+-]\\s*\\(?\\s*${own}|sum\\s*\\(\\s*(?:\\w+\\.)?"?${name}\\b`, 'i').test(source);
}

function modest(column: ColumnPlan, most: number): ColumnPlan {
  const within = (min: number, max: number): ColumnPlan => {
    const recipe: Recipe = { kind: 'integer', min: Math.max(min, -most), max: Math.min(max, most), spread: 'uniform' };
    return recipe.min > recipe.max ? column : { ...column, recipe, edges: [] };
  };
  switch (column.recipe.kind) {
    case 'bigint':
      return within(-most, most);
    case 'integer':
      return column.recipe.max > most || column.edges.length > 0
        ? within(column.recipe.min, column.recipe.max)
        : column;
    case 'decimal': {
      // Half of the digits before the point.
      const { precision, scale } = column.recipe;
      const unit = powerOfTen(Math.max(0, scale));
      const largest = Math.min(most, powerOfTen(Math.max(0, Math.ceil((precision - scale) / 2))));
      return scale < 0 || scale > MOST_SCALE ? column : scaledTo(column, -largest * unit, largest * unit, scale);
    }
    case 'scaled': {
      const { min, max, scale } = column.recipe;
      const unit = powerOfTen(scale);
      return scaledTo(column, Math.max(min, -most * unit), Math.min(max, most * unit), scale);
    }
    case 'money':
    case 'float':
      return scaledTo(column, -most * 100, most * 100, 2);
    default:
      return column;
  }
}

const MOST_SCALE = 8;

/** Multiplies, because powers are not exact on every machine. */
function powerOfTen(exponent: number): number {
  return Number(`1e${exponent}`);
}

function scaledTo(column: ColumnPlan, min: number, max: number, scale: number): ColumnPlan {
  return min > max ? column : { ...column, recipe: { kind: 'scaled', min, max, scale }, edges: [] };
}
