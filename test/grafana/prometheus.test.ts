import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { dashboard } from '../../grafana/dashboard.js';
import { heartbeatDefinition } from '../../src/lag/table.js';
import { type Cluster, freePort, startCluster } from '../../src/server/cluster.js';
import { startStandby, startSubscriber } from '../../src/server/replica.js';
import { connectTo, type Running, startCli } from '../server/database.js';

const hasPrometheus = ['prometheus', 'promtool'].every(
  (program) => spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined,
);
if (!hasPrometheus)
  console.warn('skipped: metrics, dashboard and alerts against Prometheus; install Debian’s prometheus');
// In CI nothing may be left out in silence.
if (!hasPrometheus && process.env['CI'] === 'true') throw new Error('CI must install prometheus');

const DASHBOARD = readFileSync('grafana/event-generator.json', 'utf8');
const ALERTS = readFileSync('grafana/alerts.yml', 'utf8');

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

/** Panel → its queries, with Grafana's variables filled in. */
function queries(): [string, string][] {
  const { panels } = JSON.parse(DASHBOARD) as { panels: readonly Panel[] };
  return panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }): [string, string] => [
      title,
      expr
        .replaceAll('$__rate_interval', '8s')
        .replaceAll('$quantile', '0.99')
        .replaceAll('$run', '.*')
        .replaceAll('$shard', '.*')
        .replaceAll('$table', '.*'),
    ]),
  );
}

/** Alert → its expression. */
function alerts(): [string, string][] {
  const { groups } = parse(ALERTS) as { groups: { rules: { alert: string; expr: string }[] }[] };
  return groups.flatMap(({ rules }) => rules.map(({ alert, expr }): [string, string] => [alert, expr]));
}

function metricNames(text: string): Set<string> {
  return new Set([...text.matchAll(/\beventgen_[a-z_]+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, '')));
}

it('the dashboard’s file is what its code makes', () => {
  expect(DASHBOARD).toBe(`${JSON.stringify(dashboard(), null, 2)}\n`);
});

