import { connect } from 'node:net';
import { toFile } from 'openai';
import { describe, expect, it } from 'vitest';
import type { RecordedRequest, UpstreamHandler } from '../../src/testing/upstream.ts';
import { openGateway, openUpstream, until } from './open-gateway.ts';

const sound = Uint8Array.from({ length: 3_000 }, (_value, index) => index % 256);
const image = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 1, 2, 3]);

/** A gateway before one endpoint of OpenAI's, and what that was asked. */
async function openMedia(endpoint: string, handler: UpstreamHandler, config = {}) {
  const upstream = await openUpstream(handler);
  const model = {
    provider: 'openai',
    endpoint,
    model: 'vendor-model',
    apiKey: 'sk-upstream',
    baseUrl: `${upstream.url}/v1`,
  };
  const gateway = await openGateway({ m: model, chat: { model: 'scripted/echo' } }, config);
  return { ...gateway, upstream };
}

/** The parts of a form as an upstream got it. */
async function formOf(request: RecordedRequest | undefined): Promise<Record<string, unknown>> {
  const headers = { 'content-type': String(request?.headers['content-type']) };
  const form = await new Response(request?.body ?? null, { headers }).formData();
  const parts: Record<string, unknown> = {};
  for (const name of new Set(form.keys())) {
    const values = await Promise.all(
      form
        .getAll(name)
        .map(async (entry) =>
          typeof entry === 'string' ? entry : [entry.name, new Uint8Array(await entry.arrayBuffer())],
        ),
    );
    parts[name] = values.length === 1 ? values[0] : values;
  }
  return parts;
}

describe('speech', () => {
  it('is the vendor’s sound, byte for byte', async () => {
    const { openai, upstream } = await openMedia('audio/speech', (_request, reply) => {
      reply.raw.writeHead(200, { 'content-type': 'audio/mpeg' }).end(sound);
    });
    const request = { model: 'm', input: 'Hello', voice: 'alloy', response_format: 'mp3', speed: 1.5 } as const;
    const response = await openai.audio.speech.create(request);
    expect(response.headers.get('content-type')).toBe('audio/mpeg');
    expect(response.headers.get('imodel-call')).toMatch(/^[0-9a-f-]{36}$/);
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(sound);
    expect(upstream.requests[0]?.json()).toEqual({ ...request, model: 'vendor-model' });
  });

  it('comes as events where they are asked for', async () => {
    const usage = { input_tokens: 3, output_tokens: 9, total_tokens: 12 };
    const events = [
      { type: 'speech.audio.delta', audio: 'AAEC' },
      { type: 'speech.audio.delta', audio: 'AwQ=' },
      { type: 'speech.audio.done', usage },
    ];
    const { openai, upstream } = await openMedia('audio/speech', async (_request, reply) => {
      await reply.events(events);
      reply.end();
    });
    const request = { model: 'm', input: 'Hello', voice: 'alloy', stream_format: 'sse' } as const;
    const response = await openai.audio.speech.create(request);
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const seen = (await response.text()).split('\n').filter((line) => line.startsWith('data: '));
    expect(seen.map((line) => JSON.parse(line.slice('data: '.length)))).toEqual(events);
    expect(upstream.requests[0]?.json()).toEqual({ ...request, model: 'vendor-model' });
  });

  it('ends in an error, and not as if it were done, when its events are cut', async () => {
    const { openai } = await openMedia('audio/speech', async (_request, reply) => {
      await reply.events([{ type: 'speech.audio.delta', audio: 'AAEC' }]);
      reply.cut();
    });
    const response = await openai.audio.speech.create({ model: 'm', input: 'a', voice: 'x', stream_format: 'sse' });
    const text = await response.text();
    expect(text).toContain('"error"');
    expect(text).not.toContain('speech.audio.done');
  });

  it('fails with the vendor’s words', async () => {
    const { openai } = await openMedia('audio/speech', (_request, reply) =>
      reply.json({ error: { message: 'No such voice', type: 'invalid_request_error' } }, 400),
    );
    await expect(openai.audio.speech.create({ model: 'm', input: 'a', voice: 'x' })).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining('No such voice'),
    });
  });
});

