import uPlot from 'uplot';
import type { Status } from '../src/page/data.js';
import type { Point } from '../src/report/series.js';
import { element, setText } from './dom.js';
import { bytes, clock, duration, rate } from './format.js';

/** A time that is marked in every chart, in seconds since the start of the run. */
interface Span {
  readonly kind: 'outage' | 'stage' | 'spike' | 'pause';
  readonly from: number;
  readonly to: number;
  readonly label: string;
}

interface Curve {
  readonly label: string;
  /** Name of a colour in page.css. */
  readonly colour: string;
  readonly value: (point: Point) => number | null;
  readonly dashed?: boolean;
}

interface ChartKind {
  readonly title: string;
  readonly format: (value: number | null) => string;
  readonly curves: readonly Curve[];
  /** The scale goes up to here at least: a curve of zeros lies at the bottom. */
  readonly leastTop?: number;
  /** Times differ by orders of magnitude. */
  readonly logarithmic?: boolean;
}

/** What a run has beside what every run has. */
interface Measured {
  /** A load has rows, but no operations. */
  readonly command: 'run' | 'load';
  readonly targets: readonly string[];
  readonly slots: readonly string[];
  /** What the schedule counts; null without one. */
  readonly unit: 'operations' | 'events' | null;
}

/** The charts of a run; those of replication where it was measured. */
export function chartKinds({ command, targets, slots, unit }: Measured): ChartKind[] {
  const lagOf = (target: string, dashed: boolean, value: (lag: Point['lag'][string]) => number | null, label: string) =>
    ({
      label: `${target} ${label}`,
      colour: `target-${targets.indexOf(target) % 4}`,
      dashed,
      value: (point: Point) => {
        const lag = point.lag[target];
        return lag === undefined ? null : value(lag);
      },
    }) satisfies Curve;
  const kinds: ChartKind[] = [
    {
      title: 'Operations per second',
      format: rate,
      leastTop: 1,
      curves: [
        { label: 'achieved', colour: 'first', value: (point) => point.operations },
        ...(unit === 'operations' ? [TARGET] : []),
      ],
    },
    {
      title: 'Events per second',
      format: rate,
      leastTop: 1,
      curves: [
        { label: 'insert', colour: 'insert', value: (point) => point.inserted },
        { label: 'update', colour: 'update', value: (point) => point.updated },
        { label: 'delete', colour: 'delete', value: (point) => point.deleted },
        ...(unit === 'events'
          ? [
              {
                label: 'all',
                colour: 'first',
                value: ({ inserted, updated, deleted }: Point) => inserted + updated + deleted,
              },
              TARGET,
            ]
          : []),
      ],
    },
    {
      title: 'Latency',
      format: duration,
      logarithmic: true,
      curves: [
        { label: 'response p50', colour: 'low', value: (point) => point.response_p50 },
        { label: 'response p95', colour: 'middle', value: (point) => point.response_p95 },
        { label: 'response p99', colour: 'high', value: (point) => point.response_p99 },
        { label: 'since the answer before, p99', colour: 'quiet', dashed: true, value: (point) => point.service_p99 },
      ],
    },
    {
      title: 'Errors and retries per second',
      format: rate,
      leastTop: 1,
      curves: [
        // The last one is drawn on top.
        { label: 'retries', colour: 'quiet', value: (point) => point.retries },
        { label: 'errors', colour: 'bad', value: (point) => point.errors },
      ],
    },
  ];
  if (command === 'load')
    return [
      {
        title: 'Rows per second',
        format: rate,
        leastTop: 1,
        curves: [{ label: 'loaded', colour: 'insert', value: (point) => point.inserted }],
      },
      // The threads of a load do not tell how late their event loops are.
      ...GENERATOR.filter(({ title }) => title !== EVENT_LOOP),
    ];
  if (unit !== null)
    kinds.push({
      title: 'Dropped and late per second',
      format: rate,
      leastTop: 1,
      curves: [
        { label: 'late', colour: 'middle', value: (point) => point.late },
        { label: 'dropped', colour: 'bad', value: (point) => point.dropped },
      ],
    });
  if (targets.length > 0) {
    kinds.push(
      {
        title: 'Replication lag',
        format: duration,
        logarithmic: true,
        curves: targets.flatMap((target) => [
          lagOf(target, false, ({ p99 }) => p99, 'p99'),
          lagOf(target, true, ({ oldest_unseen: oldest }) => (oldest > 0 ? oldest : null), 'oldest unseen'),
        ]),
      },
      {
        title: 'Replication, bytes behind',
        format: bytes,
        curves: targets.map((target) => lagOf(target, false, ({ bytes: behind }) => behind, '')),
      },
    );
  }
  if (slots.length > 0)
    kinds.push({
      title: 'WAL kept for replication slots',
      format: bytes,
      curves: slots.map((slot, index) => ({
        label: slot,
        colour: `target-${index % 4}`,
        value: (point) => point.slots[slot] ?? null,
      })),
    });
  return [...kinds, ...GENERATOR];
}

