/** Ctrl+C and SIGTERM: the first one asks, the second one ends at once with 130 or 143. */
export class StopSignals {
  signal: string | null = null;
  private handler: ((signal: string) => void) | null = null;
  private readonly listen = (name: NodeJS.Signals) => {
    if (this.signal !== null) process.exit(name === 'SIGINT' ? 130 : 143);
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

  ignore(): void {
    process.removeListener('SIGINT', this.listen);
    process.removeListener('SIGTERM', this.listen);
  }
}
