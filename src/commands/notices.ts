import type { Prepared } from '../prepare/examine.js';
import { refusedAlways } from '../report/coverage.js';
import { Outages } from '../report/outages.js';
import type { Progress } from '../report/progress.js';
import type { CounterTotals } from '../traffic/counters.js';
import type { Notice, Refusal } from '../traffic/ledger.js';

/** Shows each notice of the workers once, and keeps examples for the summary. */
export class Notices {
  /** By SQLSTATE, the first message of the server. */
  readonly examples = new Map<string, string>();
  /** The same by SQLSTATE and index of the table, as `exampleOf` reads them. */
  private readonly byTable = new Map<string, string>();
  readonly quarantined = new Map<string, string>();
  private readonly prepared: Prepared;
  private readonly progress: Progress;
  private readonly shown = new Set<string>();

  readonly outages: Outages;

  private readonly setAside: () => void;

  /** `startMs`: start of the run, in terms of `performance.now()`. `setAside` is called on each quarantine. */
  constructor(prepared: Prepared, progress: Progress, startMs: number, setAside: () => void) {
    this.setAside = setAside;
    this.prepared = prepared;
    this.progress = progress;
    this.outages = new Outages(prepared.plan.quotas.length, startMs, (text) => progress.message('warn', text));
  }

  readonly take: Notice = (told) => {
    switch (told.kind) {
      case 'lost':
        this.outages.lost(told.lane, told.reason);
        break;
      case 'connected':
        this.outages.connected(told.lane);
        break;
      case 'server':
        this.showOnce(told.text, told.text);
        break;
      default:
        this.takeRefusal(told);
    }
  };

  /** Returns the first message of the server for a SQLSTATE and a table; empty if there was none. */
  exampleOf(sqlstate: string, relation: number): string {
    return this.byTable.get(`${sqlstate}/${relation}`) ?? '';
  }

  /** Returns the tables that an operation was set aside on, or refused on each time so far, and why. */
  leftOut(totals: CounterTotals): ReadonlyMap<string, string> {
    return new Map([...refusedAlways(this.prepared.plan, totals), ...this.quarantined]);
  }

  private takeRefusal({ kind, sqlstate, relation, text }: Refusal): void {
    const label = this.prepared.plan.relations[relation]?.label ?? '';
    if (kind === 'error' && sqlstate !== '') {
      if (!this.examples.has(sqlstate)) this.examples.set(sqlstate, `${label}: ${text}`);
      const key = `${sqlstate}/${relation}`;
      if (!this.byTable.has(key)) this.byTable.set(key, text);
      return;
    }
    if (kind === 'quarantine') {
      this.quarantined.set(label, text);
      this.setAside();
    }
    this.showOnce(`${kind}/${label}/${text}`, label === '' ? text : `${label}: ${text}`);
  }

  private showOnce(key: string, text: string): void {
    if (this.shown.has(key)) return;
    this.shown.add(key);
    this.progress.message('warn', text);
  }
}
