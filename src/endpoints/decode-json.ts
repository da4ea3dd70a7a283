import { IModelError } from '../errors.ts';
import type { HttpResponse } from '../http/exchange.ts';

/**
 * The body of a reply as JSON.
 *
 * @throws IModelError `malformed`, with the first 200 characters.
 */
export function decodeJson(reply: HttpResponse): unknown {
  const text = reply.body.toString('utf8');
  try {
    return JSON.parse(text);
  } catch (cause) {
    const message = `The reply is no JSON: ${(cause as Error).message}`;
    throw IModelError.of('malformed', message, { excerpt: text.slice(0, 200) }, { cause });
  }
}
