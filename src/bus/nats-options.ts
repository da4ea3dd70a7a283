import { readFileSync } from 'node:fs';
import { credsAuthenticator, type NodeConnectionOptions, nkeyAuthenticator, type TlsOptions } from 'nats';
import { IModelError, printValue } from '../errors.ts';
import type { BusOptions } from './bus.ts';
import { checkMs } from './failures.ts';
import { reconnectPace } from './reconnect-pace.ts';
import { checkSubject } from './subjects.ts';

/** Options of `connectNats`. At most one way to prove who one is may be given. */
export interface NatsOptions extends BusOptions {
  /**
   * One or more addresses, `nats://host:port`. A user and password, or a token, may stand before the host.
   *
   * @defaultValue 'nats://127.0.0.1:4222'
   */
  readonly servers?: string | readonly string[];
  /** How the connection is called in the server's lists. @defaultValue 'imodel' */
  readonly name?: string;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** The seed of an nkey, `SU…`. */
  readonly nkeySeed?: string;
  /** Path of a credentials file (JWT and seed); read again at each connect, so it may be replaced. */
  readonly credentialsFile?: string;
  /** TLS files or texts; an empty object asks for TLS with the system's authorities. A server that requires TLS gets it anyway. */
  readonly tls?: TlsOptions;
  /** Where replies arrive; must be covered by the user's subscribe permission. @defaultValue '_INBOX' */
  readonly inboxPrefix?: string;
  /**
   * Keep trying when no server answers at the start. A refused user still fails at once.
   *
   * @defaultValue false
   */
  readonly waitForServer?: boolean;
  /** Milliseconds for one attempt to connect. @defaultValue 5_000 */
  readonly connectTimeoutMs?: number;
  /** Longest wait between two attempts; it grows from 50 ms, with jitter. @defaultValue 2_000 */
  readonly reconnectMaxMs?: number;
  /** Milliseconds between pings; two without an answer end a connection. @defaultValue 5_000 */
  readonly pingIntervalMs?: number;
  /**
   * Bytes of messages that may wait: held while disconnected, or sent but not yet confirmed by the server. Above it `publish` and
   * `request` fail with `unavailable`.
   *
   * @defaultValue 64 MiB
   */
  readonly pendingBytes?: number;
  /**
   * Largest body, in bytes, that is sent or taken. Above the server's own limit (1 MiB as a rule) it travels in parts.
   *
   * @defaultValue 64 MiB
   */
  readonly maxBodyBytes?: number;
  /** Where receivers fetch the parts of large bodies; begins with `imodel-body`. @defaultValue 'imodel-body' */
  readonly bodyPrefix?: string;
  /** Deliver a request in process when this connection itself has a queue-group subscription for it. @defaultValue true */
  readonly localDelivery?: boolean;
  /** Ends the waiting for the first connection. */
  readonly signal?: AbortSignal;
}

/** What the client gets, and the texts that must never show up in an error. */
export interface ConnectionPlan {
  readonly connection: NodeConnectionOptions;
  readonly secrets: readonly string[];
}

/**
 * Checks the options and turns them into the client's.
 *
 * @throws IModelError `config` that names the field; values of credentials are never printed.
 */
export function planConnection(options: NatsOptions): ConnectionPlan {
  const addresses = serversOf(options.servers).map(splitAddress);
  const { user, password, token } =
    addresses.find((address) => address.user !== undefined || address.token !== undefined) ?? {};
  const login = {
    user: options.user ?? user,
    password: options.password ?? password,
    token: options.token ?? token,
    nkeySeed: options.nkeySeed,
    credentialsFile: options.credentialsFile,
  };
  oneLogin(login);
  for (const field of [
    'connectTimeoutMs',
    'reconnectMaxMs',
    'pingIntervalMs',
    'pendingBytes',
    'maxBodyBytes',
  ] as const) {
    checkMs(options[field], field);
  }
  if (options.inboxPrefix !== undefined) checkSubject(options.inboxPrefix, 'inboxPrefix');
  const tls = options.tls ?? (addresses.some((address) => address.server.startsWith('tls:')) ? {} : undefined);
  if (options.bodyPrefix !== undefined && !/^imodel-body(?:\.[A-Za-z0-9_-]{1,64}){0,3}$/.test(options.bodyPrefix)) {
    throw refused('bodyPrefix', '`imodel-body`, or that and up to three tokens');
  }
  const secrets = [login.password, login.token, login.nkeySeed].filter(
    (secret) => secret !== undefined && secret !== '',
  );
  return {
    secrets: secrets as string[],
    connection: {
      // What the client asks JetStream is answered there too.
      ...(options.inboxPrefix === undefined ? {} : { inboxPrefix: options.inboxPrefix }),
      servers: addresses.map((address) => address.server),
      name: options.name ?? 'imodel',
      ...loginOptions(login),
      ...(tls === undefined ? {} : { tls }),
      timeout: options.connectTimeoutMs ?? 5_000,
      pingInterval: options.pingIntervalMs ?? 5_000,
      maxPingOut: 2,
      // The client stops after ten attempts, and after two refusals of the user; a server that restarts may do both.
      maxReconnectAttempts: -1,
      ignoreAuthErrorAbort: true,
      noAsyncTraces: true,
      ...reconnectPace(options.reconnectMaxMs ?? 2_000),
    },
  };
}

