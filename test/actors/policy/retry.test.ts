import { describe, expect, it } from 'vitest';
import { type RetryPolicy, retryDelayMs } from '../../../actors/policy/retry.ts';
import { failureOf } from '../../../schemas/failure.ts';

const policy: RetryPolicy = {
  maxRetries: 4,
  baseDelayMs: 1_000,
  maxDelayMs: 3_000,
  backoffFactor: 2,
  jitterFactor: 0,
  excludeCodes: [],
};
const down = failureOf('unavailable', 'no connection', {});

describe('retryDelayMs', () => {
  it('106. given no jitter, base 1, factor 2, max 3, delays are 1, 2, 3, 3', () => {
    expect([1, 2, 3, 4].map((attempts) => retryDelayMs(policy, down, attempts, Math.random))).toEqual([
      1_000, 2_000, 3_000, 3_000,
    ]);
  });

  it('ends after the last retry', () => {
    expect(retryDelayMs(policy, down, 5, Math.random)).toBeNull();
    expect(retryDelayMs({ ...policy, maxRetries: 0 }, down, 1, Math.random)).toBeNull();
    expect(retryDelayMs(null, down, 1, Math.random)).toBeNull();
  });

  it('draws from the whole delay with full jitter, and from a part with less', () => {
    const full = { ...policy, jitterFactor: 1 };
    expect(retryDelayMs(full, down, 2, () => 0)).toBe(2_000);
    expect(retryDelayMs(full, down, 2, () => 0.75)).toBe(500);
    expect(retryDelayMs({ ...policy, jitterFactor: 0.2 }, down, 2, () => 0.5)).toBe(1_800);
  });

  it("takes the vendor's word as a floor", () => {
    const limited = failureOf('rate_limited', 'wait', { retryAfterMs: 7_000 });
    expect(retryDelayMs(policy, limited, 1, Math.random)).toBe(7_000);
    const short = failureOf('rate_limited', 'wait', { retryAfterMs: 10 });
    expect(retryDelayMs(policy, short, 1, Math.random)).toBe(1_000);
  });

  it('does not wait for a vendor that wants more than ten minutes', () => {
    const tomorrow = failureOf('rate_limited', 'wait', { retryAfterMs: 86_400_000 });
    expect(retryDelayMs(policy, tomorrow, 1, Math.random)).toBeNull();
  });

  it('107. given an excluded code, there is no retry', () => {
    expect(retryDelayMs({ ...policy, excludeCodes: ['unavailable'] }, down, 1, Math.random)).toBeNull();
  });

  it('leaves alone what is not worth another try', () => {
    expect(retryDelayMs(policy, failureOf('rejected', 'no', { status: 400 }), 1, Math.random)).toBeNull();
  });
});
