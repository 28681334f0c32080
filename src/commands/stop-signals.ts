import os from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** A signal came before there was anything to finish. */
export class Stopped extends Error {
  constructor(signal: string) {
    super(`stopped by ${signal} before the first write`);
  }
}

/* What is waited for once it is cancelled. */
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
    // As a shell tells of a process that a signal has ended.
    const code = 128 + os.constants.signals[name];
    try {
      this.last?.({ code, reason });
    } finally {
      process.exit(code);
    }
  }

  /** Called with the first signal, also where it came already. */
  onFirst(handler: (signal: string) => void): void {
    this.handler = handler;
    if (this.signal !== null) handler(this.signal);
  }

  /** What is done before the second signal ends the process: nothing that waits. */
  beforeForced(last: (exit: { readonly code: number; readonly reason: string }) => void): void {
    this.last = last;
  }

  /**
   * Work that the first signal ends; `cancel` frees what it holds.
   * @throws Stopped when the signal has come.
   */
  async interruptible<T>(work: Promise<T>, cancel: () => Promise<void>): Promise<T> {
    const stopped = new Promise<never>((_, reject) => this.onFirst((signal) => reject(new Stopped(signal))));
    try {
      return await Promise.race([work, stopped]);
    } catch (error) {
      if (error instanceof Stopped) {
        // In an outage neither comes to an end.
        const ended = cancel().then(() => work);
        await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, MOST_CANCEL_MS).unref())]).catch(
          () => undefined,
        );
      }
      throw error;
    } finally {
      this.handler = null;
    }
  }

  /** Leaves signals to the system again. */
  release(): void {
    for (const name of SIGNALS) process.removeListener(name, this.listen);
  }
}
