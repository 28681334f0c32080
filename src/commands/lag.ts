import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { lagCurve } from '../benchmark/curve.js';
import { drain } from '../benchmark/drain.js';
import { Interrupted, type Load, type Look, type Stand } from '../benchmark/load.js';
import { highestRate, type LagLimit } from '../benchmark/max.js';
import { overhead, type Pausable } from '../benchmark/overhead.js';
import { overridesFor, type Pattern } from '../benchmark/patterns.js';
import type { LagResult } from '../benchmark/result.js';
import { tour } from '../benchmark/tour.js';
import { isLoopback, placesIn } from '../config/connection.js';
import { parseDurationMs } from '../config/duration.js';
import type { Config, Override } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import { isServer, type ReplicationTarget } from '../config/replication.js';
import type { ReplicationProbe } from '../lag/probe.js';
import { pausedByUs, pauseSubscription, resumeSubscription } from '../lag/subscription.js';
import { connectCoordinator } from '../prepare/connect.js';
import type { Traffic } from '../traffic/coordinator.js';
import type { SteeredSchedule } from '../traffic/steering.js';
import { readUsage } from '../traffic/verdict.js';
import type { LoadControl } from './load-control.js';

/** Options of `lag`. */
export type LagOptions = {
  readonly pattern: Pattern;
  readonly holdMs: number;
  /** After this time the benchmark ends with the results so far. */
  readonly budgetMs: number;
} & (
  | { readonly kind: 'curve'; readonly shares: readonly number[] }
  | { readonly kind: 'max'; readonly limit: LagLimit }
  | { readonly kind: 'tour' }
  | { readonly kind: 'drain'; readonly burstMs: number }
  | { readonly kind: 'overhead'; readonly rounds: number }
);

/** Reads a limit such as `p99 < 2s` of `--limit`; undefined for anything else. */
export function parseLimit(text: string): LagLimit | undefined {
  const match = /^(p50|p90|p95|p99|p999|max)\s*<\s*(\S.*)$/.exec(text.trim());
  const ms = match === null ? undefined : parseDurationMs(match[2]!);
  if (match === null || ms === undefined || ms === 0) return undefined;
  return { text: text.trim(), percentile: match[1] as LagLimit['percentile'], seconds: ms / 1000 };
}

/** Reads the shares of `--steps`: a number of equal steps up to 100 %, or percentages; undefined for anything else. */
export function parseSteps(text: string): readonly number[] | undefined {
  const numbers = text.split(',').map((each) => Number(each.trim().replace(/%$/, '')));
  if (numbers.some((each) => !Number.isFinite(each) || each <= 0)) return undefined;
  const [first] = numbers as [number];
  if (numbers.length === 1 && !text.includes('%'))
    return Number.isInteger(first) && first <= 100
      ? Array.from({ length: first }, (_, index) => (index + 1) / first)
      : undefined;
  return numbers.every((each) => each <= 100) ? numbers.map((each) => each / 100).sort((a, b) => a - b) : undefined;
}

/** Returns overrides that remove the load of the configuration, because the benchmark sets the load. */
export function overridesOfLag(options: LagOptions): Override[] {
  const option = `lag ${options.kind}`;
  const keys = ['rate', 'stages', 'spikes', 'duration', 'hold_lag', 'control_file', 'traps'];
  const pace = ['arrival', 'rate_unit', 'catch_up', 'catch_up_seconds', 'late_after'];
  return [
    { path: ['generator', 'num_iterations'], value: -1, option },
    { path: ['generator', 'wait_after_operations'], value: 0, option },
    { path: ['generator', 'enable_index_create_drop'], value: false, option },
    { path: ['verify'], value: {}, option },
    ...[...keys, ...pace].map((key) => ({ path: ['traffic', key], value: undefined, option })),
    ...overridesFor(options.pattern),
  ];
}

/* Operations that are late by more than this share of a step are dropped; catching up would be a burst. */
const MOST_BACKLOG = 0.02;
const LEAST_BACKLOG_SECONDS = 0.5;

/** Returns for how many seconds a benchmark keeps late arrivals. */
export function backlogSecondsOf({ holdMs }: LagOptions): number {
  return Math.max(LEAST_BACKLOG_SECONDS, (holdMs / 1000) * MOST_BACKLOG);
}

/** @throws SetupError if there is nothing to measure. */
export function checkLag(config: Config, options: LagOptions): void {
  if (config.replication === null)
    throw SetupError.of(
      `lag ${options.kind}`,
      'has nothing to measure: add a standby, a subscriber, a slot or a command to replication.targets',
    );
}

export interface LagJob {
  readonly options: LagOptions;
  readonly config: Config;
  readonly runId: string;
  readonly traffic: Traffic;
  readonly steered: SteeredSchedule;
  readonly probe: ReplicationProbe;
  readonly control: LoadControl;
  readonly say: (text: string) => void;
}

const WAIT_MS = 50;
/* Time for what happens before and after the waiting of a benchmark. */
const GRACE_MS = 3000;

/** Runs a benchmark on the traffic of a run. */
export class LagBenchmark implements Load {
  readonly connections: number;
  readonly workers: number;
  readonly result: Promise<LagResult>;
  private readonly job: LagJob;
  private readonly startMs = performance.now();
  private over: string | null = null;
  private told: { readonly phase: string; readonly endMs: number } = { phase: 'connecting', endMs: 0 };

  /** `done` is called when the benchmark is complete and the traffic may end. */
  constructor(job: LagJob, done: () => void) {
    this.job = job;
    this.workers = job.traffic.workers;
    this.connections = job.config.generator.connections;
    this.result = this.carryOut().finally(done);
    // Those that wait for the result receive the error.
    this.result.catch(() => undefined);
    void job.traffic.ended.then(() => this.interrupt('the traffic has ended'));
  }

