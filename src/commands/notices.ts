import type { Prepared } from '../prepare/examine.js';
import type { Progress } from '../report/progress.js';
import type { Notice } from '../traffic/ledger.js';

/** What workers tell: shown once, and kept as examples for the summary. */
export class Notices {
  readonly examples = new Map<string, string>();
  readonly quarantined = new Map<string, string>();
  private readonly prepared: Prepared;
  private readonly progress: Progress;
  private readonly shown = new Set<string>();

  constructor(prepared: Prepared, progress: Progress) {
    this.prepared = prepared;
    this.progress = progress;
  }

  readonly take: Notice = ({ kind, sqlstate, relation, text }) => {
    const label = this.prepared.plan.relations[relation]?.label ?? '';
    if (kind === 'error' && sqlstate !== '') {
      if (!this.examples.has(sqlstate)) this.examples.set(sqlstate, `${label}: ${text}`);
      return;
    }
    if (kind === 'quarantine') this.quarantined.set(label, text);
    const key = `${kind}/${label}/${text}`;
    if (this.shown.has(key) && kind !== 'outage') return;
    this.shown.add(key);
    this.progress.message('warn', label === '' ? text : `${label}: ${text}`);
  };
}
