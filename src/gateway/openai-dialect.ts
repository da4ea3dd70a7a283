import type { Failure } from '../../schemas/failure.ts';
import type { Dialect, LimitStanding } from './dialect.ts';

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
  limitHeaders({ requests, tokens }) {
    return { ...limitHeaders('requests', requests), ...limitHeaders('tokens', tokens) };
  },
};

/** The `error` object of a body or of a stream's last event. */
export function openaiError(failure: Failure, status: number, reason?: string): Record<string, unknown> {
  return {
    message: failure.message,
    type: typeOf(status),
    param:
      failure.code === 'invalid_request' && failure.path !== undefined && failure.path !== '' ? failure.path : null,
    code: reason ?? codeOf(failure, status),
  };
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

/** The word that clients match on where OpenAI has one, else our own. */
function codeOf(failure: Failure, status: number): string {
  if (status === 429) return isSpent(failure) ? 'insufficient_quota' : 'rate_limit_exceeded';
  switch (failure.code) {
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

/** Whether the money of a caller is spent, and not only its turn. */
function isSpent(failure: Failure): boolean {
  return failure.code === 'rate_limited' && failure.source === 'runtime' && failure.reason === 'insufficient_quota';
}

function limitHeaders(
  name: 'requests' | 'tokens',
  { limit, remaining, resetMs }: LimitStanding,
): Record<string, string> {
  if (limit === null || remaining === null) return {};
  return {
    [`x-ratelimit-limit-${name}`]: String(limit),
    [`x-ratelimit-remaining-${name}`]: String(Math.floor(remaining)),
    [`x-ratelimit-reset-${name}`]: resetText(resetMs),
  };
}

/** A span as OpenAI writes it: `1m30s`, `6s`, `120ms`. */
function resetText(ms: number): string {
  if (ms < 1_000) return `${Math.ceil(ms)}ms`;
  const seconds = Math.ceil(ms / 1_000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
