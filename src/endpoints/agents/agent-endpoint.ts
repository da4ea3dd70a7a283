import type { z } from 'zod';
import { toSnakeCase } from '../../../schemas/imodel.ts';
import { agentHostNames, longestKillGrace } from '../../../schemas/requests/agent.ts';
import { IModelError, printValue } from '../../errors.ts';
import type { Endpoint, EndpointConfig, EndpointJob, EndpointReply, Fields } from '../endpoint.ts';
import { nearest } from '../nearest.ts';
import { type AgentHandlers, agentHandlerNames, readHandlers } from './agent-handlers.ts';
import type { AgentProgram, AgentRequest } from './agent-program.ts';
import { buildPrompt } from './agent-prompt.ts';
import { runAgent } from './agent-run.ts';
import { defaultTimeout } from './agent-verdict.ts';

/** What an agent's endpoint is made from. */
export interface AgentEndpointOptions {
  /** Defaults of every request, and what only the constructor may say (`cli_path`, `extra_args`, …). */
  readonly kwargs?: Fields | undefined;
  /** The key of the vendor behind the agent, or the name of the variable that holds it; read at call time. @defaultValue the agent's own login */
  readonly apiKey?: string | null | undefined;
  /** Where the agent asks its vendor. @defaultValue the agent's own */
  readonly baseUrl?: string | null | undefined;
  /** Added to the program's environment; null removes. Held here alone: it may carry keys. */
  readonly env?: Readonly<Record<string, string | null>> | undefined;
  /** The environment to choose from. @defaultValue `process.env` at call time */
  readonly hostEnvironment?: Readonly<Record<string, string | undefined>> | undefined;
  /** Seconds, written into the configuration. @defaultValue 3600 */
  readonly timeout?: number | undefined;
}

/**
 * An endpoint that runs a command-line agent: a process for each call, its events as chunks, its session kept for the next call.
 *
 * @throws {@link IModelError} `config` when the options are not ones the agent takes.
 */
export function createAgentEndpoint<R extends AgentRequest>(
  program: AgentProgram<R>,
  options: AgentEndpointOptions = {},
): Endpoint {
  return new AgentEndpoint(program, options);
}

class AgentEndpoint<R extends AgentRequest> implements Endpoint {
  readonly config: EndpointConfig;
  readonly isCli = true;
  readonly requestOptions: z.ZodType;
  readonly defaultLimits: { readonly queueCapacity: number; readonly concurrency: number | null };
  readonly transportFields: readonly string[];
  /** Whatever grace a request names: a call is not over before its program is gone. */
  readonly stopGraceMs = longestKillGrace * 1_000 + 5_000;
  /** The last session that a call confirmed; null to begin anew. */
  sessionId: string | null = null;
  readonly #program: AgentProgram<R>;
  readonly #options: AgentEndpointOptions;
  readonly #handlers: AgentHandlers;
  readonly #env: Readonly<Record<string, string | null>>;
  readonly #running = new Set<AbortController>();
  readonly #ends = new Set<Promise<unknown>>();

