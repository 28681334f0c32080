import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Home folders of embedded servers begin with this; the owner's process id follows. */
const HOME_PREFIX = 'pg-event-generator-';

/** Name of a new home folder, before mkdtemp's random part. */
export function homePrefix(): string {
  return path.join(tmpdir(), `${HOME_PREFIX}${process.pid}-`);
}

/**
 * Ends servers and removes folders whose owner is gone: a kill -9 of ours leaves the server running. Only what carries
 * our mark and belongs to a dead process is touched.
 */
export function cleanUpLeftovers(): void {
  for (const name of readdirSync(tmpdir())) {
    const match = /^pg-event-generator-(\d+)-/.exec(name);
    if (match === null || isAlive(Number(match[1]))) continue;
    const home = path.join(tmpdir(), name);
    const server = serverProcess(home);
    try {
      if (server !== null) process.kill(server, 'SIGQUIT');
      rmSync(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    } catch {
      // Another user's: not ours to remove.
    }
  }
}

/** The postmaster of a data folder, if it is one of ours that still runs. */
function serverProcess(home: string): number | null {
  try {
    const pid = Number(readFileSync(path.join(home, 'data', 'postmaster.pid'), 'utf8').split('\n')[0]);
    if (!isAlive(pid)) return null;
    // Process ids are used again: only a process that was started on this very folder is the server.
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return command.includes(home) ? pid : null;
  } catch {
    return null;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
