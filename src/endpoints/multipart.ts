import { IModelError } from '../errors.ts';
import type { Fields } from './endpoint.ts';
import type { EncodedBody } from './protocol.ts';

/** A file as one part of a form. */
export interface FilePart {
  /** The part's name in the form. */
  readonly name: string;
  readonly filename: string;
  readonly bytes: Uint8Array;
  readonly contentType: string;
}

/**
 * Writes fields and files as `multipart/form-data`. Lists repeat as `name[]`, objects are written as JSON.
 *
 * @see {@link https://datatracker.ietf.org/doc/html/rfc7578}
 */
export function encodeMultipart(fields: Fields, files: readonly FilePart[]): EncodedBody {
  const boundary = `imodel-${crypto.randomUUID()}`;
  const pieces: Uint8Array[] = [];
  const text = (value: string): void => void pieces.push(Buffer.from(value, 'utf8'));
  const field = (name: string, value: unknown): void => {
    const written = typeof value === 'object' ? JSON.stringify(value) : String(value);
    text(`--${boundary}\r\nContent-Disposition: form-data; name="${escapeName(name)}"\r\n\r\n${written}\r\n`);
  };
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === null) continue;
    if (Array.isArray(value)) for (const entry of value) field(`${name}[]`, entry);
    else field(name, value);
  }
  for (const { name, filename, bytes, contentType } of files) {
    const disposition = `form-data; name="${escapeName(name)}"; filename="${escapeName(filename)}"`;
    text(`--${boundary}\r\nContent-Disposition: ${disposition}\r\nContent-Type: ${contentType}\r\n\r\n`);
    pieces.push(bytes);
    text('\r\n');
  }
  text(`--${boundary}--\r\n`);
  return { body: Buffer.concat(pieces), contentType: `multipart/form-data; boundary=${boundary}` };
}

/**
 * The bytes of a file as callers give it: bytes, a Blob, or a base64 data URL.
 *
 * @param field - The request's field, for the error.
 * @throws IModelError `invalid_request` when it is missing or something else.
 */
export async function fileBytes(value: unknown, field: string): Promise<Uint8Array> {
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (value instanceof Blob) return new Uint8Array(await value.arrayBuffer());
  const base64 = typeof value === 'string' ? /^data:[^,]*;base64,(.*)$/s.exec(value)?.[1] : undefined;
  if (base64 !== undefined) return Buffer.from(base64, 'base64');
  const got = value === undefined || value === null ? String(value) : typeof value;
  const message = `Expected \`${field}\` to be bytes, a Blob or a base64 data URL, got ${got}`;
  throw IModelError.of('invalid_request', message, { path: field });
}

/** The media type of an image by its first bytes; PNG when unknown. */
export function imageType(bytes: Uint8Array): string {
  const head = Buffer.from(bytes.subarray(0, 12)).toString('latin1');
  if (head.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  return head.startsWith('RIFF') && head.slice(8) === 'WEBP' ? 'image/webp' : 'image/png';
}

function escapeName(name: string): string {
  return name.replace(/\r|\n/g, ' ').replaceAll('"', '%22');
}
