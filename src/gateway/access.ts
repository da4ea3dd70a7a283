import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyRequest } from 'fastify';
import type { Caller } from '../callers/caller.ts';
import type { CallerBook } from '../callers/caller-book.ts';
import { systemClock } from '../runtime/system-clock.ts';
import { isLocalOnly } from './loopback.ts';
import { Refusal } from './refusal.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whom a route answers, where callers are configured. @defaultValue 'operator' */
    access?: 'everyone' | 'caller' | 'operator';
  }
  interface FastifyRequest {
    /** Whose key a request came with; null where nobody is asked for one. */
    caller: Caller | null;
  }
}

/**
 * Lets a request pass, and notes whose it is. Runs before its body is read: strangers send none.
 *
 * @throws Refusal 401 without a key that is good, 403 with one that is not good enough; 403 without callers for a request that names another
 * host than this machine.
 */
export function checkAccess(request: FastifyRequest, book: CallerBook): void {
  if (!book.isInUse) {
    refuseForeignName(request);
    return;
  }
  // What is not there is nobody's secret, but not for strangers to find out.
  const access = request.is404 ? 'caller' : (request.routeOptions.config.access ?? 'operator');
  if (access === 'everyone') return;
  request.caller = callerOf(request.headers, book);
  if (access === 'operator' && !request.caller.isOperator) {
    throw new Refusal(403, 'operator_required', 'This needs the key of an operator');
  }
}

/** What a request is told whose key is known and refused. */
const refusals = {
  disabled: 'The key is disabled',
  expired: 'The key has expired',
} as const;

function callerOf(headers: IncomingHttpHeaders, book: CallerBook): Caller {
  const keys = keysIn(headers);
  for (const key of keys) {
    const caller = book.find(key);
    if (caller === undefined) continue;
    const refused = caller.refusedAt(systemClock.now());
    if (refused === null) return caller;
    throw new Refusal(401, 'invalid_api_key', refusals[refused]);
  }
  if (keys.length > 0) throw new Refusal(401, 'invalid_api_key', 'The key is not known here');
  throw new Refusal(401, 'missing_api_key', 'Expected a key, as `Authorization: Bearer …` or as `x-api-key: …`');
}

/** The keys of a request: OpenAI's clients send the one header, Anthropic's the other. */
function keysIn({ authorization, 'x-api-key': named }: IncomingHttpHeaders): string[] {
  const [, bearer] = /^bearer +(\S+)$/i.exec(authorization ?? '') ?? [];
  return [bearer, named].flatMap((key) => (typeof key === 'string' && key !== '' ? [key] : []));
}

/** What the latest of them called this machine: most requests say what the one before did. */
let ownHost = '';

/**
 * Refuses requests that name another host than this machine: a page of another site whose name has been pointed at 127.0.0.1 would
 * otherwise pass for one of ours.
 */
function refuseForeignName({ headers: { host = '' } }: FastifyRequest): void {
  if (host === ownHost) return;
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  if (name !== '' && !isLocalOnly(name)) {
    throw new Refusal(403, 'forbidden_host', 'Without keys only requests to this machine by its own name are answered');
  }
  ownHost = host;
}
