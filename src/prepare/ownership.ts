import type pg from 'pg';
import type { Relation } from '../catalog/model.js';

const MOST_NAMED = 6;

/**
 * Returns a warning if triggers on tables of other roles will run with the rights of this user: whoever owns such a table
 * decides what its code does. Tables of superusers, and functions that run with the rights of their owner, are no news.
 */
export async function foreignTriggers(
  client: pg.Client,
  targeted: readonly Relation[],
  user: string,
): Promise<string | null> {
  const withTriggers = targeted.filter(({ triggers }) => triggers.some(({ asOwner }) => !asOwner));
  if (withTriggers.length === 0) return null;
  const { rows } = await client.query<{ name: string; owner: string }>(
    `SELECT c.oid::regclass::text AS name, r.rolname AS owner FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner
     WHERE c.oid = ANY ($1) AND r.rolname <> current_user AND NOT r.rolsuper ORDER BY 1`,
    [withTriggers.map(({ oid }) => oid)],
  );
  if (rows.length === 0) return null;
  const named = rows.slice(0, MOST_NAMED).map(({ name, owner }) => `${name} (of ${owner})`);
  const more = rows.length > MOST_NAMED ? ` and ${rows.length - MOST_NAMED} more` : '';
  return `triggers on tables of other roles run with the rights of user "${user}": ${named.join(', ')}${more}`;
}
