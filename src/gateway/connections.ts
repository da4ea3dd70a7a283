import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** How often a server that closes looks for connections that have become idle, in milliseconds. */
const closingMs = 25;

/**
 * The connections of a server. When it closes, Node looks no more for those that have never said anything and for requests that never end, and
 * waits for them: a browser that keeps a connection ready would hold the process for ever.
 */
export class Connections {
  /** The answer to the latest request of each; null before its first. Answers are sent in the order of their requests. */
  readonly #latest = new Map<Socket, ServerResponse | null>();
  readonly #server: Server;
  readonly #requestTimeoutMs: number;
  #isClosing = false;

  /** @param requestTimeoutMs - How long the rest of a request may take that is under way when the server closes. */
  constructor(server: Server, requestTimeoutMs: number) {
    this.#server = server;
    this.#requestTimeoutMs = requestTimeoutMs;
    server.on('connection', (socket) => {
      socket.setMaxListeners(0);
      if (this.#isClosing) {
        socket.destroy();
        return;
      }
      this.#latest.set(socket, null);
      socket.once('close', () => this.#latest.delete(socket));
    });
    server.on('request', (request, response) => this.#latest.set(request.socket, response));
  }

  /** Ends those that wait for no answer, now and whenever one has had its last. */
  close(): void {
    this.#isClosing = true;
    const slowAt = performance.now() + this.#requestTimeoutMs;
    const look = (): void => {
      for (const [socket, response] of this.#latest) {
        // What was written is still sent.
        if (response === null || response.closed) socket.destroySoon();
        else if (!response.req.complete && performance.now() >= slowAt) socket.destroy();
      }
    };
    look();
    const timer = setInterval(look, closingMs);
    this.#server.once('close', () => clearInterval(timer));
  }
}
