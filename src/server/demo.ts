import type pg from 'pg';

/*
 * The demo's tables. eg_users and eg_orders are what event-generator.yaml runs against; eg_types has a column of every
 * type, and arrays of them, for whoever wants to see one.
 */
const TYPES: readonly string[] = [
  'text',
  'varchar(40)',
  'char(3)',
  'citext',
  'bytea',
  'boolean',
  'smallint',
  'integer',
  'bigint',
  'numeric',
  'numeric(12,2)',
  'real',
  'double precision',
  'money',
  'date',
  'time',
  'timetz',
  'timestamp',
  'timestamptz',
  'interval',
  'json',
  'jsonb',
  'inet',
  'cidr',
  'macaddr',
  'uuid',
  'tsvector',
  'bit(8)',
  'varbit(16)',
  'eg_status',
];

function columnName(type: string): string {
  return type.replace(/\W+/g, '_').replace(/_$/, '');
}

const TABLES = `
CREATE EXTENSION IF NOT EXISTS citext;
CREATE TYPE eg_status AS ENUM ('new', 'active', 'blocked', 'closed');
CREATE TABLE eg_users (
  id bigint PRIMARY KEY,
  email varchar(80) NOT NULL UNIQUE,
  full_name varchar(100) NOT NULL,
  status eg_status,
  balance numeric(12,2),
  tags text[],
  scores integer[],
  flags bit(8),
  meta jsonb,
  ip inet,
  token uuid,
  active boolean,
  created_at timestamp
);
CREATE TABLE eg_orders (
  id bigint PRIMARY KEY,
  user_id bigint REFERENCES eg_users,
  code varchar(40) NOT NULL UNIQUE,
  amount numeric(10,2),
  note text,
  placed_on date,
  qty integer,
  payload bytea,
  doc tsvector,
  perms varbit(16),
  created_at timestamp
);
CREATE INDEX ON eg_orders (user_id);
CREATE TABLE eg_types (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ${TYPES.flatMap((type) => [`c_${columnName(type)} ${type}`, `a_${columnName(type)} ${type}[]`]).join(',\n  ')},
  length_of_text integer GENERATED ALWAYS AS (length(c_text)) STORED
);`;

/* Fixed values, so that two fresh demos are the same database. */
const ROWS = `
INSERT INTO eg_users (id, email, full_name, status, balance, tags, scores, flags, meta, ip, token, active, created_at)
SELECT i, 'user' || i || '@example.org', 'User ' || i, (enum_range(NULL::eg_status))[1 + i % 4], i * 12.5, ARRAY['demo', 'n' || i],
       ARRAY[i, i * 2], (i % 256)::bit(8), jsonb_build_object('n', i), ('10.0.' || i / 256 || '.' || i % 256)::inet,
       md5('user' || i)::uuid, i % 3 > 0, timestamp '2025-01-01' + i * interval '1 hour'
FROM generate_series(1, 1000) AS i;
INSERT INTO eg_orders (id, user_id, code, amount, note, placed_on, qty, payload, doc, perms, created_at)
SELECT i, 1 + i * 7 % 1000, 'ORD-' || i, i % 500 + 0.99, 'Order number ' || i, date '2025-01-01' + i % 365, 1 + i % 9,
       decode(md5('order' || i), 'hex'), to_tsvector('simple', 'order ' || i), (i % 65536)::bit(16)::varbit, timestamp '2025-01-01' + i * interval '1 minute'
FROM generate_series(1, 2000) AS i;
ANALYZE eg_users, eg_orders;`;

/** Creates the demo tables, empty. */
export async function createDemoTables(client: pg.Client): Promise<void> {
  await client.query(TABLES);
}

/** Creates the demo tables with some rows in them. */
export async function createDemo(client: pg.Client): Promise<void> {
  await createDemoTables(client);
  await client.query(ROWS);
}
