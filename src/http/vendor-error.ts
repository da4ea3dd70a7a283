import type { HttpHeaders } from './exchange.ts';
import { single } from './retry-after.ts';

/** What a vendor says about a failure, in its own words. */
export interface VendorError {
  /** HTTP status; absent when the error came inside a stream. */
  readonly status?: number;
  readonly headers?: HttpHeaders;
  /** The vendor's sentence for people. */
  readonly message: string;
  /** Its machine-readable code, as text. */
  readonly code?: string;
  /** Its class of error. */
  readonly type?: string;
  readonly requestId?: string;
  /** The body as text, not yet shortened. */
  readonly body?: string;
}

/**
 * Reads an error body, whatever its dialect: `{error: {message, type, code}}`, `{error: "text"}`, `{message}`, `{detail}` as a text, an
 * object or a list, `{title}`, Google's list of one, HTML pages and plain text.
 *
 * @param body - The parsed body, or undefined when it is no JSON.
 * @param text - The body as it came.
 */
export function readVendorError(body: unknown, text: string, status?: number, headers: HttpHeaders = {}): VendorError {
  const outer = record(Array.isArray(body) ? body[0] : body);
  const inner = record(outer?.error);
  const code = word(inner?.code) ?? word(outer?.code);
  const type = word(inner?.type) ?? word(inner?.status) ?? word(outer?.type) ?? word(outer?.tag);
  const requestId =
    single(headers['x-request-id']) ??
    single(headers['request-id']) ??
    word(outer?.request_id) ??
    word(outer?.requestId) ??
    single(headers['x-generation-id']);
  return {
    message: sentence(outer, inner) ?? excerpt(text),
    ...(status === undefined ? {} : { status, headers }),
    ...(code === undefined ? {} : { code }),
    ...(type === undefined || type === 'error' ? {} : { type }),
    ...(requestId == null ? {} : { requestId }),
    body: text,
  };
}

/** The value as an object with unknown fields; undefined for anything else, lists included. */
export function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}

type Body = Readonly<Record<string, unknown>> | undefined;

function sentence(outer: Body, inner: Body): string | undefined {
  return (
    text(inner?.message) ??
    text(outer?.error) ??
    text(outer?.message) ??
    detail(outer?.detail) ??
    text(outer?.title) ??
    text(inner?.type)
  );
}

function detail(value: unknown): string | undefined {
  if (!Array.isArray(value)) return text(value) ?? text(record(value)?.error) ?? text(record(value)?.message);
  const parts = value.map((entry) => text(record(entry)?.msg) ?? text(entry)).filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : parts.join('; ');
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value : undefined;
}

function word(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return text(value);
}

/** What a page or a plain text says, shortened. */
function excerpt(body: string): string {
  const trimmed = body.trim();
  if (!trimmed.startsWith('<')) return trimmed.slice(0, 300);
  const title = /<title[^>]*>([^<]*)<\/title>/i.exec(trimmed)?.[1]?.trim();
  return title === undefined || title === '' ? 'an HTML page' : `an HTML page titled "${title.slice(0, 200)}"`;
}
