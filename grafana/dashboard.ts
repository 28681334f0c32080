import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import { BigValueColorMode, BigValueGraphMode, BigValueTextMode } from '@grafana/grafana-foundation-sdk/common';
import type { Dashboard, Panel } from '@grafana/grafana-foundation-sdk/dashboard';
import {
  AnnotationQueryBuilder,
  CustomVariableBuilder,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { PanelBuilder as HeatmapBuilder } from '@grafana/grafana-foundation-sdk/heatmap';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

/* The dashboard as typed code; `npm run dashboard` writes grafana/event-generator.json from it. */

const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };
const RUN = 'run_id=~"$run",shard=~"$shard"';
const TABLE = `${RUN},table=~"$table"`;
const WINDOW = '[$__rate_interval]';

/** A query and what its curves are called. */
interface Curve {
  readonly expr: string;
  readonly legend: string;
}

const curve = (legend: string, expr: string): Curve => ({ legend, expr });
const perSecond = (series: string) => `rate(${series}${WINDOW})`;
/* More curves than these cannot be told apart. */
const top = (expr: string) => `topk(10, ${expr})`;
const quantile = (share: string, metric: string, by: string, labels = RUN) =>
  `histogram_quantile(${share}, sum by (le${by}) (${perSecond(`${metric}_bucket{${labels}}`)}))`;

function queries(curves: readonly Curve[]): DataqueryBuilder[] {
  return curves.map(({ expr, legend }, index) =>
    new DataqueryBuilder()
      .refId(String.fromCharCode(65 + index))
      .datasource(DATASOURCE)
      .expr(expr)
      .legendFormat(legend)
      .range(),
  );
}

interface Look {
  readonly unit: string;
  readonly description: string;
  readonly decimals?: number;
  /** Where a figure begins to be bad: yellow, then red. */
  readonly limits?: readonly [number, number];
}

function stat(
  title: string,
  { unit, description, decimals, limits }: Look,
  ...curves: readonly Curve[]
): Builder<Panel> {
  const panel = new StatBuilder()
    .title(title)
    .description(description)
    .datasource(DATASOURCE)
    .unit(unit)
    .graphMode(BigValueGraphMode.Area)
    .colorMode(limits === undefined ? BigValueColorMode.None : BigValueColorMode.Value)
    .thresholds(
      new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(
        limits === undefined
          ? [{ value: null, color: 'text' }]
          : [
              { value: null, color: 'green' },
              { value: limits[0], color: 'yellow' },
              { value: limits[1], color: 'red' },
            ],
      ),
    )
    .targets(queries(curves))
    .height(5)
    .span(4);
  if (decimals !== undefined) panel.decimals(decimals);
  return panel;
}

function graph(title: string, { unit, description }: Look, ...curves: readonly Curve[]): Builder<Panel> {
  return new TimeseriesBuilder()
    .title(title)
    .description(description)
    .datasource(DATASOURCE)
    .unit(unit)
    .min(0)
    .fillOpacity(8)
    .targets(queries(curves))
    .height(8)
    .span(12);
}

const ERRORS = `sum(${perSecond(`eventgen_operations_total{${RUN},outcome=~"rejected|failed"}`)})`;
const OPERATIONS = `sum(${perSecond(`eventgen_operations_total{${RUN}}`)})`;

