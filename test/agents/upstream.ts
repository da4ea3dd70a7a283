import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What an upstream was asked. */
export interface Asked {
  readonly path: string;
  readonly key: string;
  readonly body: Record<string, unknown>;
}

/** A model server of four vendors, whose answer the prompt decides. */
export interface Upstream {
  readonly url: string;
  readonly asked: Asked[];
  close(): void;
}

/** What a vendor's answer is made of. */
type Answer =
  | { readonly kind: 'text'; readonly pieces: readonly string[]; readonly pauseMs: number }
  | { readonly kind: 'tool' }
  | { readonly kind: 'error'; readonly status: number; readonly message: string };

/**
 * Starts a server that speaks to all four programs. The last words of the prompt decide: `say-401`, `say-429`, `say-slow` (14 s),
 * `use-a-tool` (once, then a text), anything else a text.
 */
export async function startUpstream(): Promise<Upstream> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const text = Buffer.concat(pieces).toString('utf8');
      const body = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {};
      const path = request.url ?? '';
      const { authorization, 'x-api-key': xKey, 'x-goog-api-key': googleKey } = request.headers;
      asked.push({ path, key: String(authorization ?? xKey ?? googleKey ?? ''), body });
      void answer(path, text, body, response).catch(() => response.destroy());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function answer(
  path: string,
  text: string,
  body: Record<string, unknown>,
  response: ServerResponse,
): Promise<void> {
  const speak = Object.entries(vendors).find(([prefix]) => path.includes(prefix))?.[1];
  if (speak === undefined) {
    response.writeHead(404, { 'content-type': 'application/json' });
    response.end('{"error":{"message":"nothing here"}}');
    return;
  }
  const decided = decide(text);
  if (decided.kind === 'error') {
    const { status, message } = decided;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ type: 'error', error: { type: 'error', message, code: status } }));
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  await speak(response, decided, body);
  response.end();
}

/** The newest marker in the conversation decides; a tool's answer in it means that the tool was used. */
function decide(text: string): Answer {
  const markers = ['say-401', 'say-429', 'say-slow', 'use-a-tool', 'say-hello', 'say-more'];
  const [newest] = markers.map((marker) => ({ marker, at: text.lastIndexOf(marker) })).sort((a, b) => b.at - a.at);
  switch (newest === undefined || newest.at === -1 ? '' : newest.marker) {
    case 'say-401':
      return { kind: 'error', status: 401, message: 'Incorrect API key provided.' };
    case 'say-429':
      return { kind: 'error', status: 429, message: 'Rate limit reached.' };
    case 'say-slow':
      return { kind: 'text', pieces: Array.from({ length: 28 }, (_, index) => `slow ${index} `), pauseMs: 500 };
    case 'use-a-tool':
      // The file's content can only come from the tool.
      return text.includes('HERON') ? says('The code word is HERON.') : { kind: 'tool' };
    case 'say-more':
      return says('Second turn: I still have the first one.');
    default:
      return says('Hello from the scripted model.');
  }
}

function says(text: string): Answer {
  return { kind: 'text', pieces: text.match(/.{1,12}/g) ?? [], pauseMs: 0 };
}

type Speak = (
  response: ServerResponse,
  decided: Exclude<Answer, { kind: 'error' }>,
  body: Record<string, unknown>,
) => Promise<void>;

const usage = { input_tokens: 120, output_tokens: 9, total_tokens: 129 };

function send(response: ServerResponse, value: unknown, event?: string): void {
  response.write(
    `${event === undefined ? '' : `event: ${event}\n`}data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`,
  );
}

/** The tools a request offers, by name. */
function offered(body: Record<string, unknown>): string[] {
  const tools = Array.isArray(body.tools) ? (body.tools as { name?: string; function?: { name?: string } }[]) : [];
  return tools.map((tool) => tool.name ?? tool.function?.name ?? '');
}

