/** Deepest nesting of arrays and objects that is taken from outside; code that walks a body may recurse this far safely. */
export const maxNesting = 128;

const quote = 0x22;
const backslash = 0x5c;

/**
 * Whether JSON text nests deeper than {@link maxNesting}, found without parsing it: ten million `[` would cost the parser gigabytes.
 *
 * @param text - What `bytes` say.
 * @returns The offset in bytes of the first bracket too deep, or -1. Says nothing about whether the text is valid.
 */
export function jsonTooDeepAt(bytes: Uint8Array, text: string): number {
  // What has fewer brackets than are needed, nearly everything, takes no look at each byte.
  if (!hasManyOf('[', text) && !hasManyOf('{', text)) return -1;
  let depth = 0;
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index];
    if (byte === quote) {
      for (index += 1; index < bytes.length && bytes[index] !== quote; index += 1) {
        if (bytes[index] === backslash) index += 1;
      }
    } else if (byte === 0x5b || byte === 0x7b) {
      depth += 1;
      if (depth > maxNesting) return index;
    } else if (byte === 0x5d || byte === 0x7d) {
      depth -= 1;
    }
  }
  return -1;
}

/** Whether so many of one kind of bracket open that, with those of the other kind, they could be nested too deep. */
function hasManyOf(bracket: '[' | '{', text: string): boolean {
  let at = -1;
  for (let count = 0; count <= maxNesting / 2; count += 1) {
    at = text.indexOf(bracket, at + 1);
    if (at < 0) return false;
  }
  return true;
}

/**
 * Checks the structure of one MessagePack value before it is decoded: complete, nothing after it, not nested deeper than
 * {@link maxNesting}, no length beyond the bytes there are, and no extension but the timestamp. (Decoders run code for extensions.)
 *
 * @returns What is wrong and where, or undefined.
 * @see {@link https://github.com/msgpack/msgpack/blob/master/spec.md} for the formats (read 2026-11)
 */
export function messagePackFault(bytes: Uint8Array): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  /** How many values are still to come at each open level. */
  const open: number[] = [1];
  let at = 0;
  for (;;) {
    while (open.at(-1) === 0) open.pop();
    if (open.length === 0) return at === bytes.length ? undefined : `bytes after the value, at offset ${at}`;
    open[open.length - 1] = (open.at(-1) ?? 0) - 1;
    if (at >= bytes.length) return 'ends too early';
    const item = itemAt(view, at);
    if (typeof item === 'string') return item;
    at += item.sizeBytes;
    if (at > bytes.length || item.children > bytes.length - at) return 'ends too early';
    if (item.children > 0) {
      // The first level is the value itself, which is not nested.
      if (open.length > maxNesting) return `nested deeper than ${maxNesting}, at offset ${at}`;
      open.push(item.children);
    }
  }
}

interface Item {
  /** Bytes of the header and, for scalars, of the value. */
  readonly sizeBytes: number;
  /** Values that follow inside this one. */
  readonly children: number;
}

const scalar = (sizeBytes: number): Item => ({ sizeBytes, children: 0 });

/** Sizes after the first byte for 0xca to 0xd3: floats and integers. */
const numberSizes = [4, 8, 1, 2, 4, 8, 1, 2, 4, 8];

function itemAt(view: DataView, at: number): Item | string {
  const type = view.getUint8(at);
  if (type < 0x80 || type >= 0xe0 || type === 0xc0 || type === 0xc2 || type === 0xc3) return scalar(1);
  if (type < 0x90) return { sizeBytes: 1, children: (type & 0x0f) * 2 };
  if (type < 0xa0) return { sizeBytes: 1, children: type & 0x0f };
  if (type < 0xc0) return scalar(1 + (type & 0x1f));
  if (type === 0xc1) return `no such type 0xc1, at offset ${at}`;
  if (type >= 0xca && type <= 0xd3) return scalar(1 + (numberSizes[type - 0xca] ?? 0));
  if (type >= 0xd4 && type <= 0xd8) {
    const sizeBytes = 1 << (type - 0xd4);
    return extension(view, at, at + 1, 2 + sizeBytes);
  }
  const width = lengthWidth(type);
  if (at + 1 + width > view.byteLength) return 'ends too early';
  const length = width === 1 ? view.getUint8(at + 1) : width === 2 ? view.getUint16(at + 1) : view.getUint32(at + 1);
  const header = 1 + width;
  if (type >= 0xc7 && type <= 0xc9) return extension(view, at, at + header, header + 1 + length);
  if (type === 0xdc || type === 0xdd) return { sizeBytes: header, children: length };
  if (type === 0xde || type === 0xdf) return { sizeBytes: header, children: length * 2 };
  return scalar(header + length);
}

function extension(view: DataView, at: number, typeAt: number, sizeBytes: number): Item | string {
  if (typeAt >= view.byteLength) return 'ends too early';
  const type = view.getInt8(typeAt);
  return type === -1 ? scalar(sizeBytes) : `extension ${type}, at offset ${at}; only timestamps are taken`;
}

/** Bytes of the length field of bin, ext, str, array and map types. */
function lengthWidth(type: number): 1 | 2 | 4 {
  switch (type) {
    case 0xc4:
    case 0xc7:
    case 0xd9:
      return 1;
    case 0xc5:
    case 0xc8:
    case 0xda:
    case 0xdc:
    case 0xde:
      return 2;
    default:
      return 4;
  }
}
