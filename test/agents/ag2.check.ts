import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Chunk } from '../../schemas/chunk.ts';
import { createAg2Agent, createAg2GroupChat } from '../../src/endpoints/agents/ag2.ts';
import type { Endpoint, Fields } from '../../src/endpoints/endpoint.ts';
import { IModelError } from '../../src/errors.ts';
import { liveChildren } from '../../src/process/live.ts';
import { installPython } from './install.ts';

/** One request to the scripted model: who asks, and what the conversation ends with. */
interface Asked {
  readonly model: string;
  readonly stream?: boolean;
  readonly tools?: readonly { readonly function: { readonly name: string } }[];
  readonly messages: readonly { readonly role: string; readonly content: unknown; readonly tool_calls?: unknown }[];
}

interface Message {
  readonly content?: string;
  readonly call?: { readonly id: string; readonly name: string; readonly input: unknown };
}

const keys: string[] = [];
const server = createServer((request, response) => {
  const pieces: Buffer[] = [];
  request.on('data', (piece: Buffer) => pieces.push(piece));
  request.on('end', () => {
    keys.push(String(request.headers.authorization));
    const body = JSON.parse(Buffer.concat(pieces).toString('utf8')) as Asked;
    const said = decide(body);
    if (said === null) {
      response.writeHead(401, { 'content-type': 'application/json' });
      response.end('{"error":{"message":"Incorrect API key provided","type":"invalid_request_error"}}');
    } else if (said !== 'wait') answer(response, body, said);
  });
});

/** A planner looks something up and hands over; a critic ends; `forever` never answers, `refused` gets a 401. */
function decide(body: Asked): Message | null | 'wait' {
  const text = JSON.stringify(body.messages);
  const system = String(body.messages[0]?.content);
  if (system.includes('refused')) return null;
  if (system.includes('forever')) return 'wait';
  if (!system.includes('Plan.')) return { content: system.includes('Criticise') ? 'Final text' : 'I speak.' };
  if (!text.includes('3 hits')) return { call: { id: 'call_1', name: 'lookup', input: { q: 'lru' } } };
  const transfers = body.tools?.some((tool) => tool.function.name === 'transfer_to_critic') === true;
  if (transfers && !text.includes('call_2'))
    return { call: { id: 'call_2', name: 'transfer_to_critic', input: { reason: 'plan exists' } } };
  return { content: 'First, a plan.' };
}

