/** A signal came before there was anything to finish. */
export class Stopped extends Error {
  constructor(signal: string) {
    super(`stopped by ${signal} before the first write`);
  }
}

/** Ctrl+C and SIGTERM: the first one asks, the second one ends at once with 130 or 143. */
export class StopSignals {
  signal: string | null = null;
  private handler: ((signal: string) => void) | null = null;
  private last: ((exit: { readonly code: number; readonly reason: string }) => void) | null = null;
  private readonly listen = (name: NodeJS.Signals) => {
    if (this.signal !== null) {
      const code = name === 'SIGINT' ? 130 : 143;
      try {
        this.last?.({ code, reason: `a second signal (${name}) forced the end` });
      } finally {
        process.exit(code);
      }
    }
    this.signal = name;
    this.handler?.(name);
  };

  constructor() {
    process.on('SIGINT', this.listen);
    process.on('SIGTERM', this.listen);
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
        await cancel();
        await work.catch(() => undefined);
      }
      throw error;
    } finally {
      this.handler = null;
    }
  }

  /** Leaves signals to the system again. */
  release(): void {
    process.removeListener('SIGINT', this.listen);
    process.removeListener('SIGTERM', this.listen);
  }
}
