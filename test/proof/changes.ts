import type pg from 'pg';
import { seedOf } from '../../src/random/seed.js';
import { Stream } from '../../src/random/stream.js';

/** Tables of many types, with every kind of key, for streams of changes. */
export const SCHEMA = `
CREATE SCHEMA shop; CREATE SCHEMA other;
CREATE TYPE shop.state AS ENUM ('new', 'paid', 'sent');
CREATE TABLE shop.items (
  id bigint PRIMARY KEY, code char(6), name text, note varchar(400), state shop.state, price numeric(12,4), ratio double precision, weight real,
  amount integer, active boolean, made timestamp, seen timestamptz, day date, at time, lasts interval, doc jsonb, raw json, payload bytea,
  token uuid, flags bit(8), tags text[], numbers integer[], span int4range, ip inet, mac macaddr, big text
);
ALTER TABLE shop.items ALTER big SET STORAGE EXTERNAL;
CREATE TABLE other.items (LIKE shop.items INCLUDING ALL);
CREATE TABLE shop.orders (region text, id integer, total numeric, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE TABLE shop.orders_eu PARTITION OF shop.orders FOR VALUES IN ('eu', 'uk');
CREATE TABLE shop.orders_us PARTITION OF shop.orders FOR VALUES IN ('us');
CREATE TABLE shop.log (at timestamptz, line text); ALTER TABLE shop.log REPLICA IDENTITY FULL;
CREATE TABLE shop.basket (id integer PRIMARY KEY, item bigint);
CREATE TABLE shop.tagged (id int PRIMARY KEY, tag text NOT NULL UNIQUE, v text); ALTER TABLE shop.tagged REPLICA IDENTITY USING INDEX tagged_tag_key;
CREATE TABLE shop.visits (page text);`;

const NAMES = ['Zoë 🚀 rocket', 'naïve café', 'plain text', '日本語', '', 'O\'Neil, "x" {y}', 'emoji 😀 in the middle'];

/** A row of `items` with values in which something can go wrong. */
function itemOf(id: number, stream: Stream): Record<string, unknown> {
  const n = stream.below(1_000_000);
  return {
    id,
    code: `c${n % 1000}`,
    name: NAMES[stream.below(NAMES.length)],
    note: stream.below(4) === 0 ? null : `note ${n} `.repeat(stream.below(3) === 0 ? 40 : 3).slice(0, 399),
    state: ['new', 'paid', 'sent'][stream.below(3)],
    price: `${n}.${1000 + stream.below(8999)}`,
    ratio: `${n / 7}`,
    weight: `${n / 3}`,
    amount: stream.below(2_000_000_000),
    active: stream.below(2) === 0,
    made: `2024-0${1 + stream.below(9)}-1${stream.below(9)} 1${stream.below(9)}:20:30.${123_001 + stream.below(800_000)}`,
    seen: `2025-0${1 + stream.below(9)}-1${stream.below(9)} 1${stream.below(9)}:20:30.${123_001 + stream.below(800_000)}+00`,
    day: `2024-0${1 + stream.below(9)}-1${stream.below(9)}`,
    at: `1${stream.below(9)}:20:30.${123_001 + stream.below(800_000)}`,
    lasts: `${1 + stream.below(11)} mons 3 days 04:05:06.789`,
    doc: `{"id": 9007199254740993, "n": ${n}, "price": 12.50, "tags": ["a", "b"], "deep": {"x": "é"}}`,
    raw: `{"b": 1.10, "a": [9007199254740993, null]}`,
    payload: `\\xff00${(n % 65536).toString(16).padStart(4, '0')}5c41`,
    token: `0000abcd-1234-4abc-8abc-${String(n).padStart(12, '0')}`,
    flags: (n % 256).toString(2).padStart(8, '0'),
    tags: `{"a ${n}",NULL,"","x,y"}`,
    numbers: n % 2 === 0 ? `[0:2]={${n},NULL,3}` : `{${n},NULL,3}`,
    span: `[${n},${n + 10})`,
    ip: `10.0.${n % 256}.7`,
    mac: '08:00:2b:01:02:03',
    big: 'large value '.repeat(200) + n,
  };
}

