import { type Failure, failureCodes } from '../../schemas/failure.ts';
import { IModelError } from '../errors.ts';
import type { Headers } from './bus.ts';

/** Headers of a message without any. */
export const noHeaders: Headers = Object.freeze({});

/** Visible ASCII but the colon, as HTTP and NATS want names. */
const namePattern = /^[!-9;-~]+$/;

/** The names of the headers that the contract knows. */
export const headerNames = {
  contentType: 'Content-Type',
  call: 'Imodel-Call',
  /** Milliseconds the sender still waits, counted from the sending. */
  deadlineMs: 'Imodel-Deadline-Ms',
  queueMs: 'Imodel-Queue-Ms',
  priority: 'Imodel-Priority',
  caller: 'Imodel-Caller',
  weight: 'Imodel-Weight',
  credit: 'Imodel-Credit',
  /** Subject below which the parts of a large body are fetched. */
  body: 'Imodel-Body',
  parts: 'Imodel-Parts',
  /** Bytes of a large body. */
  size: 'Imodel-Size',
  messageId: 'Nats-Msg-Id',
  traceParent: 'traceparent',
  traceState: 'tracestate',
  errorCode: 'Nats-Service-Error-Code',
  error: 'Nats-Service-Error',
} as const;

/** The value of a header, whatever the case of its name; undefined when it is absent. */
export function readHeader(headers: Headers, name: string): string | undefined {
  const exact = headers[name];
  if (exact !== undefined || headers === noHeaders) return exact;
  const wanted = name.toLowerCase();
  for (const [key, value] of Object.entries(headers)) if (key.toLowerCase() === wanted) return value;
  return undefined;
}

/**
 * Checks headers before they are sent.
 *
 * @throws IModelError `config` that names the header, for a name with other than visible ASCII or a value with a line break. The value
 * is not printed: it may be a secret.
 */
export function checkHeaders(headers: Headers): Headers {
  for (const [name, value] of Object.entries(headers)) {
    const field = `headers.${name.slice(0, 100)}`;
    if (!namePattern.test(name)) {
      throw IModelError.of('config', `Expected the header name \`${field}\` to be visible ASCII without a colon`, {
        field,
        source: 'bus',
      });
    }
    if (typeof value !== 'string' || /[\r\n]/.test(value)) {
      throw IModelError.of('config', `Expected \`${field}\` to be a string without line breaks`, {
        field,
        source: 'bus',
      });
    }
  }
  return headers;
}

/** How many bytes headers take in a message. */
export function headersSizeBytes(headers: Headers): number {
  let size = 'NATS/1.0\r\n\r\n'.length;
  for (const [name, value] of Object.entries(headers)) size += name.length + Buffer.byteLength(value) + ': \r\n'.length;
  return size;
}

/** The headers that mark a reply as a failure, as services on NATS do. */
export function failureHeaders(failure: Failure): Headers {
  return {
    [headerNames.errorCode]: String(failureCodes[failure.code].nats),
    // A header is one line.
    [headerNames.error]: failure.message.replace(/[\r\n]+/g, ' ').slice(0, 500),
  };
}

/**
 * The milliseconds that a message's sender still waits.
 *
 * @returns `undefined` when the sender named no limit or something that is not a number of at least 0.
 */
export function readDeadlineMs(headers: Headers): number | undefined {
  const text = readHeader(headers, headerNames.deadlineMs);
  if (text === undefined || text.trim() === '') return undefined;
  const value = Number(text);
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}

/** The header for the time that is left until `deadlineAt`; never below 0, rounded up to whole milliseconds. */
export function deadlineHeader(deadlineAt: number, now: number): Headers {
  return { [headerNames.deadlineMs]: String(Math.max(0, Math.ceil(deadlineAt - now))) };
}

/** The W3C trace context of a message, to be passed on with what it causes; empty without one. */
export function traceHeaders(headers: Headers): Headers {
  const parent = readHeader(headers, headerNames.traceParent);
  if (parent === undefined) return noHeaders;
  const state = readHeader(headers, headerNames.traceState);
  return state === undefined
    ? { [headerNames.traceParent]: parent }
    : { [headerNames.traceParent]: parent, [headerNames.traceState]: state };
}
