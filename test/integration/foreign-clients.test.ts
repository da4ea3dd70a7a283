import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { wireCall } from '../../schemas/call.ts';
import { hookAsk } from '../../schemas/hook.ts';
import type { AskedHookOptions } from '../../schemas/imodel.ts';
import { modelState } from '../../schemas/state.ts';
import { cancelReply, failureReply, resumeReply, streamMessage, streamReply } from '../../schemas/wire.ts';
import { readAll, textOf } from '../acceptance/timed-endpoint.ts';
import { until } from './private-server.ts';
import { buses, type Served, serveScripted } from './served-model.ts';
import { jsonOf, TextClient, type TextMessage } from './text-client.ts';

const open = buses.nats as NonNullable<(typeof buses)[string]>;
const endless = { messages: [], text: 'word', chunks: 100_000, chunk_delay_ms: 5 };

let served: Served;
beforeEach(async () => {
  served = await serveScripted(open);
});
afterEach(() => served[Symbol.asyncDispose]());

describe('a client with nothing but a socket and the text protocol', () => {
  let client: TextClient;
  beforeEach(async () => {
    client = await TextClient.connect(inject('natsUrl'));
  });
  afterEach(() => client.close());
  const ask = async (verb: string, body: unknown, headers?: Readonly<Record<string, string>>) =>
    jsonOf(await client.request(`imodel.${served.id}.${verb}`, JSON.stringify(body), headers));

  it('invokes, in JSON and in plain text', async () => {
    const messages = [{ role: 'user', content: 'hello' }];
    expect(wireCall.parse(await ask('invoke', { messages })).text).toBe('hello');
    const plain = await client.request(`imodel.${served.id}.invoke`, 'grüß dich');
    expect(wireCall.parse(jsonOf(plain)).text).toBe('grüß dich');
  });

  it('reads why a call failed, from the headers alone if it likes', async () => {
    const reply = await client.request(`imodel.${served.id}.invoke`, '{"chunks":0}');
    expect(failureReply.parse(jsonOf(reply)).failure).toMatchObject({ code: 'invalid_request', path: 'chunks' });
    expect(reply.headers).toMatch(/^NATS\/1\.0\r\n/);
    expect(reply.headers).toContain('Nats-Service-Error-Code: 400\r\n');
    const nobody = await client.request('imodel.nobody.invoke', 'hello');
    expect(nobody.headers).toMatch(/^NATS\/1\.0 503/);
  });

  it('streams with credit, resumes, cancels, and reads state', async () => {
    const heard: TextMessage[] = [];
    client.subscribe(`imodel.${served.id}.chunks.mine`, (message) => void heard.push(message));
    const numbered = () => heard.map(jsonOf).filter(({ kind }) => kind !== 'alive');
    const headers = { 'Imodel-Call': 'mine', 'Imodel-Credit': '10' };
    const { node } = streamReply.parse(await ask('stream', endless, headers));
    await until(() => numbered().length === 10);
    client.publish(`imodel.${served.id}.ctl.${node}`, JSON.stringify({ type: 'credit', call_id: 'mine', chunks: 5 }));
    await until(() => numbered().length === 15);
    const resumed = resumeReply.parse(await ask('resume', { call_id: 'mine', after_seq: 12 }));
    expect(resumed.messages.map(({ seq }) => seq)).toEqual([13, 14, 15]);
    expect(modelState.parse(await ask('state', {}))).toMatchObject({ id: served.id, running: 1 });
    expect(cancelReply.parse(await ask('cancel', { call_id: 'mine' })).cancelled).toBe(true);
    await until(() => numbered().at(-1)?.kind === 'end');
    expect(numbered().map(({ seq }) => seq)).toEqual(Array.from({ length: 16 }, (_, index) => index + 1));
    const end = numbered().at(-1);
    expect(end).toMatchObject({ call: { execution: { status: 'cancelled' }, failure: { code: 'cancelled' } } });
    expect(served.endpoint.running.size).toBe(0);
  });

  it('is told that a reply comes in parts when it is too large for one message', async () => {
    const reply = await client.request(`imodel.${served.id}.invoke`, JSON.stringify({ text: 'a'.repeat(900_000) }));
    const header = (name: string): string => new RegExp(`${name}: (.*)\r\n`).exec(reply.headers)?.[1] ?? '';
    expect(reply.body).toHaveLength(0);
    const parts: Buffer[] = [];
    for (let part = 1; part <= Number(header('Imodel-Parts')); part += 1) {
      parts.push((await client.request(`${header('Imodel-Body')}.${part}`, '')).body);
    }
    const body = Buffer.concat(parts);
    expect(body).toHaveLength(Number(header('Imodel-Size')));
    expect(wireCall.parse(JSON.parse(body.toString())).text).toHaveLength(900_000);
  });

  it('answers what an iModel asks of hooks, for its calls here and over the bus', async () => {
    const hooks: AskedHookOptions[] = [
      { point: 'pre_invocation' },
      { point: 'chunk', name: 'guard', mode: 'hold-all' },
    ];
    await using asking = await serveScripted(open, {}, { hooks });
    const answers = [
      '{"action":"veto","reason":"says a socket"}',
      '{"action":"answer","text":"from a socket"}',
      '{"action":"pass"}',
    ];
    const asks: Record<string, unknown>[] = [];
    const respond = (message: TextMessage, answer = ''): void => {
      asks.push(jsonOf(message));
      client.publish(message.replyTo ?? '', answer);
    };
    client.subscribe(`imodel.${asking.id}.hooks.pre_invocation`, (message) => respond(message, answers.shift()));
    const chunks = '{"action":"transform","chunks":[{"type":"text","content":"hidden"}]}';
    client.subscribe(`imodel.${asking.id}.hooks.chunk.guard`, (message) => respond(message, chunks));
    await client.flush();
    const ask = { messages: [{ role: 'user', content: 'hi' }] };
    expect((await asking.model.invoke(ask)).failure).toMatchObject({
      code: 'vetoed',
      message: 'The hook pre_invocation refused the call: says a socket',
    });
    expect((await asking.remote.invoke(ask)).text).toBe('hidden');
    expect((await asking.remote.invoke(ask)).text).toBe('hidden');
    for (const one of asks) hookAsk.parse(one);
    expect(asks.map(({ point }) => point)).toEqual([
      'pre_invocation',
      'pre_invocation',
      'chunk',
      'pre_invocation',
      'chunk',
    ]);
    expect(asks[2]).toMatchObject({
      chunks: [{ type: 'system' }, { type: 'text', content: 'from a socket' }, { type: 'result' }],
    });
    expect(asking.endpoint.started).toHaveLength(1);
  });

  it('that dies with a question has not answered it', async () => {
    for (const onFailure of ['open', 'closed'] as const) {
      const hooks: AskedHookOptions[] = [{ point: 'pre_invocation', timeoutMs: 200, onFailure }];
      await using asking = await serveScripted(open, {}, { hooks });
      const dying = await TextClient.connect(inject('natsUrl'));
      dying.subscribe(`imodel.${asking.id}.hooks.pre_invocation`, () => dying.close());
      await dying.flush();
      const { status } = await asking.model.invoke({ messages: [] });
      expect(status).toBe(onFailure === 'open' ? 'completed' : 'failed');
    }
  });

  it('gets from every request in the documentation what is said there', async () => {
    const page = await readFile(new URL('../../docs/wire.md', import.meta.url), 'utf8');
    const requests = [...page.matchAll(/^nats req (?:-H (\S+):(\S+) )?imodel\.echo\.(\S+) '(.*)'/gm)];
    expect(requests.length).toBeGreaterThanOrEqual(6);
    for (const [, name, value, verb = '', body = ''] of requests) {
      const headers = name === undefined || value === undefined ? undefined : { [name]: value };
      const reply = jsonOf(await client.request(`imodel.${served.id}.${verb}`, body, headers));
      expect(reply, `${verb} ${body}`).not.toHaveProperty('failure.code');
    }
  });
});

