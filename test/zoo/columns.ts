import type { Animal } from './animal.js';

/* As many columns as a table can have; all of their values together would not fit a page. */
const WIDE = Array.from(
  { length: 1598 },
  (_, i) => `c${i} ${['bigint', 'text', 'timestamptz', 'numeric'][i % 4]}`,
).join();

export const COLUMNS: readonly Animal[] = [
  {
    name: 'identity-serial-generated-and-defaults',
    sql: `CREATE TABLE a (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n serial, at timestamptz NOT NULL DEFAULT now(), v text, w text GENERATED ALWAYS AS (upper(v)) STORED);
      CREATE TABLE b (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), a bigint REFERENCES a, v text)`,
  },
  {
    name: 'types-off-the-beaten-track',
    sql: `CREATE TYPE pair AS (a int, b text, c date); CREATE TYPE pairs AS (first pair, rest pair[]);
      CREATE TABLE a (id int PRIMARY KEY, c "char", nm name, o oid, rc regclass, x xid, t tid, l pg_lsn, xm xml, jp jsonpath, tq tsquery, m8 macaddr8,
        pt point, ln line, ls lseg, bx box, pa path, pg polygon, ci circle, ir int4range, br int8range, nr numrange, dr daterange, tr tsrange, tzr tstzrange,
        mr int4multirange, p pair, ps pairs, parr pair[], grid int[][], rr regtype, sn txid_snapshot)`,
  },
  {
    name: 'wide-row',
    sql: `CREATE TABLE a (id int PRIMARY KEY, ${WIDE})`,
    settings: 'num_iterations: 250\ninsert_rows: 2',
  },
  {
    name: 'virtual-generated-and-typed-tables',
    sql: `CREATE TABLE a (id int PRIMARY KEY, v text, w text GENERATED ALWAYS AS (upper(v)) VIRTUAL); CREATE TYPE person AS (id int, name text);
      CREATE TABLE b OF person (id WITH OPTIONS PRIMARY KEY); CREATE UNLOGGED TABLE c (id int PRIMARY KEY, v text)`,
    since: 18,
  },
  {
    name: 'expressions-that-may-fail',
    sql: `CREATE TABLE a (id int PRIMARY KEY, body text, tags text[], v text); CREATE INDEX ON a (((body::json) ->> 'a')); CREATE INDEX ON a USING gin (array_to_tsvector(tags));
      CREATE TABLE b (id int PRIMARY KEY, amount text, doubled int GENERATED ALWAYS AS (amount::int * 2) STORED);
      CREATE TABLE c (id int PRIMARY KEY, code text UNIQUE, v text); CREATE INDEX ON c ((code::int))`,
  },
  {
    name: 'inheritance',
    sql: `CREATE TABLE note (id serial PRIMARY KEY, class int NOT NULL, v text); CREATE TABLE entity_note (CHECK (class = 1), extra text, PRIMARY KEY (id)) INHERITS (note)`,
    inherited: 'note',
  },
  {
    name: 'base-type-of-its-own',
    sql: `CREATE TYPE mine; CREATE FUNCTION mine_in(cstring) RETURNS mine IMMUTABLE STRICT LANGUAGE internal AS 'int4in';
      CREATE FUNCTION mine_out(mine) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'int4out'; CREATE TYPE mine (INPUT = mine_in, OUTPUT = mine_out, LIKE = int4);
      CREATE TABLE a (id int PRIMARY KEY, m mine NOT NULL, n mine DEFAULT '4711'::mine)`,
    never: ["SELECT FROM (SELECT count(*) AS shown FROM a WHERE n::text = '4711') AS k WHERE shown = 0"],
  },
  {
    name: 'names-of-javascript',
    sql: 'CREATE TABLE "constructor" (id int PRIMARY KEY, "constructor" text, "__proto__" int, "hasOwnProperty" text)',
  },
  {
    name: 'names-that-only-the-schema-knows',
    sql: `CREATE EXTENSION cube; CREATE EXTENSION earthdistance; CREATE SCHEMA app; CREATE TABLE app.audit (id serial PRIMARY KEY, what text);
      CREATE TABLE app.place (id serial PRIMARY KEY, name text, at point); CREATE INDEX ON app.place USING gist (ll_to_earth(at[0], at[1])) WHERE at[0] BETWEEN -1 AND 1 AND at[1] BETWEEN -1 AND 1;
      CREATE FUNCTION app.known(t text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN is_short(t); END $$;
      CREATE FUNCTION app.is_short(t text) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT length(t) < 30';
      CREATE TABLE app.word (id int PRIMARY KEY, t text NOT NULL CHECK (app.known(t)));
      CREATE FUNCTION app.log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit (what) VALUES (TG_OP); RETURN NULL; END $$;
      CREATE TABLE app.watched (id int PRIMARY KEY, v text); CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON app.watched FOR EACH ROW EXECUTE FUNCTION app.log()`,
    settings: 'schema_name: app\nexclude_table_list: [audit]',
  },
];
