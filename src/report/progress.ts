import { publicJson } from '../config/secrets.js';
import { seconds } from './figures.js';
import type { Meter } from './meter.js';
import { shown } from './shown.js';
import { fittingLine, plainLine, type Reading } from './status-line.js';

/** Where progress goes; standard error in a run. */
export interface ProgressOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  /** As of a terminal: false also where NO_COLOR is set. */
  hasColors?(): boolean;
  write(text: string): unknown;
}

const LIVE_INTERVAL_MS = 500;
const LINE_INTERVAL_MS = 10_000;
const NARROWEST = 20;

const COLOURS = { warn: '\u001b[33m', error: '\u001b[31m' };
const PLAIN = '\u001b[0m';

/**
 * Progress of a run or a load: one line that is rewritten on a terminal, a plain line every 10 s elsewhere. Messages
 * in between push the live line down, never into each other.
 */
export class Progress {
  private readonly output: ProgressOutput;
  private readonly json: boolean;
  private readonly quiet: boolean;
  private readonly isLog: boolean;
  private readonly live: boolean;
  private timer: NodeJS.Timeout | null = null;
  private shown = '';
  /** What a step before the traffic is at; null while there is none. */
  private current: string | null = null;

  /** `isLog`: of a command that may run for long, so that in a file or a pipe its lines have the time of day. */
  constructor(
    output: ProgressOutput,
    options: { readonly json: boolean; readonly quiet: boolean; readonly isLog?: boolean },
  ) {
    this.output = output;
    this.json = options.json;
    this.quiet = options.quiet;
    this.isLog = options.isLog ?? false;
    this.live = output.isTTY === true && !options.json;
  }

  /** A line of its own: what happens, warnings. */
  message(level: 'info' | 'warn' | 'error', text: string): void {
    if (this.quiet && level === 'info') return;
    const live = this.shown;
    this.clear();
    if (this.json) {
      const line = { time: new Date().toISOString(), level, message: text };
      this.output.write(`${publicJson(line)}\n`);
    } else this.output.write(`${this.clock()}${this.mark(level)}${shown(text)}\n`);
    if (live !== '') this.rewrite(live);
  }

  /** Says in the JSON log why a command ended with an exit code above 0; for people the result says so. */
  ended({ code, reason }: { readonly code: number; readonly reason: string }): void {
    if (!this.json || code === 0) return;
    const line = { time: new Date().toISOString(), level: 'error', message: reason, exitCode: code };
    this.output.write(`${publicJson(line)}\n`);
  }

  /** Says why a command failed before it had a result. Returns the exit code. */
  failed(exit: { readonly code: number; readonly reason: string }): number {
    if (this.json) this.ended(exit);
    else this.message('error', exit.reason);
    return exit.code;
  }

  /** Something that may take long, before there is anything to measure; until the next step, `start` or `stop`. */
  step(text: string): void {
    // A step that moves on keeps its clock, and its turn to be shown.
    if (this.current !== null) {
      this.current = text;
      return;
    }
    const beganMs = performance.now();
    this.start({
      read: () => {
        const elapsedSeconds = (performance.now() - beganMs) / 1000;
        return {
          parts: [
            { text: this.current ?? text, rank: 0 },
            { text: seconds(elapsedSeconds), rank: 1 },
          ],
          share: null,
          figures: { step: this.current ?? text, elapsedSeconds },
        };
      },
    });
    this.current = text;
  }

  /** Shows what the meter reads until `stop`. */
  start(meter: Meter): void {
    this.stop();
    if (this.quiet) return;
    this.timer = setInterval(() => this.show(meter.read()), this.live ? LIVE_INTERVAL_MS : LINE_INTERVAL_MS);
    this.timer.unref();
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.current = null;
    this.clear();
  }

  private show(reading: Reading): void {
    if (this.json) {
      const line = { time: new Date().toISOString(), level: 'info', message: 'progress', ...reading.figures };
      this.output.write(`${JSON.stringify(line)}\n`);
    } else if (!this.live) this.output.write(`${this.clock()}${plainLine(reading)}\n`);
    else {
      const columns = this.output.columns ?? 80;
      // A terminal of no columns shows nothing; a line that fits never wraps, so it can be rewritten in place.
      if (columns >= NARROWEST) this.rewrite(fittingLine(reading, columns - 1));
      else this.clear();
    }
  }

  /* Written over the old one and then cleared to its end: a line that is empty for a moment would flicker. */
  private rewrite(line: string): void {
    this.output.write(`\r${line}\u001b[K`);
    this.shown = line;
  }

  private clock(): string {
    return this.live || !this.isLog ? '' : `${new Date().toTimeString().slice(0, 8)} `;
  }

  private mark(level: 'info' | 'warn' | 'error'): string {
    if (level === 'info') return '';
    const word = level === 'warn' ? 'warning:' : 'error:';
    return this.live && this.output.hasColors?.() === true ? `${COLOURS[level]}${word}${PLAIN} ` : `${word} `;
  }

  private clear(): void {
    if (this.shown !== '') this.output.write('\r\u001b[K');
    this.shown = '';
  }
}
