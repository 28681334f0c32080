import { expect, it } from 'vitest';
import { configFor, count, createDatabase, runCli } from '../server/database.js';

interface Animal {
  /** The shape that it shows. */
  readonly name: string;
  readonly sql: string;
  readonly settings?: string;
  /** The first version that has it. */
  readonly since?: number;
  /** A table that others inherit from, so that its name alone means their rows as well. */
  readonly inherited?: string;
  /** Queries that must return no row afterwards: what the distribution of values owes. */
  readonly never?: readonly string[];
}

/* As many columns as a table can have; all of their values together would not fit a page. */
const WIDE = Array.from(
  { length: 1598 },
  (_, i) => `c${i} ${['bigint', 'text', 'timestamptz', 'numeric'][i % 4]}`,
).join();

const ZOO: readonly Animal[] = [
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
    name: 'fk-column-with-check',
    sql: `CREATE TABLE p (id int PRIMARY KEY, v text); INSERT INTO p SELECT i, 'x' FROM generate_series(1, 20) AS i;
      CREATE TABLE a (id int PRIMARY KEY, p int NOT NULL REFERENCES p CHECK (p IN (3, 7)), v text)`,
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
    name: 'expressions-that-may-fail',
    sql: `CREATE TABLE a (id int PRIMARY KEY, body text, tags text[], v text); CREATE INDEX ON a (((body::json) ->> 'a')); CREATE INDEX ON a USING gin (array_to_tsvector(tags));
      CREATE TABLE b (id int PRIMARY KEY, amount text, doubled int GENERATED ALWAYS AS (amount::int * 2) STORED);
      CREATE TABLE c (id int PRIMARY KEY, code text UNIQUE, v text); CREATE INDEX ON c ((code::int))`,
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
    name: 'partition-foreign-keys',
    sql: `CREATE TABLE p (id int PRIMARY KEY, v text); CREATE TABLE q (id int PRIMARY KEY, v text);
      CREATE TABLE a (id int, kind text, ref int NOT NULL, v text, PRIMARY KEY (id, kind)) PARTITION BY LIST (kind);
      CREATE TABLE a_p PARTITION OF a FOR VALUES IN ('p'); CREATE TABLE a_p2 PARTITION OF a FOR VALUES IN ('p2'); CREATE TABLE a_q PARTITION OF a FOR VALUES IN ('q');
      ALTER TABLE a_p ADD FOREIGN KEY (ref) REFERENCES p; ALTER TABLE a_p2 ADD FOREIGN KEY (ref) REFERENCES p; ALTER TABLE a_q ADD FOREIGN KEY (ref) REFERENCES q;
      CREATE TABLE b (id int, at date, ref int NOT NULL) PARTITION BY RANGE (at);
      CREATE TABLE b1 PARTITION OF b FOR VALUES FROM ('2020-01-01') TO ('2022-01-01'); CREATE TABLE b2 PARTITION OF b DEFAULT;
      ALTER TABLE b1 ADD FOREIGN KEY (ref) REFERENCES p; ALTER TABLE b2 ADD FOREIGN KEY (ref) REFERENCES p`,
    never: [
      'SELECT FROM (SELECT count(DISTINCT kind) AS kinds FROM a) AS k WHERE kinds <> 2',
      "SELECT FROM a WHERE kind = 'q'",
    ],
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
    name: 'identity-serial-generated-and-defaults',
    sql: `CREATE TABLE a (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n serial, at timestamptz NOT NULL DEFAULT now(), v text, w text GENERATED ALWAYS AS (upper(v)) STORED);
      CREATE TABLE b (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), a bigint REFERENCES a, v text)`,
  },
  {
    name: 'partition-range-list-hash',
    sql: `CREATE TABLE r (id bigint, at date NOT NULL, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
      CREATE TABLE r1 PARTITION OF r FOR VALUES FROM ('2020-01-01') TO ('2020-02-01'); CREATE TABLE r2 PARTITION OF r FOR VALUES FROM ('2021-01-01') TO ('2021-02-01');
      CREATE TABLE l (id bigint, region text NOT NULL, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
      CREATE TABLE l1 PARTITION OF l FOR VALUES IN ('north', 'south'); CREATE TABLE l2 PARTITION OF l FOR VALUES IN ('east');
      CREATE TABLE h (id bigint PRIMARY KEY, v text) PARTITION BY HASH (id);
      CREATE TABLE h1 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE h2 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 1)`,
    never: ['r1', 'r2', 'l1', 'l2', 'h1', 'h2'].map((leaf) => `SELECT WHERE NOT EXISTS (SELECT FROM ${leaf})`),
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
    settings: 'num_iterations: 600\ninsert_rows: 2',
  },
  {
    name: 'fewer-rows-than-lanes',
    sql: `CREATE TABLE a (k boolean PRIMARY KEY, v text); CREATE TYPE mood AS ENUM ('a', 'b', 'c'); CREATE TABLE b (m mood PRIMARY KEY, v int)`,
    settings: 'connections: 8',
  },
  {
    name: 'temporal-keys',
    sql: `CREATE EXTENSION btree_gist; CREATE TABLE a (id int, valid daterange, v text, PRIMARY KEY (id, valid WITHOUT OVERLAPS));
      CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL, during daterange NOT NULL, v text, FOREIGN KEY (a, PERIOD during) REFERENCES a (id, PERIOD valid))`,
    since: 18,
  },
  {
    name: 'virtual-generated-and-typed-tables',
    sql: `CREATE TABLE a (id int PRIMARY KEY, v text, w text GENERATED ALWAYS AS (upper(v)) VIRTUAL); CREATE TYPE person AS (id int, name text);
      CREATE TABLE b OF person (id WITH OPTIONS PRIMARY KEY); CREATE UNLOGGED TABLE c (id int PRIMARY KEY, v text)`,
    since: 18,
  },
  {
    name: 'fk-to-partitions',
    sql: `CREATE TABLE p (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
      CREATE TABLE a (id int PRIMARY KEY, p int, k int, v text, FOREIGN KEY (p, k) REFERENCES p1 (id, k));
      CREATE TABLE b (id int PRIMARY KEY, p int NOT NULL, k int NOT NULL, v text, FOREIGN KEY (p, k) REFERENCES p (id, k))`,
  },
  {
    name: 'inheritance',
    sql: `CREATE TABLE note (id serial PRIMARY KEY, class int NOT NULL, v text); CREATE TABLE entity_note (CHECK (class = 1), extra text, PRIMARY KEY (id)) INHERITS (note)`,
    inherited: 'public.note',
  },
  {
    name: 'unique-keys-that-take-null',
    sql: `CREATE TABLE p (id int UNIQUE, w text); INSERT INTO p VALUES (1, 'a'), (2, 'b'), (3, NULL), (NULL, 'x');
      CREATE TABLE a (name text, p int REFERENCES p (id)); INSERT INTO a VALUES ('a', 1); CREATE TABLE b (a int, p int REFERENCES p (id), UNIQUE (a, p));
      CREATE TABLE q (id int PRIMARY KEY, v text); CREATE TABLE c (p int REFERENCES p (id), q int REFERENCES q, UNIQUE (p, q));
      CREATE TABLE d (id int PRIMARY KEY, q int NOT NULL REFERENCES q, p int REFERENCES p (id), m float); CREATE UNIQUE INDEX ON d (q, coalesce(p, -1))`,
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
];

