import type { CurveResult } from '../benchmark/curve.js';
import type { DrainResult } from '../benchmark/drain.js';
import type { MaxResult } from '../benchmark/max.js';
import type { OverheadResult } from '../benchmark/overhead.js';
import type { LagResult } from '../benchmark/result.js';
import { slowestStage } from '../benchmark/slowest.js';
import type { Step } from '../benchmark/step.js';
import type { TourResult } from '../benchmark/tour.js';

/** A table for people: heads and rows of words. */
interface LagTable {
  readonly title: string;
  readonly heads: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** What a benchmark has found out: sentences first, then its figures. */
export interface LagText {
  readonly sentences: readonly string[];
  readonly tables: readonly LagTable[];
}

/** For the terminal and the report alike. */
export function lagText(result: LagResult): LagText {
  const load = result.pattern === 'mixed' ? 'the configured load' : `the pattern ${result.pattern}`;
  const begin = result.interrupted === null ? [] : [`Incomplete: ${result.interrupted}.`];
  const { sentences, tables } = textOf(result);
  return { sentences: [...begin, ...sentences, `Measured with ${load}.`], tables };
}

type Finding = CurveResult | MaxResult | DrainResult | OverheadResult | TourResult;

function textOf(result: Finding): LagText {
  switch (result.kind) {
    case 'tour': {
      const parts = result.parts.map(textOf);
      return {
        sentences: parts.flatMap(({ sentences }) => sentences),
        tables: parts.flatMap(({ tables }, at) =>
          tables.map((each) => ({ ...each, title: `${TITLES[result.parts[at]!.kind]}: ${each.title}` })),
        ),
      };
    }
    case 'curve':
      return curveText(result);
    case 'max':
      return maxText(result);
    case 'drain':
      return drainText(result);
    case 'overhead':
      return overheadText(result);
  }
}

const TITLES = { curve: 'rising load', max: 'the highest rate', drain: 'a burst' } as const;

function sourceSentence(source: Step | null): string[] {
  if (source === null) return [];
  const wal =
    source.wal_megabytes_per_second === null
      ? ''
      : `, ${figure(source.wal_megabytes_per_second)} MB/s of WAL, ${figure(source.wal_bytes_per_row ?? 0)} bytes per row`;
  return [
    `At full speed the source reaches ${figure(source.operations_per_second)} operations/s (${figure(source.rows_per_second)} rows/s${wal}).`,
  ];
}

const STEP_HEADS = ['operations/s', 'rows/s', 'WAL MB/s', 'p50', 'p90', 'p99', 'max', 'backlog', 'slowest stage', ''];

/* A backlog that grows by less than this is told as none. */
const STEADY = 0.01;

/** How one target did at several rates. */
function stepTable(name: string, steps: readonly (Step & { readonly share?: number })[]): LagTable {
  return {
    title: `lag of ${name}`,
    heads: ['load', ...STEP_HEADS],
    rows: steps.map((step) => {
      const target = step.targets[name]!;
      const lag = target.lag_seconds;
      const slope = target.backlog_slope;
      const slowest = slowestStage(target);
      return [
        step.share === undefined ? `${figure(step.rate ?? 0)}/s` : `${Math.round(step.share * 100)} %`,
        figure(step.operations_per_second),
        figure(step.rows_per_second),
        step.wal_megabytes_per_second === null ? '–' : figure(step.wal_megabytes_per_second),
        ...(['p50', 'p90', 'p99', 'max'] as const).map((key) => (lag === null ? '–' : time(lag[key]))),
        slope <= Math.max(STEADY, 2 * target.backlog_slope_error) ? 'steady' : `+${slope.toFixed(2)} s/s`,
        slowest === null ? '–' : slowest.stage,
        step.void === null ? '' : 'does not count',
      ];
    }),
  };
}

function targetsOf(steps: readonly Step[]): string[] {
  return Object.keys(steps[0]?.targets ?? {});
}

function curveText({ source, steps }: CurveResult): LagText {
  const voided = steps.filter((step) => step.void !== null);
  const late = steps.filter(({ not_caught_up: names }) => names.length > 0);
  return {
    sentences: [
      ...sourceSentence(source),
      ...voided.map((step) => `The step at ${Math.round(step.share * 100)} % does not count: ${step.void}.`),
      ...late.map(
        (step) =>
          `When the step at ${Math.round(step.share * 100)} % began, ${step.not_caught_up.join(', ')} had not caught up after the previous step.`,
      ),
    ],
    tables: targetsOf(steps).map((name) => stepTable(name, steps)),
  };
}

function maxText(result: MaxResult): LagText {
  const { sustained, exceeded, because, confirmations, limit, trials } = result;
  const times = confirmations === 1 ? 'once' : `${confirmations} times`;
  const answer =
    sustained === null
      ? `The targets sustained no rate within ${limit}${because === null ? '' : `: ${because}`}.`
      : exceeded === null
        ? `Within ${limit} the targets sustain at least ${figure(sustained)} operations/s (measured ${times}): ${because ?? 'no limit was found'}.`
        : `Within ${limit} the targets sustain between ${figure(sustained)} and ${figure(exceeded)} operations/s (the lower rate was sustained ${times}).`;
  return {
    sentences: [
      answer,
      ...(exceeded === null || sustained === null || because === null
        ? []
        : [`At ${figure(exceeded)} operations/s: ${because}.`]),
    ],
    tables: targetsOf(trials).map((name) => stepTable(name, trials)),
  };
}

function drainText({ burst, targets }: DrainResult): LagText {
  return {
    sentences: sourceSentence(burst),
    tables: [
      {
        title: 'after the burst',
        heads: ['target', 'lag at its end', 'behind', 'caught up after', 'rows/s', 'MB/s', 'headroom', 'slowest stage'],
        rows: Object.entries(targets).map(([name, target]) => {
          const step = burst?.targets[name];
          return [
            name,
            time(target.lag_at_end_seconds),
            target.bytes_at_end === null ? '–' : `${figure(target.bytes_at_end / 1e6)} MB`,
            target.seconds === null ? 'not in time' : time(target.seconds),
            target.rows_per_second === null ? '–' : figure(target.rows_per_second),
            target.megabytes_per_second === null ? '–' : figure(target.megabytes_per_second),
            headroom(target),
            step === undefined ? '–' : (slowestStage(step)?.stage ?? '–'),
          ];
        }),
      },
    ],
  };
}

/* A lag below this is none to catch up with. */
const KEPT_UP_SECONDS = 0.2;

function headroom({ headroom: times, seconds, lag_at_end_seconds: lag }: DrainResult['targets'][string]): string {
  if (times !== null) return `${times.toFixed(2)} ×`;
  if (seconds === null) return '–';
  return lag < KEPT_UP_SECONDS ? 'kept up' : 'too short to tell';
}

function overheadText({ consumers }: OverheadResult): LagText {
  const rate = (steps: readonly Step[]) =>
    steps.length === 0 ? '–' : figure(steps.reduce((sum, step) => sum + step.operations_per_second, 0) / steps.length);
  return {
    sentences: Object.entries(consumers).flatMap(([name, { not_measured: refusal }]) =>
      refusal === null ? [] : [`${name} was not measured: ${refusal}.`],
    ),
    tables: [
      {
        title: 'operations/s of the source',
        heads: ['consumer', 'with it', 'without it', 'costs', 'response p99 with/without'],
        rows: Object.entries(consumers).map(([name, consumer]) => [
          name,
          rate(consumer.with),
          rate(consumer.without),
          consumer.throughput_share === null ? '–' : `${(consumer.throughput_share * 100).toFixed(1)} %`,
          consumer.response_p99_ratio === null ? '–' : String(consumer.response_p99_ratio),
        ]),
      },
    ],
  };
}

function figure(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}

function time(value: number): string {
  if (value < 0.01) return `${(value * 1000).toFixed(2)} ms`;
  return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(value < 10 ? 2 : 1)} s`;
}
