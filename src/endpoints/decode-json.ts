import { IModelError } from '../errors.ts';
import type { HttpResponse } from '../http/exchange.ts';
import { decodeUtf8 } from '../http/utf8.ts';

/**
 * The body of a reply as JSON.
 *
 * @throws IModelError `malformed`, with the first 200 characters; with those around the fault when the bytes are no UTF-8.
 */
export function decodeJson(reply: HttpResponse): unknown {
  const text = withoutMark(decodeUtf8(reply.body));
  try {
    return JSON.parse(text);
  } catch (cause) {
    const message = `The reply is no JSON: ${(cause as Error).message}`;
    throw IModelError.of('malformed', message, { excerpt: text.slice(0, 200) }, { cause });
  }
}

/** Without the byte order mark that some servers put in front. */
function withoutMark(text: string): string {
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}
