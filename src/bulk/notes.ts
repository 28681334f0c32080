import type pg from 'pg';
import { statusOf } from '../traffic/recovery.js';
import { Ended } from './ends.js';
import type { Entry, Journal } from './journal.js';

/** Where a lane notes its transactions, so that another process can continue after them. */
export interface Notes {
  /** True if a note is part of the transaction that it tells of. */
  readonly isInDatabase: boolean;
  /** Notes a transaction that is about to be committed. Called within it; `xid` null: nothing is committed. */
  add(client: pg.Client, entry: Entry): Promise<void>;
  /** Returns whether the transaction noted last was committed. Its session has ended, but its server has not crashed. */
  isCommitted(client: pg.Client, entry: Entry): Promise<boolean>;
  /** Notes that the transaction noted last was not committed. */
  discard(entry: Entry): void;
}

/** Notes in a file. `journal` null: nothing is written down, and the load cannot be continued. */
export class FileNotes implements Notes {
  readonly isInDatabase = false;
  private readonly journal: Journal | null;

  constructor(journal: Journal | null) {
    this.journal = journal;
  }

  add(_client: pg.Client, entry: Entry): Promise<void> {
    this.journal?.add(entry);
    return Promise.resolve();
  }

  async isCommitted(client: pg.Client, { xid }: Entry): Promise<boolean> {
    return xid !== null && (await statusOf(client, xid)) === 'committed';
  }

  discard({ lane, xid }: Entry): void {
    if (xid !== null) this.journal?.add({ lane, void: xid });
  }
}

/** What a lane needs to note its transactions in the database, as plain data for its thread. */
export interface StoredNotesSettings {
  /** SQL with the run, the lane and the entry as parameters. It changes nothing where another process carries the shard. */
  readonly insert: string;
  /** SQL with the run, the lane and the entry as parameters. It returns a row if the entry is there. */
  readonly find: string;
  readonly runId: string;
}

/** Notes in the database, each in the transaction that it tells of: if it is there, the transaction was committed. */
export class StoredNotes implements Notes {
  readonly isInDatabase = true;
  private readonly settings: StoredNotesSettings;

  constructor(settings: StoredNotesSettings) {
    this.settings = settings;
  }

  async add(client: pg.Client, entry: Entry): Promise<void> {
    const { rowCount } = await client.query(this.settings.insert, this.parameters(entry));
    if (rowCount === 0)
      throw new Ended({ kind: 'refused', message: `another process took over this shard of ${this.settings.runId}` });
  }

  async isCommitted(client: pg.Client, entry: Entry): Promise<boolean> {
    return (await client.query(this.settings.find, this.parameters(entry))).rowCount !== 0;
  }

  discard(): void {}

  private parameters(entry: Entry): unknown[] {
    return [this.settings.runId, entry.lane, JSON.stringify(entry)];
  }
}