const OVERVIEW: readonly Builder<Panel>[] = [
  stat(
    'Rate',
    {
      unit: 'ops',
      description:
        'Per second, in what the schedule counts (operations or events), and what it asks for (0: as fast as it goes).',
      decimals: 0,
    },
    curve('achieved', `sum(eventgen_achieved_rate{${RUN}})`),
    curve('target', `sum(eventgen_target_rate{${RUN}})`),
  ),
  stat(
    'Events',
    {
      unit: 'ops',
      description:
        'Rows changed per second, as a change-data consumer sees them: by cascades too, and moves between partitions as two.',
      decimals: 0,
    },
    curve(
      'events/s',
      ['rows', 'cascaded_rows', 'moved_rows']
        .map((name) => `sum(${perSecond(`eventgen_${name}_total{${RUN}}`)})`)
        .join(' + '),
    ),
  ),
  stat(
    'Errors',
    { unit: 'percentunit', description: 'Operations rejected or failed, of all.', decimals: 2, limits: [0.001, 0.01] },
    curve('error ratio', `${ERRORS} / ${OPERATIONS}`),
  ),
  stat(
    'Response p99',
    { unit: 's', description: 'From the moment an operation was due to its answer.' },
    curve('p99', quantile('0.99', 'eventgen_response_seconds', '')),
  ),
  new StatBuilder()
    .title('Limit')
    .description('What limits the run just now: the server, the generator itself, or the rate that was asked for.')
    .datasource(DATASOURCE)
    .textMode(BigValueTextMode.Name)
    .graphMode(BigValueGraphMode.None)
    .colorMode(BigValueColorMode.None)
    .targets(queries([curve('{{verdict}}', `max by (verdict) (eventgen_verdict{${RUN}}) == 1`)]))
    .height(5)
    .span(4),
  stat(
    'Oldest unseen heartbeat',
    {
      unit: 's',
      description: 'Age of the oldest heartbeat that a target has not shown; grows while it stalls.',
      limits: [1, 10],
    },
    curve('{{target}}', `max by (target) (eventgen_replication_oldest_unseen_seconds{${RUN}})`),
  ),
];

const TRAFFIC: readonly Builder<Panel>[] = [
  graph(
    'Operations by table and kind',
    { unit: 'ops', description: 'Committed operations per second; the ten highest.' },
    curve(
      '{{table}} {{operation}}',
      top(`sum by (table, operation) (${perSecond(`eventgen_operations_total{${TABLE},outcome="committed"}`)})`),
    ),
  ),
  graph(
    'Rows by kind',
    { unit: 'ops', description: 'Rows changed per second; those by ON DELETE CASCADE and SET NULL apart.' },
    curve('{{operation}}', `sum by (operation) (${perSecond(`eventgen_rows_total{${TABLE}}`)})`),
    curve('{{operation}} by cascade', `sum by (operation) (${perSecond(`eventgen_cascaded_rows_total{${TABLE}}`)})`),
  ),
  graph(
    'Transactions',
    { unit: 'ops', description: 'By outcome.' },
    curve('{{outcome}}', `sum by (outcome) (${perSecond(`eventgen_transactions_total{${RUN}}`)})`),
  ),
  graph(
    'Schedule',
    { unit: 'ops', description: 'The rate asked for and the one achieved; late and dropped arrivals.' },
    curve('target', `sum(eventgen_target_rate{${RUN}})`),
    curve('achieved', `sum(eventgen_achieved_rate{${RUN}})`),
    curve('late', `sum(${perSecond(`eventgen_late_operations_total{${RUN}}`)})`),
    curve('dropped', `sum(${perSecond(`eventgen_dropped_operations_total{${RUN}}`)})`),
  ),
];

const LATENCY: readonly Builder<Panel>[] = [
  graph(
    'Response time by operation',
    { unit: 's', description: 'At the chosen quantile, from the scheduled moment to the answer.' },
    curve('{{operation}}', quantile('$quantile', 'eventgen_response_seconds', ', operation')),
  ),
  graph(
    'Since the answer before, by operation',
    {
      unit: 's',
      description:
        'At the chosen quantile: from sending, or from the answer before on the same connection, to the answer.',
    },
    curve('{{operation}}', quantile('$quantile', 'eventgen_service_seconds', ', operation')),
  ),
  new HeatmapBuilder()
    .title('Response times')
    .description('How many operations per second took how long.')
    .datasource(DATASOURCE)
    .targets([
      new DataqueryBuilder()
        .refId('A')
        .datasource(DATASOURCE)
        .expr(`sum by (le) (${perSecond(`eventgen_response_seconds_bucket{${RUN}}`)})`)
        .format(PromQueryFormat.Heatmap)
        .legendFormat('{{le}}')
        .range(),
    ])
    .height(9)
    .span(24),
];

