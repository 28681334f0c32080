import {
  type Attribute,
  type Catalog,
  labelOf,
  quoteIdentifier,
  quoteQualified,
  type Relation,
  type Type,
} from '../catalog/model.js';
import type { Config } from '../config/load.js';
import { didYouMean } from '../config/nearest.js';
import type { Problem } from '../config/problem.js';
import type { ColumnOverride } from '../config/schema.js';
import type { Restriction } from '../constraint/restriction.js';
import type { Recipe } from '../datum/recipe.js';
import { narrowRecipe } from './narrow.js';
import { OID } from './oid.js';
import { nullRatioOf, overrideRecipe } from './override.js';
import type { ColumnPlan } from './plan.js';
import { recipeForType } from './recipe-for.js';
import { entryFor } from './target.js';

/** The plan of a column before keys are considered. */
export interface ColumnDraft extends ColumnPlan {
  readonly attribute: Attribute;
  readonly overridden: boolean;
  /** True if the type is unknown, so that values are searched. */
  readonly unknown: boolean;
  /** The restriction of its values by CHECKs, as far as they are understood. */
  readonly restriction: Restriction | undefined;
  /** True if the recipe cannot be narrowed to the restriction. */
  readonly unmet: boolean;
}

/** Drafts all columns of a relation in the catalog's order. `unknown`: no recipe is known for the type. */
export function draftColumns(
  relation: Relation,
  restrictions: ReadonlyMap<string, Restriction>,
  config: Config,
  catalog: Catalog,
  problems: Problem[],
): ColumnDraft[] {
  const overrides = entryFor(config.generator.column_overrides, relation) ?? {};
  const names = relation.attributes.map((attribute) => attribute.name);
  for (const column of Object.keys(overrides)) {
    if (!names.includes(column)) {
      problems.push(
        config.source.problem(
          overridePath(config, relation, column),
          `table "${relation.name}" has no column "${column}"${didYouMean(column, names)}`,
        ),
      );
    }
  }
  const label = labelOf(relation);
  return relation.attributes.map((attribute) => {
    // Own properties only: a column may be named constructor.
    const override = Object.hasOwn(overrides, attribute.name) ? overrides[attribute.name] : undefined;
    const draft = draftColumn(label, attribute, override, config, catalog, (message) =>
      problems.push(config.source.problem(overridePath(config, relation, attribute.name), message)),
    );
    return narrowDraft(draft, restrictions.get(attribute.name));
  });
}

/** Narrows a draft to what CHECKs allow; unchanged if the user or the server provides the values. */
function narrowDraft(draft: ColumnDraft, restriction: Restriction | undefined): ColumnDraft {
  if (restriction === undefined || draft.overridden || draft.source === 'server') return draft;
  const { recipe, edges } = draft;
  const typed = recipe.kind === 'null' ? undefined : narrowRecipe({ recipe, edges, quote: false }, restriction);
  const nullRatio = restriction.notNull && typed !== undefined ? 0 : draft.nullRatio;
  return { ...draft, ...(typed ?? {}), nullRatio, restriction, unmet: typed === undefined };
}

function overridePath(config: Config, relation: Relation, column: string): string[] {
  const section = config.generator.column_overrides;
  const name =
    [labelOf(relation), `${relation.schema}.${relation.name}`].find((key) => Object.hasOwn(section, key)) ??
    relation.name;
  return ['generator', 'column_overrides', name, column];
}

/** Returns true for a type that everyone who can write the table can use: a built-in one, or one in its schema. */
function isFree({ schema }: Type, label: string): boolean {
  return schema === 'pg_catalog' || label.startsWith(labelOf({ schema, name: 'x' }).slice(0, -1));
}

