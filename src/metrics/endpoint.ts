import { createServer, type Server } from 'node:http';
import { SetupError } from '../config/problem.js';
import type { Registries } from './registry.js';

export interface Endpoint {
  readonly port: number;
  /** What /metrics answers from; until it is set the answer is 503. */
  serve(registries: Registries): void;
  close(): Promise<void>;
}

/**
 * Listens for scrapes. Opened before the first write, so that a port that is taken ends the run while nothing is done.
 * @throws SetupError where the port cannot be had.
 */
export async function openEndpoint(host: string, port: number): Promise<Endpoint> {
  let registries: Registries | null = null;
  const server: Server = createServer((request, response) => {
    const url = request.url?.split('?')[0];
    if (request.method !== 'GET') {
      response.writeHead(405).end();
    } else if (url === '/healthz') {
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
    } else if (url === '/metrics' && registries === null) {
      response.writeHead(503, { 'content-type': 'text/plain' }).end('the run has not started yet\n');
    } else if (url === '/metrics' && registries !== null) {
      const registry = registries.for(request.headers.accept ?? '');
      const { contentType } = registry;
      registry.metrics().then(
        (text) => response.writeHead(200, { 'content-type': contentType }).end(text),
        (error: Error) => response.writeHead(500).end(error.message),
      );
    } else {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('pg-event-generator: see /metrics and /healthz\n');
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'is taken by another program' : `cannot be opened (${error.code})`;
      reject(
        SetupError.of(
          'metrics',
          `port ${port} on ${host} ${reason}; choose another with --metrics-port N (0: any free one) or turn it off with --no-metrics`,
        ),
      );
    });
    server.listen(port, host, resolve);
  });
  server.unref();
  return {
    port: (server.address() as { port: number }).port,
    serve: (ready) => {
      registries = ready;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