  /** The current phase, in words. */
  get phase(): string {
    return this.told.phase;
  }

  get secondsLeft(): number {
    return Math.max(0, (this.told.endMs - performance.now()) / 1000);
  }

  interrupt(reason: string): void {
    this.over ??= reason;
  }

  steer(rate: number): void {
    const { steered, traffic } = this.job;
    steered.steer(Math.max(0, traffic.elapsedMs() / 1000), rate);
  }

  look(): Look {
    const { traffic, probe } = this.job;
    return { ms: performance.now(), operations: traffic.totals.operations(), replication: probe.read() };
  }

  read(): Stand {
    const { traffic, probe, control } = this.job;
    const { totals, workers } = traffic;
    const { user, system } = process.cpuUsage();
    const look = this.look();
    return {
      ...look,
      rows: totals.total('rows'),
      dropped: totals.scalar('dropped'),
      reconnects: totals.scalar('reconnects'),
      pauses: control.pauses.length,
      pausedBecause: control.pausedBecause,
      response: totals.merged(['response', 'warmUpResponse']),
      usage: readUsage(totals, workers, { seconds: look.ms / 1000, cpuSeconds: (user + system) / 1e6 }),
      lags: probe.lagAtLeast(),
    };
  }

  async wait(ms: number): Promise<void> {
    const endMs = performance.now() + ms;
    const { budgetMs } = this.job.options;
    for (;;) {
      if (performance.now() - this.startMs > budgetMs)
        this.over ??= `the time budget of ${Math.round(budgetMs / 1000)} s was used up (--budget)`;
      if (this.over !== null) throw new Interrupted(this.over);
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return;
      await new Promise((resolve) => setTimeout(resolve, Math.min(WAIT_MS, leftMs)));
    }
  }

  tell(phase: string, secondsLeft: number): void {
    this.told = { phase, endMs: performance.now() + secondsLeft * 1000 };
  }

  say(text: string): void {
    this.job.say(text);
  }

  cpuSeconds(target: string, which: 'sender' | 'applier'): number | null {
    const { probe, config } = this.job;
    const reading = probe.read().targets.find((each) => each.target === target);
    const processId = reading?.processes[which] ?? null;
    // One of a table stands for its target.
    const server = config.replication!.targets.find(({ name }) => target === name || target.startsWith(`${name}/`))!;
    const connection = which === 'sender' ? config.connection : isServer(server) ? server.connection : null;
    const isHere = connection !== null && placesIn(connection).every(({ host }) => isLoopback(host));
    return processId === null || !isHere ? null : cpuSecondsOf(processId);
  }

  private async carryOut(): Promise<LagResult> {
    const { options, traffic } = this.job;
    // The clock of the schedule starts when the last lane is connected.
    while (traffic.elapsedMs() < 0) await this.wait(WAIT_MS);
    const { pattern, holdMs } = options;
    switch (options.kind) {
      case 'curve':
        return { pattern, ...(await lagCurve(this, { shares: options.shares, holdMs })) };
      case 'max':
        return { pattern, ...(await highestRate(this, { limit: options.limit, holdMs })) };
      case 'tour':
        return { pattern, ...(await tour(this, holdMs)) };
      case 'drain':
        return {
          pattern,
          ...(await drain(this, {
            burstMs: options.burstMs,
            mostMs: Math.max(1000, options.budgetMs - options.burstMs - GRACE_MS),
          })),
        };
      case 'overhead':
        return {
          pattern,
          ...(await overhead(this, { consumers: this.consumers(), rounds: options.rounds, holdMs })),
        };
    }
  }

  private consumers(): Pausable[] {
    const { config, runId } = this.job;
    return config.replication!.targets.map((target): Pausable => {
      const work = (with_: (client: pg.Client) => Promise<void>) => onTarget(target, config, runId, with_);
      const { schema } = config.replication!;
      return {
        target: target.name,
        refusal:
          isServer(target) && target.mayPause
            ? null
            : target.kind === 'logical'
              ? 'the benchmark may not pause it: set may_pause: true on the target'
              : 'only subscriptions can be paused',
        pause: () => work((client) => pauseSubscription(client, schema, runId)),
        resume: () => work((client) => resumeSubscription(client, schema)),
      };
    });
  }
}

/** Enables subscriptions again that a benchmark had disabled before it was killed. */
export async function resumeLeftovers(config: Config, runId: string, say: (text: string) => void): Promise<void> {
  const { targets, schema } = config.replication!;
  for (const target of targets)
    if (target.kind === 'logical' && target.mayPause && !target.embedded)
      await onTarget(target, config, runId, async (client) => {
        const name = await pausedByUs(client, schema);
        if (name === null) return;
        await resumeSubscription(client, schema);
        say(`enabled the subscription ${name} of ${target.name} again; a benchmark that was killed had disabled it`);
      });
}

async function onTarget(
  target: ReplicationTarget,
  config: Config,
  runId: string,
  work: (client: pg.Client) => Promise<void>,
): Promise<void> {
  if (!isServer(target)) return;
  const client = await connectCoordinator(target.connection, config, runId);
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

/* The value of practically all Linux systems. */
const TICKS_PER_SECOND = 100;

/** Returns the processor time of a server process; null if it cannot be read, or is another process. */
function cpuSecondsOf(processId: number): number | null {
  try {
    // A server in a container has its own process ids.
    if (!readFileSync(`/proc/${processId}/cmdline`, 'latin1').startsWith('postgres')) return null;
    const stat = readFileSync(`/proc/${processId}/stat`, 'latin1');
    // The name before it may contain spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return null;
  }
}
