// Loaded into every thread of a run (node --import): a worker thread ends after a while, as if it had crashed. Each death leaves a
// file in a folder, since more than a few deaths a minute rightly end a run.
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isMainThread, threadId } from 'node:worker_threads';

const MOST_DEATHS = 3;
const { CHAOS_DEATHS_FOLDER: folder, CHAOS_THREAD_LIFE_MS: life } = process.env;
if (!isMainThread && folder !== undefined)
  setTimeout(
    () => {
      if (readdirSync(folder).length >= MOST_DEATHS) return;
      writeFileSync(path.join(folder, String(threadId)), '');
      process.exit(1);
    },
    Number(life) * (0.5 + Math.random()),
  ).unref();
