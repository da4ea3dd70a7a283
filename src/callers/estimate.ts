import type { CallerUse } from '../../actors/caller-ticket.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { IModelError } from '../errors.ts';
import type { iModel } from '../imodel.ts';
import { estimateTokens } from '../tokens/estimate.ts';
import type { Caller } from './caller.ts';

/** Where requests of any protocol say how long the answer may be. */
const answerFields = ['max_tokens', 'max_completion_tokens', 'max_output_tokens'] as const;

/**
 * What a request will use of its caller's limits, as far as can be said before; nothing of a limit that the caller does not have.
 *
 * @throws IModelError `vetoed` where the caller's spending is limited and nobody knows what the iModel costs.
 */
export function estimateUse({ name, gate: { limits } }: Caller, { id, live }: iModel, request: Fields): CallerUse {
  if (limits.tokens === null && limits.costMicros === null) return nothing;
  const tokens = estimateTokens(request);
  if (limits.costMicros === null) return { tokens, costMicros: 0 };
  const answer = estimateTokens(Object.fromEntries(answerFields.map((field) => [field, request[field]])));
  const usage = { inputTokens: tokens - answer, outputTokens: answer, totalTokens: tokens };
  // Its own name of the model is the iModel's, whatever the request has there.
  const cost = live.costOf({ payload: {} }, usage);
  if (cost === null) {
    const message = `The caller \`${name}\` has a limit in US dollars, and the price of the iModel \`${id}\` is not known here`;
    throw IModelError.of('vetoed', message, {});
  }
  return { tokens, costMicros: Math.ceil(cost * 1_000_000) };
}

const nothing: CallerUse = { tokens: 0, costMicros: 0 };