async function majorVersion(): Promise<number> {
  const database = await createDatabase('SELECT');
  const { rows } = await database.client.query<{ major: number }>(
    "SELECT current_setting('server_version_num')::int / 10000 AS major",
  );
  await database.drop();
  return rows[0]!.major;
}

it.for(ZOO)(
  '$name: every table is inserted into, updated and deleted from, nothing is refused',
  async ({ sql, settings, never, inherited, since = 0 }, { skip }) => {
    skip(since > 0 && (await majorVersion()) < since, `needs PostgreSQL ${since}`);
    const database = await createDatabase(sql);
    const { code, summary, stderr } = await runCli(
      configFor(
        database,
        `random_seed: 3\noperation_weights: [2, 1, 1]\n${settings?.includes('num_iterations') ? '' : 'num_iterations: 2000\n'}${settings ?? ''}`,
      ),
    );
    expect(stderr).not.toContain('error:');
    expect(code).toBe(0);
    expect(summary.errors).toEqual({});
    for (const [table, { insert, update, delete: deleted, rows_expected: rows }] of Object.entries(summary.tables)) {
      expect(rows).toBe(await count(database, table === inherited ? `ONLY ${table}` : table));
      for (const { operations } of [insert, update, deleted]) expect(operations, table).toBeGreaterThan(20);
    }
    for (const query of never ?? []) expect((await database.client.query(query)).rowCount, query).toBe(0);
    await database.drop();
  },
);

it('fk-circle-one-to-one: rows that only have each other are inserted together, also where keys are taken', async () => {
  const counts: number[] = [];
  for (const workers of [1, 2]) {
    const database = await createDatabase(
      `CREATE TABLE a (id int PRIMARY KEY, b int NOT NULL UNIQUE, v text); CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL UNIQUE REFERENCES a);
       ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b`,
    );
    const { code, summary } = await runCli(
      configFor(database, `random_seed: 3\nnum_iterations: 1500\nworkers: ${workers}`),
    );
    expect(code).toBe(0);
    expect(summary.errors).toEqual({});
    expect(summary.tables['public.a']!.update.operations).toBeGreaterThan(100);
    for (const table of ['a', 'b'])
      expect(summary.tables[`public.${table}`]!.rows_expected).toBe(await count(database, table));
    counts.push(await count(database, 'a'));
    await database.drop();
  }
  expect(counts[0]).toBeGreaterThan(1000);
  expect(counts[1]).toBe(counts[0]);
});
