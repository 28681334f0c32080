import type { Coverage, PageData, RunFacts, Status, TableStatus } from '../src/page/data.js';
import { lagText } from '../src/report/lag.js';
import type { Summary } from '../src/report/summary.js';
import { element, setText } from './dom.js';
import { clock, count, duration, percent, rate } from './format.js';

/** What stands in the first row: the figures that answer whether the load is what was asked for, and whether it hurts. */
export class Tiles {
  readonly list = element('dl', { class: 'tiles' });
  private readonly values = new Map<string, { value: HTMLElement; note: HTMLElement }>();

  show(status: Status, command: RunFacts['command']): void {
    const { target, verdict, oldest_unseen: unseen } = status;
    if (command === 'load') {
      this.set('rows/s', rate(status.events_per_second), 'loaded');
      this.set('rejected', count(status.totals['rejected'] ?? 0), 'rows');
      return;
    }
    const asked = target === null ? '' : `target ${rate(target.per_second)}`;
    const free = target === null ? 'at full speed' : '';
    this.set('operations/s', rate(status.operations_per_second), target?.unit === 'operations' ? asked : free);
    this.set('events/s', rate(status.events_per_second), target?.unit === 'events' ? asked : 'rows changed');
    this.set(
      'errors',
      percent(status.error_ratio),
      `${count((status.totals['rejected'] ?? 0) + (status.totals['failed'] ?? 0))} operations`,
    );
    if (target !== null)
      this.set('dropped', count(status.totals['dropped'] ?? 0), `${count(status.totals['late'] ?? 0)} late`);
    this.set('retries', count(status.totals['retries'] ?? 0), 'statements sent again');
    this.set('response p99', duration(status.response_p99), '');
    this.set('limit', verdict?.limit ?? '–', verdict?.advice ?? '');
    const targets = Object.entries(unseen);
    if (targets.length > 0) {
      const [name, seconds] = targets.reduce((worst, each) => (each[1] > worst[1] ? each : worst));
      this.set('oldest unseen heartbeat', duration(seconds), name);
    }
  }

  private set(name: string, value: string, note: string): void {
    let tile = this.values.get(name);
    if (tile === undefined) {
      tile = { value: element('dd', { class: 'value' }), note: element('dd', { class: 'note' }) };
      this.values.set(name, tile);
      // Its note is a sentence.
      const isWide = name === 'limit';
      this.list.append(element('div', isWide ? { class: 'wide' } : {}, element('dt', {}, name), tile.value, tile.note));
    }
    setText(tile.value, value);
    setText(tile.note, note);
  }
}

/** Title, state and how far the run is. */
export class Header {
  readonly header: HTMLElement;
  private readonly state = element('p', { class: 'state', role: 'status' });
  private readonly time = element('p', { class: 'time' });
  private readonly bar = element('progress', { max: '1', 'aria-label': 'progress of the run' });
  private readonly facts = element('p', { class: 'facts' });

  constructor() {
    this.header = element(
      'header',
      {},
      element('h1', {}, 'pg-event-generator'),
      this.state,
      this.time,
      this.bar,
      this.facts,
    );
  }

  show(status: Status, run: RunFacts | null, isConnected: boolean): void {
    const { exit, elapsed_seconds: elapsed, remaining_seconds: remaining } = status;
    this.state.dataset['kind'] = !isConnected ? 'lost' : exit === null ? 'running' : exit.code === 0 ? 'good' : 'bad';
    const words =
      exit === null
        ? status.phase
        : `${exit.code === 0 ? 'finished' : 'ended'}: ${exit.reason} (exit code ${exit.code})`;
    setText(this.state, isConnected ? words : 'the run no longer answers; these are its last figures');
    const left = remaining === null || exit !== null ? '' : `, ${clock(remaining)} left`;
    setText(this.time, `${clock(elapsed)}${left}`);
    this.bar.hidden = remaining === null || exit !== null;
    if (remaining !== null) this.bar.value = elapsed / Math.max(elapsed + remaining, 1e-9);
    if (run !== null)
      setText(
        this.facts,
        `run ${run.run_id} on ${run.database}, PostgreSQL ${run.server_version} · started ${run.started_at} · seeds ${run.random_seed}/${run.faker_seed} · ` +
          `${run.connections} connections at depth ${run.pipeline_depth}, ${run.workers} ${run.workers === 1 ? 'worker' : 'workers'} · rows ${run.row_selection} · version ${run.version}`,
      );
  }
}

const COLUMNS: readonly (readonly [key: keyof TableStatus, title: string])[] = [
  ['table', 'table'],
  ['insert', 'inserted'],
  ['update', 'updated'],
  ['delete', 'deleted'],
  ['retries', 'retries'],
  ['errors', 'errors'],
];

