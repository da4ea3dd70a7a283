import { AIMessageChunk, HumanMessage, type ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openGateway, openUpstream, until } from './open-gateway.ts';
import { vendors } from './vendors.ts';

const question = new HumanMessage('How is the weather in Riga?');

const weather = tool(async ({ city }) => `sunny in ${city}`, {
  name: 'weather',
  description: 'Tells the weather',
  schema: z.object({ city: z.string() }),
});

function chatOf(url: string): ChatOpenAI {
  return new ChatOpenAI({
    model: 'm',
    apiKey: 'unused',
    maxRetries: 0,
    streamUsage: true,
    configuration: { baseURL: `${url}/v1` },
  });
}

async function whole(chunks: AsyncIterable<AIMessageChunk>): Promise<AIMessageChunk> {
  let message = new AIMessageChunk('');
  for await (const chunk of chunks) message = message.concat(chunk);
  return message;
}

describe.each(vendors)('LangChain before %s', (_name, openVendor) => {
  it('gets text and usage, one-shot and streamed', async () => {
    const vendor = await openVendor();
    const { url } = await openGateway({ m: vendor.model });
    const answer = await chatOf(url).invoke([question]);
    expect(answer.text).toBe('It is sunny in Riga.');
    expect(answer.usage_metadata).toMatchObject({ input_tokens: 12, output_tokens: 7, total_tokens: 19 });
    const streamed = await whole(await chatOf(url).stream([question]));
    expect(streamed.text).toBe('It is sunny in Riga.');
    expect(streamed.usage_metadata).toEqual(expect.objectContaining({ output_tokens: 7, total_tokens: 19 }));
  });

  it.each([false, true])('runs its tools, and goes on with what they brought (stream: %s)', async (streaming) => {
    const vendor = await openVendor();
    const { url } = await openGateway({ m: vendor.model });
    const bound = chatOf(url).bindTools([weather]);
    const asked = streaming ? await whole(await bound.stream([question])) : await bound.invoke([question]);
    const [use] = asked.tool_calls ?? [];
    expect(use).toMatchObject({ name: 'weather', args: { city: 'Riga' } });
    const result: ToolMessage = await weather.invoke({
      type: 'tool_call',
      name: 'weather',
      id: use?.id ?? '',
      args: { city: 'Riga' },
    });
    expect((await bound.invoke([question, asked, result])).text).toBe('It is sunny in Riga.');
    expect(JSON.stringify(vendor.requests.at(-1))).toContain('sunny in Riga');
  });
});

describe('LangChain', () => {
  it('embeds', async () => {
    const upstream = await openUpstream((_request, reply) =>
      reply.json({
        object: 'list',
        data: [{ object: 'embedding', index: 0, embedding: [0.5, -1] }],
        model: 'm',
        usage: { prompt_tokens: 1, total_tokens: 1 },
      }),
    );
    const { url } = await openGateway({
      embed: { provider: 'openai', endpoint: 'embed', apiKey: 'sk-upstream', baseUrl: `${upstream.url}/v1` },
    });
    const embeddings = new OpenAIEmbeddings({
      model: 'embed',
      apiKey: 'unused',
      encodingFormat: 'float',
      configuration: { baseURL: `${url}/v1` },
    });
    expect(await embeddings.embedQuery('a')).toEqual([0.5, -1]);
  });

  it('learns the status of a refusal, and takes its call back', async () => {
    const { url, runtime } = await openGateway({
      m: { model: 'scripted/echo', delayMs: 60_000 },
    });
    const model = runtime.models.get('m');
    const controller = new AbortController();
    const left = chatOf(url).invoke([question], { signal: controller.signal });
    left.catch(() => {});
    await until(() => model?.state.running === 1);
    controller.abort();
    await expect(left).rejects.toThrow();
    await until(() => model?.state.counters.cancelled === 1);
    const unknown = new ChatOpenAI({
      model: 'none',
      apiKey: 'unused',
      maxRetries: 0,
      configuration: { baseURL: `${url}/v1` },
    });
    await expect(unknown.invoke([question])).rejects.toMatchObject({ status: 404 });
  });
});
