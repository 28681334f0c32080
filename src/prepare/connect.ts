import type pg from 'pg';
import { type ConnectionSettings, describeConnection } from '../config/connection.js';
import type { Config } from '../config/load.js';
import { SetupError } from '../config/problem.js';
import { connect, isPrivate, NO_SERVER, type SessionOptions } from '../traffic/session.js';

/**
 * Opens a session like those of the lanes.
 * @throws SetupError that says what to do, without a password in it.
 */
export async function connectRehearsal(
  settings: ConnectionSettings,
  config: Config,
  runId: string,
  searchPath: string | null,
): Promise<pg.Client> {
  const { timeouts } = config.generator;
  return await connectOrAdvise(
    { ...settings, searchPath: searchPath ?? undefined },
    {
      applicationName: `eventgen/${runId}/rehearsal`,
      connectTimeoutMs: timeouts.connect,
      statementTimeoutMs: timeouts.statement,
      lockTimeoutMs: timeouts.lock,
      pipeline: true,
    },
  );
}

/**
 * Opens a session of the coordinator.
 * @throws SetupError that says what to do, without a password in it.
 */
export async function connectCoordinator(
  settings: ConnectionSettings,
  config: Config,
  runId: string,
): Promise<pg.Client> {
  const { timeouts } = config.generator;
  return await connectOrAdvise(settings, {
    applicationName: `eventgen/${runId}/coordinator`,
    connectTimeoutMs: timeouts.connect,
    statementTimeoutMs: 0,
    lockTimeoutMs: timeouts.lock,
    pipeline: false,
  });
}

/* Intervals at which an unreachable database is tried again, and at which that is reported. */
const RETRY_MS = 500;
const SAY_MS = 10_000;

/** Thrown if the database was unreachable for as long as an outage may last. */
export class Unreachable extends SetupError {}

interface Waiting {
  readonly say: (text: string) => void;
  /** True if the database is waited for no longer. */
  readonly isOver: () => boolean;
}

/**
 * Opens the first session of a run, as `connectWaiting` does. Warns if the connection is not encrypted.
 * @throws like `connectWaiting`.
 */
export async function connectFirst(config: Config, runId: string, waiting: Waiting): Promise<pg.Client> {
  const client = await connectWaiting(config, runId, waiting);
  if (!isPrivate(client))
    waiting.say(
      `the connection to ${client.host} is not encrypted; on an untrusted network set connection.ssl: verify-full`,
    );
  return client;
}

/**
 * Opens a session of the coordinator. Waits for an unreachable database, at most as long as an outage may last, until
 * `isOver`. `say` is told what is waited for.
 * @throws Unreachable when the time is up, SetupError at once where waiting does not help.
 */
export async function connectWaiting(config: Config, runId: string, { say, isOver }: Waiting): Promise<pg.Client> {
  const sinceMs = performance.now();
  const limitMs = config.generator.max_outage_seconds * 1000;
  let saidMs = Number.NEGATIVE_INFINITY;
  for (;;) {
    try {
      return await connectCoordinator(config.connection, config, runId);
    } catch (error) {
      if (!(error instanceof SetupError) || !isPassing(error.cause)) throw error;
      const nowMs = performance.now();
      if (isOver() || nowMs - sinceMs >= limitMs) throw new Unreachable(error.problems);
      if (nowMs - saidMs >= SAY_MS) {
        const left = Math.ceil((limitMs - (nowMs - sinceMs)) / 1000);
        say(`waiting for the database, ${left} s at most (generator.max_outage_seconds): ${error.message}`);
        saidMs = nowMs;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/* Errors that may pass: nothing listens, no connection slot is free, the server is starting or stopping. */
const PASSING: readonly string[] = [
  NO_SERVER,
  ...['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'EAI_AGAIN'],
  ...['53300', '53400', '57P01', '57P02', '57P03'],
];

function isPassing(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  const { code, message } = cause as NodeJS.ErrnoException;
  return PASSING.includes(code ?? '') || /timeout|terminated unexpectedly/i.test(message);
}

async function connectOrAdvise(settings: ConnectionSettings, options: SessionOptions): Promise<pg.Client> {
  try {
    return await connect(settings, options);
  } catch (error) {
    if (error instanceof SetupError) throw error;
    const place = `connection to ${describeConnection(settings)}`;
    const refused = SetupError.of(place, adviceFor(error as NodeJS.ErrnoException));
    refused.cause = error;
    throw refused;
  }
}

/** Ends every session of a run, even while its statements are running. */
export async function endSessions(settings: ConnectionSettings, config: Config, runId: string): Promise<void> {
  const client = await connectCoordinator(settings, config, `${runId}/stop`);
  try {
    await client.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE starts_with(application_name, $1) AND pid <> pg_backend_pid()',
      [`eventgen/${runId}/`],
    );
  } finally {
    await client.end();
  }
}

function adviceFor(error: NodeJS.ErrnoException): string {
  const message = error.message || error.code || 'failed';
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'refused: no server listens there; check host and port, or try --embedded';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the host name cannot be resolved (${message}); check host`;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
      return `the host does not answer (${message}); check host, port and firewall`;
    case '28P01':
      return 'wrong password, or none given; set password, password_command, PGPASSWORD or ~/.pgpass';
    case '28000':
      return `the server does not allow this connection: ${message}; check pg_hba.conf on the server, or set connection.ssl`;
    case '3D000':
      return `${message}; check connection.database`;
    case '53300':
      return 'the server has no free connection slot; raise max_connections, or close other connections';
    case '57P03':
      return `the server is not ready: ${message}; try again`;
    default:
      if (/timeout|terminated unexpectedly/i.test(message))
        return 'no answer within generator.timeouts.connect; check host, port and firewall; with a pooler, its pool must have room for generator.connections and four more';
      if (/certificate|altnames/i.test(message))
        return `${message}; name the certificate authority with connection.ssl_root_cert, or use a weaker mode of connection.ssl`;
      if (/unsupported startup parameter/i.test(message))
        return `${message}: the pooler rejects this startup parameter; set ignore_startup_parameters = options,extra_float_digits and pool_mode = session in the pooler, or connect to PostgreSQL directly`;
      if (/SSL/i.test(message))
        return `${message}; set connection.ssl: disable, or install a certificate on the server`;
      if (/password/i.test(message)) return `${message}; set password, password_command, PGPASSWORD or ~/.pgpass`;
      return message;
  }
}