/** Rows changed per table, sortable. */
export class Tables {
  readonly section: HTMLElement;
  private readonly body = element('tbody');
  private readonly note = element('p', { class: 'note' });
  private readonly heads = new Map<keyof TableStatus, HTMLElement>();
  private order: { readonly key: keyof TableStatus; readonly descending: boolean } | null = null;
  private tables: readonly TableStatus[] = [];

  constructor() {
    const row = element('tr');
    for (const [key, title] of COLUMNS) {
      const button = element('button', { type: 'button' }, title);
      const head = element('th', { scope: 'col' }, button);
      button.addEventListener('click', () => this.sort(key));
      this.heads.set(key, head);
      row.append(head);
    }
    this.section = element(
      'section',
      {},
      element('h2', {}, 'Tables'),
      element(
        'div',
        { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'tables' },
        element('table', { id: 'tables' }, element('thead', {}, row), this.body),
      ),
      this.note,
    );
  }

  show({ tables, tables_in_all: all }: Status): void {
    this.tables = tables;
    setText(this.note, all > tables.length ? `the ${tables.length} of ${all} tables with the most changed rows` : '');
    this.draw();
  }

  private sort(key: keyof TableStatus): void {
    const descending = this.order?.key === key ? !this.order.descending : key !== 'table';
    this.order = { key, descending };
    for (const [name, head] of this.heads) {
      if (name === key) head.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    }
    this.draw();
  }

  private draw(): void {
    const { order } = this;
    const rows = [...this.tables];
    if (order !== null) {
      const sign = order.descending ? -1 : 1;
      rows.sort((a, b) => (a[order.key] < b[order.key] ? -sign : a[order.key] > b[order.key] ? sign : 0));
    }
    // Cells are kept: a table that is made anew every second cannot be selected from.
    while (this.body.rows.length > rows.length) this.body.deleteRow(-1);
    for (const [index, table] of rows.entries()) {
      let row = this.body.rows[index];
      if (row === undefined) {
        row = element('tr', {}, element('th', { scope: 'row' }), ...COLUMNS.slice(1).map(() => element('td')));
        this.body.append(row);
      }
      for (const [column, [key]] of COLUMNS.entries()) {
        const value = table[key];
        setText(row.cells[column]!, typeof value === 'number' ? count(value) : value);
      }
    }
  }
}

/** A list that is there where it has something to say. */
export class Lines {
  readonly section: HTMLElement;
  private readonly list: HTMLElement;
  private readonly lines: (status: Status) => readonly string[];

  private readonly kinds: (status: Status) => readonly string[];

  /** `kinds`: of each line, what page.css colours it by. */
  constructor(
    title: string,
    id: string,
    lines: (status: Status) => readonly string[],
    kinds: (status: Status) => readonly string[] = () => [],
  ) {
    this.list = element('ul', { id });
    this.lines = lines;
    this.kinds = kinds;
    this.section = element('section', {}, element('h2', {}, title), this.list);
  }

  show(status: Status): void {
    const texts = this.lines(status);
    const kinds = this.kinds(status);
    this.section.hidden = texts.length === 0;
    while (this.list.children.length > texts.length) this.list.lastElementChild!.remove();
    for (const [index, text] of texts.entries()) {
      const item = this.list.children[index] as HTMLElement | undefined;
      if (item === undefined) this.list.append(element('li', {}, text));
      else setText(item, text);
      const kind = kinds[index];
      if (kind !== undefined) (this.list.children[index] as HTMLElement).dataset['kind'] = kind;
    }
  }
}

/** Conditions with their values so far. */
export function thresholdTexts({ thresholds }: Status): string[] {
  return thresholds.map(
    ({ condition, value, passed, unjudged }) =>
      `${passed ? '✓' : '✗'} ${condition}: ${unjudged ?? Number(value!.toPrecision(3))}`,
  );
}

const MOST_MARKS = 12;

/** What charts mark, with its times: the latest. */
export function markTexts({ marks }: Status): string[] {
  return marks.slice(-MOST_MARKS).map(({ from, to, label }) => `${clock(from)} to ${clock(to)} ${label}`);
}

/** What the server refused, by SQLSTATE. */
export function errorTexts({ errors }: Status): string[] {
  return errors.map(
    ({ sqlstate, count: times, example }) =>
      `${sqlstate} × ${count(times)}${example === '' ? '' : `, for example: ${example}`}`,
  );
}

/** What only a report has: everything that says what the run was. */
export function reportSections({ summary, configuration, coverage }: PageData): HTMLElement[] {
  return [
    ...(summary?.lag === undefined ? [] : [lagSection(summary.lag)]),
    ...(summary === null ? [] : [summarySection(summary)]),
    ...(coverage === null ? [] : [coverageSection(coverage)]),
    ...(configuration === null
      ? []
      : [element('section', {}, element('h2', {}, 'Configuration'), element('pre', { tabindex: '0' }, configuration))]),
    ...(summary === null
      ? []
      : [
          element(
            'details',
            {},
            element('summary', {}, 'The summary as JSON'),
            element('pre', { tabindex: '0' }, JSON.stringify(summary, null, 2)),
          ),
        ]),
  ];
}

