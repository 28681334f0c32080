import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { SetupError } from '../config/problem.js';
import type { Registries } from './registry.js';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export interface Endpoint {
  readonly port: number;
  /** What /metrics answers from; until it is set the answer is 503. */
  serve(registries: Registries): void;
  /** Answers a path. */
  on(path: string, handler: Handler): void;
  close(): Promise<void>;
}

/**
 * Listens for scrapes and readers. Opened before the first write, so that a port that is taken ends the run while nothing
 * is done. On a loopback address it answers to no other names than that and those allowed: a page of somebody else's could
 * have its own name lead here (DNS rebinding). `mayMove`: a port that is taken gives way to one of the next ones.
 * @throws SetupError where the port cannot be had.
 */
export async function openEndpoint(
  { host, port, mayMove }: { readonly host: string; readonly port: number; readonly mayMove: boolean },
  allowed: readonly string[],
): Promise<Endpoint> {
  const handlers = new Map<string, Handler>([
    ['/healthz', answer(200, 'ok\n')],
    ['/metrics', answer(503, 'the run has not started yet\n')],
  ]);
  const unknown = answer(404, 'pg-event-generator: see / (the live page), /metrics and /healthz\n');
  const server: Server = createServer((request, response) => {
    if (!isMeant(request.headers.host, host, allowed)) notMeant(request, response);
    else if (request.method !== 'GET' && request.method !== 'HEAD')
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
    else (handlers.get(request.url?.split('?')[0] ?? '') ?? unknown)(request, response);
  });
  const last = mayMove ? port + MOST_MOVES : port;
  for (let tried = port; ; tried++) {
    const error = await listen(server, host, tried);
    if (error === null) break;
    if (error.code === 'EADDRINUSE' && tried < last) continue;
    const reason = error.code === 'EADDRINUSE' ? 'is in use by another program' : `cannot be opened (${error.code})`;
    throw SetupError.of(
      'metrics',
      `port ${tried} on ${host} ${reason}; choose another with --metrics-port N (0: any free port), or turn the metrics off with --no-metrics`,
    );
  }
  // One that cannot be accepted, for want of file descriptors say, is no end of the run.
  server.on('error', () => undefined);
  server.unref();
  return {
    port: (server.address() as { port: number }).port,
    serve: (registries) => {
      handlers.set('/metrics', (request, response) => scrape(registries, request, response));
    },
    on: (path, handler) => {
      handlers.set(path, handler);
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/* Runs side by side on one machine. */
const MOST_MOVES = 20;

/** Null where it listens. */
function listen(server: Server, host: string, port: number): Promise<NodeJS.ErrnoException | null> {
  return new Promise((resolve) => {
    server.once('error', resolve);
    server.listen(port, host, () => {
      server.removeListener('error', resolve);
      resolve(null);
    });
  });
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/i;

/** True where the Host header is one that this address answers to. */
function isMeant(header: string | undefined, bound: string, allowed: readonly string[]): boolean {
  const name = (header ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  if (LOOPBACK.test(name) || allowed.some((each) => each.toLowerCase() === name.toLowerCase())) return true;
  // Who binds another address means to be reached by its names.
  return !LOOPBACK.test(bound) && allowed.length === 0;
}

const notMeant = answer(
  421,
  'this server answers requests to localhost only; add the name of this host to metrics.allowed_hosts\n',
);

function answer(status: number, text: string): Handler {
  return (_, response) => {
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text);
  };
}

function scrape(registries: Registries, request: IncomingMessage, response: ServerResponse): void {
  const registry = registries.for(request.headers.accept ?? '');
  const { contentType } = registry;
  registry.metrics().then(
    (text) => response.writeHead(200, { 'content-type': contentType }).end(text),
    (error: Error) => response.writeHead(500).end(error.message),
  );
}