describe.skipIf(!hasPrometheus)('a run scraped by a real Prometheus', () => {
  const clusters: Cluster[] = [];
  const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-prometheus-'));
  let run: Running;
  let metrics = '';
  let ask: (expr: string) => Promise<{ status: string; error?: string; result: unknown[] }>;
  let stopPrometheus: () => Promise<void> = async () => undefined;

  beforeAll(async () => {
    const primary = await startCluster();
    clusters.push(primary);
    const client = await connectTo(primary.settings.port, 'postgres');
    const tables =
      'CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE)';
    await client.query(`${tables}; ${heartbeatDefinition('event_generator')};
      CREATE FUNCTION fussy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.id % 7 = 0 THEN RAISE ''not this one''; END IF; RETURN NEW; END';
      CREATE TRIGGER fussy BEFORE INSERT ON b FOR EACH ROW EXECUTE FUNCTION fussy()`);
    clusters.push(await startStandby(primary));
    clusters.push(
      await startSubscriber(primary, async (replica) => {
        await replica.query(`${tables}; ${heartbeatDefinition('event_generator')}`);
      }),
    );
    const [, standby, subscriber] = clusters;
    run = startCli(`connection: { host: 127.0.0.1, port: ${primary.settings.port}, database: postgres, user: postgres }
generator: { num_iterations: -1, random_seed: 3, rehearse: false, error_budget: { max_error_ratio: 1 } }
traffic: { rate: 400 }
metrics: { port: 0 }
replication:
  targets:
    - { name: standby, kind: physical, connection: { port: ${standby!.settings.port} } }
    - { name: subscriber, kind: logical, connection: { port: ${subscriber!.settings.port} } }
`);
    await run.saw('a heartbeat every');
    const target = `127.0.0.1:${run.stderr().match(/:(\d+)\/metrics/)![1]!}`;
    const prometheus = await startPrometheus(folder, target);
    ask = prometheus.ask;
    stopPrometheus = prometheus.stop;
    await new Promise((resolve) => setTimeout(resolve, 5000));
    for (let cut = 0, tries = 0; cut === 0; tries++) {
      const { rowCount } = await client.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^eventgen/[0-9a-f]+/1$'",
      );
      cut = rowCount ?? 0;
      if (tries > 200) throw new Error('the run has no lane to be cut');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await client.end();
    await new Promise((resolve) => setTimeout(resolve, 5000));
    metrics = await (await fetch(`http://${target}/metrics`)).text();
  }, 90_000);

  afterAll(async () => {
    run?.kill('SIGINT');
    await run?.ended;
    await stopPrometheus();
    for (const cluster of clusters.reverse()) await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Asks until there is an answer, for a while: a busy machine scrapes late. Returns why there is none. */
  async function unanswered(expr: string): Promise<string[]> {
    for (const startMs = performance.now(); ; await new Promise((resolve) => setTimeout(resolve, 500))) {
      const { status, error, result } = await ask(expr);
      if (status === 'success' && result.length > 0) return [];
      if (performance.now() - startMs > 15_000) return [`${expr}: ${error ?? 'nothing'}`];
    }
  }

  it('has data for every panel of the dashboard', async () => {
    const empty: string[] = [];
    expect(queries().length).toBeGreaterThan(25);
    for (const [title, expr] of queries()) empty.push(...(await unanswered(expr)).map((why) => `${title}: ${why}`));
    expect(empty).toEqual([]);
  });

  it('has something to compare for every alert, and none that fires for no reason', async () => {
    const empty: string[] = [];
    for (const [alert, expr] of alerts()) {
      // `bool` gives the comparison's answer instead of leaving out what does not meet it.
      const measured = expr.replace(/ (==|>|<) ([\d.e]+)$/, ' $1 bool $2').replaceAll(/\[\dm\]/g, '[8s]');
      expect(measured).toContain('bool');
      empty.push(...(await unanswered(measured)).map((why) => `${alert}: ${why}`));
    }
    expect(empty).toEqual([]);
    // A scrape that took too long on a busy machine is no failure of the run.
    for (const quiet of [
      'EventGeneratorDown',
      'ReplicationStalled',
      'ReplicationTargetDown',
      'EventGeneratorUnknownOutcome',
    ])
      await expect
        .poll(async () => (await ask(alerts().find(([alert]) => alert === quiet)![1])).result, {
          timeout: 10_000,
          message: quiet,
        })
        .toEqual([]);
    // Errors were provoked: a seventh of the inserts of one of two tables is refused, and retried with other values.
    expect((await ask('sum(eventgen_errors_total{sqlstate="P0001"}) > 0')).result).toHaveLength(1);
    expect((await ask('sum(eventgen_reconnects_total) >= 1')).result).toHaveLength(1);
  });

  it('uses every metric of ours, and none that there is not', () => {
    const used = metricNames(DASHBOARD + ALERTS);
    const there = new Set([...metrics.matchAll(/^# TYPE (eventgen_\w+)/gm)].map((match) => match[1]!));
    expect([...used].filter((name) => !there.has(name))).toEqual([]);
    expect([...there].filter((name) => !used.has(name))).toEqual([]);
  });

  it('alerts when a run dies long before its end, and not when it ends by its plan', () => {
    const file = path.join(folder, 'down.yml');
    const series = (remaining: string) => `
      - interval: 15s
        input_series:
          - { series: 'up{job="event-generator", instance="i"}', values: '1x20 0x20' }
          - { series: 'eventgen_remaining_seconds{job="event-generator", instance="i", run_id="r"}', values: '${remaining}' }
        alert_rule_test:
          - eval_time: 8m
            alertname: EventGeneratorDown`;
    const fires = `
            exp_alerts: [{ exp_labels: { severity: warning, job: event-generator, instance: i, run_id: r }, exp_annotations: {
              summary: 'Run r at i no longer answers, long before its end.',
              description: 'The process was killed, lost its machine, or was stopped. Its summary says why if it could write one.',
              runbook: 'docs/watching.md#eventgeneratordown' } }]`;
    writeFileSync(
      file,
      `rule_files: [${path.resolve('grafana/alerts.yml')}]\ntests:${series('900-15x20 stale')}${fires}${series('-1x20 stale')}${fires}${series('300-15x20 stale')}\n            exp_alerts: []${series('-1x19 0 stale')}\n            exp_alerts: []\n`,
    );
    const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' });
    expect(`${status} ${stdout}${stderr}`).toMatch(/^0 .*SUCCESS/s);
  });

  it('has for every alert a summary, a description and a section of the runbook', () => {
    const runbook = readFileSync('docs/watching.md', 'utf8');
    const { groups } = parse(ALERTS) as {
      groups: { rules: { alert: string; annotations: Record<string, string> }[] }[];
    };
    for (const { alert, annotations } of groups.flatMap(({ rules }) => rules)) {
      expect(annotations['summary'], alert).toBeTruthy();
      expect(annotations['description'], alert).toBeTruthy();
      expect(annotations['runbook']).toBe(`docs/watching.md#${alert.toLowerCase()}`);
      expect(runbook).toContain(`### ${alert}\n`);
    }
  });

  it('passes promtool: metrics, configuration, rules', () => {
    const check = (what: string, ...rest: string[]) =>
      spawnSync('promtool', ['check', what, ...rest], { input: what === 'metrics' ? metrics : '', encoding: 'utf8' });
    for (const [what, ...rest] of [
      ['metrics'],
      ['config', 'grafana/prometheus.yml'],
      ['config', '--syntax-only', 'docker/prometheus.yml'],
      ['rules', 'grafana/alerts.yml'],
    ] as [string, ...string[]][]) {
      const { status, stdout, stderr } = check(what, ...rest);
      expect(`${what}: ${status} ${stderr}`).toBe(`${what}: 0 `);
      expect(stdout).not.toMatch(/FAILED/);
    }
  });
});

/** Debian's Prometheus on a free port, scraping one target once a second. */
async function startPrometheus(folder: string, target: string) {
  const port = await freePort();
  const file = path.join(folder, 'prometheus.yml');
  writeFileSync(
    file,
    `global: { scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 500ms }
rule_files: [${path.resolve('grafana/alerts.yml')}]
scrape_configs: [{ job_name: event-generator, static_configs: [{ targets: ['${target}'] }] }]
`,
  );
  const server = spawn(
    'prometheus',
    [
      `--config.file=${file}`,
      `--storage.tsdb.path=${path.join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
  const exited = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  for (let tries = 0; ; tries++) {
    const ready = await fetch(`http://127.0.0.1:${port}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (ready) break;
    if (tries > 200) throw new Error('Prometheus does not start');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    ask: async (expr: string) => {
      const response = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expr)}`);
      const { status, error, data } = (await response.json()) as {
        status: string;
        error?: string;
        data?: { result: { value: [number, string] }[] };
      };
      // What was divided by nothing is no data.
      const result = (data?.result ?? []).filter(({ value: [, text] }) => text !== 'NaN');
      return { status, result, ...(error === undefined ? {} : { error }) };
    },
    stop: async () => {
      server.kill('SIGTERM');
      await exited;
    },
  };
}
