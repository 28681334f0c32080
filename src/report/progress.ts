import type { Meter, Reading } from './meter.js';

/** Where progress goes; standard error in a run. */
export interface ProgressOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const LIVE_INTERVAL_MS = 500;
const LINE_INTERVAL_MS = 10_000;
const NARROWEST = 20;

/**
 * Progress of a run or a load: one line that is rewritten on a terminal, a plain line every 10 s elsewhere. Messages
 * in between push the live line down, never into each other.
 */
export class Progress {
  private readonly output: ProgressOutput;
  private readonly json: boolean;
  private readonly quiet: boolean;
  private readonly live: boolean;
  private timer: NodeJS.Timeout | null = null;
  private shown = false;

  constructor(output: ProgressOutput, options: { readonly json: boolean; readonly quiet: boolean }) {
    this.output = output;
    this.json = options.json;
    this.quiet = options.quiet;
    this.live = output.isTTY === true && !options.json;
  }

  /** A line of its own: what happens, warnings. */
  message(level: 'info' | 'warn' | 'error', text: string): void {
    if (this.quiet && level === 'info') return;
    this.clear();
    if (this.json) this.output.write(`${JSON.stringify({ time: new Date().toISOString(), level, message: text })}\n`);
    else this.output.write(`${level === 'info' ? '' : `${level === 'warn' ? 'warning' : 'error'}: `}${text}\n`);
  }

  /** Shows what the meter reads until `stop`. */
  start(meter: Meter): void {
    if (this.quiet) return;
    this.timer = setInterval(() => this.show(meter.read()), this.live ? LIVE_INTERVAL_MS : LINE_INTERVAL_MS);
    this.timer.unref();
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.clear();
  }

  private show({ line, figures }: Reading): void {
    if (this.json) {
      this.output.write(
        `${JSON.stringify({ time: new Date().toISOString(), level: 'info', message: 'progress', ...figures })}\n`,
      );
      return;
    }
    if (!this.live) {
      this.output.write(`${line}\n`);
      return;
    }
    const columns = this.output.columns ?? 80;
    // A terminal of no columns shows nothing; a cut line never wraps, so it can be rewritten in place.
    this.output.write(`\r\u001b[2K${columns >= NARROWEST ? line.slice(0, columns - 1) : ''}`);
    this.shown = true;
  }

  private clear(): void {
    if (this.shown) this.output.write('\r\u001b[2K');
    this.shown = false;
  }
}
