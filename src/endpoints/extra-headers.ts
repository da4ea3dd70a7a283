import { IModelError, printValue } from '../errors.ts';
import { record } from '../http/vendor-error.ts';
import { isCredentialName } from './credential-name.ts';
import type { Fields } from './endpoint.ts';

/** The field of a request that holds headers for this call alone. */
export const extraHeaders = 'extra_headers';

/** Headers that say who calls; they are the iModel's to send. */
const credentials: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'x-api-key', 'api-key']);

/** Headers that belong to the connection and the body. */
const framing: ReadonlySet<string> = new Set([
  'host',
  'content-type',
  'content-length',
  'content-encoding',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'upgrade',
  'expect',
  'te',
  'trailer',
]);

const token = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i;

/**
 * Checks the headers that a request brings for itself.
 *
 * @param own - Headers of the iModel that carry credentials beside the usual ones, in lower case.
 * @throws IModelError `invalid_request`, naming the header, for one that is no header, says who calls or belongs to the connection. No value of a
 * header is shown.
 */
export function checkExtraHeaders(transport: Fields, own: ReadonlySet<string>): void {
  const given = transport[extraHeaders];
  if (given === undefined) return;
  const headers = record(given);
  if (headers === undefined) throw wrong(extraHeaders, `to be an object of texts, got ${printValue(typeof given)}`);
  for (const [name, value] of Object.entries(headers)) {
    const path = `${extraHeaders}.${name}`;
    const lower = name.toLowerCase();
    if (!token.test(name)) throw wrong(path, 'to be named as a header can be');
    if (credentials.has(lower) || own.has(lower)) throw wrong(path, 'to be left to the key of the iModel');
    if (framing.has(lower)) throw wrong(path, 'to be left to the connection');
    if (typeof value !== 'string' || !isPrintable(value)) throw wrong(path, 'to be a text without control characters');
  }
}

/** Headers with those that a request brings for itself, which take the place of others of their name. */
export function withExtraHeaders(headers: Record<string, string>, transport: Fields): Record<string, string> {
  const given = record(transport[extraHeaders]);
  if (given === undefined) return headers;
  const replaced = new Set(Object.keys(given).map((name) => name.toLowerCase()));
  const kept = Object.entries(headers).filter(([name]) => !replaced.has(name.toLowerCase()));
  return { ...Object.fromEntries(kept), ...(given as Record<string, string>) };
}

/** Headers without those that carry credentials, as they may be written down. */
export function withoutCredentialHeaders(headers: Fields): Fields {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !isCredentialName(name)));
}

function isPrintable(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff) return false;
  }
  return true;
}

function wrong(path: string, expected: string): IModelError {
  return IModelError.of('invalid_request', `Expected \`${path}\` ${expected}`, { path });
}
