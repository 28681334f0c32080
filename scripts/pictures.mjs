// npm run pictures: the README's pictures, taken of a real run. Needs Debian's chromium and prometheus, and `script`.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { heartbeatDefinition } from '../src/lag/table.ts';
import { startCluster } from '../src/server/cluster.ts';
import { startStandby, startSubscriber } from '../src/server/replica.ts';
import { connect } from '../src/traffic/session.ts';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const PICTURES = path.join(root, 'docs', 'pictures');
const SECONDS = 75;
const ESCAPE = '\u001b';
const PAGE_PORT = 9464;
const PROMETHEUS_PORT = 9490;
const session = {
  applicationName: 'pictures',
  connectTimeoutMs: 5000,
  statementTimeoutMs: 0,
  lockTimeoutMs: 0,
  pipeline: false,
};
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

mkdirSync(PICTURES, { recursive: true });
const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-pictures-'));
const clusters = [];
const children = [];
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
try {
  const schema = `${readFileSync(path.join(root, 'docker', 'demo.sql'), 'utf8')}; ${heartbeatDefinition('event_generator')}`;
  const primary = await startCluster();
  clusters.push(primary);
  const client = await connect(primary.settings, session);
  await client.query(`SET search_path = public; ${schema}`);
  await client.end();
  clusters.push(await startStandby(primary));
  clusters.push(
    await startSubscriber(primary, (replica) =>
      replica.query(`SET search_path = public; ${schema}; TRUNCATE customers, products CASCADE`),
    ),
  );
  const [, standby, subscriber] = clusters;
  writeFileSync(
    path.join(folder, 'shop.yaml'),
    `connection: { host: 127.0.0.1, port: ${primary.settings.port}, database: postgres, user: postgres }
generator: { num_iterations: -1, random_seed: 12345, table_rows: { max: 200000 } }
traffic: { rate: 300, duration: ${SECONDS}s, spikes: [{ rate: 900, duration: 8s, every: 30s, offset: 18s }] }
metrics: { port: ${PAGE_PORT} }
thresholds: ["response_seconds p50 < 0.5", "error_ratio < 0.001"]
replication:
  targets:
    - { name: standby, kind: physical, connection: { port: ${standby.settings.port} } }
    - { name: warehouse, kind: logical, connection: { port: ${subscriber.settings.port} } }
`,
  );
  writeFileSync(
    path.join(folder, 'prometheus.yml'),
    `global: { scrape_interval: 1s }\nscrape_configs: [{ job_name: event-generator, static_configs: [{ targets: ['127.0.0.1:${PAGE_PORT}'] }] }]\n`,
  );
  children.push(
    spawn(
      'prometheus',
      [
        `--config.file=${folder}/prometheus.yml`,
        `--storage.tsdb.path=${folder}/data`,
        `--web.listen-address=127.0.0.1:${PROMETHEUS_PORT}`,
      ],
      { stdio: 'ignore' },
    ),
  );
  const command = `node ${path.join(root, 'dist/src/cli.js')} run -c shop.yaml`;
  const run = spawn('script', ['-qec', `stty cols 116 rows 40; ${command}`, '/dev/null'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(run);
  const ended = new Promise((resolve) => run.once('exit', resolve));
  let screen = '';
  run.stdout.on('data', (chunk) => {
    screen += chunk.toString();
  });
  await sleep(SECONDS - 10);
  const live = lines(screen);
  const page = await browser.newPage({ viewport: { width: 1280, height: 1010 } });
  await page.goto(`http://127.0.0.1:${PAGE_PORT}/`);
  const narrow = await browser.newPage({ viewport: { width: 480, height: 1010 }, colorScheme: 'dark' });
  await narrow.goto(`http://127.0.0.1:${PAGE_PORT}/`);
  await sleep(3);
  await keep('page', await page.screenshot());
  await keep('page-narrow', await narrow.screenshot());
  await keep('dashboard', await dashboardPicture());
  await ended;
  await keep(
    'terminal',
    await terminalPicture([...live, '', '… at the end:', ...lines(screen).slice(live.length - 1)]),
  );
} finally {
  for (const child of children) child.kill('SIGTERM');
  await browser.close();
  for (const cluster of clusters.reverse()) await cluster.stop();
  rmSync(folder, { recursive: true, force: true });
}

/** What a terminal shows after a text: a line that is written over keeps its last form. */
function lines(text) {
  return text
    .replaceAll('\r\n', '\n')
    .split('\n')
    .map((line) =>
      line
        .slice(line.lastIndexOf('\r') + 1)
        .split(ESCAPE)
        .map((part, index) => (index === 0 ? part : part.replace(/^\[\d*[Km]/, '')))
        .join(''),
    );
}

/** Saved small: the browser writes WebP. */
async function keep(name, png) {
  const page = await browser.newPage();
  const url = await page.evaluate(async (data) => {
    const image = new Image();
    image.src = `data:image/png;base64,${data}`;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = image.width;
    canvas.height = image.height;
    canvas.getContext('2d').drawImage(image, 0, 0);
    return canvas.toDataURL('image/webp', 0.85);
  }, png.toString('base64'));
  await page.close();
  const bytes = Buffer.from(url.slice(url.indexOf(',') + 1), 'base64');
  writeFileSync(path.join(PICTURES, `${name}.webp`), bytes);
  console.log(`${name}.webp: ${Math.round(bytes.length / 1000)} kB`);
}

async function terminalPicture(text) {
  const page = await browser.newPage({ viewport: { width: 960, height: 200 } });
  await page.setContent(
    `<body style="margin:0;background:#1d1f23"><pre style="margin:0;padding:16px;color:#e6e8ea;font:13px/1.4 monospace"></pre></body>`,
  );
  await page.evaluate((content) => {
    document.querySelector('pre').textContent = content;
  }, [`$ event-generator run -c shop.yaml`, ...text].join('\n').trimEnd());
  const picture = await page.screenshot({ fullPage: true });
  await page.close();
  return picture;
}

/** The dashboard's panels where its file puts them, each drawn from what Prometheus answers to its queries. */
async function dashboardPicture() {
  const { panels } = JSON.parse(readFileSync(path.join(root, 'grafana', 'event-generator.json'), 'utf8'));
  const end = Math.floor(Date.now() / 1000);
  const drawn = [];
  for (const { title, type, gridPos, fieldConfig, targets = [] } of panels) {
    if (gridPos.y > 27) continue;
    const series = [];
    for (const { expr, legendFormat } of targets) {
      const query = expr
        .replaceAll('$__rate_interval', '5s')
        .replaceAll('$quantile', '0.99')
        // The other variables choose everything.
        .replaceAll(/\$\w+/g, '.*');
      const address = `http://127.0.0.1:${PROMETHEUS_PORT}/api/v1/query_range?query=${encodeURIComponent(query)}&start=${end - 55}&end=${end}&step=1`;
      const { data } = await (await fetch(address)).json();
      for (const { metric, values } of data.result)
        series.push({
          name: legendFormat.replaceAll(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? ''),
          values: values.map(([time, value]) => [time, Number(value)]),
        });
    }
    drawn.push({ title, type, at: gridPos, unit: fieldConfig?.defaults?.unit ?? '', series });
  }
  const page = await browser.newPage({ viewport: { width: 1280, height: 600 } });
  await page.setContent(
    '<body style="margin:8px;background:#111217;color:#ccccdc;font:12px system-ui,sans-serif;position:relative"></body>',
  );
  await page.addStyleTag({ path: path.join(root, 'node_modules/uplot/dist/uPlot.min.css') });
  await page.addScriptTag({ path: path.join(root, 'node_modules/uplot/dist/uPlot.iife.min.js') });
  await page.evaluate(drawPanels, drawn);
  const picture = await page.screenshot({ fullPage: true });
  await page.close();
  return picture;
}

/** Runs in the browser. */
function drawPanels(panels) {
  const COLOURS = ['#73bf69', '#f2cc0c', '#5794f2', '#ff9830', '#f2495c', '#b877d9', '#8ab8ff', '#ffee52'];
  const [column, row] = [1264 / 24, 30];
  const three = (value) =>
    value >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));
  const format = (unit) => (value) => {
    if (value === null || value === undefined || Number.isNaN(value)) return '';
    if (unit === 's') return value === 0 ? '0 s' : value < 1 ? `${three(value * 1000)} ms` : `${three(value)} s`;
    if (unit === 'percentunit') return `${three(value * 100)} %`;
    return `${three(value)}${unit === 'ops' ? ' ops/s' : ''}`;
  };
  let bottom = 0;
  for (const { title, type, at, unit, series } of panels) {
    const [width, height] = [at.w * column - 8, at.h * row - 8];
    bottom = Math.max(bottom, (at.y + at.h) * row);
    const box = document.createElement('div');
    box.style = `position:absolute;left:${8 + at.x * column}px;top:${8 + at.y * row}px;width:${width}px;height:${height}px;overflow:hidden;${type === 'row' ? '' : 'background:#181b1f;border:1px solid #2a2d33;border-radius:3px'}`;
    const head = document.createElement('div');
    head.style = 'padding:4px 8px;font-weight:600';
    head.textContent = (type === 'row' ? '▾ ' : '') + title;
    box.append(head);
    document.body.append(box);
    if (type === 'row') continue;
    const times = [...new Set(series.flatMap(({ values }) => values.map(([time]) => time)))].sort((a, b) => a - b);
    const columns = series.map(({ values }) => {
      const found = new Map(values);
      return times.map((time) => (Number.isNaN(found.get(time)) ? null : (found.get(time) ?? null)));
    });
    if (type === 'stat') {
      for (const [index, { name }] of series.entries()) {
        const value = columns[index].at(-1);
        const line = document.createElement('div');
        line.style = `padding:${series.length > 1 ? 4 : 16}px 8px;text-align:center;font-size:${series.length > 1 ? 22 : 30}px`;
        line.innerHTML = `<small style="font-size:12px;color:#9fa7b3"></small><br>`;
        line.firstChild.textContent = title === 'Limit' || series.length === 1 ? '' : name;
        line.append(title === 'Limit' ? name : format(unit)(value));
        if (title !== 'Limit' || value === 1) box.append(line);
      }
      continue;
    }
    if (type === 'heatmap') {
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [width - 80, height - 50];
      canvas.style = 'margin-left:70px';
      const context = canvas.getContext('2d');
      const sorted = series
        .map(({ name }, index) => ({ le: name === '+Inf' ? Infinity : Number(name), counts: columns[index] }))
        .sort((a, b) => a.le - b.le);
      const cells = sorted.map(({ counts }, index) =>
        counts.map((count, time) =>
          Math.max(0, (count ?? 0) - (index > 0 ? (sorted[index - 1].counts[time] ?? 0) : 0)),
        ),
      );
      const most = Math.max(...cells.flat());
      for (const [y, counts] of cells.entries())
        for (const [x, count] of counts.entries()) {
          if (count <= 0) continue;
          context.fillStyle = `hsl(${60 - 50 * (count / most)} 90% ${25 + 35 * Math.sqrt(count / most)}%)`;
          const [w, h] = [canvas.width / times.length, canvas.height / cells.length];
          context.fillRect(x * w, canvas.height - (y + 1) * h, w - 1, h - 1);
        }
      box.append(canvas);
      for (const y of [0, 4, 8, 12, 16]) {
        const label = document.createElement('span');
        label.style = `position:absolute;left:8px;top:${26 + canvas.height - (y + 0.8) * (canvas.height / cells.length)}px;color:#9fa7b3;font-size:11px`;
        label.textContent = format('s')(sorted[y]?.le);
        box.append(label);
      }
      continue;
    }
    new uPlot(
      {
        width: width - 4,
        height: height - 62,
        legend: { show: false },
        scales: { y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] } },
        axes: [
          { stroke: '#9fa7b3', grid: { stroke: '#2a2d33' }, ticks: { show: false } },
          {
            stroke: '#9fa7b3',
            grid: { stroke: '#2a2d33' },
            ticks: { show: false },
            size: 76,
            values: (_, ticks) => ticks.map(format(unit)),
          },
        ],
        series: [
          {},
          ...series.map((_, index) => ({
            stroke: COLOURS[index % COLOURS.length],
            width: 1.5,
            fill: `${COLOURS[index % COLOURS.length]}14`,
            points: { show: false },
          })),
        ],
      },
      [times, ...columns],
      box,
    );
    const legend = document.createElement('div');
    legend.style = 'padding:0 8px;font-size:11px;white-space:nowrap;overflow:hidden;text-overflow:ellipsis';
    for (const [index, { name }] of series.entries()) {
      const entry = document.createElement('span');
      entry.style = `margin-right:10px;border-left:10px solid ${COLOURS[index % COLOURS.length]};padding-left:4px`;
      entry.textContent = name;
      legend.append(entry);
    }
    box.append(legend);
  }
  document.body.style.height = `${bottom}px`;
}
