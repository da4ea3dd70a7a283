import { describe, expect, it } from 'vitest';
import { openGateway, openUpstream } from './open-gateway.ts';

const vector = [0.5, -1.25, 3];

describe('embeddings', () => {
  it('are OpenAI’s own for a model of its protocol, in the encoding its client asks for', async () => {
    const bytes = Buffer.from(Float32Array.from(vector).buffer).toString('base64');
    const upstream = await openUpstream((request, reply) => {
      const embedding = request.json().encoding_format === 'base64' ? bytes : vector;
      reply.json({
        object: 'list',
        data: [{ object: 'embedding', index: 0, embedding }],
        model: 'm',
        usage: { prompt_tokens: 2, total_tokens: 2 },
      });
    });
    const { openai } = await openGateway({
      embed: { provider: 'openai', endpoint: 'embed', apiKey: 'sk-upstream', baseUrl: `${upstream.url}/v1` },
    });
    const { data, usage } = await openai.embeddings.create({ model: 'embed', input: ['a'], dimensions: 3 });
    expect([data[0]?.embedding, usage.total_tokens]).toEqual([vector, 2]);
    expect(upstream.requests[0]?.json()).toEqual({
      model: 'text-embedding-3-small',
      input: ['a'],
      dimensions: 3,
      encoding_format: 'base64',
    });
    const floats = await openai.embeddings.create({ model: 'embed', input: 'a', encoding_format: 'float' });
    expect(floats.data[0]?.embedding).toEqual(vector);
  });

  it('come from Ollama’s native route in the same form', async () => {
    const upstream = await openUpstream((_request, reply) =>
      reply.json({ model: 'nomic-embed-text', embeddings: [vector, vector], prompt_eval_count: 4 }),
    );
    const { openai } = await openGateway({
      local: { provider: 'ollama', endpoint: 'embed', model: 'nomic-embed-text', baseUrl: `${upstream.url}/api` },
    });
    for (const format of [undefined, 'float'] as const) {
      const { data, model, usage } = await openai.embeddings.create({
        model: 'local',
        input: ['a', 'b'],
        ...(format === undefined ? {} : { encoding_format: format }),
      });
      expect(data.map(({ index, embedding }) => [index, embedding])).toEqual([
        [0, vector],
        [1, vector],
      ]);
      expect([model, usage]).toEqual(['nomic-embed-text', { prompt_tokens: 4, total_tokens: 4 }]);
    }
  });

  it('are refused by an iModel that chats, and chat by one that embeds', async () => {
    const upstream = await openUpstream((_request, reply) => reply.json({}));
    const embed = { provider: 'openai', endpoint: 'embed', apiKey: 'sk-upstream', baseUrl: `${upstream.url}/v1` };
    const { openai } = await openGateway({ chat: { model: 'scripted/echo' }, embed });
    const messages = [{ role: 'user' as const, content: 'a' }];
    await expect(openai.embeddings.create({ model: 'chat', input: 'a' })).rejects.toMatchObject({
      status: 400,
      param: 'model',
    });
    await expect(openai.chat.completions.create({ model: 'embed', messages })).rejects.toMatchObject({
      status: 400,
      param: 'model',
    });
    const strange = { model: 'embed', input: 'a', encoding_format: 'hex' } as unknown as {
      model: string;
      input: string;
    };
    await expect(openai.embeddings.create(strange)).rejects.toMatchObject({ status: 400, param: 'encoding_format' });
    expect(upstream.requests).toHaveLength(0);
  });
});
