import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import type { ConnectionSettings } from '../config/connection.js';
import { SetupError } from '../config/problem.js';

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

/** Connects. The client has an error listener: without one a dropped connection would end the thread. */
export async function connect(settings: ConnectionSettings, options: SessionOptions): Promise<pg.Client> {
  const client = new pg.Client({
    host: settings.host,
    port: settings.port,
    database: settings.database,
    user: settings.user,
    ...(settings.password === undefined ? {} : { password: settings.password }),
    ssl: sslOptions(settings),
    application_name: options.applicationName,
    connectionTimeoutMillis: options.connectTimeoutMs,
    keepAlive: true,
    pipeline: options.pipeline,
    ...(options.plain === true ? {} : { options: sessionSettings(settings, options) }),
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

/* As start-up options, so that they hold before the first statement and cost no round trip. */
function sessionSettings({ searchPath, settings: given }: ConnectionSettings, options: SessionOptions): string {
  const settings = {
    ...given,
    ...SETTINGS,
    statement_timeout: String(options.statementTimeoutMs),
    lock_timeout: String(options.lockTimeoutMs),
    ...(searchPath === undefined ? {} : { search_path: searchPath }),
    ...(options.isolation === undefined ? {} : { default_transaction_isolation: options.isolation }),
  };
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replaceAll(/[\\\s]/g, '\\$&')}`)
    .join(' ');
}

function sslOptions(settings: ConnectionSettings): false | ConnectionOptions {
  if (settings.ssl === 'disable') return false;
  const files = {
    ...(settings.sslRootCert === undefined ? {} : { ca: readFile('ssl_root_cert', settings.sslRootCert) }),
    ...(settings.sslCert === undefined ? {} : { cert: readFile('ssl_cert', settings.sslCert) }),
    ...(settings.sslKey === undefined ? {} : { key: readFile('ssl_key', settings.sslKey) }),
  };
  switch (settings.ssl) {
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
