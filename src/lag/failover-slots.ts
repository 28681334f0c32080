import type pg from 'pg';
import type { Eye } from './eyes/eye.js';
import type { Watched } from './eyes/open.js';
import { ServerEye } from './eyes/server-eye.js';
import { SlotEye } from './eyes/slot-eye.js';

/** What is known of a slot on one server. As JSON, since versions before 17 lack these columns. */
interface SlotRow {
  readonly slot: string;
  readonly failover: boolean | null;
  readonly synced: boolean | null;
  readonly invalid: string | null;
}

const SLOTS = `
SELECT slot_name AS slot, (to_jsonb(s) ->> 'failover')::bool AS failover, (to_jsonb(s) ->> 'synced')::bool AS synced,
       to_jsonb(s) ->> 'invalidation_reason' AS invalid
FROM pg_catalog.pg_replication_slots AS s WHERE slot_type = 'logical' AND slot_name = ANY ($1)`;

/**
 * Returns warnings about slots that a standby among the targets could not take over: the consumer would lose its place.
 * @param source a session on the server of the traffic
 */
export async function failoverWarnings(
  source: pg.Client,
  watched: readonly Watched[],
  eyes: readonly Eye[],
): Promise<string[]> {
  const slots = eyes.flatMap((eye) => (eye instanceof SlotEye ? [eye.slot] : []));
  const standbys = eyes.flatMap((eye, index) => {
    const { target, beside } = watched[index]!;
    return eye instanceof ServerEye && target.kind === 'physical' && beside === null
      ? [{ name: target.name, eye }]
      : [];
  });
  if (slots.length === 0 || standbys.length === 0) return [];
  const { rows } = await source.query<SlotRow>(SLOTS, [slots]);
  const warnings: string[] = [];
  for (const { slot, failover } of rows) {
    if (failover === null) continue;
    if (!failover) {
      warnings.push(
        `slot ${slot} is not a failover slot, so a standby that takes over does not have it, and its consumer loses its place; create it with failover = true`,
      );
      continue;
    }
    for (const { name, eye } of standbys) {
      const [copy] = (await eye.client.query<SlotRow>(SLOTS, [[slot]])).rows;
      if (copy?.synced === true && copy.invalid === null) continue;
      const how =
        copy === undefined
          ? 'has no copy'
          : copy.invalid === null
            ? 'has an unsynchronized copy'
            : `has a lost copy (${copy.invalid})`;
      warnings.push(
        `the standby ${name} ${how} of the failover slot ${slot}, so the slot's consumer loses its place if this standby takes over; ` +
          'set sync_replication_slots and hot_standby_feedback on the standby, and a dbname in its primary_conninfo',
      );
    }
  }
  return warnings;
}