/** By a part of the path. */
const vendors: Readonly<Record<string, Speak>> = {
  '/v1/messages': async (response, decided) => {
    const events = (value: { type: string; [key: string]: unknown }) => send(response, value, value.type);
    const message = {
      id: `msg_${Date.now()}`,
      type: 'message',
      role: 'assistant',
      model: 'claude-sonnet-4-5',
      content: [],
      stop_reason: null,
    };
    events({ type: 'message_start', message: { ...message, usage: { input_tokens: 120, output_tokens: 1 } } });
    const tool = decided.kind === 'tool';
    const block = tool
      ? { type: 'tool_use', id: `toolu_${Date.now()}`, name: 'Read', input: {} }
      : { type: 'text', text: '' };
    events({ type: 'content_block_start', index: 0, content_block: block });
    const deltas = tool
      ? [{ type: 'input_json_delta', partial_json: JSON.stringify({ file_path: 'note.txt' }) }]
      : decided.pieces.map((text) => ({ type: 'text_delta', text }));
    for (const delta of deltas) {
      events({ type: 'content_block_delta', index: 0, delta });
      if (!tool) await sleep(decided.pauseMs);
    }
    events({ type: 'content_block_stop', index: 0 });
    events({
      type: 'message_delta',
      delta: { stop_reason: tool ? 'tool_use' : 'end_turn', stop_sequence: null },
      usage: { output_tokens: 9 },
    });
    events({ type: 'message_stop' });
  },
  '/v1/responses': async (response, decided, body) => {
    const id = `resp_${Date.now()}`;
    const events = (value: { type: string; [key: string]: unknown }) => send(response, value, value.type);
    events({ type: 'response.created', response: { id } });
    if (decided.kind === 'tool') {
      const name = offered(body).find((tool) => /exec_command|shell/.test(tool)) ?? 'shell';
      const command =
        name === 'shell'
          ? { command: ['bash', '-lc', 'cat note.txt'] }
          : { cmd: 'cat note.txt', command: 'cat note.txt' };
      const item = { type: 'function_call', id: 'fc_1', call_id: 'call_1', name, arguments: JSON.stringify(command) };
      events({ type: 'response.output_item.done', output_index: 0, item });
    } else {
      const item = { type: 'message', id: 'msg_1', role: 'assistant', content: [{ type: 'output_text', text: '' }] };
      events({ type: 'response.output_item.added', output_index: 0, item: { ...item, content: [] } });
      for (const delta of decided.pieces) {
        events({ type: 'response.output_text.delta', item_id: 'msg_1', output_index: 0, content_index: 0, delta });
        await sleep(decided.pauseMs);
      }
      const whole = { ...item, content: [{ type: 'output_text', text: decided.pieces.join('') }] };
      events({ type: 'response.output_item.done', output_index: 0, item: whole });
    }
    const counted = {
      ...usage,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens_details: { reasoning_tokens: 0 },
    };
    events({ type: 'response.completed', response: { id, usage: counted } });
  },
  ':streamGenerateContent': async (response, decided) => {
    const chunk = (parts: unknown[], finishReason?: string) =>
      send(response, {
        candidates: [
          { index: 0, content: { role: 'model', parts }, ...(finishReason === undefined ? {} : { finishReason }) },
        ],
        usageMetadata: { promptTokenCount: 120, candidatesTokenCount: 9, totalTokenCount: 129 },
      });
    if (decided.kind === 'tool')
      chunk([{ functionCall: { id: 'g1', name: 'read_file', args: { file_path: 'note.txt' } } }], 'STOP');
    else {
      for (const text of decided.pieces) {
        chunk([{ text }]);
        await sleep(decided.pauseMs);
      }
      chunk([{ text: '' }], 'STOP');
    }
  },
  '/v1/chat/completions': async (response, decided) => {
    const chunk = (delta: unknown, finish: string | null = null) =>
      send(response, {
        id: 'c',
        object: 'chat.completion.chunk',
        created: 1,
        model: 'm',
        choices: [{ index: 0, delta, finish_reason: finish }],
      });
    chunk({ role: 'assistant', content: '' });
    if (decided.kind === 'tool') {
      const call = {
        index: 0,
        id: 'p1',
        type: 'function',
        function: { name: 'read', arguments: JSON.stringify({ path: 'note.txt' }) },
      };
      chunk({ tool_calls: [call] });
    } else {
      for (const content of decided.pieces) {
        chunk({ content });
        await sleep(decided.pauseMs);
      }
    }
    chunk({}, decided.kind === 'tool' ? 'tool_calls' : 'stop');
    const counted = { prompt_tokens: 120, completion_tokens: 9, total_tokens: 129 };
    send(response, { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [], usage: counted });
    send(response, '[DONE]');
  },
};