describe('a client in Python, with its standard library', () => {
  const script = fileURLToPath(new URL('clients/client.py', import.meta.url));
  const address = (): string => new URL(inject('natsUrl')).host;
  const running: ChildProcess[] = [];
  afterEach(() => {
    for (const child of running.splice(0)) child.kill('SIGKILL');
  });

  const start = (words: readonly string[], id = served.id): ChildProcess => {
    const child = spawn('python3', [script, address(), id, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
    running.push(child);
    return child;
  };
  const linesOf = async function* (child: ChildProcess): AsyncGenerator<Record<string, unknown>> {
    if (child.stdout === null) throw new Error('no stdout');
    for await (const line of createInterface({ input: child.stdout })) yield JSON.parse(line);
  };
  const run = async (...words: string[]): Promise<Record<string, unknown>[]> => {
    const lines: Record<string, unknown>[] = [];
    for await (const line of linesOf(start(words))) lines.push(line);
    return lines;
  };

  it('invokes and reads state', async () => {
    const [[call], [state]] = await Promise.all([run('invoke', 'hello from Python'), run('state')]);
    expect(wireCall.parse(call).text).toBe('hello from Python');
    expect(modelState.parse(state).id).toBe(served.id);
  });

  it('streams with credit from the first chunk to the end', async () => {
    const [reply, ...messages] = await run('stream', JSON.stringify({ text: 'x', chunks: 300 }), '16');
    streamReply.parse(reply);
    expect(messages.map(({ seq }) => seq)).toEqual(messages.map((_, index) => index + 1));
    for (const message of messages) streamMessage.parse(message);
    expect(messages.at(-1)).toMatchObject({ kind: 'end', call: { execution: { status: 'completed' } } });
    expect(messages.filter(({ type }) => type === 'text')).toHaveLength(300);
  });

  it('resumes and cancels the stream of another', async () => {
    const child = start(['stream', JSON.stringify(endless)]);
    const lines = linesOf(child);
    const { call_id: callId } = streamReply.parse((await lines.next()).value);
    for (let index = 0; index < 5; index += 1) await lines.next();
    const [resumed] = await run('resume', callId, '2');
    expect(resumeReply.parse(resumed).messages[0]?.seq).toBe(3);
    expect(await run('cancel', callId)).toEqual([{ call_id: callId, cancelled: true }]);
    let last: Record<string, unknown> = {};
    for await (const line of lines) last = line;
    expect(last).toMatchObject({ kind: 'end', call: { failure: { code: 'cancelled', reason: 'asked by Python' } } });
    expect(served.endpoint.running.size).toBe(0);
  });

  it('answers what an iModel asks of hooks, and its death is noticed', async () => {
    const hooks: AskedHookOptions[] = [{ point: 'pre_invocation', timeoutMs: 10_000 }];
    await using asking = await serveScripted(open, {}, { hooks });
    const child = start(['hook', 'pre_invocation'], asking.id);
    const lines = linesOf(child);
    expect((await lines.next()).value).toEqual({ listening: 'pre_invocation' });
    const say = (content: string) => asking.remote.invoke({ messages: [{ role: 'user', content }] });
    const calls = [await say('my password'), await say('everything?'), await say('in french'), await say('hello')];
    expect(calls.map(({ text, failure }) => failure?.message ?? text)).toEqual([
      'The hook pre_invocation refused the call: no passwords, says Python',
      '42',
      'bonjour',
      'hello',
    ]);
    expect(hookAsk.parse((await lines.next()).value)).toMatchObject({ point: 'pre_invocation' });
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    // The server may take a moment to see it.
    await until(async () => (await say('hello')).failure?.code === 'vetoed');
  });

  it('changes the chunks of a stream', async () => {
    const hooks: AskedHookOptions[] = [{ point: 'chunk', holdChunks: 2 }];
    await using asking = await serveScripted(open, { text: 'one two three', chunks: 6 }, { hooks });
    const lines = linesOf(start(['hook', 'chunk'], asking.id));
    await lines.next();
    const stream = asking.remote.stream('go');
    const { chunks } = await readAll(stream);
    expect([textOf(chunks), stream.call?.text]).toEqual(['ONE TWO THREE', 'ONE TWO THREE']);
  });

  it('that is killed in the middle of a stream ends the call within moments', async () => {
    const child = start(['stream', JSON.stringify(endless), '64']);
    const lines = linesOf(child);
    for (let index = 0; index < 5; index += 1) await lines.next();
    expect(served.endpoint.running.size).toBe(1);
    child.kill('SIGKILL');
    const killedAt = Date.now();
    await until(() => served.endpoint.running.size === 0);
    // Two looks, 400 ms apart, and the answer to the second.
    expect(Date.now() - killedAt).toBeLessThan(2_000);
  });
});
