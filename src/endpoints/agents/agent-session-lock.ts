import { unlessAborted } from '../../process/unless-aborted.ts';

const tails = new Map<string, Promise<void>>();

/**
 * Waits until nobody else uses a session, then holds it. A program's session file is not safe for two writers, also when two iModels
 * share the session: so the list is one for the whole process.
 *
 * @param key - Names the session among all programs.
 * @param signal - Ends the waiting; its reason is thrown.
 * @returns Lets the next one in. To be called exactly once.
 */
export async function holdSession(key: string, signal: AbortSignal): Promise<() => void> {
  const before = tails.get(key) ?? Promise.resolve();
  let release = () => {};
  const own = new Promise<void>((resolve) => {
    release = resolve;
  });
  const tail = before.then(() => own);
  tails.set(key, tail);
  void tail.then(() => {
    if (tails.get(key) === tail) tails.delete(key);
  });
  await unlessAborted(before, signal);
  if (!signal.aborted) return release;
  release();
  throw signal.reason;
}
