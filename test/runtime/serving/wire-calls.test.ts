import { randomUUID } from 'node:crypto';
import { Packr } from 'msgpackr';
import { afterEach, describe, expect, it } from 'vitest';
import { wireCall } from '../../../schemas/call.ts';
import { type ModelEventMessage, modelEvent } from '../../../schemas/event.ts';
import { modelState } from '../../../schemas/state.ts';
import { cancelReply, failureReply, streamReply } from '../../../schemas/wire.ts';
import type { Bus, Message } from '../../../src/bus/bus.ts';
import { readHeader } from '../../../src/bus/headers.ts';
import type { NatsOptions } from '../../../src/bus/nats.ts';
import { subjects } from '../../../src/bus/subjects.ts';
import type { IModelOptions } from '../../../src/imodel-options.ts';
import { until } from '../../integration/private-server.ts';
import { buses, type Served, serveScripted } from '../../integration/served-model.ts';

const hello = { messages: [{ role: 'user', content: 'hello' }] };
const slow = { ...hello, delay_ms: 60_000 };
const quick = { timeoutMs: 10_000 };
/** How a call fails, listened to from the start. */
const failureOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => expect.fail('the call did not fail'),
    (error: unknown) => error,
  );
const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

describe.each(Object.entries(buses))('calls over %s', (_name, open) => {
  let now: Served | undefined;
  const serve = async (
    script?: Readonly<Record<string, unknown>>,
    options?: Partial<IModelOptions>,
    busOptions?: NatsOptions,
  ): Promise<Served> => {
    now = await serveScripted(open, script, options, busOptions);
    return now;
  };
  afterEach(async () => {
    await now?.[Symbol.asyncDispose]();
    now = undefined;
  });

  /** Everything that is told on a subject from now on. */
  const hear = async (bus: Bus, pattern: string): Promise<Message[]> => {
    const heard: Message[] = [];
    bus.subscribe(pattern, (message) => void heard.push(message));
    await bus.flush();
    return heard;
  };
  const events = (heard: readonly Message[]): ModelEventMessage[] =>
    heard.map((message) => modelEvent.parse(message.value()));

  describe('invoke', () => {
    it('answers a request with the call as it ended', async () => {
      const { caller, id } = await serve();
      const reply = await caller.request(subjects.invoke(id), hello, quick);
      const call = wireCall.strict().parse(reply.value());
      expect(call).toMatchObject({ text: 'hello', finish_reason: 'stop', failure: null });
      expect(call.execution).toMatchObject({ status: 'completed', error: null, retryable: null });
      expect(reply.headers['Nats-Service-Error-Code']).toBeUndefined();
    });

    it('answers a failed call with the failure in the body and its code in the headers', async () => {
      const { caller, id } = await serve({ failures: [{ code: 'rate_limited', retryAfterMs: 1_500 }] });
      const reply = await caller.request(subjects.invoke(id), hello, quick);
      expect(wireCall.parse(reply.value())).toMatchObject({
        execution: { status: 'failed', retryable: true },
        failure: { code: 'rate_limited', retryAfterMs: 1_500, source: 'provider' },
      });
      expect(readHeader(reply.headers, 'nats-service-error-code')).toBe('429');
      expect(readHeader(reply.headers, 'nats-service-error')).toBe('The script says rate_limited');
    });

    it('answers a request that does not fit with the field and its value', async () => {
      const { caller, id, endpoint } = await serve();
      const reply = await caller.request(subjects.invoke(id), { ...hello, chunks: 'many' }, quick);
      expect(failureReply.strict().parse(reply.value()).failure).toMatchObject({
        code: 'invalid_request',
        path: 'chunks',
        value: '`many` (string)',
      });
      expect(reply.headers['Nats-Service-Error-Code']).toBe('400');
      expect(endpoint.started).toEqual([]);
    });

    it('is used as a local iModel', async () => {
      const { remote } = await serve({ failures: [null, 'rejected'] });
      const call = await remote.invoke(hello);
      expect(call).toMatchObject({ status: 'completed', text: 'hello', finishReason: 'stop' });
      expect(call.usage?.totalTokens).toBeGreaterThan(0);
      const failed = await remote.invoke(hello);
      expect(failed).toMatchObject({ status: 'failed', failure: { code: 'rejected' } });
    });

    it('says at once that nobody serves an id', async () => {
      const { remote, served, host } = await serve();
      served.close();
      await host.flush();
      await expect(remote.invoke(hello)).rejects.toMatchObject({ code: 'no_responder', retryable: true });
    });

    it('makes one call of the same request sent twice, while it runs and after', async () => {
      const { caller, id, endpoint } = await serve({ delay_ms: 100 });
      const headers = { 'Imodel-Call': randomUUID() };
      const ask = (): Promise<Message> => caller.request(subjects.invoke(id), hello, { headers, ...quick });
      const replies = await Promise.all([ask(), ask()]);
      replies.push(await ask());
      expect(endpoint.started).toEqual([headers['Imodel-Call']]);
      const [first, ...others] = replies.map((reply) => reply.value());
      for (const other of others) expect(other).toEqual(first);
    });

    it('refuses the id of another caller, before and after its call has ended', async () => {
      const { caller, id, endpoint } = await serve({ delay_ms: 100 });
      const callId = randomUUID();
      const ask = async (name: string) => {
        const headers = { 'Imodel-Call': callId, 'Imodel-Caller': name };
        return (await caller.request(subjects.invoke(id), hello, { headers, ...quick })).value();
      };
      const first = ask('anna');
      expect(failureReply.parse(await ask('bert')).failure).toMatchObject({ code: 'conflict', callId });
      expect(await ask('anna')).toEqual(await first);
      expect(failureReply.parse(await ask('bert')).failure).toMatchObject({ code: 'conflict', callId });
      expect(endpoint.started).toEqual([callId]);
    });

    it('gives the shares that a header says', async () => {
      const { model, caller, id } = await serve({ delay_ms: 60_000 });
      const headers = { 'Imodel-Caller': 'anna', 'Imodel-Weight': '2.5' };
      void caller.request(subjects.invoke(id), hello, { headers }).catch(() => {});
      await expect.poll(() => [...model.live.rows()].map((row) => [row.caller, row.weight])).toEqual([['anna', 2.5]]);
      const wrong = await caller.request(subjects.invoke(id), hello, { headers: { 'Imodel-Weight': '0' }, ...quick });
      expect(failureReply.parse(wrong.value()).failure).toMatchObject({
        code: 'invalid_request',
        path: 'Imodel-Weight',
      });
    });

    it('takes the last token of the reply subject for the id when no header names one', async () => {
      const { caller, id, endpoint } = await serve();
      const token = randomUUID();
      const reply = await caller.request(subjects.invoke(id), hello, { token, ...quick });
      expect(wireCall.parse(reply.value()).id).toBe(token);
      expect(endpoint.started).toEqual([token]);
    });

    it('refuses the id of a local call that has not ended', async () => {
      const { model, caller, id } = await serve({ delay_ms: 60_000 });
      const local = failureOf(model.invoke(hello, { callId: 'mine' }));
      const reply = await caller.request(subjects.invoke(id), hello, { headers: { 'Imodel-Call': 'mine' }, ...quick });
      expect(failureReply.parse(reply.value()).failure).toMatchObject({ code: 'conflict', callId: 'mine' });
      await model.close();
      expect(await local).toMatchObject({ code: 'closed' });
    });

    it('refuses to stream a call that was invoked, and the other way round', async () => {
      const { caller, id } = await serve();
      const one = { headers: { 'Imodel-Call': randomUUID() }, ...quick };
      await caller.request(subjects.invoke(id), hello, one);
      const streamed = await caller.request(subjects.stream(id), hello, one);
      expect(failureReply.parse(streamed.value()).failure.code).toBe('conflict');
      const other = { headers: { 'Imodel-Call': randomUUID() }, ...quick };
      await caller.request(subjects.stream(id), hello, other);
      const invoked = await caller.request(subjects.invoke(id), hello, other);
      expect(failureReply.parse(invoked.value()).failure.code).toBe('conflict');
    });
  });

  describe('bodies', () => {
    it('takes a plain text as one user message', async () => {
      const { caller, id } = await serve();
      const reply = await caller.request(subjects.invoke(id), 'just a text', quick);
      expect(wireCall.parse(reply.value()).text).toBe('just a text');
    });

    it('takes MessagePack bytes with or without a content type', async () => {
      const { caller, id } = await serve();
      const bytes = new Packr({ useRecords: false, variableMapSize: true }).pack(hello);
      const reply = await caller.request(subjects.invoke(id), bytes, { contentType: 'application/msgpack', ...quick });
      expect(wireCall.parse(reply.value()).text).toBe('hello');
    });

    it.each(['', [], null, 17, true])('refuses %j as a request, and says what one is', async (body) => {
      const { caller, id, endpoint } = await serve();
      const reply = await caller.request(subjects.invoke(id), body, { contentType: 'application/json', ...quick });
      expect(failureReply.strict().parse(reply.value()).failure).toMatchObject({
        code: 'invalid_request',
        message: expect.stringContaining('Expected request: an object of fields, or a prompt as text, got '),
      });
      expect(endpoint.started).toEqual([]);
    });

    it('answers a reply that cannot be written with the reason', async () => {
      const { caller, id, endpoint } = await serve();
      const circular: Record<string, unknown> = {};
      circular.self = circular;
      endpoint.run = async (job) => ({
        response: circular,
        view: { text: job.callId, thinking: '', toolUses: [], finishReason: null, usage: null },
      });
      const reply = await caller.request(subjects.invoke(id), hello, quick);
      // In memory nothing is written, so nothing fails.
      if (open === buses.memory) expect(wireCall.parse(reply.value()).failure).toBeNull();
      else expect(failureReply.parse(reply.value()).failure).toMatchObject({ code: 'invalid_request' });
    });
  });

  describe('headers', () => {
    it('ends a call when its remaining time is up', async () => {
      const { caller, id, endpoint } = await serve();
      const headers = { 'Imodel-Deadline-Ms': '60' };
      const reply = await caller.request(subjects.invoke(id), slow, { headers, ...quick });
      expect(wireCall.parse(reply.value())).toMatchObject({
        execution: { status: 'aborted' },
        failure: { code: 'timed_out', timeoutMs: 60 },
      });
      expect(endpoint.running.size).toBe(0);
    });

    it('ends a call that waits longer than it may', async () => {
      const { remote, caller, id, endpoint } = await serve({}, { concurrencyLimit: 1 });
      const running = failureOf(remote.invoke(slow, { callId: 'first' }));
      await until(() => endpoint.running.size === 1);
      const headers = { 'imodel-queue-ms': '50' };
      const reply = await caller.request(subjects.invoke(id), hello, { headers, ...quick });
      expect(wireCall.parse(reply.value()).failure).toMatchObject({ code: 'timed_out', phase: 'concurrency' });
      await remote.cancel('first');
      expect(await running).toMatchObject({ code: 'cancelled' });
    });

    it('serves the higher priority first, and tells observers who calls', async () => {
      const { remote, model, caller, id, endpoint } = await serve({}, { concurrencyLimit: 1 });
      const heard = await hear(caller, subjects.events(id, 'post_invocation'));
      model.pause();
      const low = remote.invoke(hello, { callId: 'low', priority: -3, caller: 'batch' });
      const high = remote.invoke(hello, { callId: 'high', priority: 7, caller: 'person' });
      await until(() => model.state.queue.waiting === 2);
      model.resume();
      await Promise.all([low, high]);
      expect(endpoint.started).toEqual(['high', 'low']);
      await until(() => heard.length === 2);
      expect(events(heard).map((event) => event.caller)).toEqual(['person', 'batch']);
    });

    it.each([
      ['Imodel-Deadline-Ms', 'soon'],
      ['Imodel-Deadline-Ms', '-1'],
      ['Imodel-Deadline-Ms', '0x10'],
      ['Imodel-Queue-Ms', 'NaN'],
      ['Imodel-Priority', '11'],
      ['Imodel-Priority', '0.5'],
      ['Imodel-Call', 'a b'],
      ['Imodel-Caller', 'x'.repeat(257)],
    ])('refuses %s: %s, and names it', async (name, value) => {
      const { caller, id, endpoint } = await serve();
      for (const subject of [subjects.invoke(id), subjects.stream(id)]) {
        const reply = await caller.request(subject, hello, { headers: { [name]: value }, ...quick });
        const refusal = {
          code: 'invalid_request',
          path: name,
          message: expect.stringContaining(`got \`${value.slice(0, 9)}`),
        };
        expect(failureReply.parse(reply.value()).failure).toMatchObject(refusal);
      }
      expect(endpoint.started).toEqual([]);
    });

    it('passes the trace context on to events, replies and terminal messages', async () => {
      const { caller, id } = await serve();
      const heard = await hear(caller, subjects.everyEvent(id));
      const callId = randomUUID();
      const chunks = await hear(caller, subjects.chunks(id, callId));
      const headers = { traceparent: trace, tracestate: 'vendor=1' };
      const reply = await caller.request(subjects.invoke(id), hello, { headers, ...quick });
      expect(reply.headers).toMatchObject(headers);
      await caller.request(subjects.stream(id), hello, { headers: { ...headers, 'Imodel-Call': callId }, ...quick });
      await until(() => (chunks.at(-1)?.value() as { kind: string } | undefined)?.kind === 'end');
      expect(chunks.at(-1)?.headers).toMatchObject(headers);
      await until(() => events(heard).filter(({ type }) => type === 'post_invocation').length === 2);
      for (const event of events(heard)) expect(event.traceparent).toBe(trace);
    });

    it('carries the trace context of a remote caller, and ignores one that is none', async () => {
      const { remote, caller, id } = await serve();
      const heard = await hear(caller, subjects.events(id, 'created'));
      await remote.invoke(hello, { traceparent: trace });
      for await (const _chunk of remote.stream(hello, { traceparent: trace })) void _chunk;
      await caller.request(subjects.invoke(id), hello, { headers: { traceparent: 'nonsense' }, ...quick });
      await until(() => heard.length === 3);
      expect(events(heard).map(({ traceparent }) => traceparent)).toEqual([trace, trace, undefined]);
    });
  });

  describe('cancel', () => {
    it('ends a running call, and says so to who asked and who called', async () => {
      const { remote, caller, id, endpoint } = await serve();
      const running = failureOf(remote.invoke(slow, { callId: 'c1' }));
      await until(() => endpoint.running.size === 1);
      const reply = await caller.request(subjects.cancel(id), { call_id: 'c1', reason: 'enough' }, quick);
      expect(cancelReply.strict().parse(reply.value())).toEqual({ call_id: 'c1', cancelled: true });
      expect(await running).toMatchObject({ code: 'cancelled', failure: { reason: 'enough' } });
      expect(endpoint.running.size).toBe(0);
    });

    it('is idempotent, and false for a call that is unknown or has ended by itself', async () => {
      const { remote, endpoint } = await serve();
      const running = failureOf(remote.invoke(slow, { callId: 'c1' }));
      await until(() => endpoint.running.size === 1);
      expect([await remote.cancel('c1'), await remote.cancel('c1')]).toEqual([true, true]);
      expect(await running).toMatchObject({ code: 'cancelled' });
      await remote.invoke(hello, { callId: 'c2' });
      expect([await remote.cancel('c2'), await remote.cancel('nobodys')]).toEqual([false, false]);
    });

    it('follows the signal of a remote caller', async () => {
      const { remote, endpoint } = await serve();
      const stop = new AbortController();
      const running = failureOf(remote.invoke(slow, { signal: stop.signal }));
      await until(() => endpoint.running.size === 1);
      stop.abort(new Error('no longer wanted'));
      expect(await running).toMatchObject({ code: 'cancelled' });
      expect(endpoint.running.size).toBe(0);
      await expect(remote.invoke(hello, { signal: stop.signal })).rejects.toMatchObject({ code: 'cancelled' });
      expect(endpoint.started).toHaveLength(1);
    });

    it('never starts a call that is cancelled while it waits', async () => {
      const { remote, endpoint } = await serve({}, { concurrencyLimit: 1 });
      const running = failureOf(remote.invoke(slow, { callId: 'runs' }));
      const waiting = failureOf(remote.invoke(hello, { callId: 'waits' }));
      await until(() => endpoint.running.size === 1);
      expect(await remote.cancel('waits')).toBe(true);
      expect(await waiting).toMatchObject({ code: 'cancelled' });
      await remote.cancel('runs');
      expect(await running).toMatchObject({ code: 'cancelled' });
      expect(endpoint.started).toEqual(['runs']);
    });
  });

  describe('state and control', () => {
    it('tells what it is doing, and where', async () => {
      const { remote, caller, id, endpoint, served } = await serve({}, { limitRequests: 10, concurrencyLimit: 1 });
      const calls = ['a', 'b'].map((callId) => failureOf(remote.invoke(slow, { callId })));
      await until(() => endpoint.running.size === 1);
      const reply = await caller.request(subjects.state(id), {}, quick);
      expect(modelState.extend({ node: streamReply.shape.node }).strict().parse(reply.value())).toMatchObject({
        id,
        node: served.node,
        mode: 'busy',
        running: 1,
        queue: { waiting: 1 },
        blocked: 'concurrency',
        budget: { requests: { limit: 10, used: 1, remaining: 9 } },
      });
      for (const call of ['b', 'a']) await remote.cancel(call);
      for (const call of calls) expect(await call).toMatchObject({ code: 'cancelled' });
    });

    it('pauses, resumes, changes limits, resets, drains and closes', async () => {
      const { remote, endpoint } = await serve({}, { limitRequests: 2 });
      expect((await remote.control({ action: 'pause' })).mode).toBe('paused');
      const waiting = remote.invoke(hello);
      await until(async () => (await remote.state()).queue.waiting === 1);
      expect(endpoint.started).toEqual([]);
      await remote.control({ action: 'resume' });
      await waiting;
      await remote.invoke(hello);
      const limited = await remote.control({ action: 'limits', limit_requests: 5, concurrency_limit: 3 });
      expect(limited).toMatchObject({ concurrency_limit: 3, budget: { requests: { limit: 5, used: 2 } } });
      expect((await remote.control({ action: 'reset' })).budget.requests.used).toBe(0);
      const running = remote.invoke({ ...hello, delay_ms: 100 });
      await until(() => endpoint.running.size === 1);
      expect((await remote.control({ action: 'drain' })).mode).toBe('draining');
      await expect(remote.invoke(hello)).rejects.toMatchObject({ code: 'closed' });
      expect((await running).status).toBe('completed');
      expect((await remote.control({ action: 'close' })).mode).toBe('closed');
    });

    it.each([
      { action: 'explode' },
      { action: 'limits', limit_requests: 0 },
      { action: 'pause', now: true },
      [],
      'pause',
    ])('refuses %j', async (body) => {
      const { caller, id, model } = await serve();
      const reply = await caller.request(subjects.control(id), body, quick);
      expect(failureReply.parse(reply.value()).failure.code).toBe('invalid_request');
      expect(model.status).toBe('idle');
    });
  });

  describe('events', () => {
    it('tells the life of a call and of the model, without a word of the prompt', async () => {
      const { remote, caller, id } = await serve({}, { limitRequests: 1, interval: 0.2, windowMargin: 0 });
      const heard = await hear(caller, subjects.everyEvent(id));
      await remote.invoke({ messages: [{ role: 'user', content: 'secret words' }] }, { callId: 'one', caller: 'me' });
      await remote.invoke(hello, { callId: 'two' });
      await remote.control({ action: 'pause' });
      await until(() => events(heard).some(({ type }) => type === 'paused'));
      const told = events(heard);
      const typesOf = (callId: string): string[] =>
        told.filter((event) => event.call_id === callId).map(({ type }) => type);
      expect(typesOf('one')).toEqual(['created', 'pre_invocation', 'answered', 'post_invocation']);
      expect(typesOf('two')).toEqual(['created', 'queued', 'pre_invocation', 'answered', 'post_invocation']);
      expect(told.map(({ type }) => type)).toContain('throttled');
      expect(told.find(({ type }) => type === 'post_invocation')).toMatchObject({
        call_id: 'one',
        caller: 'me',
        status: 'completed',
        usage: { total_tokens: expect.any(Number) },
      });
      for (const message of heard) {
        expect(message.subject).toBe(subjects.events(id, (message.value() as ModelEventMessage).type));
        expect(JSON.stringify(message.value())).not.toContain('secret');
      }
    });

    it('reports a message that cannot be read when nobody waits for a reply', async () => {
      const { remote, caller, id } = await serve();
      const heard: ModelEventMessage[] = [];
      const stop = remote.events((event) => void heard.push(event));
      await caller.flush();
      caller.publish(subjects.cancel(id), { call: 'wrong' });
      await until(() => heard.length === 1);
      expect(heard[0]).toMatchObject({
        type: 'malformed',
        failure: { code: 'invalid_request', path: 'call_id', value: 'undefined' },
      });
      stop();
      await caller.flush();
      caller.publish(subjects.cancel(id), { call: 'wrong' });
      await remote.invoke(hello);
      expect(heard).toHaveLength(1);
    });
  });

  it('is found as a service, with its queue and budget in the statistics', async () => {
    const { remote, caller, id, served } = await serve({ failures: [null, 'rejected'] }, { limitRequests: 9 });
    await remote.invoke(hello);
    await remote.invoke(hello);
    for await (const _chunk of remote.stream(hello));
    await caller.request(subjects.stream(id), { nonsense: 1 }, quick).catch(() => {});
    const ask = async (verb: string): Promise<Record<string, unknown>> => {
      const inbox = `reply.${id}.${verb}`;
      const replies = await hear(caller, inbox);
      const mine = (): Record<string, unknown> | undefined =>
        replies
          .map((reply) => reply.value() as { metadata: { id: string } })
          .find(({ metadata }) => metadata.id === id);
      caller.publish(`$SRV.${verb}.imodel`, undefined, { replyTo: inbox });
      await until(() => mine() !== undefined);
      return mine() ?? {};
    };
    expect(await ask('PING')).toMatchObject({
      type: 'io.nats.micro.v1.ping_response',
      metadata: { id, node: served.node, provider: 'scripted', model: 'scripted' },
    });
    expect(await ask('INFO')).toMatchObject({
      endpoints: [
        {
          name: 'invoke',
          subject: subjects.invoke(id),
          queue_group: 'imodel',
          metadata: { request_schema: expect.stringContaining('callRequest'), reply_schema: expect.any(String) },
        },
        { name: 'stream', subject: subjects.stream(id), queue_group: 'imodel' },
      ],
    });
    expect(await ask('STATS')).toMatchObject({
      endpoints: [
        {
          num_requests: 2,
          num_errors: 1,
          last_error: 'The script says rejected',
          data: { queue: { waiting: 0 }, running: 0, budget: { requests: { limit: 9, used: 3 } } },
        },
        { num_requests: 2, num_errors: 1, last_error: expect.stringContaining('nonsense') },
      ],
    });
  });

  describe('ends', () => {
    it('answers no more when it is no longer served, and finishes what runs', async () => {
      const { remote, served, host, endpoint } = await serve({ delay_ms: 100 });
      const running = remote.invoke(hello);
      await until(() => endpoint.running.size === 1);
      served.close();
      await host.flush();
      await expect(remote.invoke(hello)).rejects.toMatchObject({ code: 'no_responder' });
      expect((await running).status).toBe('completed');
    });

    it('survives a bus that is closed before it could say that a call is not its own', async () => {
      const { caller, host, id, model } = await serve();
      const thrown: unknown[] = [];
      const note = (error: unknown): void => void thrown.push(error);
      process.on('uncaughtException', note);
      const asked = caller.request(subjects.cancel(id), { call_id: 'unknown' }, quick).catch(() => {});
      await caller.flush();
      await host.flush();
      await host.close();
      // Who does not hold a call waits for those who may.
      await new Promise((resolve) => setTimeout(resolve, 150));
      process.off('uncaughtException', note);
      expect(thrown).toEqual([]);
      expect((await model.invoke(hello)).status).toBe('completed');
      await caller.close();
      await asked;
    });

    it('survives a bus that is closed under its calls', async () => {
      const { remote, host, model, endpoint } = await serve({ delay_ms: 100 });
      const chunked = { ...hello, chunks: 50, chunk_delay_ms: 10 };
      const lost = [remote.invoke(hello), remote.stream(chunked).next()];
      for (const call of lost) call.catch(() => {});
      await until(() => endpoint.running.size === 2);
      await host.close();
      await until(() => endpoint.running.size === 0);
      expect((await model.invoke(hello)).status).toBe('completed');
      expect(model.state).toMatchObject({ running: 0, queue: { waiting: 0 } });
    });
  });
});

