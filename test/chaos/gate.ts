import net from 'node:net';

/** A port that stays while the server behind it changes, and a network that fails on demand. */
export class Gate {
  port = 0;
  private target: number | null;
  private readonly server: net.Server;
  private readonly links = new Map<net.Socket, net.Socket>();
  private isSilent = false;

  private constructor(target: number | null) {
    this.target = target;
    this.server = net.createServer((client) => this.link(client));
  }

  static async open(target: number | null): Promise<Gate> {
    const gate = new Gate(target);
    await new Promise<void>((resolve) => gate.server.listen(0, '127.0.0.1', resolve));
    gate.port = (gate.server.address() as net.AddressInfo).port;
    return gate;
  }

  /** Leads to another server from now on; null: to none. */
  lead(target: number | null): void {
    this.target = target;
    this.cut(1);
  }

  /** Ends a share of the connections at once, with what is on its way. */
  cut(share: number): void {
    const clients = [...this.links.keys()];
    for (const client of clients.slice(0, Math.ceil(clients.length * share))) client.destroy();
  }

  /** Carries nothing for a time, without ending a connection. */
  async silence(ms: number): Promise<void> {
    this.isSilent = true;
    const all = [...this.links].flat();
    for (const socket of all) socket.pause();
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.isSilent = false;
    for (const socket of [...this.links].flat()) socket.resume();
  }

  async close(): Promise<void> {
    this.cut(1);
    await new Promise((resolve) => this.server.close(resolve));
  }

  private link(client: net.Socket): void {
    if (this.target === null) {
      client.destroy();
      return;
    }
    const upstream = net.connect({ port: this.target, host: '127.0.0.1', noDelay: true });
    client.setNoDelay(true);
    this.links.set(client, upstream);
    client.on('data', (bytes) => upstream.write(bytes));
    upstream.on('data', (bytes) => client.write(bytes));
    const end = () => {
      this.links.delete(client);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end);
    if (!this.isSilent) return;
    client.pause();
    upstream.pause();
  }
}
