import net from 'node:net';

/** A network that carries so many bytes a second from a server to all of its clients together. */
export interface Throttle {
  readonly port: number;
  /** Resolves when a client is connected. */
  used(): Promise<void>;
  /** Bytes carried from the server so far. */
  bytes(): number;
  close(): Promise<void>;
}

const TICK_MS = 10;

/** Listens on loopback and forwards every connection to a port. */
export async function startThrottle(target: number, bytesPerSecond: number): Promise<Throttle> {
  const pairs = new Set<{ readonly client: net.Socket; readonly server: net.Socket; readonly waiting: Buffer[] }>();
  let carried = 0;
  let credit = 0;
  const listener = net.createServer((client) => {
    // Little is read ahead, so that the sender waits as it would for a slow network.
    const server = net.connect({ port: target, host: '127.0.0.1', noDelay: true });
    const pair = { client, server, waiting: [] as Buffer[] };
    pairs.add(pair);
    client.pipe(server);
    server.on('data', (bytes: Buffer) => {
      pair.waiting.push(bytes);
      server.pause();
    });
    const end = () => {
      pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) socket.on('error', end).on('close', end);
  });
  let lastMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    credit = Math.min(credit + ((nowMs - lastMs) / 1000) * bytesPerSecond, bytesPerSecond / 10);
    lastMs = nowMs;
    for (const { client, server, waiting } of pairs) {
      while (waiting.length > 0 && credit > 0) {
        const [bytes] = waiting as [Buffer];
        const now = bytes.subarray(0, Math.ceil(credit));
        client.write(now);
        credit -= now.length;
        carried += now.length;
        if (now.length === bytes.length) waiting.shift();
        else waiting[0] = bytes.subarray(now.length);
      }
      if (waiting.length === 0) server.resume();
    }
  }, TICK_MS);
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return {
    port: (listener.address() as net.AddressInfo).port,
    used: async () => {
      while (pairs.size === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    },
    bytes: () => carried,
    close: async () => {
      clearInterval(timer);
      for (const { client, server } of pairs) for (const socket of [client, server]) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
