import type { ClaudeCodeRequest } from '../../../schemas/requests/claude-code.ts';
import {
  type AgentEvent,
  argumentsIn,
  blockText,
  isObject,
  listIn,
  numberIn,
  objectIn,
  textIn,
} from './agent-event.ts';
import { problemOf } from './agent-problem.ts';
import type { AgentReader } from './agent-program.ts';
import type { AgentSession } from './agent-session.ts';
import { countIn, type TurnUsage } from './agent-usage.ts';

/**
 * Understands Claude Code's `stream-json` events.
 *
 * Seen with version 2.1.330: each content block of a message comes as an `assistant` line of its own with the same `message.id`; with partial
 * messages on, the deltas of that id come before it. A failure of the vendor's API ends as `subtype: "success"` with `is_error: true`.
 *
 * @see {@link https://docs.claude.com/en/docs/claude-code/sdk/sdk-headless} for the format (read 2026-11).
 */
export function createClaudeCodeReader(session: AgentSession, _request: ClaudeCodeRequest): AgentReader {
  const reader = new ClaudeCodeReader(session);
  return (event) => reader.read(event);
}

class ClaudeCodeReader {
  readonly #session: AgentSession;
  /** Ids of messages whose text, or thinking, came in fragments: the whole is not told again. */
  readonly #streamedText = new Set<string>();
  readonly #streamedThinking = new Set<string>();
  #message = { id: '', text: '' };

  constructor(session: AgentSession) {
    this.#session = session;
  }

  read(event: AgentEvent): void {
    const sessionId = textIn(event, 'session_id');
    if (sessionId) this.#session.record.sessionId = sessionId;
    switch (textIn(event, 'type')) {
      case 'system':
        this.#system(event);
        break;
      case 'stream_event':
        this.#streamed(event);
        break;
      case 'assistant':
        this.#assistant(event);
        break;
      case 'user':
        this.#user(event);
        break;
      case 'result':
        this.#result(event);
        break;
      case 'control_response':
        break;
      default:
        this.#session.unknown(event);
    }
  }

