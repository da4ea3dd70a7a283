import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** A request as the upstream saw it. */
export interface RecordedRequest {
  /** The HTTP method. */
  readonly method: string;
  /** Path with query. */
  readonly path: string;
  /** Headers, names in lower case. */
  readonly headers: IncomingHttpHeaders;
  /** The whole body. */
  readonly body: Buffer;
  /** When its headers arrived, in milliseconds of `performance.now()`: the upstream's own clock. */
  readonly receivedAt: number;
  /** The body as JSON; throws when it is none. */
  json(): Record<string, unknown>;
  /** Resolves when the connection that carried this request is closed, by whichever side. */
  readonly closed: Promise<void>;
}

/** Answers one request. It may take its time, write piece by piece, or break the connection. */
export type UpstreamHandler = (request: RecordedRequest, reply: UpstreamReply) => void | Promise<void>;

/** How a handler answers. Every method may be used once or often, in any order that HTTP allows. */
export interface UpstreamReply {
  /** The plain response of Node, for whatever the other methods do not cover. */
  readonly raw: ServerResponse;
  /** Answers with JSON and ends. */
  json(body: unknown, status?: number, headers?: Readonly<Record<string, string>>): void;
  /** Answers with a text and ends. */
  text(body: string, status?: number, headers?: Readonly<Record<string, string>>): void;
  /** Sends the head of a stream. @defaultValue `text/event-stream` */
  open(contentType?: string, headers?: Readonly<Record<string, string>>): void;
  /** Writes bytes as one socket write; resolves when the socket took them. */
  write(piece: string | Uint8Array): Promise<void>;
  /** Opens a stream if that has not been done, and writes each event as its own socket write, `data: …` framed. Objects become JSON. */
  events(events: Iterable<unknown>, options?: { readonly named?: boolean; readonly gapMs?: number }): Promise<void>;
  /** Ends the response properly. */
  end(): void;
  /** Breaks the connection off, as a crash would. */
  cut(): void;
}

/** A scripted HTTP upstream on 127.0.0.1; see {@link startUpstream}. */
export interface Upstream {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** Where it listens, on 127.0.0.1. */
  readonly port: number;
  /** Every request so far, oldest first. */
  readonly requests: readonly RecordedRequest[];
  /** How many TCP connections are open now. */
  readonly connections: number;
  /** How many TCP connections there have been. */
  readonly accepted: number;
  /** Replaces the handler of a path, or of every path without one of its own when no path is given. */
  handle(handler: UpstreamHandler, path?: string): void;
  /** Resolves with the request of this index (from 0), at once if it came already. */
  request(index: number): Promise<RecordedRequest>;
  /** Breaks every connection and stops listening. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts an HTTP server on a free port of 127.0.0.1 that answers as it is told and remembers what it was asked.
 *
 * Plain `node:http`, one socket write per piece, no delay of small writes, so that byte boundaries and times are the script's.
 *
 * @param handler - Answers every request; a handler may tell paths apart itself or be given per path with `handle`.
 *
 * @example
 * ```ts
 * await using upstream = await startUpstream((_request, reply) => reply.json({ choices: [] }));
 * const model = new iModel({ provider: 'local', baseUrl: upstream.url, model: 'm' });
 * ```
 */
export async function startUpstream(handler: UpstreamHandler = (_request, reply) => reply.json({})): Promise<Upstream> {
  const requests: RecordedRequest[] = [];
  const waiting = new Map<number, ((request: RecordedRequest) => void)[]>();
  /** The open ones, with what tells of their end. */
  const sockets = new Map<Socket, Promise<void>>();
  const byPath = new Map<string, UpstreamHandler>();
  let fallback = handler;
  let accepted = 0;

  const server = createServer((incoming, response) => {
    const receivedAt = performance.now();
    void answer(incoming, response, receivedAt).catch((error: unknown) => incoming.socket.destroy(error as Error));
  });
  server.keepAliveTimeout = 60_000;
  server.on('connection', (socket) => {
    accepted += 1;
    socket.setNoDelay(true);
    socket.on('error', () => {});
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    sockets.set(socket, closed);
    void closed.then(() => sockets.delete(socket));
  });

  async function answer(incoming: IncomingMessage, response: ServerResponse, receivedAt: number): Promise<void> {
    const { socket } = incoming;
    const closed = sockets.get(socket) ?? Promise.resolve();
    const pieces: Buffer[] = [];
    try {
      for await (const piece of incoming) pieces.push(piece as Buffer);
    } catch {
      return; // The client left while it was still sending.
    }
    const body = Buffer.concat(pieces);
    const path = incoming.url ?? '/';
    const request: RecordedRequest = {
      method: incoming.method ?? '',
      path,
      headers: incoming.headers,
      body,
      receivedAt,
      json: () => JSON.parse(body.toString('utf8')) as Record<string, unknown>,
      closed,
    };
    requests.push(request);
    for (const resolve of waiting.get(requests.length - 1) ?? []) resolve(request);
    await (byPath.get(path.split('?', 1)[0] ?? path) ?? fallback)(request, replyOn(response));
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    const stopped = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets.keys()) socket.destroy();
    await stopped;
  };

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    get connections() {
      return sockets.size;
    },
    get accepted() {
      return accepted;
    },
    handle(replacement, path) {
      if (path === undefined) fallback = replacement;
      else byPath.set(path, replacement);
    },
    request(index) {
      const seen = requests[index];
      if (seen !== undefined) return Promise.resolve(seen);
      return new Promise((resolve) => waiting.set(index, [...(waiting.get(index) ?? []), resolve]));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function replyOn(response: ServerResponse): UpstreamReply {
  const reply: UpstreamReply = {
    raw: response,
    json(body, status = 200, headers = {}) {
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
    },
    text(body, status = 200, headers = {}) {
      response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers }).end(body);
    },
    open(contentType = 'text/event-stream', headers = {}) {
      response.writeHead(200, { 'content-type': contentType, ...headers });
      response.flushHeaders();
    },
    write(piece) {
      return new Promise((resolve) => {
        if (response.destroyed) resolve();
        else response.write(piece, () => resolve());
      });
    },
    async events(events, { named = false, gapMs = 0 } = {}) {
      if (!response.headersSent) reply.open();
      for (const event of events) {
        if (response.destroyed) return;
        await reply.write(frame(event, named));
        if (gapMs > 0) await new Promise((resolve) => setTimeout(resolve, gapMs));
      }
    },
    end() {
      response.end();
    },
    cut() {
      response.socket?.destroy();
    },
  };
  return reply;
}

function frame(event: unknown, named: boolean): string {
  if (typeof event === 'string') return `data: ${event}\n\n`;
  const { type } = event as { type?: unknown };
  const name = named && typeof type === 'string' ? `event: ${type}\n` : '';
  return `${name}data: ${JSON.stringify(event)}\n\n`;
}
