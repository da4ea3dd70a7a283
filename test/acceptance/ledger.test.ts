import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ApiCalling, type IModelOptions, iModel } from '../../src/index.ts';
import { startUpstream, type Upstream, type UpstreamHandler } from '../../src/testing/upstream.ts';
import { readAll } from './timed-endpoint.ts';

/** What the upstream has charged for, in and out, by model. */
let ledger: Map<string, readonly [number, number]>;
let upstream: Upstream;
const models: iModel[] = [];

beforeEach(async () => {
  ledger = new Map();
  upstream = await startUpstream();
});

afterEach(async () => {
  await Promise.all(models.splice(0).map((model) => model.close()));
  await upstream.close();
});

const prices = {
  a: { inputUsdPerMillion: 1_000, outputUsdPerMillion: 10_000 },
  b: { inputUsdPerMillion: 3_000, outputUsdPerMillion: 30_000 },
};

function charge(model: unknown, input: number, output: number): void {
  const [inputs, outputs] = ledger.get(String(model)) ?? [0, 0];
  ledger.set(String(model), [inputs + input, outputs + output]);
}

/** What all the calls say, against what the upstream says. */
function expectLedger(...calls: readonly ApiCalling[]): void {
  const entries = [...ledger];
  const charged = entries.reduce((sum, [, [input, output]]) => sum + input + output, 0);
  const cost = entries.reduce((sum, [model, [input, output]]) => {
    const { inputUsdPerMillion, outputUsdPerMillion } = prices[model as keyof typeof prices];
    return sum + (input * inputUsdPerMillion + output * outputUsdPerMillion) / 1_000_000;
  }, 0);
  expect(calls.reduce((sum, { usage }) => sum + (usage?.totalTokens ?? 0), 0)).toBe(charged);
  expect(calls.reduce((sum, call) => sum + (call.cost ?? 0), 0)).toBeCloseTo(cost, 12);
  expect(charged).toBeGreaterThan(0);
}

const messages = [{ role: 'user', content: 'hello' }];
const retry = { maxRetries: 2, baseDelay: 0.01, maxDelay: 0.01 };

/** Anthropic's events: what the prompt cost comes first, what the answer has cost so far comes between. */
const begin = (input: number) => ({
  type: 'message_start',
  message: { id: 'm', model: 'a', usage: { input_tokens: input, output_tokens: 0 } },
});
const text = [
  { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'half' } },
];
const counted = (output: number, reason: string | null = null) => ({
  type: 'message_delta',
  delta: { stop_reason: reason },
  usage: { output_tokens: output },
});
const overloaded = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } };
const stop = { type: 'message_stop' };

/** Streams events of Anthropic, charging what they tell. */
const streams = (events: readonly object[], isOpen = false): UpstreamHandler => {
  return async (request, reply) => {
    const { model } = request.json();
    for (const event of events as readonly { message?: { usage: { input_tokens: number } }; usage?: unknown }[]) {
      if (event.message !== undefined) charge(model, event.message.usage.input_tokens, 0);
      if (event.usage !== undefined) charge(model, 0, (event.usage as { output_tokens: number }).output_tokens);
    }
    await reply.events(events, { named: true });
    if (!isOpen) reply.end();
  };
};

