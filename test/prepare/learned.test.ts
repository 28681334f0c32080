import { expect, it } from 'vitest';
import { configFor, count, databasesPerTest, runCli } from '../server/database.js';

const { tables } = databasesPerTest();

/* What triggers want of a row, or do beside it: each shape once kept its tables empty. `tables` must get rows. */
const SHAPES: readonly {
  readonly name: string;
  readonly sql: string;
  readonly never?: string;
  readonly told?: RegExp;
}[] = [
  {
    name: 'subtypes of subtypes, whose base rows triggers insert, with a tenant in every key',
    sql: `CREATE TABLE scope (id int PRIMARY KEY, name text);
      CREATE TABLE method (id text PRIMARY KEY CHECK (length(trim(id)) > 10), scope_id int NOT NULL REFERENCES scope ON DELETE CASCADE, name text, UNIQUE (scope_id, id));
      CREATE TABLE ldap (id text PRIMARY KEY, scope_id int NOT NULL, name text, UNIQUE (scope_id, id),
        FOREIGN KEY (scope_id, id) REFERENCES method (scope_id, id) ON DELETE CASCADE);
      CREATE FUNCTION make_method() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO method VALUES (NEW.id, NEW.scope_id, NEW.name); RETURN NEW; END';
      CREATE TRIGGER make BEFORE INSERT ON ldap FOR EACH ROW EXECUTE FUNCTION make_method();
      CREATE TABLE special (id text PRIMARY KEY, scope_id int NOT NULL, extra text, FOREIGN KEY (scope_id, id) REFERENCES ldap (scope_id, id) ON DELETE CASCADE);
      CREATE FUNCTION make_ldap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO ldap VALUES (NEW.id, NEW.scope_id, NEW.extra); RETURN NEW; END';
      CREATE TRIGGER make BEFORE INSERT ON special FOR EACH ROW EXECUTE FUNCTION make_ldap();
      CREATE TABLE account (id uuid PRIMARY KEY, scope_id int NOT NULL, ldap_id text NOT NULL, FOREIGN KEY (scope_id, ldap_id) REFERENCES ldap (scope_id, id) ON DELETE CASCADE)`,
  },
  {
    name: 'a deferred trigger that wants a child, and one that wants no NULL',
    sql: `CREATE TABLE journal (id int PRIMARY KEY, title text NOT NULL);
      CREATE TABLE line (id int PRIMARY KEY, journal_id int NOT NULL REFERENCES journal ON DELETE CASCADE, amount numeric(10,2));
      CREATE FUNCTION has_lines() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (SELECT count(*) FROM line WHERE journal_id = NEW.id) = 0 THEN RAISE EXCEPTION 'journal % has no line', NEW.id; END IF; RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER has_lines AFTER INSERT ON journal DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION has_lines();
      CREATE TABLE session (id int PRIMARY KEY, journal_id int REFERENCES journal ON DELETE SET NULL, note text, hint text);
      CREATE FUNCTION complete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.journal_id IS NULL THEN RAISE EXCEPTION 'no journal'; ELSIF NEW.note IS NULL THEN RAISE EXCEPTION 'no note'; END IF; RETURN NEW; END $$;
      CREATE TRIGGER complete BEFORE INSERT ON session FOR EACH ROW EXECUTE FUNCTION complete()`,
    never: 'SELECT FROM (SELECT count(*) - count(hint) AS nulls FROM session) AS k WHERE nulls = 0',
  },
  {
    name: 'a kind that decides in which table a trigger inserts a row, and one that it refuses',
    sql: `CREATE TABLE thing (id int PRIMARY KEY, kind text NOT NULL CHECK (kind IN ('a', 'b', 'c', 'z')), label text);
      CREATE TABLE thing_a (id int PRIMARY KEY REFERENCES thing ON DELETE CASCADE, label text);
      CREATE TABLE thing_b (id int PRIMARY KEY REFERENCES thing ON DELETE CASCADE, label text);
      CREATE TABLE part (id int PRIMARY KEY, b_id int NOT NULL REFERENCES thing_b ON DELETE CASCADE, n int);
      CREATE FUNCTION add() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.kind = 'a' THEN INSERT INTO thing_a VALUES (NEW.id, NEW.label); ELSIF NEW.kind <> 'z' THEN INSERT INTO thing_b VALUES (NEW.id, NEW.label);
        ELSE RAISE EXCEPTION 'no z'; END IF; RETURN NEW; END $$;
      CREATE TRIGGER add AFTER INSERT ON thing FOR EACH ROW EXECUTE FUNCTION add()`,
    told: /public\.thing\.kind: gets only the values b, c, because with a, z triggers reject the row/,
  },
  {
    name: 'names of existing roles and functions, and a pattern within a function',
    sql: `CREATE FUNCTION role_exists() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = NEW.role) THEN RAISE foreign_key_violation USING MESSAGE = 'unknown database role: ' || NEW.role; END IF; RETURN NEW; END $$;
      CREATE TABLE users (id int PRIMARY KEY, role name NOT NULL); CREATE CONSTRAINT TRIGGER r AFTER INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION role_exists();
      CREATE FUNCTION is_function(f text) RETURNS boolean LANGUAGE sql AS $$ SELECT EXISTS (SELECT FROM information_schema.routines WHERE concat(routine_schema, '.', routine_name) = f) $$;
      CREATE TABLE normalizer (id int PRIMARY KEY, fn text NOT NULL DEFAULT 'public.nothing' CHECK (is_function(fn)));
      CREATE FUNCTION is_code(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN t ~ '^[A-Z]{2}-[0-9]{3}$' OR t = 'none'; END $$;
      CREATE TABLE coded (id int PRIMARY KEY, code text NOT NULL CHECK (is_code(code)))`,
    never: 'SELECT FROM (SELECT count(DISTINCT code) AS codes FROM coded) AS k WHERE codes < 5',
  },
  {
    name: 'a number within the parent, which a trigger draws and which is part of the key',
    sql: `CREATE TABLE orders (id int PRIMARY KEY, v text);
      CREATE TABLE order_line (order_id int NOT NULL REFERENCES orders ON DELETE CASCADE, line_no int NOT NULL, v text, PRIMARY KEY (order_id, line_no));
      CREATE FUNCTION number_line() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN SELECT coalesce(max(line_no), 0) + 1 INTO NEW.line_no FROM order_line WHERE order_id = NEW.order_id; RETURN NEW; END $$;
      CREATE TRIGGER number_line BEFORE INSERT ON order_line FOR EACH ROW EXECUTE FUNCTION number_line();
      CREATE TABLE shipment (id int PRIMARY KEY, order_id int NOT NULL, line_no int NOT NULL, v text, FOREIGN KEY (order_id, line_no) REFERENCES order_line ON DELETE CASCADE)`,
  },
  {
    name: 'columns that must not change, of few values, and one that must stay NULL',
    sql: `CREATE TYPE channel AS ENUM ('web', 'mail', 'phone'); CREATE TABLE account (id int PRIMARY KEY, v text);
      CREATE TABLE ticket (id int PRIMARY KEY, account_id int NOT NULL REFERENCES account ON DELETE CASCADE, is_system boolean NOT NULL, channel channel NOT NULL, subject text, old_score int);
      CREATE FUNCTION fixed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.account_id <> OLD.account_id THEN RAISE EXCEPTION 'account_id is immutable'; ELSIF NEW.is_system <> OLD.is_system THEN RAISE EXCEPTION 'is_system is immutable';
        ELSIF NEW.channel <> OLD.channel THEN RAISE EXCEPTION 'channel is immutable'; END IF; RETURN NEW; END $$;
      CREATE TRIGGER fixed BEFORE UPDATE ON ticket FOR EACH ROW EXECUTE FUNCTION fixed();
      CREATE FUNCTION readonly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'old_score is read-only'; END $$;
      CREATE TRIGGER readonly BEFORE INSERT OR UPDATE OF old_score ON ticket FOR EACH ROW WHEN (NEW.old_score IS NOT NULL) EXECUTE FUNCTION readonly()`,
    told: /ticket\.channel: a trial UPDATE was rejected/,
  },
  {
    name: 'sums and stocks that triggers keep',
    sql: `CREATE TABLE invoice (id int PRIMARY KEY, total numeric(10,2) NOT NULL DEFAULT 0); CREATE TABLE item (id int PRIMARY KEY, invoice_id int NOT NULL REFERENCES invoice ON DELETE CASCADE, amount numeric(10,2) NOT NULL CHECK (amount >= 0));
      CREATE FUNCTION sum_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE invoice SET total = (SELECT coalesce(sum(amount), 0) FROM item WHERE invoice_id = coalesce(NEW.invoice_id, OLD.invoice_id)) WHERE id = coalesce(NEW.invoice_id, OLD.invoice_id); RETURN NULL; END $$;
      CREATE TRIGGER sum_up AFTER INSERT OR UPDATE OR DELETE ON item FOR EACH ROW EXECUTE FUNCTION sum_up();
      CREATE TABLE product (id int PRIMARY KEY, stock int NOT NULL CHECK (stock >= 0)); CREATE TABLE taken (id int PRIMARY KEY, product_id int NOT NULL REFERENCES product ON DELETE CASCADE, quantity int NOT NULL CHECK (quantity > 0));
      CREATE FUNCTION take() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE product SET stock = stock - NEW.quantity WHERE id = NEW.product_id; RETURN NEW; END $$;
      CREATE TRIGGER take AFTER INSERT ON taken FOR EACH ROW EXECUTE FUNCTION take()`,
  },
];