describe('transcriptions', () => {
  it('carry the file and every kind of field', async () => {
    const answer = { text: 'Hello', usage: { type: 'tokens', input_tokens: 4, output_tokens: 1, total_tokens: 5 } };
    const { openai, upstream } = await openMedia('audio/transcriptions', (_request, reply) => reply.json(answer));
    const transcription = await openai.audio.transcriptions.create({
      model: 'm',
      file: await toFile(sound, 'größe "1".wav'),
      temperature: 0.5,
      language: 'en',
      timestamp_granularities: ['word', 'segment'],
      include: ['logprobs'],
      chunking_strategy: { type: 'server_vad', threshold: 0.25 },
    });
    expect(transcription).toMatchObject(answer);
    expect(await formOf(upstream.requests[0])).toEqual({
      model: 'vendor-model',
      temperature: '0.5',
      language: 'en',
      'timestamp_granularities[]': ['word', 'segment'],
      'include[]': 'logprobs',
      chunking_strategy: '{"type":"server_vad","threshold":0.25}',
      file: ['größe "1".wav', sound],
    });
  });

  it('come as a text where a text is asked for', async () => {
    const { openai } = await openMedia('audio/transcriptions', (_request, reply) =>
      reply.text('1\n00:00 --> 00:01\nHi\n'),
    );
    const file = await toFile(sound, 'a.mp3');
    expect(await openai.audio.transcriptions.create({ model: 'm', file, response_format: 'srt' })).toBe(
      '1\n00:00 --> 00:01\nHi\n',
    );
  });

  it('stream as they are made', async () => {
    const usage = { type: 'tokens', input_tokens: 4, output_tokens: 1, total_tokens: 5 };
    const events = [
      { type: 'transcript.text.delta', delta: 'Hel' },
      { type: 'transcript.text.delta', delta: 'lo' },
      { type: 'transcript.text.done', text: 'Hello', usage },
    ];
    const { openai } = await openMedia('audio/transcriptions', async (_request, reply) => {
      await reply.events(events);
      reply.end();
    });
    const file = await toFile(sound, 'a.mp3');
    const seen: unknown[] = [];
    for await (const event of await openai.audio.transcriptions.create({ model: 'm', file, stream: true }))
      seen.push(event);
    expect(seen).toEqual(events);
  });

  it('stream who says what, too', async () => {
    const segment = { type: 'transcript.text.segment', id: 's1', start: 0, end: 1.5, speaker: 'A', text: 'Hello' };
    const events = [
      { type: 'transcript.text.delta', delta: 'Hello' },
      segment,
      { type: 'transcript.text.done', text: 'Hello' },
    ];
    const { openai, runtime } = await openMedia('audio/transcriptions', async (_request, reply) => {
      await reply.events(events);
      reply.end();
    });
    const asked = {
      model: 'm',
      file: await toFile(sound, 'a.mp3'),
      response_format: 'diarized_json',
      stream: true,
    } as const;
    const seen: unknown[] = [];
    for await (const event of await openai.audio.transcriptions.create(asked)) seen.push(event);
    expect(seen).toEqual(events);
    const own = runtime.models.get('m')?.stream({ file: sound, response_format: 'diarized_json' });
    for await (const _chunk of own ?? []);
    expect(own?.call).toMatchObject({ finishReason: null, response: { text: 'Hello', segments: [segment] } });
  });

  it('end in an error when their stream is cut', async () => {
    const { openai } = await openMedia('audio/transcriptions', async (_request, reply) => {
      await reply.events([{ type: 'transcript.text.delta', delta: 'Hel' }]);
      reply.cut();
    });
    const file = await toFile(sound, 'a.mp3');
    const stream = await openai.audio.transcriptions.create({ model: 'm', file, stream: true });
    const read = async () => {
      for await (const _event of stream);
    };
    await expect(read()).rejects.toThrow();
  });

  it('are translated into English', async () => {
    const { openai, upstream } = await openMedia('audio/translations', (_request, reply) =>
      reply.json({ text: 'Good day' }),
    );
    const file = await toFile(sound, 'a.mp3');
    expect(await openai.audio.translations.create({ model: 'm', file, prompt: 'Names' })).toMatchObject({
      text: 'Good day',
    });
    expect(upstream.requests[0]?.path).toBe('/v1/audio/translations');
    expect(await formOf(upstream.requests[0])).toMatchObject({ prompt: 'Names', file: ['a.mp3', sound] });
  });
});

