import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { type ConnectionSettings, isLoopback, placesIn, type TargetSessionAttrs } from '../config/connection.js';
import { SetupError } from '../config/problem.js';
import { forgetPassword, passwordOf } from './password.js';
import { type Backend, backendOf, checkOwnServer } from './pooler.js';

/** Options of a session, apart from where it connects to. */
export interface SessionOptions {
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
  /** 0: the server's setting applies. */
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  /** Isolation level of its transactions; by default the server's setting. */
  readonly isolation?: string;
  readonly pipeline: boolean;
  /** True for servers that are only read: no settings are sent at the start, because poolers and others reject some. */
  readonly plain?: boolean;
  /** A session that reads the server's replication stream; a pooler has none. */
  readonly replication?: boolean;
}

/*
 * Texts that we write must be read alike everywhere. search_path stays the application's own, with targeted schemas behind it: its
 * triggers and defaults may rely on it, and our statements qualify every name.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  lc_monetary: 'C',
  client_encoding: 'UTF8',
  extra_float_digits: '1',
  bytea_output: 'hex',
  standard_conforming_strings: 'on',
  xmloption: 'content',
  array_nulls: 'on',
};

/** The server process behind each session, which a pooler does not reveal, and its state at the start. */
const BACKENDS = new WeakMap<pg.Client, Backend>();

/** Returns the process id of a session's backend, as in pg_stat_activity. */
export function processIdOf(client: pg.Client): number {
  return BACKENDS.get(client)?.processId ?? ownNumber(client);
}

/** Returns true if the session goes through a pooler, which reports another process id than the one that answers. */
export function isPooled(client: pg.Client): boolean {
  return processIdOf(client) !== ownNumber(client);
}

/**
 * Returns true if no pooler stands between a plain session and its server: it may prepare statements. False also where a server
 * of another make does not tell.
 */
export async function isDirect(client: pg.Client, timeoutMs: number): Promise<boolean> {
  try {
    return (await backendOf(client, timeoutMs)).processId === ownNumber(client);
  } catch {
    return false;
  }
}

/** The server cancels a statement at its time-out; a connection that stays silent this much longer is dead. */
export const WATCHDOG_GRACE_MS = 10_000;

/** Returns true if the server was read-only when the session began. */
export function wasReadOnly(client: pg.Client): boolean {
  return BACKENDS.get(client)?.isReadOnly ?? false;
}

/** Ends a session at once, whatever it is waiting for. */
export function destroy(client: pg.Client): void {
  client.end().catch(() => undefined);
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}

/* The process id reported at the start: by the server, or a made-up one by a pooler. */
function ownNumber(client: pg.Client): number {
  return (client as unknown as { processID: number }).processID;
}

/** Checked places whose pooler, if there is one, gives every session a server connection of its own. */
const CHECKED = new Map<string, Promise<void>>();

/**
 * Connects. The client has an error listener: without one a dropped connection would end the thread. Behind a pooler the
 * settings are made by statements, since poolers leave those of the start away.
 * @throws SetupError where a pooler shares sessions out.
 */
export async function connect(settings: ConnectionSettings, options: SessionOptions): Promise<pg.Client> {
  const places = placesIn(settings);
  const refusals: string[] = [];
  for (const [index, place] of places.entries()) {
    try {
      return await connectTo({ ...settings, ...place }, options, settings.targetSessionAttrs ?? 'any');
    } catch (error) {
      // A wrong password is wrong on the next host as well.
      if (places.length === 1 || error instanceof SetupError || isFinal(error)) throw error;
      const { message, code } = error as NodeJS.ErrnoException;
      refusals.push(`${place.host}:${place.port} ${message || code}`);
      if (index === places.length - 1)
        throw Object.assign(new Error(`no server is suitable: ${refusals.join('; ')}`), { code: NO_SERVER });
    }
  }
  throw new Error('no host is configured');
}

/** The code of the error that is thrown if none of several servers is suitable now. */
export const NO_SERVER = 'NO_SERVER';

/** Returns true for errors that waiting does not cure: a wrong password, database or privilege, or a sharing pooler. */
export function isFinal(error: unknown): boolean {
  if (error instanceof SetupError) return true;
  const code = error instanceof pg.DatabaseError ? (error.code ?? '') : '';
  return code.startsWith('28') || code === '3D000' || code === '57P04' || code === '42501';
}

