import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PageData } from '../../src/page/data.js';
import { configFor, createDatabase, type Database, type Running, runCli, startCli } from '../server/database.js';

const CHROMIUM = '/usr/bin/chromium';
const hasChromium = existsSync(CHROMIUM);
if (!hasChromium) console.warn('skipped: the live page and the report in a browser; install Debian’s chromium');
// In CI nothing may be left out in silence.
if (!hasChromium && process.env['CI'] === 'true') throw new Error('CI must install chromium');

const TABLES =
  'CREATE TABLE customers (id int PRIMARY KEY, email text UNIQUE); CREATE TABLE "Odd <b>name" (id int PRIMARY KEY, v text)';

describe.skipIf(!hasChromium)('in a browser', () => {
  let browser: Browser;
  let database: Database;
  let live: Running | undefined;
  const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-page-'));

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  });
  beforeEach(async () => {
    database = await createDatabase(TABLES);
  });
  afterEach(async () => {
    live?.kill('SIGKILL');
    await live?.ended;
    live = undefined;
    await database.drop();
  });
  afterAll(async () => {
    await browser.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A page that keeps what goes wrong in it, and every address that it asks for. */
  async function open(url: string, width: number, colorScheme: 'light' | 'dark') {
    const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
    const wrong: string[] = [];
    const requests = new Set<string>();
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) wrong.push(message.text());
    });
    page.on('pageerror', (error) => wrong.push(error.message));
    page.on('request', (request) => requests.add(request.url()));
    await page.goto(url);
    await page.waitForSelector('figure');
    return { page, wrong, requests };
  }

  const yaml = (rest = '') =>
    configFor(database, 'random_seed: 1\nnum_iterations: -1', rest).replace('{ enabled: false }', '{ port: 0 }');

  it('the live page shows the running test, a second behind at most, and its end', async () => {
    const run = startCli(yaml('traffic: { rate: 300 }\n'), [
      '--metrics-linger',
      '60s',
      '--report',
      path.join(folder, 'live.html'),
    ]);
    live = run;
    await run.saw('live page on');
    const url = run.stderr().match(/live page on (http:\S+)/)![1]!;
    const { page, wrong, requests } = await open(url, 1280, 'light');
    await expect.poll(() => tile(page, 'operations/s'), { timeout: 20_000 }).toMatch(/^(29|30)\d$/);
    expect(await page.textContent('.state')).toBe('running');
    // Threads are busy with their own start at first.
    await expect.poll(() => tile(page, 'limit'), { timeout: 20_000 }).toBe('rate-bound');
    await expect.poll(() => inked(page), { timeout: 10_000 }).toEqual(Array.from({ length: 8 }, () => true));
    expect(await page.$$eval('#coverage li', (found) => found.map((each) => each.textContent))).toEqual([
      'all 2 tables take every operation',
    ]);
    // What is shown is never older than a second and the time that drawing takes.
    const startedAt = Date.parse((await page.textContent('header .facts'))!.match(/started (\S+)/)![1]!);
    const look = async () => {
      const behind: number[] = [];
      for (let at = 0; at < 8; at++) {
        const shown = (await page.textContent('header .time'))!.match(/(\d+):(\d+)/)!;
        behind.push((Date.now() - startedAt) / 1000 - Number(shown[1]) * 60 - Number(shown[2]));
        await page.waitForTimeout(250);
      }
      // The clock on the page is in whole seconds, rounded.
      return Math.min(...behind) < 1 && Math.max(...behind) < 2.5;
    };
    // A neighbour that takes the processor for a moment disturbs one look, seldom three.
    expect((await look()) || (await look()) || (await look())).toBe(true);

    // Keyboard: a chart reads its points out.
    await page.focus('figure:first-of-type');
    await page.keyboard.press('Home');
    const first = await page.textContent('figure:first-of-type .hidden');
    expect(first).toMatch(/^At 0:0\d: achieved [\d,.]+, target [\d.]+$/);
    await page.keyboard.press('ArrowRight');
    expect(await page.textContent('figure:first-of-type .hidden')).not.toBe(first);
    // Tables can be sorted.
    await page.click('#tables th:nth-child(1) button');
    expect(await page.getAttribute('#tables th:nth-child(1)', 'aria-sort')).toBe('ascending');
    expect(await page.textContent('#tables tbody tr:nth-child(1) th')).toBe('public."Odd <b>name"');
    expect(await violations(page)).toEqual([]);

    run.kill('SIGINT');
    await run.saw('operations in flight finish');
    await page.waitForSelector('.state[data-kind=good]');
    expect(await page.textContent('.state')).toBe('finished: stopped by SIGINT (exit code 0)');
    expect(wrong).toEqual([]);
    const origin = new URL(url).origin;
    expect([...requests].filter((each) => new URL(each).origin !== origin && !each.startsWith('data:'))).toEqual([]);
    const rows = await tableRows(page);
    const achieved = await tile(page, 'operations/s');
    const { code, summary } = await run.ended;
    expect(code).toBe(0);
    expect(rows).toEqual(rowsOf(summary));
    expect(Number(achieved)).toBeCloseTo(summary.rate.achieved, -1);
    await page.close();
  });

  // A run that waits for the processor begins its stages late.
  it('the report holds everything, opened from disk, wide and narrow, light and dark', { retry: 2 }, async () => {
    const file = path.join(folder, 'report.html');
    const { code, summary } = await runCli(
      yaml(
        'traffic: { stages: [{ duration: 2s, rate: 200 }, { duration: 2s, rate: 400 }], spikes: [{ rate: 300, duration: 500ms, offset: 1s }] }\nthresholds: ["error_ratio < 0.5"]\n',
      ),
      ['--report', file],
    );
    expect(code).toBe(0);
    for (const [width, scheme] of [
      [1920, 'dark'],
      [1280, 'light'],
      [480, 'dark'],
    ] as const) {
      const { page, wrong, requests } = await open(pathToFileURL(file).href, width, scheme);
      expect(await inked(page)).toEqual(Array.from({ length: 8 }, () => true));
      expect(await tableRows(page)).toEqual(rowsOf(summary));
      expect(Number(await tile(page, 'operations/s'))).toBeCloseTo(summary.rate.achieved, -1);
      expect(await page.textContent('.state')).toContain('finished: ');
      expect(await page.textContent('#thresholds li[data-kind=met]')).toBe('✓ error_ratio < 0.5: 0');
      const marks = await page.$$eval('#marks li', (found) => found.map((each) => each.textContent));
      expect(marks).toEqual([
        expect.stringMatching(/^0:0[01] to 0:0[23] stage 1: 200\/s$/),
        expect.stringMatching(/^0:0[23] to 0:0[45] stage 2: 400\/s$/),
        expect.stringMatching(/^0:0[12] to 0:0[12] spike: 300\/s$/),
      ]);
      // Each thing stands once.
      expect(await page.$$eval('#thresholds', (found) => found.length)).toBe(1);
      expect(await page.$$eval('#coverage li', (found) => found.length)).toBe(0);
      expect(await tile(page, 'dropped')).toBe('0');
      expect(await tile(page, 'retries')).toBe('0');
      const facts = await page.textContent('#summary');
      expect(facts).toContain(`operations${summary.totals['operations']!.toLocaleString('en-US')}`);
      expect(facts).toContain(summary.plan_fingerprint);
      expect(JSON.parse((await page.textContent('details pre'))!)).toEqual(JSON.parse(JSON.stringify(summary)));
      expect(await page.textContent('main')).toContain('2 of 2 tables take every operation');
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
      expect(await violations(page)).toEqual([]);
      expect(wrong).toEqual([]);
      expect([...requests].filter((url) => !url.startsWith('file:') && !url.startsWith('data:'))).toEqual([]);
      await page.close();
    }
  });

  it('a run that was refused leaves a report that says why, and no secret', async () => {
    const file = path.join(folder, 'refused.html');
    const secret = 'hunter2-</script>';
    const { code } = await runCli(
      `connection: { url: "postgresql://me:hunter2@127.0.0.1:1/x" }\nreplication: { targets: [{ name: a, kind: heartbeat, connection: { host: b, password: "${secret}" } }] }\ngenerator: { max_outage_seconds: 0 }\nmetrics: { enabled: false }\n`,
      ['--report', file],
    );
    expect(code).toBe(3);
    expect(readFileSync(file, 'utf8')).not.toContain('hunter2');
    const page = await browser.newPage();
    await page.goto(pathToFileURL(file).href);
    expect(await page.textContent('.state')).toContain('refused: no server listens there');
    expect(await page.textContent('pre')).toContain('url: postgresql://me:***@127.0.0.1:1/x');
    await page.close();
  });

  it('an end that a second signal forces leaves a report of what was seen', async () => {
    const file = path.join(folder, 'forced.html');
    await database.client.query(
      "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN NULL; END'; CREATE TRIGGER slow AFTER DELETE ON customers EXECUTE FUNCTION slow()",
    );
    live = startCli(yaml('').replace('num_iterations', 'rehearse: false\n  num_iterations'), ['--report', file]);
    await live.saw('metrics on');
    const state = `${live.stderr().match(/live page on (http:\S+)/)![1]!}state`;
    await expect
      .poll(async () => ((await (await fetch(state)).json()) as PageData).points.length, { timeout: 30_000 })
      .toBeGreaterThan(3);
    live.kill('SIGINT');
    await live.saw('operations in flight finish');
    live.kill('SIGINT');
    expect((await live.ended).code).toBe(130);
    const page = await browser.newPage();
    await page.goto(pathToFileURL(file).href);
    expect(await page.textContent('.state')).toBe('ended: a second signal (SIGINT) forced the end (exit code 130)');
    expect((await inked(page))[0]).toBe(true);
    await page.close();
    await database.client.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'eventgen%'",
    );
  });

  it('a run that ends early leaves a report as well', async () => {
    const file = path.join(folder, 'early.html');
    await database.client.query(
      "CREATE TABLE never (id int PRIMARY KEY, v text); CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END'; CREATE TRIGGER no BEFORE INSERT ON never FOR EACH ROW EXECUTE FUNCTION no()",
    );
    const early = configFor(
      database,
      'random_seed: 1\nnum_iterations: 300\nrehearse: false\ninsert_max_retries: 1\noperations: [INSERT]\nerror_budget: { quarantine_after: 1000 }',
    );
    const { code, summary } = await runCli(early, ['--report', file]);
    expect(code).toBe(2);
    const page = await browser.newPage();
    await page.goto(pathToFileURL(file).href);
    expect(await page.textContent('.state')).toContain(`ended: ${summary.exit.reason} (exit code 2)`);
    expect(await page.textContent('#errors')).toMatch(/^P0001 × \d+, for example: public.never: no/);
    await page.close();
  });
});