it.each(SHAPES)('$name: every table gets rows, and little is refused', async ({ sql, never, told }) => {
  const database = await tables(sql);
  const { code, summary, stderr } = await runCli(configFor(database, 'random_seed: 7\nnum_iterations: 1000'));
  expect(code).toBe(0);
  expect(stderr).not.toContain('so no INSERT');
  if (told !== undefined) expect(stderr).toMatch(told);
  expect(summary.totals.rejected).toBeLessThan(10);
  for (const [table, { update, delete: deleted, rows_expected: rows }] of Object.entries(summary.tables)) {
    const there = await count(database, table);
    expect(there, table).toBeGreaterThan(20);
    // Exact where it is known, else unknown: never wrong.
    expect([there, null], table).toContain(rows);
    for (const { operations } of [update, deleted]) expect(operations, table).toBeGreaterThan(10);
  }
  if (never !== undefined) expect((await database.client.query(never)).rowCount).toBe(0);
});

it('rows that a trigger protects are left alone, others are deleted', async () => {
  const database =
    await tables(`CREATE TABLE reason (id int PRIMARY KEY, label text); INSERT INTO reason SELECT i, 'r' FROM generate_series(1, 60) AS i;
    CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.id < 100 THEN RAISE EXCEPTION 'reserved'; END IF; RETURN OLD; END $$;
    CREATE TRIGGER keep BEFORE DELETE ON reason FOR EACH ROW EXECUTE FUNCTION keep()`);
  const { code, summary } = await runCli(configFor(database, 'random_seed: 7\nnum_iterations: 1000'));
  expect(code).toBe(0);
  expect(summary.totals.rejected).toBeLessThan(10);
  expect(summary.tables['public.reason']!.delete.operations).toBeGreaterThan(100);
  // Each of them is tried once at most.
  expect(summary.errors['P0001']!.count).toBeLessThanOrEqual(60);
  expect(await count(database, 'reason WHERE id <= 60')).toBe(60);
});