const REFUSALS: readonly Builder<Panel>[] = [
  graph(
    'Errors by SQLSTATE',
    { unit: 'ops', description: 'Statements that the server refused; the ten most frequent.' },
    curve('{{sqlstate}} {{table}}', top(`sum by (sqlstate, table) (${perSecond(`eventgen_errors_total{${TABLE}}`)})`)),
  ),
  graph(
    'Retries',
    {
      unit: 'ops',
      description: 'New values after a refusal, the same again after a transient one, another row where one was gone.',
    },
    curve('{{reason}}', `sum by (reason) (${perSecond(`eventgen_retries_total{${TABLE}}`)})`),
  ),
  graph(
    'Lost connections',
    {
      unit: 'short',
      description: 'Connections established again, and what became of transactions whose answer was lost.',
    },
    curve('reconnects', `sum(increase(eventgen_reconnects_total{${RUN}}${WINDOW}))`),
    curve('in doubt, {{resolution}}', `sum by (resolution) (increase(eventgen_in_doubt_total{${RUN}}${WINDOW}))`),
  ),
  graph(
    'Tables that lanes gave up',
    { unit: 'short', description: 'Operations on tables that lanes gave up.' },
    curve('quarantined', `sum(eventgen_quarantined_tables{${RUN}})`),
  ),
  graph(
    'Operations still to come',
    { unit: 'short', description: 'Until the end of the run (-1: their number is not limited).' },
    curve('remaining', `sum(eventgen_iterations_remaining{${RUN}})`),
  ),
  graph(
    'Time still to come',
    { unit: 's', description: 'Until the planned end of the run (-1: none is planned).' },
    curve('remaining', `max(eventgen_remaining_seconds{${RUN}})`),
  ),
];

const REPLICATION: readonly Builder<Panel>[] = [
  graph(
    'Replication lag',
    { unit: 's', description: 'At the chosen quantile: from a heartbeat’s commit until the target showed it.' },
    curve('{{target}}', quantile('$quantile', 'eventgen_replication_lag_seconds', ', target')),
  ),
  graph(
    'Oldest unseen heartbeat',
    { unit: 's', description: 'Grows while a target stalls, is paused, cut off or down.' },
    curve('{{target}}', `max by (target) (eventgen_replication_oldest_unseen_seconds{${RUN}})`),
  ),
  graph(
    'Bytes behind',
    { unit: 'bytes', description: 'Log that a target has still to receive, replay or confirm.' },
    curve('{{target}} {{position}}', `max by (target, position) (eventgen_replication_lag_bytes{${RUN}})`),
  ),
  graph(
    'Log kept for slots',
    { unit: 'bytes', description: 'What the server must keep until a slot’s consumer has it.' },
    curve('{{slot}}', `max by (slot) (eventgen_replication_slot_retained_bytes{${RUN}})`),
  ),
  graph(
    'Targets that answer',
    { unit: 'short', description: '1 where a target answers, 0 where it does not.' },
    curve('{{target}}', `min by (target) (eventgen_replication_target_up{${RUN}})`),
  ),
];

const GENERATOR: readonly Builder<Panel>[] = [
  graph(
    'Delay of event loops',
    { unit: 's', description: '99th percentile per worker thread: high where the generator itself is the bottleneck.' },
    curve('worker {{worker}}', `max by (worker) (eventgen_event_loop_delay_seconds{${RUN}})`),
  ),
  graph(
    'Processor',
    { unit: 'short', description: 'Cores that the generator uses.' },
    curve('cores', `sum(${perSecond(`process_cpu_seconds_total{${RUN}}`)})`),
  ),
  graph(
    'Memory',
    { unit: 'bytes', description: 'Resident memory, and the heap of the main thread.' },
    curve('resident', `sum(process_resident_memory_bytes{${RUN}})`),
    curve('heap', `sum(nodejs_heap_size_used_bytes{${RUN}})`),
  ),
  graph(
    'Lanes',
    { unit: 'short', description: 'Connections by state.' },
    curve('{{state}}', `sum by (state) (eventgen_lanes{${RUN}})`),
  ),
];