/** OpenAI's answer, one-shot or streamed, charging for it. */
const answers = (input: number, output: number): UpstreamHandler => {
  return async (request, reply) => {
    const { model, stream } = request.json();
    charge(model, input, output);
    const usage = { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
    if (stream !== true) {
      reply.json({ choices: [{ message: { content: 'hi' }, finish_reason: 'stop' }], usage });
      return;
    }
    await reply.events([
      { choices: [{ index: 0, delta: { content: 'hi' } }] },
      { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
      { choices: [], usage },
      '[DONE]',
    ]);
    reply.end();
  };
};

const refuses: UpstreamHandler = (_request, reply) => reply.json({ error: { message: 'no' } }, 500);

/** An iModel of whose requests each is answered by the next handler. */
function modelOf(provider: string, model: string, handlers: readonly UpstreamHandler[], more: IModelOptions = {}) {
  let next = 0;
  const handler: UpstreamHandler = (request, reply) =>
    handlers[Math.min(next++, handlers.length - 1)]?.(request, reply);
  upstream.handle(handler, `/${model}/${provider === 'anthropic' ? 'messages' : 'chat/completions'}`);
  const base = { provider, model, baseUrl: `${upstream.url}/${model}`, apiKey: 'sk-of-nobody', prices, retry: null };
  const made = new iModel({ ...base, ...more });
  models.push(made);
  return made;
}

describe("usage and cost equal the upstream's ledger", () => {
  it('for a one-shot call', async () => {
    expectLedger(await modelOf('openai', 'a', [answers(7, 5)]).invoke({ messages }));
  });

  it('for a stream', async () => {
    const stream = modelOf('openai', 'a', [answers(7, 5)]).stream({ messages });
    await readAll(stream);
    expectLedger(stream.call);
  });

  it.each(['the caller', 'the deadline', 'the reader'])(
    'for a stream that %s ends after some usage was told',
    async (who) => {
      // When the reader has the text, the report before it has been read.
      const model = modelOf('anthropic', 'a', [streams([begin(7), counted(5), ...text], true)]);
      const abort = new AbortController();
      const stream = model.stream(
        { messages },
        { signal: abort.signal, ...(who === 'the deadline' ? { timeoutMs: 1_500 } : {}) },
      );
      const seen: string[] = [];
      const reading = (async () => {
        for await (const chunk of stream) {
          seen.push(chunk.type);
          if (chunk.type !== 'text') continue;
          if (who === 'the reader') break;
          if (who === 'the caller') abort.abort();
        }
      })();
      await reading.catch(() => {});
      await stream.call.done;
      expect(seen).toContain('text');
      expect(stream.call).toMatchObject({ status: who === 'the deadline' ? 'aborted' : 'cancelled', text: 'half' });
      expectLedger(stream.call);
    },
  );

  it('for a stream that is cut after some usage was told', async () => {
    const model = modelOf('anthropic', 'a', [
      async (request, reply) => {
        await streams([begin(7), counted(5), ...text], true)(request, reply);
        reply.cut();
      },
    ]);
    const stream = model.stream({ messages });
    expect((await readAll(stream)).error).toMatchObject({ code: 'unavailable' });
    expectLedger(stream.call);
  });

  it('for attempts that are made again, also those that had told of usage', async () => {
    const whole = streams([begin(9), ...text, counted(4, 'end_turn'), stop]);
    const model = modelOf('anthropic', 'a', [refuses, streams([begin(7), overloaded]), whole], { retry });
    const stream = model.stream({ messages });
    await readAll(stream);
    expect(stream.call).toMatchObject({
      status: 'completed',
      attempts: 3,
      usage: { inputTokens: 16, outputTokens: 4 },
    });
    expectLedger(stream.call);
  });

  it('for a stand-in, at its own price', async () => {
    const standIn = modelOf('openai', 'b', [answers(20, 10)]);
    const model = modelOf('openai', 'a', [refuses], { fallbacks: [standIn] });
    const call = await model.invoke({ messages });
    expect(call).toMatchObject({ status: 'completed', usage: { totalTokens: 30 } });
    expectLedger(call);
  });

  it('for a model that had told of usage before its stand-in was asked', async () => {
    const standIn = modelOf('openai', 'b', [answers(20, 10)]);
    const model = modelOf('anthropic', 'a', [streams([begin(7), overloaded])], { fallbacks: [standIn] });
    const stream = model.stream({ messages });
    await readAll(stream);
    expect(stream.call).toMatchObject({ status: 'completed', usage: { totalTokens: 37 } });
    expectLedger(stream.call);
  });

  it('for answers from the cache', async () => {
    const model = modelOf('openai', 'a', [answers(7, 5)], { cache: {} });
    expectLedger(await model.invoke({ messages }), await model.invoke({ messages }), await model.invoke({ messages }));
    expect(upstream.requests).toHaveLength(1);
  });

  it('for all at once', async () => {
    const model = modelOf('openai', 'a', [answers(7, 5), refuses, answers(3, 2)], { retry, cache: {} });
    const ask = (content: string) => model.invoke({ messages: [{ role: 'user', content }] });
    expectLedger(...(await Promise.all(Array.from({ length: 30 }, (_, index) => ask(`${index % 10}`)))));
  });
});

describe('call.cost', () => {
  it('is null without prices, and where the model has none', async () => {
    const known = modelOf('openai', 'a', [answers(7, 5)], { prices: null });
    const unknown = modelOf('openai', 'c', [answers(7, 5)]);
    expect((await known.invoke({ messages })).cost).toBe(null);
    expect((await unknown.invoke({ messages })).cost).toBe(null);
  });

  it('is told in the dict of the call and to observers', async () => {
    const model = modelOf('openai', 'a', [answers(7, 5)]);
    const costs: unknown[] = [];
    model.observe(({ type, cost_usd: cost }) => type === 'post_invocation' && costs.push(cost));
    const call = await model.invoke({ messages });
    expect(call.cost).toBeCloseTo(0.057, 12);
    expect(call.toDict().metadata.cost_usd).toBe(call.cost);
    expect(costs).toEqual([call.cost]);
  });

  it('is known to fallbacks that are made from options, and survives a dict', async () => {
    upstream.handle(answers(20, 10), '/b/chat/completions');
    const fallback = { provider: 'openai', model: 'b', baseUrl: `${upstream.url}/b`, apiKey: 'sk-of-nobody' };
    const model = modelOf('openai', 'a', [refuses], { fallbacks: [fallback] });
    expect((await model.invoke({ messages })).cost).toBeCloseTo(0.36, 12);
    const restored = iModel.fromDict(model.toDict(), { apiKey: 'sk-of-nobody' });
    models.push(restored);
    expect(restored.toDict().options).toEqual(model.toDict().options);
    expect(model.toDict().options?.prices).toMatchObject({ a: { input_usd_per_million: 1_000 } });
  });
});
