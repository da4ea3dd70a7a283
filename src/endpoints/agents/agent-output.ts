import type { EndpointJob } from '../endpoint.ts';
import { type AgentEvent, isObject } from './agent-event.ts';
import type { AgentReader } from './agent-program.ts';
import type { AgentSession } from './agent-session.ts';

/** Reads lines as events; what is none is kept as noise. */
export class AgentOutput {
  readonly #read: AgentReader;
  readonly #session: AgentSession;
  readonly #job: EndpointJob;
  #answered = false;
  /** Whether the last line broke off in the middle of an event. */
  truncated = false;
  /** Whether there was an event at all. */
  understood = false;

  constructor(read: AgentReader, session: AgentSession, job: EndpointJob) {
    this.#read = read;
    this.#session = session;
    this.#job = job;
  }

  /** Takes the next line. @returns What to wait for before the next one. */
  take(line: string, whole: boolean): void | Promise<void> {
    if (line.trim() === '') return undefined;
    if (!this.#answered) {
      this.#answered = true;
      this.#job.answered();
    }
    const event = parse(line);
    if (event === null) {
      this.truncated = !whole && line.trimStart().startsWith('{');
      this.#session.noise(line);
      return undefined;
    }
    this.understood = true;
    this.#read(event);
    return this.#session.isBusy ? this.#session.settled() : undefined;
  }
}

function parse(line: string): AgentEvent | null {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}
