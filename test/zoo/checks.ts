import type { Animal } from './animal.js';

export const CHECKS: readonly Animal[] = [
  {
    name: 'check-one-column',
    sql: `CREATE TABLE a (id int PRIMARY KEY, price numeric(8,2) NOT NULL CHECK (price >= 0 AND price < 1000), stars int CHECK (stars BETWEEN 1 AND 5),
      code text CHECK (char_length(code) <= 8), iso text NOT NULL CHECK (length(iso) = 3), kind text NOT NULL CHECK (kind IN ('x', 'y', 'z')),
      born date CHECK (born >= '2000-01-01' AND born < '2010-01-01'), n bigint CHECK (n <> 0), note text CHECK (note <> ''))`,
    never: ['SELECT FROM (SELECT count(DISTINCT kind) AS kinds FROM a) AS k WHERE kinds < 3'],
  },
  {
    name: 'check-between-columns',
    sql: `CREATE TABLE a (id int PRIMARY KEY, starts date NOT NULL, ends date NOT NULL, low int, high int, CHECK (starts <= ends), CHECK (low < high))`,
  },
  {
    name: 'check-exactly-one-of',
    sql: `CREATE TABLE p (id int PRIMARY KEY, v text); CREATE TABLE q (id int PRIMARY KEY, v text);
      CREATE TABLE a (id int PRIMARY KEY, p int REFERENCES p, q int REFERENCES q, note text, CHECK (num_nonnulls(p, q) = 1))`,
    never: ['SELECT FROM (SELECT count(p) AS ps, count(q) AS qs FROM a) AS k WHERE ps = 0 OR qs = 0'],
  },
  {
    name: 'check-implication',
    sql: `CREATE TYPE state AS ENUM ('open', 'paid', 'void');
      CREATE TABLE a (id int PRIMARY KEY, state state NOT NULL, paid_at timestamptz, CHECK ((state = 'paid' AND paid_at IS NOT NULL) OR (state <> 'paid' AND paid_at IS NULL)))`,
    never: ['SELECT FROM (SELECT count(DISTINCT state) AS states FROM a) AS k WHERE states < 3'],
  },
  {
    name: 'check-pattern-and-json',
    sql: `CREATE TABLE a (id int PRIMARY KEY, zip text NOT NULL CHECK (zip ~ '^[0-9]{5}(-[0-9]{4})?$'), slug text NOT NULL CHECK (slug = lower(slug) AND slug LIKE 's-%'),
      doc jsonb NOT NULL CHECK (jsonb_typeof(doc) = 'object' AND doc ? 'kind'), day timestamp NOT NULL CHECK (day = date_trunc('day', day)))`,
  },
  {
    name: 'check-user-function',
    sql: `CREATE FUNCTION is_even(n int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT n % 2 = 0';
      CREATE TABLE a (id int PRIMARY KEY, n int NOT NULL CHECK (is_even(n)), v text)`,
  },
  {
    name: 'domain-with-check',
    sql: `CREATE DOMAIN ssn AS text CHECK (VALUE ~ '^[0-9]{3}-[0-9]{2}-[0-9]{4}$'); CREATE DOMAIN percent AS int NOT NULL CHECK (VALUE BETWEEN 0 AND 100);
      CREATE TABLE a (id int PRIMARY KEY, ssn ssn NOT NULL, share percent, shares percent[])`,
  },
  {
    name: 'unique-column-with-check',
    sql: `CREATE DOMAIN code AS text CHECK (VALUE ~ '^[A-Z]{2}-[0-9]{3}$'); CREATE TABLE a (c code PRIMARY KEY, v text)`,
    settings: 'insert_rows: 1',
  },
  {
    name: 'check-between-parents',
    sql: `CREATE TABLE p (id int PRIMARY KEY, v text); CREATE TABLE friends (a int NOT NULL REFERENCES p, b int NOT NULL REFERENCES p, since date, CHECK (a <> b), PRIMARY KEY (a, b));
      CREATE TABLE pairs (a int NOT NULL REFERENCES p, b int REFERENCES p, v text, CHECK (b IS NULL OR a < b))`,
  },
  {
    name: 'checks-of-parents-and-kinds',
    sql: `CREATE TABLE kinds (name text PRIMARY KEY, note text); INSERT INTO kinds VALUES ('global'), ('org'), ('project');
      CREATE TABLE scopes (id text PRIMARY KEY, kind text NOT NULL REFERENCES kinds, parent text REFERENCES scopes ON DELETE CASCADE, v text,
        CHECK (kind = 'global' AND parent IS NULL OR kind = 'org' AND parent = 'global' OR kind = 'project' AND parent IS NOT NULL AND parent <> 'global'));
      INSERT INTO scopes VALUES ('global', 'global');
      CREATE TABLE persons (id uuid PRIMARY KEY, v text);
      CREATE TABLE friends (id int PRIMARY KEY, a uuid NOT NULL REFERENCES persons, b uuid NOT NULL REFERENCES persons, made uuid NOT NULL REFERENCES persons, seen uuid REFERENCES persons, v text,
        UNIQUE (a, b), CHECK (a < b), CHECK (made = a OR made = b), CHECK (made <> seen), CHECK (seen IS NULL OR seen = a OR seen = b));
      CREATE TABLE routes (id int PRIMARY KEY, kind text NOT NULL CHECK (kind IN ('subnet', 'vpc')), subnet uuid, gone timestamptz, CHECK ((kind = 'subnet') = (subnet IS NOT NULL)));
      CREATE UNIQUE INDEX ON routes (subnet) WHERE gone IS NULL AND kind = 'subnet';
      CREATE DOMAIN long_id AS text CHECK (length(trim(VALUE)) > 6);
      CREATE TABLE flags (id int PRIMARY KEY, kind text NOT NULL REFERENCES kinds, scope long_id REFERENCES scopes, active boolean NOT NULL, n int, CHECK (kind NOT IN ('org', 'global') OR active = true), CHECK (kind <> 'org' OR n > 5))`,
    settings: 'exclude_table_list: [kinds]\nuntargeted_parents: insert',
    never: [
      'SELECT FROM (SELECT count(seen) AS seen, count(*) FILTER (WHERE made = b) AS by_b FROM friends) AS k WHERE seen < 10 OR by_b < 10',
    ],
  },
  {
    name: 'checks-of-networks',
    sql: `CREATE TABLE groups (id int PRIMARY KEY, ip inet NOT NULL, gone timestamptz, CHECK (family(ip) <> 4 OR NOT ip << '224.0.0.0/24'),
        CHECK (family(ip) = 4 AND ip << '224.0.0.0/4' OR family(ip) = 6 AND ip << 'ff00::/8' AND NOT ip << 'ff04::/16'));
      CREATE UNIQUE INDEX ON groups (ip) WHERE gone IS NULL; CREATE TABLE hosts (id int PRIMARY KEY, a inet NOT NULL CHECK (a <<= '10.0.0.0/8'), b cidr CHECK (b <<= '192.168.0.0/16'))`,
    never: ['SELECT FROM (SELECT count(DISTINCT family(ip)) AS families FROM groups) AS k WHERE families < 2'],
  },
  {
    name: 'fk-column-with-check',
    sql: `CREATE TABLE p (id int PRIMARY KEY, v text); INSERT INTO p SELECT i, 'x' FROM generate_series(1, 20) AS i;
      CREATE TABLE a (id int PRIMARY KEY, p int NOT NULL REFERENCES p CHECK (p IN (3, 7)), v text)`,
  },
  {
    name: 'check-text-functions',
    sql: `CREATE TABLE a (id int PRIMARY KEY, code text NOT NULL CHECK (code SIMILAR TO '[A-Z]{3}-(0|1)%'), t text NOT NULL CHECK (trim(t) = t), l text NOT NULL CHECK (lower(l) = l), u varchar(20) NOT NULL CHECK (u = upper(u)),
      n text NOT NULL CHECK (trim(both from n) <> ''), at text NOT NULL CHECK (position('@' in at) > 1), ci text NOT NULL CHECK (ci ~* '^(yes|no)$'), no text NOT NULL CHECK (no !~ '[[:space:]]'), ln text CHECK (octet_length(ln) <= 10))`,
  },
  {
    name: 'check-arrays-and-json-keys',
    sql: `CREATE TABLE a (id int PRIMARY KEY, tags text[] NOT NULL CHECK (array_length(tags, 1) BETWEEN 1 AND 3), few int[] CHECK (cardinality(few) <= 2), xyz float8[] NOT NULL CHECK (array_length(xyz, 1) = 3),
      doc jsonb NOT NULL CHECK (doc ? 'name' AND doc ? 'size'), every jsonb NOT NULL CHECK (every ?& ARRAY['a', 'b']), list jsonb NOT NULL CHECK (jsonb_typeof(list) = 'array'), j json NOT NULL CHECK (json_typeof(j) = 'object'))`,
  },
  {
    name: 'check-arithmetic-casts-and-functions',
    sql: `CREATE TABLE a (id int PRIMARY KEY, n int NOT NULL CHECK (n % 5 = 0), cents numeric(10,2) NOT NULL CHECK (cents * 100 < 50000), s text NOT NULL CHECK (s::int > 0), total int NOT NULL, net int NOT NULL, tax int NOT NULL,
      h timestamp NOT NULL CHECK (h = date_trunc('hour', h)), d date NOT NULL CHECK (extract(isodow FROM d) = 1), CHECK (total = net + tax), x float8 CHECK (x <> 'NaN'::float8))`,
  },
  {
    name: 'check-and-or-not',
    sql: `CREATE TABLE a (id int PRIMARY KEY, a int, b int, c text, d text, e boolean NOT NULL, CHECK (NOT (a IS NULL AND b IS NULL)), CHECK (c IS NULL OR length(c) > 3), CHECK ((c IS NULL) = (d IS NULL)), CHECK (e OR a > 10),
      CHECK (b NOT IN (1, 2, 3)), CHECK (a = ANY (ARRAY[5, 11, 12]) OR a IS NULL), CHECK (num_nulls(a, b) < 2), CHECK (coalesce(b, 0) >= 0), CHECK (CASE WHEN e THEN a IS NOT NULL ELSE true END))`,
  },
  {
    name: 'key-under-conditions-that-are-not-read',
    sql: `CREATE DOMAIN public_id AS text CHECK (length(trim(VALUE)) > 10); CREATE DOMAIN sha1 AS bytea CHECK (octet_length(VALUE) = 20);
      CREATE FUNCTION is_name(t text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN t ~ '^[a-z][a-z0-9]*$'; END $$;
      CREATE FUNCTION is_mail(t text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN IF t NOT LIKE '%_@_%.__%' THEN RAISE EXCEPTION 'no mail'; END IF; RETURN true; END $$;
      CREATE TABLE a (id public_id PRIMARY KEY, v text); CREATE TABLE b (id sha1 PRIMARY KEY, a public_id REFERENCES a, v text);
      CREATE TABLE c (name text PRIMARY KEY CHECK (is_name(name)), b sha1 NOT NULL REFERENCES b, v text); CREATE TABLE d (id int PRIMARY KEY, mail text NOT NULL UNIQUE CHECK (is_mail(mail)), v text);
      CREATE TABLE e (hash varchar(64) PRIMARY KEY CHECK (length(rtrim(hash)) = 64 AND is_name('a' || hash)), login text UNIQUE CHECK (login = lower(login)), v text)`,
    never: [
      ...['a', 'b', 'c', 'd', 'e'].map(
        (table) => `SELECT FROM (SELECT count(*) AS n FROM ${table}) AS k WHERE n < 100`,
      ),
    ],
  },
  {
    name: 'not-null-said-otherwise',
    sql: `CREATE DOMAIN needed AS int NOT NULL; CREATE DOMAIN word AS text NOT NULL CHECK (VALUE <> '');
      CREATE TABLE g (id needed PRIMARY KEY, w word, v text); CREATE TABLE p (id int PRIMARY KEY, g int REFERENCES g, v text, CHECK (g IS NOT NULL));
      CREATE TABLE c (id int PRIMARY KEY, p int NOT NULL REFERENCES p, g needed REFERENCES g, v text);
      CREATE TABLE d (id int PRIMARY KEY, a word CHECK (a <> 'x' AND length(trim(a)) > 3), b int, CHECK (b IS NULL OR length(a) < 100))`,
  },
  {
    name: 'check-with-a-branch-that-is-not-read',
    sql: `CREATE DOMAIN id AS text CHECK (length(trim(VALUE)) > 10 OR VALUE = 'None'); CREATE TABLE a (id id PRIMARY KEY, kind text NOT NULL CHECK (kind = 'x' OR kind LIKE 'a%' OR kind IS NULL), n int CHECK (n IS NULL OR n = 3 OR n > 100));
      INSERT INTO a VALUES ('None', 'x', 3)`,
    never: ['SELECT FROM (SELECT count(*) AS n FROM a) AS k WHERE n < 100'],
  },
  {
    name: 'generated-values-that-must-be-storable',
    sql: `CREATE TABLE line (id int PRIMARY KEY, quantity int NOT NULL CHECK (quantity > 0), price numeric(10,2) NOT NULL, total numeric(12,2) GENERATED ALWAYS AS (quantity * price) STORED);
      CREATE TABLE label (id int PRIMARY KEY, title text NOT NULL, subtitle text NOT NULL, short varchar(30) GENERATED ALWAYS AS (lower(title || ' ' || subtitle)) STORED);
      CREATE TABLE entry (id int PRIMARY KEY, at timestamp NOT NULL, yr int GENERATED ALWAYS AS (extract(year FROM at)) STORED);
      CREATE TABLE person (id int PRIMARY KEY, first text, last text, full_name text NOT NULL GENERATED ALWAYS AS (first || ' ' || last) STORED);
      CREATE TABLE event (id int PRIMARY KEY, payload jsonb NOT NULL, kind text NOT NULL GENERATED ALWAYS AS (payload ->> 'kind') STORED)`,
  },
  {
    name: 'check-over-places-of-json',
    sql: `CREATE TABLE shape (id int PRIMARY KEY, geo jsonb NOT NULL CHECK (geo ? 'type' AND geo ? 'coordinates' AND jsonb_typeof(geo -> 'coordinates') = 'array'));
      CREATE TABLE rule (id int PRIMARY KEY, body jsonb NOT NULL CHECK (body ->> 'operator' IN ('and', 'or') AND jsonb_array_length(body -> 'terms') > 0));
      CREATE TABLE message (id int PRIMARY KEY, doc jsonb NOT NULL CHECK (doc -> 'sender' ->> 'email' IS NOT NULL AND doc #>> '{sender,name}' IS NOT NULL AND (doc ->> 'size')::int > 0));
      CREATE TABLE profile (id int PRIMARY KEY, doc jsonb NOT NULL CHECK (doc ?& ARRAY['first', 'last', 'street', 'zip', 'city', 'country', 'phone', 'mail']))`,
  },
  {
    name: 'key-with-an-open-pattern',
    sql: `CREATE TABLE customer (id int PRIMARY KEY, ref text NOT NULL UNIQUE CHECK (ref ~ '^cus_'), v text); CREATE TABLE contact (id int PRIMARY KEY, msisdn text NOT NULL UNIQUE CHECK (msisdn ~ '^\\+'), v text);
      CREATE TABLE hook (id int PRIMARY KEY, url text NOT NULL UNIQUE CHECK (url ~ '^https?://'), v text); CREATE TABLE ref (id int PRIMARY KEY, ref text NOT NULL UNIQUE CHECK (left(ref, 3) = 'INV'), v text);
      CREATE TABLE path (id int PRIMARY KEY, path text NOT NULL UNIQUE CHECK (starts_with(path, '/api/')), v text);
      CREATE TABLE iban (id int PRIMARY KEY, iban text NOT NULL UNIQUE CHECK (substr(iban, 1, 2) = 'RO' AND length(iban) = 24), v text);
      CREATE TABLE code (id int PRIMARY KEY, code text NOT NULL CHECK (regexp_match(code, '^[A-Z]{2}-[0-9]{4}$') IS NOT NULL))`,
    never: ['customer', 'contact', 'hook', 'ref', 'path', 'iban'].map(
      (table) => `SELECT FROM (SELECT count(*) AS n FROM ${table}) AS k WHERE n < 30`,
    ),
  },
  {
    name: 'key-in-steps',
    sql: `CREATE TABLE monthly (month date PRIMARY KEY CHECK (extract(day FROM month) = 1), v text); CREATE TABLE hourly (hour timestamptz PRIMARY KEY CHECK (hour = date_trunc('hour', hour)), v text);
      CREATE TABLE host (ip inet PRIMARY KEY CHECK (family(ip) = 4), v text); CREATE TABLE odd (port int PRIMARY KEY CHECK (port % 2 = 1), v text); CREATE TABLE ten (n int PRIMARY KEY CHECK (n % 10 = 0), v text)`,
    never: ['monthly', 'hourly', 'host', 'odd', 'ten'].map(
      (table) => `SELECT FROM (SELECT count(*) AS n FROM ${table}) AS k WHERE n < 30`,
    ),
  },
  {
    name: 'check-times-of-day-and-order-of-enums',
    sql: `CREATE TYPE severity AS ENUM ('low', 'medium', 'high', 'critical'); CREATE TABLE alert (id int PRIMARY KEY, level severity NOT NULL CHECK (level >= 'high'), v text);
      CREATE TABLE ticket (id int, level severity NOT NULL, v text, PRIMARY KEY (id, level)) PARTITION BY RANGE (level); CREATE TABLE ticket_1 PARTITION OF ticket FOR VALUES FROM ('low') TO ('high'); CREATE TABLE ticket_2 PARTITION OF ticket FOR VALUES FROM ('high') TO ('critical');
      CREATE TABLE opening (id int PRIMARY KEY, opens time NOT NULL CHECK (extract(second FROM opens) = 0), closes time NOT NULL, CHECK (closes - opens >= interval '1 hour'));
      CREATE TABLE token (id int PRIMARY KEY, expires_at timestamptz NOT NULL CHECK (expires_at > now()), v text); CREATE TABLE place (id int PRIMARY KEY, at point NOT NULL CHECK (at[0] BETWEEN -1 AND 1))`,
    never: ['SELECT FROM (SELECT count(DISTINCT level) AS n FROM alert) AS k WHERE n < 2'],
  },
  {
    name: 'check-looks-up-a-row',
    sql: `CREATE TABLE status (code text PRIMARY KEY, label text); INSERT INTO status VALUES ('NEW', 'new'), ('PAID', 'paid'), ('SENT', 'sent');
      CREATE FUNCTION is_status(s text) RETURNS boolean STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN EXISTS (SELECT 1 FROM status WHERE code = s); END $$;
      CREATE TABLE orders (id int PRIMARY KEY, status text NOT NULL CHECK (is_status(status)), v text)`,
    settings: 'exclude_table_list: [status]',
  },
];
