import type { ClientBase } from 'pg';
import {
  byPrimaryThenName,
  computedOf,
  distinct,
  type ExclusionRow,
  FOREIGN_KEYS,
  type ForeignRow,
  INDEXES,
  type IndexRow,
  overSources,
  storedChecks,
  toExclusion,
  toForeignKey,
  toUniqueKey,
} from './constraint.js';
import { flavourOf } from './flavour.js';
import {
  type Attribute,
  byCodePoint,
  type Catalog,
  labelOf,
  type Relation,
  type Server,
  type Trigger,
} from './model.js';
import { kindsLookedUp, namesQuery } from './names.js';
import { loadParser, parseExpression } from './parse.js';
import { type Bounds, MOST_LEAVES, usableLeaves } from './partition.js';
import { type CheckRow, TYPES, type TypeRow, toCheck, toType } from './pg-type.js';
import { writtenBy } from './trigger-text.js';

/** Number of catalogue queries that `introspect` asks, whatever the number of tables; one more if functions look up names. */
export const CATALOG_QUERIES = 8;

/**
 * Reads the catalog of the given schemas, and of what their foreign keys reference, in eight or nine queries.
 * Meanwhile `search_path` is `pg_catalog`, so that `format_type` and friends qualify every name; afterwards it is the one that lanes have.
 */
export async function introspect(client: ClientBase, schemas: readonly string[]): Promise<Catalog> {
  await loadParser();
  const server = await readServer(client, schemas);
  await client.query('SET search_path = pg_catalog');
  const rows = await query<RelationRow>(client, RELATIONS, [schemas]);
  const isTable = (row: RelationRow) => (row.relkind === 'r' || row.relkind === 'p') && !row.relispartition;
  const oids = rows.filter(isTable).map((row) => row.oid);
  const attributes = groupBy(await query<AttributeRow>(client, ATTRIBUTES, [oids]), (row) => row.attrelid);
  const typeRows = await query<TypeRow>(client, TYPES, [oids]);
  const indexes = groupBy(await query<IndexRow>(client, INDEXES, [oids]), (row) => row.indrelid);
  const foreign = await query<ForeignRow>(client, FOREIGN_KEYS, [oids]);
  const triggers = groupBy(await query<TriggerRow>(client, TRIGGERS, [oids]), (row) => row.tgrelid);
  const functions = new Map<string, string[]>();
  const mayCall = triggers.size > 0 || callsOwnFunctions(rows, typeRows);
  for (const { name, source } of await query<FunctionRow>(client, FUNCTIONS, [mayCall]))
    functions.set(name, [...(functions.get(name) ?? []), source]);
  const names = await readNames(client, [...functions.values()].flat());
  const outgoing = groupBy(foreign, (row) => row.conrelid);
  const incoming = groupBy(foreign, (row) => row.confrelid);

  const others = new Map<string, string>();
  const relations: Relation[] = [];
  for (const row of rows) {
    if (!isTable(row)) {
      others.set(
        labelOf({ schema: row.nspname, name: row.relname }),
        row.relispartition ? 'a partition' : (RELATION_KINDS[row.relkind] ?? 'not a table'),
      );
      continue;
    }
    const own = attributes.get(row.oid) ?? [];
    const partitioned = usableLeaves(row.bounds ?? [], row.default_partition, outgoing.get(row.oid) ?? []);
    relations.push({
      oid: row.oid,
      schema: row.nspname,
      name: row.relname,
      kind: row.relkind === 'p' ? 'partitioned' : 'table',
      inherited: row.relkind === 'r' && row.partitions > 0,
      estimatedRows: row.reltuples,
      privileges: {
        schema: row.can_use_schema,
        select: row.can_select,
        insert: row.can_insert,
        update: row.can_update,
        delete: row.can_delete,
      },
      extension: row.extension,
      hasRules: row.has_rules,
      rowSecurity: row.row_security,
      reacts: row.reacts,
      triggers: (triggers.get(row.oid) ?? []).map((trigger) => toTrigger(trigger, functions)),
      lacksReplicaIdentity: row.lacks_identity,
      streamed: row.streamed,
      checks: [...row.checks.map(toCheck), ...partitioned.bounds, ...storedChecks(own)],
      exclusions: row.exclusions.map(toExclusion),
      partitioning:
        row.partition_strategy === null
          ? null
          : {
              strategy: row.partition_strategy,
              partitions: row.partitions,
              hasDefault: row.default_partition,
              leftOut: partitioned.leftOut,
              columns: partitioned.columns,
              hashedWithGaps: partitioned.hashedWithGaps,
            },
      attributes: own.map(toAttribute),
      uniqueKeys: (indexes.get(row.oid) ?? [])
        .filter((index) => index.indisunique)
        .map((index) => overSources(toUniqueKey(index), own))
        .sort(byPrimaryThenName),
      computed: computedOf(indexes.get(row.oid) ?? [], own),
      foreignKeys: partitioned.keys.map(toForeignKey).sort((a, b) => byCodePoint(a.name, b.name)),
      referencedBy: distinct((incoming.get(row.oid) ?? []).map(toForeignKey)),
    });
  }
  await client.query(server.searchPath === null ? 'RESET search_path' : `SET search_path = ${server.searchPath}`);
  relations.sort((a, b) => byCodePoint(a.schema, b.schema) || byCodePoint(a.name, b.name));
  const types = new Map(typeRows.map((row) => [row.oid, toType(row)]));
  return { server, relations, types, others, functions, names };
}

