import type { Dispatcher } from 'undici';
import { IModelError } from '../errors.ts';
import { type AddressPolicy, checkLiteralHost } from './address-guard.ts';
import { type Connection, ConnectionPool } from './connection-pool.ts';
import { Exchange, type HttpRequest, type HttpResponse } from './exchange.ts';

/** How a client connects. */
export interface HttpClientOptions extends AddressPolicy {
  /** Longest wait for a TCP and TLS connection, in milliseconds. @defaultValue 10,000 */
  readonly connectTimeoutMs?: number;
  /** How long an idle connection is kept, in milliseconds. @defaultValue 30,000 */
  readonly keepAliveMs?: number;
  /** Takes the place of the client's own connections (a proxy, a mock). The address policy is then its owner's business. */
  readonly dispatcher?: Dispatcher;
}

/**
 * Speaks HTTP over kept-alive connections: as many per origin as there are requests under way, none shared with another client.
 *
 * It follows no redirects, uses no proxy, retries nothing, and has no limit on the total time of an exchange. Undici's own time limits
 * are off; {@link HttpRequest} names the ones that apply.
 *
 * @example
 * ```ts
 * const client = new HttpClient();
 * const reply = await client.send({ origin: 'https://api.openai.com', path: '/v1/models', method: 'GET', headers, body: null });
 * await client.close();
 * ```
 */
export class HttpClient {
  readonly #pool: ConnectionPool | null;
  readonly #given: Connection | null;
  readonly #policy: AddressPolicy;
  readonly #connectTimeoutMs: number;
  #admittedOrigin = '';

  constructor(options: HttpClientOptions = {}) {
    const { connectTimeoutMs = 10_000, keepAliveMs = 30_000, dispatcher, ...policy } = options;
    this.#policy = policy;
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#given = dispatcher === undefined ? null : lend(dispatcher);
    this.#pool = dispatcher === undefined ? new ConnectionPool({ policy, connectTimeoutMs, keepAliveMs }) : null;
  }

  /**
   * Sends one request and resolves with whatever the upstream answered, whether it is a success or not.
   *
   * @throws IModelError `unavailable` when there is no connection or it broke, `timed_out` when a limit passed, `config` when the address
   * is not allowed, `payload_too_large`; the signal's reason when it aborted; what the request's reader threw. All after the socket is closed.
   */
  send(request: HttpRequest): Promise<HttpResponse> {
    return new Promise((resolve, reject) => {
      const { origin, path, method = 'POST', headers, body, signal } = request;
      if (signal?.aborted) throw signal.reason;
      if (this.#pool !== null && origin !== this.#admittedOrigin) this.#admit(origin);
      const connection = this.#pool?.take(origin) ?? this.#given;
      if (connection === null) throw IModelError.of('internal', 'There is no connection', {});
      const exchange = new Exchange(request, connection, this.#connectTimeoutMs, resolve, reject);
      connection.dispatch({ origin, path, method, headers, body }, exchange);
    });
  }

  /** Closes every connection at once; requests under way reject with `closed`. A dispatcher that was handed in is left alone. */
  async close(): Promise<void> {
    await this.#pool?.close();
  }

  #admit(origin: string): void {
    if (!URL.canParse(origin)) {
      throw IModelError.of('config', `Expected an absolute URL, got \`${origin}\``, {
        field: 'baseUrl',
        value: origin,
      });
    }
    checkLiteralHost(new URL(origin).hostname, this.#policy);
    this.#admittedOrigin = origin;
  }
}

/** A dispatcher that is not ours as a connection: aborting a request is all that can be done to it. */
function lend(dispatcher: Dispatcher): Connection {
  return {
    dispatch: (options, handler) => dispatcher.dispatch(options, handler),
    release: () => {},
    discard: () => {},
  };
}