/** Changes of all kinds, the same for a seed: transactions, savepoints, changed keys, moves between partitions, truncates. */
export async function change(client: pg.Client, seed: bigint, from: number): Promise<void> {
  const stream = Stream.of(seedOf(seed));
  for (const schema of ['shop', 'other']) {
    for (let id = from; id < from + 20; id += 4) {
      await client.query('BEGIN');
      for (let row = id; row < id + 4; row++) await insert(client, `${schema}.items`, itemOf(row, stream));
      await client.query('SAVEPOINT s');
      await insert(client, `${schema}.items`, itemOf(from + 900 + id, stream));
      await client.query('ROLLBACK TO SAVEPOINT s');
      await client.query('COMMIT');
    }
    for (let times = 0; times < 40; times++) {
      const id = from + stream.below(20);
      const { name, price, doc, tags, seen } = itemOf(id, stream);
      await client.query(
        `UPDATE ${schema}.items SET name = $2, price = $3, doc = $4, tags = $5, seen = $6, amount = $7 WHERE id = $1`,
        [id, name, price, doc, tags, seen, times],
      );
    }
    await client.query(`UPDATE ${schema}.items SET id = id + 500 WHERE id IN (${from + 1}, ${from + 2})`);
    await client.query(`DELETE FROM ${schema}.items WHERE id IN (${from + 3}, ${from + 4}, ${from + 501})`);
    await insert(client, `${schema}.items`, { ...itemOf(from + 3, stream), name: 'used again' });
    await client.query(`UPDATE ${schema}.items SET name = 'third life' WHERE id = ${from + 3}`);
    await client.query(`DELETE FROM ${schema}.items WHERE id = ${from + 5}`);
  }
  for (let id = from; id < from + 12; id++) {
    const region = ['eu', 'uk', 'us'][stream.below(3)];
    await client.query('INSERT INTO shop.orders VALUES ($1, $2, $3)', [region, id, `${stream.below(1000)}.50`]);
  }
  await client.query(`UPDATE shop.orders SET total = total + 1.25 WHERE id < ${from + 6}`);
  await client.query(`UPDATE shop.orders SET region = 'us' WHERE id < ${from + 3} AND region <> 'us'`);
  for (let id = from; id < from + 8; id++) await client.query('INSERT INTO shop.basket VALUES ($1, $2)', [id, id]);
  await client.query('TRUNCATE shop.basket');
  for (let id = from; id < from + 8; id++) await client.query('INSERT INTO shop.basket VALUES ($1, $2)', [id, id + 1]);
  for (let line = 0; line < 6; line++)
    await client.query("INSERT INTO shop.log VALUES ('2025-01-01 00:00:00+00', $1)", [`line ${line % 3}`]);
  await client.query("UPDATE shop.log SET line = 'line 9' WHERE line = 'line 2'");
  for (let id = from; id < from + 6; id++)
    await client.query("INSERT INTO shop.tagged VALUES ($1, $2, 'first')", [id, `tag ${id}`]);
  for (const v of ['second', 'third'])
    await client.query(`UPDATE shop.tagged SET v = '${v}' WHERE id BETWEEN ${from} AND ${from + 3}`);
  await client.query(`DELETE FROM shop.tagged WHERE id IN (${from + 4}, ${from + 5})`);
  await client.query("INSERT INTO shop.visits VALUES ('home')");
}

async function insert(client: pg.Client, table: string, row: Record<string, unknown>): Promise<void> {
  const names = Object.keys(row);
  await client.query(
    `INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map((_, index) => `$${index + 1}`).join(', ')})`,
    Object.values(row),
  );
}
