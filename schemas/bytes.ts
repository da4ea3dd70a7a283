/** Bytes as they stand in JSON, in dictionaries and on the wire: one key, whose value is base64. */
export interface WrittenBytes {
  readonly base64: string;
}

/** Node's own, told without its types: the dashboard's page reads these files too, and has bytes nowhere. */
interface NodeBytes {
  from(bytes: ArrayBufferLike, start: number, length: number): { toString(encoding: 'base64'): string };
  from(text: string, encoding: 'base64'): Uint8Array;
}

const node = globalThis as unknown as { readonly Buffer: NodeBytes };

/** Bytes as base64. */
export function base64Of(bytes: Uint8Array): string {
  return node.Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** Base64 as bytes; what is no base64 in it is passed over. */
export function bytesOf(base64: string): Uint8Array {
  return new Uint8Array(node.Buffer.from(base64, 'base64'));
}

/**
 * A value with which bytes may come, such as the sound of a speech endpoint or the files of a request, as JSON can hold it: bytes, alone, as a
 * property of their own or in a list there, are written as {@link WrittenBytes}. Everything else is passed on as it is, without a copy.
 */
export function bytesToWire(value: unknown): unknown {
  return changed(value, isBytes, writeBytes);
}

/** The reverse of {@link bytesToWire}. */
export function bytesFromWire(value: unknown): unknown {
  return changed(value, isWritten, (inner) => bytesOf(inner.base64));
}

/** A request as it goes over a bus: its files, at the places of {@link bytesToWire}, are data URLs, which every endpoint with files reads. */
export function filesToText<Request>(request: Request): Request {
  const dataUrl = (bytes: Uint8Array): string => `data:application/octet-stream;base64,${base64Of(bytes)}`;
  // A value of a request is of any type, so one with others in it is still a request.
  return changed(request, isBytes, dataUrl) as Request;
}

/** Bytes as {@link WrittenBytes}. */
export function writeBytes(bytes: Uint8Array): WrittenBytes {
  return { base64: base64Of(bytes) };
}

/** A value in which some are exchanged; itself when it holds none. */
function changed<Some>(value: unknown, isSome: (inner: unknown) => inner is Some, change: (inner: Some) => unknown) {
  const swap = (inner: unknown): unknown => (isSome(inner) ? change(inner) : inner);
  if (isSome(value)) return change(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.some(isSome) ? value.map(swap) : value;
  const fields = value as Readonly<Record<string, unknown>>;
  let copy: Record<string, unknown> | null = null;
  // Every message comes through here: no list of its fields is made.
  for (const name in fields) {
    const inner = fields[name];
    const holds = isSome(inner) || (Array.isArray(inner) && inner.some(isSome));
    if (!holds) continue;
    copy ??= { ...value };
    copy[name] = Array.isArray(inner) ? inner.map(swap) : swap(inner);
  }
  return copy ?? value;
}

function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array;
}

function isWritten(value: unknown): value is WrittenBytes {
  if (typeof value !== 'object' || value === null || !('base64' in value)) return false;
  return typeof value.base64 === 'string' && Object.keys(value).length === 1;
}