/** What a benchmark of replication lag has found out. */
function lagSection(lag: NonNullable<Summary['lag']>): HTMLElement {
  const { sentences, tables } = lagText(lag);
  return element(
    'section',
    { id: 'lag' },
    element('h2', {}, `Replication lag: ${lag.kind}`),
    ...sentences.map((sentence) => element('p', {}, sentence)),
    ...tables.flatMap(({ title, heads, rows }) => [
      element('h3', {}, title),
      element(
        'div',
        { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': title },
        element(
          'table',
          {},
          element('thead', {}, element('tr', {}, ...heads.map((head) => element('th', { scope: 'col' }, head)))),
          element(
            'tbody',
            {},
            ...rows.map(([first, ...others]) =>
              element(
                'tr',
                {},
                element('th', { scope: 'row' }, first!),
                ...others.map((cell) => element('td', {}, cell)),
              ),
            ),
          ),
        ),
      ),
    ]),
  );
}

function outagesText({ outages }: Summary): string {
  if (outages.length === 0) return '0';
  return `${count(outages.length)}, ${duration(outages.reduce((sum, { seconds }) => sum + seconds, 0))} in total`;
}

function summarySection(summary: Summary): HTMLElement {
  const { totals, transactions, generator, replication } = summary;
  const facts: [string, string][] = [
    ['operations', count(totals['operations'] ?? 0)],
    ['committed', count(totals['committed'] ?? 0)],
    ['rejected', count(totals['rejected'] ?? 0)],
    ['failed', count(totals['failed'] ?? 0)],
    ['skipped', count(totals['skipped'] ?? 0)],
    ['retries', count(totals['retries'] ?? 0)],
    ['reconnects', count(totals['reconnects'] ?? 0)],
    ['outages', outagesText(summary)],
    ['in doubt, resolved', count(totals['in_doubt_resolved'] ?? 0)],
    ['in doubt, unknown', count(totals['in_doubt_unknown'] ?? 0)],
    ['late', count(totals['late'] ?? 0)],
    ['dropped', count(totals['dropped'] ?? 0)],
    ['transactions committed', count(transactions.committed)],
    ['reproducible', summary.reproducible ? 'yes' : `no: ${summary.reproducible_because.join('; ')}`],
    [
      'processor time per operation',
      generator.cpu_micros_per_operation === null ? '–' : `${generator.cpu_micros_per_operation} µs`,
    ],
    ['plan, schema', `${summary.plan_fingerprint}, ${summary.schema_fingerprint}`],
    [
      'versions',
      `pg-event-generator ${summary.version}, generator ${summary.generator_version}, faker ${summary.faker_version}, PostgreSQL ${summary.server_version}`,
    ],
  ];
  const latencies = Object.entries(summary.latency_seconds).flatMap(([kind, { response, service }]) =>
    [[`${kind}, response`, response] as const, [`${kind}, since the answer before it`, service] as const].flatMap(
      ([name, values]) => (values === null ? [] : [[name, values] as const]),
    ),
  );
  const lags = Object.entries(replication ?? {}).flatMap(([name, { lag_seconds: lag, unseen }]) =>
    lag === null
      ? []
      : [
          [
            unseen > 0 ? `lag of ${name} (lower bounds, ${count(unseen)} heartbeats unseen)` : `lag of ${name}`,
            lag,
          ] as const,
        ],
  );
  const percentiles = ['p50', 'p90', 'p95', 'p99', 'p999', 'max'] as const;
  return element(
    'section',
    {},
    element('h2', {}, 'Summary'),
    element(
      'dl',
      { class: 'facts', id: 'summary' },
      ...facts.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]),
    ),
    element(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'latencies' },
      element(
        'table',
        { id: 'latencies' },
        element(
          'thead',
          {},
          element('tr', {}, ...['operation', ...percentiles].map((title) => element('th', { scope: 'col' }, title))),
        ),
        element(
          'tbody',
          {},
          ...[...latencies, ...lags].map(([name, values]) =>
            element(
              'tr',
              {},
              element('th', { scope: 'row' }, name),
              ...percentiles.map((key) => element('td', {}, duration(values[key]))),
            ),
          ),
        ),
      ),
    ),
  );
}

function coverageSection({ tables, complete, findings }: Coverage): HTMLElement {
  return element(
    'section',
    {},
    element('h2', {}, 'Coverage'),
    element('p', {}, `${count(complete)} of ${count(tables)} tables take every operation that the weights ask for.`),
    ...(findings.length === 0 ? [] : [element('ul', {}, ...findings.map((finding) => element('li', {}, finding)))]),
  );
}