  #system(event: AgentEvent): void {
    const { type: _type, subtype, uuid: _uuid, session_id: _session, tool_use_id: toolId, ...rest } = event;
    if (subtype === 'init') this.#init(event);
    else if (subtype === 'api_retry') this.#session.note('retry', retryOf(event), event);
    else if (subtype === 'permission_denied') this.#session.note(subtype, { ...rest, tool_id: toolId }, event);
    else this.#session.note(typeof subtype === 'string' ? subtype : 'system', rest, event);
  }

  #init(event: AgentEvent): void {
    const session = this.#session;
    session.record.model = textIn(event, 'model') ?? session.record.model;
    session.record.cwd = textIn(event, 'cwd') ?? session.record.cwd;
    session.record.cliVersion = textIn(event, 'claude_code_version') ?? session.record.cliVersion;
    session.start(
      {
        tools: listIn(event, 'tools'),
        permission_mode: textIn(event, 'permissionMode'),
        mcp_servers: listIn(event, 'mcp_servers'),
      },
      event,
    );
  }

  #streamed(event: AgentEvent): void {
    const inner = objectIn(event, 'event');
    if (textIn(inner, 'type') !== 'content_block_delta') return;
    const id = textIn(event, 'api_message_id') ?? '';
    const delta = objectIn(inner, 'delta');
    const own = parentOf(event);
    if (textIn(delta, 'type') === 'text_delta') {
      this.#streamedText.add(id);
      this.#session.text(textIn(delta, 'text') ?? '', true, event, own);
    } else if (textIn(delta, 'type') === 'thinking_delta') {
      this.#streamedThinking.add(id);
      this.#session.thinking(textIn(delta, 'thinking') ?? '', true, event, own);
    }
  }

  #assistant(event: AgentEvent): void {
    const message = objectIn(event, 'message');
    const text = blockText(message.content);
    const error = textIn(event, 'error');
    if (textIn(message, 'model') === '<synthetic>' || error !== null) {
      // Not the model's words but the program's: the message of the failure to come.
      this.#session.record.suspect = problemOf({
        message: text,
        status: numberIn(event, 'api_error_status'),
        reason: error,
      });
      return;
    }
    const id = textIn(message, 'id') ?? '';
    for (const block of listIn(message, 'content')) this.#block(block, id, event);
    // A subagent's words are no answer of the agent itself.
    if (text !== '' && textIn(event, 'parent_tool_use_id') === null) this.#remember(id, text);
  }

  #block(block: unknown, id: string, event: AgentEvent): void {
    const session = this.#session;
    const own = parentOf(event);
    switch (textIn(block, 'type')) {
      case 'text':
        if (!this.#streamedText.has(id)) session.text(textIn(block, 'text') ?? '', false, event, own);
        break;
      case 'thinking':
        if (!this.#streamedThinking.has(id)) session.thinking(textIn(block, 'thinking') ?? '', false, event, own);
        break;
      case 'redacted_thinking':
        session.thinking(null, false, event, own);
        break;
      case 'tool_use':
      case 'server_tool_use':
      case 'mcp_tool_use':
        session.toolUse(
          {
            id: textIn(block, 'id') ?? '',
            name: textIn(block, 'name') ?? 'unknown',
            ...argumentsIn(isObject(block) ? block.input : null),
          },
          event,
          own,
        );
        break;
      default:
        this.#toolResult(block, event);
    }
  }

  #user(event: AgentEvent): void {
    for (const block of listIn(objectIn(event, 'message'), 'content')) this.#toolResult(block, event);
  }

  #toolResult(block: unknown, event: AgentEvent): void {
    const type = textIn(block, 'type') ?? '';
    if (!type.endsWith('tool_result') || !isObject(block)) return;
    const { content } = block;
    const list = Array.isArray(content) ? { blocks: content } : {};
    const output = typeof content === 'string' || Array.isArray(content) ? blockText(content) : (content ?? null);
    this.#session.toolResult(textIn(block, 'tool_use_id') ?? '', output, block.is_error === true, event, {
      ...parentOf(event),
      ...list,
    });
  }

  /** Lines with one id are one message: their texts are put together. */
  #remember(id: string, text: string): void {
    const isNext = id === '' || id !== this.#message.id;
    this.#message = { id, text: isNext ? text : `${this.#message.text}\n${text}` };
    if (isNext) this.#session.message(text);
    else this.#session.record.extendMessage(this.#message.text);
  }

  #result(event: AgentEvent): void {
    const session = this.#session;
    const usage = objectIn(event, 'usage');
    session.record.usage.replace(usageOf(usage));
    session.record.totalCostUsd = numberIn(event, 'total_cost_usd');
    session.record.turns = numberIn(event, 'num_turns') ?? session.record.turns;
    session.record.durationMs = numberIn(event, 'duration_ms');
    session.record.durationApiMs = numberIn(event, 'duration_api_ms');
    session.record.permissionDenials = listIn(event, 'permission_denials');
    const subtype = textIn(event, 'subtype') ?? '';
    const result = textIn(event, 'result');
    const metadata = {
      model_usage: objectIn(event, 'modelUsage'),
      permission_denials: session.record.permissionDenials,
    };
    if (event.is_error !== true && subtype === 'success') {
      if (result !== null) session.record.result = result;
      session.finish(textIn(event, 'stop_reason'), metadata);
      return;
    }
    const errors = listIn(event, 'errors').filter((error) => typeof error === 'string');
    const message = result ?? (errors.length > 0 ? errors.join('; ') : subtype);
    session.fail(
      problemOf({
        message,
        status: numberIn(event, 'api_error_status'),
        reason: subtype === 'error_max_turns' ? 'max turns' : textIn(event, 'api_error'),
        otherwise: subtype === 'error_during_execution' ? 'aborted' : 'unknown',
      }),
      metadata,
    );
  }
}

function retryOf(event: AgentEvent): AgentEvent {
  return {
    attempt: numberIn(event, 'attempt'),
    max_retries: numberIn(event, 'max_retries'),
    delay_ms: numberIn(event, 'retry_delay_ms'),
    status: numberIn(event, 'error_status'),
    error: textIn(event, 'error'),
  };
}

/** Claude counts the prompt's cached parts apart; here they are part of the input. */
function usageOf(usage: AgentEvent): TurnUsage {
  const cached = countIn(usage, 'cache_read_input_tokens');
  const cacheWrite = countIn(usage, 'cache_creation_input_tokens');
  return {
    input: countIn(usage, 'input_tokens') + cached + cacheWrite,
    output: countIn(usage, 'output_tokens'),
    cached,
    cacheWrite,
    reasoning: countIn(usage.output_tokens_details, 'thinking_tokens'),
    raw: usage,
  };
}

/** The tool call that a subagent's words belong to. */
function parentOf(event: AgentEvent): AgentEvent {
  const parent = textIn(event, 'parent_tool_use_id');
  return parent === null ? {} : { parent_tool_use_id: parent };
}
