import type { Transform } from 'node:stream';
import {
  brotliDecompressSync,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  gunzipSync,
  inflateRawSync,
  inflateSync,
  type ZlibOptions,
} from 'node:zlib';
import { IModelError } from '../errors.ts';
import type { BodyReader, Flow } from './exchange.ts';

/** How bodies are packed that a server or a proxy sends packed although nobody asked it to. */
export type ContentEncoding = 'gzip' | 'deflate' | 'br';

/** What `content-encoding` says; null for a plain body, and for one that cannot be unpacked here: that its bytes are no text is found out soon. */
export function contentEncoding(header: string | string[] | undefined): ContentEncoding | null {
  const name = String(header ?? '')
    .trim()
    .toLowerCase();
  switch (name) {
    case 'gzip':
    case 'x-gzip':
      return 'gzip';
    case 'deflate':
    case 'br':
      return name;
    default:
      return null;
  }
}

/**
 * Unpacks a whole body.
 *
 * @throws IModelError `payload_too_large` when there is more in it than `maxBytes`, `malformed` when it is not what its header says.
 */
export function unpack(body: Buffer, encoding: ContentEncoding, maxBytes: number): Buffer {
  const options: ZlibOptions = { maxOutputLength: maxBytes };
  try {
    if (encoding === 'br') return brotliDecompressSync(body, { maxOutputLength: maxBytes });
    if (encoding === 'gzip') return gunzipSync(body, options);
    return hasZlibHeader(body) ? inflateSync(body, options) : inflateRawSync(body, options);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') throw damaged(cause);
    const message = `The reply is larger than ${maxBytes} bytes`;
    throw IModelError.of('payload_too_large', message, { sizeBytes: maxBytes + 1, limitBytes: maxBytes }, { cause });
  }
}

/** Unpacks a body on its way to its reader. */
export class UnpackingReader implements BodyReader {
  readonly #encoding: ContentEncoding;
  readonly #reader: BodyReader;
  #unpacker: Transform | null = null;

  constructor(encoding: ContentEncoding, reader: BodyReader) {
    this.#encoding = encoding;
    this.#reader = reader;
  }

  data(bytes: Buffer, flow: Flow): boolean {
    this.#unpacker ??= this.#open(bytes, flow);
    this.#unpacker.write(bytes);
    return false;
  }

  /** Resolves when the reader has everything. */
  end(): void | Promise<void> {
    const unpacker = this.#unpacker;
    if (unpacker === null) return this.#reader.end();
    return new Promise((resolve, reject) => {
      unpacker.once('error', (cause) => reject(damaged(cause)));
      unpacker.once('end', () => {
        try {
          resolve(this.#reader.end());
        } catch (error) {
          reject(error);
        }
      });
      unpacker.end();
    });
  }

  #open(first: Buffer, flow: Flow): Transform {
    const unpacker = unpackerOf(this.#encoding, first);
    unpacker.on('data', (bytes: Buffer) => {
      try {
        if (this.#reader.data(bytes, flow)) flow.finish();
      } catch (error) {
        flow.fail(error);
      }
    });
    unpacker.on('error', (cause) => flow.fail(damaged(cause)));
    return unpacker;
  }
}

function unpackerOf(encoding: ContentEncoding, first: Buffer): Transform {
  if (encoding === 'br') return createBrotliDecompress();
  if (encoding === 'gzip') return createGunzip();
  return hasZlibHeader(first) ? createInflate() : createInflateRaw();
}

/** Some servers leave the header out that RFC 9110 asks for: https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1.2 */
function hasZlibHeader(bytes: Buffer): boolean {
  return bytes.length > 0 && ((bytes[0] ?? 0) & 0x0f) === 8;
}

function damaged(cause: unknown): IModelError {
  return IModelError.of('malformed', `The reply cannot be unpacked: ${(cause as Error).message}`, {}, { cause });
}