/** The figure of a tile. */
async function tile(page: Page, name: string): Promise<string | null> {
  return await page.textContent(`.tiles div:has(dt:text-is("${name}")) .value`);
}

/** Rows changed per table, as the page shows them. */
async function tableRows(page: Page): Promise<Record<string, number[]>> {
  const rows = await page.$$eval('#tables tbody tr', (found) =>
    found.map((row) => [...row.children].map((cell) => cell.textContent ?? '')),
  );
  return Object.fromEntries(
    rows.map(([table, ...cells]) => [table!, cells.slice(0, 3).map((cell) => Number(cell.replaceAll(',', '')))]),
  );
}

function rowsOf(summary: Awaited<ReturnType<typeof runCli>>['summary']): Record<string, number[]> {
  return Object.fromEntries(
    Object.entries(summary.tables).map(([name, each]) => [
      name,
      [each.insert.rows, each.update.rows, each.delete.rows],
    ]),
  );
}

/** Per chart: whether there is a curve, that is something of a colour that axes and grid do not have. */
async function inked(page: Page): Promise<boolean[]> {
  return await page.$$eval('figure', (figures) =>
    figures.map((figure) => {
      const canvas = figure.querySelector('canvas')!;
      // Chromium warns where a canvas is read again and again that was not made for it: the test reads a copy.
      const copy = canvas.cloneNode();
      const context = copy.getContext('2d', { willReadFrequently: true })!;
      context.drawImage(canvas, 0, 0);
      const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
      let coloured = 0;
      for (let at = 0; at < data.length; at += 4) {
        const spread = Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]);
        if (data[at + 3]! > 100 && spread > 60) coloured++;
      }
      return coloured > 30;
    }),
  );
}

/** What axe finds wrong for people who do not see the page, or see it badly. */
async function violations(page: Page): Promise<string[]> {
  await page.addScriptTag({ content: axe.source });
  const found = await page.evaluate<{ violations: { id: string; nodes: { html: string }[] }[] }>('axe.run()');
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}
