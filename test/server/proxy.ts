import net from 'node:net';

/** A network between a run and its server that loses what it carries. */
export interface Proxy {
  readonly port: number;
  /**
   * Loses the answers to one lane for a moment, while the server goes on with what it has received, and then its
   * connection. False where no lane is connected.
   */
  loseAnswers(): Promise<boolean>;
  close(): Promise<void>;
}

/* How long the server has for what lies in its buffer. */
const SILENCE_MS = 15;

/* As a lane's session names itself when it connects. */
const LANE = /application_name\0eventgen\/[0-9a-f]+\/[0-9]+\0/;

/** Listens on loopback and forwards every connection to a port. */
export async function startProxy(target: number): Promise<Proxy> {
  const clients = new Set<net.Socket>();
  const lanes = new Map<net.Socket, net.Socket>();
  const proxy = net.createServer((client) => {
    const server = net.connect({ port: target, host: '127.0.0.1', noDelay: true });
    client.setNoDelay(true);
    clients.add(client);
    client.once('data', (startUp) => {
      if (LANE.test(startUp.toString('latin1'))) lanes.set(client, server);
    });
    client.pipe(server);
    server.pipe(client);
    const end = () => {
      clients.delete(client);
      lanes.delete(client);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) socket.on('error', end).on('close', end);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return {
    port: (proxy.address() as net.AddressInfo).port,
    loseAnswers: async () => {
      const open = [...lanes];
      const lane = open[Math.floor(Math.random() * open.length)];
      if (lane === undefined) return false;
      const [client, server] = lane;
      lanes.delete(client);
      server.unpipe(client);
      server.resume();
      await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
      client.destroy();
      return true;
    },
    close: async () => {
      for (const client of clients) client.destroy();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}