it('finds no column that decides where triggers refuse whatever they like, and inserts rows one by one', async () => {
  const refuse = `CREATE FUNCTION half() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF abs(hashtext(NEW::text)) % 2 = 0 THEN RAISE EXCEPTION 'half'; END IF; RETURN NEW; END $$;`;
  const names = Array.from({ length: 8 }, (_, n) => `t${n}`);
  const made = names.map(
    (
      name,
    ) => `CREATE TABLE ${name} (id serial PRIMARY KEY, kind text NOT NULL CHECK (kind IN ('a', 'b', 'c', 'd', 'e')),
      part int NOT NULL CHECK (part IN (1, 2, 3, 4, 5, 6, 7)), v text); CREATE TRIGGER half BEFORE INSERT ON ${name} FOR EACH ROW EXECUTE FUNCTION half();`,
  );
  // The row beside each row is seen although rows with new parents are mostly refused.
  const owner = `CREATE TABLE owner (id int PRIMARY KEY, a int NOT NULL UNIQUE REFERENCES t0, b int NOT NULL UNIQUE REFERENCES t1);
    CREATE TABLE owned (id int PRIMARY KEY REFERENCES owner ON DELETE CASCADE, hits int NOT NULL DEFAULT 0);
    CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO owned (id) VALUES (NEW.id); RETURN NULL; END';
    CREATE TRIGGER own AFTER INSERT ON owner FOR EACH ROW EXECUTE FUNCTION own();`;
  const database = await tables(`${refuse}${made.join('')}${owner}`);
  const settings = 'random_seed: 1\nnum_iterations: 1000\noperations: [INSERT]\noperation_weights: [1]';
  const { code, summary, stderr } = await runCli(configFor(database, settings));
  expect(code).toBe(0);
  expect(stderr).not.toContain('gets only the values');
  expect(stderr).toContain('each INSERT has one row');
  for (const { table, share } of summary.refused_tables ?? []) expect(share, table).toBeLessThan(0.75);
  expect(summary.tables['public.owned']!.insert.rows).toBe(summary.tables['public.owner']!.insert.rows);
  expect(await count(database, 'owned')).toBe(await count(database, 'owner'));
});

