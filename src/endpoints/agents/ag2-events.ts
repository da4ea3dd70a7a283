import { type AgentEvent, argumentsIn, numberIn, objectIn, textIn } from './agent-event.ts';
import { type AgentErrorKind, type AgentProblem, problemOf } from './agent-problem.ts';
import type { AgentReader, AgentRequest } from './agent-program.ts';
import type { AgentSession } from './agent-session.ts';
import { countIn } from './agent-usage.ts';

/** What the side program's kinds of error are for every agent; the others are judged by their message and status. */
const kinds: Readonly<Record<string, AgentErrorKind>> = {
  bad_request: 'config',
  protocol_version: 'config',
  ag2_missing: 'cli_unusable',
  ag2_version: 'cli_unusable',
  ag2_extra_missing: 'cli_unusable',
  tool_import: 'config',
  llm_config: 'config',
  unsupported: 'config',
  turn_timeout: 'deadline',
  empty_reply: 'protocol',
  nlip_failed: 'network',
  cancelled: 'cancelled',
  internal: 'unknown',
};

/** Lines that are told as `system` chunks, with their own fields. */
const notes = new Set(['speaker', 'handoff', 'context', 'log', 'input_request']);

/** Understands the lines of `ag2_runner.py`, protocol version 1: its head says what they are. */
export function createAg2Reader(session: AgentSession, _request: AgentRequest): AgentReader {
  const reader = new Ag2Reader(session);
  return (event) => reader.read(event);
}

class Ag2Reader {
  readonly #session: AgentSession;
  #hello: AgentEvent = {};
  /** The agents whose turn was told in fragments. */
  readonly #streamed = new Set<string>();

  constructor(session: AgentSession) {
    this.#session = session;
  }

  read(event: AgentEvent): void {
    const session = this.#session;
    const type = textIn(event, 't') ?? 'untyped';
    const agent = textIn(event, 'agent');
    const own = agent === null ? {} : { agent };
    const raw = { ...event, type };
    switch (type) {
      case 'hello':
        this.#hello = event;
        session.record.cliVersion = textIn(event, 'version');
        break;
      case 'start':
        session.start(this.#started(event), raw);
        break;
      case 'text':
        this.#streamed.add(agent ?? '');
        session.text(textIn(event, 'content') ?? '', event.delta === true, raw, own);
        break;
      case 'thinking':
        session.thinking(textIn(event, 'content') ?? '', event.delta === true, raw, own);
        break;
      case 'tool_use':
        session.toolUse(
          { id: textIn(event, 'id') ?? '', name: textIn(event, 'name') ?? 'unknown', ...argumentsIn(event.input) },
          raw,
          own,
        );
        break;
      case 'tool_result':
        session.toolResult(textIn(event, 'id') ?? '', event.output ?? null, event.is_error === true, raw, own);
        break;
      case 'message':
        this.#message(textIn(event, 'content') ?? '', agent, raw);
        break;
      case 'usage':
        session.record.usage.add({
          input: countIn(event, 'input_tokens'),
          output: countIn(event, 'output_tokens'),
          raw: event,
        });
        break;
      case 'result':
        this.#result(event);
        break;
      case 'error':
        session.fail(problemIn(event), { reason: textIn(event, 'kind'), ...own });
        break;
      case 'heartbeat':
        break;
      default:
        if (notes.has(type)) this.#note(type, event);
        else session.unknown(raw);
    }
  }

  #started(event: AgentEvent): AgentEvent {
    const { seq: _seq, t: _t, v: _v, ...hello } = this.#hello;
    return { ...hello, agents: event.agents, pattern: event.pattern, max_rounds: event.max_rounds };
  }

  #note(type: string, event: AgentEvent): void {
    const { seq: _seq, t: _t, ...rest } = event;
    this.#session.note(type, rest, { ...event, type });
    if (type === 'input_request') this.#session.ask(textIn(event, 'id') ?? '', textIn(event, 'prompt') ?? '');
  }

  /** The whole of a turn: told as text only when it did not come in fragments. */
  #message(content: string, agent: string | null, raw: AgentEvent): void {
    const streamed = this.#streamed.delete(agent ?? '');
    if (!streamed) this.#session.text(content, false, raw, agent === null ? {} : { agent });
    this.#session.message(content, agent ?? undefined);
    this.#session.record.turns += 1;
  }

  #result(event: AgentEvent): void {
    const session = this.#session;
    const usage = objectIn(event, 'usage');
    if (session.record.usage.value === null && countIn(usage, 'input_tokens') + countIn(usage, 'output_tokens') > 0) {
      session.record.usage.replace({
        input: countIn(usage, 'input_tokens'),
        output: countIn(usage, 'output_tokens'),
        raw: usage,
      });
    }
    session.record.result = textIn(event, 'content') ?? session.record.result;
    session.record.turns = numberIn(event, 'rounds') ?? session.record.turns;
    session.record.totalCostUsd = numberIn(event, 'cost_usd');
    session.finish(textIn(event, 'reason'), {
      last_speaker: textIn(event, 'last_speaker'),
      context_variables: objectIn(event, 'context_variables'),
      history: event.history ?? null,
    });
  }
}

function problemIn(event: AgentEvent): AgentProblem {
  const kind = textIn(event, 'kind') ?? 'internal';
  const hint = textIn(event, 'hint');
  const words = textIn(event, 'message') ?? kind;
  const message = hint === null ? words : `${words}. Try: ${hint}`;
  const known = kinds[kind];
  const problem = problemOf({ message, status: numberIn(event, 'status') });
  return { ...problem, kind: known ?? problem.kind, reason: kind };
}
