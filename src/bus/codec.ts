import { isUtf8 } from 'node:buffer';
import { Packr } from 'msgpackr';
import { IModelError, printValue } from '../errors.ts';
import type { ContentType } from './bus.ts';
import { jsonTooDeepAt, maxNesting, messagePackFault } from './nesting.ts';

/** A body as it travels. */
export interface EncodedBody {
  readonly bytes: Uint8Array;
  /** How it is written. */
  readonly contentType: ContentType;
  /** Whether a `Content-Type` header must say so, because the first byte would say something else. */
  readonly needsHeader: boolean;
}

const empty = new Uint8Array(0);
const longestExcerpt = 200;

const options = {
  // Records are an extension of msgpackr's own, which other languages do not read.
  useRecords: false,
  variableMapSize: true,
  encodeUndefinedAsNil: true,
  // As JSON does: a key without a value is not written.
  skipValues: [undefined],
  // As JSON does: numbers above 2^53 lose digits, but stay numbers.
  int64AsType: 'number',
} as const;
const messagePack = new Packr({ ...options, skipValues: [...options.skipValues] } as ConstructorParameters<
  typeof Packr
>[0]);

/**
 * Writes a value as bytes. `undefined` is an empty body.
 *
 * @param contentType - How to write it; see `PublishOptions.contentType` for the default. A value that is not text cannot be
 * 'text/plain' and becomes JSON.
 * @throws IModelError `invalid_request` for a value that cannot be written: circular, a function, a bigint.
 */
export function encodeBody(payload: unknown, contentType?: ContentType): EncodedBody {
  if (payload === undefined)
    return { bytes: empty, contentType: contentType ?? 'application/json', needsHeader: false };
  if (payload instanceof Uint8Array) return withHeaderNeed(payload, contentType ?? 'application/octet-stream');
  if (contentType === 'application/msgpack') return withHeaderNeed(writeMessagePack(payload), contentType);
  if (typeof payload === 'string' && contentType !== 'application/json') {
    return withHeaderNeed(Buffer.from(payload), 'text/plain');
  }
  return withHeaderNeed(writeJson(payload), 'application/json');
}

function withHeaderNeed(bytes: Uint8Array, contentType: ContentType): EncodedBody {
  return { bytes, contentType, needsHeader: bytes.length === 0 || sniff(bytes) !== contentType };
}

function writeJson(payload: unknown): Uint8Array {
  let text: string | undefined;
  try {
    text = JSON.stringify(payload);
  } catch (cause) {
    throw unwritable(payload, 'JSON', cause);
  }
  if (text === undefined) throw unwritable(payload, 'JSON');
  return Buffer.from(text);
}

function writeMessagePack(payload: unknown): Uint8Array {
  try {
    return messagePack.pack(payload);
  } catch (cause) {
    throw unwritable(payload, 'MessagePack', cause);
  }
}

function unwritable(payload: unknown, as: string, cause?: unknown): IModelError {
  const reason = cause instanceof Error ? `: ${cause.message.split('\n')[0]}` : '';
  const message = `A payload cannot be written as ${as}${reason}; it is ${Object.prototype.toString.call(payload)}`;
  return IModelError.of('invalid_request', message, { source: 'bus' }, cause === undefined ? {} : { cause });
}

/** What the first bytes of a body say: `{` or `[` is JSON, a MessagePack map is that, anything else is text. */
export function sniff(bytes: Uint8Array): ContentType {
  const first = bytes[0];
  if (first === undefined) return 'text/plain';
  if (first === 0x7b || first === 0x5b) return 'application/json';
  if (first >= 0x80 && first <= 0x8f) return 'application/msgpack';
  // 0xde and 0xdf begin long maps, but also letters of some alphabets; there a byte 0x80 to 0xbf follows, which for a map would mean
  // 32,768 entries or more in the one case and two thousand million in the other.
  if (first === 0xde || first === 0xdf) {
    const second = bytes[1] ?? 0;
    return second >= 0x80 && second <= 0xbf ? 'text/plain' : 'application/msgpack';
  }
  return 'text/plain';
}

/**
 * How a body is written: what its `Content-Type` header says, else what its first bytes say.
 *
 * @throws IModelError `malformed` for a content type that is not known.
 */
export function contentTypeOf(bytes: Uint8Array, header: string | undefined): ContentType {
  if (header === undefined || header === '') return sniff(bytes);
  const name = (header.split(';', 1)[0] ?? '').trim().toLowerCase();
  if (name === 'application/json' || name.endsWith('+json')) return 'application/json';
  if (/^application\/(?:x-|vnd\.)?msgpack$/.test(name)) return 'application/msgpack';
  if (name.startsWith('text/')) return 'text/plain';
  if (name === 'application/octet-stream') return 'application/octet-stream';
  throw malformed(`a content type that is known, got ${printValue(header)}`, 'Content-Type', undefined);
}

/**
 * Reads a body. Keys `__proto__` are dropped, so copying the value cannot change a prototype.
 *
 * @param path - Where the body came from (its subject), for the error.
 * @returns `undefined` for an empty body without header.
 * @throws IModelError `malformed` when the bytes are not what they claim to be, or nest deeper than 128.
 */
export function decodeBody(bytes: Uint8Array, contentType: ContentType, path: string): unknown {
  if (contentType === 'application/octet-stream') return bytes;
  if (contentType === 'application/msgpack') return readMessagePack(bytes, path);
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString('utf8');
  // Decoding puts U+FFFD where bytes are not UTF-8; only then is a second look needed.
  if (text.includes('\ufffd') && !isUtf8(buffer)) throw malformed('UTF-8 text', path, text);
  return contentType === 'text/plain' ? text : readJson(buffer, text, path);
}

function readJson(bytes: Uint8Array, text: string, path: string): unknown {
  const deepAt = jsonTooDeepAt(bytes, text);
  if (deepAt >= 0) throw malformed(`JSON nested at most ${maxNesting} deep`, path, text.slice(deepAt));
  try {
    // The second test is for a key written with escapes, as "\u005f_proto__".
    return text.includes('__proto__') || text.includes('\\u005') ? JSON.parse(text, withoutProto) : JSON.parse(text);
  } catch (cause) {
    throw malformed('JSON', path, text, cause);
  }
}

function withoutProto(this: unknown, _key: string, value: unknown): unknown {
  if (typeof value === 'object' && value !== null) Reflect.deleteProperty(value, '__proto__');
  return value;
}

function readMessagePack(bytes: Uint8Array, path: string): unknown {
  const fault = messagePackFault(bytes);
  if (fault !== undefined)
    throw malformed(`MessagePack: ${fault}`, path, Buffer.from(bytes.subarray(0, 99)).toString('hex'));
  try {
    return messagePack.unpack(bytes);
  } catch (cause) {
    throw malformed('MessagePack', path, Buffer.from(bytes.subarray(0, 99)).toString('hex'), cause);
  }
}

function malformed(expected: string, path: string, text: string | undefined, cause?: unknown): IModelError {
  const excerpt = text?.slice(0, longestExcerpt);
  const got = excerpt === undefined ? '' : `, got ${printValue(excerpt)}`;
  return IModelError.of(
    'malformed',
    `Expected the body at \`${path}\` to be ${expected}${got}`,
    { path, source: 'bus', ...(excerpt === undefined ? {} : { excerpt }) },
    cause === undefined ? {} : { cause },
  );
}
