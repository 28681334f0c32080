import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import pgpass from 'pgpass';
import type { ConnectionSettings } from '../config/connection.js';
import { SetupError } from '../config/problem.js';
import { learnSecret } from '../config/secrets.js';

/* A token may be valid for minutes only, and sessions that connect at the same time can share one. */
const COMMAND_HOLDS_MS = 60_000;
const COMMAND_TIMEOUT_MS = 30_000;
const MOST_BYTES = 65_536;

/** The last output of each command, with its time. */
const PRINTED = new Map<string, { readonly password: Promise<string>; readonly atMs: number }>();

/**
 * The password of a connection: as it is given, or what finds it out when the server asks for one.
 * The latter throws SetupError that says what to do.
 */
export function passwordOf(settings: ConnectionSettings): string | (() => Promise<string>) {
  const { password, passwordCommand } = settings;
  if (password !== undefined) return password;
  if (passwordCommand !== undefined) return () => printedBy(passwordCommand, settings);
  return () => fromFile(settings);
}

async function printedBy(command: readonly string[], settings: ConnectionSettings): Promise<string> {
  const key = command.join('\0');
  const before = PRINTED.get(key);
  if (before !== undefined && performance.now() - before.atMs < COMMAND_HOLDS_MS) return await before.password;
  // One failure is no reason to end a run of days: the last password may still be valid.
  const password = ask(command, settings).catch((error: unknown) => {
    PRINTED.delete(key);
    if (before === undefined) throw error;
    PRINTED.set(key, { password: before.password, atMs: performance.now() });
    return before.password;
  });
  PRINTED.set(key, { password, atMs: performance.now() });
  return await password;
}

/** Forgets the password that a command printed, since the server rejected it. Returns false if there is no command. */
export function forgetPassword({ passwordCommand }: ConnectionSettings): boolean {
  if (passwordCommand === undefined) return false;
  PRINTED.delete(passwordCommand.join('\0'));
  return true;
}

async function ask(
  [program, ...args]: readonly string[],
  { user, database, host }: ConnectionSettings,
): Promise<string> {
  const options = { timeout: COMMAND_TIMEOUT_MS, maxBuffer: MOST_BYTES };
  const printed = await new Promise<string>((resolve, reject) => {
    const child = execFile(program!, args, options, (error, output, errors) => {
      if (error === null) resolve(output);
      else reject(failed(program!, error, errors));
    });
    child.stdin?.end();
  });
  const password = printed.split(/\r?\n/, 1)[0]!;
  if (password === '')
    throw refused(`"${program}" printed nothing; expected the password on the first line of its output`);
  learnSecret(password, [user, database, host]);
  return password;
}

function failed(
  program: string,
  error: Error & { code?: string | number | null; killed?: boolean },
  errors: string,
): SetupError {
  const said = errors.trim().split('\n', 1)[0]!;
  const why = said === '' ? '' : `: ${said}`;
  if (error.code === 'ENOENT') return refused(`program "${program}" was not found`);
  if (error.killed === true) return refused(`"${program}" did not end within ${COMMAND_TIMEOUT_MS / 1000} s`);
  return refused(
    `"${program}" ended with ${typeof error.code === 'number' ? `exit code ${error.code}` : error.code}${why}`,
  );
}

function refused(message: string): SetupError {
  return SetupError.of('connection', `password_command: ${message}`);
}

/** Reads a password file. Like libpq, ignores a file that other users can read. */
async function fromFile({ host, port, database, user }: ConnectionSettings): Promise<string> {
  const file = process.env['PGPASSFILE'] ?? `${process.env['HOME'] ?? '.'}/.pgpass`;
  const mode = statSync(file, { throwIfNoEntry: false })?.mode;
  if (mode !== undefined && process.platform !== 'win32' && (mode & 0o077) !== 0)
    throw SetupError.of(
      'connection',
      `password file "${file}" has group or world access; permissions should be u=rw (0600) or less`,
    );
  const found = await new Promise<string | undefined>((resolve) => {
    pgpass({ host, port, database, user }, resolve);
  });
  if (found !== undefined) return found;
  throw SetupError.of(
    'connection',
    'the server asks for a password; set password, password_command, PGPASSWORD or ~/.pgpass',
  );
}
