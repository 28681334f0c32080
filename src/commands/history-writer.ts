import { beginHistory, type HistoryHeader, type HistoryLines, progressLine } from '../history/history-file.js';
import type { StoredPlan } from '../history/stored-plan.js';
import type { CounterTotals } from '../traffic/counters.js';

const PROGRESS_MS = 1000;

/** Writes the header and the progress of a run's history. The lanes write their exceptions themselves. */
export class HistoryWriter {
  readonly file: string;
  private readonly lines: HistoryLines;
  private readonly say: (text: string) => void;
  private timer: NodeJS.Timeout | null = null;
  private totals: CounterTotals | null = null;
  private lanes = 0;

  /** @throws SetupError where the file cannot be written. */
  constructor(file: string, header: HistoryHeader, stored: StoredPlan, say: (text: string) => void) {
    this.file = file;
    this.say = say;
    this.lines = beginHistory(file, header, stored);
  }

  /** Writes the progress of the lanes once a second. */
  follow(totals: CounterTotals, lanes: number): void {
    this.totals = totals;
    this.lanes = lanes;
    this.timer = setInterval(() => this.write(), PROGRESS_MS);
    this.timer.unref();
  }

  /** Writes why the run ended, and closes the file. Safe to call twice. */
  end(reason: string): void {
    if (this.timer === null) return;
    clearInterval(this.timer);
    this.timer = null;
    this.write(reason);
    this.lines.close();
  }

  private write(end?: string): void {
    const { totals } = this;
    if (totals === null) return;
    const operations = Array.from({ length: this.lanes }, (_, lane) => totals.laneApplied(lane));
    const lostCommits = totals.scalar('lostCommits') > 0;
    const isIncomplete = totals.scalar('historyLost') > 0;
    try {
      this.lines.write([
        progressLine({
          operations,
          ...(lostCommits ? { lostCommits } : {}),
          ...(isIncomplete ? { isIncomplete } : {}),
          ...(end === undefined ? {} : { end }),
        }),
      ]);
    } catch (error) {
      this.say((error as Error).message);
    }
  }
}
