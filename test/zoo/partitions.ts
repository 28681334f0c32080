import type { Animal } from './animal.js';

/** A leaf without any row is returned. */
const everyLeaf = (...leaves: string[]) => leaves.map((leaf) => `SELECT WHERE NOT EXISTS (SELECT FROM ${leaf})`);

export const PARTITIONS: readonly Animal[] = [
  {
    name: 'partition-range-list-hash',
    sql: `CREATE TABLE r (id bigint, at date NOT NULL, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
      CREATE TABLE r1 PARTITION OF r FOR VALUES FROM ('2020-01-01') TO ('2020-02-01'); CREATE TABLE r2 PARTITION OF r FOR VALUES FROM ('2021-01-01') TO ('2021-02-01');
      CREATE TABLE l (id bigint, region text NOT NULL, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
      CREATE TABLE l1 PARTITION OF l FOR VALUES IN ('north', 'south'); CREATE TABLE l2 PARTITION OF l FOR VALUES IN ('east');
      CREATE TABLE h (id bigint PRIMARY KEY, v text) PARTITION BY HASH (id);
      CREATE TABLE h1 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE h2 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 1)`,
    never: everyLeaf('r1', 'r2', 'l1', 'l2', 'h1', 'h2'),
    moves: ['public.r', 'public.l', 'public.h'],
  },
  {
    name: 'partition-range-of-a-unique-column',
    sql: `CREATE TABLE a (id bigserial PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE a1 PARTITION OF a FOR VALUES FROM (MINVALUE) TO (100000);
      CREATE TABLE a2 PARTITION OF a FOR VALUES FROM (100000) TO (100300); CREATE TABLE a3 PARTITION OF a FOR VALUES FROM (300000) TO (MAXVALUE);
      CREATE TABLE b (a bigint REFERENCES a, at timestamptz(3), v text, PRIMARY KEY (a, at)) PARTITION BY RANGE (at);
      CREATE TABLE b1 PARTITION OF b FOR VALUES FROM ('2024-01-01') TO ('2024-02-01'); CREATE TABLE b2 PARTITION OF b FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
      CREATE TABLE c (day date PRIMARY KEY, v text) PARTITION BY RANGE (day); CREATE TABLE c1 PARTITION OF c FOR VALUES FROM ('2020-01-01') TO ('2024-01-01');
      CREATE TABLE c2 PARTITION OF c FOR VALUES FROM ('2024-01-01') TO ('2024-03-01'); CREATE TABLE c3 PARTITION OF c FOR VALUES FROM ('2030-01-01') TO (MAXVALUE);
      CREATE TABLE d (n numeric(8,2) PRIMARY KEY CHECK (n > 10.5), v text) PARTITION BY RANGE (n);
      CREATE TABLE d1 PARTITION OF d FOR VALUES FROM (-5) TO (100); CREATE TABLE d2 PARTITION OF d FOR VALUES FROM (200.25) TO (MAXVALUE)`,
    never: everyLeaf('a1', 'a2', 'a3', 'b1', 'b2', 'c1', 'c2', 'c3', 'd1', 'd2'),
    moves: ['public.a', 'public.b', 'public.c', 'public.d'],
  },
  {
    name: 'partition-of-an-identity-without-a-key',
    sql: `CREATE TABLE a (id bigint GENERATED ALWAYS AS IDENTITY, v text) PARTITION BY RANGE (id);
      CREATE TABLE a1 PARTITION OF a FOR VALUES FROM (MINVALUE) TO (1000); CREATE TABLE a2 PARTITION OF a FOR VALUES FROM (1000) TO (MAXVALUE)`,
    never: everyLeaf('a1', 'a2'),
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
    name: 'fk-to-partitions',
    sql: `CREATE TABLE p (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
      CREATE TABLE a (id int PRIMARY KEY, p int, k int, v text, FOREIGN KEY (p, k) REFERENCES p1 (id, k));
      CREATE TABLE b (id int PRIMARY KEY, p int NOT NULL, k int NOT NULL, v text, FOREIGN KEY (p, k) REFERENCES p (id, k))`,
  },
  {
    name: 'partition-several-levels',
    sql: `CREATE TABLE a (id bigint, region text NOT NULL, at date NOT NULL, v text, PRIMARY KEY (id, region, at)) PARTITION BY LIST (region);
      CREATE TABLE a_n PARTITION OF a FOR VALUES IN ('north') PARTITION BY RANGE (at);
      CREATE TABLE a_n1 PARTITION OF a_n FOR VALUES FROM ('2020-01-01') TO ('2020-03-01'); CREATE TABLE a_n2 PARTITION OF a_n FOR VALUES FROM ('2020-06-01') TO ('2020-07-01');
      CREATE TABLE a_s PARTITION OF a FOR VALUES IN ('south', 'west') PARTITION BY HASH (id);
      CREATE TABLE a_s1 PARTITION OF a_s FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE a_s2 PARTITION OF a_s FOR VALUES WITH (MODULUS 2, REMAINDER 1)`,
    never: everyLeaf('a_n1', 'a_n2', 'a_s1', 'a_s2'),
    moves: ['public.a'],
  },
  {
    name: 'partition-several-columns',
    sql: `CREATE TABLE a (y int NOT NULL, m int NOT NULL, v text) PARTITION BY RANGE (y, m);
      CREATE TABLE a1 PARTITION OF a FOR VALUES FROM (2020, 1) TO (2020, 7); CREATE TABLE a2 PARTITION OF a FOR VALUES FROM (2020, 7) TO (2021, 1);
      CREATE TABLE a3 PARTITION OF a FOR VALUES FROM (2022, MINVALUE) TO (2023, MAXVALUE);
      CREATE TABLE h (a int, b text, v text, PRIMARY KEY (a, b)) PARTITION BY HASH (a, b);
      CREATE TABLE h1 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 1); CREATE TABLE h2 PARTITION OF h FOR VALUES WITH (MODULUS 4, REMAINDER 0);
      CREATE TABLE h3 PARTITION OF h FOR VALUES WITH (MODULUS 4, REMAINDER 2)`,
    never: everyLeaf('a1', 'a2', 'a3', 'h1', 'h2', 'h3'),
    moves: ['public.a'],
  },
  {
    name: 'partition-hash-with-gaps',
    sql: `CREATE TABLE h (a int, b text, v text, PRIMARY KEY (a, b)) PARTITION BY HASH (a, b);
      CREATE TABLE h1 PARTITION OF h FOR VALUES WITH (MODULUS 4, REMAINDER 1); CREATE TABLE h2 PARTITION OF h FOR VALUES WITH (MODULUS 4, REMAINDER 3)`,
    never: everyLeaf('h1', 'h2'),
    redrawn: true,
  },
  {
    name: 'partition-expression-keys',
    sql: `CREATE TABLE a (id int, email text NOT NULL, v text) PARTITION BY LIST (lower(left(email, 1)));
      CREATE TABLE a1 PARTITION OF a FOR VALUES IN ('a', 'b', 'c'); CREATE TABLE a2 PARTITION OF a FOR VALUES IN ('j', 'k', 'l', 'm');
      CREATE TABLE b (id int, at timestamp NOT NULL, v text) PARTITION BY RANGE (date_trunc('month', at));
      CREATE TABLE b1 PARTITION OF b FOR VALUES FROM ('2020-01-01') TO ('2020-06-01'); CREATE TABLE b2 PARTITION OF b FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')`,
    never: everyLeaf('a1', 'a2', 'b1', 'b2'),
    moves: ['public.a', 'public.b'],
  },
  {
    name: 'partition-open-bounds-null-and-default',
    sql: `CREATE TABLE a (id int, n int NOT NULL, v text) PARTITION BY RANGE (n);
      CREATE TABLE a1 PARTITION OF a FOR VALUES FROM (MINVALUE) TO (0); CREATE TABLE a2 PARTITION OF a FOR VALUES FROM (10) TO (MAXVALUE);
      CREATE TABLE b (id int, k text, v text) PARTITION BY LIST (k); CREATE TABLE b1 PARTITION OF b FOR VALUES IN ('x', NULL); CREATE TABLE b2 PARTITION OF b FOR VALUES IN ('y');
      CREATE TABLE c (id int, k int, v text) PARTITION BY RANGE (k); CREATE TABLE c1 PARTITION OF c FOR VALUES FROM (1) TO (5); CREATE TABLE c2 PARTITION OF c DEFAULT`,
    never: [
      ...everyLeaf('a1', 'a2', 'b1', 'b2', 'c1', 'c2'),
      'SELECT WHERE NOT EXISTS (SELECT FROM b WHERE k IS NULL)',
    ],
  },
  {
    name: 'partition-key-outside-the-primary-key',
    sql: `CREATE TABLE a (id int NOT NULL, kind text NOT NULL, v text) PARTITION BY LIST (kind);
      CREATE TABLE a1 PARTITION OF a (PRIMARY KEY (id)) FOR VALUES IN ('x'); CREATE TABLE a2 PARTITION OF a (PRIMARY KEY (id)) FOR VALUES IN ('y')`,
    never: everyLeaf('a1', 'a2'),
  },
];
