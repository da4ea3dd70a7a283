import { createAnthropic } from '@ai-sdk/anthropic';
import { generateText, stepCountIs, streamText, tool } from 'ai';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openGateway, until } from './open-gateway.ts';
import { vendors } from './vendors.ts';

const prompt = 'How is the weather in Riga?';

const tools = {
  weather: tool({
    description: 'Tells the weather',
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `sunny in ${city}`,
  }),
};

function modelOf(url: string, id = 'm') {
  return createAnthropic({ baseURL: `${url}/v1`, apiKey: 'unused' })(id);
}

describe.each(vendors)('the AI SDK with Anthropic’s protocol before %s', (_name, openVendor) => {
  it('gets text, usage and a finish reason, one-shot and streamed', async () => {
    const vendor = await openVendor();
    const { url } = await openGateway({ m: vendor.model });
    const { text, usage, finishReason } = await generateText({
      model: modelOf(url),
      prompt,
      maxOutputTokens: 1_000,
      maxRetries: 0,
    });
    expect([text, finishReason]).toEqual(['It is sunny in Riga.', 'stop']);
    expect(usage).toMatchObject({ inputTokens: 12, outputTokens: 7 });
    const stream = streamText({ model: modelOf(url), prompt, maxOutputTokens: 1_000, maxRetries: 0 });
    const pieces: string[] = [];
    for await (const piece of stream.textStream) pieces.push(piece);
    expect(pieces).toEqual(['It is sunn', 'y in Riga.']);
    expect(await stream.finishReason).toBe('stop');
    expect(await stream.usage).toMatchObject({ outputTokens: 7 });
  });

  it.each([false, true])('runs its tools, and goes on with what they brought (stream: %s)', async (streaming) => {
    const vendor = await openVendor();
    const { url } = await openGateway({ m: vendor.model });
    const request = {
      model: modelOf(url),
      prompt,
      tools,
      stopWhen: stepCountIs(3),
      maxOutputTokens: 1_000,
      maxRetries: 0,
    };
    const result = streaming ? streamText(request) : await generateText(request);
    expect(await result.text).toBe('It is sunny in Riga.');
    const steps = await result.steps;
    expect(steps[0]?.toolCalls).toMatchObject([{ toolName: 'weather', input: { city: 'Riga' } }]);
    expect(steps).toHaveLength(2);
    expect(JSON.stringify(vendor.requests.at(-1))).toContain('sunny in Riga');
  });
});

describe('the AI SDK with Anthropic’s protocol', () => {
  it('learns the status of a refusal, and takes its call back', async () => {
    const { url, runtime } = await openGateway({ m: { model: 'scripted/echo', delayMs: 60_000 } });
    const unknown = generateText({ model: modelOf(url, 'none'), prompt, maxOutputTokens: 1_000, maxRetries: 0 });
    await expect(unknown).rejects.toMatchObject({ statusCode: 404 });
    const model = runtime.models.get('m');
    const controller = new AbortController();
    const left = generateText({
      model: modelOf(url),
      prompt,
      maxOutputTokens: 1_000,
      maxRetries: 0,
      abortSignal: controller.signal,
    });
    left.catch(() => {});
    await until(() => model?.state.running === 1);
    controller.abort();
    await expect(left).rejects.toThrow();
    await until(() => model?.state.counters.cancelled === 1);
  });
});
