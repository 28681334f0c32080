import { type Limit, readUsage, type Usage, utilisationBetween, type Verdict, verdictOf } from '../traffic/verdict.js';
import { type Moment, type MomentSource, readMoment } from './moment.js';
import { PhaseLog, type PhaseVerdict } from './phases.js';
import { type Point, Series } from './series.js';

export interface RecorderOptions extends MomentSource {
  readonly connections: number;
  readonly isScheduled: boolean;
  /** Time since the traffic began; negative before. */
  readonly trafficSeconds: () => number;
  /** The phase of the schedule that a moment of the traffic lies in; null outside. */
  readonly phaseAt: (trafficSeconds: number) => string | null;
  /** Told of every point, once a second. */
  readonly observe: (point: Point, moment: Moment) => void;
}

const INTERVAL_MS = 1000;
/** While a run is on, its verdict covers this many of the last seconds. */
const RECENT = 10;

/** Keeps a run's history, a moment a second, for the page and the report; and says what limits the run just now. */
export class Recorder {
  private readonly options: RecorderOptions;
  private readonly series: Series;
  private readonly usages: Usage[] = [];
  private readonly phases = new PhaseLog();
  private begun: Usage | null = null;
  private readonly timer: NodeJS.Timeout;

  constructor(options: RecorderOptions) {
    this.options = options;
    this.series = new Series(readMoment(options), options.isScheduled);
    this.timer = setInterval(() => this.record(), INTERVAL_MS);
    this.timer.unref();
  }

  /** The history so far. */
  points(): readonly Point[] {
    return this.series.points();
  }

  /** What limits the run just now, by its last seconds; null in the first one, and while a connection is missing. */
  verdict(): Verdict | null {
    const [first] = this.usages;
    const last = this.usages[this.usages.length - 1];
    if (first === undefined || last === undefined || first === last) return null;
    // While lanes wait for their connections nothing limits the run but that.
    const { totals, connections } = this.options;
    if (totals.scalar('lanesConnected') + totals.scalar('lanesEnded') < connections) return null;
    return this.verdictBetween(first, last);
  }

  /** Returns how time was spent until the traffic began; null if that was less than a second ago, or is yet to come. */
  get usageAtStart(): Usage | null {
    return this.begun;
  }

  /** Returns what limited the run in each phase of its schedule; empty if there is only one. */
  phaseVerdicts(): PhaseVerdict[] {
    return this.phases.verdicts();
  }

  private verdictBetween(first: Usage, last: Usage): Verdict {
    const { workers, connections } = this.options;
    return verdictOf(utilisationBetween(first, last), {
      workers,
      connections,
      elapsedSeconds: last.seconds,
      missed: last.missed - first.missed,
    });
  }

  limit(): Limit | null {
    return this.verdict()?.limit ?? null;
  }

  /** Takes the last moment. */
  end(): void {
    clearInterval(this.timer);
    this.series.close(readMoment(this.options));
  }

  private record(): void {
    const { totals, workers, observe } = this.options;
    const moment = readMoment(this.options);
    const { seconds, counts } = moment;
    const usage = readUsage(totals, workers, { seconds, cpuSeconds: counts.cpuSeconds });
    this.noteTraffic(this.usages[this.usages.length - 1], usage);
    this.usages.push(usage);
    if (this.usages.length > RECENT + 1) this.usages.shift();
    observe(this.series.add(moment), moment);
  }

  private noteTraffic(before: Usage | undefined, now: Usage): void {
    const trafficSeconds = this.options.trafficSeconds();
    if (trafficSeconds < 0) return;
    this.begun ??= now;
    if (before === undefined) return;
    const seconds = now.seconds - before.seconds;
    // The middle of the interval: its end may lie in the next phase already.
    const phase = this.options.phaseAt(trafficSeconds - seconds / 2);
    if (phase === null) return;
    const { limit } = this.verdictBetween(before, now);
    if (limit !== null) this.phases.add(phase, limit, seconds);
  }
}
