// What `npm start` and `npm test` do before anything else: install and build, each only where it is out of date.
// Uses Node alone, since nothing is installed yet in a fresh clone.
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Node.js ${process.versions.node} is too old: 20.19 or later is needed.`);
  process.exit(1);
}

const installed = modified('node_modules/.package-lock.json');
if (installed < Math.max(modified('package.json'), modified('package-lock.json'))) {
  step('Installing', process.platform === 'win32' ? 'npm.cmd' : 'npm', [
    'ci',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]);
}
const sources = Math.max(
  ...['src', 'workers', 'bench', 'grafana', 'page', 'scripts'].map(newest),
  modified('tsconfig.json'),
  modified('package.json'),
);
if (modified('dist/src/cli.js') < sources) step('Building', process.execPath, ['scripts/build.mjs']);

function step(title, command, args) {
  console.error(`${title} …`);
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (status !== 0) {
    console.error(`${title} failed${error ? `: ${error.message}` : ''}.`);
    process.exit(1);
  }
}

function modified(file) {
  try {
    return statSync(path.join(root, file)).mtimeMs;
  } catch {
    return 0;
  }
}

function newest(folder) {
  return Math.max(
    ...readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => statSync(path.join(entry.parentPath ?? entry.path, entry.name)).mtimeMs),
  );
}
