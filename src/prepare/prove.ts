import type pg from 'pg';
import type { Computed, DistinctSearch } from '../plan/distinct.js';
import type { Proof } from '../plan/groups.js';
import { SAMPLES, type Search } from '../plan/search.js';

/**
 * Asks the server which of a search's tuples meet its conditions, in a READ ONLY transaction and without temporary objects.
 * A batch that ends with an error (a value that is no such type, a function that raises) is halved until what is at
 * fault is found. Positions are from 1. Values that stand in the tables
 * already come first where a type is unknown. `step` is told how far it is.
 */
export async function prove(
  client: pg.Client,
  searches: readonly Search[],
  step: (text: string) => void,
): Promise<Proof[]> {
  const proofs: Proof[] = [];
  if (searches.length === 0) return proofs;
  await client.query('BEGIN READ ONLY');
  try {
    for (const [index, given] of searches.entries()) {
      step(`searching for values that satisfy constraints, ${index + 1} of ${searches.length}`);
      const known = given.existing === null ? given : await withExisting(client, given, given.existing);
      const all = known.lookedUp === null ? known : await withLookedUp(client, known, known.lookedUp);
      const search = await withDerived(client, all);
      const found: Found = { accepted: [], certain: [] };
      // The first candidates must not use up the errors that are allowed for the rest.
      const first = search.ordinary + search.forms.length * SAMPLES;
      await ask(client, search, 0, first, { left: MOST_ERRORS }, found);
      await ask(client, search, first, search.candidates.length, { left: MOST_ERRORS }, found);
      proofs.push({ search, ...found });
    }
  } finally {
    await client.query('ROLLBACK');
  }
  return proofs;
}

/** Asks the server what it computes from each candidate, in a READ ONLY transaction. Rejected values have no answer. */
export async function compute(
  client: pg.Client,
  searches: readonly DistinctSearch[],
): Promise<{ search: DistinctSearch; computed: Computed }[]> {
  const found: { search: DistinctSearch; computed: Computed }[] = [];
  if (searches.length === 0) return found;
  await client.query('BEGIN READ ONLY');
  try {
    for (const search of searches) {
      const computed: (string | undefined)[] = search.candidates.map(() => undefined);
      await computeRange(client, search, [0, search.candidates.length], { left: MOST_ERRORS }, computed);
      found.push({ search, computed });
    }
  } finally {
    await client.query('ROLLBACK');
  }
  return found;
}

async function computeRange(
  client: pg.Client,
  search: DistinctSearch,
  [from, to]: readonly [number, number],
  errors: { left: number },
  computed: (string | undefined)[],
): Promise<void> {
  if (from >= to || errors.left <= 0) return;
  try {
    const { rows } = await client.query<{ i: string; computed: string }>(search.sql, [
      search.candidates.slice(from, to),
    ]);
    for (const row of rows) computed[from + Number(row.i) - 1] = row.computed;
  } catch {
    errors.left--;
    await client.query('ROLLBACK; BEGIN READ ONLY');
    if (to - from === 1) return;
    const middle = (from + to) >> 1;
    await computeRange(client, search, [from, middle], errors, computed);
    await computeRange(client, search, [middle, to], errors, computed);
  }
}

async function withExisting(client: pg.Client, search: Search, sql: string): Promise<Search> {
  const { rows } = await client.query<{ value: string }>(sql);
  return { ...search, candidates: [...rows.map(({ value }) => [value]), ...search.candidates] };
}

async function withLookedUp(client: pg.Client, search: Search, sql: string): Promise<Search> {
  const { rows } = await client.query<{ value: string }>(sql);
  return { ...search, candidates: [...search.candidates, ...rows.map(({ value }) => [value])] };
}

/* Tuples of which a column is derived. */
const MOST_DERIVED = 400;

/** Adds tuples of which some columns are what the server derives from the others, one column after the other. */
async function withDerived(client: pg.Client, search: Search): Promise<Search> {
  let tuples = search.candidates.slice(0, MOST_DERIVED);
  for (const { at, sql } of search.derived) {
    const texts: (string | null | undefined)[] = tuples.map(() => undefined);
    await deriveRange(client, { sql, tuples }, [0, tuples.length], { left: MOST_ERRORS }, texts);
    tuples = tuples.flatMap((tuple, index) => {
      const text = texts[index];
      return text === undefined ? [] : [tuple.with(at, text)];
    });
  }
  return search.derived.length === 0 ? search : { ...search, candidates: [...search.candidates, ...tuples] };
}

async function deriveRange(
  client: pg.Client,
  given: { readonly sql: string; readonly tuples: Search['candidates'] },
  [from, to]: readonly [number, number],
  errors: { left: number },
  texts: (string | null | undefined)[],
): Promise<void> {
  if (from >= to || errors.left <= 0) return;
  const part = given.tuples.slice(from, to);
  try {
    const values = part[0]!.map((_, column) => part.map((tuple) => tuple[column]!));
    const { rows } = await client.query<{ i: string; value: string | null }>(given.sql, values);
    for (const { i, value } of rows) texts[from + Number(i) - 1] = value;
  } catch {
    errors.left--;
    await client.query('ROLLBACK; BEGIN READ ONLY');
    if (to - from === 1) return;
    const middle = (from + to) >> 1;
    await deriveRange(client, given, [from, middle], errors, texts);
    await deriveRange(client, given, [middle, to], errors, texts);
  }
}

/** Positions of candidates that the server accepts. */
interface Found {
  readonly accepted: number[];
  readonly certain: number[];
}

const MOST_ERRORS = 400;

async function ask(
  client: pg.Client,
  search: Search,
  from: number,
  to: number,
  errors: { left: number },
  found: Found,
): Promise<void> {
  if (from >= to || errors.left <= 0) return;
  const values = search.columns.map((_, column) => search.candidates.slice(from, to).map((tuple) => tuple[column]!));
  try {
    const { rows } = await client.query<{ i: string; certain: boolean }>(search.sql, values);
    for (const { i, certain } of rows) {
      found.accepted.push(from + Number(i));
      if (certain) found.certain.push(from + Number(i));
    }
  } catch {
    errors.left--;
    // Errors are rare, so a new transaction costs less than a savepoint around every batch.
    await client.query('ROLLBACK; BEGIN READ ONLY');
    if (to - from === 1) return;
    const middle = (from + to) >> 1;
    await ask(client, search, from, middle, errors, found);
    await ask(client, search, middle, to, errors, found);
  }
}
