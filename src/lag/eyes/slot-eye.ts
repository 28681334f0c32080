import type pg from 'pg';
import type { ConnectionSettings } from '../../config/connection.js';
import type { SlotTarget } from '../../config/replication.js';
import { connect } from '../../traffic/session.js';
import { destroy } from '../heartbeat.js';
import { parseLsn } from '../wal.js';
import { answered, type Eye, type EyeOptions, QUERY_TIMEOUT_MS, type Standing } from './eye.js';

/* The source is queried, which is busy with the traffic: queries must be rare. */
const LEAST_PAUSE_MS = 10;

/* A logical slot's consumer confirms; that of a physical one reports what it has written, and the slot follows. */
const CONFIRMED = `
SELECT coalesce(confirmed_flush_lsn, restart_lsn)::text AS lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = $1`;

/**
 * Looks at a consumer that cannot be asked, by what it confirms to its replication slot. It confirms at intervals of its own, so
 * that what is seen is a bound from above.
 */
export class SlotEye implements Eye {
  readonly leastPauseMs = LEAST_PAUSE_MS;
  private readonly client: pg.Client;
  private readonly options: EyeOptions<SlotTarget>;

  private constructor(client: pg.Client, options: EyeOptions<SlotTarget>) {
    this.client = client;
    this.options = options;
  }

  /** `connection`: of the source. */
  static async open(options: EyeOptions<SlotTarget>, connection: ConnectionSettings): Promise<SlotEye> {
    const client = await connect(connection, {
      applicationName: `eventgen/${options.runId}/slot`,
      connectTimeoutMs: options.connectTimeoutMs,
      statementTimeoutMs: QUERY_TIMEOUT_MS,
      lockTimeoutMs: 0,
      pipeline: false,
    });
    return new SlotEye(client, options);
  }

  get slot(): string {
    return this.options.target.slot;
  }

  /** True where the slot is there. */
  async exists(): Promise<boolean> {
    const { rowCount } = await answered(this.client.query(CONFIRMED, [this.options.target.slot]));
    return rowCount === 1;
  }

  async newest(): Promise<number> {
    const { source, target } = this.options;
    const { rows } = await answered(this.client.query<{ lsn: string | null }>(CONFIRMED, [target.slot]));
    const lsn = rows[0]?.lsn;
    return lsn == null ? 0 : source.log.sequenceBefore(parseLsn(lsn));
  }

  standing(): Promise<Standing> {
    const { source, target } = this.options;
    const slot = source.reading?.slots.find((each) => each.slot === target.slot);
    const sender = source.reading?.senders.find(({ processId }) => processId === slot?.processId);
    const positions = [
      ['sent', sender?.sent],
      ['confirmed', slot?.confirmed?.lsn ?? sender?.flushed],
    ] as const;
    return Promise.resolve({
      positions: positions.flatMap(([position, lsn]) => (lsn == null ? [] : { position, lsn })),
      reason:
        source.reading !== null && slot === undefined
          ? `the replication slot ${target.slot} no longer exists`
          : slot?.lost != null
            ? `the replication slot ${target.slot} is lost: ${slot.lost}`
            : slot !== undefined && slot.processId === null
              ? `no consumer is connected to the slot ${target.slot}${slot.inactiveSince === null ? '' : ` since ${slot.inactiveSince}`}`
              : null,
      isApplying: null,
      processId: null,
      senderId: sender?.processId ?? null,
    });
  }

  close(): void {
    destroy(this.client);
  }
}
