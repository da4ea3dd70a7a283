import type { z } from 'zod';
import { type Ag2NlipRequest, ag2NlipRequest } from '../../../schemas/requests/ag2.ts';
import { IModelError, printValue } from '../../errors.ts';
import { HttpClient } from '../../http/client.ts';
import type { Endpoint, EndpointConfig, EndpointJob, EndpointReply, Fields } from '../endpoint.ts';
import type { AgentEndpointOptions } from './agent-endpoint.ts';
import { isObject, objectIn, textIn } from './agent-event.ts';
import { type AgentHandlers, agentHandlerNames, readHandlers } from './agent-handlers.ts';
import { problemFailure } from './agent-problem.ts';
import { buildPrompt } from './agent-prompt.ts';
import { AgentSession } from './agent-session.ts';

const handlersOption = 'ag2_handlers';
const defaults = { timeout: 60, maxRetries: 3, agentName: 'remote' };
/** Longest answer that is read. */
const maxBodyBytes = 16 * 1024 * 1024;

/**
 * An endpoint that asks an agent elsewhere by NLIP over HTTP: one POST, one answer. It needs no AG2 and no Python. Addresses of this machine
 * and its network are refused unless the constructor's `allow_private` says otherwise.
 *
 * @see {@link https://nlip-project.org} for the protocol.
 */
export function createAg2Nlip(options: AgentEndpointOptions = {}): Endpoint {
  return new Ag2NlipEndpoint(options);
}

class Ag2NlipEndpoint implements Endpoint {
  readonly config: EndpointConfig;
  readonly isCli = true;
  readonly requestOptions: z.ZodType = ag2NlipRequest;
  readonly defaultLimits = { queueCapacity: 10, concurrency: 3 };
  readonly transportFields = [handlersOption, ...agentHandlerNames];
  readonly #client: HttpClient;
  readonly #handlers: AgentHandlers;

  constructor(options: AgentEndpointOptions) {
    const { ag2_handlers, ...given } = options.kwargs ?? {};
    const url = options.baseUrl ?? given.url;
    const kwargs = parse(
      { ...given, ...(url === undefined || url === null || url === 'internal' ? {} : { url }) },
      'config',
    );
    this.#handlers = readHandlers(handlersOption, ag2_handlers === undefined ? {} : { ag2_handlers }, {});
    const allowed = kwargs.allow_private === true;
    this.#client = new HttpClient({ allowLoopback: allowed, allowPrivateNetwork: allowed });
    this.config = {
      name: 'ag2_nlip',
      provider: 'ag2',
      baseUrl: kwargs.url ?? null,
      endpoint: 'nlip',
      method: 'POST',
      authType: 'none',
      contentType: 'application/json',
      defaultHeaders: {},
      timeout: options.timeout ?? kwargs.timeout ?? defaults.timeout,
      requiresTokens: false,
      contextWindow: null,
      kwargs: { ...kwargs },
    };
  }

  prepare(request: Fields): Fields {
    if (request.allow_private !== undefined) {
      throw IModelError.of('invalid_request', 'Unknown field `allow_private`: only what builds the iModel may set it', {
        path: 'allow_private',
      });
    }
    const { stream: _stream, ...rest } = request;
    const payload = parse({ timeout: this.config.timeout, ...this.config.kwargs, ...rest }, 'invalid_request');
    if (payload.url === undefined || !/^https?:\/\//.test(payload.url) || !URL.canParse(payload.url)) {
      throw IModelError.of(
        'invalid_request',
        `Expected \`url\` to be an http or https address, got ${printValue(payload.url)}`,
        {
          path: 'url',
        },
      );
    }
    buildPrompt(payload, false);
    return payload;
  }

  estimateTokens(): number {
    return 0;
  }

