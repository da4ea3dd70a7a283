import type { z } from 'zod';
import { record } from '../http/vendor-error.ts';
import type { Fields } from './endpoint.ts';
import { withoutField } from './fields.ts';

const name = 'extra_body';

/** A request, or defaults of requests, apart from what goes into the body unseen. */
export interface WithoutExtra {
  readonly fields: Fields;
  /** To be laid over the payload, last; null when there is nothing. */
  readonly extra: Fields | null;
}

/**
 * Takes `extra_body` from a request: fields that go into the body as they are, for what an endpoint does not know yet. Endpoints that have a field of
 * this name keep it for their vendor; what is no object stays, to be refused.
 *
 * @param schema - What a request may hold; null when everything passes.
 */
export function takeExtraBody(schema: z.ZodObject | null, request: Fields): WithoutExtra {
  const extra = schema !== null && name in schema.shape ? undefined : record(request[name]);
  return extra === undefined ? { fields: request, extra: null } : { fields: withoutField(request, name), extra };
}
