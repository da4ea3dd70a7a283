import type { CodexRequest } from '../../../schemas/requests/codex.ts';
import { type AgentEvent, argumentsIn, blockText, listIn, numberIn, objectIn, textIn } from './agent-event.ts';
import { problemOf } from './agent-problem.ts';
import type { AgentReader } from './agent-program.ts';
import type { AgentSession } from './agent-session.ts';
import { countIn } from './agent-usage.ts';

/**
 * Understands Codex's `exec --json` events.
 *
 * Seen with version 0.169.0: there are no text deltas; a tool is `item.started` and `item.completed` with one id; an item of type `error` is
 * a warning and occurs in good runs; a top-level `error` that begins with `Reconnecting` is a retry under way.
 *
 * @see {@link https://developers.openai.com/codex/noninteractive} for the format (read 2026-11).
 */
export function createCodexReader(session: AgentSession, _request: CodexRequest): AgentReader {
  const reader = new CodexReader(session);
  return (event) => reader.read(event);
}

/** A tool call as an item tells it. */
interface ItemTool {
  readonly name: string;
  readonly input: AgentEvent;
  readonly output: unknown;
  readonly failed: boolean;
}

class CodexReader {
  readonly #session: AgentSession;

  constructor(session: AgentSession) {
    this.#session = session;
  }

  read(event: AgentEvent): void {
    const session = this.#session;
    switch (textIn(event, 'type')) {
      case 'thread.started':
        session.record.sessionId = textIn(event, 'thread_id') || session.record.sessionId;
        session.start({}, event);
        break;
      case 'turn.started':
        // A turn after a finished one: the run goes on.
        session.record.terminal = null;
        break;
      case 'turn.completed':
        this.#turnCompleted(event);
        break;
      case 'turn.failed':
        session.fail(problemOf({ message: textIn(objectIn(event, 'error'), 'message') ?? 'The turn failed' }));
        break;
      case 'error':
        this.#error(event);
        break;
      case 'item.started':
      case 'item.updated':
      case 'item.completed':
        this.#item(event);
        break;
      default:
        session.unknown(event);
    }
  }

  #turnCompleted(event: AgentEvent): void {
    const usage = objectIn(event, 'usage');
    this.#session.record.usage.add({
      input: countIn(usage, 'input_tokens'),
      output: countIn(usage, 'output_tokens'),
      cached: countIn(usage, 'cached_input_tokens'),
      cacheWrite: countIn(usage, 'cache_write_input_tokens'),
      reasoning: countIn(usage, 'reasoning_output_tokens'),
      raw: usage,
    });
    this.#session.record.turns += 1;
    this.#session.finish('stop');
  }

  #error(event: AgentEvent): void {
    const message = textIn(event, 'message') ?? textIn(objectIn(event, 'error'), 'message') ?? '';
    if (message === '') return;
    const retry = /^Reconnecting\.\.\.\s*(?:(\d+)\/(\d+))?\s*/.exec(message);
    if (retry === null) {
      this.#session.record.suspect = problemOf({ message });
      return;
    }
    const error = message.slice(retry[0].length).replace(/^\((.*)\)$/s, '$1');
    const count = (text: string | undefined) => (text === undefined ? null : Number(text));
    this.#session.note(
      'retry',
      {
        attempt: count(retry[1]),
        max_retries: count(retry[2]),
        delay_ms: null,
        status: problemOf({ message: error }).status,
        error,
      },
      event,
    );
  }

  #item(event: AgentEvent): void {
    const session = this.#session;
    const item = objectIn(event, 'item');
    const id = textIn(item, 'id') ?? '';
    const completed = event.type === 'item.completed';
    const type = textIn(item, 'type') ?? '';
    switch (type) {
      case 'agent_message':
        if (completed) this.#message(textIn(item, 'text') ?? '', event);
        break;
      case 'reasoning':
        if (completed) session.thinking(textIn(item, 'text') ?? '', false, event);
        break;
      case 'error':
        if (completed) session.note('warning', { message: textIn(item, 'message') }, event);
        break;
      case 'function_call_output':
        session.toolResult(textIn(item, 'call_id') ?? id, item.output ?? null, false, event);
        break;
      default:
        this.#tool(toolOf(type, item), textIn(item, 'call_id') ?? id, event);
    }
  }

  #message(text: string, event: AgentEvent): void {
    this.#session.text(text, false, event);
    this.#session.message(text);
  }

  #tool({ name, input, output, failed }: ItemTool, id: string, event: AgentEvent): void {
    if (event.type === 'item.updated') return;
    this.#session.toolUse({ id, name, input }, event);
    const isCall =
      event.type === 'item.completed' &&
      !/^(?:function|tool)_call$/.test(textIn(objectIn(event, 'item'), 'type') ?? '');
    if (isCall) this.#session.toolResult(id, output, failed, event);
  }
}

function toolOf(type: string, item: AgentEvent): ItemTool {
  const status = textIn(item, 'status');
  const failed = status === 'failed' || status === 'declined';
  switch (type) {
    case 'command_execution': {
      const exitCode = numberIn(item, 'exit_code');
      return {
        name: 'Bash',
        input: { command: textIn(item, 'command') ?? '' },
        output: textIn(item, 'aggregated_output') ?? '',
        failed: failed || (exitCode !== null && exitCode !== 0),
      };
    }
    case 'file_change': {
      const changes = listIn(item, 'changes');
      const lines = changes.map(
        (change) => `${textIn(change, 'kind') ?? 'change'}: ${textIn(change, 'path') ?? 'unknown'}`,
      );
      return { name: 'Edit', input: { changes }, output: lines.join('; '), failed };
    }
    case 'mcp_tool_call': {
      const error = textIn(objectIn(item, 'error'), 'message');
      const result = objectIn(item, 'result');
      return {
        name: `mcp__${textIn(item, 'server') ?? 'unknown'}__${textIn(item, 'tool') ?? 'unknown'}`,
        input: argumentsIn(item.arguments).input,
        output: error ?? (blockText(result.content) || result),
        failed: failed || error !== null,
      };
    }
    case 'web_search':
      return { name: 'WebSearch', input: { query: textIn(item, 'query') ?? '' }, output: item.results ?? null, failed };
    case 'todo_list':
      return { name: 'TodoWrite', input: { items: listIn(item, 'items') }, output: null, failed };
    case 'function_call':
    case 'tool_call':
      return { name: textIn(item, 'name') ?? type, input: argumentsIn(item.arguments).input, output: null, failed };
    default: {
      // A kind of a newer version, told by what it is called.
      const { id: _id, type: _type, status: _status, ...input } = item;
      return { name: type, input, output: item.result ?? item.output ?? null, failed };
    }
  }
}
