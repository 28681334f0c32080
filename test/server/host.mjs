/**
 * A process that carries out one command line after the other, as a user's own process would, but with its code loaded
 * once: that halves the CPU time of a short run. It is asked and answers by messages.
 */
import { pathToFileURL } from 'node:url';

/* After a command, the process of a user would end; so long does a resource have to go away by itself. */
const MOST_LINGER_MS = 5000;
/* Kept open by this process itself, or without an end of their own. */
const OWN = new Set(['PipeWrap', 'Immediate', 'TickObject']);

const written = { stdout: '', stderr: '' };
for (const name of ['stdout', 'stderr']) {
  process[name].setMaxListeners(0);
  process[name].write = (chunk, encoding, done) => {
    written[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
    const callback = typeof encoding === 'function' ? encoding : done;
    if (callback !== undefined) process.nextTick(callback);
    return true;
  };
}

const resources = () => process.getActiveResourcesInfo().filter((name) => !OWN.has(name));

/** Waits until nothing would keep a process alive any more. Returns what still does. */
async function lingering() {
  for (const startMs = performance.now(); performance.now() - startMs < MOST_LINGER_MS; ) {
    // The timer of this loop is one of them.
    await new Promise((resolve) => setImmediate(resolve));
    if (resources().length === 0) return [];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return resources();
}

let commands = 0;

process.on('message', async ({ cli, args, environment }) => {
  written.stdout = '';
  written.stderr = '';
  process.exitCode = undefined;
  process.argv.splice(2, Infinity, ...args);
  for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name];
  Object.assign(process.env, environment);
  try {
    // The commands' own module is evaluated anew; what it shares with others stays.
    await import(`${pathToFileURL(cli)}?${++commands}`);
  } catch (error) {
    process.exitCode = 1;
    written.stderr += `${error.stack}\n`;
  }
  const code = process.exitCode ?? 0;
  process.exitCode = undefined;
  process.send({ code, ...written, left: await lingering() });
});
process.on('disconnect', () => process.exit());
