import { writeFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import type pg from 'pg';
import { both } from 'pg-copy-streams';
import type { ConnectionSettings } from '../config/connection.js';
import { SetupError } from '../config/problem.js';
import { isServerError } from '../traffic/queries.js';
import { connect, destroy, isFinal, type SessionOptions } from '../traffic/session.js';
import { type ChangeCounts, ChangeFile, type EventBody, Spool } from './change-file.js';
import { positionOf, positionText, tableName } from './event.js';
import { type Decoded, PgOutputDecoder } from './pgoutput.js';
import {
  type Added,
  addedSince,
  type NotCovered,
  type OnSession,
  type Publication,
  publish,
  takeBack,
  unpublish,
} from './publication.js';

export interface CaptureOptions {
  readonly connection: ConnectionSettings;
  readonly runId: string;
  readonly file: string;
  readonly schemas: readonly string[];
  /** Tables of other schemas, as schema.table. */
  readonly tables: readonly string[];
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  readonly maxOutageMs: number;
  readonly report: (level: 'info' | 'warn', text: string) => void;
}

/** What stands beside a change file, in FILE.meta.json: what its texts mean and what it covers. */
export interface CaptureFacts {
  readonly v: 1;
  readonly run_id: string;
  /** True where it holds everything up to `end`, which lies behind the last commit. */
  readonly complete: boolean;
  readonly reason: string | null;
  readonly end: string | null;
  readonly events: ChangeCounts;
  readonly tables: Readonly<
    Record<
      string,
      {
        readonly key: readonly string[] | null;
        readonly columns: Readonly<Record<string, string>>;
        readonly partitions?: readonly string[];
      }
    >
  >;
  readonly not_covered: readonly NotCovered[];
}

/** Where the facts of a change file stand. */
export function factsFileOf(file: string): string {
  return `${file}.meta.json`;
}

const CREATED = 'it was created while the capture was running';
const CONFIRM_MS = 1000;
const RETAINED_EVERY_MS = 5000;
/* So much log may be kept for the slot: a capture that cannot keep up must not fill the server's disk. */
const MOST_RETAINED_BYTES = 10 * 2 ** 30;
const PING_MS = 50;
/* A stream that says nothing for so long does not come to its end any more. */
const SILENT_MS = 120_000;
const MOST_ANSWERS = SILENT_MS / PING_MS;
const FIRST_BACKOFF_MS = 50;
const LONGEST_BACKOFF_MS = 2000;
const RETRY_MS = 250;

/**
 * Reads the source's logical replication stream into a file of change events. What it confirms to the server is durable in
 * the file; after a lost connection it goes on behind the last whole transaction.
 */
export class Capture {
  private readonly options: CaptureOptions;
  private readonly publication: Publication;
  private readonly file: ChangeFile;
  private readonly decoder: PgOutputDecoder;
  private readonly spools = new Map<number, Spool>();
  private streaming = 0;
  private client: pg.Client | null = null;
  private stream: Duplex | null = null;
  /** Ends of the last transaction in the file, and of the last one that is durable there. */
  private written = 0n;
  private durable = 0n;
  /** All that was committed up to here has arrived. */
  private seen = 0n;
  private frames = 0;
  private isDirty = false;
  private isSyncing = false;
  /** Since when no message has come over the stream; null while they do. */
  private lostSinceMs: number | null = null;
  private backoffMs = FIRST_BACKOFF_MS;
  private isEnding = false;
  /** What others have added to the schema meanwhile. */
  private added: Added = { tables: [], known: new Map() };
  private failure: string | null = null;
  private timers: NodeJS.Timeout[] = [];
  private fence: { readonly position: bigint; readonly reached: () => void } | null = null;

  private constructor(options: CaptureOptions, publication: Publication) {
    this.options = options;
    this.publication = publication;
    this.file = new ChangeFile(options.file);
    const keys = new Map(publication.tables.map(({ oid, key }) => [oid, key]));
    // The key that the facts name: a file has one for each table.
    this.decoder = new PgOutputDecoder(({ oid }) => keys.get(oid) ?? null);
    // Until it has come to its end; one that is killed leaves it so.
    this.describe(null, 'it was killed, or is still running');
  }

  /**
   * Publishes the tables and begins to read. Everything that commits from now on is captured. `isOver`: true once it is not
   * wanted any more.
   * @throws SetupError where that is not possible; then nothing is left on the server.
   */
  static async open(options: CaptureOptions, isOver: () => boolean = () => false): Promise<Capture> {
    const administrator = () => connect(options.connection, sessionOptions(options, 'capture'));
    const onSession: OnSession = (ask) => askPersistently(options, ask, isOver);
    const publication = await publish(onSession, options.runId, options.schemas, options.tables, administrator);
    try {
      const capture = new Capture(options, publication);
      await capture.connect().catch((error: Error) => {
        // As in an outage later on; what the server refuses for good is said now.
        if (isFinal(error) || isServerError(error) || isNoRoom(error)) throw SetupError.of('capture', error.message);
        capture.lose(error.message);
      });
      capture.startTimers();
      return capture;
    } catch (error) {
      await takeBack(publication, administrator);
      throw error;
    }
  }

  /** What is not captured, and why. */
  get notCovered(): readonly NotCovered[] {
    return this.publication.notCovered;
  }

  /** Rows captured so far. */
  get total(): number {
    let sum = 0;
    for (const { insert, update, delete: deleted } of Object.values(this.file.counts)) sum += insert + update + deleted;
    return sum;
  }

  /** Why it ended by itself; null while it goes on. */
  get failed(): string | null {
    return this.failure;
  }

  /**
   * Waits for everything that has been committed by now, ends, and leaves nothing on the server.
   * Returns what the file holds; its facts are written beside it. `missing`: why changes may follow that
   * the capture does not wait for; null if none will.
   */
  async end(missing: string | null = null): Promise<CaptureFacts> {
    let end: string | null = null;
    try {
      if (this.failure === null) end = await this.waitFor(await this.lastCommit());
    } catch (error) {
      this.fail((error as Error).message);
    }
    this.isEnding = true;
    for (const timer of this.timers) clearInterval(timer);
    this.disconnect();
    this.removeSpools();
    try {
      await this.file.sync();
      this.file.close();
    } catch (error) {
      this.failure ??= `${this.options.file} cannot be written: ${(error as Error).message}`;
    }
    const isClean = await askPersistently(
      this.options,
      async (client) => {
        await this.lookForAdditions(client);
        await unpublish(client, this.publication);
      },
      () => this.failure !== null,
    ).then(
      () => true,
      () => false,
    );
    if (!isClean) {
      const { slot } = this.publication;
      this.options.report(
        'warn',
        `the replication slot ${slot} is still on the server and makes it keep WAL; drop it: SELECT pg_drop_replication_slot('${slot}');`,
      );
    }
    return this.describe(end, this.failure ?? missing);
  }

  /* Without an answer nothing is added: the capture of what was there is complete. */
  private async lookForAdditions(client: pg.Client): Promise<void> {
    this.added = await addedSince(client, this.publication, this.options.schemas).catch(() => this.added);
    const { tables } = this.added;
    if (tables.length > 0)
      this.options.report(
        'warn',
        `not captured, because they were created after the capture began: ${tables.join(', ')}`,
      );
  }

  private removeSpools(): void {
    for (const spool of this.spools.values()) spool.remove();
    this.spools.clear();
  }

  private describe(end: string | null, reason: string | null): CaptureFacts {
    const facts: CaptureFacts = {
      v: 1,
      run_id: this.options.runId,
      complete: reason === null,
      reason,
      end,
      events: this.file.counts,
      tables: Object.fromEntries(
        this.publication.tables.map(({ name, key, columns, partitions }) => [
          name,
          {
            key,
            columns: { ...this.added.known.get(name)?.columns, ...columns },
            ...partitionsIn(partitions, this.added.known.get(name)?.partitions ?? []),
          },
        ]),
      ),
      not_covered: [
        ...this.publication.notCovered,
        ...this.added.tables.map((table) => ({ table, operations: 'all', reason: CREATED })),
      ],
    };
    writeFileSync(factsFileOf(this.options.file), `${JSON.stringify(facts, null, 1)}\n`);
    return facts;
  }

  private administrator(): Promise<pg.Client> {
    return connect(this.options.connection, sessionOptions(this.options, 'capture'));
  }

  /** Returns the position of a last commit, behind everything that has been committed by now. */
  private async lastCommit(): Promise<string> {
    return await askPersistently(this.options, setFence, () => this.failure !== null).catch((error: Error) => {
      throw new Error(`the server could not be reached at the end: ${error.message}`, { cause: error });
    });
  }

  /** Waits until the stream has come past a position. */
  private async waitFor(text: string): Promise<string> {
    const position = positionOf(text)!;
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        this.fence = { position, reached: resolve };
        let progress = { seen: this.seen, frames: this.frames, ms: performance.now() };
        timer = setInterval(() => {
          this.status(true);
          const { seen, frames } = this;
          // Answers alone are no progress.
          const isMoving = seen !== progress.seen || frames - progress.frames > 2 * MOST_ANSWERS;
          // The time of an outage does not count: it has a limit of its own.
          if (isMoving || this.lostSinceMs !== null) progress = { seen, frames, ms: performance.now() };
          if (performance.now() - progress.ms > SILENT_MS)
            reject(
              new Error(
                `the replication stream stopped at ${positionText(seen)} and did not reach ${text}, the end of the captured changes`,
              ),
            );
        }, PING_MS);
        this.lookAtFence();
        this.stopped = () => reject(new Error(this.failure ?? 'the capture was stopped'));
      });
    } finally {
      clearInterval(timer);
    }
    return text;
  }

  private stopped: () => void = () => undefined;

  private lookAtFence(): void {
    if (this.fence !== null && this.seen >= this.fence.position && !this.file.isWithin) this.fence.reached();
  }

  private startTimers(): void {
    this.timers = [
      setInterval(() => this.confirm(), CONFIRM_MS),
      setInterval(() => void this.lookAtRetained(), RETAINED_EVERY_MS),
    ];
    for (const timer of this.timers) timer.unref();
  }

  /** Makes durable what has arrived, and tells the server. */
  private confirm(): void {
    const { written } = this;
    if (!this.isDirty) {
      this.status(false);
      return;
    }
    if (this.isSyncing) return;
    this.isDirty = false;
    this.isSyncing = true;
    this.file
      .sync()
      .then(
        () => {
          this.durable = max(this.durable, written);
          this.status(false);
        },
        (error: Error) => this.fail(`${this.options.file} cannot be written: ${error.message}`),
      )
      .finally(() => {
        this.isSyncing = false;
      });
  }

  private async lookAtRetained(): Promise<void> {
    try {
      const client = await this.administrator();
      try {
        const { rows } = await client.query<{ retained: string }>(
          'SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::text AS retained FROM pg_replication_slots WHERE slot_name = $1',
          [this.publication.slot],
        );
        if (Number(rows[0]?.retained ?? 0) <= MOST_RETAINED_BYTES) return;
        this.fail('the server had to keep more than 10 GB of WAL for it, which could fill the disk');
        await unpublish(client, this.publication);
      } finally {
        await client.end();
      }
    } catch {
      // Without a server there is nothing to look at.
    }
  }

  private fail(reason: string): void {
    if (this.failure !== null || this.isEnding) return;
    this.failure = reason;
    this.options.report('warn', `the capture has ended early and its file is incomplete: ${reason}`);
    this.disconnect();
    this.stopped();
  }

  private async connect(): Promise<void> {
    const { slot, publications, version } = this.publication;
    const client = await connect(this.options.connection, {
      ...sessionOptions(this.options, 'stream'),
      statementTimeoutMs: 0,
      replication: true,
    });
    // Version 2 streams large transactions before their end, so that the server need not keep them.
    const protocol = version >= 140_000 ? "proto_version '2', streaming 'on', messages 'true'" : "proto_version '1'";
    const names = publications.map((name) => `"${name}"`).join(',');
    const from = `${(this.written >> 32n).toString(16)}/${(this.written & 0xffffffffn).toString(16)}`;
    const stream = client.query(
      both(`START_REPLICATION SLOT "${slot}" LOGICAL ${from} (${protocol}, publication_names '${names}')`, {
        alignOnCopyDataFrame: true,
      }),
    ) as unknown as Duplex;
    this.client = client;
    this.stream = stream;
    stream.on('data', (frame: Buffer) => {
      if (this.stream === stream) this.receive(frame);
    });
    const lost = (error?: Error) => {
      if (this.stream === stream) this.lose(error?.message ?? 'the connection was closed');
    };
    stream.on('error', lost);
    stream.on('end', lost);
    client.on('end', lost);
    client.on('error', lost);
  }

  private disconnect(): void {
    const { client } = this;
    this.client = null;
    this.stream = null;
    if (client !== null) destroy(client);
  }

  /** Connects again, for as long as an outage may last. */
  private lose(reason: string): void {
    this.disconnect();
    if (this.isEnding || this.failure !== null) return;
    try {
      this.file.undo();
    } catch (error) {
      this.fail(`${this.options.file} cannot be written: ${(error as Error).message}`);
      return;
    }
    this.decoder.reset();
    this.removeSpools();
    this.streaming = 0;
    void this.reconnect(reason);
  }

  /* A session alone is no success: the server may refuse to send. */
  private async reconnect(reason: string): Promise<void> {
    this.lostSinceMs ??= performance.now();
    const lostSinceMs = this.lostSinceMs;
    for (let error = reason; ; ) {
      if (GONE.test(error) || performance.now() - lostSinceMs > this.options.maxOutageMs) {
        this.fail(error);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, this.backoffMs));
      this.backoffMs = Math.min(2 * this.backoffMs, LONGEST_BACKOFF_MS);
      if (this.isEnding || this.failure !== null) return;
      try {
        await this.connect();
        return;
      } catch (failure) {
        error = (failure as Error).message;
      }
    }
  }

  private receive(frame: Buffer): void {
    this.frames++;
    this.lostSinceMs = null;
    this.backoffMs = FIRST_BACKOFF_MS;
    try {
      if (frame[0] === DATA) this.apply(this.decoder.decode(frame.subarray(25)));
      else if (frame[0] === KEEPALIVE) {
        this.seen = max(this.seen, frame.readBigUInt64BE(1));
        if (!this.isPending && !this.isDirty && !this.isSyncing)
          this.durable = this.written = max(this.written, this.seen);
        if (frame[17] === 1) this.status(false);
        this.lookAtFence();
      }
    } catch (error) {
      this.fail((error as Error).message);
    }
  }

  private get isPending(): boolean {
    return this.file.isWithin || this.spools.size > 0;
  }

  private apply(message: Decoded): void {
    switch (message.kind) {
      case 'begin':
        this.file.begin(message);
        break;
      case 'changes':
        for (const change of message.changes) {
          const event: EventBody = { table: tableName(change.table), op: change.op, body: change.body };
          if (this.streaming === 0) this.file.add(event);
          else this.spools.get(this.streaming)!.add(change.xid, event);
        }
        break;
      case 'commit':
        this.file.end();
        this.committed(message.end);
        break;
      case 'streamStart':
        this.streaming = message.xid;
        if (!this.spools.has(message.xid))
          this.spools.set(message.xid, new Spool(`${this.options.file}.${message.xid}.part`));
        break;
      case 'streamStop':
        this.streaming = 0;
        break;
      case 'streamAbort':
        if (message.subxid !== message.xid) this.spools.get(message.xid)?.rollBack(message.subxid);
        else this.forget(message.xid);
        break;
      case 'streamCommit': {
        this.file.begin({ xid: String(message.xid), commit: message.commit, at: message.at });
        for (const event of this.spools.get(message.xid)?.events() ?? []) this.file.add(event);
        this.file.end();
        this.forget(message.xid);
        this.committed(message.end);
        break;
      }
      case 'other':
        break;
    }
  }

  private forget(xid: number): void {
    this.spools.get(xid)?.remove();
    this.spools.delete(xid);
  }

  private committed(end: bigint): void {
    this.written = end;
    this.seen = max(this.seen, end);
    this.isDirty = true;
    this.lookAtFence();
  }

  /** Tells the server what has arrived and what is durable; `asks` for an answer, which says how far the stream is. */
  private status(asks: boolean): void {
    const message = Buffer.alloc(34);
    message.writeUInt8(STATUS, 0);
    message.writeBigUInt64BE(max(this.written, this.seen), 1);
    message.writeBigUInt64BE(this.durable, 9);
    message.writeBigUInt64BE(this.durable, 17);
    message.writeBigInt64BE((BigInt(Date.now()) - EPOCH_MS) * 1000n, 25);
    message.writeUInt8(asks ? 1 : 0, 33);
    if (this.stream?.writable === true) this.stream.write(message);
  }
}

