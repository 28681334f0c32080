import os from 'node:os';
import { settledWithin } from '../patience.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** Thrown if a signal came before there was anything to finish. */
export class Stopped extends Error {
  constructor(signal: string) {
    super(`stopped by ${signal} before the first write`);
  }
}

/* The longest wait for cancelled work. */
const MOST_CANCEL_MS = 5000;

/**
 * Ctrl+C, SIGTERM and SIGHUP: the first one asks, the second one ends at once with 130, 143 or 129. SIGQUIT ends at once, with
 * what there is.
 */
export class StopSignals {
  signal: string | null = null;
  private handler: ((signal: string) => void) | null = null;
  private last: ((exit: { readonly code: number; readonly reason: string }) => void) | null = null;
  private readonly listen = (name: NodeJS.Signals) => {
    if (name === 'SIGQUIT') this.force(name, 'SIGQUIT forced the end');
    if (this.signal !== null) this.force(name, `a second signal (${name}) forced the end`);
    this.signal = name;
    this.handler?.(name);
  };

  constructor() {
    for (const name of SIGNALS) process.on(name, this.listen);
  }

  private force(name: NodeJS.Signals, reason: string): never {
    // The exit code that shells use for a process ended by a signal.
    const code = 128 + os.constants.signals[name];
    try {
      this.last?.({ code, reason });
    } finally {
      process.exit(code);
    }
  }

  /** Sets a handler for the first signal, which is called at once if the signal came already. */
  onFirst(handler: (signal: string) => void): void {
    this.handler = handler;
    if (this.signal !== null) handler(this.signal);
  }

  /** Sets what is done before a second signal ends the process. It must not wait. */
  beforeForced(last: (exit: { readonly code: number; readonly reason: string }) => void): void {
    this.last = last;
  }

  /**
   * Runs work that the first signal ends. `cancel` releases what it holds.
   * @throws Stopped if the signal comes.
   */
  async interruptible<T>(work: Promise<T>, cancel: () => Promise<void>): Promise<T> {
    // Such work may be nested: when the inner work ends, signals go to the outer one again.
    const before = this.handler;
    const stopped = new Promise<never>((_, reject) => this.onFirst((signal) => reject(new Stopped(signal))));
    try {
      return await Promise.race([work, stopped]);
    } catch (error) {
      if (error instanceof Stopped) {
        // In an outage neither of them ends.
        const ended = cancel().then(() => work);
        await settledWithin(ended, MOST_CANCEL_MS);
      }
      throw error;
    } finally {
      this.handler = before;
    }
  }

  /** Restores the default handling of signals. */
  release(): void {
    for (const name of SIGNALS) process.removeListener(name, this.listen);
  }
}
