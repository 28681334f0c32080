import { quoteIdentifier, type UniqueKey } from '../catalog/model.js';
import { LOWER, type Places } from '../constraint/regular.js';
import { parseMicros } from '../datum/temporal.js';
import type { Draft } from './build.js';
import { familyOf, longestText, plainType } from './family.js';
import { ordinaryTexts, type SearchContext } from './search.js';
import { MONTHS_AND_YEARS } from './stepped-forms.js';
import { byForm, byPlaces, listed, type UniqueRecipe } from './unique-recipe.js';

/**
 * A column of which the server compares what it computes from it (a unique index over `date_trunc('day', at)`): values are
 * wanted of which no two give the same. Forms are tried first, each with SAMPLES values; then single values are collected.
 */
export interface DistinctSearch {
  readonly relation: number;
  readonly label: string;
  readonly column: number;
  readonly name: string;
  readonly forms: readonly UniqueRecipe[];
  /** SAMPLES of each form, then single values. */
  readonly candidates: readonly string[];
  /** SELECT of the position (from 1) and the computed text, one text[] parameter. */
  readonly sql: string;
}

const SAMPLES = 16;
/* Consecutive numbers, and numbers far apart. */
const ORDINALS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 35, 36, 100, 370, 1295, 7777];
const MOST_SINGLE = 2000;

/** Returns the single column of a key's expressions, if nothing else in the key can make rows distinct. */
export function computedFrom(key: UniqueKey): string | null {
  if (key.computed === null || key.escape !== null) return null;
  const { sources } = key.computed;
  return sources.length === 1 ? sources[0]! : null;
}

export function distinctSearch(
  key: UniqueKey,
  column: number,
  current: UniqueRecipe,
  context: SearchContext,
): DistinctSearch {
  const { columns, types, relation } = context;
  const draft = columns[column]!;
  const family = familyOf(draft.attribute.type, types);
  const longest = longestText(draft.attribute, types);
  const forms = [current, ...formsFor(family, longest)];
  const type = plainType(draft, types);
  const table = quoteIdentifier(relation.name);
  const samples = forms.flatMap(({ recipe }) => ordinaryTexts(recipe, draft.label, context, ORDINALS));
  const singles =
    family === 'integer' || family === 'number' ? Array.from({ length: MOST_SINGLE }, (_, n) => String(n)) : [];
  return {
    relation: context.index,
    label: context.label,
    column,
    name: key.name,
    forms,
    candidates: [...samples, ...singles],
    sql:
      `SELECT ${table}."eg i" AS i, ROW(${key.computed!.text})::text AS computed FROM (SELECT u.i AS "eg i", CAST(u.c0 AS ${type}) AS ${draft.sql} ` +
      `FROM unnest($1::text[]) WITH ORDINALITY AS u (c0, i)${longest === null ? '' : ` WHERE pg_catalog.char_length(u.c0) <= ${longest}`}) AS ${table}`,
  };
}

function formsFor(family: string, longest: number | null): UniqueRecipe[] {
  const within = (places: Places) => longest === null || places.length <= longest;
  switch (family) {
    case 'text':
      return [12, 8, 6, 4, 3, 2, 1]
        .map((length): Places => Array.from({ length }, () => LOWER))
        .concat([[...Array.from({ length: 10 }, () => LOWER), ...'@example.com']])
        .filter(within)
        .map(byPlaces);
    case 'date':
    case 'timestamp':
      return [byForm({ kind: 'date' }, parseMicros('2400-01-01')! / 86_400_000_000), ...MONTHS_AND_YEARS];
    case 'integer':
    case 'number':
      return [
        byForm({ kind: 'integer' }, 2_000_000_000),
        ...[1, 2, 3].map((zeros) => byForm({ kind: 'decimal', scale: -zeros }, 2_000_000)),
      ];
    default:
      return [];
  }
}

/** What the server computed from each candidate; undefined if it rejected the value. */
export type Computed = readonly (string | undefined)[];

/** Returns the draft in which such columns take values whose computed results differ. */
export function applyDistinct(
  draft: Draft,
  found: readonly { readonly search: DistinctSearch; readonly computed: Computed }[],
): Draft {
  const uniques = new Map<string, UniqueRecipe>();
  for (const { search, computed } of found) {
    const unique = chosen(search, computed);
    if (unique !== null) uniques.set(`${search.relation}/${search.column}`, unique);
  }
  if (uniques.size === 0) return draft;
  return {
    ...draft,
    ordinals: draft.ordinals.map((ordinal) => {
      const unique = uniques.get(`${ordinal.relation}/${ordinal.column}`);
      return unique === undefined ? ordinal : { ...ordinal, unique };
    }),
    plan: {
      ...draft.plan,
      relations: draft.plan.relations.map((relation, index) => ({
        ...relation,
        columns: relation.columns.map((column, position) => {
          const unique = uniques.get(`${index}/${position}`);
          return unique === undefined ? column : { ...column, recipe: unique.recipe };
        }),
      })),
    },
  };
}

/** Returns the first form whose samples all give different results, else the single values that do; null: no change. */
function chosen({ forms, candidates }: DistinctSearch, computed: Computed): UniqueRecipe | null {
  for (const [index, form] of forms.entries()) {
    const texts = computed.slice(index * SAMPLES, (index + 1) * SAMPLES);
    if (texts.includes(undefined) || new Set(texts).size < SAMPLES) continue;
    return index === 0 ? null : form;
  }
  const byComputed = new Map<string, string>();
  for (const [at, text] of computed.entries())
    if (text !== undefined && !byComputed.has(text)) byComputed.set(text, candidates[at]!);
  const values = [...byComputed.values()];
  return values.length === 0 ? null : listed(values);
}
