import { errors } from 'nats';
import { IModelError } from '../errors.ts';
import { busUnavailable } from './failures.ts';

/**
 * Takes every secret out of a text that is to be shown.
 *
 * @param secrets - Texts that must not appear.
 */
function redact(text: string, secrets: readonly string[]): string {
  let clean = text.replace(/(\w+:\/\/)[^@/\s]+@/g, '$1***@');
  for (const secret of secrets) clean = clean.replaceAll(secret, '***');
  return clean;
}

/**
 * Says in our words what the client reports.
 *
 * @param secrets - See {@link redact}.
 * @param doing - What was tried, for the message: "connect to 127.0.0.1:4222".
 */
export function translate(error: unknown, secrets: readonly string[], doing: string): IModelError {
  if (IModelError.is(error)) return error;
  const reason = redact(error instanceof Error ? error.message : String(error), secrets);
  const cause = error instanceof Error && reason === error.message ? { cause: error } : {};
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError) {
    return IModelError.of(
      'unauthorized',
      `Cannot ${doing}: the server refused the user (${reason})`,
      { source: 'bus' },
      cause,
    );
  }
  if (error instanceof errors.PermissionViolationError) {
    return IModelError.of('unauthorized', `Cannot ${doing}: ${reason}`, { source: 'bus' }, cause);
  }
  if (isTlsFault(error)) {
    return IModelError.of('config', `Cannot ${doing} with TLS: ${reason}`, { field: 'tls', source: 'bus' }, cause);
  }
  return busUnavailable(`Cannot ${doing}: ${reason}`, cause.cause);
}

/** Certificates that do not fit, files that are missing, TLS where there is none: trying again does not help. */
function isTlsFault(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const inner = error.cause instanceof Error ? error.cause : error;
  const code = String((inner as NodeJS.ErrnoException).code ?? '');
  return (
    /CERT|TLS|SSL|ERR_OSSL/.test(code) || /certificate|\btls\b|doesn't exist/i.test(`${error.message} ${inner.message}`)
  );
}
