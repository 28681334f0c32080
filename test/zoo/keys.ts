import type { Animal } from './animal.js';

export const KEYS: readonly Animal[] = [
  {
    name: 'fk-back-to-a-part-of-the-row',
    sql: `CREATE TABLE docs (id int PRIMARY KEY, title text, current int); CREATE TABLE revisions (doc_id int NOT NULL REFERENCES docs ON DELETE CASCADE, number int NOT NULL, body text, PRIMARY KEY (doc_id, number));
      ALTER TABLE docs ADD FOREIGN KEY (id, current) REFERENCES revisions (doc_id, number);
      CREATE TABLE orgs (id text PRIMARY KEY, parent text REFERENCES orgs, v text, main uuid); CREATE TABLE members (id uuid PRIMARY KEY, org_id text NOT NULL REFERENCES orgs, v text, UNIQUE (org_id, id));
      ALTER TABLE orgs ADD FOREIGN KEY (main) REFERENCES members ON DELETE SET NULL, ADD FOREIGN KEY (id, main) REFERENCES members (org_id, id)`,
  },
  {
    name: 'fk-cycle-not-null',
    sql: `CREATE TABLE a (id int PRIMARY KEY, b int NOT NULL, v text); CREATE TABLE b (id int PRIMARY KEY, c int NOT NULL, v text);
      CREATE TABLE c (id int PRIMARY KEY, a int NOT NULL REFERENCES a, v text); CREATE TABLE d (id int PRIMARY KEY, c int NOT NULL REFERENCES c, v text);
      ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b; ALTER TABLE b ADD FOREIGN KEY (c) REFERENCES c`,
  },
  {
    name: 'fk-self-not-null',
    sql: 'CREATE TABLE a (id int PRIMARY KEY, boss int NOT NULL REFERENCES a, v text)',
  },
  {
    name: 'keys-only',
    sql: `CREATE TABLE p (id int PRIMARY KEY, v text); CREATE TABLE q (id int PRIMARY KEY, v text);
      CREATE TABLE pq (p int REFERENCES p, q int REFERENCES q, PRIMARY KEY (p, q)); CREATE TABLE tags (tag text PRIMARY KEY); CREATE TABLE one (p int PRIMARY KEY REFERENCES p)`,
  },
  {
    name: 'unique-with-expression-and-predicate',
    sql: `CREATE TABLE a (id int PRIMARY KEY, email text NOT NULL, owner text NOT NULL, active boolean NOT NULL);
      CREATE UNIQUE INDEX ON a (lower(email)); CREATE UNIQUE INDEX ON a (owner) WHERE active`,
  },
  {
    name: 'partial-unique-over-few-values',
    sql: `CREATE TABLE a (id int PRIMARY KEY, is_default boolean NOT NULL, v text); CREATE UNIQUE INDEX ON a (is_default) WHERE is_default;
      CREATE UNIQUE INDEX ON a ((true)) WHERE is_default`,
  },
  {
    name: 'unique-nulls-not-distinct',
    since: 15,
    sql: 'CREATE TABLE a (id int, email text, city text, v text, UNIQUE NULLS NOT DISTINCT (email), UNIQUE NULLS NOT DISTINCT (id, city))',
  },
  {
    name: 'exclusion-ranges',
    sql: `CREATE EXTENSION btree_gist; CREATE TABLE room (id int PRIMARY KEY, v text);
      CREATE TABLE a (id int PRIMARY KEY, room int REFERENCES room, during tstzrange NOT NULL, v text, EXCLUDE USING gist (room WITH =, during WITH &&));
      CREATE TABLE b (id int PRIMARY KEY, room int NOT NULL REFERENCES room, s timestamptz NOT NULL, e timestamptz NOT NULL, v text, CHECK (s < e),
        EXCLUDE USING gist (room WITH =, tstzrange(s, e) WITH &&));
      CREATE TABLE c (id int PRIMARY KEY, code text, EXCLUDE USING gist (code WITH =));
      CREATE TABLE d (id int PRIMARY KEY, r int4multirange UNIQUE, d daterange, EXCLUDE USING gist (d WITH &&) WHERE (id > 5));
      CREATE TABLE e (id int PRIMARY KEY, a int, b int, EXCLUDE USING gist (int4range(a, b, '[]') WITH &&))`,
  },
  {
    name: 'temporal-keys',
    sql: `CREATE EXTENSION btree_gist; CREATE TABLE a (id int, valid daterange, v text, PRIMARY KEY (id, valid WITHOUT OVERLAPS));
      CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL, during daterange NOT NULL, v text, FOREIGN KEY (a, PERIOD during) REFERENCES a (id, PERIOD valid))`,
    since: 18,
  },
  {
    name: 'fk-to-unique-and-match-full',
    sql: `CREATE TABLE p (id int PRIMARY KEY, code text NOT NULL UNIQUE, x int NOT NULL, y date NOT NULL, UNIQUE (x, y));
      CREATE TABLE a (id int PRIMARY KEY, code text REFERENCES p (code), x int, y date, FOREIGN KEY (x, y) REFERENCES p (x, y) MATCH FULL)`,
  },
  {
    name: 'fk-cycle-nullable-and-deferrable',
    sql: `CREATE TABLE a (id int PRIMARY KEY, b int, v text); CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL REFERENCES a, v text); ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b;
      CREATE TABLE c (id int PRIMARY KEY, d int NOT NULL, v text); CREATE TABLE d (id int PRIMARY KEY, c int NOT NULL REFERENCES c DEFERRABLE INITIALLY DEFERRED, v text);
      ALTER TABLE c ADD FOREIGN KEY (d) REFERENCES d DEFERRABLE INITIALLY DEFERRED`,
  },
  {
    name: 'fewer-rows-than-lanes',
    sql: `CREATE TABLE a (k boolean PRIMARY KEY, v text); CREATE TYPE mood AS ENUM ('a', 'b', 'c'); CREATE TABLE b (m mood PRIMARY KEY, v int)`,
    settings: 'connections: 8',
  },
  {
    name: 'unique-keys-that-take-null',
    sql: `CREATE TABLE p (id int UNIQUE, w text); INSERT INTO p VALUES (1, 'a'), (2, 'b'), (3, NULL), (NULL, 'x');
      CREATE TABLE a (name text, p int REFERENCES p (id)); INSERT INTO a VALUES ('a', 1); CREATE TABLE b (a int, p int REFERENCES p (id), UNIQUE (a, p));
      CREATE TABLE q (id int PRIMARY KEY, v text); CREATE TABLE c (p int REFERENCES p (id), q int REFERENCES q, UNIQUE (p, q));
      CREATE TABLE d (id int PRIMARY KEY, q int NOT NULL REFERENCES q, p int REFERENCES p (id), m float); CREATE UNIQUE INDEX ON d (q, coalesce(p, -1))`,
  },
  {
    name: 'composite-unique',
    sql: `CREATE TABLE a (id int PRIMARY KEY, tenant smallint NOT NULL, code varchar(4) NOT NULL, day date, v text, UNIQUE (tenant, code), UNIQUE (day, tenant));
      CREATE TABLE b (name text, at timestamptz, ip inet, v text, PRIMARY KEY (name, at, ip)); CREATE UNIQUE INDEX ON b (ip) INCLUDE (v);
      CREATE TABLE c (id uuid PRIMARY KEY, flag boolean NOT NULL, n numeric(6,2) NOT NULL, v text); CREATE UNIQUE INDEX ON c (flag, n) INCLUDE (v)`,
  },
  {
    name: 'unique-over-any-type',
    sql: `CREATE TABLE a (id int PRIMARY KEY, j jsonb UNIQUE, b bytea UNIQUE, t time UNIQUE, i interval UNIQUE, m macaddr UNIQUE, r int4range UNIQUE, arr int[] UNIQUE, bits varbit(20) UNIQUE, f real UNIQUE, v text)`,
  },
  {
    name: 'several-schemas',
    sql: `CREATE SCHEMA "Ventas"; CREATE SCHEMA crm; CREATE TABLE crm.client (id int PRIMARY KEY, v text);
      CREATE TABLE "Ventas"."Order" ("Id" bigserial PRIMARY KEY, client int NOT NULL REFERENCES crm.client, "select" text); CREATE TABLE public.client (id uuid PRIMARY KEY, v text)`,
    settings: 'schema_name: [public, crm, Ventas]',
  },
  {
    name: 'fk-several-and-overlapping',
    sql: `CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (tenant int REFERENCES t, id int, v text, PRIMARY KEY (tenant, id));
      CREATE TABLE g (tenant int REFERENCES t, id int, v text, PRIMARY KEY (tenant, id));
      CREATE TABLE ug (tenant int NOT NULL, u int NOT NULL, g int NOT NULL, by_u int, v text, PRIMARY KEY (tenant, u, g),
        FOREIGN KEY (tenant, u) REFERENCES u, FOREIGN KEY (tenant, g) REFERENCES g, FOREIGN KEY (tenant, by_u) REFERENCES u)`,
  },
  {
    name: 'unique-coalesce-of-parents',
    sql: `CREATE TABLE u (id serial PRIMARY KEY, v text); CREATE TABLE o (id serial PRIMARY KEY, v text);
      CREATE TABLE ext (id serial PRIMARY KEY, u int REFERENCES u, o int REFERENCES o, name text, CHECK ((u IS NULL) <> (o IS NULL)));
      CREATE UNIQUE INDEX ON ext (coalesce(u, 0), coalesce(o, 0), name)`,
    never: ['SELECT FROM (SELECT count(u) AS us, count(o) AS os FROM ext) AS k WHERE us < 50 OR os < 50'],
  },
  {
    name: 'unique-but-for-case',
    sql: `CREATE TABLE p (id int PRIMARY KEY, v text); INSERT INTO p SELECT n, 'x' FROM generate_series(1, 3) AS n;
      CREATE DOMAIN mail AS text CHECK (VALUE ~ '^[^@]+@[^@]+$'); CREATE TABLE a (id int PRIMARY KEY, p int NOT NULL REFERENCES p, mail mail NOT NULL, v text); CREATE UNIQUE INDEX ON a (p, lower(mail));
      CREATE TABLE g (id int PRIMARY KEY, name text NOT NULL, folded text GENERATED ALWAYS AS (lower(name)) STORED UNIQUE, v text)`,
    settings: 'exclude_table_list: [p]',
  },
  {
    name: 'fk-self-and-key-of-a-parent',
    sql: `CREATE TABLE p (id int PRIMARY KEY, v text); CREATE TABLE t (a int PRIMARY KEY REFERENCES p, s int NOT NULL REFERENCES t, v text)`,
  },
  {
    name: 'fk-copies-what-both-columns-allow',
    sql: `CREATE TABLE article (code text PRIMARY KEY, v text); CREATE TABLE sale (id int PRIMARY KEY, article varchar(10) NOT NULL REFERENCES article, v text);
      CREATE TABLE rating (id int PRIMARY KEY, v text); INSERT INTO rating SELECT i, 'r' FROM generate_series(1, 10) AS i; CREATE TABLE review (id int PRIMARY KEY, rating int NOT NULL REFERENCES rating ON DELETE CASCADE CHECK (rating BETWEEN 1 AND 3), v text);
      CREATE TABLE unit (code char(3) PRIMARY KEY CHECK (code ~ '^[A-Z]{3}$'), v text); CREATE TABLE conversion (id int PRIMARY KEY, unit char(3) NOT NULL REFERENCES unit CHECK (unit ~ '^[A-Z]{3}$'), v text);
      CREATE TABLE media (id int PRIMARY KEY, kind text NOT NULL CHECK (kind IN ('image', 'video')), state text NOT NULL CHECK (state IN ('new', 'ready')), UNIQUE (id, kind, state));
      CREATE TABLE image (id int PRIMARY KEY, media int NOT NULL, kind text NOT NULL CHECK (kind = 'image'), state text NOT NULL CHECK (state = 'ready'), v text, FOREIGN KEY (media, kind, state) REFERENCES media (id, kind, state))`,
  },
  {
    name: 'fk-with-a-generated-kind',
    sql: `CREATE TABLE vehicle (id uuid PRIMARY KEY, kind text NOT NULL CHECK (kind IN ('car', 'truck')), v text, UNIQUE (id, kind));
      CREATE TABLE car (id uuid PRIMARY KEY, kind text GENERATED ALWAYS AS ('car') STORED, doors int, FOREIGN KEY (id, kind) REFERENCES vehicle (id, kind) ON DELETE CASCADE);
      CREATE TABLE truck (id uuid PRIMARY KEY, kind text GENERATED ALWAYS AS ('truck') STORED, load int, FOREIGN KEY (id, kind) REFERENCES vehicle (id, kind) ON DELETE CASCADE)`,
  },
  {
    name: 'unique-ignoring-case-under-a-pattern',
    sql: `CREATE TABLE a (id int PRIMARY KEY, name text NOT NULL CHECK (name ~ '^[A-Za-z0-9_]{3,30}$'), v text); CREATE UNIQUE INDEX ON a (lower(name));
      CREATE TABLE b (name varchar(12) PRIMARY KEY CHECK (name ~ '^[a-zA-Z]+$'), v text); CREATE UNIQUE INDEX ON b (upper(name))`,
  },
  {
    name: 'partial-unique-that-holds-for-all',
    sql: `CREATE TABLE a (id int PRIMARY KEY, n int NOT NULL CHECK (n BETWEEN 1 AND 400), v text); CREATE UNIQUE INDEX ON a (n) WHERE n IS NOT NULL`,
  },
];
