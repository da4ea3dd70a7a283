import { setMaxListeners } from 'node:events';
import type { Bus } from '../bus/bus.ts';
import { connect } from '../runtime/remote/remote-model.ts';
import type { RuntimeConfig } from '../runtime/runtime.ts';

/** Mean time between two calls, in milliseconds. */
const meanGapMs = 1_200;

/** How many come together now and then. */
const burst = 12;

/** One call in so many comes with others. */
const burstEvery = 20;

const story =
  'Once upon a time there was a queue, and everybody in it was served in order. One day a caller came who was in a hurry. ' +
  'The queue looked at its priority, nodded, and let the caller pass. The others did not mind: they knew that each of them would have a turn.';

/** How long the vendor of one of them wants to be left alone now and then, in milliseconds. */
const shyMs = 12_000;

/**
 * Scripted iModels of which each shows something else: a limit, a slow answer, a vendor that fails, and one that wants to be left alone for a
 * while. They need no key and send nothing.
 */
export function demoModels(): RuntimeConfig['models'] {
  return {
    echo: { model: 'scripted/echo', chunk_delay_ms: 30, limitRequests: 15, interval: 20, limitTokens: 2_000 },
    story: { model: 'scripted/story', text: story, delay_ms: 600, chunk_delay_ms: 60, concurrencyLimit: 2 },
    moody: {
      model: 'scripted/moody',
      text: 'Today I feel like answering.',
      delay_ms: 200,
      chunk_delay_ms: 50,
      retry: { maxRetries: 1, baseDelay: 1 },
      breaker: { failureThreshold: 3, recoveryTime: 10 },
      // Good and bad days take turns.
      failures: (call: number) => (call % 24 > 14 ? 'unavailable' : null),
    },
    shy: {
      model: 'scripted/shy',
      text: 'Not so many at once, please.',
      delay_ms: 300,
      chunk_delay_ms: 60,
      failures: (call: number) => (call % 9 === 8 ? { code: 'rate_limited', retryAfterMs: shyMs } : null),
    },
  };
}

/** Calls them over the bus, now and then, until it is told to stop. */
export function startDemoTraffic(bus: Bus): () => void {
  const ids = Object.keys(demoModels());
  const leaving = new AbortController();
  // One signal ends all calls; Node would warn at the eleventh.
  setMaxListeners(0, leaving.signal);
  let timer: NodeJS.Timeout;
  const callNext = (): void => {
    const count = Math.random() < 1 / burstEvery ? burst : 1;
    const id = ids[Math.floor(Math.random() * ids.length)] ?? '';
    for (let made = 0; made < count; made += 1) void follow(bus, id, leaving.signal);
    timer = setTimeout(callNext, -Math.log(1 - Math.random()) * meanGapMs);
    timer.unref();
  };
  callNext();
  return () => {
    clearTimeout(timer);
    leaving.abort(new Error('the demo is over'));
  };
}

const questions = [
  'What is an actor, in computing?',
  'Why do queues form?',
  'Tell me a story.',
  'How does a rolling window count?',
];
const callers = ['ada', 'grace', 'alan'];

async function follow(bus: Bus, id: string, signal: AbortSignal): Promise<void> {
  const pick = (texts: readonly string[]): string => texts[Math.floor(Math.random() * texts.length)] ?? '';
  const messages = [{ role: 'user', content: pick(questions) }];
  try {
    for await (const _chunk of connect(bus)
      .model(id)
      .stream({ messages }, { caller: pick(callers), signal }));
  } catch {
    // How it ended is to be seen on the page.
  }
}
