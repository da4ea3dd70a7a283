import type { GeminiCodeRequest } from '../../../schemas/requests/gemini-code.ts';
import { type AgentEvent, argumentsIn, listIn, numberIn, objectIn, textIn } from './agent-event.ts';
import { type AgentProblem, problemOf } from './agent-problem.ts';
import type { AgentReader } from './agent-program.ts';
import type { AgentSession } from './agent-session.ts';
import { countIn } from './agent-usage.ts';

/**
 * Understands Gemini CLI's `stream-json` events.
 *
 * Seen with version 0.61.0: the prompt comes back as a `message` of the user; the answer comes as messages with `delta: true`; the end is one
 * `result`, whose error may wrap the vendor's JSON in a text.
 *
 * @see {@link https://geminicli.com/docs/cli/headless/} for the format (read 2026-11).
 */
export function createGeminiCodeReader(session: AgentSession, _request: GeminiCodeRequest): AgentReader {
  const reader = new GeminiCodeReader(session);
  return (event) => reader.read(event);
}

class GeminiCodeReader {
  readonly #session: AgentSession;
  /** The answer since the last tool, glued together. */
  #text = '';

  constructor(session: AgentSession) {
    this.#session = session;
  }

  read(event: AgentEvent): void {
    const session = this.#session;
    switch (textIn(event, 'type')) {
      case 'init':
        session.record.sessionId = textIn(event, 'session_id') || session.record.sessionId;
        session.record.model = textIn(event, 'model') ?? session.record.model;
        session.start({}, event);
        break;
      case 'message':
        this.#message(event);
        break;
      case 'tool_use':
        this.#endMessage();
        session.toolUse(
          {
            id: textIn(event, 'tool_id') ?? '',
            name: textIn(event, 'tool_name') ?? 'unknown',
            ...argumentsIn(event.parameters),
          },
          event,
        );
        break;
      case 'tool_result':
        this.#toolResult(event);
        break;
      case 'error':
        this.#error(event);
        break;
      case 'result':
        this.#endMessage();
        this.#result(event);
        break;
      default:
        session.unknown(event);
    }
  }

  #message(event: AgentEvent): void {
    if (textIn(event, 'role') !== 'assistant') return;
    const content = textIn(event, 'content') ?? '';
    const isDelta = event.delta === true;
    this.#session.text(content, isDelta, event);
    if (isDelta) this.#text += content;
    else {
      this.#endMessage();
      this.#session.message(content);
    }
  }

  #endMessage(): void {
    if (this.#text !== '') this.#session.message(this.#text);
    this.#text = '';
  }

  #toolResult(event: AgentEvent): void {
    const output = event.output ?? '';
    const error = textIn(objectIn(event, 'error'), 'message');
    const isError = textIn(event, 'status') !== 'success';
    const shown = output === '' && error !== null ? error : output;
    this.#session.toolResult(textIn(event, 'tool_id') ?? '', shown, isError, event);
  }

  #error(event: AgentEvent): void {
    const message =
      textIn(event, 'message') ?? textIn(objectIn(event, 'error'), 'message') ?? 'Gemini CLI reported an error';
    this.#session.record.suspect = problemOf({ message });
    this.#session.note('warning', { message, severity: textIn(event, 'severity') }, event);
  }

  #result(event: AgentEvent): void {
    const session = this.#session;
    const stats = objectIn(event, 'stats');
    session.record.usage.replace({
      input: countIn(stats, 'input_tokens'),
      output: countIn(stats, 'output_tokens'),
      cached: countIn(stats, 'cached'),
      raw: stats,
    });
    session.record.durationMs = numberIn(stats, 'duration_ms');
    session.record.turns = Math.max(1, session.record.turns);
    const metadata = { tool_calls: numberIn(stats, 'tool_calls'), model_usage: objectIn(stats, 'models') };
    if (textIn(event, 'status') === 'success') session.finish('stop', metadata);
    else
      session.fail(unwrapped(textIn(objectIn(event, 'error'), 'message') ?? 'Gemini CLI reported no reason'), metadata);
  }
}

/** The vendor's own words in `[API Error: {"error":{"code":401,"message":"…"}}]`, or the text as it is. */
function unwrapped(message: string): AgentProblem {
  const inner = /^\[API Error: (.*?)\](?:\n|$)/s.exec(message)?.[1] ?? message;
  const start = inner.indexOf('{');
  if (start !== -1) {
    try {
      const body: unknown = JSON.parse(inner.slice(start));
      const error = objectIn(Array.isArray(body) ? listIn({ body }, 'body')[0] : body, 'error');
      const text = textIn(error, 'message');
      if (text !== null)
        return problemOf({ message: text, status: numberIn(error, 'code'), reason: textIn(error, 'status') });
    } catch {
      // A text with a brace in it.
    }
  }
  return problemOf({ message: inner, otherwise: inner === 'terminated' ? 'network' : 'unknown' });
}