  async run(job: EndpointJob): Promise<EndpointReply> {
    // The payload is what `prepare` made.
    const request = job.payload as Ag2NlipRequest;
    const agent = request.agent_name ?? defaults.agentName;
    const session = new AgentSession({
      ...{ provider: 'ag2', sink: job.sink, model: agent, cwd: '', cliVersion: null, keepRaw: false },
      ...{
        maxChunks: 10_000,
        includeSummary: true,
        startMetadata: {},
        warnings: [],
        journal: () => {},
        mask: (text) => text,
      },
      handlers: readHandlers(handlersOption, job.transport, this.#handlers),
    });
    session.start({ agents: [agent] }, {});
    const exit = { code: null, signal: null };
    try {
      const answer = await this.#ask(request, job);
      session.text(answer, false, undefined, { agent });
      session.message(answer, agent);
      session.record.turns = 1;
      session.finish('terminated');
      session.close(exit);
      await session.settled();
      return { response: session.record.response(exit, null), view: session.record.view() };
    } catch (error) {
      if (job.signal.aborted || !(error instanceof NlipFailure)) throw error;
      const problem = {
        kind: 'network',
        message: error.message,
        status: error.status,
        retryAfterMs: null,
        reason: 'nlip_failed',
      } as const;
      session.closeFailed(problem, exit);
      await session.settled();
      throw new IModelError(problemFailure(problem, !session.record.touched), { cause: error.cause });
    }
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #ask(request: Ag2NlipRequest, job: EndpointJob): Promise<string> {
    const prompt = buildPrompt(request, false);
    const content = prompt.system === '' ? prompt.text : `[system]\n${prompt.system}\n\n${prompt.text}`;
    const body = JSON.stringify({ format: 'text', subformat: 'english', content });
    const url = new URL(`${(request.url ?? '').replace(/\/+$/, '')}/nlip/`);
    const limitMs = (request.timeout ?? defaults.timeout) * 1_000;
    let failure = new NlipFailure(`${url.origin} was not asked`, null);
    for (let tries = 0; tries <= (request.max_retries ?? defaults.maxRetries); tries += 1) {
      try {
        const { origin, pathname, search } = url;
        const reply = await this.#client.send({
          ...{ origin, path: pathname + search, body, maxBodyBytes },
          headers: { 'content-type': 'application/json', accept: 'application/json' },
          ...{ signal: job.signal, headersTimeoutMs: limitMs, idleTimeoutMs: limitMs },
          sent: () => job.sent(),
          answered: (status) => {
            if (status < 300) job.answered();
          },
        });
        if (reply.status >= 200 && reply.status < 300) return textOf(reply.body, url.origin);
        failure = new NlipFailure(`${url.origin} answered with HTTP ${reply.status}`, reply.status);
        if (reply.status < 500) break;
      } catch (error) {
        if (!IModelError.is(error) || (error.code !== 'unavailable' && error.code !== 'timed_out')) throw error;
        failure = new NlipFailure(error.message, null, error);
      }
    }
    throw failure;
  }
}

/** A remote agent that gave no answer. */
class NlipFailure extends Error {
  readonly status: number | null;

  constructor(message: string, status: number | null, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.status = status;
  }
}

/** The text of an answer: its `content`, or that of the message inside. */
function textOf(body: Buffer, origin: string): string {
  let answer: unknown;
  try {
    answer = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new NlipFailure(`${origin} answered with something that is no JSON`, null, cause);
  }
  const content =
    textIn(answer, 'content') ?? (isObject(answer) ? textIn(objectIn(answer, 'content'), 'content') : null);
  if (content === null || content === '') throw new NlipFailure(`${origin} answered without a text`, null);
  return content;
}

function parse(fields: Fields, code: 'config' | 'invalid_request'): Ag2NlipRequest {
  const result = ag2NlipRequest.safeParse(fields);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = issue?.path.map(String).join('.') ?? '';
  const known = Object.keys(ag2NlipRequest.shape).join(', ');
  const message = `\`${path}\` of AG2's remote agent: ${issue?.message ?? 'not valid'}; it takes ${known}`;
  throw code === 'config' ? IModelError.of(code, message, { field: path }) : IModelError.of(code, message, { path });
}