it('tells tables with one cause in one line', async () => {
  const made = Array.from({ length: 8 }, (_, n) => `CREATE TABLE t${n} ()`);
  const database = await tables(`${made.join('; ')}; CREATE TABLE plain (id int PRIMARY KEY, v text)`);
  const { code, stderr } = await runCli(configFor(database, 'random_seed: 7\nnum_iterations: 200'));
  expect(code).toBe(0);
  expect(stderr).toContain(
    '8 tables (public.t0, public.t1, public.t2, public.t3, public.t4, public.t5 and 2 more): has no columns, so there is nothing to update, so no UPDATE',
  );
  expect(stderr).not.toContain('public.t7:');
});

it('leaves tables of extensions alone, and says where rows go that a rule sends elsewhere, and where none can be made', async () => {
  const database =
    await tables(`CREATE EXTENSION cube; CREATE TABLE srs (srid int PRIMARY KEY, text text); INSERT INTO srs VALUES (4326, 'x'); ALTER EXTENSION cube ADD TABLE srs;
    CREATE TABLE inbox (id int PRIMARY KEY, v text); CREATE TABLE store (id int PRIMARY KEY, v text); CREATE RULE redirect AS ON INSERT TO inbox DO INSTEAD INSERT INTO store VALUES (NEW.id, NEW.v);
    CREATE TABLE customer (id uuid PRIMARY KEY, v text); CREATE TABLE supplier (id uuid PRIMARY KEY, v text); CREATE TABLE both_of (id uuid PRIMARY KEY REFERENCES customer REFERENCES supplier, v text)`);
  const { code, stderr, summary } = await runCli(configFor(database, 'random_seed: 7\nnum_iterations: 300'));
  expect(code).toBe(0);
  expect(stderr).toContain('public.srs: belongs to the extension cube, so its rows are left alone');
  expect(stderr).toContain('public.inbox: INSERT leaves no row here: a rule or a trigger sends it elsewhere');
  expect(stderr).toContain('public.both_of: no row could be made for a trial INSERT');
  expect(summary.tables['public.srs']).toBeUndefined();
  expect(summary.totals.rejected).toBe(0);
});
