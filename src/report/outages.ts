/** A time in which at least one lane had no connection. */
export interface Outage {
  readonly from: string;
  readonly seconds: number;
  /** Lanes that had none at some moment of it. */
  readonly lanes: number;
  /** Why the first one lost its connection. */
  readonly reason: string;
}

/* Of outages that come more often, one line in this time tells. */
const QUIET_MS = 10_000;
/* A soak test of days may meet many. */
const MOST_KEPT = 1000;

interface Current {
  readonly from: Date;
  readonly sinceMs: number;
  readonly reason: string;
  readonly lanes: Set<number>;
  isTold: boolean;
}

/** Losses of connections, over all lanes: a line when one begins, one when it is over, and a list for the summary. */
export class Outages {
  private readonly lanes: number;
  private readonly say: (text: string) => void;
  private readonly startMs: number;
  private readonly out = new Set<number>();
  private readonly past: (Outage & { readonly sinceMs: number })[] = [];
  private current: Current | null = null;
  private toldMs = Number.NEGATIVE_INFINITY;
  private untold = 0;
  private timer: NodeJS.Timeout | undefined;

  /** `startMs`: when the run began, as `performance.now()` tells it. */
  constructor(lanes: number, startMs: number, say: (text: string) => void) {
    this.lanes = lanes;
    this.startMs = startMs;
    this.say = say;
  }

  /** A lane has no connection. */
  lost(lane: number, reason: string): void {
    this.out.add(lane);
    if (this.current !== null) {
      this.current.lanes.add(lane);
      return;
    }
    const sinceMs = performance.now();
    this.current = { from: new Date(), sinceMs, reason, lanes: new Set([lane]), isTold: false };
    const quietMs = this.toldMs + QUIET_MS - sinceMs;
    if (quietMs <= 0) this.tell(this.current);
    else this.timer = setTimeout(() => this.tell(this.current!), quietMs).unref();
  }

  /** A lane has a connection, again or for the first time; or it has ended. */
  connected(lane: number): void {
    if (!this.out.delete(lane) || this.out.size > 0) return;
    this.close();
  }

  /** The run is over. */
  end(): void {
    this.out.clear();
    if (this.current !== null) this.close();
  }

  /** The outages so far, the one that lasts among them; the newest where there are more than a thousand. */
  list(): readonly Outage[] {
    return this.all().map(({ from, seconds, lanes, reason }) => ({ from, seconds, lanes, reason }));
  }

  /** When they were, in seconds since the start of the run. */
  spans(): readonly { readonly from: number; readonly to: number }[] {
    return this.all().map(({ sinceMs, seconds }) => {
      const from = (sinceMs - this.startMs) / 1000;
      return { from, to: from + seconds };
    });
  }

  private all(): readonly (Outage & { readonly sinceMs: number })[] {
    return this.current === null ? this.past : [...this.past, outageOf(this.current)];
  }

  private tell(outage: Current): void {
    this.toldMs = performance.now();
    outage.isTold = true;
    const before = this.untold > 0 ? ` (${this.untold} short outages before this one were not reported)` : '';
    this.untold = 0;
    this.say(
      `${outage.lanes.size} of ${this.lanes} lanes lost the connection to the database and reconnect: ${outage.reason}${before}`,
    );
  }

  private close(): void {
    const outage = outageOf(this.current!);
    const { isTold } = this.current!;
    this.current = null;
    clearTimeout(this.timer);
    this.past.push(outage);
    if (this.past.length > MOST_KEPT) this.past.shift();
    if (!isTold) {
      this.untold++;
      return;
    }
    this.say(
      `all lanes are connected again after ${outage.seconds.toFixed(1)} s; ${outage.lanes} had lost their connection`,
    );
  }
}

function outageOf({ from, sinceMs, reason, lanes }: Current): Outage & { readonly sinceMs: number } {
  const seconds = Math.round(performance.now() - sinceMs) / 1000;
  return { from: from.toISOString(), seconds, lanes: lanes.size, reason, sinceMs };
}
