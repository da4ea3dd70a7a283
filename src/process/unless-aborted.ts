/**
 * Waits for a promise, but not once the signal has aborted: then it resolves, and what becomes of the promise is nobody's business any more.
 *
 * @throws What the promise rejects with before that.
 */
export function unlessAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => resolve();
    if (signal.aborted) done();
    signal.addEventListener('abort', done, { once: true });
    void promise.then(done, reject).finally(() => signal.removeEventListener('abort', done));
  });
}
