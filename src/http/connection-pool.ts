import type { Socket } from 'node:net';
import { buildConnector, Client, type Dispatcher } from 'undici';
import { type AddressPolicy, guardedLookup } from './address-guard.ts';

/** How connections are made and kept. */
export interface PoolOptions {
  readonly policy: AddressPolicy;
  readonly connectTimeoutMs: number;
  readonly keepAliveMs: number;
}

/** A connection lent to one exchange. Exactly one of its two ends must be called. */
export interface Connection {
  /** Sends a request over it. */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): unknown;
  /** Gives it back for the next request. */
  release(): void;
  /** Closes it, also while it is still being opened. */
  discard(): void;
}

/**
 * Kept-alive connections, one request at a time on each, so that aborting a request can close exactly its own.
 *
 * Undici's own pool looks through all its connections for a free one, and after an abort opens a new connection nobody asked for; here the
 * connection that became free last is taken from the end of a list.
 */
export class ConnectionPool {
  readonly #options: PoolOptions;
  readonly #connector: buildConnector.connector;
  readonly #idle = new Map<string, PooledConnection[]>();
  readonly #all = new Set<PooledConnection>();

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#connector = buildConnector({ timeout: options.connectTimeoutMs, lookup: guardedLookup(options.policy) });
  }

  /** An idle connection to this origin, or a new one, which opens on its first request. */
  take(origin: string): Connection {
    return this.#idle.get(origin)?.pop() ?? this.#open(origin);
  }

  /** Closes every connection; requests under way fail. */
  async close(): Promise<void> {
    const connections = [...this.#all];
    this.#all.clear();
    this.#idle.clear();
    await Promise.all(connections.map((connection) => connection.close()));
  }

  #open(origin: string): PooledConnection {
    const connection = new PooledConnection(origin, this.#connector, this.#options.keepAliveMs, {
      released: () => this.#release(origin, connection),
      gone: () => this.#forget(origin, connection),
    });
    this.#all.add(connection);
    return connection;
  }

  #release(origin: string, connection: PooledConnection): void {
    if (!this.#all.has(connection)) return;
    const idle = this.#idle.get(origin);
    if (idle === undefined) this.#idle.set(origin, [connection]);
    else idle.push(connection);
  }

  #forget(origin: string, connection: PooledConnection): void {
    this.#all.delete(connection);
    const idle = this.#idle.get(origin);
    const place = idle?.indexOf(connection) ?? -1;
    if (place !== -1) idle?.splice(place, 1);
  }
}

class PooledConnection implements Connection {
  readonly #client: Client;
  readonly #events: { released(): void; gone(): void };
  #socket: Socket | null = null;
  #lent = true;

  constructor(
    origin: string,
    connector: buildConnector.connector,
    keepAliveMs: number,
    events: { released(): void; gone(): void },
  ) {
    this.#events = events;
    this.#client = new Client(origin, {
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: keepAliveMs,
      connect: (options, callback) => {
        // The declared type hides what the connector returns: the socket, while it is still opening.
        const socket: unknown = connector(options, callback);
        this.#socket = socket as Socket;
      },
    });
    // While idle, the upstream or the keep-alive limit may close it; a later request shall not find it.
    this.#client.on('disconnect', () => {
      if (!this.#lent) this.discard();
    });
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): unknown {
    this.#lent = true;
    return this.#client.dispatch(options, handler);
  }

  release(): void {
    this.#lent = false;
    this.#events.released();
  }

  discard(): void {
    this.#events.gone();
    void this.close();
  }

  async close(): Promise<void> {
    const closed = this.#client.destroy();
    this.#socket?.destroy();
    await closed;
  }
}
