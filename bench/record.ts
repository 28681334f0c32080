import { createWriteStream } from 'node:fs';
import net from 'node:net';
import path from 'node:path';

/** Forwards connections to a server and writes what clients send to a file for each connection, until it is closed. */
export async function record(
  server: number,
  folder: string,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  let count = 0;
  const written: Promise<void>[] = [];
  const proxy = net.createServer((client) => {
    const out = createWriteStream(path.join(folder, `${String(count++).padStart(4, '0')}.bin`));
    written.push(new Promise((resolve) => out.once('close', resolve)));
    const upstream = net.connect({ port: server, host: '127.0.0.1', noDelay: true });
    client.setNoDelay(true);
    client.on('data', (bytes) => out.write(bytes));
    client.pipe(upstream);
    upstream.pipe(client);
    const end = () => {
      client.destroy();
      upstream.destroy();
      if (!out.writableEnded) out.end();
    };
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return {
    port: (proxy.address() as net.AddressInfo).port,
    close: async () => {
      await new Promise((resolve) => proxy.close(resolve));
      await Promise.all(written);
    },
  };
}
