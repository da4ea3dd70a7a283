import { describe, expect, it } from 'vitest';
import { iModel } from '../../src/index.ts';
import { startUpstream } from '../../src/testing/upstream.ts';
import { TokenBudget } from '../../src/tokens/token-budget.ts';
import { answer, loopback, messages } from './loopback.ts';
import { rejection } from './timed-endpoint.ts';

describe('tokens', () => {
  const chat = (options: object = {}): iModel =>
    new iModel({ model: 'openai/gpt-4o', apiKey: 'sk-of-nobody', limitTokens: 10_000, ...options });
  const estimate = (content: unknown): number => {
    const { endpoint } = chat();
    return endpoint.estimateTokens(endpoint.prepare({ messages: [{ role: 'user', content }] }));
  };
  const text = { type: 'text', text: 'What is it that you hear and see?' };

  it('111. given null content with tool calls, then the estimate is a number and invoke completes', async () => {
    await using upstream = await startUpstream((_request, reply) => reply.json(answer));
    await using model = chat({ baseUrl: upstream.url });
    const toolCalls = [{ id: 't', type: 'function', function: { name: 'look', arguments: '{"at":"the sea"}' } }];
    const asked = [
      ...messages,
      { role: 'assistant', content: null, tool_calls: toolCalls },
      { role: 'tool', tool_call_id: 't', content: 'it is blue' },
    ];
    const call = await model.invoke({ messages: asked });
    expect(call).toMatchObject({ status: 'completed', text: 'hi' });
    // No usage was reported, so what counts is the estimate.
    expect(model.state.budget.tokens.used).toBeGreaterThan(messages.length * 4);
    expect(upstream.requests[0]?.json()).toMatchObject({ messages: asked });
  });

  it("112. given a text part and an audio part, then the estimate is at least the text part's", () => {
    const audio = { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } };
    expect(estimate([text, audio])).toBeGreaterThan(estimate([text]));
    expect(estimate([audio, text])).toBe(estimate([text, audio]));
  });

  it('113. given text plus image_url, then text + 500 + 4', () => {
    const image = { type: 'image_url', image_url: { url: 'https://example.com/sea.png' } };
    const ofText = estimate([text]) - 4;
    expect(ofText).toBeGreaterThan(4);
    expect(estimate([text, image])).toBe(ofText + 500 + 4);
  });

  it('114. given an Anthropic chat model and limit_tokens, then the limit applies', async () => {
    const reply = {
      type: 'message',
      role: 'assistant',
      content: [{ type: 'text', text: 'hi' }],
      stop_reason: 'end_turn',
    };
    await using upstream = await startUpstream((_request, answering) => answering.json(reply));
    await using model = new iModel({
      model: 'anthropic/claude-sonnet-4-5',
      apiKey: 'sk-of-nobody',
      baseUrl: upstream.url,
      limitTokens: 150,
    });
    const tooLarge = await rejection(model.invoke({ messages, max_tokens: 200 }));
    expect(tooLarge.failure).toMatchObject({ code: 'estimate_too_large', limit: 150 });
    expect(await model.invoke({ messages, max_tokens: 100 })).toMatchObject({ status: 'completed', text: 'hi' });
    expect(model.state.budget.tokens.used).toBeGreaterThan(100);
    const waiting = model.invoke({ messages, max_tokens: 100 }, { queueTimeoutMs: 50 });
    expect(model.state).toMatchObject({ mode: 'throttled', blocked: 'rate', queue: { waiting: 1 } });
    expect((await rejection(waiting)).failure).toMatchObject({ code: 'timed_out', phase: 'rate' });
    expect(upstream.requests).toHaveLength(1);
  });

  it('115. given used 70/100, then warning not critical; 90/100 critical; 150/100 remaining 0; limit 0 no throw', () => {
    const facts = (used: number, limit: number) => {
      const { isWarning, isCritical, remaining, usageFraction } = new TokenBudget(used, limit);
      return { isWarning, isCritical, remaining, usageFraction };
    };
    expect(facts(69, 100)).toMatchObject({ isWarning: false });
    expect(facts(70, 100)).toMatchObject({ isWarning: true, isCritical: false, remaining: 30 });
    expect(facts(90, 100)).toMatchObject({ isWarning: true, isCritical: true, remaining: 10 });
    expect(facts(150, 100)).toMatchObject({ remaining: 0, usageFraction: 1.5 });
    expect(facts(5, 0)).toEqual({ isWarning: false, isCritical: false, remaining: 0, usageFraction: 0 });
  });
});

describe('token usage that the model is told', () => {
  const tells = { include_token_usage_to_model: true };
  const note = /\n\nEstimated Current Token Usage: [\d,]+\/128,000$/;

  it('116. given caller messages reused twice with token usage inclusion, then they are unchanged', async () => {
    await using bench = await loopback([(_request, reply) => reply.json(answer)]);
    const own = [{ role: 'user', content: 'hello' }];
    for (const _time of [1, 2]) await bench.until(bench.model.invoke({ messages: own, ...tells }));
    expect(own).toEqual([{ role: 'user', content: 'hello' }]);
    const sent = bench.upstream.requests.map((request) => request.json());
    // The first may be estimated before the tokenizer is there, and so have another number.
    const noted = { model: 'm', messages: [{ role: 'user', content: expect.stringMatching(note) }] };
    expect(sent).toEqual([noted, noted]);
  });

  it('stands behind the last text of a message with parts', async () => {
    await using bench = await loopback([(_request, reply) => reply.json(answer)], { contextWindow: 128_000 });
    const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } };
    const content = [{ type: 'text', text: 'what' }, { type: 'text', text: 'is this' }, image];
    await bench.until(bench.model.invoke({ messages: [{ role: 'user', content }], ...tells }));
    const sent = (await bench.upstream.request(0)).json();
    const noted = [{ text: 'what' }, { text: expect.stringMatching(note) }, image];
    expect(sent.messages).toMatchObject([{ role: 'user', content: noted }]);
  });
});
