import { describe, expect, it } from 'vitest';
import { chatModel, openGateway, openUpstream } from './open-gateway.ts';

const mega = 1_000_000;
const answer = (content: string) => ({
  choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
});

/** A chat request of exactly so many bytes. */
function bodyOf(bytes: number): string {
  const frame = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: '' }] });
  return frame.replace('"content":""', `"content":"${'x'.repeat(bytes - frame.length)}"`);
}

describe('a body', () => {
  it.each([0.4, 0.9, 1.5, 8, 32])('of %f MB arrives whole', async (size) => {
    const upstream = await openUpstream((_request, reply) => reply.json(answer('ok')));
    const { post } = await openGateway({ m: chatModel(upstream) });
    const body = bodyOf(size * mega);
    expect((await post('/v1/chat/completions', body)).status).toBe(200);
    expect(upstream.requests[0]?.json().messages).toEqual(JSON.parse(body).messages);
  });

  it.each([0.9, 8])('of %f MB is an answer like any other', async (size) => {
    const content = 'é'.repeat((size * mega) / 2);
    const upstream = await openUpstream((_request, reply) => reply.json(answer(content)));
    const { post } = await openGateway({ m: chatModel(upstream) });
    const response = await post('/v1/chat/completions', bodyOf(100));
    expect(await response.json()).toMatchObject(answer(content));
  });

  it('is taken right up to the limit, and refused above it with 413, told or untold how long it is', async () => {
    const limit = 500_000;
    const upstream = await openUpstream((_request, reply) => reply.json(answer('ok')));
    const { post, url } = await openGateway({ m: chatModel(upstream) }, { bodyLimit: limit });
    for (const path of ['/v1/chat/completions', '/v1/messages'] as const) {
      const anthropic: Readonly<Record<string, string>> =
        path === '/v1/messages' ? { 'anthropic-version': '2023-06-01' } : {};
      const sized = (bytes: number) =>
        path === '/v1/messages' ? `{"max_tokens":5,${bodyOf(bytes - 15).slice(1)}` : bodyOf(bytes);
      expect(sized(limit)).toHaveLength(limit);
      expect((await post(path, sized(limit), anthropic)).status).toBe(200);
      const refused = await post(path, sized(limit + 1), anthropic);
      expect([refused.status, await refused.json()]).toMatchObject([413, { error: { message: expect.any(String) } }]);
      const untold = new ReadableStream({
        start(controller) {
          for (let sent = 0; sent <= limit; sent += 50_000) controller.enqueue(new Uint8Array(50_000));
          controller.close();
        },
      });
      const request = {
        method: 'POST',
        body: untold,
        duplex: 'half',
        headers: { 'content-type': 'application/json', ...anthropic },
      };
      expect((await fetch(url + path, request as RequestInit)).status).toBe(413);
    }
    expect(upstream.requests).toHaveLength(2);
  });

  it('streams back in pieces of a megabyte', async () => {
    const piece = 'x'.repeat(mega);
    const upstream = await openUpstream(async (_request, reply) => {
      const event = { id: 'c', choices: [{ index: 0, delta: { content: piece }, finish_reason: null }] };
      await reply.events([
        ...Array.from({ length: 8 }, () => event),
        { id: 'c', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
        '[DONE]',
      ]);
      reply.end();
    });
    const { openai } = await openGateway({ m: chatModel(upstream) });
    let length = 0;
    const messages = [{ role: 'user' as const, content: 'hello' }];
    for await (const { choices } of await openai.chat.completions.create({ model: 'm', messages, stream: true })) {
      length += choices[0]?.delta.content?.length ?? 0;
    }
    expect(length).toBe(8 * mega);
  });
});