function answer(
  response: import('node:http').ServerResponse,
  { model, stream }: Asked,
  { content, call }: Message,
): void {
  const calls =
    call === undefined
      ? undefined
      : [
          {
            index: 0,
            id: call.id,
            type: 'function',
            function: { name: call.name, arguments: JSON.stringify(call.input) },
          },
        ];
  const usage = { prompt_tokens: 120, completion_tokens: 40, total_tokens: 160 };
  const base = { id: 'c', created: 1, model };
  const finish = calls === undefined ? 'stop' : 'tool_calls';
  if (stream !== true) {
    response.writeHead(200, { 'content-type': 'application/json' });
    const message = {
      role: 'assistant',
      content: content ?? null,
      ...(calls === undefined ? {} : { tool_calls: calls }),
    };
    response.end(
      JSON.stringify({
        ...base,
        object: 'chat.completion',
        choices: [{ index: 0, message, finish_reason: finish }],
        usage,
      }),
    );
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const send = (value: unknown) =>
    response.write(
      `data: ${typeof value === 'string' ? value : JSON.stringify({ ...base, object: 'chat.completion.chunk', ...(value as object) })}\n\n`,
    );
  for (const piece of content?.match(/.{1,6}/g) ?? [])
    send({ choices: [{ index: 0, delta: { role: 'assistant', content: piece }, finish_reason: null }] });
  if (calls !== undefined)
    send({ choices: [{ index: 0, delta: { role: 'assistant', tool_calls: calls }, finish_reason: null }] });
  send({ choices: [{ index: 0, delta: {}, finish_reason: finish }] });
  send({ choices: [], usage });
  send('[DONE]');
  response.end();
}

describe.each([
  ['network', 'ag2-1.2.1', 'ag2[openai]==1.2.1'],
  ['classic', 'autogen-0.14.1', 'autogen[openai]==0.14.1'],
])('the backend %s', (backend, folder, requirement) => {
  let python = '';
  let tools = '';
  beforeAll(async () => {
    await new Promise<void>((resolve) => (server.listening ? resolve() : server.listen(0, '127.0.0.1', resolve)));
    python = await installPython(folder, requirement);
    tools = mkdtempSync(join(tmpdir(), 'imodel-tools-'));
    writeFileSync(
      join(tools, 'mytools.py'),
      'def lookup(q: str) -> str:\n    "Looks something up"\n    print("noise")\n    return "3 hits"\n',
    );
  }, 400_000);
  afterAll(() => rmSync(tools, { recursive: true, force: true }));

  const llm = () => ({
    main: {
      model: 'anything',
      base_url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
      max_retries: 0,
      api_key: 'sk-agent',
    },
  });

  function make(kwargs: Fields = {}, create = createAg2GroupChat): Endpoint {
    const hostEnvironment = { PATH: process.env.PATH, HOME: tools };
    return create({
      hostEnvironment,
      kwargs: { python, llm: llm(), allow_tools: true, import_paths: [tools], timeout: 60, ...kwargs },
    });
  }

  async function run(
    endpoint: Endpoint,
    request: Fields,
    signal = new AbortController().signal,
    onChunk: (chunk: Chunk) => void = () => {},
  ) {
    const chunks: Chunk[] = [];
    const sink = {
      write: (chunk: Chunk) => {
        chunks.push(chunk);
        onChunk(chunk);
        return true;
      },
      onDrain: (resume: () => void) => resume(),
    };
    const job = {
      callId: 'c',
      payload: endpoint.prepare(request),
      transport: {},
      sink,
      signal,
      sent: () => {},
      answered: () => {},
    };
    const [settled] = await Promise.allSettled([endpoint.run(job)]);
    expect(liveChildren()).toBe(0);
    if (settled.status === 'fulfilled') return { chunks, reply: settled.value, error: null };
    if (!IModelError.is(settled.reason)) throw settled.reason;
    return { chunks, reply: null, error: settled.reason };
  }

  const chat = {
    prompt: 'Design a cache.',
    agents: [
      {
        name: 'planner',
        system_message: 'Plan.',
        tools: ['lookup'],
        handoffs: [{ target: 'critic', condition: 'when a plan exists' }],
      },
      { name: 'critic', system_message: 'Criticise.' },
    ],
    tools: { lookup: 'mytools:lookup' },
  };

  test('a chat of two agents calls a tool, hands over and ends', async () => {
    const { chunks, reply, error } = await run(make(), chat);
    expect(error).toBeNull();
    expect(reply?.view.text).toBe('Final text');
    expect(chunks[0]?.metadata).toMatchObject({ backend, agents: ['planner', 'critic'] });
    const named = (type: Chunk['type']) => chunks.filter((chunk) => chunk.type === type && chunk.toolName === 'lookup');
    expect(named('tool_use')).toMatchObject([{ toolId: 'call_1', toolInput: { q: 'lru' } }]);
    expect(named('tool_result')).toMatchObject([{ toolId: 'call_1', toolOutput: '3 hits', isError: false }]);
    expect(reply?.view.usage?.inputTokens).toBeGreaterThanOrEqual(240);
    expect(keys).toContain('Bearer sk-agent');
  });

  test('agents in a circle end after max_rounds', async () => {
    const agents = ['a', 'b', 'c'].map((name) => ({ name, system_message: `You are ${name}.` }));
    const { chunks, reply } = await run(make(), { prompt: 'Talk.', agents, pattern: 'round_robin', max_rounds: 2 });
    expect(reply?.response).toMatchObject({ num_turns: 2, stop_reason: 'max_rounds' });
    expect(chunks.at(-1)?.type).toBe('result');
  });

  test('a refused key ends the run at once', async () => {
    const before = performance.now();
    const { error } = await run(make(), {
      prompt: 'x',
      agents: [{ name: 'a', system_message: 'refused' }, { name: 'b' }],
    });
    expect(error?.failure).toMatchObject({ code: 'unauthorized', status: 401 });
    expect(performance.now() - before).toBeLessThan(20_000);
  });

  test('a cancel in the middle of a turn leaves no Python', async () => {
    const controller = new AbortController();
    const { error } = await run(
      make(),
      { prompt: 'x', agents: [{ name: 'a', system_message: 'forever' }, { name: 'b' }] },
      controller.signal,
      () => {
        setTimeout(() => controller.abort(IModelError.of('cancelled', 'no', {})), 300);
      },
    );
    expect(error?.code).toBe('cancelled');
  });

  test('one agent by itself answers', async () => {
    const { reply, chunks } = await run(make({}, createAg2Agent), {
      prompt: 'Say something.',
      agent_config: { prompt: 'Be brief.' },
    });
    expect(reply?.view.text).toBe('I speak.');
    const texts = chunks.filter(({ type }) => type === 'text');
    expect(texts.map(({ content }) => content).join('')).toBe('I speak.');
    // The classic one tells a message only when it is whole.
    if (backend === 'network') expect(texts.length).toBeGreaterThan(1);
  });
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});
