import { beforeEach, describe, expect, it } from 'vitest';
import { CircuitBreaker } from '../../../actors/policy/breaker.ts';
import { failureOf } from '../../../schemas/failure.ts';

const down = failureOf('unavailable', 'no connection', {});
const wrong = failureOf('rejected', 'no such model', { status: 404 });

describe('CircuitBreaker', () => {
  let breaker: CircuitBreaker;
  beforeEach(() => {
    breaker = new CircuitBreaker({
      failureThreshold: 5,
      recoveryMs: 30_000,
      halfOpenMaxCalls: 1,
      excludeCodes: ['timed_out'],
    });
  });

  /** Runs one call to its end. */
  const call = (failure: typeof down | typeof wrong | null, now = 0): void => {
    expect(breaker.admit(now)).toBe(true);
    breaker.judge(breaker.epoch, failure, now);
  };
  const trip = (): void => {
    for (let n = 0; n < 5; n += 1) call(down);
    expect(breaker.state).toBe('tripped');
  };

  it('108. given failures separated by successes, it stays closed; five in a row open it', () => {
    for (let n = 0; n < 20; n += 1) {
      for (let failures = 0; failures < 4; failures += 1) call(down);
      call(null);
    }
    expect(breaker.state).toBe('closed');
    trip();
  });

  it('counts only failures that say something about the vendor', () => {
    for (let n = 0; n < 20; n += 1) call(wrong);
    for (let n = 0; n < 20; n += 1) breaker.judge(breaker.epoch, undefined, 0);
    for (let n = 0; n < 20; n += 1) {
      breaker.judge(
        breaker.epoch,
        failureOf('timed_out', 'late', { phase: 'attempt', timeoutMs: 1, retryable: true }),
        0,
      );
    }
    expect(breaker.state).toBe('closed');
  });

  it('lets nobody through while it is open, and one trial after the recovery time', () => {
    trip();
    expect(breaker.reopensAt).toBe(30_000);
    expect(breaker.admit(29_999)).toBe(false);
    expect(breaker.admit(30_000)).toBe(true);
    expect(breaker.state).toBe('trial');
    expect(breaker.admit(30_000)).toBe(false);
  });

  it('closes when the trial succeeds, and opens again when it fails', () => {
    trip();
    breaker.admit(30_000);
    breaker.judge(breaker.epoch, down, 31_000);
    expect([breaker.state, breaker.reopensAt]).toEqual(['tripped', 61_000]);
    breaker.admit(61_000);
    breaker.judge(breaker.epoch, null, 61_500);
    expect(breaker.state).toBe('closed');
  });

  it('110. given a trial that is cancelled or excluded, the next call is admitted as trial', () => {
    trip();
    breaker.admit(30_000);
    breaker.judge(breaker.epoch, undefined, 30_100);
    expect([breaker.state, breaker.admit(30_200)]).toEqual(['trial', true]);
    breaker.judge(breaker.epoch, wrong, 30_300);
    expect([breaker.state, breaker.admit(30_400)]).toEqual(['trial', true]);
  });

  it('hears nothing from calls that began before it changed', () => {
    const { epoch } = breaker;
    trip();
    breaker.judge(epoch, down, 20_000);
    expect(breaker.reopensAt).toBe(30_000);
    breaker.judge(epoch, null, 20_000);
    expect(breaker.state).toBe('tripped');
  });
});
