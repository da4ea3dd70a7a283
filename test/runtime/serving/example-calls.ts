import { expect } from 'vitest';

/** A prompt, which the script repeats. */
export const hello = { messages: [{ role: 'user', content: 'hello' }] };
/** A call that goes on until it is ended. */
export const slow = { ...hello, delay_ms: 60_000 };

/** How a call fails, listened to from the start. */
export const failureOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => expect.fail('the call did not fail'),
    (error: unknown) => error,
  );
