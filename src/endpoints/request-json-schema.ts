import { z } from 'zod';
import type { Endpoint } from './endpoint.ts';

/**
 * What a request to an endpoint may hold, as JSON Schema 2020-12, for documents and for programs in other languages. Values that JSON cannot
 * hold (bytes, functions) are described as anything.
 *
 * @returns Null for endpoints that take any field.
 */
export function requestJsonSchema(
  endpoint: Pick<Endpoint, 'requestOptions'>,
): Readonly<Record<string, unknown>> | null {
  if (endpoint.requestOptions === null) return null;
  return z.toJSONSchema(endpoint.requestOptions, { io: 'input', unrepresentable: 'any' });
}
