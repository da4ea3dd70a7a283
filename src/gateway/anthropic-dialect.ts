import type { Failure } from '../../schemas/failure.ts';
import type { Dialect, LimitStanding } from './dialect.ts';

/**
 * Errors and headers as Anthropic's clients read them.
 *
 * @see {@link https://docs.claude.com/en/api/errors} and {@link https://docs.claude.com/en/api/rate-limits} (read 2026-11)
 */
export const anthropicDialect: Dialect = {
  requestIdHeader: 'request-id',
  failureBody: (failure, status) => anthropicError(failure, status),
  limitHeaders({ requests, tokens, now }) {
    return { ...limitHeaders('requests', requests, now), ...limitHeaders('tokens', tokens, now) };
  },
};

/** The body of an answer, and the data of a stream's last event. */
export function anthropicError(failure: Failure, status: number): Record<string, unknown> {
  const details = detailsOf(failure);
  return {
    type: 'error',
    error: { type: typeOf(failure, status), message: failure.message, ...(details === null ? {} : { details }) },
  };
}

/** What makes Anthropic's client (1.12) go on without a thread where it may. */
function detailsOf(failure: Failure): Record<string, unknown> | null {
  if (failure.code !== 'invalid_request' || failure.path !== 'thread') return null;
  return { error_code: 'thread_unsupported_request', unsupported: ['thread'] };
}

function typeOf(failure: Failure, status: number): string {
  if (failure.code === 'overloaded') return 'overloaded_error';
  switch (status) {
    case 401:
      return 'authentication_error';
    case 403:
      return 'permission_error';
    case 404:
      return 'not_found_error';
    case 413:
      return 'request_too_large';
    case 429:
      return 'rate_limit_error';
    case 504:
      return 'timeout_error';
    default:
      return status >= 500 ? 'api_error' : 'invalid_request_error';
  }
}

function limitHeaders(
  name: 'requests' | 'tokens',
  { limit, remaining, resetMs }: LimitStanding,
  now: number,
): Record<string, string> {
  if (limit === null || remaining === null) return {};
  return {
    [`anthropic-ratelimit-${name}-limit`]: String(limit),
    [`anthropic-ratelimit-${name}-remaining`]: String(Math.floor(remaining)),
    [`anthropic-ratelimit-${name}-reset`]: new Date(now + resetMs).toISOString(),
  };
}
