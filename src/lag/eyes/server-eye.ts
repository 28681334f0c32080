import type pg from 'pg';
import type { ServerTarget } from '../../config/replication.js';
import { connect, isDirect } from '../../traffic/session.js';
import { destroy } from '../heartbeat.js';
import { Question } from '../question.js';
import type { Source } from '../source.js';
import { heartbeatTable } from '../table.js';
import { parseLsn } from '../wal.js';
import { answered, type Eye, type EyeOptions, QUERY_TIMEOUT_MS, type Standing } from './eye.js';

/* Without a pause, the questions alone would take several percent of a small machine. */
const LEAST_PAUSE_MS = 2;

/** Looks at a server that speaks PostgreSQL's protocol: the heartbeats' table is read there. */
export class ServerEye implements Eye {
  readonly leastPauseMs = LEAST_PAUSE_MS;
  readonly client: pg.Client;
  private readonly options: EyeOptions<ServerTarget>;
  private readonly text: string;
  /** Null where the session may be another one each time: then nothing is prepared. */
  private readonly looking: Question | null;

  private constructor(client: pg.Client, isOurs: boolean, options: EyeOptions<ServerTarget>) {
    this.client = client;
    this.options = options;
    this.text = `SELECT sequence FROM ${heartbeatTable(options.schema, options.beside)} WHERE run = $1`;
    this.looking = isOurs ? new Question(client, 'newest', this.text) : null;
  }

  /** Only what every server that speaks PostgreSQL's protocol takes is asked of it. */
  static async open(options: EyeOptions<ServerTarget>): Promise<ServerEye> {
    const client = await connect(options.target.connection, {
      applicationName: `eventgen/${options.runId}/lag`,
      connectTimeoutMs: options.connectTimeoutMs,
      statementTimeoutMs: 0,
      lockTimeoutMs: 0,
      pipeline: false,
      plain: true,
    });
    // A backend that is given up must not go on waiting: others follow it. Not every make knows the setting.
    await answered(client.query(`SET statement_timeout = ${QUERY_TIMEOUT_MS}`)).catch(() => undefined);
    return new ServerEye(client, await isDirect(client, QUERY_TIMEOUT_MS), options);
  }

  get target(): ServerTarget {
    return this.options.target;
  }

  async newest(): Promise<number> {
    const { runId } = this.options;
    if (this.looking !== null) return Number(await answered(this.looking.ask([runId])));
    const { rows } = await answered(this.client.query<{ sequence: string }>(this.text, [runId]));
    return Number(rows[0]?.sequence ?? 0);
  }

  standing(): Promise<Standing | null> {
    switch (this.options.target.kind) {
      case 'physical':
        return answered(this.ofStandby());
      case 'logical':
        return answered(this.ofSubscriber());
      case 'heartbeat':
        return Promise.resolve(null);
    }
  }

  close(): void {
    destroy(this.client);
  }

  private named(name: string): { readonly name?: string } {
    return this.looking === null ? {} : { name };
  }

  private async ofStandby(): Promise<Standing> {
    const { rows } = await this.client.query<StandbyRow>({ ...this.named('standing'), text: STANDBY });
    const row = rows[0]!;
    const sender = senderOf(this.options.source, row);
    const positions = [
      ['sent', sender?.sent],
      ['written', sender?.written],
      ['received', row.received === null ? null : parseLsn(row.received)],
      ['replayed', row.replayed === null ? null : parseLsn(row.replayed)],
    ] as const;
    return {
      positions: positions.flatMap(([position, lsn]) => (lsn == null ? [] : { position, lsn })),
      reason: row.paused
        ? 'replay is paused on the standby (SELECT pg_wal_replay_resume() resumes it)'
        : row.delay !== '0'
          ? `recovery_min_apply_delay is ${row.delay} on the standby`
          : row.receiver === null
            ? 'the standby has no WAL receiver connected to the source'
            : null,
      // Between two records it waits for more log; its delay and its conflicts are waits of another kind.
      isApplying: row.startup === null ? null : !/^RecoveryWal|^RecoveryRetrieve/.test(row.waits ?? ''),
      processId: row.startup,
      senderId: sender?.processId ?? null,
    };
  }

