import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { type ConnectionSettings, isLoopback, placesIn, type TargetSessionAttrs } from '../config/connection.js';
import { SetupError } from '../config/problem.js';
import { forgetPassword, passwordOf } from './password.js';
import { type Backend, backendOf, checkOwnServer } from './pooler.js';

/** How our sessions behave, beside where they connect to. */
export interface SessionOptions {
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
  /** 0: the server's own setting stays. */
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  /** Of its transactions; the server's own setting where it is left out. */
  readonly isolation?: string;
  readonly pipeline: boolean;
  /** No settings at the start, for servers that are only read: poolers and other makes refuse some. */
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

/** By session: the server's process behind it, which a pooler does not tell, and what it was at the start. */
const BACKENDS = new WeakMap<pg.Client, Backend>();

/** The number of the server's process that carries a session: what pg_stat_activity knows it by. */
export function processIdOf(client: pg.Client): number {
  return BACKENDS.get(client)?.processId ?? ownNumber(client);
}

/** True where a pooler stands between: it tells a session another process than the one that answers. */
export function isPooled(client: pg.Client): boolean {
  return processIdOf(client) !== ownNumber(client);
}

/** True where the server took no writes when the session began. */
export function wasReadOnly(client: pg.Client): boolean {
  return BACKENDS.get(client)?.isReadOnly ?? false;
}

/** Ends a session at once, whatever it waits for. */
export function destroy(client: pg.Client): void {
  client.end().catch(() => undefined);
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}

/* As it was told at the start: by the server, or by a pooler, whose number is its own. */
function ownNumber(client: pg.Client): number {
  return (client as unknown as { processID: number }).processID;
}

/** By place: poolers that give every session a server of its own. */
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
      // A password is as wrong at the next one.
      if (places.length === 1 || error instanceof SetupError || isFinal(error)) throw error;
      const { message, code } = error as NodeJS.ErrnoException;
      refusals.push(`${place.host}:${place.port} ${message || code}`);
      if (index === places.length - 1)
        throw Object.assign(new Error(`no server is suitable: ${refusals.join('; ')}`), { code: NO_SERVER });
    }
  }
  throw new Error('no host is configured');
}

/** The code of the error that is thrown where none of several servers will do now. */
export const NO_SERVER = 'NO_SERVER';

/** True for a refusal that waiting does not change: a wrong password, database or privilege, or a pooler that shares sessions out. */
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
  if (options.plain === true || options.replication === true) return client;
  try {
    const backend = await backendOf(client, options.connectTimeoutMs);
    const { processId } = backend;
    BACKENDS.set(client, backend);
    if (!suits(backend, wanted))
      throw new Error(`is ${backend.isStandby ? 'a standby' : backend.isReadOnly ? 'read-only' : 'a primary'}`);
    if (isPooled(client)) {
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
    // What could not be found out is asked again.
    check.catch(() => CHECKED.delete(place));
  }
  await check;
}

/** Opens a session; where a password that a command has printed is refused, with one that it prints now. */
async function open(settings: ConnectionSettings, options: SessionOptions): Promise<pg.Client> {
  try {
    return await openPreferring(settings, options);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.code !== '28P01' || !forgetPassword(settings)) throw error;
    return await openPreferring(settings, options);
  }
}

/** Without encryption where `prefer` finds that the server has none, or takes such sessions only. */
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

/* As pg says that the server has no certificate. */
const NO_SSL = 'The server does not support SSL connections';

/** True where what is sent and received is encrypted, or stays on this machine. */
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

/* At the start they hold before the first statement and cost no round trip. */
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
