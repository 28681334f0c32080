import type { PageData, Update } from '../src/page/data.js';
import type { Point } from '../src/report/series.js';
import { Chart, chartKinds } from './charts.js';
import { element } from './dom.js';
import './page.css';
import { errorTexts, Header, Lines, markTexts, reportSections, Tables, Tiles, thresholdTexts } from './view.js';

/* The same page twice: live, with data from the run that serves it, and as a report that holds its data in itself. */

/** Beyond so many points the history is fetched again, thinned by the run. */
const MOST_POINTS = 4000;

class Page {
  private data: PageData;
  private points: Point[];
  private charts: readonly Chart[] = [];
  private drawn = '';
  private isConnected = true;
  private readonly header = new Header();
  private readonly tiles = new Tiles();
  private readonly tables = new Tables();
  private readonly lists = [
    new Lines('Thresholds', 'thresholds', thresholdTexts, ({ thresholds }) =>
      thresholds.map(({ passed }) => (passed ? 'met' : 'missed')),
    ),
    new Lines('What limited the phases', 'phases', ({ phase_limits: limits }) => limits),
    new Lines('Stages, spikes and pauses', 'marks', markTexts),
    new Lines('Replication', 'replication', ({ replication_notes: notes }) => notes),
    new Lines('Verification', 'verification', ({ verification }) => verification),
    new Lines('Errors', 'errors', errorTexts),
  ];
  /* The report has a section of its own, with all findings. */
  private readonly coverage = new Lines('Coverage', 'coverage', ({ coverage }) =>
    this.data.coverage === null ? coverage : [],
  );
  private readonly grid = element('div', { class: 'charts' });

  constructor(data: PageData) {
    this.data = data;
    this.points = [...data.points];
    document.body.append(
      this.header.header,
      element(
        'main',
        {},
        this.tiles.list,
        this.grid,
        ...this.lists.map(({ section }) => section),
        this.coverage.section,
        this.tables.section,
        ...reportSections(data),
      ),
    );
    this.draw();
  }

  /** Everything anew, as after a lost connection. */
  replace(data: PageData): void {
    this.data = data;
    this.points = [...data.points];
    this.isConnected = true;
    this.draw();
  }

  update({ run, point, status }: Update): void {
    this.data = { ...this.data, run, status };
    if (point !== null) this.points.push(point);
    this.draw();
  }

  lost(): void {
    if (this.data.status.exit !== null) return;
    this.isConnected = false;
    this.draw();
  }

  get isFull(): boolean {
    return this.points.length > MOST_POINTS;
  }

  private draw(): void {
    const { status, run } = this.data;
    this.header.show(status, run, this.isConnected);
    this.tiles.show(status, run?.command ?? 'run');
    this.tables.show(status);
    for (const list of [...this.lists, this.coverage]) list.show(status);
    const targets = Object.keys(status.oldest_unseen);
    const slots = Object.keys(this.points[this.points.length - 1]?.slots ?? {});
    // Which charts there are is known once the run has begun.
    const kinds = `${run?.command}/${status.target?.unit}/${targets.join('/')}/${slots.join('/')}`;
    // A report that was merged from others has no curves.
    const hasCurves = this.points.length > 0 || (run !== null && this.data.kind === 'live');
    if (this.drawn !== kinds && hasCurves) {
      this.drawn = kinds;
      this.charts = chartKinds({
        command: run?.command ?? 'run',
        targets,
        slots,
        unit: status.target?.unit ?? null,
      }).map((kind) => new Chart(kind));
      this.grid.replaceChildren(...this.charts.map(({ figure }) => figure));
    }
    if (document.visibilityState === 'visible') for (const chart of this.charts) chart.show(this.points, status);
  }
}

async function state(): Promise<PageData> {
  return (await (await fetch('state')).json()) as PageData;
}

function follow(page: Page): void {
  const events = new EventSource('events');
  let opened = false;
  events.addEventListener('open', () => {
    // The browser connects again by itself; what was missed meanwhile is in the history.
    if (opened) void state().then((data) => page.replace(data));
    opened = true;
  });
  events.addEventListener('message', ({ data }: MessageEvent<string>) => {
    const update = JSON.parse(data) as Update;
    page.update(update);
    // Nothing comes after the end.
    if (update.status.exit !== null) events.close();
    if (page.isFull) void state().then((all) => page.replace(all));
  });
  events.addEventListener('error', () => page.lost());
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible')
      void state().then(
        (all) => page.replace(all),
        () => page.lost(),
      );
  });
}

const held = document.querySelector('#data')?.textContent ?? '';
if (held !== '') new Page(JSON.parse(held) as PageData);
else void state().then((data) => follow(new Page(data)));