function draftColumn(
  label: string,
  attribute: Attribute,
  override: ColumnOverride | undefined,
  config: Config,
  catalog: Catalog,
  report: (message: string) => void,
): ColumnDraft {
  const { generator } = config;
  const type = catalog.types.get(attribute.type);
  // Without spreads, which took a quarter of planning time: with thousands of tables most objects are column drafts.
  const draft = ({ source, recipe, nullRatio, edges, overridden, unknown }: Decided): ColumnDraft => ({
    name: attribute.name,
    sql: quoteIdentifier(attribute.name),
    typeName: attribute.typeName,
    bareType: type !== undefined && isFree(type, label) ? quoteQualified(type) : null,
    label: `${label}.${attribute.name}`,
    salt: '',
    attribute,
    edgeRatio: generator.edge_ratio,
    recipe,
    source,
    nullRatio,
    edges: edges ?? NO_EDGES,
    overridden: overridden ?? false,
    unknown: unknown ?? false,
    restriction: undefined,
    unmet: false,
  });
  const server = () => draft({ source: 'server', recipe: NULL, nullRatio: 0 });
  if (attribute.generated) {
    if (override !== undefined)
      report('the server generates this column, so it cannot be overridden; remove the override');
    return server();
  }
  if (override !== undefined) {
    const recipe = overrideRecipe(override, attribute, catalog.types, report);
    return draft({ source: 'drawn', recipe, nullRatio: nullRatioOf(override), overridden: true });
  }
  const fromServer = attribute.identity !== 'none' || attribute.sequence !== null;
  if (fromServer && generator.identity_values === 'database') return server();

  const typed = recipeForType(attribute, catalog.types, generator.min_col_size_bytes);
  if (typeof typed === 'string') {
    if (attribute.default !== null) return server();
    return draft({ source: 'drawn', recipe: NULL, nullRatio: attribute.notNull ? 0 : 1, unknown: true });
  }
  return draft({
    source: 'drawn',
    recipe: typed.recipe,
    nullRatio: attribute.notNull ? 0 : generator.null_ratio,
    edges: generator.defaults === 'never' ? typed.edges : withDefault(typed.edges, attribute),
  });
}

/** The decisions on a column. Boundary values, an override and an unknown type are exceptional. */
interface Decided extends Pick<ColumnDraft, 'source' | 'recipe' | 'nullRatio'> {
  readonly edges?: readonly string[];
  readonly overridden?: boolean;
  readonly unknown?: boolean;
}

const NO_EDGES: readonly string[] = [];

/** Returns the value of a constant default as text; undefined for other defaults and none. */
export function constantDefault({ default: text }: Attribute): string | undefined {
  if (text === null) return undefined;
  const quoted = /^'((?:[^']|'')*)'::[^()]+(\([\d,]+\))?$/.exec(text)?.[1];
  if (quoted !== undefined) return quoted.replaceAll("''", "'");
  return /^(-?\d+(\.\d+)?|true|false)$/.test(text) ? text : undefined;
}

/** Returns true for a default that only the server can compute: the time, a uuid, a function call. */
export function isComputedDefault({ attribute, overridden }: ColumnDraft): boolean {
  const { default: text, generated, identity, sequence } = attribute;
  if (text === null || generated || identity !== 'none' || sequence !== null || overridden) return false;
  return constantDefault(attribute) === undefined && !/^NULL::/.test(text);
}

/* The default is mostly the application's most frequent value, so it is as frequent as all boundary values together. */
function withDefault(edges: readonly string[], attribute: Attribute): readonly string[] {
  const value = constantDefault(attribute);
  // A default may be longer than its column, because the server checks it only when it is used.
  const isTooLong =
    TEXTS.has(attribute.type) && attribute.modifier >= 4 && (value ?? '').length > attribute.modifier - 4;
  return value === undefined || isTooLong ? edges : [...edges, ...Array<string>(Math.max(1, edges.length)).fill(value)];
}

const NULL: Recipe = { kind: 'null' };

const TEXTS: ReadonlySet<number> = new Set([OID.text, OID.varchar, OID.bpchar]);

/** Returns true for a domain that does not allow NULL, by itself or through its base domain. */
export function isNotNullDomain(oid: number, types: ReadonlyMap<number, Type>): boolean {
  const type = types.get(oid);
  return type?.kind === 'domain' && (type.notNull || isNotNullDomain(type.base, types));
}
