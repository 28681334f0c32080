import { Interrupted, type Load } from './load.js';
import { settle } from './settle.js';
import { measure, type Step, warmUpOf } from './step.js';

/** A consumer that the benchmark may stop for a while. */
export interface Pausable {
  readonly target: string;
  /** Null where it may not be stopped: why. */
  readonly refusal: string | null;
  pause(): Promise<void>;
  resume(): Promise<void>;
}

export interface OverheadOptions {
  readonly consumers: readonly Pausable[];
  readonly rounds: number;
  readonly holdMs: number;
}

/** What a consumer costs the source. */
interface ConsumerOverhead {
  /** Null where it was measured: why not. */
  readonly not_measured: string | null;
  readonly with: readonly Step[];
  readonly without: readonly Step[];
  /** Share of the throughput that it costs: above 0 where the source does more without it. */
  readonly throughput_share: number | null;
  /** How many times as long the 99th percentile of the response is with it. */
  readonly response_p99_ratio: number | null;
}

export interface OverheadResult {
  readonly kind: 'overhead';
  readonly interrupted: string | null;
  readonly consumers: Readonly<Record<string, ConsumerOverhead>>;
}

/** The source as fast as it goes, with each consumer and without it in turn, so that a machine that changes is not taken for a cost. */
export async function overhead(load: Load, { consumers, rounds, holdMs }: OverheadOptions): Promise<OverheadResult> {
  const found: Record<string, ConsumerOverhead> = {};
  try {
    for (const [index, consumer] of consumers.entries()) {
      const left = ((consumers.length - index) * rounds * 2 * (holdMs + warmUpOf(holdMs))) / 1000;
      found[consumer.target] =
        consumer.refusal === null
          ? await costOf(load, consumer, { rounds, holdMs, left }).catch((error: Error) => {
              if (error instanceof Interrupted) throw error;
              return compared(error.message, [], []);
            })
          : compared(consumer.refusal, [], []);
    }
    return { kind: 'overhead', interrupted: null, consumers: found };
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    return { kind: 'overhead', interrupted: error.message, consumers: found };
  }
}

async function costOf(
  load: Load,
  consumer: Pausable,
  { rounds, holdMs, left }: { readonly rounds: number; readonly holdMs: number; readonly left: number },
): Promise<ConsumerOverhead> {
  const [withIt, without]: [Step[], Step[]] = [[], []];
  const round = async (steps: Step[], text: string) => {
    load.tell(text, left);
    steps.push(await measure(load, null, warmUpOf(holdMs), holdMs));
  };
  for (let at = 1; at <= rounds; at++) {
    load.tell(`waiting for targets to catch up before round ${at} of ${rounds}`, left);
    await settle(load, holdMs * 2);
    await round(withIt, `with ${consumer.target}, round ${at} of ${rounds}`);
    await consumer.pause();
    try {
      await round(without, `without ${consumer.target}, round ${at} of ${rounds}`);
    } finally {
      await consumer.resume();
    }
  }
  const voided = [...withIt, ...without].find((step) => step.void !== null);
  if (voided !== undefined) return compared(voided.void, [], []);
  return compared(null, withIt, without);
}

function compared(refusal: string | null, withIt: readonly Step[], without: readonly Step[]): ConsumerOverhead {
  const mean = (steps: readonly Step[], of: (step: Step) => number) =>
    steps.reduce((sum, step) => sum + of(step), 0) / steps.length;
  const ratio = (of: (step: Step) => number) =>
    withIt.length === 0 ? null : Number((mean(withIt, of) / mean(without, of)).toPrecision(4));
  const throughput = ratio((step) => step.operations_per_second);
  return {
    not_measured: refusal,
    with: withIt,
    without,
    throughput_share: throughput === null ? null : Number((1 - throughput).toPrecision(3)),
    response_p99_ratio: ratio((step) => step.response_seconds?.p99 ?? 0),
  };
}
