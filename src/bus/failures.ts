import { IModelError, printValue } from '../errors.ts';

/** Nobody listens on a subject. */
export function noResponder(subject: string): IModelError {
  return IModelError.of('no_responder', `Nobody listens on \`${subject}\``, { subject });
}

/** A bus that is closed, or takes nothing new while it drains. */
export function busClosed(what = 'The bus is closed'): IModelError {
  return IModelError.of('closed', what, { source: 'bus', retryable: false });
}

/** A body above the limit. */
export function payloadTooLarge(subject: string, sizeBytes: number, limitBytes: number): IModelError {
  const message = `A body of ${sizeBytes} bytes on \`${subject}\` is above the limit of ${limitBytes} bytes`;
  return IModelError.of('payload_too_large', message, { sizeBytes, limitBytes });
}

/** The server cannot be reached, or takes nothing. */
export function busUnavailable(message: string, cause?: unknown): IModelError {
  return IModelError.of('unavailable', message, { source: 'bus' }, cause === undefined ? {} : { cause });
}

/**
 * Checks a time-out that a caller gave.
 *
 * @throws IModelError `config` unless it is a finite number of at least 0.
 */
export function checkMs(value: number | undefined, field: string): void {
  if (value === undefined || (typeof value === 'number' && value >= 0 && Number.isFinite(value))) return;
  const printed = printValue(value);
  throw IModelError.of('config', `Expected \`${field}\` to be a finite number of at least 0, got ${printed}`, {
    field,
    value: printed,
    source: 'bus',
  });
}