describe('images', () => {
  const answer = {
    created: 5,
    data: [{ b64_json: 'AAAA' }],
    usage: { total_tokens: 5, input_tokens: 2, output_tokens: 3 },
  };

  it('are made from text', async () => {
    const { openai, upstream } = await openMedia('images/generations', (_request, reply) => reply.json(answer));
    const request = { model: 'm', prompt: 'a house', n: 2, size: '1024x1024' } as const;
    expect(await openai.images.generate(request)).toMatchObject(answer);
    expect(upstream.requests[0]?.json()).toEqual({ ...request, model: 'vendor-model' });
  });

  const event = { created_at: 5, size: '1024x1024', quality: 'low', background: 'opaque', output_format: 'png' };
  const { usage } = answer;
  const events = (kind: string) => [
    { type: `${kind}.partial_image`, ...event, b64_json: 'AAEC', partial_image_index: 0 },
    { type: `${kind}.completed`, ...event, b64_json: 'AAECAwQF', usage },
  ];

  it('stream as they are made, previews first', async () => {
    const { openai, upstream } = await openMedia('images/generations', async (_request, reply) => {
      await reply.events(events('image_generation'), { named: true });
      reply.end();
    });
    const request = { model: 'm', prompt: 'a house', partial_images: 1, stream: true } as const;
    const seen: unknown[] = [];
    for await (const one of await openai.images.generate(request)) seen.push(one);
    expect(seen).toEqual(events('image_generation'));
    expect(upstream.requests[0]?.json()).toEqual({ ...request, model: 'vendor-model' });
  });

  it('stream when they are edited, too', async () => {
    const { openai, upstream } = await openMedia('images/edits', async (_request, reply) => {
      await reply.events(events('image_edit'), { named: true });
      reply.end();
    });
    const file = await toFile(image, 'a.png', { type: 'image/png' });
    const request = { model: 'm', prompt: 'red', image: file, partial_images: 1, stream: true } as const;
    const seen: unknown[] = [];
    for await (const one of await openai.images.edit(request)) seen.push(one);
    expect(seen).toEqual(events('image_edit'));
    expect(await formOf(upstream.requests[0])).toMatchObject({ stream: 'true', partial_images: '1' });
  });

  it('end in an error when their stream is cut', async () => {
    const { openai } = await openMedia('images/generations', async (_request, reply) => {
      await reply.events(events('image_generation').slice(0, 1));
      reply.cut();
    });
    const stream = await openai.images.generate({ model: 'm', prompt: 'a', stream: true });
    const seen: unknown[] = [];
    const read = async () => {
      for await (const one of stream) seen.push(one);
    };
    await expect(read()).rejects.toThrow();
    expect(seen).toHaveLength(1);
  });

  it('are edited: one or several, with a mask', async () => {
    const { openai, upstream } = await openMedia('images/edits', (_request, reply) => reply.json(answer));
    const file = await toFile(image, 'a.png', { type: 'image/png' });
    expect(await openai.images.edit({ model: 'm', prompt: 'red', image: file, mask: file, n: 1 })).toMatchObject(
      answer,
    );
    expect(await formOf(upstream.requests[0])).toEqual({
      model: 'vendor-model',
      prompt: 'red',
      n: '1',
      image: ['a.png', image],
      mask: ['mask.png', image],
    });
    await openai.images.edit({ model: 'm', prompt: 'red', image: [file, file] });
    expect((await formOf(upstream.requests[1]))['image[]']).toHaveLength(2);
  });
});

