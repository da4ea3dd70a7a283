import type { PiRequest } from '../../../schemas/requests/pi.ts';
import { type AgentEvent, argumentsIn, blockText, listIn, numberIn, objectIn, textIn } from './agent-event.ts';
import { type AgentProblem, problemOf } from './agent-problem.ts';
import type { AgentReader } from './agent-program.ts';
import type { AgentSession } from './agent-session.ts';
import { countIn } from './agent-usage.ts';

/** Events that say nothing a chunk would: states on the way, and what comes again in another event. */
const silent = new Set([
  'agent_start',
  'turn_start',
  'message_start',
  'entry_appended',
  'agent_end',
  'response',
  'start',
  'done',
]);

/**
 * Understands pi's `--mode json` events.
 *
 * Seen with version 0.87.1: the exit code is 0 even when the vendor refused; whether a run succeeded is in the last assistant message's
 * `stopReason`. A repeated request has an `agent_end` of its own, so only `agent_settled` is the end.
 */
export function createPiReader(session: AgentSession, _request: PiRequest): AgentReader {
  const reader = new PiReader(session);
  return (event) => reader.read(event);
}

class PiReader {
  readonly #session: AgentSession;
  /** Why the last message of the assistant ended. */
  #stopReason: string | null = null;
  #problem: AgentProblem | null = null;

  constructor(session: AgentSession) {
    this.#session = session;
  }

  read(event: AgentEvent): void {
    const session = this.#session;
    const type = textIn(event, 'type') ?? '';
    switch (type) {
      case 'session':
        session.record.sessionId = textIn(event, 'id') || session.record.sessionId;
        session.record.cwd = textIn(event, 'cwd') ?? session.record.cwd;
        session.start({}, event);
        break;
      case 'message_update':
        this.#update(objectIn(event, 'assistantMessageEvent'), event);
        break;
      case 'message_end':
        this.#messageEnd(objectIn(event, 'message'));
        break;
      case 'tool_execution_start':
        this.#toolUse(textIn(event, 'toolCallId'), textIn(event, 'toolName'), event.args, event);
        break;
      case 'tool_execution_update':
        session.note(
          'tool_progress',
          { tool_id: textIn(event, 'toolCallId'), partial_result: event.partialResult },
          event,
        );
        break;
      case 'tool_execution_end':
        this.#toolEnd(event);
        break;
      case 'turn_end':
        session.record.turns += 1;
        break;
      case 'auto_retry_start':
        this.#retry(event);
        break;
      case 'auto_retry_end':
        if (event.success === false) this.#problem = errorOf(textIn(event, 'finalError') ?? 'every retry failed');
        break;
      case 'agent_settled':
        this.#settled();
        break;
      case 'error':
        session.record.suspect = errorOf(
          textIn(event, 'message') ?? textIn(objectIn(event, 'error'), 'errorMessage') ?? 'pi reported an error',
        );
        break;
      default:
        if (!silent.has(type)) session.unknown(event);
    }
  }

  #update(update: AgentEvent, event: AgentEvent): void {
    switch (textIn(update, 'type')) {
      case 'text_delta':
        this.#session.text(textIn(update, 'delta') ?? '', true, event);
        break;
      case 'thinking_delta':
        this.#session.thinking(textIn(update, 'delta') ?? '', true, event);
        break;
      case 'toolcall_end': {
        const call = objectIn(update, 'toolCall');
        this.#toolUse(textIn(call, 'id'), textIn(call, 'name'), call.arguments, event);
        break;
      }
      default:
        break;
    }
  }

  #toolUse(id: string | null, name: string | null, input: unknown, event: AgentEvent): void {
    this.#session.toolUse({ id: id ?? '', name: name ?? 'unknown', ...argumentsIn(input) }, event);
  }

  #toolEnd(event: AgentEvent): void {
    const id = textIn(event, 'toolCallId') ?? '';
    const result = objectIn(event, 'result');
    this.#session.toolResult(id, blockText(result.content), event.isError === true, event, { result });
  }

  #messageEnd(message: AgentEvent): void {
    if (textIn(message, 'role') !== 'assistant') return;
    const session = this.#session;
    session.record.model = textIn(message, 'model') ?? session.record.model;
    this.#stopReason = textIn(message, 'stopReason');
    const failed = this.#stopReason === 'error' || this.#stopReason === 'aborted';
    this.#problem = failed ? problemIn(message) : null;
    const usage = objectIn(message, 'usage');
    const cached = countIn(usage, 'cacheRead');
    const cacheWrite = countIn(usage, 'cacheWrite');
    session.record.usage.add({
      input: countIn(usage, 'input') + cached + cacheWrite,
      output: countIn(usage, 'output'),
      cached,
      cacheWrite,
      reasoning: countIn(usage, 'reasoning'),
      raw: usage,
    });
    const cost = numberIn(objectIn(usage, 'cost'), 'total') ?? 0;
    // A model of one's own has no prices: 0 then means unknown.
    if (cost > 0) session.record.totalCostUsd = (session.record.totalCostUsd ?? 0) + cost;
    const text = listIn(message, 'content').flatMap((block) =>
      textIn(block, 'type') === 'text' ? [textIn(block, 'text') ?? ''] : [],
    );
    if (text.length > 0) session.message(text.join('\n'));
  }

  #retry(event: AgentEvent): void {
    const error = errorOf(textIn(event, 'errorMessage') ?? '');
    this.#session.note(
      'retry',
      {
        attempt: numberIn(event, 'attempt'),
        max_retries: numberIn(event, 'maxAttempts'),
        delay_ms: numberIn(event, 'delayMs'),
        status: error.status,
        error: error.message,
      },
      event,
    );
  }

  #settled(): void {
    if (this.#problem !== null) this.#session.fail(this.#problem);
    else if (this.#stopReason === null)
      this.#session.fail(problemOf({ message: 'pi settled without an answer', otherwise: 'protocol' }));
    else this.#session.finish(this.#stopReason);
  }
}

function problemIn(message: AgentEvent): AgentProblem {
  const aborted = textIn(message, 'stopReason') === 'aborted';
  return errorOf(textIn(message, 'errorMessage') ?? (aborted ? 'The run was aborted' : 'pi gave no reason'), aborted);
}

/** The vendor's words in `401: {"message":"…"}`. */
function errorOf(text: string, aborted = false): AgentProblem {
  const match = /^(\d{3}):?\s*(.*)$/s.exec(text);
  const status = match?.[1] === undefined ? null : Number(match[1]);
  let message = match?.[2] || text;
  try {
    const body: unknown = JSON.parse(message);
    message = textIn(body, 'message') ?? textIn(objectIn(body, 'error'), 'message') ?? message;
  } catch {
    // Plain words.
  }
  return problemOf({ message, status, otherwise: aborted ? 'aborted' : 'unknown' });
}
