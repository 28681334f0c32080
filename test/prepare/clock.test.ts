import { expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.js';
import { connectRehearsal } from '../../src/prepare/connect.js';
import { examine } from '../../src/prepare/examine.js';
import { rehearse, tablesToRehearse } from '../../src/prepare/rehearse.js';
import { configFor, databasesPerTest } from '../server/database.js';

const { tables } = databasesPerTest();

/* What a trial meets is the rows of those before it: parents that a trigger takes, every other row, keys of one's own. */
const SCHEMA = `
  CREATE FUNCTION take_some() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF abs(hashtext(NEW::text)) % 2 = 0 THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NEW; END $$;
  CREATE TABLE t0 (id int PRIMARY KEY, v text, n int NOT NULL);
  ${Array.from(
    { length: 12 },
    (_, level) =>
      `CREATE TABLE t${level + 1} (id int PRIMARY KEY, parent int NOT NULL REFERENCES t${level}, other int NOT NULL REFERENCES t0, v text, w text, UNIQUE (parent, other));
       CREATE TRIGGER take_some BEFORE INSERT OR UPDATE ON t${level + 1} FOR EACH ROW EXECUTE FUNCTION take_some();`,
  ).join('\n')}`;

it('has no say in what the rehearsal finds, however long a transaction lasts', async () => {
  const database = await tables(SCHEMA);
  const config = parseConfig('c.yaml', configFor(database, 'random_seed: 5'), [], {});
  const ignored = { dryRun: true, say: () => undefined, step: () => undefined, rehearsal: null };
  const examined = await examine(database.client, config, ignored);
  const draft = { ...examined, ordinals: [], searches: [], distincts: [], notes: [] };
  const results = [];
  for (const msPerLook of [0, 3000]) {
    let now = 0;
    results.push(
      await rehearse(
        {
          connectLike: () => connectRehearsal(config.connection, config, 'clock', examined.plan.searchPath),
          claims: examined.claims,
          step: () => undefined,
          limitMs: Number.POSITIVE_INFINITY,
          clock: () => (now += msPerLook),
        },
        draft,
        examined.catalog,
        tablesToRehearse(draft, examined.catalog),
      ),
    );
  }
  const [still, fast] = results;
  // Some of it was found: otherwise there would be nothing to compare.
  expect(still!.findings.length).toBeGreaterThan(0);
  expect(fast!.findings).toEqual(still!.findings);
  expect(fast!.plan).toEqual(still!.plan);
});
