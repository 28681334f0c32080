import type { Problem } from './problem.js';
import type { ConnectionConfig } from './schema.js';
import type { Source } from './source.js';

type SslMode = 'disable' | 'require' | 'verify-ca' | 'verify-full';

/** Where and as whom to connect. `password` undefined: ~/.pgpass is asked. Plain data, safe to post to a worker. */
export interface ConnectionSettings {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string | undefined;
  readonly ssl: SslMode;
  readonly sslRootCert: string | undefined;
  readonly sslCert: string | undefined;
  readonly sslKey: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Settings out of url or single keys; what is missing comes from PG* variables, then from libpq's own defaults. */
export function resolveConnection(
  config: ConnectionConfig,
  environment: Environment,
  source: Source,
  problems: Problem[],
): ConnectionSettings {
  const report = (key: string, message: string) => problems.push(source.problem(['connection', key], message));
  const fromUrl = config.url === undefined ? {} : parseUrl(config.url, (message) => report('url', message));
  if (config.url !== undefined) {
    for (const key of ['host', 'port', 'database', 'user', 'password'] as const) {
      if (config[key] !== undefined) report(key, 'stands beside url; give one of them');
    }
  }
  const user = fromUrl.user ?? config.user ?? environment['PGUSER'] ?? environment['USER'] ?? 'postgres';
  const port = fromUrl.port ?? config.port ?? portOf(environment['PGPORT'], problems) ?? 5432;
  return {
    host: fromUrl.host ?? config.host ?? environment['PGHOST'] ?? 'localhost',
    port,
    database: fromUrl.database ?? config.database ?? environment['PGDATABASE'] ?? user,
    user,
    password: fromUrl.password ?? config.password ?? environment['PGPASSWORD'],
    ssl: fromUrl.ssl ?? config.ssl ?? sslOf(environment['PGSSLMODE'], problems) ?? 'disable',
    sslRootCert: config.ssl_root_cert,
    sslCert: config.ssl_cert,
    sslKey: config.ssl_key,
  };
}

/** The same place without the password, for messages: `postgres@localhost:5432/demo`. */
export function describeConnection(settings: ConnectionSettings): string {
  return `${settings.user}@${settings.host}:${settings.port}/${settings.database}`;
}

const SSL_MODES: readonly string[] = ['disable', 'require', 'verify-ca', 'verify-full'];

interface UrlParts {
  host?: string;
  port?: number;
  database?: string;
  user?: string;
  password?: string;
  ssl?: SslMode;
}

/* pg parses `host=h dbname=d` to a host "base" and takes any sslmode, so the URL is read here. */
function parseUrl(text: string, report: (message: string) => void): UrlParts {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    report('expected postgresql://user@host:port/database');
    return {};
  }
  if (url.protocol !== 'postgresql:' && url.protocol !== 'postgres:') {
    report('expected postgresql://user@host:port/database');
    return {};
  }
  const parts: UrlParts = {};
  const decode = (part: string) => {
    try {
      return decodeURIComponent(part);
    } catch {
      report('has a "%" that is not followed by two hexadecimal digits (write %25 for "%")');
      return part;
    }
  };
  if (url.hostname !== '') parts.host = decode(url.hostname).replace(/^\[(.*)\]$/, '$1');
  if (url.port !== '') parts.port = Number(url.port);
  if (url.username !== '') parts.user = decode(url.username);
  if (url.password !== '') parts.password = decode(url.password);
  if (url.pathname.length > 1) parts.database = decode(url.pathname.slice(1));
  for (const [key, value] of url.searchParams) {
    if (key === 'sslmode' && SSL_MODES.includes(value)) parts.ssl = value as SslMode;
    else if (key === 'sslmode') report(`sslmode: expected disable, require, verify-ca or verify-full, got "${value}"`);
    else if (key === 'host') parts.host = value;
    else report(`the parameter "${key}" is not known here; use the keys of connection:`);
  }
  return parts;
}

function portOf(text: string | undefined, problems: Problem[]): number | undefined {
  if (text === undefined || text === '') return undefined;
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65535) return port;
  problems.push({
    place: 'environment',
    key: 'PGPORT',
    message: `expected a whole number from 1 to 65535, got "${text}"`,
  });
  return undefined;
}

function sslOf(text: string | undefined, problems: Problem[]): SslMode | undefined {
  if (text === undefined || text === '' || text === 'allow' || text === 'prefer') return undefined;
  if (SSL_MODES.includes(text)) return text as SslMode;
  problems.push({
    place: 'environment',
    key: 'PGSSLMODE',
    message: `expected disable, require, verify-ca or verify-full, got "${text}"`,
  });
  return undefined;
}
