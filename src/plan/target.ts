import { type Catalog, labelOf, type Relation } from '../catalog/model.js';
import type { Config } from '../config/load.js';
import { didYouMean } from '../config/nearest.js';
import type { Problem } from '../config/problem.js';
import type { OperationKind } from './plan.js';

/**
 * The relations that a configuration targets, in the catalog's order. Names may be plain or schema-qualified; a plain
 * one is looked up in the configured schemas. What cannot be found is reported with the nearest name.
 */
export function targetedRelations(config: Config, catalog: Catalog, problems: Problem[]): Relation[] {
  const { generator, schemas, source } = config;
  for (const [index, schema] of schemas.entries()) {
    if (catalog.server.schemas.includes(schema)) continue;
    const path = Array.isArray(generator.schema_name)
      ? ['generator', 'schema_name', index]
      : ['generator', 'schema_name'];
    problems.push(
      source.problem(
        path,
        `there is no schema "${schema}" in database "${catalog.server.database}"${didYouMean(schema, catalog.server.schemas)}`,
      ),
    );
  }
  if (problems.length > 0) return [];
  const inSchemas = catalog.relations.filter((relation) => schemas.includes(relation.schema));
  const find = (name: string, path: readonly PropertyKey[]) =>
    findRelation(name, path, inSchemas, config, catalog, problems);

  let targeted: Relation[];
  if (generator.manual_table_list.length > 0) {
    const chosen = new Set(
      generator.manual_table_list.map((name, index) => find(name, ['generator', 'manual_table_list', index])),
    );
    targeted = catalog.relations.filter((relation) => chosen.has(relation));
  } else {
    const excluded = new Set(
      generator.exclude_table_list.map((name, index) => find(name, ['generator', 'exclude_table_list', index])),
    );
    // An extension maintains its own tables. Rows of other tables may still reference them.
    targeted = inSchemas.filter((relation) => !excluded.has(relation) && relation.extension === null);
    if (targeted.length === 0 && problems.length === 0) {
      const what = inSchemas.length === 0 ? 'has no tables' : 'has only excluded tables';
      const names = schemas.map((schema) => `"${schema}"`).join(', ');
      problems.push(
        source.problem(['generator', 'schema_name'], `schema ${names} ${what}; name a schema that has tables`),
      );
    }
  }
  const sections: [readonly string[], object][] = [
    [['table_weights'], generator.table_weights],
    [['column_overrides'], generator.column_overrides],
    [['exclude_columns_from_update'], generator.exclude_columns_from_update],
    [['operation_weights', 'tables'], config.tableOperationWeights],
  ];
  for (const [section, entries] of sections) {
    for (const name of Object.keys(entries)) {
      const path = ['generator', ...section, name];
      const relation = find(name, path);
      if (relation !== undefined && !targeted.includes(relation))
        problems.push(source.problem(path, `table "${name}" is not targeted by this configuration`));
    }
  }
  return targeted;
}

/** Tables of the configured schemas that are left alone, because they belong to extensions. */
export function leftToExtensions({ generator, schemas }: Config, { relations }: Catalog): readonly Relation[] {
  if (generator.manual_table_list.length > 0) return [];
  const excluded = new Set(generator.exclude_table_list);
  return relations.filter(
    (relation) =>
      relation.extension !== null &&
      schemas.includes(relation.schema) &&
      ![relation.name, labelOf(relation)].some((name) => excluded.has(name)),
  );
}

/** Returns the value for a relation, by plain or qualified name, in a section keyed by table. */
export function entryFor<Value>(section: Readonly<Record<string, Value>>, relation: Relation): Value | undefined {
  for (const name of [labelOf(relation), `${relation.schema}.${relation.name}`, relation.name]) {
    if (Object.hasOwn(section, name)) return section[name];
  }
  return undefined;
}

/** Returns the names by which a section keyed by table may name a table: its label, and without the schema and quotes. */
export function namesOf(label: string): string[] {
  const bare = label.slice(label.indexOf('.') + 1);
  return [label, label.replaceAll('"', ''), bare, bare.replaceAll('"', '')];
}

/** Returns the weights of the operations on a table: its own if it has some, else those of all tables. */
export function operationWeightsOf(
  { operationWeights, tableOperationWeights: own }: Config,
  label: string,
): Readonly<Record<OperationKind, number>> {
  const name = namesOf(label).find((each) => Object.hasOwn(own, each));
  const { INSERT, UPDATE, DELETE } = name === undefined ? operationWeights : own[name]!;
  return { insert: INSERT, update: UPDATE, delete: DELETE };
}

function findRelation(
  name: string,
  path: readonly PropertyKey[],
  inSchemas: readonly Relation[],
  config: Config,
  catalog: Catalog,
  problems: Problem[],
): Relation | undefined {
  const qualified = (relation: Relation) =>
    name === labelOf(relation) || name === `${relation.schema}.${relation.name}`;
  const found = inSchemas.find((relation) => relation.name === name) ?? catalog.relations.find(qualified);
  if (found !== undefined) return found;
  const other = catalog.others.get(name) ?? catalog.others.get(labelOf({ schema: config.schemas[0]!, name }));
  if (other !== undefined) {
    problems.push(config.source.problem(path, `"${name}" is ${other}, not a table; name its underlying table`));
    return undefined;
  }
  const known = inSchemas.flatMap((relation) => [relation.name, labelOf(relation)]);
  const where = config.schemas.map((schema) => `"${schema}"`).join(', ');
  problems.push(
    config.source.problem(path, `there is no table "${name}" in schema ${where}${didYouMean(name, known)}`),
  );
  return undefined;
}
