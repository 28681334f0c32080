import type pg from 'pg';
import { SourceLog } from './source-log.js';
import { type Lsn, parseLsn } from './wal.js';

/** A replication slot, and the log that the server keeps for it. */
export interface SlotReading {
  readonly slot: string;
  readonly retainedBytes: number;
  /** So far. */
  readonly mostRetainedBytes: number;
  /** What a logical slot's consumer has confirmed, and where the server was then. */
  readonly confirmed: { readonly lsn: Lsn; readonly of: Lsn } | null;
  /** The process that serves it; null where no consumer is connected. */
  readonly processId: number | null;
  /** Bytes that may still be written before the slot is in danger; null where nothing bounds it. */
  readonly safeBytes: number | null;
  /** Why it is of no use any more; null while it is. */
  readonly lost: string | null;
  /** Since when no consumer is connected, as the server tells it; null where one is, or where it does not tell. */
  readonly inactiveSince: string | null;
}

/** The lags in `pg_stat_replication`, in seconds; null where it has none. */
export type ServerLags = Readonly<Record<'write' | 'flush' | 'replay', number | null>>;

/** A process that sends the log to a consumer. */
interface SenderReading {
  readonly processId: number;
  readonly applicationName: string;
  readonly isPhysical: boolean;
  /** What has been sent, and what the other side says of it; null until it has said something. */
  readonly sent: Lsn | null;
  readonly written: Lsn | null;
  readonly flushed: Lsn | null;
  /** True where it waits for the other side to take more. */
  readonly isBlocked: boolean;
  /** They do not change while nothing is written. */
  readonly lags: ServerLags;
}

/** The source of the traffic at one moment. */
export interface SourceReading {
  /** When it was asked, on this process's clock. */
  readonly atMs: number;
  readonly lsn: Lsn;
  readonly slots: readonly SlotReading[];
  readonly senders: readonly SenderReading[];
}

/** The server of the traffic, as it is known just now. */
export class Source {
  readonly log = new SourceLog();
  /** Null until it has been read, and where it is no PostgreSQL. */
  reading: SourceReading | null = null;
  /** The newest heartbeat that has been sent. */
  sent = 0;
}

const MOST_SLOTS = 100;
const MOST_SENDERS = 100;

/* As JSON, since later versions have more columns. */
const SLOTS = `
SELECT here.lsn::text AS lsn, pg_catalog.to_jsonb(s) AS slot, pg_catalog.pg_wal_lsn_diff(here.lsn, s.restart_lsn)::text AS retained
FROM pg_catalog.pg_current_wal_lsn() AS here (lsn)
LEFT JOIN (SELECT * FROM pg_catalog.pg_replication_slots ORDER BY slot_name LIMIT ${MOST_SLOTS}) AS s ON true`;

const SENDERS = `
SELECT r.pid, r.application_name AS name, r.sent_lsn::text AS sent, r.write_lsn::text AS written, r.flush_lsn::text AS flushed,
       a.wait_event AS waits, s.slot_type AS kind,
       extract(epoch FROM r.write_lag)::float8 AS write, extract(epoch FROM r.flush_lag)::float8 AS flush, extract(epoch FROM r.replay_lag)::float8 AS replay
FROM pg_catalog.pg_stat_replication AS r
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = r.pid
LEFT JOIN pg_catalog.pg_replication_slots AS s ON s.active_pid = r.pid
ORDER BY r.pid LIMIT ${MOST_SENDERS}`;

interface SlotRow {
  readonly lsn: string;
  readonly retained: string | null;
  readonly slot: {
    readonly slot_name: string;
    readonly active_pid: number | null;
    readonly confirmed_flush_lsn: string | null;
    readonly restart_lsn: string | null;
    readonly wal_status?: string | null;
    readonly safe_wal_size?: number | null;
    readonly inactive_since?: string | null;
    readonly invalidation_reason?: string | null;
  } | null;
}

interface SenderRow {
  readonly pid: number;
  readonly name: string;
  readonly sent: string | null;
  readonly written: string | null;
  readonly flushed: string | null;
  readonly waits: string | null;
  readonly kind: string | null;
  readonly write: number | null;
  readonly flush: number | null;
  readonly replay: number | null;
}

/** Reads where the source is with its log, and who follows it. `before`: the reading before, for the highest figures. */
export async function readSource(
  client: pg.Client,
  before: SourceReading | null,
  now: () => number,
): Promise<SourceReading> {
  const atMs = now();
  const [slots, senders] = await Promise.all([
    client.query<SlotRow>({ name: 'slots', text: SLOTS }),
    client.query<SenderRow>({ name: 'senders', text: SENDERS }),
  ]);
  const most = new Map(before?.slots.map(({ slot, mostRetainedBytes }) => [slot, mostRetainedBytes]));
  const lsn = parseLsn(slots.rows[0]!.lsn);
  return {
    atMs,
    lsn,
    slots: slots.rows.flatMap(({ slot, retained }) => {
      if (slot === null) return [];
      const retainedBytes = Number(retained ?? 0);
      return {
        slot: slot.slot_name,
        retainedBytes,
        mostRetainedBytes: Math.max(retainedBytes, most.get(slot.slot_name) ?? 0),
        confirmed: slot.confirmed_flush_lsn === null ? null : { lsn: parseLsn(slot.confirmed_flush_lsn), of: lsn },
        processId: slot.active_pid,
        safeBytes: slot.safe_wal_size ?? null,
        lost: lostBecause(slot),
        inactiveSince: slot.active_pid === null ? (slot.inactive_since ?? null) : null,
      };
    }),
    senders: senders.rows.map(({ pid, name, sent, written, flushed, waits, kind, write, flush, replay }) => ({
      processId: pid,
      applicationName: name,
      isPhysical: kind !== 'logical',
      sent: positionOf(sent),
      written: positionOf(written),
      flushed: positionOf(flushed),
      isBlocked: waits === 'WalSenderWriteData',
      lags: { write, flush, replay },
    })),
  };
}

function lostBecause({ wal_status: status, invalidation_reason: reason }: NonNullable<SlotRow['slot']>): string | null {
  if (reason !== undefined && reason !== null)
    return reason === 'wal_removed' ? 'the server removed WAL that it still needed (max_slot_wal_keep_size)' : reason;
  return status === 'lost' ? 'the server removed WAL that it still needed (max_slot_wal_keep_size)' : null;
}

function positionOf(text: string | null): Lsn | null {
  return text === null ? null : parseLsn(text);
}
