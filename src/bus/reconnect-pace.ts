import type { NodeConnectionOptions } from 'nats';

/** The first wait after a lost connection lies between half of this and the whole. */
const firstWaitMs = 50;

/**
 * How a lost connection is tried again: at once but for some jitter, then at growing distances, for ever.
 *
 * The client's own jitter does not apply to the first attempt, with which a thousand clients would hit a restarted server in the same
 * millisecond.
 *
 * @param maxMs - The longest wait.
 * @param random - From 0 to below 1; for tests.
 */
export function reconnectPace(
  maxMs: number,
  random: () => number = Math.random,
): Pick<NodeConnectionOptions, 'reconnectDelayHandler' | 'reconnectToServer'> {
  let attempt = 0;
  return {
    // All waiting is done below; this one would let the first attempt go unpaced.
    reconnectDelayHandler: () => 0,
    reconnectToServer: (pool) => {
      const server = pool[0];
      if (server === undefined) return null;
      // The client counts failures per server and starts again at 0 after a success.
      attempt = server.reconnects === 0 ? 0 : attempt + 1;
      // The first connection of all has nothing to wait for.
      if (!pool.some((known) => known.didConnect)) return null;
      const longest = Math.min(maxMs, firstWaitMs * 2 ** Math.min(attempt, 20));
      return { server, delay: Math.max(1, Math.round((longest * (1 + random())) / 2)) };
    },
  };
}
