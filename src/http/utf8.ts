import { isUtf8 } from 'node:buffer';
import { IModelError } from '../errors.ts';

const replacement = '\ufffd';

/**
 * Bytes as text.
 *
 * @throws IModelError `malformed` when they are no UTF-8: an answer with holes in it would pass for a whole one.
 */
export function decodeUtf8(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  // Decoding puts U+FFFD where bytes are not UTF-8; only then is a second look needed, for a vendor may mean that character.
  if (!text.includes(replacement) || isUtf8(bytes)) return text;
  const at = text.indexOf(replacement);
  const excerpt = text.slice(Math.max(0, at - 100), at + 100);
  throw IModelError.of('malformed', 'The reply holds bytes that are no UTF-8', { excerpt });
}

/** Decodes bytes that may be cut anywhere, also inside a character. */
export class Utf8Decoder {
  /** The beginning of a character whose end has not come yet. */
  #rest: Buffer | null = null;

  /** The characters that these bytes complete. @throws IModelError `malformed`, as {@link decodeUtf8} */
  write(bytes: Buffer): string {
    const all = this.#rest === null ? bytes : Buffer.concat([this.#rest, bytes]);
    const end = completeUntil(all);
    this.#rest = end === all.length ? null : all.subarray(end);
    return decodeUtf8(this.#rest === null ? all : all.subarray(0, end));
  }

  /** Hears that no more bytes come. @throws IModelError `malformed` when they ended inside a character */
  end(): string {
    const rest = this.#rest;
    this.#rest = null;
    return rest === null ? '' : decodeUtf8(rest);
  }
}

/** Where the last complete character ends. */
function completeUntil(bytes: Buffer): number {
  const { length } = bytes;
  for (let back = 1; back <= Math.min(3, length); back += 1) {
    const byte = bytes[length - back] ?? 0;
    if (byte < 0x80) return length;
    // Inside a character: what began it stands further ahead.
    if (byte < 0xc0) continue;
    const size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return size > back ? length - back : length;
  }
  return length;
}
