/** Objects that functions look up by name: a value of such a column must be the name of one that exists. */
interface Kind {
  readonly kind: string;
  /** Matches the text of a function that looks such objects up. */
  readonly mention: RegExp;
  /** SELECT of one column: the names, the most useful first. */
  readonly sql: string;
}

/* Enough for variety, few enough to try. */
const MOST_NAMES = 24;

const USERS_OWN = `nspname !~ '^pg_' AND nspname <> 'information_schema'`;

const KINDS: readonly Kind[] = [
  {
    kind: 'role',
    mention:
      /\b(pg_roles|pg_authid|pg_user|pg_shadow|regrole|enabled_roles|applicable_roles|pg_has_role|set\s+role)\b/i,
    sql: `SELECT rolname::text FROM pg_roles ORDER BY rolname ~ '^pg_', rolname`,
  },
  {
    kind: 'schema',
    mention: /\b(pg_namespace|schemata|regnamespace)\b/i,
    sql: `SELECT nspname::text FROM pg_namespace ORDER BY nspname ~ '^pg_|^information_schema$', nspname`,
  },
  {
    kind: 'table',
    mention: /\b(pg_class|pg_tables|pg_stat_user_tables|regclass|information_schema\.tables)\b/i,
    sql: `SELECT unnest(ARRAY[relname::text, nspname || '.' || relname]) FROM (SELECT relname, nspname
          FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace WHERE relkind IN ('r', 'p') AND ${USERS_OWN}
          ORDER BY nspname <> 'public', nspname, relname LIMIT 12) AS t`,
  },
  {
    kind: 'column',
    mention: /\b(pg_attribute|information_schema\.columns)\b/i,
    sql: `SELECT DISTINCT attname::text FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid JOIN pg_namespace AS n ON n.oid = relnamespace
          WHERE relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped AND ${USERS_OWN} ORDER BY 1`,
  },
  {
    kind: 'function',
    mention: /\b(pg_proc|routines|regproc|regprocedure)\b/i,
    sql: `SELECT unnest(ARRAY[nspname || '.' || proname, proname, signature]) FROM (
            SELECT nspname::text, proname::text, min(p.oid::regprocedure::text) AS signature
            FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
            WHERE ${USERS_OWN} AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
            GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 8) AS f`,
  },
  {
    kind: 'type',
    mention: /\b(pg_type|regtype|format_type)\b/i,
    sql: `SELECT unnest(ARRAY['integer', 'text', 'boolean', 'numeric', 'date', 'int4', 'varchar', 'timestamptz', 'uuid', 'jsonb'])`,
  },
  {
    kind: 'text search configuration',
    mention: /\b(pg_ts_config|regconfig)\b/i,
    sql: `SELECT cfgname::text FROM pg_ts_config ORDER BY cfgname NOT IN ('simple', 'english'), cfgname`,
  },
  {
    kind: 'extension',
    mention: /\bpg_(available_)?extensions?\b/i,
    sql: `SELECT extname::text FROM pg_extension ORDER BY extname`,
  },
  {
    kind: 'database',
    mention: /\bpg_database\b/i,
    sql: `SELECT datname::text FROM pg_database ORDER BY datname <> current_database(), datname`,
  },
  {
    kind: 'time zone',
    mention: /\bpg_timezone_(names|abbrevs)\b/i,
    sql: `SELECT unnest(ARRAY['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Tokyo', 'Australia/Sydney'])`,
  },
];

/** Returns the kinds of objects that functions look up by name, according to their texts. */
export function kindsLookedUp(sources: Iterable<string>): string[] {
  const texts = [...sources];
  return KINDS.filter(({ mention }) => texts.some((text) => mention.test(text))).map(({ kind }) => kind);
}

/** Returns a query for the names of some kinds of objects: columns kind and name. */
export function namesQuery(kinds: readonly string[]): string {
  return KINDS.filter(({ kind }) => kinds.includes(kind))
    .map(({ kind, sql }) => `SELECT '${kind}' AS kind, name FROM (${sql} LIMIT ${MOST_NAMES}) AS names (name)`)
    .join(' UNION ALL ');
}
