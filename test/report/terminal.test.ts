import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { CLI, configFor, createDatabase } from '../server/database.js';

const hasScript = spawnSync('script', ['--version'], { stdio: 'ignore' }).error === undefined;
if (!hasScript) console.warn('skipped: the live line on a terminal; install util-linux’s script');
// In CI nothing may be left out in silence.
if (!hasScript && process.env['CI'] === 'true') throw new Error('CI must have script');

/** Everything that a run writes to a terminal of so many columns. */
async function onTerminal(columns: number, environment: NodeJS.ProcessEnv): Promise<string> {
  const database = await createDatabase('CREATE TABLE a (id int PRIMARY KEY, v text)');
  const folder = mkdtempSync(path.join(tmpdir(), 'eventgen-terminal-'));
  try {
    const file = path.join(folder, 'run.yaml');
    writeFileSync(
      file,
      configFor(database, 'random_seed: 1\nnum_iterations: -1', 'traffic: { rate: 200, duration: 4s }'),
    );
    const command = `stty cols ${columns} rows 24; exec ${process.execPath} ${CLI} run -c ${file}`;
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      // A terminal's colours are off where CI or NO_COLOR is set.
      env: { ...process.env, CI: undefined, NO_COLOR: undefined, TERM: 'xterm-256color', ...environment },
    });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0);
    return text;
  } finally {
    rmSync(folder, { recursive: true });
    await database.drop();
  }
}

const ESCAPE = '\u001b';

it.skipIf(!hasScript)('has one live line that fits 60 columns, and leaves nothing of it behind', async () => {
  const text = await onTerminal(60, {});
  const live = text.split('\r').filter((line) => / op\/s/.test(line) && line.includes(`${ESCAPE}[K`));
  expect(live.length).toBeGreaterThanOrEqual(4);
  for (const line of live) {
    const shown = line.split(`${ESCAPE}[K`)[0]!;
    expect(shown.length).toBeLessThanOrEqual(59);
    // Where lanes still connect, that takes the room.
    expect(shown).toMatch(/^(connecting · )?[\d,]+ op\/s · .*p99 /);
    // It is rewritten where it stands.
    expect(shown).not.toContain('\n');
  }
  // The line is cleared before the summary comes; how the run ended and a warning are coloured, and nothing else.
  expect(text).toContain(`\r${ESCAPE}[K\r\n${ESCAPE}[32mFinished${ESCAPE}[39m: duration reached`);
  expect(text).toContain(`${ESCAPE}[33mwarning:${ESCAPE}[0m user "postgres" is a superuser`);
  const summary = text.slice(text.indexOf(': duration reached'));
  expect(summary).not.toContain(ESCAPE);
  for (const line of summary.split('\r\n'))
    if (!line.includes('to repeat this run')) expect(line.length, line).toBeLessThanOrEqual(60);
});

it.skipIf(!hasScript)('has no colours with NO_COLOR, and survives a terminal of no columns', async () => {
  const text = await onTerminal(0, { NO_COLOR: '1' });
  expect(text).not.toContain(`${ESCAPE}[3`);
  expect(text).toContain('warning: user "postgres" is a superuser');
  expect(text).toContain('Finished: duration reached');
});