  private async ofSubscriber(): Promise<Standing> {
    const { rows } = await this.client.query<SubscriberRow>({
      ...this.named('standing'),
      text: SUBSCRIBER,
      values: [heartbeatTable(this.options.schema, this.options.beside)],
    });
    const [row] = rows;
    if (row === undefined) return { ...NOTHING, reason: 'the target no longer has a subscription for the heartbeats' };
    const slot = this.options.source.reading?.slots.find((each) => each.slot === row.slot);
    const sender = this.options.source.reading?.senders.find(({ processId }) => processId === slot?.processId);
    const positions = [
      ['sent', sender?.sent],
      ['received', row.received === null ? null : parseLsn(row.received)],
      ['confirmed', slot?.confirmed?.lsn],
    ] as const;
    return {
      positions: positions.flatMap(([position, lsn]) => (lsn == null ? [] : { position, lsn })),
      reason: !row.enabled
        ? `the subscription ${row.name} is disabled (ALTER SUBSCRIPTION ${row.name} ENABLE resumes it)`
        : slot?.lost != null
          ? `its slot ${row.slot} is lost: ${slot.lost}`
          : row.worker === null
            ? 'its apply worker is not running (see the server log of the target)'
            : null,
      isApplying: row.kind === null ? null : row.waits !== 'LogicalApplyMain',
      processId: row.worker,
      senderId: sender?.processId ?? null,
    };
  }
}

const NOTHING: Standing = { positions: [], reason: null, isApplying: null, processId: null, senderId: null };

interface StandbyRow {
  readonly received: string | null;
  readonly replayed: string | null;
  readonly paused: boolean;
  readonly delay: string;
  readonly receiver: number | null;
  readonly slot: string | null;
  readonly sender: string | null;
  readonly startup: number | null;
  readonly waits: string | null;
}

/* What the session may not see is null. */
const STANDBY = `
SELECT pg_catalog.pg_last_wal_receive_lsn()::text AS received, pg_catalog.pg_last_wal_replay_lsn()::text AS replayed,
       pg_catalog.pg_is_in_recovery() AND pg_catalog.pg_is_wal_replay_paused() AS paused,
       pg_catalog.current_setting('recovery_min_apply_delay') AS delay,
       r.pid AS receiver, r.slot_name AS slot, substring(r.conninfo FROM 'application_name=([^ ]+)') AS sender,
       s.pid AS startup, s.wait_event AS waits
FROM (SELECT) AS one
LEFT JOIN pg_catalog.pg_stat_wal_receiver AS r ON true
LEFT JOIN pg_catalog.pg_stat_activity AS s ON s.backend_type = 'startup'
LIMIT 1`;

interface SubscriberRow {
  readonly name: string;
  readonly enabled: boolean;
  readonly slot: string | null;
  readonly received: string | null;
  readonly worker: number | null;
  readonly waits: string | null;
  /** Null where the session may not see what the worker does. */
  readonly kind: string | null;
}

/* The subscription that brings the heartbeats. */
const SUBSCRIBER = `
SELECT s.subname AS name, s.subenabled AS enabled, s.subslotname AS slot, w.received_lsn::text AS received, w.pid AS worker, a.wait_event AS waits, a.backend_type AS kind
FROM pg_catalog.pg_subscription AS s
JOIN pg_catalog.pg_subscription_rel AS r ON r.srsubid = s.oid AND r.srrelid = pg_catalog.to_regclass($1)
LEFT JOIN pg_catalog.pg_stat_subscription AS w ON w.subid = s.oid AND w.relid IS NULL AND w.pid IS NOT NULL
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = w.pid
ORDER BY s.oid, (pg_catalog.to_jsonb(w) ->> 'leader_pid') IS NOT NULL LIMIT 1`;

/** The subscription that brings the heartbeats has this slot; null where there is none. */
export async function subscriptionSlot(client: pg.Client, heartbeats: string): Promise<string | null> {
  const { rows } = await client.query<SubscriberRow>(SUBSCRIBER, [heartbeats]);
  return rows[0]?.slot ?? null;
}

/** The process on the source that feeds a standby: by its slot, by the name it gave, or because it is the only one. */
function senderOf({ reading }: Source, { slot, sender }: StandbyRow) {
  if (reading === null) return undefined;
  const physical = reading.senders.filter(({ isPhysical }) => isPhysical);
  const served = reading.slots.find((each) => each.slot === slot)?.processId;
  const named = physical.filter(({ applicationName }) => applicationName === sender);
  return (
    physical.find(({ processId }) => processId === served) ??
    (named.length === 1 ? named[0] : physical.length === 1 ? physical[0] : undefined)
  );
}
