import { describe, expect, it } from 'vitest';
import { type Endpoint, iModel } from '../../src/index.ts';
import { benchWithCapture } from '../endpoints/agents/harness.ts';
import { timedModel } from './timed-endpoint.ts';

const messages = [{ role: 'user', content: 'hello' }];

/** A command-line endpoint whose answers name these sessions, and what it was asked. */
function agent(sessions: (string | null)[]): { endpoint: Endpoint; asked: Record<string, unknown>[] } {
  const asked: Record<string, unknown>[] = [];
  const base = timedModel().endpoint;
  const endpoint: Endpoint = {
    ...base,
    config: base.config,
    isCli: true,
    requestOptions: null,
    transportFields: [],
    prepare: (request) => ({ ...request }),
    estimateTokens: () => 0,
    run: async ({ payload }) => {
      asked.push({ ...payload });
      const sessionId = sessions.shift() as string;
      const view = { text: '', thinking: '', toolUses: [], finishReason: null, usage: null };
      return { response: { session_id: sessionId }, view, sessionId };
    },
    close: async () => {},
  };
  return { endpoint, asked };
}

describe('sessions', () => {
  it('91: the next call resumes the session of the last, and an explicit resume wins', async () => {
    const { endpoint, asked } = agent(['s1', 's2', 's3', 's3']);
    await using model = new iModel({ endpoint });
    await model.invoke({ prompt: 'a' });
    expect(model.providerSessionId).toBe('s1');
    await model.invoke({ prompt: 'b' });
    await model.invoke({ prompt: 'c', resume: 'mine' });
    await model.invoke({ prompt: 'd', session_id: 'other' });
    expect(asked.map(({ resume, session_id: id }) => resume ?? id)).toEqual([undefined, 's1', 'mine', 'other']);
  });

  it('91: claude_code resumes by itself', async () => {
    const bench = benchWithCapture('claude', ['text', 'resume']);
    await using model = new iModel({ endpoint: bench.endpoint });
    const call = await model.invoke({ messages });
    expect(call.status).toBe('completed');
    const id = model.providerSessionId;
    expect(id).toBe((call.response as { session_id: string }).session_id);
    expect(model.createApiCalling({ messages }).payload.resume).toBe(id);
    expect(
      model.createApiCalling({ messages, resume: '00000000-0000-4000-8000-000000000000' }).payload.resume,
    ).not.toBe(id);
  });

  it('92: an answer without a session leaves the stored one', async () => {
    const { endpoint } = agent(['s1', null]);
    await using model = new iModel({ endpoint });
    await model.invoke({});
    await model.invoke({});
    expect(model.providerSessionId).toBe('s1');
  });

  it('93: a stream whose system chunk names a session stores it', async () => {
    const bench = benchWithCapture('claude', 'text');
    await using model = new iModel({ endpoint: bench.endpoint });
    let named: unknown;
    for await (const chunk of model.stream({ messages })) {
      if (chunk.type === 'system') named ??= chunk.metadata?.session_id;
    }
    expect(named).toEqual(expect.any(String));
    expect(model.providerSessionId).toBe(named);
  });

  it('a session given as metadata is the one an agent resumes', () => {
    const { endpoint } = benchWithCapture('claude', 'text');
    const model = new iModel({ endpoint, providerMetadata: { session_id: '11111111-1111-4111-8111-111111111111' } });
    expect(model.createApiCalling({ messages }).payload.resume).toBe('11111111-1111-4111-8111-111111111111');
  });
});
