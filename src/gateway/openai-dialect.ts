import type { Failure } from '../../schemas/failure.ts';
import type { Dialect, LimitBudget } from './dialect.ts';

/**
 * Errors and headers as OpenAI's clients read them.
 *
 * @see {@link https://platform.openai.com/docs/guides/error-codes} and {@link https://platform.openai.com/docs/guides/rate-limits} (read 2026-11)
 */
export const openaiDialect: Dialect = {
  requestIdHeader: 'x-request-id',
  failureBody(failure, status, reason) {
    return { error: openaiError(failure, status, reason) };
  },
  limitHeaders({ requests, tokens, resetMs }) {
    const reset = resetText(resetMs);
    return { ...limitHeaders('requests', requests, reset), ...limitHeaders('tokens', tokens, reset) };
  },
};

/** The `error` object of a body or of a stream's last event. */
export function openaiError(failure: Failure, status: number, reason?: string): Record<string, unknown> {
  return {
    message: failure.message,
    type: typeOf(status),
    param:
      failure.code === 'invalid_request' && failure.path !== undefined && failure.path !== '' ? failure.path : null,
    code: reason ?? codeOf(failure),
  };
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

/** The word that clients match on where OpenAI has one, else our own. */
function codeOf(failure: Failure): string {
  switch (failure.code) {
    case 'rate_limited':
    case 'queue_full':
      return 'rate_limit_exceeded';
    case 'context_overflow':
      return 'context_length_exceeded';
    case 'filtered':
      return 'content_filter';
    case 'unauthorized':
      return 'invalid_api_key';
    default:
      return failure.code;
  }
}

function limitHeaders(
  name: 'requests' | 'tokens',
  { limit, remaining }: LimitBudget['requests'],
  reset: string,
): Record<string, string> {
  if (limit === null || remaining === null) return {};
  return {
    [`x-ratelimit-limit-${name}`]: String(limit),
    [`x-ratelimit-remaining-${name}`]: String(Math.floor(remaining)),
    [`x-ratelimit-reset-${name}`]: reset,
  };
}

/** A span as OpenAI writes it: `1m30s`, `6s`, `120ms`. */
function resetText(ms: number): string {
  if (ms < 1_000) return `${Math.ceil(ms)}ms`;
  const seconds = Math.ceil(ms / 1_000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
