import type pg from 'pg';
import type { Computed, DistinctSearch } from '../plan/distinct.js';
import type { Proof } from '../plan/groups.js';
import { SAMPLES, type Search } from '../plan/search.js';

/* The most errors of a search, in all of its halves. */
const MOST_ERRORS = 400;

/**
 * Asks the server which of a search's tuples meet its conditions, in a READ ONLY transaction and without temporary objects.
 * Positions are from 1. Values that stand in the tables already come first where a type is unknown. `step` is told how far it is.
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
      const ask = async (from: number, to: number) => {
        const values = columnsFrom(search.candidates, from, to);
        const { rows } = await client.query<{ i: string; certain: boolean }>(search.sql, values);
        for (const { i, certain } of rows) {
          found.accepted.push(from + Number(i));
          if (certain) found.certain.push(from + Number(i));
        }
      };
      // The first candidates must not use up the errors that are allowed for the rest.
      const first = search.ordinary + search.forms.length * SAMPLES;
      await halving(client, [0, first], { left: MOST_ERRORS }, ask);
      await halving(client, [first, search.candidates.length], { left: MOST_ERRORS }, ask);
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
      await halving(client, [0, search.candidates.length], { left: MOST_ERRORS }, async (from, to) => {
        const values = [search.candidates.slice(from, to)];
        const { rows } = await client.query<{ i: string; computed: string }>(search.sql, values);
        for (const row of rows) computed[from + Number(row.i) - 1] = row.computed;
      });
      found.push({ search, computed });
    }
  } finally {
    await client.query('ROLLBACK');
  }
  return found;
}

/**
 * Asks about a range of candidates. Where the server ends with an error (a value that is no such type, a function that raises) each half
 * is asked about by itself, until what is at fault is found.
 */
async function halving(
  client: pg.Client,
  [from, to]: readonly [from: number, to: number],
  errors: { left: number },
  ask: (from: number, to: number) => Promise<void>,
): Promise<void> {
  if (from >= to || errors.left <= 0) return;
  try {
    await ask(from, to);
  } catch {
    errors.left--;
    // Errors are rare, so a new transaction costs less than a savepoint around every batch.
    await client.query('ROLLBACK; BEGIN READ ONLY');
    if (to - from === 1) return;
    const middle = (from + to) >> 1;
    await halving(client, [from, middle], errors, ask);
    await halving(client, [middle, to], errors, ask);
  }
}

/** Parameters for some tuples: a list of texts for each column. */
function columnsFrom(tuples: Search['candidates'], from: number, to: number): (string | null)[][] {
  return (tuples[from] ?? []).map((_, column) => tuples.slice(from, to).map((tuple) => tuple[column]!));
}

async function withExisting(client: pg.Client, search: Search, sql: string): Promise<Search> {
  const { rows } = await client.query<{ value: string }>(sql);
  return { ...search, candidates: [...rows.map(({ value }) => [value]), ...search.candidates] };
}

async function withLookedUp(client: pg.Client, search: Search, sql: string): Promise<Search> {
  try {
    const { rows } = await client.query<{ value: string }>(sql);
    return { ...search, candidates: [...search.candidates, ...rows.map(({ value }) => [value])] };
  } catch {
    // If row security forbids the query, or the time is up, there are fewer candidates.
    await client.query('ROLLBACK; BEGIN READ ONLY');
    return search;
  }
}

/* Tuples of which a column is derived. */
const MOST_DERIVED = 400;

/** Adds tuples of which some columns are what the server derives from the others, one column after the other. */
async function withDerived(client: pg.Client, search: Search): Promise<Search> {
  let tuples = search.candidates.slice(0, MOST_DERIVED);
  for (const { at, sql } of search.derived) {
    const texts: (string | null | undefined)[] = tuples.map(() => undefined);
    const given = tuples;
    await halving(client, [0, given.length], { left: MOST_ERRORS }, async (from, to) => {
      const { rows } = await client.query<{ i: string; value: string | null }>(sql, columnsFrom(given, from, to));
      for (const { i, value } of rows) texts[from + Number(i) - 1] = value;
    });
    tuples = tuples.flatMap((tuple, index) => {
      const text = texts[index];
      return text === undefined ? [] : [tuple.with(at, text)];
    });
  }
  return search.derived.length === 0 ? search : { ...search, candidates: [...search.candidates, ...tuples] };
}

/** Positions of candidates that the server accepts. */
interface Found {
  readonly accepted: number[];
  readonly certain: number[];
}
