import type { Endpoint, Fields } from '../../endpoints/endpoint.ts';
import { withoutField } from '../../endpoints/fields.ts';
import { blamedOn } from '../../endpoints/unwritable.ts';

/** A request as its endpoint has taken it. @internal */
export interface PreparedRequest {
  /** The body that is sent. */
  readonly payload: Fields;
  /** What travels beside it. */
  readonly transport: Fields;
  /** The request without what travels beside the body. */
  readonly body: Fields;
  /** Whether an earlier answer will do. */
  readonly isCached: boolean;
}

/** What travels beside the body of most calls. */
const noTransport: Fields = Object.freeze({});

/**
 * What an endpoint makes of a request that says nothing of hooks.
 *
 * @param sessionId - The session to resume where the endpoint keeps none itself; null when there is none.
 * @throws IModelError `invalid_request`
 * @internal
 */
export function prepareRequest(
  endpoint: Endpoint,
  request: Fields,
  sessionId: string | null,
): Omit<PreparedRequest, 'isCached'> {
  let transport = noTransport;
  let body = request;
  for (const name of endpoint.transportFields) {
    if (!(name in request)) continue;
    transport = { ...transport, [name]: request[name] };
    body = withoutField(body, name);
  }
  // An endpoint that keeps sessions resumes by itself.
  const resumes = endpoint.isCli && endpoint.sessionId === undefined && sessionId !== null;
  if (resumes && body.resume === undefined && body.session_id === undefined) body = { ...body, resume: sessionId };
  if (transport !== noTransport) endpoint.checkTransport?.(transport);
  try {
    return { payload: endpoint.prepare(body), transport, body };
  } catch (error) {
    throw blamedOn(body, error);
  }
}