const EVENT_LOOP = 'Generator: event loop delay';
const GENERATOR: readonly ChartKind[] = [
  {
    title: 'Generator: processor cores',
    format: rate,
    curves: [{ label: 'cores', colour: 'first', value: (point) => point.cpu_cores }],
  },
  {
    title: 'Generator: memory',
    format: bytes,
    curves: [{ label: 'memory', colour: 'first', value: (point) => point.memory_bytes }],
  },
  {
    title: EVENT_LOOP,
    format: duration,
    curves: [{ label: 'p99 of the slowest thread', colour: 'first', value: (point) => point.event_loop }],
  },
];

/* Seconds between ticks: whole seconds, minutes, hours and days. */
const TICKS: readonly number[] = [
  1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 604_800,
];

const TARGET: Curve = { label: 'target', colour: 'quiet', dashed: true, value: (point) => point.target };
const HEIGHT = 200;

/** A chart with a legend that reads out the moment under the cursor; arrow keys move the cursor. */
export class Chart {
  readonly figure: HTMLElement;
  private readonly kind: ChartKind;
  private readonly plot: uPlot;
  private readonly reading: HTMLElement;
  private points: readonly Point[] = [];
  private spans: readonly Span[] = [];

  constructor(kind: ChartKind) {
    this.kind = kind;
    this.reading = element('p', { class: 'hidden', 'aria-live': 'polite' });
    const surface = element('div', { class: 'surface' });
    this.figure = element(
      'figure',
      { tabindex: '0', 'aria-label': `${kind.title}: chart; use the left and right arrow keys to read its values` },
      element('figcaption', {}, kind.title),
      surface,
      this.reading,
    );
    this.plot = new uPlot(this.options(), this.columns(), surface);
    new ResizeObserver(() => this.fit(surface)).observe(surface);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.plot.redraw());
    this.figure.addEventListener('keydown', (event) => this.move(event));
  }

  show(points: readonly Point[], { outages, marks }: Pick<Status, 'outages' | 'marks'>): void {
    this.points = points;
    this.spans = [...marks, ...outages.map((outage): Span => ({ ...outage, kind: 'outage', label: '' }))];
    this.plot.setData(this.columns());
  }

  private columns(): uPlot.AlignedData {
    return [
      this.points.map(({ time }) => time),
      ...this.kind.curves.map(({ value }) =>
        this.points.map((point) => {
          const found = value(point);
          // A logarithmic scale has no place for 0.
          return this.kind.logarithmic === true && found !== null && found <= 0 ? null : found;
        }),
      ),
    ];
  }

  private options(): uPlot.Options {
    const { kind } = this;
    const axis = {
      stroke: () => colour('text-quiet'),
      grid: { stroke: () => colour('grid'), width: 1 },
      ticks: { stroke: () => colour('grid'), width: 1 },
    };
    return {
      width: 400,
      height: HEIGHT,
      cursor: { sync: { key: 'run' }, drag: { x: true, y: false } },
      scales: {
        x: { time: false },
        y:
          kind.logarithmic === true
            ? { distr: 3 }
            : { range: { min: { pad: 0, soft: 0, mode: 1 }, max: { pad: 0.1, soft: kind.leastTop ?? 0, mode: 2 } } },
      },
      axes: [
        { ...axis, incrs: [...TICKS], values: (_: uPlot, ticks: number[]) => ticks.map(clock) },
        {
          ...axis,
          size: 70,
          values: (_: uPlot, ticks: (number | null)[]) => ticks.map((tick) => (tick === null ? '' : kind.format(tick))),
        },
      ],
      hooks: { drawClear: [(plot) => this.shade(plot)], draw: [(plot) => this.name(plot)] },
      series: [
        { label: 'at', value: (plot: uPlot, value: number | null) => clock(value ?? latest(plot, 0) ?? 0) },
        ...kind.curves.map(({ label, colour: name, dashed }) => ({
          label,
          stroke: () => colour(name),
          width: 1.5,
          ...(dashed === true ? { dash: [5, 4] } : {}),
          points: { show: isSparse, size: 4, filter: alone },
          value: (plot: uPlot, value: number | null, series: number, index: number | null) =>
            kind.format(index === null ? latest(plot, series) : value),
        })),
      ],
    };
  }

  /* Behind the curves: outages, spikes and pauses shaded, a line where a stage begins. */
  private shade(plot: uPlot): void {
    const { ctx, bbox } = plot;
    ctx.save();
    for (const { kind, left, right } of this.visible(plot)) {
      const isStage = kind === 'stage';
      if (isStage && left < bbox.left) continue;
      ctx.fillStyle = colour(isStage ? 'text-quiet' : kind);
      const from = Math.max(bbox.left, left);
      ctx.fillRect(from, bbox.top, isStage ? devicePixelRatio : Math.max(2, right - from), bbox.height);
    }
    ctx.restore();
  }

  /* On top of everything, so that neither a band nor the grid hides them. */
  private name(plot: uPlot): void {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textBaseline = 'top';
    // The axes leave another one behind.
    ctx.textAlign = 'left';
    ctx.fillStyle = colour('text-quiet');
    let written = Number.NEGATIVE_INFINITY;
    for (const { kind, left, right, label } of this.visible(plot)) {
      if (kind !== 'stage') continue;
      const text = label.split(':')[0]!;
      const start = Math.max(bbox.left, left) + 4;
      const end = start + ctx.measureText(text).width;
      // A name that does not fit, or would stand on another one, is left out; the list of stages has it.
      if (end + 4 > right || start < written) continue;
      ctx.fillText(text, start, bbox.top + 2);
      written = end + 4;
    }
    ctx.restore();
  }

  /** The spans that the chart shows, in pixels. */
  private visible(plot: uPlot) {
    const last = plot.bbox.left + plot.bbox.width;
    return this.spans
      .map((span) => ({
        ...span,
        left: plot.valToPos(span.from, 'x', true),
        right: Math.min(last, plot.valToPos(span.to, 'x', true)),
      }))
      .filter(({ left, right }) => right >= plot.bbox.left && left <= last);
  }

  private fit(surface: HTMLElement): void {
    const width = surface.clientWidth;
    if (width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  private move(event: KeyboardEvent): void {
    const steps: Readonly<Record<string, number>> = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 };
    const step = steps[event.key];
    if (this.points.length === 0 || (step === undefined && event.key !== 'Home' && event.key !== 'End')) return;
    event.preventDefault();
    const last = this.points.length - 1;
    const from = this.plot.cursor.idx ?? (step !== undefined && step > 0 ? -1 : last + 1);
    const index =
      event.key === 'Home' ? 0 : event.key === 'End' ? last : Math.min(last, Math.max(0, from + (step ?? 0)));
    const point = this.points[index]!;
    this.plot.setCursor({ left: this.plot.valToPos(point.time, 'x'), top: 10 });
    const values = this.kind.curves.map(({ label, value }) => `${label} ${this.kind.format(value(point))}`);
    setText(this.reading, `At ${clock(point.time)}: ${values.join(', ')}`);
  }
}

/* Circles on more points would hide the curve. */
const MOST_CIRCLES = 60;

function isSparse(plot: uPlot): boolean {
  return plot.data[0].length <= MOST_CIRCLES;
}

/* A point between gaps has no line to either side: it is drawn as such. */
function alone(plot: uPlot, series: number): number[] | null {
  if (isSparse(plot)) return null;
  const values = plot.data[series]!;
  const isMissing = (index: number) => (values[index] ?? null) === null;
  const found = [...values.keys()].filter((index) => !isMissing(index) && isMissing(index - 1) && isMissing(index + 1));
  return found.length === 0 ? null : found;
}

/* What the legend shows while no cursor is on the chart. */
function latest(plot: uPlot, series: number): number | null {
  const values = plot.data[series];
  return values?.[values.length - 1] ?? null;
}

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
