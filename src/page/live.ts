import type { IncomingMessage, ServerResponse } from 'node:http';
import { publicJson } from '../config/secrets.js';
import type { Endpoint } from '../metrics/endpoint.js';
import { settledWithin } from '../patience.js';
import type { Point } from '../report/series.js';
import type { PageData, RunFacts, Status, Update } from './data.js';
import { pageHtml } from './shell.js';
import { preparing } from './status.js';

/* A reader that takes nothing for so long is dropped; it connects again by itself. */
const MOST_UNSENT_BYTES = 1_000_000;

const FAREWELL_MS = 1000;

/* Nothing is asked of anybody else: the page works without a network. */
const POLICY =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:";

/** The page of the running test, at `/` of the endpoint: its history at `/state`, an event a second at `/events`. */
export class LivePage {
  private readonly readers = new Set<ServerResponse>();
  private readonly openedMs = performance.now();
  private run: RunFacts | null = null;
  private history: () => readonly Point[] = () => [];
  private status: () => Status = () => preparing(this.phase, (performance.now() - this.openedMs) / 1000);
  private phase = 'preparing';

  constructor(endpoint: Endpoint) {
    endpoint.on('/', (_, response) => {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': POLICY });
      response.end(pageHtml(null));
    });
    endpoint.on('/state', (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
      response.end(publicJson(this.data()));
    });
    endpoint.on('/events', (request, response) => this.admit(request, response));
  }

  /** What is done before the traffic begins. */
  prepare(phase: string): void {
    this.phase = phase;
    this.send(null);
  }

  /** The traffic begins. `status` is asked only where somebody reads. */
  begin(run: RunFacts, history: () => readonly Point[], status: () => Status): void {
    this.run = run;
    this.history = history;
    this.status = status;
    this.send(null);
  }

  /** A second has passed. */
  tick(point: Point): void {
    this.send(point);
  }

  /** The run has ended; readers are told, and who asks later sees the same. */
  async end(status: Status): Promise<void> {
    this.status = () => status;
    const text = event({ run: this.run, point: null, status });
    const told = [...this.readers].map((reader) => new Promise<void>((resolve) => reader.end(text, () => resolve())));
    await settledWithin(Promise.all(told), FAREWELL_MS);
  }

  private data(): PageData {
    return {
      kind: 'live',
      run: this.run,
      points: this.history(),
      status: this.status(),
      summary: null,
      configuration: null,
      coverage: null,
    };
  }

  private admit(request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(event({ run: this.run, point: null, status: this.status() }));
    this.readers.add(response);
    request.once('close', () => this.readers.delete(response));
  }

  private send(point: Point | null): void {
    if (this.readers.size === 0) return;
    const text = event({ run: this.run, point, status: this.status() });
    for (const reader of this.readers) {
      if (reader.writableLength > MOST_UNSENT_BYTES) reader.destroy();
      else reader.write(text);
    }
  }
}

function event(update: Update): string {
  return `data: ${publicJson(update)}\n\n`;
}
