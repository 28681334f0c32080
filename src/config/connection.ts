import { SSL_MODES, type TARGET_SESSION_ATTRS } from './modes.js';
import type { Problem } from './problem.js';
import type { ConnectionConfig } from './schema.js';
import { learnSecret } from './secrets.js';
import type { Source } from './source.js';

type SslMode = (typeof SSL_MODES)[number];

/** A server, by its address. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

export type TargetSessionAttrs = (typeof TARGET_SESSION_ATTRS)[number];

/** Where and as whom to connect. Neither `password` nor `passwordCommand`: ~/.pgpass is asked. Plain data, safe to post to a worker. */
export interface ConnectionSettings {
  readonly host: string;
  readonly port: number;
  /** Where that is one of several servers: the others, in the order in which they are tried. */
  readonly others?: readonly Place[] | undefined;
  /** Nodes of a distributed database, over which lanes are spread. */
  readonly nodes?: readonly Place[] | undefined;
  /** Which of them will do. */
  readonly targetSessionAttrs?: TargetSessionAttrs | undefined;
  readonly database: string;
  readonly user: string;
  readonly password: string | undefined;
  /** A program and its arguments: the first line that it prints is the password. */
  readonly passwordCommand?: readonly string[] | undefined;
  readonly ssl: SslMode;
  readonly sslRootCert: string | undefined;
  readonly sslCert: string | undefined;
  readonly sslKey: string | undefined;
  /** Set on every session of ours at its start: what triggers, defaults and policies ask for with current_setting. */
  readonly settings: Readonly<Record<string, string>>;
  /** Undefined: the role's own. */
  readonly searchPath?: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Settings that take the place of those that are not given. */
type Fallback = Omit<ConnectionSettings, 'ssl'> & { readonly ssl: SslMode | undefined };

/** Where a connection stands in the file, and what takes the place of PG* variables where it is not the main one. */
interface Section {
  readonly path: readonly (string | number)[];
  readonly fallback: Fallback;
}

/**
 * Settings out of url or single keys. What is missing comes from PG* variables, then from libpq's own defaults; in another
 * section than `connection:`, from its fallback.
 */
export function resolveConnection(
  config: ConnectionConfig,
  environment: Environment,
  source: Source,
  problems: Problem[],
  section?: Section,
): ConnectionSettings {
  const path = section?.path ?? ['connection'];
  const report = (key: string, message: string) => problems.push(source.problem([...path, key], message));
  const fromUrl = config.url === undefined ? {} : parseUrl(config.url, (message) => report('url', message));
  if (config.url !== undefined) {
    for (const key of ['host', 'port', 'database', 'user', 'password'] as const) {
      if (config[key] !== undefined) report(key, 'cannot be combined with url; remove one of them');
    }
  }
  if (config.hosts !== undefined && (config.host ?? fromUrl.host) !== undefined)
    report('hosts', 'cannot be combined with host or url; remove one of them');
  if (config.password_command !== undefined && (config.password ?? fromUrl.password) !== undefined)
    report('password_command', 'cannot be combined with a password; remove one of them');
  const given = {
    host: fromUrl.host ?? config.hosts?.join(',') ?? config.host,
    port: fromUrl.port ?? config.port,
    database: fromUrl.database ?? config.database,
    user: fromUrl.user ?? config.user,
    password: fromUrl.password ?? config.password,
    ssl: fromUrl.ssl ?? config.ssl,
    sslRootCert: config.ssl_root_cert,
    sslCert: config.ssl_cert,
    sslKey: config.ssl_key,
  };
  const missing = section?.fallback ?? fromEnvironment(environment, given, problems);
  const [first, ...others] =
    given.host === undefined && section !== undefined
      ? [{ host: missing.host, port: given.port ?? missing.port }, ...(missing.others ?? [])]
      : placesOf(given.host ?? missing.host, given.port ?? missing.port, (message) =>
          report(config.hosts === undefined ? 'host' : 'hosts', message),
        );
  const isOwn = (given.password ?? config.password_command) !== undefined;
  const { password, passwordCommand } = isOwn
    ? { password: given.password, passwordCommand: config.password_command }
    : missing;
  const names = { database: given.database ?? missing.database, user: given.user ?? missing.user };
  learnSecret(password, [names.user, names.database, first.host]);
  return {
    ...first,
    ...names,
    others,
    // Of several servers one that takes writes is meant, where nothing else is said.
    targetSessionAttrs:
      fromUrl.targetSessionAttrs ?? config.target_session_attrs ?? (others.length > 0 ? 'read-write' : 'any'),
    password,
    passwordCommand,
    // On this machine nobody listens in, and encrypting costs both sides some of their speed.
    ssl: given.ssl ?? missing.ssl ?? (isLoopback(first.host) ? 'disable' : 'prefer'),
    sslRootCert: given.sslRootCert ?? missing.sslRootCert,
    sslCert: given.sslCert ?? missing.sslCert,
    sslKey: given.sslKey ?? missing.sslKey,
    // Those of the main connection are no business of another server's.
    settings: config.settings,
  };
}

/* The database is named like the user where nothing names it, as libpq does it. A variable that is not used may hold anything. */
function fromEnvironment(
  environment: Environment,
  given: { readonly user: string | undefined; readonly port: number | undefined; readonly ssl: SslMode | undefined },
  problems: Problem[],
): Fallback {
  const user = environment['PGUSER'] ?? environment['USER'] ?? 'postgres';
  return {
    host: environment['PGHOST'] ?? 'localhost',
    port: given.port ?? portOf(environment['PGPORT'], problems) ?? 5432,
    database: environment['PGDATABASE'] ?? given.user ?? user,
    user,
    password: environment['PGPASSWORD'],
    ssl: given.ssl ?? sslOf(environment['PGSSLMODE'], problems),
    sslRootCert: undefined,
    sslCert: undefined,
    sslKey: undefined,
    settings: {},
  };
}

/** True for this machine itself: its names, addresses and sockets. */
export function isLoopback(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** All servers that may be meant, in the order in which they are tried. */
export function placesIn({ host, port, others = [] }: ConnectionSettings): readonly Place[] {
  return [{ host, port }, ...others];
}

/**
 * Returns the settings of one of several sessions, of which every n-th begins with another of the n nodes. The place that was
 * configured is tried last, in case the nodes cannot be reached by the addresses that they know.
 */
export function spreadOut(settings: ConnectionSettings, number: number): ConnectionSettings {
  const { nodes = [] } = settings;
  if (nodes.length === 0) return settings;
  const turned = nodes.map((_, index) => nodes[(number + index) % nodes.length]!);
  const [first, ...others] = [...turned, ...placesIn(settings)] as [Place, ...Place[]];
  return { ...settings, ...first, others, nodes: undefined };
}

/** The same place without the password, for messages: `postgres@localhost:5432/demo`. */
export function describeConnection(settings: ConnectionSettings): string {
  const places = placesIn(settings).map(({ host, port }) => `${host}:${port}`);
  return `${settings.user}@${places.join(',')}/${settings.database}`;
}

/** Servers out of a list as libpq writes it: `a,b:5433,[::1]:5432`. A path is a folder of sockets, whatever it holds. */
function placesOf(list: string, port: number, report: (message: string) => void): [Place, ...Place[]] {
  const places = list.split(',').map((text): Place => {
    const part = text.trim();
    const match = part.startsWith('/') ? null : /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(part);
    const found =
      match === null
        ? { host: part.replace(/^\[(.*)\]$/, '$1'), port }
        : { host: match[1] ?? match[2]!, port: Number(match[3]) };
    if (found.host === '' || found.port < 1 || found.port > 65535)
      report(`expected a host or host:port, got "${text}"`);
    return found;
  });
  return places as [Place, ...Place[]];
}

const TARGETS: readonly TargetSessionAttrs[] = ['any', 'read-write', 'read-only', 'primary', 'standby'];

function isTarget(text: string): text is TargetSessionAttrs {
  return (TARGETS as readonly string[]).includes(text);
}

function isSslMode(text: string): text is SslMode {
  return (SSL_MODES as readonly string[]).includes(text);
}

interface UrlParts {
  host?: string;
  port?: number;
  database?: string;
  user?: string;
  password?: string;
  ssl?: SslMode;
  targetSessionAttrs?: TargetSessionAttrs;
}

/* pg parses `host=h dbname=d` to a host "base" and takes any sslmode, so the URL is read here. */
function parseUrl(text: string, report: (message: string) => void): UrlParts {
  // Several hosts are no URL to anybody but libpq.
  const several = /^(postgres(?:ql)?:\/\/(?:[^@/?]*@)?)([^/?@]*,[^/?@]*)(.*)$/.exec(text);
  let url: URL;
  try {
    url = new URL(several === null ? text : `${several[1]}several${several[3]}`);
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
      report('contains a "%" without two hexadecimal digits after it (write %25 for "%")');
      return part;
    }
  };
  if (url.hostname !== '') parts.host = decode(url.hostname).replace(/^\[(.*)\]$/, '$1');
  if (several !== null) parts.host = several[2]!;
  if (url.port !== '') parts.port = Number(url.port);
  if (url.username !== '') parts.user = decode(url.username);
  if (url.password !== '') parts.password = decode(url.password);
  if (url.pathname.length > 1) parts.database = decode(url.pathname.slice(1));
  for (const [key, value] of url.searchParams) {
    if (key === 'sslmode' && isSslMode(value)) parts.ssl = value;
    else if (key === 'sslmode')
      report(`sslmode: expected disable, prefer, require, verify-ca or verify-full, got "${value}"`);
    else if (key === 'host') parts.host = value;
    else if (key === 'target_session_attrs' && isTarget(value)) parts.targetSessionAttrs = value;
    else if (key === 'target_session_attrs')
      report(`target_session_attrs: expected ${TARGETS.join(', ')}, got "${value}"`);
    else report(`the parameter "${key}" is not supported in a URL; use the keys of connection: instead`);
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
  if (text === undefined || text === '' || text === 'allow') return undefined;
  if (isSslMode(text)) return text;
  problems.push({
    place: 'environment',
    key: 'PGSSLMODE',
    message: `expected disable, prefer, require, verify-ca or verify-full, got "${text}"`,
  });
  return undefined;
}
