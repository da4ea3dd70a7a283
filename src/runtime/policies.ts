import type { DispatcherLimits, ResiliencePolicy } from '../../actors/dispatcher-input.ts';
import type { ModelOptions } from '../../schemas/imodel.ts';
import type { ControlRequest } from '../../schemas/wire.ts';
import type { Endpoint } from '../endpoints/endpoint.ts';

/** Seconds of one rate window when neither `interval` nor `capacityRefreshTime` is given. */
const defaultWindow = 60;

/** What bounds the calls of an iModel, from its options and what its endpoint can bear. */
export function limitsOf(options: ModelOptions, endpoint: Endpoint): DispatcherLimits {
  const seconds = options.interval ?? options.capacityRefreshTime ?? defaultWindow;
  const margin = options.windowMargin ?? Math.max(0.01, seconds * 0.005);
  return {
    queueCapacity: options.queueCapacity ?? endpoint.defaultLimits?.queueCapacity ?? 100,
    onFull: options.onFull ?? 'wait',
    concurrency: options.concurrencyLimit ?? endpoint.defaultLimits?.concurrency ?? null,
    window: {
      requests: options.limitRequests ?? null,
      tokens: options.limitTokens ?? null,
      lengthMs: seconds * 1_000,
      marginMs: margin * 1_000,
    },
  };
}

/** The limits that somebody has asked for while calls come; what the request does not name stays. */
export function changedLimits(
  limits: DispatcherLimits,
  request: Extract<ControlRequest, { action: 'limits' }>,
): DispatcherLimits {
  const { queue_capacity, concurrency_limit, limit_requests, limit_tokens } = request;
  return {
    ...limits,
    ...(queue_capacity === undefined ? {} : { queueCapacity: queue_capacity }),
    ...(concurrency_limit === undefined ? {} : { concurrency: concurrency_limit }),
    window: {
      ...limits.window,
      ...(limit_requests === undefined ? {} : { requests: limit_requests }),
      ...(limit_tokens === undefined ? {} : { tokens: limit_tokens }),
    },
  };
}

/** How an iModel meets the failures of its vendor. A program that was run has cost something: agents are not run again unasked. */
export function resilienceOf({ retry, breaker }: ModelOptions, endpoint: Endpoint): ResiliencePolicy {
  const isRetried = retry === undefined ? !endpoint.isCli : retry !== null;
  return {
    retry: isRetried
      ? {
          maxRetries: retry?.maxRetries ?? 3,
          baseDelayMs: (retry?.baseDelay ?? 1) * 1_000,
          maxDelayMs: (retry?.maxDelay ?? 60) * 1_000,
          backoffFactor: retry?.backoffFactor ?? 2,
          jitterFactor: retry?.jitter === false ? 0 : (retry?.jitterFactor ?? 1),
          excludeCodes: retry?.excludeCodes ?? [],
        }
      : null,
    breaker:
      breaker === undefined || breaker === null
        ? null
        : {
            failureThreshold: breaker.failureThreshold ?? 5,
            recoveryMs: (breaker.recoveryTime ?? 30) * 1_000,
            halfOpenMaxCalls: breaker.halfOpenMaxCalls ?? 1,
            excludeCodes: breaker.excludeCodes ?? [],
          },
  };
}