describe('what a model cannot do', () => {
  it('is refused by name, in the caller’s words, and nothing is sent', async () => {
    const { openai, upstream } = await openMedia('audio/transcriptions', (_request, reply) => reply.json({}));
    const file = await toFile(sound, 'a.mp3');
    const refused = { status: 400, type: 'invalid_request_error', param: 'model' };
    for (const asked of [
      () => openai.audio.speech.create({ model: 'chat', input: 'a', voice: 'alloy' }),
      () => openai.audio.transcriptions.create({ model: 'chat', file }),
      () => openai.audio.translations.create({ model: 'm', file }),
      () => openai.images.generate({ model: 'chat', prompt: 'a' }),
      () => openai.images.edit({ model: 'm', prompt: 'a', image: file }),
      () => openai.chat.completions.create({ model: 'm', messages: [{ role: 'user', content: 'a' }] }),
      () => openai.responses.create({ model: 'm', input: 'a' }),
    ]) {
      await expect(asked()).rejects.toMatchObject(refused);
    }
    expect(upstream.requests).toHaveLength(0);
  });

  it('a form that does not hold what it should is refused, field by field', async () => {
    const { url, upstream } = await openMedia('audio/transcriptions', (_request, reply) => reply.json({}));
    const send = async (parts: readonly (readonly [string, string | Blob])[], headers = {}) => {
      const body = new FormData();
      for (const [name, value] of parts) body.append(name, value);
      const response = await fetch(`${url}/v1/audio/transcriptions`, { method: 'POST', body, headers });
      const { error } = (await response.json()) as { error: Record<string, unknown> };
      return [response.status, error.param];
    };
    const model = ['model', 'm'] as const;
    const file = ['file', new Blob([sound])] as const;
    expect(await send([model])).toEqual([400, 'file']);
    // A text that names a file of this machine is no file.
    expect(await send([model, ['file', '/etc/passwd']])).toEqual([400, 'file']);
    expect(await send([model, file, ['temperature', 'warm']])).toEqual([400, 'temperature']);
    expect(await send([model, file, ['stream', 'yes']])).toEqual([400, 'stream']);
    expect(await send([model, file, ['strange', '1']])).toEqual([400, 'strange']);
    expect(await send([file])).toEqual([400, 'model']);
    expect(await send([['model', 'none'], file])).toEqual([404, 'model']);
    expect(await send([model, file], { origin: 'https://evil.example' })).toEqual([403, null]);
    const plain = { method: 'POST', headers: { 'content-type': 'multipart/form-data' }, body: 'no parts' };
    expect((await fetch(`${url}/v1/audio/transcriptions`, plain)).status).toBe(400);
    const json = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"model":"m"}' };
    expect((await fetch(`${url}/v1/audio/transcriptions`, json)).status).toBe(415);
    expect(upstream.requests).toHaveLength(0);
  });

  it('a form above the limit is refused, one at the limit is not', async () => {
    const bodyLimit = 1_000_000;
    const { url, upstream } = await openMedia('audio/transcriptions', (_request, reply) => reply.json({ text: 'a' }), {
      bodyLimit,
    });
    const send = (size: number) => {
      const head =
        '--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n--b\r\ncontent-disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n';
      const body = Buffer.concat([
        Buffer.from(head),
        Buffer.alloc(size - head.length - 9, 1),
        Buffer.from('\r\n--b--\r\n'),
      ]);
      return fetch(`${url}/v1/audio/transcriptions`, {
        method: 'POST',
        headers: { 'content-type': 'multipart/form-data; boundary=b' },
        body,
      });
    };
    expect((await send(bodyLimit)).status).toBe(200);
    expect((await send(bodyLimit + 1)).status).toBe(413);
    expect(upstream.requests).toHaveLength(1);
  });

  it('a caller who leaves takes the call back', async () => {
    const { url, runtime, upstream } = await openMedia('audio/speech', () => {});
    const body = '{"model":"m","input":"a"}';
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(
      `POST /v1/audio/speech HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    const request = await upstream.request(0);
    socket.destroy();
    await request.closed;
    await until(() => runtime.models.get('m')?.state.counters.cancelled === 1);
  });
});