/** Returns true if a CHECK calls a function that is not one of PostgreSQL's; their names are qualified. */
function callsOwnFunctions(relations: readonly RelationRow[], types: readonly TypeRow[]): boolean {
  return [...relations, ...types].some(({ checks }) => checks.some(({ text }) => /\.["\w$]+\(/.test(text)));
}

async function readNames(client: ClientBase, sources: readonly string[]): Promise<Map<string, string[]>> {
  const kinds = kindsLookedUp(sources);
  const names = new Map<string, string[]>(kinds.map((kind) => [kind, []]));
  if (kinds.length === 0) return names;
  for (const { kind, name } of await query<{ kind: string; name: string }>(client, namesQuery(kinds)))
    names.get(kind)!.push(name);
  return names;
}

async function query<Row extends object>(client: ClientBase, text: string, values: unknown[] = []): Promise<Row[]> {
  return (await client.query<Row & Record<string, unknown>>(text, values)).rows;
}

async function readServer(client: ClientBase, schemas: readonly string[]): Promise<Server> {
  const [row] = await query<ServerRow>(client, SERVER, [schemas]);
  return {
    version: row!.version,
    versionText: row!.version_text,
    flavour: flavourOf(row!.banner),
    database: row!.database,
    user: row!.user,
    superuser: row!.superuser,
    readOnly: row!.read_only,
    encoding: row!.encoding,
    schemas: [...row!.schemas].sort(byCodePoint),
    searchPath: row!.search_path,
    systemRows: row!.system_rows,
    isReplicaRole: row!.replica_role,
  };
}

interface ServerRow {
  version: number;
  version_text: string;
  banner: string;
  database: string;
  user: string;
  superuser: boolean;
  read_only: boolean;
  encoding: string;
  schemas: string[];
  search_path: string | null;
  system_rows: boolean;
  replica_role: boolean;
}

const SERVER = `
SELECT current_setting('server_version_num')::int AS version,
       current_setting('server_version') AS version_text,
       version() AS banner,
       current_database()::text AS database,
       current_user::text AS user,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
       pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool AS read_only,
       current_setting('server_encoding') AS encoding,
       ARRAY(SELECT nspname::text FROM pg_namespace
             WHERE nspname !~ '^pg_(toast|temp)' AND nspname NOT IN ('pg_catalog', 'information_schema')) AS schemas,
       (SELECT concat_ws(', ', CASE WHEN current_setting('search_path') NOT IN ('', '""') THEN current_setting('search_path') END, string_agg(quote_ident(nspname), ', ' ORDER BY nspname))
        FROM pg_namespace WHERE (nspname = ANY ($1) OR oid IN (SELECT extnamespace FROM pg_extension)) AND nspname <> ALL (current_schemas(true))
        HAVING count(*) > 0) AS search_path,
       current_setting('session_replication_role') = 'replica' AS replica_role,
       EXISTS (SELECT FROM pg_extension WHERE extname = 'tsm_system_rows') AS system_rows`;

interface RelationRow {
  oid: number;
  nspname: string;
  relname: string;
  relkind: string;
  relispartition: boolean;
  checks: CheckRow[];
  exclusions: ExclusionRow[];
  partition_strategy: string | null;
  partitions: number;
  bounds: Bounds[] | null;
  default_partition: boolean;
  reltuples: number;
  extension: string | null;
  has_rules: boolean;
  row_security: boolean;
  reacts: boolean;
  lacks_identity: boolean;
  readonly streamed: Relation['streamed'];
  can_select: boolean;
  can_use_schema: boolean;
  can_insert: boolean;
  can_update: boolean;
  can_delete: boolean;
}

const RELATION_KINDS: Readonly<Record<string, string>> = {
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
};

/* Targeted schemas, then along foreign keys to whatever they reference. Partitions stand behind their parent. */
const RELATIONS = `
WITH RECURSIVE keys AS MATERIALIZED (
  SELECT CASE WHEN leaf.relispartition THEN pg_partition_root(leaf.oid) ELSE leaf.oid END AS root,
         CASE WHEN target.relispartition THEN pg_partition_root(target.oid) ELSE target.oid END AS confrelid
  FROM pg_constraint AS constr JOIN pg_class AS leaf ON leaf.oid = constr.conrelid
  JOIN pg_class AS target ON target.oid = constr.confrelid
  WHERE constr.contype = 'f' AND constr.conparentid = 0
), wanted AS (
  SELECT class.oid
  FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
  WHERE namespace.nspname = ANY ($1) AND class.relkind IN ('r', 'p', 'v', 'm', 'f')
  UNION
  SELECT keys.confrelid FROM wanted JOIN keys ON keys.root = wanted.oid
)
SELECT class.oid, namespace.nspname::text, class.relname::text, class.relkind::text, class.reltuples, class.relispartition,
       (SELECT coalesce(json_agg(json_build_object('name', constr.conname, 'text', pg_get_expr(constr.conbin, constr.conrelid))
                                 ORDER BY constr.conname), '[]')
        FROM pg_constraint AS constr
        WHERE constr.conrelid = class.oid AND constr.contype = 'c' AND coalesce((to_jsonb(constr) ->> 'conenforced')::bool, true)) AS checks,
       (SELECT coalesce(json_agg(json_build_object('name', constr.conname, 'partial', index.indpred IS NOT NULL, 'elements',
                 (SELECT json_agg(json_build_object('text', pg_get_indexdef(index.indexrelid, key.position::int, false),
                                                    'operator', operator.oprname) ORDER BY key.position)
                  FROM unnest(constr.conexclop) WITH ORDINALITY AS key (operator, position)
                  JOIN pg_operator AS operator ON operator.oid = key.operator)) ORDER BY constr.conname), '[]')
        FROM pg_constraint AS constr JOIN pg_index AS index ON index.indexrelid = constr.conindid
        WHERE constr.conrelid = class.oid AND constr.conexclop IS NOT NULL) AS exclusions,
       (SELECT partstrat::text FROM pg_partitioned_table WHERE partrelid = class.oid) AS partition_strategy,
       (SELECT partdefid <> 0 FROM pg_partitioned_table WHERE partrelid = class.oid) IS TRUE AS default_partition,
       (SELECT count(*)::int FROM pg_inherits WHERE inhparent = class.oid) AS partitions,
       (SELECT json_agg(json_build_object('oid', leaf.oid::int8, 'text', leaf.bound, 'checks', (
                SELECT json_agg(own) FROM (
                  SELECT constr.conname AS name, pg_get_expr(constr.conbin, constr.conrelid) AS text FROM pg_constraint AS constr
                  WHERE constr.conrelid = leaf.oid AND constr.contype = 'c' AND constr.coninhcount = 0
                  UNION ALL
                  SELECT attribute.attname, quote_ident(attribute.attname) || ' IS NOT NULL' FROM pg_attribute AS attribute
                  JOIN pg_attribute AS above ON above.attrelid = class.oid AND above.attname = attribute.attname
                  WHERE attribute.attrelid = leaf.oid AND attribute.attnum > 0 AND attribute.attnotnull AND NOT above.attnotnull
                ) AS own)) ORDER BY leaf.name)
        FROM (SELECT tree.relid::oid AS oid, tree.relid::regclass::text AS name, pg_get_partition_constraintdef(tree.relid) AS bound
              FROM pg_partition_tree(class.oid) AS tree WHERE tree.isleaf ORDER BY name LIMIT ${MOST_LEAVES}) AS leaf
        WHERE class.relkind = 'p') AS bounds,
       (SELECT extname::text FROM pg_depend JOIN pg_extension AS extension ON extension.oid = refobjid
        WHERE classid = 'pg_class'::regclass AND objid = class.oid AND refclassid = 'pg_extension'::regclass AND deptype = 'e') AS extension,
       class.relrowsecurity AND row_security_active(class.oid) AS row_security,
       class.relhasrules AS has_rules,
       class.relhasrules OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = class.oid AND NOT tgisinternal AND tgenabled <> 'D')
       OR (class.relkind = 'p' AND EXISTS (SELECT FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'
         AND tgrelid IN (SELECT relid FROM pg_partition_tree(class.oid)))) AS reacts,
       class.relreplident IN ('d', 'n') AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = class.oid AND indisprimary AND indimmediate)
            AND (EXISTS (SELECT FROM pg_publication_rel WHERE prrelid = class.oid) OR EXISTS (SELECT FROM pg_publication WHERE puballtables)) AS lacks_identity,
       CASE WHEN class.relpersistence <> 'p' THEN 'nothing'
            WHEN EXISTS (SELECT FROM pg_class AS leaf WHERE leaf.oid IN (SELECT class.oid UNION ALL SELECT relid FROM pg_partition_tree(class.oid)) AND leaf.relkind = 'r'
                 AND NOT (leaf.relreplident IN ('f', 'i') OR leaf.relreplident = 'd'
                   AND EXISTS (SELECT FROM pg_index WHERE indrelid = leaf.oid AND indisprimary AND indimmediate))) THEN 'inserts'
            WHEN EXISTS (SELECT FROM pg_class AS leaf WHERE leaf.oid IN (SELECT class.oid UNION ALL SELECT relid FROM pg_partition_tree(class.oid)) AND leaf.relkind = 'r'
                 AND leaf.relreplident <> 'f') THEN 'by key'
            ELSE 'whole rows' END AS streamed,
       has_table_privilege(class.oid, 'SELECT') AS can_select,
       has_schema_privilege(namespace.oid, 'USAGE') AS can_use_schema,
       has_table_privilege(class.oid, 'INSERT') OR has_any_column_privilege(class.oid, 'INSERT') AS can_insert,
       has_table_privilege(class.oid, 'UPDATE') OR has_any_column_privilege(class.oid, 'UPDATE') AS can_update,
       has_table_privilege(class.oid, 'DELETE') AS can_delete
FROM wanted
JOIN pg_class AS class ON class.oid = wanted.oid
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
ORDER BY namespace.nspname, class.relname`;

interface AttributeRow {
  attrelid: number;
  attname: string;
  attnum: number;
  atttypid: number;
  atttypmod: number;
  type_name: string;
  attnotnull: boolean;
  attidentity: string;
  attgenerated: string;
  default_text: string | null;
  owned_sequence: string | null;
  used_sequence: string | null;
}

/*
 * A name that a default looks up as a text is found in the schema of its table, if nowhere else: these sessions have no search path.
 * A column that was serial before it became an identity may own two sequences: the identity's comes first. In attnum's order among themselves: it is what users see, and it belongs to the initial database.
 */
const ATTRIBUTES = `
SELECT attribute.attrelid, attribute.attname::text, attribute.attnum::int, attribute.atttypid,
       attribute.atttypmod, format_type(attribute.atttypid, attribute.atttypmod) AS type_name, attribute.attnotnull,
       attribute.attidentity::text, attribute.attgenerated::text,
       pg_get_expr(def.adbin, def.adrelid) AS default_text,
       (SELECT quote_ident(namespace.nspname) || '.' || quote_ident(sequence.relname)
        FROM pg_depend AS owned
        JOIN pg_class AS sequence ON sequence.oid = owned.objid AND sequence.relkind = 'S'
        JOIN pg_namespace AS namespace ON namespace.oid = sequence.relnamespace
        WHERE owned.refclassid = 'pg_class'::regclass AND owned.refobjid = attribute.attrelid
          AND owned.refobjsubid = attribute.attnum AND owned.classid = 'pg_class'::regclass AND owned.deptype IN ('a', 'i')
        ORDER BY owned.deptype DESC, 1 LIMIT 1) AS owned_sequence,
       CASE WHEN pg_get_expr(def.adbin, def.adrelid) ~ '^nextval\\(\\(?''[^'']+''(::text\\))?::regclass\\)(::[a-z ]+)?$' THEN
         (SELECT quote_ident(namespace.nspname) || '.' || quote_ident(sequence.relname)
          FROM pg_class AS sequence JOIN pg_namespace AS namespace ON namespace.oid = sequence.relnamespace
          WHERE sequence.relkind = 'S' AND sequence.oid = (
            SELECT coalesce(to_regclass(name), to_regclass(own.relnamespace::regnamespace || '.' || name))
            FROM substring(pg_get_expr(def.adbin, def.adrelid) FROM '''([^'']+)''') AS name, pg_class AS own WHERE own.oid = attribute.attrelid))
       END AS used_sequence
FROM pg_attribute AS attribute
LEFT JOIN pg_attrdef AS def ON def.adrelid = attribute.attrelid AND def.adnum = attribute.attnum
WHERE attribute.attrelid = ANY ($1::oid[]) AND attribute.attnum > 0 AND NOT attribute.attisdropped
ORDER BY attribute.attrelid, attribute.attnum`;

function toAttribute(row: AttributeRow): Attribute {
  return {
    name: row.attname,
    number: row.attnum,
    type: row.atttypid,
    modifier: row.atttypmod,
    typeName: row.type_name,
    notNull: row.attnotnull,
    identity: row.attidentity === 'a' ? 'always' : row.attidentity === 'd' ? 'by default' : 'none',
    generated: row.attgenerated !== '',
    generation:
      row.attgenerated === '' || row.default_text === null
        ? null
        : { name: row.attname, text: row.default_text, expression: parseExpression(row.default_text) },
    default: row.default_text,
    sequence: row.owned_sequence ?? row.used_sequence,
    ownsSequence: row.owned_sequence !== null,
  };
}

interface TriggerRow {
  tgrelid: number;
  tgname: string;
  tgtype: number;
  function: string;
  deferrable: boolean;
  prosrc: string;
  prosecdef: boolean;
  arguments: string;
}

/* Triggers of one event fire in the order of their names. */
const TRIGGERS = `
SELECT trigger.tgrelid, trigger.tgname::text, trigger.tgtype::int, trigger.tgdeferrable AS deferrable, proc.prosrc, proc.prosecdef,
       quote_ident(namespace.nspname) || '.' || quote_ident(proc.proname) AS function,
       encode(trigger.tgargs, 'escape') AS arguments
FROM pg_trigger AS trigger
JOIN pg_proc AS proc ON proc.oid = trigger.tgfoid JOIN pg_namespace AS namespace ON namespace.oid = proc.pronamespace
WHERE trigger.tgrelid = ANY ($1::oid[]) AND NOT trigger.tgisinternal AND trigger.tgenabled <> 'D'
ORDER BY trigger.tgrelid, trigger.tgname`;

interface FunctionRow {
  name: string;
  source: string;
}

/* What trigger functions may call: functions of the database's own, where there are triggers at all. */
const FUNCTIONS = `
SELECT lower(proc.proname) AS name, proc.prosrc AS source
FROM pg_proc AS proc JOIN pg_language AS language ON language.oid = proc.prolang
WHERE $1 AND language.lanname NOT IN ('internal', 'c') AND proc.pronamespace <> 'pg_catalog'::regnamespace
ORDER BY 1, 2`;

/* Bits of pg_trigger.tgtype: TRIGGER_TYPE_* of PostgreSQL's pg_trigger.h. */
function toTrigger(row: TriggerRow, functions: ReadonlyMap<string, readonly string[]>): Trigger {
  const has = (bit: number) => (row.tgtype & bit) !== 0;
  return {
    name: row.tgname,
    isBefore: has(2),
    events: { insert: has(4), delete: has(8), update: has(16) },
    function: row.function,
    isDeferrable: row.deferrable,
    source: row.prosrc,
    asOwner: row.prosecdef,
    writes: writtenBy(row.prosrc, functions),
    arguments: row.arguments.replaceAll('\\000', ', ').replace(/, $/, ''),
  };
}

function groupBy<Row>(rows: readonly Row[], keyOf: (row: Row) => number): Map<number, Row[]> {
  const groups = new Map<number, Row[]>();
  for (const row of rows) {
    const group = groups.get(keyOf(row));
    if (group === undefined) groups.set(keyOf(row), [row]);
    else group.push(row);
  }
  return groups;
}