function serversOf(servers: NatsOptions['servers']): readonly string[] {
  const list = servers === undefined ? ['nats://127.0.0.1:4222'] : typeof servers === 'string' ? [servers] : servers;
  if (list.length > 0 && list.every((server) => typeof server === 'string' && server.trim() !== '')) return list;
  throw refused('servers', 'one address or more');
}

interface Login {
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly token: string | undefined;
  readonly nkeySeed: string | undefined;
  readonly credentialsFile: string | undefined;
}

function oneLogin(login: Login): void {
  const given = [login.user ?? login.password, login.token, login.nkeySeed, login.credentialsFile];
  if (given.filter((way) => way !== undefined).length > 1) {
    throw refused('user', 'the only way to log in; give one of user, token, nkeySeed and credentialsFile');
  }
  if (login.user === undefined && login.password !== undefined) throw refused('user', 'given with a password');
}

function loginOptions({ user, password, token, nkeySeed, credentialsFile }: Login): NodeConnectionOptions {
  if (user !== undefined) return password === undefined ? { user } : { user, pass: password };
  if (token !== undefined) return { token };
  if (nkeySeed !== undefined)
    return { authenticator: nkeyAuthenticator(new TextEncoder().encode(checkSeed(nkeySeed))) };
  if (credentialsFile === undefined) return {};
  checkCredentials(credentialsFile);
  return { authenticator: credsAuthenticator(() => readFileSync(credentialsFile)) };
}

function checkSeed(seed: string): string {
  try {
    nkeyAuthenticator(new TextEncoder().encode(seed))('probe');
    return seed;
  } catch {
    throw refused('nkeySeed', 'the seed of an nkey (it begins with SU)');
  }
}

function checkCredentials(path: string): void {
  try {
    credsAuthenticator(readFileSync(path))('probe');
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code;
    throw IModelError.of(
      'config',
      missing === undefined
        ? `Expected \`credentialsFile\` to hold a JWT and a seed: ${path}`
        : `Cannot read \`credentialsFile\` (${missing}): ${path}`,
      { field: 'credentialsFile', value: printValue(path), source: 'bus' },
    );
  }
}

interface Address {
  readonly server: string;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
}

/** Takes credentials out of an address: the client ignores them there, and addresses are printed. */
function splitAddress(text: string): Address {
  const match = /^(?:(\w+):\/\/)?(?:([^@/]*)@)?(\[[\da-f:.]+\](?::\d+)?|[^@/:\s]+(?::\d+)?)\/?$/i.exec(text.trim());
  if (match === null) throw refused('servers', 'addresses like nats://host:4222');
  // A bare IPv6 address has to stand in brackets, as in every URL.
  const [, scheme = 'nats', login, host = ''] = match;
  if (!/^(?:nats|tls)$/i.test(scheme)) throw refused('servers', 'addresses with nats:// or tls://');
  const server = `${scheme.toLowerCase()}://${host}`;
  if (login === undefined) return { server };
  const [user = '', ...rest] = login.split(':');
  if (rest.length === 0) return { server, token: decodeURIComponent(user) };
  return { server, user: decodeURIComponent(user), password: decodeURIComponent(rest.join(':')) };
}

function refused(field: string, expected: string): IModelError {
  return IModelError.of('config', `Expected \`${field}\` to be ${expected}`, { field, source: 'bus' });
}
