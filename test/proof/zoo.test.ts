import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { captured, verifyEvents } from '../../src/commands/verify/events.js';
import { recorded } from '../../src/commands/verify/history.js';
import { configFor, createDatabase, runCli } from '../server/database.js';
import { CHECKS } from '../zoo/checks.js';
import { COLUMNS } from '../zoo/columns.js';
import { KEYS } from '../zoo/keys.js';
import { PARTITIONS } from '../zoo/partitions.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'eventgen-zoo-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it.for([...CHECKS, ...COLUMNS, ...KEYS, ...PARTITIONS])(
  '$name: the capture equals the history',
  async ({ sql, settings }) => {
    const database = await createDatabase(sql);
    const [capture, history] = ['events.jsonl', 'history.jsonl'].map((name) => path.join(folder, name)) as [
      string,
      string,
    ];
    const { code, stderr, summary } = await runCli(
      configFor(
        database,
        `random_seed: 3\n${settings?.includes('num_iterations') ? '' : 'num_iterations: 400\n'}${settings ?? ''}`,
      ),
      ['--capture', capture, '--history', history],
    );
    expect(stderr).not.toContain('error:');
    expect(code).toBe(0);
    const verdict = await verifyEvents(recorded(history, true), {
      events: capture,
      format: 'own',
      map: undefined,
      delivery: 'exactly-once',
      order: undefined,
      allow: [],
      isStrict: false,
      renamed: new Map(),
      folder,
    });
    expect(verdict.headline + JSON.stringify(verdict.differences.slice(0, 3)) + JSON.stringify(verdict.tables)).toMatch(
      /^Equal/,
    );
    const { insert, update, delete: deleted } = summary.events;
    const told = Object.values(verdict.tables).reduce((sum, { source = 0 }) => sum + source, 0);
    if (verdict.notes.length > 9) console.log(insert + update + deleted, told, captured);
    console.log(verdict.headline, verdict.not_compared, verdict.notes);
    await database.drop();
  },
);