/** The dashboard, as Grafana reads it. */
export function dashboard(): Dashboard {
  const builder = new DashboardBuilder('PostgreSQL event generator')
    .uid('pg-event-generator')
    .description('What pg-event-generator does to a database, whether it hurts, and what limits it.')
    .tags(['postgresql', 'load'])
    .editable()
    .refresh('5s')
    .time({ from: 'now-15m', to: 'now' })
    .timezone('browser')
    .tooltip(DashboardCursorSync.Crosshair)
    .links([
      new DashboardLinkBuilder('Live page')
        .type(DashboardLinkType.Link)
        .url('http://127.0.0.1:9464/')
        .tooltip('The page of the run itself, on the machine where it runs')
        .targetBlank(true),
      new DashboardLinkBuilder('Documentation')
        .type(DashboardLinkType.Link)
        .url('http://127.0.0.1:9464/docs')
        .tooltip('What the metrics mean, and what to do when an alert fires')
        .targetBlank(true),
    ])
    .annotation(
      annotation(
        'Start of a run',
        'green',
        `eventgen_info{${RUN}} unless eventgen_info{${RUN}} offset 15s`,
        'run {{run_id}}',
      ),
    )
    .annotation(
      annotation(
        'End of a run',
        'red',
        `eventgen_info{${RUN}} offset 15s unless eventgen_info{${RUN}}`,
        'run {{run_id}}',
      ),
    )
    .annotation(
      annotation(
        'Stages and spikes',
        'blue',
        `eventgen_phase{${RUN}} unless eventgen_phase{${RUN}} offset 15s`,
        '{{phase}}',
      ),
    )
    .annotation(
      annotation('Outages', 'orange', `eventgen_lanes{${RUN},state="disconnected"} > 0`, 'lanes without a connection'),
    )
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .withVariable(choice('run', 'Run', 'label_values(eventgen_info, run_id)'))
    .withVariable(choice('shard', 'Shard', 'label_values(eventgen_info{run_id=~"$run"}, shard)'))
    .withVariable(choice('table', 'Table', `label_values(eventgen_operations_total{${RUN}}, table)`))
    .withVariable(
      new CustomVariableBuilder('quantile')
        .label('Quantile')
        .values('0.5,0.9,0.95,0.99,0.999')
        .current({ selected: true, text: '0.99', value: '0.99' }),
    );
  const rows: readonly [string, readonly Builder<Panel>[]][] = [
    ['Overview', OVERVIEW],
    ['Traffic', TRAFFIC],
    ['Latency', LATENCY],
    ['Errors and retries', REFUSALS],
    ['Replication', REPLICATION],
    ['The generator itself', GENERATOR],
  ];
  for (const [title, panels] of rows) {
    builder.withRow(new RowBuilder(title));
    for (const panel of panels) builder.withPanel(panel);
  }
  return builder.build();
}

function annotation(name: string, colour: string, expr: string, text: string): AnnotationQueryBuilder {
  return new AnnotationQueryBuilder()
    .name(name)
    .datasource(DATASOURCE)
    .enable(true)
    .iconColor(colour)
    .expr(expr)
    .useValueForTime(false)
    .step('5s')
    .titleFormat(name)
    .textFormat(text);
}

function choice(name: string, label: string, query: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(DATASOURCE)
    .query({ query, refId: name })
    .definition(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .multi(true)
    .includeAll(true)
    .allValue('.*')
    .current({ selected: true, text: 'All', value: '$__all' });
}
