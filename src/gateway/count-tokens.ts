import type { Fields } from '../endpoints/endpoint.ts';
import { estimateTokens } from '../tokens/estimate.ts';
import { fitMessages } from './messages-request.ts';
import type { Target } from './target.ts';

/**
 * `POST /v1/messages/count_tokens`: how many tokens a request of Anthropic's protocol would take, by our own estimate; no vendor is asked.
 *
 * @throws IModelError `invalid_request` for what the iModel would not take as a call either.
 * @see {@link https://docs.claude.com/en/api/messages-count-tokens} (read 2026-11)
 */
export function countTokens(body: Fields, target: Target): Fields {
  const { request } = fitMessages(body, target);
  const { max_tokens: _answer, ...prompt } = request;
  return { input_tokens: estimateTokens({ ...prompt, model: target.model.modelName }) };
}
