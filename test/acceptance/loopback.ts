import { iModel } from '../../src/index.ts';
import { startUpstream, type UpstreamHandler } from '../../src/testing/upstream.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

/** A question of one message. */
export const messages = [{ role: 'user', content: 'hello' }];

/** What an upstream that speaks OpenAI's chat protocol answers it. */
export const answer = { choices: [{ message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }] };

/** An iModel whose waits are virtual, on a real upstream that answers as the handlers say, one after the other; the last one goes on. */
export async function loopback(handlers: readonly UpstreamHandler[], options: object = {}) {
  const clock = new VirtualClock();
  const startedAt: number[] = [];
  const upstream = await startUpstream((request, reply) => {
    const handler = handlers[Math.min(startedAt.length, handlers.length - 1)];
    startedAt.push(clock.now() / 1_000);
    return handler?.(request, reply);
  });
  const model = new iModel({ provider: 'local', model: 'm', baseUrl: upstream.url, clock, ...options });
  const close = async (): Promise<void> => {
    await model.close();
    await upstream.close();
  };
  return {
    ...{ clock, upstream, model, startedAt },
    /** Lets virtual time pass, as fast as the upstream answers, until something has come about. */
    async until<T>(promise: Promise<T>): Promise<T> {
      let isDone = false;
      const done = promise.finally(() => {
        isDone = true;
      });
      while (!isDone) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        await clock.advance(250);
      }
      return done;
    },
    [Symbol.asyncDispose]: close,
  };
}