  constructor(program: AgentProgram<R>, options: AgentEndpointOptions) {
    this.#program = program;
    this.#options = options;
    this.defaultLimits = program.limits ?? { queueCapacity: 10, concurrency: 3 };
    this.requestOptions = program.request;
    this.transportFields = [program.handlersOption, ...agentHandlerNames];
    const { env, ...given } = options.kwargs ?? {};
    this.#env = { ...asConfig(() => readEnvironment(env)), ...options.env };
    const { kwargs, handlers } = asConfig(() => this.#split(given));
    this.#handlers = handlers;
    const timeout = options.timeout ?? kwargs.timeout ?? defaultTimeout;
    const { path = 'query_cli' } = program;
    this.config = {
      name: `${program.provider}_${path}`,
      provider: program.provider,
      baseUrl: givenUrl(options.baseUrl),
      endpoint: path,
      method: 'POST',
      authType: 'none',
      contentType: null,
      defaultHeaders: {},
      timeout,
      requiresTokens: false,
      contextWindow: null,
      kwargs: { ...kwargs },
    };
  }

  prepare(request: Fields): Fields {
    for (const name of ['env', ...agentHostNames, ...this.#program.hostFields]) {
      if (request[name] !== undefined)
        refuseField(name, request[name], 'only what builds the endpoint, on the machine of the program, may set it');
    }
    const { model, effort, ...kwargs } = this.config.kwargs;
    // An effort belongs to the model it was said with: a request for another model does not inherit it.
    const defaults =
      request.model === undefined ? this.config.kwargs : { ...kwargs, ...(effort === undefined ? {} : { effort }) };
    const merged = { timeout: this.config.timeout, ...defaults, ...this.#known(request) };
    const parsed = this.#program.normalize(this.#parse(merged));
    // What must not be said at all is refused before the call waits in a queue.
    buildPrompt(parsed, false);
    const goesOn = this.sessionId !== null && isFresh(parsed) && this.#program.keepsSession(parsed);
    return goesOn ? { ...parsed, resume: this.sessionId } : { ...parsed };
  }

  estimateTokens(): number {
    return 0;
  }

  async run(job: EndpointJob): Promise<EndpointReply> {
    const before = this.sessionId;
    const stopping = new AbortController();
    const end = runAgent({
      program: this.#program,
      // The payload is what `prepare` made.
      request: job.payload as R,
      job: { ...jobOf(job), signal: AbortSignal.any([job.signal, stopping.signal]) },
      handlers: readHandlers(this.#program.handlersOption, job.transport, this.#handlers),
      apiKey: this.#options.apiKey ?? null,
      baseUrl: givenUrl(this.#options.baseUrl),
      env: this.#env,
      hostEnvironment: this.#options.hostEnvironment ?? process.env,
    });
    this.#running.add(stopping);
    this.#ends.add(end);
    try {
      const reply = await end;
      // Of calls that overlapped the first to end keeps its session: the last writer must not win.
      if (reply.sessionId !== undefined && this.sessionId === before) this.sessionId = reply.sessionId;
      return reply;
    } finally {
      this.#running.delete(stopping);
      this.#ends.delete(end);
    }
  }

  async close(): Promise<void> {
    for (const stopping of this.#running) {
      stopping.abort(IModelError.of('closed', 'The agent was closed while it worked', {}));
    }
    await Promise.allSettled(this.#ends);
  }

  #split(options: Fields): { readonly kwargs: R; readonly handlers: AgentHandlers } {
    const names = new Set(this.transportFields);
    const own = Object.entries(options);
    const handlers = readHandlers(
      this.#program.handlersOption,
      Object.fromEntries(own.filter(([name]) => names.has(name))),
      {},
    );
    const rest = this.#known(Object.fromEntries(own.filter(([name]) => !names.has(name))));
    return { kwargs: this.#program.normalize(this.#parse(rest)), handlers };
  }

  /** The fields under the names of the schema: ours may also be written in camelCase; those of the transport of calls are dropped. */
  #known(fields: Fields): Fields {
    const shape = this.#program.request.shape;
    const known: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(fields)) {
      if (value === undefined || name === 'stream' || name === 'cache_control') continue;
      if (name === 'passthrough' && value === false) continue;
      const snake = toSnakeCase(name);
      known[name in shape || !(snake in shape) ? name : snake] = value;
    }
    return known;
  }

  /** What may have been meant by a name that is unknown. */
  #suggest(name: string): string {
    const { request, title } = this.#program;
    const names = Object.keys(request.shape);
    const like = nearest(name, names);
    return `${like === null ? '' : `did you mean \`${like}\`? `}${title} takes ${names.join(', ')}`;
  }

  #parse(fields: Fields): R {
    const { request, unsupported, title } = this.#program;
    for (const name of Object.keys(fields)) {
      if (name in request.shape) continue;
      const instead = unsupported[name] ?? unsupportedByAll[name];
      refuseField(name, fields[name], instead === undefined ? this.#suggest(name) : `${title} ${instead}`);
    }
    const result = request.safeParse(fields);
    if (result.success) return result.data;
    const [issue] = result.error.issues;
    const path = issue?.path.map(String).join('.') ?? '';
    throw IModelError.of(
      'invalid_request',
      `\`${path}\` of ${title}: ${issue?.message ?? 'not valid'}, got ${printValue(valueAt(fields, issue?.path ?? []))}`,
      {
        path,
      },
    );
  }
}

/** What other endpoints take and no agent can. */
const unsupportedByAll: Readonly<Record<string, string>> = {
  passthrough:
    'is a program, and has no body in which an unknown field could be sent; `extra_args` of the iModel gives it flags',
};

function readEnvironment(env: unknown): Record<string, string | null> {
  if (env === undefined || env === null) return {};
  const entries = typeof env === 'object' ? Object.entries(env) : null;
  if (entries?.every(([, value]) => typeof value === 'string' || value === null) === true)
    return Object.fromEntries(entries);
  // Never printed: it may hold keys.
  throw IModelError.of('invalid_request', 'Expected `env` to hold texts by name, or null to remove one', {
    path: 'env',
  });
}

/** `internal` is what other versions wrote down for no address. */
function givenUrl(url: string | null | undefined): string | null {
  return url === undefined || url === 'internal' ? null : url;
}

/** The members of a job, which may be accessors of a class and would be lost by a spread. */
function jobOf(job: EndpointJob): EndpointJob {
  return {
    callId: job.callId,
    payload: job.payload,
    transport: job.transport,
    sink: job.sink,
    signal: job.signal,
    sent: () => job.sent(),
    answered: () => job.answered(),
    journal: (entry) => job.journal?.(entry),
  };
}

function isFresh(request: AgentRequest): boolean {
  return request.resume === undefined && request.session_id === undefined && request.continue_conversation !== true;
}

function refuseField(name: string, value: unknown, why: string): never {
  throw IModelError.of(
    'invalid_request',
    `Unknown or unsupported field \`${name}\`, got ${printValue(value)}: ${why}`,
    { path: name },
  );
}

function valueAt(fields: Fields, path: readonly PropertyKey[]): unknown {
  let value: unknown = fields;
  for (const key of path)
    value = typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined;
  return value;
}

/** What a caller does wrong while building is a matter of configuration. */
function asConfig<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!IModelError.is(error) || error.failure.code !== 'invalid_request') throw error;
    const { message, path } = error.failure;
    throw IModelError.of('config', message, path === undefined ? {} : { field: path }, { cause: error });
  }
}