/**
 * Asks on a session of its own, and again on another one after errors that pass, for as long as an outage may last.
 * @throws what the server answers, and the last error where the outage lasts longer or `isOver`.
 */
async function askPersistently<Answer>(
  options: CaptureOptions,
  ask: (client: pg.Client) => Promise<Answer>,
  isOver: () => boolean,
): Promise<Answer> {
  for (const startMs = performance.now(); ; ) {
    try {
      const client = await connect(options.connection, sessionOptions(options, 'capture'));
      try {
        return await ask(client);
      } finally {
        await client.end().catch(() => undefined);
      }
    } catch (error) {
      if (isOver() || performance.now() - startMs > options.maxOutageMs) throw error;
      if (isFinal(error) || isServerError(error as Error)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** Writes a last commit. Returns its position. */
async function setFence(client: pg.Client): Promise<string> {
  // It is flushed, so that what was committed asynchronously before it is flushed as well.
  await client.query('SET synchronous_commit = local');
  await client.query("SELECT pg_logical_emit_message(true, 'eventgen', 'fence')");
  const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
  return rows[0]!.lsn;
}

const DATA = 'w'.charCodeAt(0);
const KEEPALIVE = 'k'.charCodeAt(0);
const STATUS = 'r'.charCodeAt(0);
/* The slot, or what it kept of the log, is not there any more. */
const GONE = /does not exist|can no longer (get changes|access)|invalidated|has been removed|obsolete/i;
/* PostgreSQL's clock begins in 2000. */
const EPOCH_MS = 946_684_800_000n;

/** A table's partitions at the beginning and at the end; nothing if it has none. */
function partitionsIn(first: readonly string[], last: readonly string[]): { readonly partitions?: readonly string[] } {
  const all = [...new Set([...first, ...last])];
  return all.length === 0 ? {} : { partitions: all };
}

/** True if the server has no session left for a reader of its log. */
function isNoRoom(error: Error): boolean {
  return (error as pg.DatabaseError).code === '53300';
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function sessionOptions(options: CaptureOptions, purpose: string): SessionOptions {
  return {
    applicationName: `eventgen/${options.runId}/${purpose}`,
    connectTimeoutMs: options.connectTimeoutMs,
    statementTimeoutMs: options.statementTimeoutMs,
    lockTimeoutMs: options.lockTimeoutMs,
    pipeline: false,
  };
}