describe('replies over nats', () => {
  const open = buses.nats as NonNullable<(typeof buses)[string]>;

  it.each([0.9, 1.5, 8, 32])('carries a request and a reply of %d MB', { timeout: 60_000 }, async (megabytes) => {
    await using served = await serveScripted(open);
    const question = 'a'.repeat(megabytes * 1_000_000);
    // A reply holds its text twice: in the vendor's body and in the common view.
    const text = 'b'.repeat((megabytes * 1_000_000) / 2);
    const request = { messages: [{ role: 'user', content: question }], text };
    const call = await served.remote.invoke(request, { timeoutMs: 50_000 });
    expect(call.usage?.inputTokens).toBe(question.length / 4);
    expect(call.text === text).toBe(true);
  });

  it('says that a reply is too large, and keeps the stream whole when its end is', async () => {
    await using served = await serveScripted(open, {}, {}, { maxBodyBytes: 1_500_000 });
    const large = { ...hello, text: 'a'.repeat(1_000_000), chunks: 100 };
    const refused = { code: 'payload_too_large', limitBytes: 1_500_000 };
    const call = served.remote.invoke(large, { timeoutMs: 10_000 });
    await expect(call).rejects.toMatchObject({ failure: refused });
    const stream = served.remote.stream(large);
    let text = '';
    const read = async (): Promise<void> => {
      for await (const chunk of stream) if (chunk.type === 'text') text += chunk.content ?? '';
    };
    await expect(read()).rejects.toMatchObject({ failure: refused });
    expect(text).toHaveLength(1_000_000);
    expect((await served.remote.invoke(hello)).text).toBe('hello');
  });

  it.each([
    ['application/json', JSON.stringify(hello), 0x7b],
    ['application/msgpack', new Packr({ useRecords: false }).pack(hello), 0x80],
  ] as const)('answers %s in kind', async (_type, body, first) => {
    await using served = await serveScripted(open);
    const connection = (served.caller as unknown as { connection: import('nats').NatsConnection }).connection;
    const reply = await connection.request(subjects.invoke(served.id), body, { timeout: 10_000 });
    const byte = reply.data[0] ?? 0;
    expect(first === 0x7b ? byte : byte >= 0xde ? 0x80 : byte & 0xf0).toBe(first);
  });
});
