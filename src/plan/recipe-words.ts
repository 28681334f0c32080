import type { DayRange, Recipe, SequenceForm } from '../datum/recipe.js';
import type { ColumnPlan, RelationPlan } from './plan.js';

/** How a column gets its values, in words. */
export function columnInWords(relation: RelationPlan, position: number): string {
  const column = relation.columns[position]!;
  const group = relation.groups.find(
    ({ columns, own }) => columns.includes(position) && !own[columns.indexOf(position)],
  );
  if (group !== undefined) {
    const others = group.columns.filter((other) => other !== position).map((other) => relation.columns[other]!.name);
    const values = new Set(group.tuples.map((tuple) => tuple[group.columns.indexOf(position)]!));
    const together = others.length === 0 ? '' : `, together with ${others.join(', ')}`;
    return `one of ${values.size} values that the server has accepted${together}`;
  }
  const left = relation.defaulted.includes(position) ? '; now and then its default, by the server' : '';
  return `${base(relation, column, position)}${nulls(column)}${left}`;
}

function base(relation: RelationPlan, column: ColumnPlan, position: number): string {
  switch (column.source) {
    case 'server':
      return 'made by the server';
    case 'foreign': {
      const names = relation.foreignKeys.filter(({ columns }) => columns.includes(position)).map(({ name }) => name);
      return `copied from the parent of ${names.join(', ')}`;
    }
    case 'ordinal':
    case 'drawn':
      return recipeInWords(column.recipe);
  }
}

function nulls({ source, nullRatio, recipe }: ColumnPlan): string {
  if (source === 'server' || nullRatio === 0 || recipe.kind === 'null') return '';
  return `, ${Number((nullRatio * 100).toFixed(2))} % NULL`;
}

function recipeInWords(recipe: Recipe): string {
  switch (recipe.kind) {
    case 'integer':
      return `whole numbers from ${recipe.min} to ${recipe.max}`;
    case 'bigint':
      return 'whole numbers of every magnitude';
    case 'decimal':
      return `numbers of ${recipe.precision} digits, ${recipe.scale} behind the point`;
    case 'scaled':
      return `numbers from ${scaled(recipe.min, recipe.scale)} to ${scaled(recipe.max, recipe.scale)}`;
    case 'float':
      return `floating point numbers of ${recipe.bits} bits`;
    case 'money':
      return 'amounts of money';
    case 'boolean':
      return 'true or false';
    case 'text':
      return `text: ${recipe.meaning}${length(recipe.max)}`;
    case 'faker':
      return `faker ${recipe.method}${length(recipe.max)}`;
    case 'template':
      return `template ${recipe.template}${length(recipe.max)}`;
    case 'code':
      return `codes of ${recipe.length} characters`;
    case 'bytes':
      return 'bytes';
    case 'date':
      return `dates${days(recipe.range)}`;
    case 'time':
      return 'times of day';
    case 'timestamp':
      return `timestamps${days(recipe.range)}`;
    case 'json':
      return 'JSON documents';
    case 'bits':
      return `bit strings of ${recipe.varying ? 'at most ' : ''}${recipe.length}`;
    case 'choice':
      return `one of ${list(recipe.values)}`;
    case 'null':
      return 'always NULL';
    case 'array':
      return `arrays of ${recipeInWords(recipe.element)}`;
    case 'mixture':
      return recipe.of.length > SHOWN
        ? `${recipeInWords(recipe.of[0]!)}, or one of ${recipe.of.length - 1} other ranges, each alike`
        : recipe.of.map(recipeInWords).join(', or ');
    case 'format':
      return recipe.parts.map((part) => (typeof part === 'string' ? part : `‹${recipeInWords(part)}›`)).join('');
    case 'repeat':
      return `${recipe.min} to ${recipe.max} times ‹${recipeInWords(recipe.element)}›`;
    case 'span':
      return `ranges of ${recipe.of}`;
    case 'row':
      return `rows of (${recipe.fields.map((field) => (field === null ? 'NULL' : recipeInWords(field))).join('; ')})`;
    case 'sequence':
      return `unique ${formInWords(recipe.form)}`;
    case 'interval':
    case 'inet':
    case 'cidr':
    case 'macaddr':
    case 'uuid':
    case 'tsvector':
      return recipe.kind;
  }
}

function formInWords(form: SequenceForm): string {
  switch (form.kind) {
    case 'integer':
      return 'whole numbers';
    case 'decimal':
      return 'numbers';
    case 'text':
      return `text: ${form.meaning} pool + ordinal${length(form.max)}`;
    case 'code':
      return 'codes';
    case 'places':
      return `texts such as ${form.places.map((characters) => characters[0]).join('')}`;
    case 'labels':
      return `values, one of ${list(form.values)} each`;
    case 'span':
      return `ranges of ${formInWords(form.of).replace('unique ', '')} that follow each other`;
    case 'demanded':
      return `${list(form.values)}, which other tables demand, then ${formInWords(form.of)}`;
    case 'bands':
      return form.bands.length === 1
        ? `${formInWords(form.of)} within a range`
        : `${formInWords(form.of)} of ${form.bands.length} ranges in turn`;
    case 'end':
      return `${form.end === 0 ? 'lower' : 'upper'} ends of ranges that follow each other`;
    case 'date':
    case 'timestamp':
    case 'time':
    case 'interval':
    case 'bits':
      return `${form.kind} values`;
  }
}

function scaled(units: number, scale: number): string {
  return scale <= 0 ? `${units}${'0'.repeat(-scale)}` : (units / Number(`1e${scale}`)).toFixed(scale);
}

function length(max: number | null): string {
  return max === null ? '' : `, at most ${max} characters`;
}

function days(range: DayRange): string {
  if (range.kind === 'usual') return '';
  const day = (micros: number) => new Date(Date.UTC(2000, 0, 1) + micros / 1000).toISOString().slice(0, 10);
  return ` from ${day(range.minMicros)} to ${day(range.maxMicros)}`;
}

const SHOWN = 6;

function list(values: readonly string[]): string {
  const shown = values.slice(0, SHOWN).map((value) => `'${value.length > 40 ? `${value.slice(0, 40)}…` : value}'`);
  return values.length > SHOWN ? `${shown.join(', ')} … (${values.length})` : shown.join(', ');
}
