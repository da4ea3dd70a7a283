import { connect, createServer, type Socket } from 'node:net';

/** A loopback proxy with which a test plays a bad network. */
export interface TcpProxy {
  readonly url: string;
  readonly port: number;
  /** Connections that were opened so far. */
  readonly accepted: number;
  /** Swallows everything in both directions; connections stay open. */
  blackHole(): void;
  /** Reads nothing from the server any more, so that its sending buffers fill up: a reader that stalls. */
  stallReader(): void;
  /** Passes everything on again. What was swallowed is lost; what was stalled goes on. */
  heal(): void;
  /** Holds each piece back for so long. */
  delay(ms: number): void;
  /** Cuts all connections at once. New ones are taken. */
  cut(): void;
  close(): Promise<void>;
}

/** Starts a proxy in front of a port of 127.0.0.1. */
export async function startProxy(targetPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const upstreams = new Set<Socket>();
  let swallowing = false;
  let stalled = false;
  let delayMs = 0;
  let accepted = 0;

  const pipe = (from: Socket, to: Socket): void => {
    from.on('data', (data) => {
      if (swallowing) return;
      const pass = (): void => {
        if (!to.destroyed) to.write(data);
      };
      if (delayMs > 0) setTimeout(pass, delayMs);
      else pass();
    });
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
    sockets.add(from);
    from.on('close', () => sockets.delete(from));
  };
  const server = createServer((client) => {
    accepted += 1;
    const upstream = connect(targetPort, '127.0.0.1');
    upstreams.add(upstream);
    upstream.on('close', () => upstreams.delete(upstream));
    pipe(client, upstream);
    pipe(upstream, client);
    if (stalled) upstream.pause();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    get accepted() {
      return accepted;
    },
    blackHole() {
      swallowing = true;
    },
    stallReader() {
      stalled = true;
      for (const upstream of upstreams) upstream.pause();
    },
    heal() {
      swallowing = false;
      stalled = false;
      for (const upstream of upstreams) upstream.resume();
    },
    delay(ms) {
      delayMs = ms;
    },
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
