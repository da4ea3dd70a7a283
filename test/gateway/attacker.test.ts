import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createKey, hashKey } from '../../src/callers/key.ts';
import { ScriptedEndpoint } from '../../src/endpoints/scripted.ts';
import { benchWithScript } from '../endpoints/agents/harness.ts';
import { chatModel, openGateway, openUpstream, until } from './open-gateway.ts';

const messages = [{ role: 'user', content: 'hello' }];
const chat = '/v1/chat/completions';
const answer = { choices: [{ index: 0, message: { role: 'assistant', content: 'ok' }, finish_reason: 'stop' }] };

/** A gateway before one upstream, and what that was sent. */
async function openVictim(config: Parameters<typeof openGateway>[1] = {}) {
  const upstream = await openUpstream((_request, reply) => reply.json(answer));
  const open = await openGateway({ m: chatModel(upstream), echo: { model: 'scripted/echo' } }, config);
  return { ...open, upstream };
}

/** Sends bytes as they are, and resolves with what came back within a while. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let read = '';
    socket.on('data', (data) => {
      read += data.toString('latin1');
    });
    socket.on('error', () => {});
    socket.once('close', () => resolve(read));
    socket.write(text);
  });
}

describe('whoever means harm', () => {
  it('cannot have the gateway send a request elsewhere, or with another key', async () => {
    const { post, upstream } = await openVictim();
    const elsewhere = await openUpstream((_request, reply) => reply.json(answer));
    const url = elsewhere.url;
    for (const field of [
      'base_url',
      'baseUrl',
      'api_key',
      'apiKey',
      'headers',
      'passthrough',
      'endpoint',
      'provider',
    ]) {
      const response = await post(chat, { model: 'm', messages, [field]: url });
      expect([field, response.status]).toEqual([field, 400]);
    }
    // Pictures are for the vendor to fetch.
    const content = [{ type: 'image_url', image_url: { url: `${url}/picture.png` } }];
    expect((await post(chat, { model: 'm', messages: [{ role: 'user', content }] })).status).toBe(200);
    expect([elsewhere.requests.length, upstream.requests.length]).toEqual([0, 1]);
    expect(upstream.requests[0]?.headers.authorization).toBe('Bearer sk-upstream');
  });

  it('cannot have the caller’s own key sent to the vendor', async () => {
    const key = createKey();
    const { post, upstream } = await openVictim({ callers: { ci: { keyHashes: [hashKey(key)] } } });
    const headers = { authorization: `Bearer ${key}`, 'x-api-key': key, cookie: `key=${key}` };
    expect((await post(chat, { model: 'm', messages }, headers)).status).toBe(200);
    expect(JSON.stringify(upstream.requests.map((request) => request.headers))).not.toContain(key);
  });

  it('changes no prototype by a body', async () => {
    const { post, url } = await openVictim();
    const bodies = [
      '{"__proto__":{"polluted":1},"model":"m","messages":[]}',
      '{"constructor":{"prototype":{"polluted":1}},"model":"m","messages":[]}',
      '{"model":"m","messages":[{"__proto__":{"polluted":1},"role":"user","content":"x"}]}',
      '{"model":"__proto__","messages":[]}',
      '{"model":"constructor","messages":[]}',
    ];
    for (const body of bodies) expect((await post(chat, body)).status).toBeGreaterThanOrEqual(400);
    const form = new FormData();
    for (const name of ['__proto__[polluted]', 'constructor[prototype]', '__proto__']) form.append(name, '1');
    form.append('model', 'm');
    form.append('file', new File(['x'], 'x.wav'));
    expect((await fetch(`${url}/v1/audio/transcriptions`, { method: 'POST', body: form })).status).toBe(400);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('gets nothing by names of models and calls that are paths', async () => {
    const { url, post } = await openVictim();
    const names = [
      '../healthz',
      '..%2fhealthz',
      '%2e%2e',
      'm%00',
      'm%0d%0ax: y',
      '.',
      '*',
      '>',
      'm.>',
      'a/b',
      '%ff',
      'x'.repeat(5_000),
    ];
    for (const name of names) {
      for (const path of [`/v1/models/${name}`, `/v1/imodels/${name}`, `/v1/imodels/${name}/calls/${name}/stream`]) {
        const { status } = await fetch(url + path);
        expect([path.slice(0, 60), status >= 400 && status < 500]).toEqual([path.slice(0, 60), true]);
      }
      expect((await post(chat, { model: name, messages })).status).toBe(404);
    }
    for (const path of [
      '/dashboard/../package.json',
      '/dashboard/%2e%2e/%2e%2e/package.json',
      '/dashboard/..%5cpackage.json',
    ]) {
      expect(
        await raw(Number(new URL(url).port), `GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`),
      ).toMatch(/^HTTP\/1\.1 4/);
    }
  });

  it('puts no header and no line of its own into an answer', async () => {
    const { post, url } = await openVictim();
    const port = Number(new URL(url).port);
    const body = JSON.stringify({ model: 'm', messages });
    const head = (lines: string) =>
      `POST ${chat} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ${body.length}\r\n${lines}\r\n${body}`;
    for (const line of [
      'imodel-call: a\rset-cookie: x=1',
      'imodel-call: a\nset-cookie: x=1',
      'imodel-call: a\u0000b',
      'imodel-call: a b',
      'imodel-caller: \u001b[2J',
    ]) {
      const read = await raw(port, head(`${line}\r\n`));
      expect([line, read.split('\r\n', 1)[0]]).toEqual([line, expect.stringMatching(/^HTTP\/1\.1 (400|200)/)]);
      expect(read).not.toMatch(/^set-cookie/im);
    }
    // Fields that are left out are named in a header.
    const echoed = await post(chat, { model: 'echo', messages, 'seed\r\nset-cookie: x': 1, seed: 1, user: 'ü' });
    expect([200, 400]).toContain(echoed.status);
    expect(echoed.headers.get('set-cookie')).toBeNull();
  });

  it('smuggles no second request past the first', async () => {
    const { url, upstream } = await openVictim();
    const port = Number(new URL(url).port);
    const json = 'POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n';
    const inner = 'GET /v1/imodels HTTP/1.1\r\nhost: localhost\r\n\r\n';
    const heads = [
      `content-length: 0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
      `transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n${inner}`,
      `transfer-encoding: xchunked\r\n\r\n0\r\n\r\n${inner}`,
      `transfer-encoding : chunked\r\n\r\n0\r\n\r\n${inner}`,
      `content-length: 5, 5\r\n\r\n{"a":${inner}`,
      `content-length: +5\r\n\r\n{"a":${inner}`,
      `content-length: 0x5\r\n\r\n{"a":${inner}`,
      ` content-length: 5\r\n\r\n{"a":${inner}`,
      `transfer-encoding: chunked\r\n\r\n5;\n{"a":\r\n0\r\n\r\n${inner}`,
      `transfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\n{"a":1}${inner}`,
    ];
    for (const head of heads) {
      const read = await raw(port, json + head);
      expect([head.slice(0, 40), read.slice(0, 12), read.includes('"object":"list"')]).toEqual([
        head.slice(0, 40),
        'HTTP/1.1 400',
        false,
      ]);
    }
    expect(upstream.requests).toHaveLength(0);
  });

  it('gets no answer of another caller by its call’s id, at this gateway', async () => {
    const [a, b] = [createKey(), createKey()];
    const { url, post, runtime } = await openGateway(
      { m: { model: 'scripted/echo', delay_ms: 400 } },
      { callers: { a: { keyHashes: [hashKey(a)] }, b: { keyHashes: [hashKey(b)] } } },
    );
    const headers = (key: string, more = {}) => ({ 'x-api-key': key, 'imodel-call': 'guessed', ...more });
    const first = post(chat, { model: 'm', messages: [{ role: 'user', content: 'secret of a' }] }, headers(a));
    await until(() => runtime.models.get('m')?.state.running === 1);
    const second = await post(chat, { model: 'm', messages }, headers(b));
    expect([second.status, (await second.text()).includes('secret')]).toEqual([409, false]);
    const stream = await post(chat, { model: 'm', messages, stream: true }, headers(b, { 'imodel-resume-ms': '1000' }));
    expect(stream.status).toBe(409);
    expect(await (await first).text()).toContain('secret of a');
    const own = await fetch(`${url}/v1/imodels/m/calls/guessed/stream`, { headers: { 'x-api-key': b } });
    expect((await own.text()).includes('secret')).toBe(false);
  });

  it('is told nothing of the machine by what goes wrong', async () => {
    const { post } = await openVictim();
    for (const body of [
      '{',
      '[',
      'null',
      '"x"',
      '{"model":{"toString":1}}',
      '{"model":"m","messages":{"length":1e9}}',
    ]) {
      const text = await (await post(chat, body)).text();
      expect(text).not.toMatch(/node_modules|\.ts:|\/src\/|at async|sk-upstream|127\.0\.0\.1/);
    }
  });

  it('finds out nothing about the files of an agent’s machine', async () => {
    const { endpoint } = benchWithScript('claude', 'exit 0');
    const { post } = await openGateway({ agent: { endpoint } });
    for (const url of [
      'notes.png',
      '/etc/passwd',
      '../../etc/passwd',
      'file:///etc/passwd',
      'http://127.0.0.1/x.png',
    ]) {
      for (const image_url of [url, { url }]) {
        const content = [{ type: 'image_url', image_url }];
        const response = await post(chat, { model: 'agent', messages: [{ role: 'user', content }] });
        expect([url, response.status]).toEqual([url, 400]);
      }
      const input = [{ role: 'user', content: [{ type: 'input_image', image_url: url }] }];
      expect((await post('/v1/responses', { model: 'agent', input })).status).toBe(400);
    }
  });

  it('does not switch off the hooks of an iModel that takes any field', async () => {
    const endpoint = new ScriptedEndpoint({ kwargs: { model: 'any' } });
    Object.defineProperty(endpoint, 'requestOptions', { value: null });
    Object.defineProperty(endpoint, 'prepare', { value: (request: object) => ({ ...request }) });
    const { post } = await openGateway({ m: { endpoint } });
    for (const field of ['pre_invoke_event_exit_hook', 'preInvokeEventExitHook', 'create_event_type']) {
      const response = await post(chat, { model: 'm', messages, [field]: false });
      expect([field, response.status]).toEqual([field, 400]);
      expect(await response.text()).toContain('only what builds the iModel may set it');
    }
    expect((await post(chat, { model: 'm', messages, anything: 1 })).status).toBe(200);
  });
});
