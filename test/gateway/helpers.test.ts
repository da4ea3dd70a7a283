import Anthropic from '@anthropic-ai/sdk';
import { describe, expect, it } from 'vitest';
import { openGateway } from './open-gateway.ts';
import { vendors } from './vendors.ts';

const question = { role: 'user' as const, content: 'What is the weather in Riga?' };
const schema = {
  type: 'object' as const,
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
};

describe.each(vendors)('what the vendors’ clients build on requests, with %s', (_name, openVendor) => {
  it.each([false, true])('runs tools by itself with OpenAI’s client (stream: %s)', async (stream) => {
    const { model, requests } = await openVendor();
    const { openai } = await openGateway({ m: model });
    const asked: unknown[] = [];
    const weather = {
      type: 'function' as const,
      function: {
        name: 'weather',
        description: 'The weather',
        parameters: schema,
        parse: JSON.parse,
        function: (input: unknown) => {
          asked.push(input);
          return 'sunny';
        },
      },
    };
    const runner = stream
      ? openai.chat.completions.runTools({ model: 'm', messages: [question], tools: [weather], stream })
      : openai.chat.completions.runTools({ model: 'm', messages: [question], tools: [weather] });
    expect(await runner.finalContent()).toBe('It is sunny in Riga.');
    expect(asked).toEqual([{ city: 'Riga' }]);
    expect(requests).toHaveLength(2);
  });

  it.each([false, true])('runs tools by itself with Anthropic’s client (stream: %s)', async (stream) => {
    const { model, requests } = await openVendor();
    const { url } = await openGateway({ m: model });
    const anthropic = new Anthropic({ baseURL: url, apiKey: 'unused', maxRetries: 0 });
    const asked: unknown[] = [];
    const runner = anthropic.beta.messages.toolRunner({
      model: 'm',
      max_tokens: 100,
      messages: [question],
      stream,
      tools: [
        {
          name: 'weather',
          description: 'The weather',
          input_schema: schema,
          parse: (input: unknown) => input,
          run: (input: unknown) => {
            asked.push(input);
            return 'sunny';
          },
        },
      ],
    });
    const last = await runner.runUntilDone();
    expect([last.content, last.stop_reason]).toMatchObject([
      [{ type: 'text', text: 'It is sunny in Riga.' }],
      'end_turn',
    ]);
    expect(asked).toEqual([{ city: 'Riga' }]);
    expect(requests).toHaveLength(2);
  });

  it('counts tokens without asking its vendor', async () => {
    const { model, requests } = await openVendor();
    const { url } = await openGateway({ m: model });
    const anthropic = new Anthropic({ baseURL: url, apiKey: 'unused', maxRetries: 0 });
    const short = await anthropic.messages.countTokens({ model: 'm', messages: [question] });
    const long = await anthropic.messages.countTokens({
      model: 'm',
      system: 'Be brief. '.repeat(100),
      messages: [question],
      tools: [{ name: 'weather', input_schema: schema }],
    });
    expect(short.input_tokens).toBeGreaterThan(4);
    expect(short.input_tokens).toBeLessThan(30);
    expect(long.input_tokens).toBeGreaterThan(200);
    await expect(anthropic.messages.countTokens({ model: 'nobody', messages: [question] })).rejects.toMatchObject({
      status: 404,
    });
    expect(requests).toEqual([]);
  });

  it('keeps no threads, and says so', async () => {
    const { model } = await openVendor();
    const { url } = await openGateway({ m: model });
    const anthropic = new Anthropic({ baseURL: url, apiKey: 'unused', maxRetries: 0 });
    await expect(
      anthropic.beta.messages.thread({ model: 'm', max_tokens: 10, messages: [question] }).send(),
    ).rejects.toMatchObject({
      status: 400,
      error: { error: { type: 'invalid_request_error', details: { error_code: 'thread_unsupported_request' } } },
    });
  });
});