async function connectTo(
  settings: ConnectionSettings,
  options: SessionOptions,
  wanted: TargetSessionAttrs,
): Promise<pg.Client> {
  const client = await open(settings, options);
  // A replication session answers simple queries as well; what a single server is like is its own affair.
  if (options.plain === true || (options.replication === true && wanted === 'any')) return client;
  try {
    const backend = await backendOf(client, options.connectTimeoutMs);
    const { processId } = backend;
    BACKENDS.set(client, backend);
    if (!suits(backend, wanted))
      throw new Error(`is ${backend.isStandby ? 'a standby' : backend.isReadOnly ? 'read-only' : 'a primary'}`);
    if (options.replication !== true && isPooled(client)) {
      await checkPooler(client, processId, settings, options);
      const values = Object.entries(sessionSettings(settings, options));
      const calls = values.map((_, index) => `set_config($${2 * index + 1}, $${2 * index + 2}, false)`);
      await client.query(`SELECT ${calls.join(', ')}`, values.flat());
    }
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}

function suits({ isReadOnly, isStandby }: Backend, wanted: TargetSessionAttrs): boolean {
  switch (wanted) {
    case 'any':
      return true;
    case 'read-write':
      return !isReadOnly;
    case 'read-only':
      return isReadOnly;
    case 'primary':
      return !isStandby;
    case 'standby':
      return isStandby;
  }
}

async function checkPooler(
  client: pg.Client,
  processId: number,
  settings: ConnectionSettings,
  options: SessionOptions,
): Promise<void> {
  const place = `${settings.host}:${settings.port}/${settings.database}/${settings.user}`;
  const holder = { ...options, applicationName: `${options.applicationName}/pooler`, pipeline: false };
  let check = CHECKED.get(place);
  if (check === undefined) {
    check = checkOwnServer(client, processId, () => open(settings, holder));
    CHECKED.set(place, check);
    // A check that failed is repeated the next time.
    check.catch(() => CHECKED.delete(place));
  }
  await check;
}

/** Opens a session. If the server rejects a password printed by a command, runs the command again. */
async function open(settings: ConnectionSettings, options: SessionOptions): Promise<pg.Client> {
  try {
    return await openPreferring(settings, options);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.code !== '28P01' || !forgetPassword(settings)) throw error;
    return await openPreferring(settings, options);
  }
}

/** Opens a session; with ssl `prefer`, falls back to no encryption if the server does not support or accept it. */
async function openPreferring(settings: ConnectionSettings, options: SessionOptions): Promise<pg.Client> {
  if (settings.ssl !== 'prefer') return await openAs(settings, options, sslOptions(settings));
  try {
    return await openAs(settings, options, sslOptions({ ...settings, ssl: 'require' }));
  } catch (error) {
    if (!(error instanceof Error) || !(error.message === NO_SSL || (error as NodeJS.ErrnoException).code === '28000'))
      throw error;
    return await openAs(settings, options, false);
  }
}

/* The message of pg for a server without SSL. */
const NO_SSL = 'The server does not support SSL connections';

/** Returns true if the connection is encrypted or stays on this machine. */
export function isPrivate(client: pg.Client): boolean {
  const { stream } = (client as unknown as { connection: { stream: { encrypted?: boolean } } }).connection;
  return stream.encrypted === true || isLoopback(client.host);
}

async function openAs(
  settings: ConnectionSettings,
  options: SessionOptions,
  ssl: false | ConnectionOptions,
): Promise<pg.Client> {
  const client = new pg.Client({
    host: settings.host,
    port: settings.port,
    database: settings.database,
    user: settings.user,
    password: passwordOf(settings),
    ssl,
    application_name: options.applicationName,
    connectionTimeoutMillis: options.connectTimeoutMs,
    keepAlive: true,
    pipeline: options.pipeline,
    ...(options.replication === true ? { replication: 'database' } : {}),
    ...(options.plain === true ? {} : { options: startUpOptions(sessionSettings(settings, options)) }),
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
  return client;
}

function sessionSettings(
  { searchPath, settings: given }: ConnectionSettings,
  options: SessionOptions,
): Readonly<Record<string, string>> {
  return {
    ...given,
    ...SETTINGS,
    statement_timeout: String(options.statementTimeoutMs),
    lock_timeout: String(options.lockTimeoutMs),
    ...(searchPath === undefined ? {} : { search_path: searchPath }),
    ...(options.isolation === undefined ? {} : { default_transaction_isolation: options.isolation }),
  };
}

/* Settings in the startup message apply before the first statement and cost no round trip. */
function startUpOptions(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replaceAll(/[\\\s]/g, '\\$&')}`)
    .join(' ');
}

function sslOptions(settings: ConnectionSettings): false | ConnectionOptions {
  if (settings.ssl === 'disable' || settings.host.startsWith('/')) return false;
  const files = {
    ...(settings.sslRootCert === undefined ? {} : { ca: readFile('ssl_root_cert', settings.sslRootCert) }),
    ...(settings.sslCert === undefined ? {} : { cert: readFile('ssl_cert', settings.sslCert) }),
    ...(settings.sslKey === undefined ? {} : { key: readFile('ssl_key', settings.sslKey) }),
  };
  switch (settings.ssl) {
    case 'prefer':
    case 'require':
      return { ...files, rejectUnauthorized: false };
    case 'verify-ca':
      return { ...files, rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case 'verify-full':
      return { ...files, rejectUnauthorized: true };
  }
}

function readFile(key: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw SetupError.of(
      'connection',
      `${key}: "${file}" cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`,
    );
  }
}
