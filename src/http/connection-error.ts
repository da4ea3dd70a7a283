import { errors } from 'undici';
import { IModelError } from '../errors.ts';

/** Codes of Node and OpenSSL that say the peer's certificate is not acceptable: trying again does not change that. */
const certificateProblem = /^(CERT_|ERR_TLS_CERT|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED_CERT|UNABLE_TO_(GET|VERIFY))/;

/**
 * Says in our words why a connection failed.
 *
 * @param thrown - What undici or the socket reported; kept as `cause`.
 * @param host - Host and port for the message.
 * @param connectTimeoutMs - The limit that applied while connecting.
 */
export function connectionError(thrown: unknown, host: string, connectTimeoutMs: number): IModelError {
  if (IModelError.is(thrown)) return thrown;
  const { code, message } = describe(thrown);
  const options = { cause: thrown };
  if (code === 'UND_ERR_CONNECT_TIMEOUT') {
    const details = { phase: 'connect', timeoutMs: connectTimeoutMs, retryable: true } as const;
    return IModelError.of('timed_out', `No connection to ${host} within ${connectTimeoutMs} ms`, details, options);
  }
  if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED') {
    return IModelError.of('closed', `The connections to ${host} have been closed`, { retryable: false }, options);
  }
  if (code === 'UND_ERR_INVALID_ARG') {
    return IModelError.of('config', `The request to ${host} cannot be sent: ${message}`, {}, options);
  }
  if (thrown instanceof errors.HTTPParserError || code === 'UND_ERR_HEADERS_OVERFLOW') {
    return IModelError.of('malformed', `${host} sent no valid HTTP reply: ${message}`, {}, options);
  }
  // undici says so of a 100 only. The host has the request, and would answer every further one the same.
  if (thrown instanceof errors.SocketError && thrown.message === 'bad response') {
    const text = `${host} sent 100 Continue, which nobody asked for and which cannot be read`;
    return IModelError.of('malformed', text, {}, options);
  }
  const retryable = !certificateProblem.test(code);
  return IModelError.of(
    'unavailable',
    `Connection to ${host} failed: ${message}`,
    { reason: code, retryable },
    options,
  );
}

function describe(thrown: unknown): { code: string; message: string } {
  if (!(thrown instanceof Error)) return { code: 'UNKNOWN', message: String(thrown) };
  const { code } = thrown as NodeJS.ErrnoException;
  // Node tries every address of a name and reports all failures at once, with an empty message.
  const first: unknown = thrown instanceof AggregateError ? thrown.errors[0] : undefined;
  const message = thrown.message === '' && first instanceof Error ? first.message : thrown.message;
  return { code: code ?? 'UNKNOWN', message: message === '' ? (code ?? thrown.name) : message };
}
